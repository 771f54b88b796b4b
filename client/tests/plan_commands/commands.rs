use std::fs;
use std::path::Path;

use covey_client::plan::{compare, explain};

use super::json_schema::plans;
use super::{PLAN, with};
use crate::common::{Folder, holds};

const TEMPLATES: [&str; 4] = ["tabular", "image", "image-mlp", "text"];

#[test]
fn every_template_is_a_plan_that_passes_its_check() {
    let folder = Folder::new();
    for template in TEMPLATES {
        let name = format!("my-{template}");
        let file = format!("{name}.toml");
        let text = folder.text(&["plan", "new", &name, "--template", template], 0);
        holds(&text, &[&file, &format!("next:  covey-client plan check {file}")]);
        let answer = folder.json(&["plan", "check", &file], 0);
        assert_eq!(answer["data"]["name"], name.as_str());
        let text = fs::read_to_string(folder.path(&file)).expect("read");
        assert!(text.lines().filter(|line| line.starts_with('#')).count() > 20, "{text}");
        let taken = folder.json(&["plan", "new", &name, "--template", template], 2);
        assert_eq!(taken["error"]["code"], "EXISTS");
        assert_eq!(text, fs::read_to_string(folder.path(&file)).expect("read"));
    }
}

#[test]
fn a_template_makes_data_that_fit_it() {
    let folder = Folder::new();
    for template in TEMPLATES {
        let plan = format!("{template}.toml");
        let data = format!("{template}.data");
        folder.text(&["plan", "new", template, "--template", template], 0);
        folder.text(&["data", "mock", "--plan", &plan, "--rows", "200", "-o", &data], 0);
        let format = if template == "text" { "text" } else { "csv" };
        let check = ["data", "check", &data, "--plan", &plan, "--format", format];
        let answer = folder.json(&check, 0);
        assert!(
            answer["data"]["held_out"].as_u64().is_some_and(|held_out| held_out > 0),
            "{answer}"
        );
    }
}

#[test]
fn a_new_plan_says_what_is_wrong_with_its_arguments() {
    let folder = Folder::new();
    let unknown = folder.text(&["plan", "new", "x", "--template", "vision"], 2);
    holds(&unknown, &["vision", "tabular", "image"]);
    holds(&folder.text(&["plan", "new", "No Name", "--template", "image"], 2), &["No Name"]);
    let nowhere = ["plan", "new", "x", "--template", "image", "-o", "none/x.toml"];
    holds(&folder.text(&nowhere, 1), &["error[FILE]", "none/x.toml"]);
    let answer = folder.json(&["plan", "new", "x", "--template", "image", "-o", "y.toml"], 0);
    assert_eq!(
        (&answer["data"]["file"], &answer["data"]["template"]),
        (&"y.toml".into(), &"image".into())
    );
}

#[test]
fn a_plan_is_explained_in_plain_words() {
    let folder = Folder::new();
    let plan = folder.file("plan.toml", PLAN);
    let text = folder.text(&["plan", "explain", &plan], 0);
    holds(
        &text,
        &[
            "patients: Try the commands about plans",
            "a model of 58 parameters: linear (out 8), relu, linear (out 2)",
            "in each of 3 rounds an owner makes 1 pass(es) over its data, 8 examples a step, by sgd",
            "the columns age, sex and ill, no others",
            "25 % of the examples are kept out of training",
            "what leaves it, every round",
            "the update (58 numbers)",
            "as 500 where it has more",
            "a round takes at most 4 min 30 s",
            "the run takes at most 13 min 30 s",
            "only the sum of 3 to 10 updates is opened",
            "audit off",
            "training.server_lr = 1.0 (default)",
            "cohort.deadlines.vote = \"60s\" (default)",
        ],
    );
    let answer = folder.json(&["plan", "explain", &plan], 0);
    let data = &answer["data"];
    assert_eq!((&data["parameters"], &data["round_ms_max"]), (&58.into(), &270_000.into()));
    let sent = data["bytes_payload"].as_u64().zip(data["bytes_fixed"].as_u64());
    let (payload, fixed) = sent.expect("numbers");
    assert_eq!(data["bytes_sent_max"], 3 * (payload + fixed));
    assert_eq!(data["bytes_model"], 4 * 58);
    let fields = data["fields"].as_array().expect("a list");
    let lr = fields.iter().find(|one| one["field"] == "training.optimizer.lr").expect("a field");
    assert_eq!((&lr["value"], &lr["is_default"]), (&"0.1".into(), &false.into()));

    let audited = PLAN.replace("profile = \"A\"", "profile = \"B\"");
    let audited = folder.file("audited.toml", &audited.replace("\"off\"", "\"closed\""));
    let text = folder.text(&["plan", "explain", &audited], 0);
    holds(
        &text,
        &[
            "of proof, for the audit: random numbers to whoever reads them",
            "a round takes at most 10 min 30 s",
            "6 min to audit it, 1 min to open the sum",
            "audit on: every update is checked to be no longer than the plan allows",
        ],
    );
    holds(&folder.text(&["plan", "check", &audited], 0), &["audit          a proof of"]);

    let uniform = folder.file("uniform.toml", &with("{ capped_examples = 500 }", "\"uniform\""));
    let text = folder.text(&["plan", "explain", &uniform], 0);
    holds(&text, &["the number of examples is not sent"]);
}

