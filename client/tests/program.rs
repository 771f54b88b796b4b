//! The program itself, given bad input: one clear message that names the file, the line or the
//! layer, and the exit code that scripts rely on.

mod common;

use std::fs;
use std::path::Path;

use common::{Folder, holds};
use covey_client::outbound::entry::{Entry, Sent, What, no_hash};

const PLAN: &str = r#"schema = "plan/1"
name = "halves"
purpose = "Learn which half of the plane a point lies in"
seed = 7
[data]
kind = "tabular"
target = { column = "side", classes = ["left", "right"] }
columns = [{ name = "x", type = "float", min = -1, max = 1 }]
[model]
layers = [{ kind = "linear", out = 8 }, { kind = "tanh" }, { kind = "linear", out = 2 }]
[training]
rounds = 3
batch_size = 8
optimizer = { name = "sgd", lr = 0.1, momentum = 0.0 }
weighting = "uniform"
[cohort]
minimum = 3
maximum = 10
[secure_aggregation]
profile = "A"
bits = 12
range = 0.5
clip_norm = 5.0
audit = "off"
"#;

#[test]
fn a_plan_is_checked_with_all_its_errors_and_layers_by_name() {
    let folder = Folder::new();
    let write = |text: &str| folder.file("plan.toml", text);
    folder.check(&["plan", "check", &write(PLAN)], 0, &["plan ok: halves", "bytes per parameter"]);

    let two = PLAN.replace("minimum = 3", "minimum = 2").replace("rounds = 3", "runds = 3");
    let named = ["plan.toml:12:1", "P002", "plan.toml:17:11", "P020", "help"];
    folder.check(&["plan", "check", &write(&two)], 2, &named);
    let output = folder.run(&["plan", "check", "--json", "plan.toml"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &answer["status"]), (Some(2), &"error".into()));
    let details = answer["error"]["details"].as_array().expect("a list");
    assert!(details.iter().any(|one| one["code"] == "P020" && one["line"] == 17), "{answer}");

    let misfit =
        PLAN.replace(r#"{ kind = "tanh" }"#, r#"{ kind = "conv2d", out = 3, kernel = 3 }"#);
    let named = ["plan.toml:10:", "layers[1]", "conv2d", "help"];
    folder.check(&["plan", "check", &write(&misfit)], 2, &named);
    folder.check(&["plan", "check", "nowhere.toml"], 2, &["nowhere.toml"]);
}

#[test]
fn a_model_is_exported_from_a_file_in_every_form() {
    let folder = Folder::new();
    let path = |name: &str| folder.path(name);
    let (plan, model) = (folder.file("plan.toml", PLAN), path("model"));
    // 8 weights and offsets, and 2 times 8 weights and 2 offsets.
    let numbers: Vec<u8> = (0..34u8).flat_map(|i| (f32::from(i) / 10.0).to_le_bytes()).collect();
    fs::write(&model, &numbers).expect("written");
    let export = |from: &str, form: &str, out: &str| {
        let arguments = ["run", "export", from, "--plan", &plan, "--format", form, "--out", out];
        arguments.map(str::to_owned)
    };
    let check_all = |arguments: [String; 9], code, named: &[&str]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        folder.check(&arguments, code, named);
    };
    let (out, onnx) = (path("out"), path("onnx"));
    let named = ["load.py", "model.safetensors", "not checked: where the parameters come from"];
    check_all(export(&model, "hf-folder", &out), 0, &named);
    for (name, part) in [
        ("load.py", "nn.Linear(1, 8),  # 8\n            nn.Tanh(),  # 8"),
        ("config.json", "\"right\""),
        ("README.md", "# halves"),
        ("provenance.json", "model_digest"),
        ("plan.toml", PLAN),
    ] {
        let text = fs::read_to_string(Path::new(&out).join(name)).expect("read");
        assert!(text.contains(part), "no {part} in {name}: {text}");
    }
    // What was exported is a model as well.
    let exported = format!("{out}/model.safetensors");
    check_all(export(&exported, "onnx", &onnx), 0, &["model.onnx"]);
    let again = path("again");
    check_all(export(&exported, "safetensors", &again), 0, &["34 parameters"]);
    let files =
        [&out, &again].map(|out| fs::read(format!("{out}/model.safetensors")).expect("read"));
    assert!(files[0] == files[1], "exported twice, the file is another");

    check_all(export(&exported, "safetensors", &again), 2, &["EXISTS", "not overwritten", "--out"]);
    fs::write(&model, &numbers[4..]).expect("written");
    check_all(export(&model, "onnx", &path("no")), 2, &["BAD_MODEL", "136 bytes"]);
    check_all(export(&path("nowhere"), "onnx", &path("no")), 2, &["nowhere"]);
    check_all(export(&path("."), "onnx", &path("no")), 2, &["NO_ROUND", "round-0001"]);
    assert!(!Path::new(&path("no")).exists());
    let arguments = ["run", "export", &model, "--plan", &plan, "--format", "onnx", "--round", "2"];
    let arguments = [&arguments[..], &["--out", &onnx]].concat();
    folder.check(&arguments, 2, &["NO_RUN", "--round"]);
}

