//! The commands about what an owner allows, and about what was offered to it.

mod common;

use std::path::Path;

use common::{Folder, holds};
use covey_aggregation::hash::Digest;
use covey_aggregation::plan::Plan;
use covey_aggregation::time::Time;
use covey_client::runs::{Offer, Runs, Standing};

const PLAN: &str = r#"schema = "plan/1"
name = "patients"
purpose = "Predict readmission; research only"
seed = 7
[data]
kind = "tabular"
columns = [{ name = "age", type = "float", min = 0, max = 120 }]
target = { column = "ill", classes = ["no", "yes"] }
[model]
layers = [{ kind = "linear", out = 8 }, { kind = "relu" }, { kind = "linear", out = 2 }]
[training]
rounds = 30
batch_size = 8
optimizer = { name = "sgd", lr = 0.1, momentum = 0.5 }
weighting = "uniform"
[cohort]
minimum = 5
maximum = 10
[secure_aggregation]
profile = "A"
bits = 12
range = 0.5
clip_norm = 5.0
audit = "off"
"#;

const CONFIG: &str = "schema = \"client/1\"\ncoordinator = \"a.example:1\"\n\
                      data = { format = \"csv\", path = \"data.csv\" }\n";

fn policy(lines: &str) -> String {
    format!("schema = \"policy/1\"\n{lines}\n")
}

#[test]
fn a_policy_is_begun_checked_and_shown_with_every_setting() {
    let owner = Folder::new();
    holds(&owner.text(&["policy", "init"], 0), &["policy.toml", "allows nothing yet"]);
    holds(&owner.text(&["policy", "init"], 2), &["policy.toml exists already"]);
    holds(&owner.text(&["policy", "check"], 0), &["policy ok", "0 purposes", "note:"]);
    let shown = owner.text(&["policy", "show"], 0);
    holds(&shown, &["unknown = \"ask\"", "max_rounds = 200", "# hours = \"20:00-06:00\"", "UTC"]);
    // What is shown is a policy.
    owner.file("again.toml", &shown);
    assert_eq!(owner.text(&["policy", "show", "again.toml"], 0), shown);
    let answer = owner.json(&["policy", "show"], 0);
    assert_eq!(answer["data"]["limits"]["max_released"], 4, "{answer}");
    assert_eq!(answer["data"]["require"]["min_cohort"], 3, "{answer}");
}

#[test]
fn everything_that_is_wrong_with_a_policy_is_said_with_its_line() {
    let owner = Folder::new();
    let bad = policy("unknown = \"allow\"\n[require]\nmin_cohort = 2\n[allow]\npurpose = []");
    owner.file("bad.toml", &bad);
    let text = owner.text(&["policy", "check", "bad.toml"], 2);
    let named = [
        "error[BAD_POLICY]",
        "bad.toml:2:11",
        "P006",
        "bad.toml:4:14",
        "protects nobody",
        "bad.toml:6:1",
        "did you mean `purposes`",
        "6 | purpose = []",
    ];
    holds(&text, &named);
    let details = &owner.json(&["policy", "check", "bad.toml"], 2)["error"]["details"];
    assert_eq!(details.as_array().map(Vec::len), Some(4), "{details}");
    assert_eq!((&details[0]["line"], &details[0]["code"]), (&2.into(), &"P006".into()));
    holds(&owner.text(&["policy", "check", "none.toml"], 2), &["none.toml", "policy init"]);
}

#[test]
fn a_plan_is_tried_on_the_policy_rule_by_rule() {
    let owner = Folder::new();
    owner.file("client.toml", CONFIG);
    owner.file("plan.toml", PLAN);
    let test = ["policy", "test", "plan.toml"];
    holds(&owner.text(&test, 2), &["NO_POLICY", "policy.toml", "policy init"]);
    let write = |lines: &str| owner.file("policy.toml", &policy(lines));
    write("[allow]\npurposes = [\"*readmission*\"]");
    let text = owner.text(&test, 0);
    let named = [
        "reads\n  - the columns age and ill, no others",
        "leaves, every round",
        "not sent\n  - examples, labels",
        "  - how many examples there are",
        "pass   Y004  rounds of the plan, or of its extension: 30; limits.max_rounds allows 200",
        "18 rules pass · 0 fail · 0 ask",
        "\nallowed",
    ];
    holds(&text, &named);
    // Both numbers of what it sends are those of `plan explain`.
    let explained = owner.json(&["plan", "explain", "plan.toml"], 0);
    let answer = owner.json(&test, 0);
    let (explained, leaves) = (&explained["data"], &answer["data"]["leaves"]);
    assert_eq!(leaves["bytes_run"], explained["bytes_sent_max"]);
    assert_eq!(leaves["values"]["update"], explained["parameters"]);
    assert_eq!(answer["data"]["outcome"], "pass");
    assert_eq!(answer["data"]["rules"].as_array().map(Vec::len), Some(18));

    write("[limits]\nmax_rounds = 29\n[require]\nmin_cohort = 6\n[allow]\npurposes = [\"*\"]");
    let named = ["fail   Y004", ": 30; limits.max_rounds allows 29", "fail   Y007", "\nrefused"];
    holds(&owner.text(&test, 5), &named);
    write("[limits]\nhours = \"20:00-06:00\"\n[allow]\npurposes = [\"cure *\"]");
    holds(&owner.text(&test, 0), &["asks   Y001", "later  Y003", "\nasks: not joined until"]);
    write("unknown = \"deny\"\n[allow]\npurposes = [\"cure *\"]");
    holds(&owner.text(&test, 5), &["fail   Y001", "\nrefused"]);
    write("[allow]\npurposes = [\"*\"]\n[[dataset]]\nname = \"patients\"\ncolumns = [\"age\"]");
    holds(&owner.text(&test, 5), &["fail   Y016", "have no name"]);
    owner.file("data.csv", "age,ill\n20,no\n");
    owner.text(&["data", "add", "patients", "data.csv"], 0);
    let named = CONFIG.replace("format = \"csv\", path = \"data.csv\"", "name = \"patients\"");
    owner.file("client.toml", &named);
    holds(&owner.text(&test, 5), &["fail   Y016", "not of them: ill"]);
}