/// The plan with an audit, and with credit.
fn credited(weighting: &str) -> String {
    PLAN.replace("profile = \"A\"", "profile = \"B\"")
        .replace("\"off\"", "\"closed\"")
        .replace("minimum = 3", "minimum = 5")
        .replace("{ capped_examples = 500 }", weighting)
        + "[credit]\nbudget = 1000\nfold = 40\n"
}

#[test]
fn what_is_published_about_each_owner_is_told() {
    let folder = Folder::new();
    let plan = folder.file("plan.toml", &credited("\"uniform\""));
    let text = folder.text(&["plan", "explain", &plan], 0);
    holds(
        &text,
        &[
            "published for its credit, with its name, to everybody who reads the published rounds: \
             pass or fail, and three numbers a round (s, novelty and harm)",
            "40 examples of a public validation pool",
            "within its bounds and the three numbers of its credit, and nothing else",
            "the number of examples is not sent",
            "pass or fail and three numbers about each owner are published in every round",
            "credit.budget = 1000\n",
            "credit.fold = 40\n",
            "credit.steps = 20 (default)",
        ],
    );
    assert!(!text.contains("no credit"), "{text}");
    let text = folder.text(&["plan", "check", &plan], 0);
    holds(&text, &["published      of each owner and round pass or fail, and 3 numbers"]);

    let counted = folder.file("counted.toml", &credited("{ capped_examples = 500 }"));
    let text = folder.text(&["plan", "explain", &counted], 0);
    holds(
        &text,
        &[
            "as 500 where it has more; the number travels inside the encryption, and as \
             updates are audited it is published as well, to divide the sum by",
            "three numbers about each owner and the number of its examples, up to the cap",
        ],
    );
    let answer = folder.json(&["plan", "check", &counted], 0);
    assert_eq!(answer["data"]["released_numbers"], 4);
    let text = folder.text(&["plan", "diff", &plan, &counted], 0);
    holds(&text, &["= numbers published about each owner a round: 3 -> 4"]);

    let bare = credited("\"uniform\"").replace("[credit]\nbudget = 1000\nfold = 40\n", "");
    let bare = folder.file("bare.toml", &bare);
    let text = folder.text(&["plan", "diff", &bare, &plan], 0);
    holds(
        &text,
        &["changes what leaves an owner's machine", "+ credit: { budget = 1000, fold = 40 }"],
    );
    holds(&text, &["= numbers published about each owner a round: 0 -> 3"]);
    let more = credited("\"uniform\"").replace("1000", "2000");
    let more = folder.file("more.toml", &more);
    let text = folder.text(&["plan", "diff", &plan, &more], 0);
    holds(&text, &["does not change what leaves:\n  ~ credit.budget: 1000 -> 2000"]);
    let text = folder.text(&["plan", "explain", &bare], 0);
    holds(&text, &["only pass or fail comes out, nobody sees an update, and no credit is given"]);
}

#[test]
fn what_evidence_does_to_later_updates_is_told() {
    let folder = Folder::new();
    let plain = credited("\"uniform\"");
    let weighed = format!("{plain}training = \"evidence\"\n");
    let (plain, weighed) =
        (folder.file("plan.toml", &plain), folder.file("weighed.toml", &weighed));
    let text = folder.text(&["plan", "explain", &weighed], 0);
    holds(
        &text,
        &[
            "from its third round of evidence on, its update counts 2 to 4 times in the sum",
            "updates that count for nothing are none of these, and where too few would count, all \
             count once",
            "credit.training = \"evidence\"\n",
        ],
    );
    let text = folder.text(&["plan", "explain", &plain], 0);
    holds(&text, &["credit.training = \"off\" (default)"]);
    assert!(!text.contains("times in the sum") && !text.contains("count once:"), "{text}");
    folder.text(&["plan", "check", &weighed], 0);
    let text = folder.text(&["plan", "diff", &plain, &weighed], 0);
    holds(
        &text,
        &[
            "changes what leaves an owner's machine, or how it is protected:",
            "credit.training: \"off\" (default) -> \"evidence\"",
        ],
    );
}