#[test]
fn data_are_checked_with_file_line_and_column() {
    let folder = Folder::new();
    let plan = &folder.file("plan.toml", PLAN);
    let write = |text: &str| folder.file("data.csv", text);
    let good = "x,side\n0.5,right\n-0.5,left\n0.25,right\n";
    let named = ["3 examples", "per class: 1 2"];
    folder.check(&["data", "check", &write(good), "--plan", plan], 0, &named);
    for (bad, named) in [
        (good.replace("-0.5,left", "-0.5,up"), ["data.csv", "line 3"]),
        (good.replace("-0.5,left", "a,left"), ["data.csv", "line 3"]),
        (good.replace("-0.5,left", "-0.5"), ["data.csv", "line 3"]),
        (good.replace("x,side", "z,side"), ["data.csv", "x"]),
    ] {
        folder.check(&["data", "check", &write(&bad), "--plan", plan], 2, &named);
    }
    folder.check(&["data", "check", "nowhere.csv", "--plan", plan], 2, &["nowhere.csv"]);
}

#[test]
fn a_start_that_cannot_work_says_why() {
    let folder = Folder::new();
    let dir = &folder.path("ada");
    let named = ["request.json", "never leave"];
    folder.check(
        &["init", "--name", "ada", "--dir", dir, "--coordinator", "127.0.0.1:9"],
        0,
        &named,
    );
    folder.check(&["init", "--name", "ada", "--dir", dir], 2, &["exists already"]);
    // It allows nothing yet.
    folder.check(&["policy", "check", &folder.path("ada/policy.toml")], 0, &["0 purposes"]);
    let config = &folder.path("ada/client.toml");
    let text = fs::read_to_string(config).expect("read");
    folder.check(&["start", "--config", config], 4, &["roster.json", "operator"]);
    folder.check(&["status", "--config", config], 4, &["roster.json"]);
    folder.check(&["start", "--config", "nowhere.toml"], 2, &["nowhere.toml"]);
    folder.check(&["start", "--confg", "x"], 2, &["--config"]);
    for (changed, named) in [
        (text.replace("state", "stat"), "bad.toml:4:1"),
        (text.replace("policy.toml", "none.toml"), "covey-client policy init"),
    ] {
        folder.check(&["start", "--config", &folder.file("ada/bad.toml", &changed)], 2, &[named]);
    }
}

#[test]
fn nothing_of_the_program_lets_an_update_out_in_the_clear() {
    let help = Folder::new().run(&["start", "--help"]);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let options: Vec<&str> =
        help.split_whitespace().filter(|word| word.starts_with("--")).collect();
    assert_eq!(options, ["--config", "--json", "--device", "--help"], "{help}");
}

