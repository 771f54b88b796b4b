//! The commands about data: what an owner looks at before anything runs. Nothing leaves the
//! machine; every failure has one message with the file, the place and what to do.

mod common;

use std::fs;
use std::path::Path;

use common::{Folder, holds};

const DATA: &str = r#"[data]
kind = "tabular"
holdout = 0.25
min_rows = 5
columns = [
  { name = "age", type = "float", min = 0, max = 120, missing = "indicator" },
  { name = "sex", type = "category", values = ["f", "m"] },
]
target = { column = "ill", classes = ["no", "yes"] }
"#;

/// A plan with this data section.
fn plan(data: &str) -> String {
    format!(
        r#"schema = "plan/1"
name = "patients"
purpose = "Try the commands about data"
seed = 7
{data}[model]
layers = [{{ kind = "linear", out = 2 }}]
[training]
rounds = 3
batch_size = 8
optimizer = {{ name = "sgd", lr = 0.1, momentum = 0.0 }}
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
"#
    )
}

/// Writes a table of so many patients. Returns its path.
fn rows(owner: &Folder, rows: usize) -> String {
    let lines: Vec<String> = (0..rows)
        .map(|row| {
            let age = if row % 7 == 3 { String::new() } else { (20 + row % 60).to_string() };
            format!("{age},{},{}\n", ["f", "m"][row % 2], ["no", "yes"][row % 3 % 2])
        })
        .collect();
    owner.file("patients.csv", &format!("age,sex,ill\n{}", lines.concat()))
}

#[test]
fn data_get_a_name_that_the_other_commands_and_the_configuration_take() {
    let owner = Folder::new();
    let file = rows(&owner, 40);
    let plan = owner.file("plan.toml", &plan(DATA));
    holds(&owner.text(&["data", "list"], 0), &["data add NAME PATH"]);
    let added = owner.text(&["data", "add", "patients", "patients.csv"], 0);
    holds(
        &added,
        &["csv", &file, "name = \"patients\"", "next:  covey-client data check patients"],
    );
    // Again the same: nothing changes. The same name for other data: refused.
    owner.text(&["data", "add", "patients", &file], 0);
    owner.file("others.csv", "age,sex,ill\n");
    let taken = owner.text(&["data", "add", "patients", "others.csv"], 2);
    holds(&taken, &["error[NAME_TAKEN]", "data remove patients"]);
    let listed = owner.json(&["data", "list"], 0);
    assert_eq!(listed["data"]["datasets"]["patients"]["format"], "csv", "{listed}");

    holds(&owner.text(&["data", "check", "patients", "--plan", &plan], 0), &["40 examples"]);
    holds(&owner.text(&["data", "preview", "patients"], 0), &["40 examples"]);

    holds(&owner.text(&["data", "remove", "patients"], 0), &["forgotten", "the data stay"]);
    let gone = owner.json(&["data", "remove", "patients"], 2);
    assert_eq!(gone["error"]["code"], "NO_DATA", "{gone}");
    let gone = owner.text(&["data", "check", "patients", "--plan", &plan], 2);
    holds(&gone, &["error[NO_DATA]", "no data named patients", "data list", "--dir"]);
    assert!(Path::new(&file).exists());
}

#[test]
fn a_configuration_may_name_its_data() {
    let owner = Folder::new();
    rows(&owner, 10);
    let init = ["init", "--name", "ada", "--dir", "ada", "--coordinator", "127.0.0.1:9"];
    owner.text(&init, 0);
    let text = fs::read_to_string(owner.path("ada/client.toml")).expect("read");
    let start = text.find("format =").expect("a format");
    let named = format!("{}name = \"patients\"\n", &text[..start]);
    let config = owner.file("ada/client.toml", &named);
    let missing = owner.text(&["status", "--config", &config], 2);
    holds(&missing, &["error[BAD_CONFIG]", "data.name = \"patients\"", "covey-client data add"]);
    owner.text(&["data", "add", "patients", "patients.csv", "--dir", "ada"], 0);
    // Now the next thing is missing: what the operator sends.
    holds(&owner.text(&["status", "--config", &config], 4), &["roster.json"]);
    let both = named.replace("name = \"patients\"", "name = \"patients\"\nformat = \"csv\"");
    let both = owner.file("ada/client.toml", &both);
    holds(&owner.text(&["status", "--config", &both], 2), &["client.toml:12:1", "stands alone"]);
}

#[test]
fn a_preview_shows_what_is_there_and_a_section_that_fits() {
    let owner = Folder::new();
    rows(&owner, 70);
    let text = owner.text(&["data", "preview", "patients.csv"], 0);
    holds(
        &text,
        &[
            "csv: 70 examples (shown here only)",
            "integer        10 missing   from 20 to 78",
            "\"f\", \"m\"",
            "first rows\n  20 | f | no",
            "[data]\nkind = \"tabular\"",
            "target = { column = \"ill\", classes = [\"no\", \"yes\"] }",
            "{ name = \"age\", type = \"integer\", min = 20, max = 80, missing = \"indicator\" }",
        ],
    );
    let answer = owner.json(&["data", "preview", "patients.csv"], 0);
    assert_eq!(answer["data"]["columns"][0]["missing"], 10, "{answer}");
    let section = answer["data"]["section"].as_str().expect("a section");
    let plan = owner.file("plan.toml", &plan(section));
    holds(&owner.text(&["data", "check", "patients.csv", "--plan", &plan], 0), &["70 examples"]);
}