/// The names of all fields that a plan writes, as far as its lists.
fn written(table: &toml::Table, path: &str, names: &mut Vec<String>) {
    for (name, value) in table {
        let name = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            toml::Value::Table(inner) => written(inner, &name, names),
            _ => names.push(name),
        }
    }
}

#[test]
fn every_plan_of_the_repository_is_explained_with_every_field() {
    let folder = Folder::new();
    let plans = plans();
    assert!(plans.len() >= 8, "{} plans", plans.len());
    for (name, text) in plans {
        let file = folder.file("plan.toml", &text);
        let explained = match explain(Path::new(&file)) {
            Ok(explained) => explained,
            // A model of one's own, which this program does not have.
            Err(failure) => {
                holds(&text, &["family = "]);
                holds(&failure.to_string(), &["error[P051]", "has no such family"]);
                continue;
            }
        };
        let table: toml::Table = toml::from_str(&text).expect("TOML");
        let mut names = Vec::new();
        written(&table, "", &mut names);
        for field in names {
            let is_it = |known: &str| known == field || known.starts_with(&format!("{field}["));
            let line = explained.fields.iter().find(|line| is_it(&line.field));
            let line = line.unwrap_or_else(|| panic!("{name}: {field}"));
            assert!(!line.is_default && !line.about.is_empty(), "{name}: {field}");
        }
        let shown = explained.to_string();
        assert!(explained.parts.iter().all(|part| shown.contains(part.title)), "{shown}");
        let comparison = compare(Path::new(&file), Path::new(&file)).expect("the same plan");
        assert!(comparison.is_same_file && comparison.changes.is_empty(), "{comparison:?}");
    }
}

/// The changes between the plan and another, as `(field, before, after, leaves)`.
fn changes(folder: &Folder, other: &str) -> Vec<(String, String, String, bool)> {
    let (before, after) = (folder.file("a.toml", PLAN), folder.file("b.toml", other));
    let answer = folder.json(&["plan", "diff", &before, &after], 0);
    let changes = answer["data"]["changes"].as_array().expect("a list");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    changes
        .iter()
        .map(|one| {
            let leaves = one["leaves"].as_bool().expect("true or false");
            (text(&one["field"]), text(&one["before"]), text(&one["after"]), leaves)
        })
        .collect()
}

#[test]
fn plans_are_compared_field_by_field() {
    let folder = Folder::new();
    for (from, to, expected) in [
        ("lr = 0.1", "lr = 0.2", ("training.optimizer.lr", "0.1", "0.2", false)),
        ("rounds = 3", "rounds = 4", ("training.rounds", "3", "4", true)),
        ("bits = 12", "bits = 10", ("secure_aggregation.bits", "12", "10", true)),
        ("minimum = 3", "minimum = 5", ("cohort.minimum", "3", "5", true)),
        ("seed = 7", "seed = 8", ("seed", "7", "8", false)),
        ("max = 120", "max = 130", ("data.columns[age].max", "120", "130", false)),
        ("\"relu\"", "\"gelu\"", ("model.layers[1]", "relu", "gelu", false)),
        ("  { kind = \"relu\" },\n", "", ("model.layers[1]", "relu", "-", false)),
        (
            "{ capped_examples = 500 }",
            "\"uniform\"",
            ("training.weighting", "capped_examples 500", "\"uniform\"", true),
        ),
        (
            "batch_size = 8",
            "batch_size = 8\nlocal_epochs = 2",
            ("training.local_epochs", "1 (default)", "2", false),
        ),
        ("\"90s\"", "\"2m\"", ("cohort.deadlines.collect", "\"90s\"", "\"2m\"", false)),
        (
            "[\"accuracy\", \"loss\"]",
            "[\"accuracy\"]",
            ("evaluation.metrics", "[\"accuracy\", \"loss\"]", "[\"accuracy\"]", true),
        ),
        (
            "value = 0.9 }",
            "value = 0.9 }\nstep_norm_max = 9",
            ("stop.step_norm_max", "-", "9", false),
        ),
    ] {
        let (field, before, after, leaves) = expected;
        let expected = (field.to_owned(), before.to_owned(), after.to_owned(), leaves);
        assert_eq!(changes(&folder, &with(from, to)), [expected], "{to}");
    }
}

