//! Plans that are refused: each with its own code, line, message and remedy.

use std::collections::BTreeMap;
use std::path::Path;

use covey_client::check;

use super::{PLAN, with};
use crate::common::{Folder, holds};

/// A bad plan: what is replaced and by what, the code and line of its error, what the message
/// says, and whether the JSON Schema can tell as well.
pub(crate) struct Bad {
    from: &'static str,
    to: &'static str,
    code: &'static str,
    line: u32,
    part: &'static str,
    pub(crate) is_told_by_schema: bool,
}

impl Bad {
    pub(crate) fn plan(&self) -> String {
        with(self.from, self.to)
    }
}

/// One that the JSON Schema tells, too.
const fn form(
    from: &'static str,
    to: &'static str,
    code: &'static str,
    line: u32,
    part: &'static str,
) -> Bad {
    Bad { from, to, code, line, part, is_told_by_schema: true }
}

/// One that only the programs tell.
const fn sense(
    from: &'static str,
    to: &'static str,
    code: &'static str,
    line: u32,
    part: &'static str,
) -> Bad {
    Bad { from, to, code, line, part, is_told_by_schema: false }
}

pub(crate) const BAD: &[Bad] = &[
    sense("seed = 7", "seed = ", "P001", 4, "value"),
    sense("[cohort]", "[cohort", "P001", 30, "unclosed table"),
    sense("seed = 7", "seed = 7\nseed = 8", "P001", 5, "duplicate key"),
    form("seed = 7", "sead = 7", "P003", 1, "seed is missing"),
    form("seed = 7", "seed = 7\nlearning = 1", "P002", 5, "unknown field `learning`"),
    form("batch_size", "batch_sizes", "P002", 21, "unknown field `batch_sizes` in training"),
    form("batch_size = 8\n", "", "P003", 19, "training.batch_size is missing"),
    form(
        "[cohort]\nminimum = 3\nmaximum = 10\ndeadlines = { collect = \"90s\" }\n",
        "",
        "P003",
        1,
        "cohort is missing",
    ),
    form("rounds = 3", "rounds = \"three\"", "P004", 20, "is text, expected a whole number"),
    form("rounds = 3", "rounds = 2.5", "P004", 20, "is a number, expected a whole number"),
    form("holdout = 0.25", "holdout = true", "P004", 7, "is true or false, expected a number"),
    form("layers = [", "layers = { a = 1 }\nx = [", "P004", 14, "is a table, expected a list"),
    form("{ collect = \"90s\" }", "\"90s\"", "P004", 33, "expected a table of fields"),
    form("rounds = 3", "rounds = 0", "P005", 20, "rounds = 0 is out of range"),
    form("batch_size = 8", "batch_size = 100000", "P005", 21, "batch_size = 100000"),
    form("seed = 7", "seed = -1", "P005", 4, "seed = -1 is out of range"),
    form("holdout = 0.25", "holdout = 1.0", "P005", 7, "must be at least 0 and below 1"),
    form("lr = 0.1", "lr = 0", "P005", 22, "lr = 0 must be above 0"),
    form("lr = 0.1", "lr = inf", "P005", 22, "is no finite number"),
    form("momentum = 0.5", "momentum = 1", "P005", 22, "optimizer.momentum = 1 must be"),
    sense("min = 0", "min = 120", "P005", 9, "min = 120 is not below max = 120"),
    form("\"90s\"", "\"90\"", "P005", 33, "\"90\" is no usable duration"),
    sense("\"90s\"", "\"999h\"", "P005", 33, "\"999h\" is no usable duration"),
    form("[\"no\", \"yes\"]", "[\"no\"]", "P005", 12, "lists 1 classes"),
    form("[\"accuracy\", \"loss\"]", "[]", "P005", 27, "names no metric"),
    form("kind = \"tabular\"", "kind = \"table\"", "P006", 6, "data.kind = \"table\" is not known"),
    form("\"relu\"", "\"reul\"", "P006", 16, "layers[1].kind = \"reul\" is not known"),
    form("\"sgd\"", "\"lion\"", "P006", 22, "optimizer.name = \"lion\""),
    form("\"float\"", "\"text\"", "P006", 9, "columns[0].type = \"text\""),
    form("\"indicator\"", "\"median\"", "P006", 9, "missing = \"median\""),
    form("name = \"fedavg\"", "name = \"fedsgd\"", "P006", 25, "strategy.name = \"fedsgd\""),
    form("[\"accuracy\", \"loss\"]", "[\"accuracy\", \"bleu\"]", "P006", 27, "\"bleu\""),
    form("profile = \"A\"", "profile = \"C\"", "P006", 35, "profile = \"C\""),
    form("\"plan/1\"", "\"plan/2\"", "P007", 1, "schema \"plan/2\" is not one"),
    sense("\"sex\"", "\"age\"", "P009", 10, "column \"age\" is listed twice"),
    sense("\"ill\"", "\"age\"", "P009", 12, "both an input and the target"),
    sense("[\"f\", \"m\"]", "[\"f\", \"f\"]", "P009", 10, "names \"f\" twice"),
    sense("[\"no\", \"yes\"]", "[\"no\", \"no\"]", "P009", 12, "names \"no\" twice"),
    form("\"patients\"", "\"My Patients\"", "P010", 2, "\"My Patients\" is no name"),
    form("Try the commands about plans", "", "P010", 3, "purpose must have"),
    form("\"age\"", "\"\"", "P010", 9, "columns[0].name = \"\" is no usable name"),
    sense("bits = 12", "bits = 2", "P013", 23, "a cap of 500 examples does not fit"),
    sense("\"indicator\"", "\"mean\"", "P015", 9, "the column gives no mean"),
    sense("\"indicator\"", "{ value = 130 }", "P015", 9, "130 is not in 0..=120"),
    form("max = 120", "max = 120, std = 4", "P016", 9, "std without mean"),
    form("minimum = 3", "minimum = 2", "P020", 31, "lets one owner learn another's update"),
    sense("minimum = 3", "minimum = 11", "P021", 31, "minimum = 11 is above the maximum"),
    form("\"off\"", "\"norm\"", "P030", 39, "audit = \"norm\" does not exist"),
    sense("\"off\"", "\"closed\"", "P030", 39, "an audit needs profile B"),
    sense(
        "profile = \"A\"\nbits = 12\nrange = 0.5\nclip_norm = 5.0\naudit = \"off\"",
        "profile = \"B\"\nbits = 12\nrange = 0.5\nclip_norm = 1e9\naudit = \"closed\"",
        "P030",
        36,
        "rounds cannot be audited: the clip norm is",
    ),
    sense(
        "maximum = 10\ndeadlines = { collect = \"90s\" }\n[secure_aggregation]\nprofile = \"A\"\n\
         bits = 12\nrange = 0.5\nclip_norm = 5.0\naudit = \"off\"",
        "maximum = 1001\ndeadlines = { collect = \"90s\" }\n[secure_aggregation]\nprofile = \"B\"\n\
         bits = 12\nrange = 0.5\nclip_norm = 5.0\naudit = \"closed\"",
        "P030",
        36,
        "cohort.maximum = 1001 is more than an audited round may have",
    ),
    sense(
        "audit = \"off\"\n",
        "audit = \"off\"\n[credit]\nbudget = 9\n",
        "P072",
        40,
        "credit without an audit",
    ),
    form(
        "audit = \"off\"\n",
        "audit = \"off\"\n[credit]\nbudget = 0\n",
        "P005",
        41,
        "credit.budget = 0",
    ),
    form(
        "audit = \"off\"\n",
        "audit = \"off\"\n[credit]\n",
        "P003",
        40,
        "credit.budget is missing",
    ),
    form("audit = \"off\"\n", "", "P003", 34, "secure_aggregation.audit is missing"),
    sense(
        "out = 8",
        "out = 8 }, { kind = \"flatten\" }, { kind = \"conv2d\", out = 1, kernel = 1",
        "P050",
        15,
        "layers[2] (conv2d): expected an image",
    ),
    form(
        "batch_size = 8",
        "batch_size = 8\nlocal_epochs = 1\nlocal_steps = 1",
        "P064",
        23,
        "both local_epochs and local_steps",
    ),
    sense("batch_size = 8", "batch_size = 8\nloss = \"mse\"", "P061", 22, "loss \"mse\" where"),
    sense(
        "batch_size = 8",
        "batch_size = 8\nschedule = { kind = \"linear\", warmup = 3 }",
        "P062",
        22,
        "warm",
    ),
    form(
        "batch_size = 8",
        "batch_size = 8\nschedule = { kind = \"linear\", warmup = -1 }",
        "P005",
        22,
        "no number of rounds",
    ),
    sense(
        "[model]",
        "[model]\nlora = { rank = 1, alpha = 1, targets = [\"linear\"] }",
        "P063",
        14,
        "model.lora without model.start",
    ),
    sense(
        "[model]",
        "[model]\nstart = { digest = \"0123456789012345678901234567890123456789012345678901234567890xyz\" }",
        "P065",
        14,
        "is no digest",
    ),
    form("[model]", "[model]\nfamily = \"cnn\"", "P064", 15, "both layers and a family"),
    form("kind = \"relu\"", "kind = \"batchnorm\"", "P003", 16, "layers[1].buffers is missing"),
    form(
        "kind = \"relu\"",
        "kind = \"encoder\", heads = 1, ff = 1",
        "P003",
        16,
        "layers[1].causal is missing",
    ),
    sense("out = 2", "out = 3", "P050", 17, "layers[2] (linear)"),
    sense(
        "out = 8",
        "out = 1048576 }, { kind = \"linear\", out = 1048576",
        "P050",
        15,
        "layers[1]",
    ),
    sense("holdout = 0.25\n", "", "P071", 25, "nothing to measure on"),
    sense(
        "[\"accuracy\", \"loss\"]",
        "[\"accuracy\", \"mae\"]",
        "P071",
        26,
        "mae cannot be measured",
    ),
    sense(
        "metric = \"accuracy\"",
        "metric = \"auroc\"",
        "P071",
        29,
        "auroc, which no owner measures",
    ),
    sense(
        "name = \"fedavg\"",
        "name = \"scaffold\"\nrange = 1\nclip_norm = 1",
        "P070",
        24,
        "scaffold needs plain SGD",
    ),
];

