use super::*;
use crate::config::{Profile, Weighting};
use proptest::prelude::*;

const GOOD: &str = r#"schema = "plan/1"
name = "digits"
purpose = "Learn to read digits"
seed = 42
[data]
kind = "image"
height = 8
width = 8
classes = 10
[model]
layers = [
  { kind = "conv2d", out = 8, kernel = 3, pad = 1 },
  { kind = "groupnorm", groups = 2 },
  { kind = "relu" },
  { kind = "maxpool2d", kernel = 2 },
  { kind = "residual", layers = [{ kind = "gelu" }] },
  { kind = "flatten" },
  { kind = "dropout", p = 0.1 },
  { kind = "linear", out = 10 },
]
[training]
rounds = 10
batch_size = 32
optimizer = { name = "sgd", lr = 0.05, momentum = 0.9 }
weighting = { capped_examples = 500 }
[cohort]
minimum = 3
maximum = 100
deadlines = { collect = "90s" }
[secure_aggregation]
profile = "B"
bits = 12
range = 0.5
clip_norm = 5
audit = "off"
"#;

const TABULAR: &str = r#"kind = "tabular"
columns = [
  { name = "age", type = "float", min = 0, max = 120 },
  { name = "sex", type = "category", values = ["f", "m", "other"] },
]
target = { column = "readmitted", classes = ["no", "yes"] }
"#;

/// The good plan with one piece of text replaced.
fn with(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "{from:?} must occur once");
    GOOD.replace(from, to)
}

fn tabular(from: &str, to: &str) -> String {
    let start = GOOD.find("kind = \"image\"").expect("an image section");
    let end = GOOD.find("[training]").expect("a training section");
    let model = "[model]\nlayers = [{ kind = \"linear\", out = 2 }]\n";
    assert_eq!(TABULAR.matches(from).count(), 1, "{from:?} must occur once");
    format!("{}{}{model}{}", &GOOD[..start], TABULAR.replace(from, to), &GOOD[end..])
}

/// The only error of a text.
fn error(text: &str) -> PlanError {
    let errors = Plan::parse(text).expect_err("the plan is bad");
    assert_eq!(errors.errors().len(), 1, "{errors}");
    errors.errors()[0].clone()
}

#[test]
fn a_good_plan_is_read_with_its_defaults() {
    let plan = Plan::parse(GOOD).expect("a good plan");
    assert_eq!(plan.name.as_str(), "digits");
    assert_eq!(plan.seed, 42);
    assert_eq!(plan.data.features(), 64);
    assert_eq!(plan.data.classes().len(), 10);
    assert_eq!(plan.data.label_column(), Some("label"));
    let Body::Layers(layers) = &plan.model.body else { panic!("layers are listed") };
    assert_eq!(layers.len(), 8);
    assert_eq!(layers[1].line, 13);
    assert_eq!(layers[1].kind, LayerKind::GroupNorm { groups: 2 });
    let window = Window { kernel: 2, stride: 2, pad: 0 };
    assert_eq!(layers[3].kind, LayerKind::MaxPool2d(window));
    assert_eq!((&plan.model.start, &plan.model.lora), (&None, &None));
    assert_eq!(plan.training.local_epochs, 1);
    let (nesterov, weight_decay) = (false, 0.0);
    let sgd = Optimizer::Sgd { lr: 0.05, momentum: 0.9, nesterov, weight_decay };
    assert_eq!(plan.training.optimizer, sgd);
    assert_eq!(plan.training.schedule, Schedule::CONSTANT);
    assert_eq!(plan.training.loss, Loss::CrossEntropy);
    assert_eq!(plan.training.server_lr.to_bits(), 1.0f64.to_bits());
    assert_eq!(plan.cohort.deadlines.collect_ms, 90_000);
    assert_eq!(plan.cohort.deadlines.vote_ms, 60_000);
    assert_eq!(plan.secure_aggregation.profile, Profile::B);
    let quantiser = plan.quantiser();
    assert_eq!((quantiser.bits, quantiser.weighting), (12, Weighting::CappedExamples(500)));
    assert_eq!(Some(plan.packing()), Packing::derive(Profile::B, 12, 100));
    assert!(plan.audit_notice().contains("no credit"));
}