#[test]
fn an_owner_pauses_looks_at_its_log_and_installs_a_service_by_commands() {
    let folder = Folder::new();
    let dir = &folder.path("ada");
    folder.check(&["init", "--name", "ada", "--dir", dir], 0, &[]);
    let config = &folder.path("ada/client.toml");
    let with = |arguments: &[&'static str]| [arguments, &["--config", config]].concat();

    folder.check(&with(&["pause"]), 0, &["paused", "covey-client resume"]);
    assert_eq!(folder.json(&with(&["pause"]), 0)["data"]["was_paused"], true);
    folder.check(&with(&["resume"]), 0, &["going on"]);
    assert_eq!(folder.json(&with(&["resume"]), 0)["data"]["was_paused"], false);

    folder.check(&with(&["audit"]), 0, &["nothing was sent"]);
    folder.check(&with(&["audit", "verify"]), 2, &["NO_LOG"]);
    let sent = |number: u64, previous: String| {
        let what = What::Sent(Sent {
            kind: "FromClient::Pending".to_owned(),
            bytes: 38,
            sha256: "ab".repeat(32),
            peer: "c".to_owned(),
            address: "127.0.0.1:7443".to_owned(),
            run: Some(format!("{number:064}")),
            round: Some(1),
            context: None,
        });
        let time = format!("2026-11-2{number}T10:58:02.123Z");
        Entry { entry: number, time, what, previous }.line()
    };
    let (first, head) = sent(0, no_hash());
    let (second, last) = sent(1, head.clone());
    let text = format!("{first}\n{second}\n");
    let log = "ada/state/audit/000000000000.jsonl";
    folder.file(log, &text);
    folder.check(&with(&["audit"]), 0, &["FromClient::Pending", "2 messages, 76 bytes"]);
    folder.check(&with(&["audit", "--since", "2026-11-21"]), 0, &["1 messages"]);
    let run = "00000000000000000000000000000000000000000000000000000000000000001";
    folder.check(&with(&["audit", "--run", &run[..63]]), 0, &["2 messages"]);
    folder.check(&with(&["audit", "--since", "long ago"]), 2, &["is no time"]);
    folder.check(&with(&["audit", "verify"]), 0, &["the log is whole: 2 entries", &last]);
    let verified = folder.json(&[&with(&["audit", "verify"])[..], &["--head", &head]].concat(), 0);
    assert_eq!(
        (&verified["data"]["entries"], &verified["data"]["has_head"]),
        (&2.into(), &true.into())
    );

    let out = &folder.path("log.jsonl");
    folder.check(&[&with(&["audit", "export"])[..], &["--out", out]].concat(), 0, &["2 entries"]);
    assert_eq!(fs::read_to_string(out).expect("read"), text);
    folder.check(&["audit", "verify", "--file", out], 0, &["2 entries"]);
    let csv = folder.text(&with(&["audit", "export", "--format", "csv"]), 0);
    assert_eq!(csv.lines().count(), 3);
    assert!(csv.starts_with("entry,time,kind,bytes,sha256,peer,address,run,round,context\n0,2026"));

    // The end is cut: the chain is whole, and the noted hash is not in it.
    folder.file(log, &format!("{first}\n"));
    folder.check(&with(&["audit", "verify"]), 0, &["1 entries"]);
    let noted = [&with(&["audit", "verify"])[..], &["--head", &last]].concat();
    folder.check(&noted, 6, &["AUDIT_BROKEN", "was cut or replaced"]);
    folder.file(log, &text.replacen("38", "39", 1));
    folder.check(&with(&["audit", "verify"]), 6, &["AUDIT_BROKEN", "line 1", "it was changed"]);
    assert_eq!(folder.json(&with(&["audit"]), 6)["error"]["code"], "AUDIT_BROKEN");

    folder.check(&with(&["doctor"]), 1, &["PROBLEM", "member.pem", "fix: ", "to put right"]);
    let unit = folder.json(&[&with(&["service", "install"])[..], &["--print"]].concat(), 0);
    let text = unit["data"]["unit"].as_str().expect("a unit");
    holds(text, &["ProtectSystem=strict", &format!("start --config {config}")]);
    assert_eq!(unit["data"]["paths"][0], "/etc/systemd/system/covey-client.service");
    let named = ["service", "uninstall", "--name", "no-such-service-of-covey"];
    folder.check(&named, 2, &["no-such-service-of-covey.service"]);
}