#[test]
fn a_change_of_what_travels_is_told_as_such() {
    let folder = Folder::new();
    let wider = PLAN.replace("{ kind = \"linear\", out = 8 }", "{ kind = \"linear\", out = 9 }");
    assert_eq!(
        changes(&folder, &wider),
        [("model.layers[0].out".into(), "8".into(), "9".into(), true)]
    );
    let text = folder.text(&["plan", "diff", "a.toml", "b.toml"], 0);
    holds(&text, &["changes what leaves an owner's machine", "~ model.layers[0].out: 8 -> 9"]);
    holds(&text, &["= parameters of the model: 58 -> 65"]);
    let column = ", \"m\"] },\n  { name = \"bmi\", type = \"float\", min = 0, max = 99 },";
    let more = changes(&folder, &with(", \"m\"] },", column));
    assert_eq!(more.len(), 1, "{more:?}");
    assert_eq!((more[0].0.as_str(), more[0].3), ("data.columns[bmi]", true));
    let kind =
        PLAN.replace("\"category\", values = [\"f\", \"m\"]", "\"integer\", min = 0, max = 1");
    let fields: Vec<_> = changes(&folder, &kind).into_iter().map(|change| change.0).collect();
    let named = ["type", "values", "min", "max"];
    for name in named {
        assert!(fields.contains(&format!("data.columns[sex].{name}")), "{fields:?}");
    }
}

#[test]
fn what_a_plan_holds_does_not_write_to_the_terminal() {
    let folder = Folder::new();
    folder.text(&["plan", "new", "text", "--template", "text"], 0);
    let text = fs::read_to_string(folder.path("text.toml")).expect("read");
    let from = "vocabulary = \"\\n ";
    assert_eq!(text.matches(from).count(), 1);
    let text = text.replace(from, "vocabulary = \"\\u001b\\u009b");
    let (before, after) = (folder.file("a.toml", &text), folder.path("text.toml"));
    for arguments in [vec!["plan", "explain", &before], vec!["plan", "diff", &before, &after]] {
        let shown = folder.text(&arguments, 0);
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    }
}

#[test]
fn what_is_written_as_its_default_is_no_change() {
    let folder = Folder::new();
    let spelled = with("batch_size = 8", "batch_size = 8\nlocal_epochs = 1\nserver_lr = 1")
        .replace("{ collect = \"90s\" }", "{ collect = \"90000ms\", vote = \"1m\" }")
        .replace("seed = 7", "# A comment.\nseed = 7");
    assert_eq!(changes(&folder, &spelled), []);
    holds(&folder.text(&["plan", "diff", "a.toml", "b.toml"], 0), &["ask for the same"]);
    let same = folder.text(&["plan", "diff", "a.toml", "a.toml"], 0);
    holds(&same, &["are the same plan"]);
    let swapped = PLAN.replace(
        "  { kind = \"linear\", out = 8 },\n  { kind = \"relu\" },\n",
        "  { kind = \"relu\" },\n  { kind = \"linear\", out = 8 },\n",
    );
    assert_eq!(changes(&folder, &swapped).len(), 2);
}

/// The plan of images with noise, for ten owners and more.
fn private(folder: &Folder) {
    folder.text(&["plan", "new", "hidden", "--template", "image-mlp"], 0);
    let path = folder.path("hidden.toml");
    let text = fs::read_to_string(&path).expect("read");
    let mut plan: toml::Table = text.parse().expect("TOML");
    plan.remove("evaluation");
    plan.remove("stop");
    plan.remove("credit");
    let mut set = |section: &str, values: &str| {
        let values: toml::Table = values.parse().expect("TOML");
        let section = plan.entry(section).or_insert_with(|| toml::Table::new().into());
        section.as_table_mut().expect("a table").extend(values);
    };
    set("training", "rounds = 4\nweighting = \"uniform\"");
    set("cohort", "minimum = 10\nmaximum = 1000");
    set("secure_aggregation", "bits = 16\nrange = 64.0\nclip_norm = 1.0\nprofile = \"B\"");
    set("privacy", "unit = \"owner\"\nnoise_multiplier = 2.0\ndelta = 1e-6\nepsilon_max = 9.0");
    fs::write(path, plan.to_string()).expect("written");
}