#[test]
fn a_check_counts_the_holdout_and_keeps_to_the_owners_memory() {
    let owner = Folder::new();
    rows(&owner, 200);
    let plan = owner.file("plan.toml", &plan(DATA));
    let check = ["data", "check", "patients.csv", "--plan", &plan];
    let answer = owner.json(&check, 0);
    let held_out = answer["data"]["held_out"].as_u64().expect("a number");
    assert!((30..70).contains(&held_out), "{answer}");
    assert_eq!(answer["data"]["examples"], 200, "{answer}");
    assert_eq!(answer["data"]["features"], 4, "{answer}");
    assert_eq!(answer, owner.json(&check, 0));
    let little = [&check[..], &["--dataset-bytes-max", "3999"]].concat();
    let refused = owner.json(&little, 2);
    let detail = &refused["error"]["details"][0];
    assert_eq!((&refused["error"]["code"], &detail["kind"]), (&"DATA".into(), &"too_large".into()));
    holds(
        detail["help"].as_str().expect("text"),
        &["limits.dataset_bytes_max in policy.toml, or --dataset-bytes-max"],
    );
    rows(&owner, 5);
    holds(&owner.text(&check, 2), &["the plan asks for 5 to train on"]);
}

#[test]
fn what_is_wrong_with_data_is_said_with_file_place_and_remedy() {
    let owner = Folder::new();
    let plan = owner.file("plan.toml", &plan(DATA));
    let good = "age,sex,ill\n50,f,no\n";
    owner.file("bad.csv", &format!("{good}50,x,no\n"));
    let answer = owner.json(&["data", "check", "bad.csv", "--plan", &plan], 2);
    let detail = &answer["error"]["details"][0];
    assert_eq!(detail["place"], "line 3, column \"sex\"", "{answer}");
    assert_eq!((&detail["kind"], &detail["file"]), (&"value".into(), &"bad.csv".into()));
    for (arguments, parts) in [
        (vec!["data", "check", "none.csv", "--plan", &plan], ["none.csv", "no such file"]),
        (vec!["data", "preview", "none/none.csv"], ["none/none.csv", "check the path"]),
        (vec!["data", "preview", "bad.csv", "--format", "xls"], ["xls", "csv, parquet"]),
        (vec!["data", "preview", "bad.csv", "--format", "parquet"], ["bad.csv", "no Parquet file"]),
        (vec!["data", "add", "x", "bad.csv", "--labels", "bad.csv"], ["bad.csv", "--labels"]),
        (vec!["data", "add", "No Name", "bad.csv"], ["No Name", "lower-case"]),
        (vec!["data", "add", "x", "nowhere.csv"], ["nowhere.csv", "check the path"]),
        (vec!["data", "chek"], ["chek", "check"]),
    ] {
        holds(&owner.text(&arguments, 2), &parts);
    }
    owner.file("datasets.toml", "schema = \"datasets/1\"\n[datasets.x]\nformat = \"xls\"\n");
    holds(&owner.text(&["data", "list"], 2), &["datasets.toml:", "unknown variant `xls`"]);
}

#[test]
fn mock_data_fit_the_plan_and_overwrite_nothing() {
    let owner = Folder::new();
    let plan = owner.file("plan.toml", &plan(DATA));
    let mock = ["data", "mock", "--plan", &plan, "--rows", "100", "--seed", "5", "-o", "mock.csv"];
    let answer = owner.json(&mock, 0);
    assert_eq!((&answer["data"]["rows"], &answer["data"]["seed"]), (&100.into(), &5.into()));
    let text = fs::read_to_string(owner.path("mock.csv")).expect("read");
    assert_eq!(text.lines().count(), 101);
    holds(&text, &["age,sex,ill\n", "\n,", ",f,", ",yes\n"]);
    holds(&owner.text(&["data", "check", "mock.csv", "--plan", &plan], 0), &["100 examples"]);
    holds(&owner.text(&mock, 2), &["error[EXISTS]", "mock.csv"]);
    let few = ["data", "mock", "--plan", &plan, "--rows", "4", "-o", "few.csv"];
    holds(&owner.text(&few, 2), &["error[TOO_FEW_ROWS]", "--rows"]);
    let broken = owner.file("broken.toml", "schema = ");
    let bad = ["data", "mock", "--plan", &broken, "-o", "x.csv"];
    holds(&owner.text(&bad, 2), &["broken.toml:1:", "P001"]);
    assert!(
        !Path::new(&owner.path("few.csv")).exists() && !Path::new(&owner.path("x.csv")).exists()
    );
}