#[test]
fn what_is_done_about_a_shortfall_is_the_plans_to_say() {
    assert_eq!(Plan::parse(GOOD).expect("good").cohort.on_shortfall, OnShortfall::SkipRound);
    for one in OnShortfall::ALL {
        let word = format!("maximum = 100\non_shortfall = \"{}\"", one.word());
        let plan = Plan::parse(&GOOD.replacen("maximum = 100", &word, 1)).expect("a good plan");
        assert_eq!(plan.cohort.on_shortfall, one);
        let again_ms = if one == OnShortfall::ExtendOnce { 90_000 } else { 0 };
        assert_eq!(plan.cohort.collect_again_ms(), again_ms);
    }
    let text = GOOD.replacen("maximum = 100", "maximum = 100\non_shortfall = \"extend\"", 1);
    assert_eq!(error(&text).code, Code::UnknownChoice);
}

#[test]
fn a_tabular_plan_counts_its_inputs() {
    let plan = Plan::parse(&tabular("120", "130")).expect("a good plan");
    assert_eq!(plan.data.features(), 4);
    assert_eq!(plan.data.label_column(), Some("readmitted"));
    assert_eq!(plan.data.classes(), ["no", "yes"]);
}

#[test]
fn every_bad_plan_is_refused_with_its_code_and_line() {
    let cases: &[(&str, &str, Code, u32, &str)] = &[
        ("seed = 42", "seed = ", Code::Syntax, 4, "value"),
        ("seed = 42", "seed = 42\nlearning = 1", Code::UnknownField, 5, "unknown field `learning`"),
        ("rounds = 10", "rounds = 10\nmomentum = 1", Code::UnknownField, 23, "in training"),
        ("batch_size = 32", "batch-size = 32", Code::MissingField, 21, "batch_size is missing"),
        (
            "rounds = 10",
            "rounds = \"ten\"",
            Code::WrongType,
            22,
            "is text, expected a whole number",
        ),
        ("rounds = 10", "rounds = 0", Code::OutOfRange, 22, "rounds = 0 is out of range"),
        ("rounds = 10", "rounds = -3", Code::OutOfRange, 22, "-3"),
        ("lr = 0.05", "lr = 0", Code::OutOfRange, 24, "must be above 0"),
        ("lr = 0.05", "lr = nan", Code::OutOfRange, 24, "no finite number"),
        ("momentum = 0.9", "momentum = 1.0", Code::OutOfRange, 24, "below 1"),
        ("\"sgd\"", "\"sdg\"", Code::UnknownChoice, 24, "\"sdg\" is not known"),
        ("\"plan/1\"", "\"plan/9\"", Code::Schema, 1, "plan/9"),
        ("\"digits\"", "\"Digits!\"", Code::Text, 2, "no name"),
        ("Learn to read digits", "  ", Code::Text, 3, "purpose"),
        ("Learn to", "\\u001b[2J", Code::Text, 3, "control characters"),
        ("height = 8", "height = 0", Code::OutOfRange, 7, "data.height"),
        (
            "height = 8\nwidth = 8",
            "height = 16384\nwidth = 16384",
            Code::OutOfRange,
            7,
            "16384 x 16384",
        ),
        ("classes = 10", "classes = [\"a\", \"a\"]", Code::Duplicate, 9, "twice"),
        ("classes = 10", "classes = 1", Code::OutOfRange, 9, "data.classes = 1"),
        ("kind = \"relu\"", "kind = \"reul\"", Code::UnknownChoice, 14, "model.layers[2].kind"),
        ("kind = \"relu\"", "kind = \"batchnorm\"", Code::MissingField, 14, "buffers is missing"),
        ("kernel = 2 }", "kernel = 2, size = 1 }", Code::UnknownField, 15, "model.layers[3]"),
        ("p = 0.1", "p = 1", Code::OutOfRange, 18, "below 1"),
        ("[{ kind = \"gelu\" }]", "[]", Code::Layers, 16, "0 layers"),
        ("minimum = 3", "minimum = 2", Code::CohortTooSmall, 27, "another's update"),
        ("maximum = 100", "maximum = 2", Code::CohortOrder, 27, "above the maximum"),
        ("maximum = 100", "maximum = 100000", Code::OutOfRange, 28, "cohort.maximum"),
        ("\"90s\"", "\"90\"", Code::OutOfRange, 29, "no usable duration"),
        ("\"90s\"", "90", Code::WrongType, 29, "expected text"),
        ("bits = 12", "bits = 17", Code::OutOfRange, 32, "bits = 17"),
        ("bits = 12", "bits = 2", Code::ExampleCap, 25, "cap of 500"),
        ("range = 0.5", "range = -1", Code::OutOfRange, 33, "above 0"),
        ("clip_norm = 5", "clip_norm = 1e300", Code::OutOfRange, 34, "above 0"),
        ("\"off\"", "\"norm\"", Code::Audit, 35, "does not exist"),
        ("audit = \"off\"\n", "", Code::MissingField, 30, "audit is missing"),
    ];
    for (from, to, code, line, part) in cases {
        let errors = Plan::parse(&with(from, to)).expect_err(to);
        let found = errors.errors().iter().find(|error| error.code == *code);
        let error = found.unwrap_or_else(|| panic!("{to}: no {code} in {errors}"));
        assert_eq!(error.line, *line, "{to}: {error}");
        assert!(error.message.contains(part), "{to}: {error}");
        assert!(!error.help.is_empty() && error.column >= 1, "{to}: {error}");
    }
}