#[test]
fn every_bad_plan_has_its_own_error_with_file_line_and_code() {
    let folder = Folder::new();
    let mut texts = BTreeMap::new();
    for bad in BAD {
        let Bad { code, line, part, .. } = bad;
        let file = folder.file("bad.toml", &bad.plan());
        let failure = check::plan(Path::new(&file)).expect_err(part);
        assert_eq!((failure.exit as u8, failure.code), (2, "BAD_PLAN"), "{failure}");
        let message = &failure.message;
        let found = message.lines().find(|text| {
            text.contains(&format!("{file}:{line}:"))
                && text.contains(&format!("error[{code}] line {line},"))
                && text.contains(part)
        });
        let found = found.unwrap_or_else(|| panic!("{code} line {line} {part:?}: {message}"));
        let rest = &message[message.find(found).expect("found above")..];
        let help = rest.lines().nth(1).and_then(|line| line.strip_prefix("  help: "));
        assert!(help.is_some_and(|help| help.len() > 10), "{message}");
        let details = failure.details.as_ref().and_then(|details| details.as_array());
        let told = details.expect("a list").iter().find(|one| one["code"] == *code);
        let told = told.unwrap_or_else(|| panic!("{code}: {failure}"));
        assert_eq!((&told["file"], &told["line"]), (&file.as_str().into(), &(*line).into()));
        if let Some(other) = texts.insert(found.to_owned(), bad.to) {
            panic!("{} and {other}: {found}", bad.to);
        }
    }
    assert!(texts.len() >= 50, "{} bad plans", texts.len());
}

