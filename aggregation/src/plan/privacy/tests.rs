use super::*;
use crate::plan::PlanError;

const PLAN: &str = r#"schema = "plan/1"
name = "digits"
purpose = "Learn to read digits"
seed = 42
data = { kind = "image", height = 8, width = 8, classes = 10 }
model = { layers = [{ kind = "flatten" }, { kind = "linear", out = 10 }] }
[training]
rounds = 16
batch_size = 32
optimizer = { name = "sgd", lr = 0.05 }
weighting = "uniform"
[cohort]
minimum = 10
maximum = 20
[secure_aggregation]
profile = "B"
bits = 16
range = 16
clip_norm = 1.0
audit = "closed"
[privacy]
unit = "owner"
noise_multiplier = 2.0
delta = 1e-6
"#;

/// The plan without its `[privacy]`.
pub(in crate::plan) fn without_noise() -> String {
    PLAN[..PLAN.find("[privacy]").expect("there")].to_owned()
}

fn with(from: &str, to: &str) -> String {
    assert!(PLAN.contains(from), "{from}");
    PLAN.replacen(from, to, 1)
}

fn good(text: &str) -> Plan {
    Plan::parse(text).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn a_plan_says_what_its_rounds_cost() {
    let plan = good(PLAN);
    let privacy = plan.privacy.expect("privacy");
    assert_eq!(privacy.unit, Unit::Owner { colluding_max: 1, clipping: None });
    assert_eq!((privacy.noise_multiplier, privacy.delta.get()), (2.0, 1e-6));
    let epsilon = |rounds| plan.epsilon(650, rounds).expect("noise");
    assert_eq!(epsilon(0), 0.0);
    // Gaussian noise of twice the sensitivity, by Renyi-DP at delta 1e-6.
    assert!((2.4..2.7).contains(&epsilon(1)), "{}", epsilon(1));
    assert!((1..16).all(|rounds| epsilon(rounds) < epsilon(rounds + 1)));
    assert!(epsilon(16) < 16.0 * epsilon(1));
    // Without the section nothing bounds it.
    let plain = good(&without_noise());
    assert_eq!((plain.epsilon(650, 1), plain.round_cost(650, 9)), (None, None));
    assert_eq!(plain.noise(650), Ok(None));
}

#[test]
fn more_noise_more_owners_and_fewer_rounds_cost_no_more() {
    let epsilon = |text: &str, rounds| good(text).epsilon(650, rounds).expect("noise");
    let base = epsilon(PLAN, 16);
    assert!(epsilon(&with("multiplier = 2.0", "multiplier = 2.5"), 16) < base);
    assert!(epsilon(&with("delta = 1e-6", "delta = 1e-5"), 16) < base);
    assert!(epsilon(PLAN, 15) < base);
    // The noise is of a sum, whoever is in it: a larger cohort changes each one's share.
    let larger = epsilon(&with("minimum = 10", "minimum = 15"), 16);
    assert!((larger / base - 1.0).abs() < 1e-3, "{larger} {base}");
}

#[test]
fn every_bad_privacy_is_refused_with_its_code_and_what_would_fit() {
    let cases: &[(&str, &str, &str, &str)] = &[
        ("multiplier = 2.0", "multiplier = 0.01", "protects nobody", "0.05 to 1000"),
        ("delta = 1e-6", "delta = 1e-13", "too small", "1e-12"),
        ("delta = 1e-6", "delta = 0.0", "too small", "1e-12"),
        ("delta = 1e-6\n", "delta = 1e-6\ncolluding_max = 10\n", "leaves none", "raise cohort"),
        ("\"uniform\"", "{ capped_examples = 9 }", "weights", "uniform"),
        ("seed = 42", "seed = 42\nevaluation = { metrics = [\"loss\"] }", "held-out", "remove"),
        (
            "seed = 42",
            "seed = 42\nstrategy = { name = \"scaffold\", range = 1, clip_norm = 5 }",
            "second vector",
            "another strategy",
        ),
        (
            "seed = 42",
            "seed = 42\ncredit = { budget = 1000, training = \"evidence\" }",
            "count several times",
            "training = \"off\"",
        ),
        ("range = 16", "range = 5", "the noise", "secure_aggregation.range = "),
        (
            "delta = 1e-6\n",
            "delta = 1e-6\nepsilon_max = 8.0\n",
            "epsilon would be 1",
            "use noise_multiplier = ",
        ),
    ];
    for (from, to, part, help) in cases {
        let text = with(from, to).replace("classes = 10 }", "classes = 10, holdout = 0.2 }");
        let errors = Plan::parse(&text).expect_err(to);
        let found = errors.errors().iter().find(|error| error.code == Code::Privacy);
        let Some(PlanError { message, help: told, .. }) = found else { panic!("{to}: {errors}") };
        assert!(message.contains(part) && told.contains(help), "{to}: {message}: {told}");
    }
}

#[test]
fn a_clip_that_follows_the_owners_lengths_costs_no_more_and_its_rounds_keep_to_it() {
    let following = |more: &str| with("delta = 1e-6", &format!("delta = 1e-6\n{more}"));
    let plan = good(&following("clip_quantile = 0.5"));
    assert_eq!(plan.clipping(), Some(Clipping { quantile: 0.5, rate: 0.2 }));
    let fast = good(&following("clip_quantile = 0.9\nclip_rate = 0.7"));
    assert_eq!(fast.clipping(), Some(Clipping { quantile: 0.9, rate: 0.7 }));
    let plain = good(PLAN);
    let epsilon = |plan: &Plan| plan.epsilon(650, 16).expect("noise");
    assert!((epsilon(&plan) / epsilon(&plain) - 1.0).abs() < 1e-3);
    // A round's quantiser is the plan's, or what its clip has come to; nothing else.
    let mut state = plan.initial_state(650);
    assert_eq!(plan.quantiser_at(&state), plan.quantiser());
    state.clip = ClipSteps::new(-70);
    let later = plan.quantiser_at(&state);
    assert!(later.clip_norm < 0.5 && later.range < 8.0, "{later:?}");
    assert_eq!(plan.clip_of(&later), Ok(state.clip));
    assert_eq!(plain.clip_of(&later), Err(BadState::Clip));
    assert_eq!(plain.clip_of(&plain.quantiser()), Ok(None));
    let kept = State::decode(&state.encode()).expect("kept");
    assert_eq!(kept, state);
    let refused = [
        ("clip_rate = 0.2", "without a share of owners", "clip_quantile = 0.5"),
        ("clip_quantile = 0.5\nclip_rate = 1.5", "jump", "up to 1"),
    ];
    for (more, part, help) in refused {
        let errors = Plan::parse(&following(more)).expect_err(more);
        let [PlanError { code: Code::Privacy, message, help: told, .. }] = errors.errors() else {
            panic!("{errors}");
        };
        assert!(message.contains(part) && told.contains(help), "{message}: {told}");
    }
    let credited = following("clip_quantile = 0.5")
        .replace("seed = 42", "seed = 42\ncredit = { budget = 1000, training = \"off\" }");
    let errors = Plan::parse(&credited).expect_err("credit").to_string();
    assert!(errors.contains("updates of rounds with one clip"), "{errors}");
}

#[test]
fn a_unit_that_is_not_known_is_told_once_and_nothing_follows_from_it() {
    let text = with("unit = \"owner\"", "unit = \"ownr\"\ncolluding_max = 2");
    let errors = Plan::parse(&text).expect_err("no such unit");
    let [PlanError { code: Code::UnknownChoice, help, .. }] = errors.errors() else {
        panic!("{errors}");
    };
    assert_eq!(help, "did you mean \"owner\"?");
}

const RECORD: &str = "unit = \"record\"\nclip_norm = 1.0";

#[test]
fn hidden_examples_cost_by_how_many_there_are() {
    let plan = good(
        &with("unit = \"owner\"", RECORD)
            .replace("classes = 10 }", "classes = 10, min_rows = 320 }"),
    );
    assert_eq!(plan.noise(650), Ok(None));
    let cost = plan.round_cost(650, 320).expect("noise");
    let event = Event::Sampled(Sampled::new(2.0, 0.1).expect("an event"));
    assert_eq!(cost, RoundCost { event, count: 10 });
    let few = plan.round_cost(650, 20).expect("noise");
    assert_eq!(
        few,
        RoundCost { event: Event::Sampled(Sampled::new(2.0, 1.0).expect("an event")), count: 1 }
    );
    // 160 steps of a tenth with noise of 2: dp-accounting 0.4.4 says 3.25 by its losses.
    let epsilon = plan.epsilon(650, 16).expect("noise");
    assert!((3.0..3.5).contains(&epsilon), "{epsilon}");
}

#[test]
fn what_looks_at_hidden_examples_without_noise_is_refused() {
    let refused = |from: &str, to: &str| {
        let text = with("unit = \"owner\"", RECORD).replacen(from, to, 1);
        let text = text.replace("classes = 10 }", "classes = 10, holdout = 0.2 }");
        let errors = Plan::parse(&text).expect_err(to);
        let found = errors.errors().iter().find(|error| error.code == Code::Privacy);
        found.unwrap_or_else(|| panic!("{errors}")).message.clone()
    };
    assert!(
        refused("seed = 42", "seed = 42\nevaluation = { metrics = [\"loss\"] }")
            .contains("held-out")
    );
    let stop = "rounds = 16\nearly_stop = { patience = 2, watch = \"training\" }";
    assert!(refused("rounds = 16", stop).contains("early_stop"));
    let norm = "{ kind = \"flatten\" }, { kind = \"batchnorm\", buffers = \"local\" }";
    assert!(refused("{ kind = \"flatten\" }", norm).contains("batchnorm"));
    assert!(refused("clip_norm = 1.0\nnoise", "clip_norm = 1e7\nnoise").contains("clips every"));
    let over = "delta = 1e-6\nepsilon_max = 1.0";
    assert!(refused("delta = 1e-6", over).contains("data.min_rows = 1 "));
}

#[test]
fn what_a_refusal_advises_fits() {
    let over = with("delta = 1e-6\n", "delta = 1e-6\nepsilon_max = 8.0\n");
    let errors = Plan::parse(&over).expect_err("over");
    let help = &errors.errors()[0].help;
    let number = |after: &str| {
        let rest = help.split(after).nth(1).unwrap_or_else(|| panic!("{help}"));
        rest.split(' ').next().expect("a number").to_owned()
    };
    let noise = number("noise_multiplier = ");
    let plan = good(&over.replace("multiplier = 2.0", &format!("multiplier = {noise}")));
    assert!(plan.epsilon(650, 16).expect("noise") > 7.8);
    let rounds = number("training.rounds = ");
    good(&over.replace("rounds = 16", &format!("rounds = {rounds}")));
    let more: u32 = rounds.parse().expect("a number");
    assert!(Plan::parse(&over.replace("rounds = 16", &format!("rounds = {}", more + 1))).is_err());

    let narrow = with("range = 16", "range = 5");
    let errors = Plan::parse(&narrow).expect_err("no room");
    let help = &errors.errors()[0].help;
    let range = help.split("range = ").nth(1).and_then(|rest| rest.split(' ').next());
    good(&narrow.replace("range = 5", &format!("range = {}", range.expect("a range"))));
}