#[test]
fn every_bad_table_is_refused_with_its_code_and_line() {
    let cases: &[(&str, &str, Code, u32, &str)] = &[
        ("max = 120", "max = 0", Code::OutOfRange, 8, "not below"),
        (", max = 120", "", Code::MissingField, 8, "data.columns[0].max"),
        ("\"sex\"", "\"age\"", Code::Duplicate, 9, "listed twice"),
        ("\"readmitted\"", "\"age\"", Code::Duplicate, 11, "both an input and the target"),
        ("[\"f\", \"m\", \"other\"]", "[]", Code::OutOfRange, 9, "0 names"),
        ("\"category\"", "\"words\"", Code::UnknownChoice, 9, "words"),
        ("max = 120", "max = 120, outside = \"cut\"", Code::UnknownChoice, 8, "outside"),
    ];
    for (from, to, code, line, part) in cases {
        let errors = Plan::parse(&tabular(from, to)).expect_err(to);
        let error = &errors.errors()[0];
        assert_eq!((error.code, error.line), (*code, *line), "{to}: {errors}");
        assert!(error.message.contains(part), "{to}: {error}");
    }
}

const TEXT: &str = r#"kind = "text"
tokens = "characters"
vocabulary = "\n abc"
unknown = "skip"
context = 16
holdout = 0.1
[model]
layers = [
  { kind = "embedding", out = 8 },
  { kind = "position" },
  { kind = "encoder", heads = 2, ff = 16, causal = true },
  { kind = "lstm", hidden = 8 },
  { kind = "linear", out = 5 },
]
start = { digest = "0101010101010101010101010101010101010101010101010101010101010101" }
lora = { rank = 2, alpha = 4, targets = ["query", "layers.4.linear"] }
[training]
rounds = 10
local_steps = 50
batch_size = 8
optimizer = { name = "adamw", lr = 0.01 }
schedule = { kind = "cosine", warmup = 2 }
gradient_clip = 1
loss = "next_token"
early_stop = { patience = 2, watch = "holdout" }
weighting = "uniform"
"#;

/// A plan for text with one piece replaced.
fn text_with(from: &str, to: &str) -> String {
    assert_eq!(TEXT.matches(from).count(), 1, "{from:?} must occur once");
    let start = GOOD.find("kind = \"image\"").expect("an image section");
    let end = GOOD.find("[cohort]").expect("a cohort section");
    format!("{}{}{}", &GOOD[..start], TEXT.replace(from, to), &GOOD[end..])
}