#[test]
fn a_plan_with_noise_tells_what_it_costs_and_what_that_covers() {
    let folder = Folder::new();
    private(&folder);
    let answer = folder.json(&["plan", "check", "hidden.toml"], 0);
    let privacy = &answer["data"]["privacy"];
    let epsilon = privacy["epsilon"].as_f64().expect("a number");
    assert!((5.0..6.0).contains(&epsilon), "{privacy}");
    assert!(privacy["epsilon_round"].as_f64().is_some_and(|one| (2.3..2.7).contains(&one)));
    assert_eq!(privacy["unit"], "owner");
    let told = format!("{epsilon:.2}");
    for command in [["plan", "explain"], ["privacy", "explain"]] {
        let text = folder.text(&[command[0], command[1], "hidden.toml"], 0);
        holds(&text, &["of a whole owner", &told, "not covered", "reasons it declines"]);
    }
    holds(&folder.text(&["privacy", "explain"], 0), &["e^epsilon", "delta"]);
    // More rounds than the plan itself allows.
    let text = fs::read_to_string(folder.path("hidden.toml")).expect("read");
    let text = text.replace("rounds = 4", "rounds = 400");
    fs::write(folder.path("long.toml"), text).expect("written");
    let refused = folder.text(&["plan", "check", "long.toml"], 2);
    holds(&refused, &["P073", "over privacy.epsilon_max = 9", "noise_multiplier = "]);
}

#[test]
fn a_plan_with_noise_is_laid_beside_more_and_less_of_it() {
    let folder = Folder::new();
    private(&folder);
    folder.text(&["data", "mock", "--plan", "hidden.toml", "--rows", "800", "-o", "all.csv"], 0);
    folder.text(&["data", "mock", "--plan", "hidden.toml", "--rows", "100", "-o", "new.csv"], 0);
    let files = ["--data", "all.csv", "--test-data", "new.csv", "--clients", "12"];
    let explain = ["plan", "explain", "hidden.toml", "--privacy"];
    let answer = folder.json(&[&explain[..], &files[..]].concat(), 0);
    let noise = answer["data"]["noise"].as_array().expect("a list").clone();
    assert_eq!(noise.len(), 6);
    let epsilons: Vec<_> = noise.iter().filter_map(|one| one["epsilon"].as_f64()).collect();
    assert!(epsilons.len() >= 3 && epsilons.is_sorted_by(|less, more| less > more), "{answer}");
    for one in &noise {
        let has_room = one["why"].is_null();
        assert_eq!(one["accuracy"].is_f64(), has_room, "{one}");
    }
    let rounds = answer["data"]["rounds"].as_array().expect("a list");
    assert_eq!(
        rounds.iter().map(|one| one["rounds"].as_u64()).collect::<Vec<_>>(),
        [1, 2, 4, 8].map(Some)
    );
    assert_eq!(answer["data"]["is_mock"], false);
    // Without data it makes some up, from which a plan learns that trains for longer, and more with
    // less noise.
    let text = fs::read_to_string(folder.path("hidden.toml")).expect("read");
    let longer = [
        ("local_epochs = 2", "local_epochs = 20"),
        ("clip_norm = 1.0", "clip_norm = 8.0"),
        ("range = 64.0", "range = 512.0"),
    ];
    let text = longer.iter().fold(text, |text, (from, to)| text.replace(from, to));
    fs::write(folder.path("longer.toml"), text).expect("written");
    let answer = folder.json(&["plan", "explain", "longer.toml", "--privacy"], 0);
    assert_eq!(answer["data"]["is_mock"], true);
    let noise = answer["data"]["noise"].as_array().expect("a list");
    let accuracies: Vec<_> = noise.iter().filter_map(|one| one["accuracy"].as_f64()).collect();
    let [most, .., none] = accuracies[..] else { panic!("{answer}") };
    assert!(none > 0.3, "of ten classes: {answer}");
    assert!(none > most, "{answer}");
    holds(&folder.text(&explain, 0), &["no bound", "MADE-UP data", "give --data"]);
    // Nothing to lay beside anything.
    folder.text(&["plan", "new", "plain", "--template", "image-mlp"], 0);
    let refused = folder.text(&["plan", "explain", "plain.toml", "--privacy"], 2);
    holds(&refused, &["NO_PRIVACY", "add [privacy]"]);
}