#[test]
fn a_bad_plan_ends_every_command_with_exit_2_and_all_its_errors() {
    let folder = Folder::new();
    let text = PLAN.replace("rounds = 3", "runds = 3").replace("minimum = 3", "minimum = 2");
    let bad = folder.file("bad.toml", &text.replace("lr = 0.1", "lr = -1"));
    let good = folder.file("good.toml", PLAN);
    for arguments in [
        vec!["plan", "check", &bad],
        vec!["plan", "explain", &bad],
        vec!["plan", "diff", &good, &bad],
        vec!["plan", "diff", &bad, &good],
    ] {
        let text = folder.text(&arguments, 2);
        holds(&text, &["bad.toml:20:1", "P002", "did you mean `rounds`", "bad.toml:22:", "P005"]);
        holds(&text, &["\n  20 | runds = 3\n     | ^\n"]);
        holds(&text, &["bad.toml:19:1", "P003", "bad.toml:31:11", "P020", "help: "]);
        let answer = folder.json(&arguments, 2);
        let details = answer["error"]["details"].as_array().expect("a list");
        let found: Vec<_> = details.iter().map(|one| (&one["code"], &one["line"])).collect();
        assert_eq!(found.len(), 4, "{answer}");
        assert!(found.contains(&(&"P020".into(), &31.into())), "{answer}");
    }
    for arguments in [vec!["plan", "check", "none.toml"], vec!["plan", "explain", "none.toml"]] {
        holds(&folder.text(&arguments, 2), &["BAD_PLAN", "none.toml"]);
    }
}