#[test]
fn a_plan_for_text_is_read_with_all_it_says() {
    let text = text_with("vocabulary = \"\\n abc\"", "vocabulary = \"\\n abc\" # five");
    let plan = Plan::parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(plan.data.goal(), Goal::NextToken(5));
    let Training { local_steps, optimizer, schedule, gradient_clip, loss, early_stop, .. } =
        plan.training.clone();
    assert_eq!((local_steps, gradient_clip, loss), (Some(50), Some(1.0), Loss::NextToken));
    assert_eq!(optimizer, Optimizer::AdamW { lr: 0.01, weight_decay: 0.01 });
    let decay = Decay::Cosine { end: 0.0 };
    assert_eq!(schedule, Schedule { warmup_rounds: 2.0, decay });
    assert_eq!(early_stop, Some(EarlyStop { patience: 2, watch: Watch::Holdout }));
    // Two adapters travel: of 8 x 8 and of 8 x 5.
    let blueprint = plan.blueprint().expect("layers");
    assert_eq!(blueprint.parameters(), 2 * (8 + 8) + 2 * (8 + 5));
    assert_eq!(blueprint.adapter_scale, Some(2.0));
}

#[test]
fn every_bad_model_or_training_is_refused_with_its_code() {
    let cases: &[(&str, &str, Code, &str)] = &[
        ("causal = true", "causal = false", Code::Causal, "attends to later steps"),
        (", causal = true", "", Code::MissingField, "causal is missing"),
        ("hidden = 8", "hidden = 8, output = \"last\"", Code::Causal, "the last step only"),
        ("{ kind = \"position\" }", "{ kind = \"mean_steps\" }", Code::Causal, "merges"),
        ("{ kind = \"position\" }", "{ kind = \"embedding\", out = 3 }", Code::Shape, "tokens"),
        ("heads = 2", "heads = 3", Code::Shape, "divide among 3 heads"),
        ("out = 5", "out = 4", Code::Shape, "one feature per token"),
        (
            "{ kind = \"position\" }",
            "{ kind = \"conv2d\", out = 3, kernel = 1 }",
            Code::Shape,
            "an image",
        ),
        ("\"query\"", "\"quary\"", Code::Adapters, "quary"),
        ("\"query\"", "\"uery\"", Code::Adapters, "uery"),
        ("rank = 2", "rank = 0", Code::OutOfRange, "rank"),
        ("alpha = 4", "alpha = 0", Code::OutOfRange, "alpha"),
        ("digest = \"01", "digest = \"x1", Code::BadDigest, "no digest"),
        ("warmup = 2", "warmup = 10", Code::Schedule, "does not end within 10 rounds"),
        ("\"cosine\"", "\"cosinus\"", Code::UnknownChoice, "cosinus"),
        ("local_steps = 50", "local_steps = 50\nlocal_epochs = 2", Code::Conflict, "both"),
        ("gradient_clip = 1", "gradient_clip = 0", Code::OutOfRange, "above 0"),
        ("\"next_token\"", "\"mse\"", Code::Loss, "the next token to predict"),
        ("\"adamw\", lr", "\"sgd\", nesterov = true, lr", Code::Conflict, "without momentum"),
        ("holdout = 0.1", "holdout = 0", Code::Conflict, "no example is held out"),
        ("patience = 2", "patience = 0", Code::OutOfRange, "patience"),
    ];
    for (from, to, code, part) in cases {
        let errors = Plan::parse(&text_with(from, to)).expect_err(to);
        let found = errors.errors().iter().find(|error| error.code == *code);
        let error = found.unwrap_or_else(|| panic!("{to}: no {code} in {errors}"));
        assert!(error.message.contains(part), "{to}: {error}");
        assert!(!error.help.is_empty() && error.line > 5, "{to}: {error}");
    }
}