/// A run as a client records it.
fn offered(state: &Path, run: u8, plan: &str, standing: Standing) -> Offer {
    let parsed = Plan::parse(plan).expect("a plan");
    let offer = Offer {
        run: Digest([run; 32]),
        plan: Plan::digest(plan.as_bytes()),
        name: parsed.name.to_string(),
        purpose: parsed.purpose.clone(),
        first_round: 1,
        last_round: 2,
        rounds: parsed.training.rounds,
        first_offered: Time(1_000 + u64::from(run)),
        last_offered: Time(2_000 + u64::from(run)),
        standing,
        why: Vec::new(),
    };
    Runs::of(state).record(&offer, plan.as_bytes()).expect("recorded");
    offer
}

#[test]
fn runs_are_listed_shown_approved_and_denied() {
    let owner = Folder::new();
    let path = owner.file("ada/client.toml", CONFIG);
    let config = ["--config", &path];
    let run = |arguments: &[&str], code| owner.text(&[arguments, &config].concat(), code);
    let write = |lines: &str| owner.file("ada/policy.toml", &policy(lines));
    write("[allow]\npurposes = []");
    holds(&run(&["runs", "list"], 0), &["no run was offered yet"]);
    let state = owner.path("ada/state");
    offered(Path::new(&state), 0xab, PLAN, Standing::Asks);
    let other = PLAN.replace("\"patients\"", "\"others\"");
    offered(Path::new(&state), 0xac, &other, Standing::Allowed);

    let list = run(&["runs", "list"], 0);
    holds(&list, &["abababab  asks      2 of 30", "acacacac  allowed", "runs leaves abababab"]);
    let answer = owner.json(&[&["runs", "list"][..], &config].concat(), 0);
    let first = &answer["data"]["runs"][1];
    assert_eq!((&first["standing"], &first["decision"]), (&"asks".into(), &().into()), "{answer}");
    assert_eq!(first["run"], "ab".repeat(32), "{answer}");

    let shown = run(&["runs", "show", "abab"], 0);
    holds(&shown, &["Predict readmission", "asks   Y001", "17 rules pass · 0 fail · 1 ask"]);
    let leaves = run(&["runs", "leaves", "patients"], 0);
    holds(&leaves, &["who sees what", "privacy", "runs approve abababab", "1 ask"]);
    let tried = owner.json(&["policy", "test", &owner.file("p.toml", PLAN), "--config", &path], 0);
    let sheet = owner.json(&[&["runs", "leaves", "ABAB"][..], &config].concat(), 0);
    assert_eq!(sheet["data"]["bytes"], tried["data"]["leaves"]["bytes"]);

    holds(&run(&["runs", "show", "dddd"], 2), &["RUN_NOT_FOUND", "runs list"]);
    holds(&run(&["runs", "show", "ab"], 2), &["RUN_NOT_FOUND"]);
    offered(Path::new(&state), 0xad, PLAN, Standing::Asks);
    holds(&run(&["runs", "show", "patients"], 2), &["RUN_AMBIGUOUS", "abababab", "adadadad"]);

    holds(&run(&["runs", "approve", "abab"], 0), &["approved: run abababab", "next round"]);
    holds(&run(&["runs", "list"], 0), &["abababab  approved"]);
    holds(&run(&["runs", "show", "abab"], 0), &["you      approved just now", "18 rules pass"]);
    let deny = ["runs", "deny", "abab", "--reason", "not for insurers"];
    holds(&run(&deny, 0), &["denied: run abababab"]);
    holds(&run(&["runs", "list"], 0), &["abababab  denied"]);
    let shown = run(&["runs", "show", "abab"], 0);
    holds(&shown, &["denied just now: not for insurers", "fail   Y002", "now      refused"]);
    // A yes takes a no back.
    run(&["runs", "approve", "abab"], 0);
    holds(&run(&["runs", "show", "abab"], 0), &["now      allowed"]);

    // An approval allows a purpose, and nothing else.
    write("[limits]\nmax_rounds = 29\n[allow]\npurposes = []");
    let approve = [&["runs", "approve", "adad"][..], &config].concat();
    let refused = owner.json(&approve, 5);
    assert_eq!(refused["error"]["details"][0]["code"], "Y004", "{refused}");
    holds(&run(&["runs", "list"], 0), &["adadadad  asks"]);
    write("unknown = \"deny\"\n[allow]\npurposes = []");
    holds(&run(&["runs", "approve", "adad"], 5), &["error[POLICY]", "Y001", "nothing is approved"]);
}