#[test]
fn scaffold_goes_with_no_clipped_gradients() {
    let text = with(", momentum = 0.9", "");
    let text = format!("{text}[strategy]\nname = \"scaffold\"\nrange = 1\nclip_norm = 5\n");
    assert_eq!(Plan::parse(&text).err(), None);
    let clipped = text.replace("[training]", "[training]\ngradient_clip = 1.0");
    let found = error(&clipped);
    assert_eq!(found.code, Code::Strategy, "{found}");
    assert!(found.message.contains("gradient_clip"), "{found}");
}

#[test]
fn adapters_have_no_more_parameters_than_a_model_may() {
    let pair = "{ kind = \"linear\", out = 1 },\n{ kind = \"linear\", out = 1048576 },\n";
    let layers = format!("{{ kind = \"dropout\", p = 0.1 }},\n{}", pair.repeat(400));
    let start = format!("start = {{ digest = \"{}\" }}\n", "01".repeat(32));
    let lora = "lora = { rank = 1024, alpha = 1, targets = [\"linear\"] }\n";
    let text = with("{ kind = \"dropout\", p = 0.1 },", &layers);
    let found = error(&text.replace("[training]", &format!("{start}{lora}[training]")));
    assert_eq!(found.code, Code::Adapters, "{found}");
    assert!(found.message.contains("the adapters have"), "{found}");
}

#[test]
fn all_errors_of_the_stop_rules_are_told() {
    let stop = "[stop]\ntarget = { metric = \"loss\" }\nplateau = { metric = \"loss\" }\n\
                step_norm_max = 0\nuntil = 3\n";
    let errors = Plan::parse(&format!("{GOOD}{stop}")).expect_err("four errors");
    let found: Vec<_> = errors.errors().iter().map(|error| error.message.as_str()).collect();
    for part in ["stop.target.value", "stop.plateau.patience", "step_norm_max", "until"] {
        assert!(found.iter().any(|message| message.contains(part)), "{part}: {found:?}");
    }
}

#[test]
fn scaffold_goes_with_no_averages_that_travel() {
    for (buffers, is_refused) in [("average", true), ("local", false)] {
        let norm = format!(
            "{{ kind = \"batchnorm\", buffers = \"{buffers}\" }},\n  {{ kind = \"relu\" }},"
        );
        let text = with("{ kind = \"relu\" },", &norm).replace(", momentum = 0.9", "");
        let text = format!("{text}[strategy]\nname = \"scaffold\"\nrange = 1\nclip_norm = 5\n");
        let errors = Plan::parse(&text).err();
        assert_eq!(errors.is_some(), is_refused, "{buffers}: {errors:?}");
        if let Some(errors) = errors {
            assert_eq!(errors.errors()[0].code, Code::Strategy, "{errors}");
        }
    }
}

#[test]
fn adapters_need_a_base_and_no_averages() {
    let start = "start = { digest = \"0101010101010101010101010101010101010101010101010101010101010101\" }\n";
    assert_eq!(error(&text_with(start, "")).code, Code::Adapters);
    let lora = "lora = { rank = 1, alpha = 1, targets = [\"linear\"] }\n[training]";
    let layers = "{ kind = \"batchnorm\", buffers = \"average\" },\n  { kind = \"relu\" },";
    let text =
        with("{ kind = \"relu\" },", layers).replace("[training]", &format!("{start}{lora}"));
    let found = error(&text);
    assert!(found.message.contains("beside batchnorm"), "{found}");
    let family = "[model]\nfamily = \"mine\"\nargs = { width = 8 }\n";
    let text = with("[training]", &format!("{start}{lora}"));
    let (from, to) = (text.find("[model]").expect("it"), text.find("start =").expect("it"));
    let found = error(&format!("{}{family}{}", &text[..from], &text[to..]));
    assert!(found.message.contains("not a family"), "{found}");
}

#[test]
fn a_sum_that_can_overflow_is_refused_with_what_would_fit() {
    let text = with("profile = \"B\"", "profile = \"A\"").replace("bits = 12", "bits = 16");
    let text = text.replace("maximum = 100", "maximum = 10000");
    let error = error(&text);
    assert_eq!((error.code, error.line), (Code::NoPacking, 32));
    let bits: u8 = 15;
    assert!(Packing::derive(Profile::A, 16, 10_000).is_none());
    assert!(Packing::derive(Profile::A, bits, 10_000).is_some());
    assert!(error.help.contains("bits = 15") && error.help.contains("profile = \"B\""), "{error}");
    let most: u32 = error
        .help
        .split("cohort.maximum = ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next()?.parse().ok())
        .expect("a maximum that fits");
    assert!(Packing::derive(Profile::A, 16, most).is_some());
    assert!(Packing::derive(Profile::A, 16, most + 1).is_none());
}

#[test]
fn all_errors_are_told_at_once_in_the_order_of_the_file() {
    let text = with("seed = 42", "seed = -1")
        .replace("out = 8", "out = 0")
        .replace("rounds = 10", "rouds = 10")
        .replace("minimum = 3", "minimum = 1")
        .replace("\"off\"", "\"on\"");
    let errors = Plan::parse(&text).expect_err("five errors");
    let codes: Vec<_> = errors.errors().iter().map(|error| error.code.as_str()).collect();
    assert_eq!(codes, ["P005", "P005", "P003", "P002", "P020", "P030"], "{errors}");
    let unknown = &errors.errors()[3];
    assert_eq!(unknown.help, "did you mean `rounds`?");
}

#[test]
fn columns_count_characters_from_one() {
    let found = error(&with("\"Learn to read digits\"", "\"\""));
    assert_eq!((found.line, found.column), (3, 11));
    let found = error(&with("p = 0.1", "p = 2.0"));
    assert_eq!((found.line, found.column), (18, 27));
}

#[test]
fn a_file_that_is_no_text_or_too_long_is_refused() {
    let mut bytes = GOOD.as_bytes().to_vec();
    bytes[50] = 0xff;
    let errors = Plan::from_bytes(&bytes).expect_err("not UTF-8");
    assert_eq!((errors.errors()[0].code, errors.errors()[0].line), (Code::File, 3));
    let long = format!("{GOOD}# {}", "x".repeat(PLAN_BYTES_MAX as usize));
    assert_eq!(error(&long).code, Code::File);
}

#[test]
fn a_deep_model_is_refused() {
    let depth = crate::limits::LAYER_DEPTH_MAX + 2;
    let open = "{ kind = \"residual\", layers = [".repeat(depth);
    let deep = format!("{open}{{ kind = \"relu\" }}{}", "] }".repeat(depth));
    assert_eq!(error(&with("{ kind = \"relu\" }", &deep)).code, Code::Layers);
    let absurd = with("seed = 42", &format!("seed = {}", "[".repeat(100_000)));
    assert!(Plan::parse(&absurd).is_err());
}

#[test]
fn a_plan_may_scale_the_mean_update() {
    let text = with("batch_size = 32", "batch_size = 32\nserver_lr = 0.5");
    let training = Plan::parse(&text).expect("a good plan").training;
    assert_eq!(training.server_lr.to_bits(), 0.5f64.to_bits());
}

#[test]
fn the_digest_is_of_the_exact_bytes() {
    assert_eq!(Plan::digest(GOOD.as_bytes()), Plan::digest(GOOD.as_bytes()));
    assert_ne!(Plan::digest(GOOD.as_bytes()), Plan::digest(format!("{GOOD}\n").as_bytes()));
}

proptest! {
    /// Whatever a file holds, reading it ends in a plan or in errors.
    #[test]
    fn damaged_plans_never_panic(cut in 0..GOOD.len(), add in "\\PC{0,8}", keep in 0..40usize) {
        let cut = (cut..).find(|&at| GOOD.is_char_boundary(at)).unwrap_or(GOOD.len());
        let rest = (cut + keep).min(GOOD.len());
        let text = format!("{}{add}{}", &GOOD[..cut], &GOOD[rest..]);
        if let Err(errors) = Plan::parse(&text) {
            prop_assert!(!errors.errors().is_empty());
        }
    }
}
