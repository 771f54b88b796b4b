//! Every rule at its boundary, the file, and the law that a stricter policy never allows more.

use covey_aggregation::config::{CommitteeShape, RoundConfig};
use covey_aggregation::hash::Digest;
use covey_aggregation::party::Name;
use covey_aggregation::plan::Plan;
use covey_aggregation::time::Time;
use covey_privacy::budget::Budget;
use covey_privacy::event::Event;
use proptest::prelude::*;

use super::file::layer_words;
use super::{Asked, Moment, Outcome, Policy, Rule, Verdict};
use crate::privacy::Standing;
use crate::runs::{Answer, Decision};

const PLAN: &str = r#"
schema = "plan/1"
name = "small"
purpose = "A test"
seed = 7
data = { kind = "image", height = 2, width = 2, pixel_max = 16, classes = 2, holdout = 0.2 }
model = { layers = [{ kind = "flatten" }, { kind = "linear", out = 2 }] }
strategy = { name = "scaffold", range = 1, clip_norm = 9 }
evaluation = { metrics = ["accuracy", "loss"] }
[training]
rounds = 10
local_epochs = 3
batch_size = 4
optimizer = { name = "sgd", lr = 0.1 }
weighting = "uniform"
[cohort]
minimum = 3
maximum = 10
[secure_aggregation]
profile = "A"
bits = 12
range = 0.5
clip_norm = 2.2
audit = "off"
"#;

/// Of a table, with an audit.
fn tabular() -> String {
    let data =
        "{ kind = \"image\", height = 2, width = 2, pixel_max = 16, classes = 2, holdout = 0.2 }";
    let table = "{ kind = \"tabular\", target = { column = \"ill\", classes = [\"no\", \"yes\"] }, \
                 columns = [{ name = \"age\", type = \"float\", min = 0, max = 120 }] }";
    PLAN.replace(data, table)
        .replace("{ kind = \"flatten\" }, ", "")
        .replace("strategy = { name = \"scaffold\", range = 1, clip_norm = 9 }\n", "")
        .replace("evaluation = { metrics = [\"accuracy\", \"loss\"] }\n", "")
        .replace("minimum = 3", "minimum = 5")
        .replace("profile = \"A\"", "profile = \"B\"")
        .replace("\"off\"", "\"closed\"")
}

fn plan(text: &str) -> Plan {
    Plan::parse(text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// The terms of a round with a committee of four; 10 parameters.
fn terms(plan: &Plan, round: u32) -> RoundConfig {
    let committee = crate::sealing::tests::terms(10).committee;
    RoundConfig { round, committee, ..plan.layout_terms(10) }
}

fn policy(text: &str) -> Policy {
    let with_purposes = text.contains("purposes");
    let purposes = if with_purposes { "" } else { "\n[allow]\npurposes = [\"*\"]" };
    let text = format!("schema = \"policy/1\"\n{text}{purposes}\n");
    Policy::parse(&text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn general<'a>(plan: &'a Plan, terms: &'a RoundConfig) -> Asked<'a> {
    Asked { plan, terms, data: None, decision: None, moment: None, privacy: None, examples: None }
}

fn of(verdict: &Verdict, rule: Rule) -> Outcome {
    let finding = verdict.0.iter().find(|finding| finding.rule == rule);
    finding.expect("every rule is applied").outcome
}

/// The one rule that is against it.
#[track_caller]
fn only(verdict: &Verdict) -> (Rule, Outcome, String) {
    let not_passed: Vec<_> = verdict.0.iter().filter(|one| !one.outcome.allows()).collect();
    let [one] = &not_passed[..] else { panic!("{verdict}") };
    (one.rule, one.outcome, one.why.clone())
}

/// Passes with the first setting, and fails by `rule` alone with the second.
#[track_caller]
fn boundary(asked: &Asked<'_>, rule: Rule, good: &str, bad: &str, numbers: [&str; 2]) {
    let verdict = policy(good).judge(asked);
    assert!(verdict.outcome().allows(), "{good}\n{verdict}");
    let (found, outcome, why) = only(&policy(bad).judge(asked));
    assert_eq!((found, outcome), (rule, Outcome::Fail), "{bad}: {why}");
    assert!(numbers.iter().all(|number| why.contains(number)), "{why}");
}

#[test]
fn every_code_is_one_rules_own() {
    let mut codes: Vec<_> = Rule::ALL.iter().map(|rule| rule.code()).collect();
    let expected: Vec<_> = (1..=Rule::ALL.len()).map(|number| format!("Y{number:03}")).collect();
    assert_eq!(codes, expected);
    codes.dedup();
    assert_eq!(codes.len(), Rule::ALL.len());
}

#[test]
fn numbers_are_allowed_up_to_the_owners() {
    let plan = plan(PLAN);
    let terms = terms(&plan, 10);
    assert_eq!((terms.counters, terms.control.is_some()), (3, true));
    let asked = general(&plan, &terms);
    let limits = |rule, name: &str, good: &str, bad: &str, got: &str| {
        let section = |value| format!("[limits]\n{name} = {value}");
        boundary(&asked, rule, &section(good), &section(bad), [got, bad]);
    };
    limits(Rule::Rounds, "max_rounds", "10", "9", "10");
    limits(Rule::Counters, "max_counters", "3", "2", "3");
    limits(Rule::Control, "control", "true", "false", "second vector");
    limits(Rule::LocalEpochs, "max_local_epochs", "3", "2", "3");
    let require = |rule, good: &str, bad: &str, numbers| {
        boundary(
            &asked,
            rule,
            &format!("[require]\n{good}"),
            &format!("[require]\n{bad}"),
            numbers,
        );
    };
    require(Rule::Cohort, "min_cohort = 3", "min_cohort = 4", ["3", "4"]);
    require(Rule::Audit, "audit = false", "audit = true", ["nothing is audited", "true"]);
    let holders = ["key_holders = { at_least = 4 }", "key_holders = { at_least = 5 }"];
    require(Rule::KeyHolders, holders[0], holders[1], ["4", "5"]);
    // As f32, in which the terms have it.
    require(Rule::Clip, "clip_max = 2.2", "clip_max = 2.1", ["2.2", "2.1"]);
    let allow = |rule, good: &str, bad: &str, numbers| {
        let section = |line: &str| format!("[allow]\npurposes = [\"A *\"]\n{line}");
        boundary(&asked, rule, &section(good), &section(bad), numbers);
    };
    allow(Rule::Parameters, "max_parameters = 10", "max_parameters = 9", ["10", "9"]);
    let layers = ["layers = [\"linear\", \"flatten\"]", "layers = [\"linear\", \"relu\"]"];
    allow(Rule::Layers, layers[0], layers[1], ["flatten", "linear, relu"]);
}

/// By default an owner takes part in what its plan says, and in nothing beyond.
#[test]
fn rounds_beyond_the_plan_are_for_the_owner_to_allow() {
    let plan = plan(PLAN);
    let judge = |limits: &str, round: u32| {
        let terms = terms(&plan, round);
        policy(&format!("[limits]\n{limits}")).judge(&general(&plan, &terms))
    };
    assert!(judge("", 10).outcome().allows());
    for (limits, rule) in [
        ("", Rule::ExtraRounds),
        ("extra_rounds = 2", Rule::ExtraRounds),
        ("extra_rounds = 99\nmax_rounds = 12", Rule::Rounds),
    ] {
        assert_eq!(only(&judge(limits, 13)).0, rule, "{limits}");
    }
    assert!(judge("extra_rounds = 3", 13).outcome().allows());
}

/// An owner that does not say otherwise takes part in plans with credit.
#[test]
fn numbers_published_about_the_owner_alone_are_for_the_owner_to_allow() {
    let audited = tabular();
    let credited = format!("{audited}[credit]\nbudget = 1000\n");
    let counted = credited.replace("\"uniform\"", "{ capped_examples = 500 }");
    for (text, got) in [(audited, 0), (credited, 3), (counted, 4)] {
        let plan = plan(&text);
        let terms = terms(&plan, 1);
        let judge = |limits: &str| policy(limits).judge(&general(&plan, &terms));
        assert!(judge("").outcome().allows(), "{text}");
        for max in 0..=4 {
            let verdict = judge(&format!("[limits]\nmax_released = {max}"));
            assert_eq!(of(&verdict, Rule::Released) == Outcome::Fail, got > max, "{verdict}");
        }
        assert_eq!(of(&judge("[require]\naudit = true"), Rule::Audit), Outcome::Pass);
    }
}

#[test]
fn a_plan_that_counts_steps_is_held_to_the_passes_of_the_smallest_owner() {
    // 10 steps of 4 examples over at least 20 are 2 passes.
    let text = PLAN.replace("local_epochs = 3", "local_steps = 10");
    let plan = plan(&text.replace("holdout = 0.2", "holdout = 0.2, min_rows = 20"));
    let terms = terms(&plan, 1);
    let limits = ["[limits]\nmax_local_epochs = 2", "[limits]\nmax_local_epochs = 1"];
    boundary(&general(&plan, &terms), Rule::LocalEpochs, limits[0], limits[1], ["2", "1"]);
}

/// The same plan with noise: 10 rounds of multiplier 2, at delta 1e-6.
fn noisy() -> String {
    let text = tabular().replace("range = 0.5", "range = 64");
    format!(
        "{}[privacy]\nunit = \"owner\"\nnoise_multiplier = 2\ndelta = 1e-6\n",
        text.replace("bits = 12", "bits = 16")
    )
}

#[test]
fn noise_is_required_and_bounded_by_what_all_rounds_cost_together() {
    let plan = plan(&noisy());
    let terms = terms(&plan, 4);
    let release = Event::Distributed(terms.release().expect("accounted for").expect("noise"));
    let whole = plan.epsilon(10, 7).expect("noise");
    let require =
        |epsilon: f64| format!("[require]\nprivacy = {{ epsilon = {epsilon:.6}, delta = 1e-6 }}");
    // Rounds 4 to 10 are seven; nothing was spent before.
    let (good, bad) = (require(whole + 1e-5), require(whole - 1e-5));
    let numbers = [&*format!("{whole:.3}"), "0.000 is spent"];
    boundary(&general(&plan, &terms), Rule::Privacy, &good, &bad, numbers);
    // What other runs have told about the same data counts.
    let mut standing = Standing::default();
    standing.spent.add(release, 3).expect("added");
    let asked = Asked { privacy: Some(&standing), ..general(&plan, &terms) };
    let (rule, _, why) = only(&policy(&good).judge(&asked));
    assert_eq!(rule, Rule::Privacy, "{why}");
    // A round that was charged already costs nothing more.
    let after = plan.epsilon(10, 9).expect("noise");
    let charged = Standing { is_charged: true, ..standing.clone() };
    let asked = Asked { privacy: Some(&charged), ..general(&plan, &terms) };
    boundary(
        &asked,
        Rule::Privacy,
        &require(after + 1e-5),
        &require(after - 1e-5),
        numbers_of(after).each_ref().map(|one| &**one),
    );
}

fn numbers_of(after: f64) -> [String; 2] {
    [format!("{after:.3}"), "is spent".to_owned()]
}

#[test]
fn a_plan_without_noise_is_refused_where_noise_is_required() {
    let plan = plan(&tabular());
    let terms = terms(&plan, 1);
    let require = "[require]\nprivacy = { epsilon = 100.0, delta = 1e-6 }";
    let (rule, outcome, why) = only(&policy(require).judge(&general(&plan, &terms)));
    assert_eq!((rule, outcome), (Rule::Privacy, Outcome::Fail));
    assert!(why.contains("no noise") && why.contains("100"), "{why}");
}

#[test]
fn rounds_beyond_the_plan_cost_no_more_than_the_plan_says() {
    let most = plan(&noisy()).epsilon(10, 10).expect("noise");
    let plan = plan(&format!("{}epsilon_max = {:.6}\n", noisy(), most + 1e-5));
    let policy = policy("[limits]\nextra_rounds = 9");
    let judge = |round| policy.judge(&general(&plan, &terms(&plan, round)));
    assert!(judge(10).outcome().allows());
    let (rule, _, why) = only(&judge(11));
    assert_eq!(rule, Rule::Privacy);
    assert!(why.contains("the plan allows"), "{why}");
}

#[test]
fn layers_inside_layers_and_families_are_found() {
    let inner = PLAN.replace(
        "{ kind = \"flatten\" }, ",
        "{ kind = \"residual\", layers = [{ kind = \"tanh\" }] }, { kind = \"flatten\" }, ",
    );
    let family = PLAN.replace(
        "{ layers = [{ kind = \"flatten\" }, { kind = \"linear\", out = 2 }] }",
        "{ family = \"mine\" }",
    );
    for (text, others) in [(inner, "tanh"), (family, "mine")] {
        let plan = plan(&text);
        let terms = terms(&plan, 1);
        let allow = "[allow]\npurposes = [\"*\"]\nlayers = [\"residual\", \"flatten\", \"linear\"]";
        let (rule, _, why) = only(&policy(allow).judge(&general(&plan, &terms)));
        assert_eq!(rule, Rule::Layers);
        assert!(why.contains(others), "{why}");
    }
}

#[test]
fn the_owner_is_asked_about_purposes_only_where_it_wants_to_be() {
    let plan = plan(PLAN);
    let terms = terms(&plan, 1);
    let said = |answer| Decision {
        plan: Digest::ZERO,
        answer,
        reason: Some("no".to_owned()),
        at: Time(0),
    };
    let (yes, no) = (said(Answer::Approved), said(Answer::Denied));
    let judge = |unknown: &str, purposes: &str, decision: Option<&Decision>| {
        let text = format!("unknown = \"{unknown}\"\n[allow]\npurposes = [{purposes}]");
        let asked = Asked { decision, ..general(&plan, &terms) };
        policy(&text).judge(&asked)
    };
    let outcome = |unknown, purposes, decision| judge(unknown, purposes, decision).outcome();
    for unknown in ["ask", "deny"] {
        assert_eq!(outcome(unknown, "\"B*\", \"*test\"", None), Outcome::Pass);
        assert_eq!(outcome(unknown, "\"*\"", Some(&yes)), Outcome::Pass);
        assert_eq!(only(&judge(unknown, "\"*\"", Some(&no))).0, Rule::NotDenied);
    }
    assert_eq!(only(&judge("ask", "\"B*\"", None)).0, Rule::Purpose);
    assert_eq!(outcome("ask", "\"B*\"", None), Outcome::Asks);
    assert_eq!(outcome("ask", "", Some(&yes)), Outcome::Pass);
    assert_eq!(outcome("ask", "", Some(&no)), Outcome::Fail);
    assert_eq!(outcome("deny", "\"B*\"", None), Outcome::Fail);
    assert_eq!(outcome("deny", "", Some(&yes)), Outcome::Fail);
    // What asks is not told where something fails: no approval would help.
    let verdict = policy("[limits]\nmax_rounds = 1\n[allow]\npurposes = []");
    let verdict = verdict.judge(&general(&plan, &terms));
    assert_eq!(verdict.outcome(), Outcome::Fail);
    assert!(!verdict.reason().contains("Y001"), "{}", verdict.reason());
    assert!(verdict.reason().starts_with("Y004"), "{}", verdict.reason());
}

#[test]
fn only_listed_columns_of_listed_data_are_read() {
    let (table, image) = (plan(&tabular()), plan(PLAN));
    let (terms_of_table, terms_of_image) = (terms(&table, 1), terms(&image, 1));
    let name: Name = "patients".parse().expect("a name");
    let other: Name = "others".parse().expect("a name");
    let list = |columns: &str| {
        format!(
            "[allow]\npurposes = [\"*\"]\n[[dataset]]\nname = \"patients\"\ncolumns = [{columns}]"
        )
    };
    let whole = list("\"age\", \"ill\", \"sex\"");
    let asked = Asked { data: Some(&name), ..general(&table, &terms_of_table) };
    boundary(&asked, Rule::Columns, &whole, &list("\"age\", \"sex\""), ["ill", "2"]);
    for asked in [
        Asked { data: None, ..asked },
        Asked { data: Some(&other), ..asked },
        Asked { data: Some(&name), ..general(&image, &terms_of_image) },
    ] {
        assert_eq!(only(&policy(&whole).judge(&asked)).0, Rule::Columns);
        assert!(policy("").judge(&asked).outcome().allows());
    }
}

#[test]
fn hours_and_the_days_bytes_are_those_of_the_moment() {
    let plan = plan(PLAN);
    let terms = terms(&plan, 1);
    let at = |now_minutes: u64, sealed_bytes| Asked {
        moment: Some(Moment { now: Time(now_minutes * 60_000), sealed_bytes }),
        ..general(&plan, &terms)
    };
    let night = "[limits]\nhours = \"20:00-06:00\"";
    assert!(policy(night).judge(&at(5 * 60 + 59, 0)).outcome().allows());
    let (rule, _, why) = only(&policy(night).judge(&at(6 * 60, 0)));
    assert_eq!(rule, Rule::Hours);
    assert!(why.contains("06:00 UTC") && why.contains("20:00-06:00"), "{why}");
    assert_eq!(policy(night).judge(&general(&plan, &terms)).outcome(), Outcome::Later);

    let round = crate::volume::Volume::of(&terms).total();
    assert!(round > 0);
    let most = |bytes: u64| format!("[limits]\nupload_bytes_per_day_max = {bytes}");
    let numbers = [&*round.to_string(), &*(round + 99).to_string()];
    boundary(&at(0, 100), Rule::Upload, &most(round + 100), &most(round + 99), numbers);
    boundary(
        &general(&plan, &terms),
        Rule::Upload,
        &most(round),
        &most(round - 1),
        [numbers[0], ""],
    );
}

#[test]
fn a_committee_that_is_not_known_yet_is_judged_later() {
    let plan = plan(PLAN);
    let none = plan.layout_terms(10);
    let require = policy("[require]\nkey_holders = { at_least = 7 }");
    assert_eq!(of(&require.judge(&general(&plan, &none)), Rule::KeyHolders), Outcome::Later);
    let mut seven = terms(&plan, 1);
    seven.shape = CommitteeShape::Seven;
    let seats = seven.committee.clone();
    seven.committee.extend(seats.into_iter().take(3));
    assert_eq!(of(&require.judge(&general(&plan, &seven)), Rule::KeyHolders), Outcome::Pass);
}

#[test]
fn the_file_is_written_with_every_setting_and_read_again() {
    let first = Policy::new(Vec::new());
    let text = first.to_string();
    assert_eq!(Policy::parse(&text), Ok(first));
    // What is commented out is a setting, too.
    let all = text
        .replace("# [[dataset]]", "[[dataset]]")
        .replace("\n# ", "\n")
        .replace("# What", "#_What")
        .lines()
        .filter(|line| !line.starts_with("#_") && !line.starts_with("nobody"))
        .filter(|line| !line.starts_with("Once one"))
        .collect::<Vec<_>>()
        .join("\n");
    let full = Policy::parse(&all).unwrap_or_else(|errors| panic!("{errors}\n{all}"));
    assert_eq!(full.limits.threads, Some(8));
    assert_eq!(full.require.clip_max, Some(2.0));
    assert_eq!(full.datasets["readmissions"].len(), 2);
    assert_eq!(Policy::parse(&full.to_string()), Ok(full));
    assert!(layer_words().contains(&"linear") && layer_words().contains(&"residual"));
}

#[test]
fn the_policy_of_the_readme_is_one() {
    let readme = include_str!("../../../README.md");
    let blocks = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let text = blocks.into_iter().find(|text| text.starts_with("schema = \"policy/1\""));
    let policy = Policy::parse(text.expect("a policy")).expect("a good one");
    assert_eq!((policy.require.min_cohort, policy.datasets["readmissions"].len()), (10, 4));
}

#[test]
fn everything_that_is_wrong_with_a_policy_is_told_at_once() {
    let text = "schema = \"policy/1\"\nunknown = \"allow\"\n[limits]\nhours = \"8-17\"\n\
                max_round = 3\nthreads = 0\n[require]\nmin_cohort = 2\naudit = 1\n[allow]\n\
                layers = [\"liner\"]\n[[dataset]]\nname = \"A b\"\ncolumns = []\n";
    let errors = Policy::parse(text).expect_err("bad");
    let told: Vec<_> =
        errors.errors().iter().map(|error| (error.code.as_str(), error.line)).collect();
    let expected = [
        ("P006", 2),
        ("P005", 4),
        ("P002", 5),
        ("P005", 6),
        ("P020", 8),
        ("P004", 9),
        ("P003", 10),
        ("P006", 11),
        ("P010", 13),
    ];
    assert_eq!(told, expected, "{errors}");
    assert!(errors.to_string().contains("did you mean `max_rounds`"), "{errors}");
    assert!(errors.errors().iter().all(|error| !error.help.is_empty()));
    for (text, code, help) in [
        ("schema = \"policy/2\"", "P007", "policy/1"),
        ("purposes = [", "P001", "toml"),
        ("schema = \"policy/1\"", "P003", "purposes"),
        ("schema = \"policy/1\"\nallow = { purposes = [] }\nlimit = 3", "P002", "limits"),
    ] {
        let errors = Policy::parse(text).expect_err(text);
        let found =
            errors.errors().iter().any(|one| one.code.as_str() == code && one.help.contains(help));
        assert!(found, "{errors}");
    }
}

/// A restriction: what it changes in a policy. None of them allows anything more.
fn restrict(policy: &mut Policy, which: u8, number: u64) {
    let least = |held: Option<u64>| Some(held.map_or(number, |held| held.min(number)));
    let (limits, require, allow) = (&mut policy.limits, &mut policy.require, &mut policy.allow);
    match which {
        0 => policy.unknown = super::Unknown::Deny,
        1 => drop(allow.purposes.pop()),
        2 => limits.max_rounds = limits.max_rounds.min(number as u32),
        3 => limits.extra_rounds = limits.extra_rounds.min(number as u32),
        4 => limits.max_counters = limits.max_counters.min(number as u16),
        5 => limits.control = false,
        6 => limits.max_released = limits.max_released.min(number as u8),
        7 => {
            let least = least(limits.max_local_epochs.map(u64::from));
            limits.max_local_epochs = least.map(|least| least as u32);
        }
        8 => limits.upload_bytes_per_day_max = least(limits.upload_bytes_per_day_max),
        9 => limits.hours = limits.hours.or_else(|| "20:00-06:00".parse().ok()),
        10 => require.audit = true,
        11 => require.min_cohort = require.min_cohort.max(number as u32),
        12 => {
            let held = require.key_holders_at_least.unwrap_or(0);
            require.key_holders_at_least = Some(held.max(number as u32));
        }
        13 => {
            let held = require.clip_max.unwrap_or(f32::INFINITY);
            require.clip_max = Some(held.min(number as f32));
        }
        14 => allow.max_parameters = least(allow.max_parameters),
        15 => {
            let layers = allow.layers.get_or_insert_with(|| ["flatten", "linear"].into());
            if number.is_multiple_of(2) {
                layers.pop_first();
            }
        }
        16 => {
            let held = require.privacy.map_or(f64::MAX, |budget| budget.epsilon());
            require.privacy = Budget::new(held.min(number as f64), 1e-6).ok();
        }
        _ => {
            if policy.datasets.is_empty() {
                let columns = ["age", "ill"].map(str::to_owned).into();
                policy.datasets.insert("patients".to_owned(), columns);
            } else if let Some(columns) = policy.datasets.get_mut("patients") {
                columns.pop_first();
            }
        }
    }
}

fn restriction() -> impl Strategy<Value = (u8, u64)> {
    (0u8..18, prop_oneof![0u64..12, 0u64..200_000])
}

proptest! {
    /// Adding a restriction to a policy never turns a refusal into a pass, rule by rule, whatever is
    /// asked.
    #[test]
    fn a_stricter_policy_never_allows_more(
        before in prop::collection::vec(restriction(), 0..6),
        one in restriction(),
        (is_table, round, minutes) in (any::<bool>(), 1u32..15, prop::option::of(0u64..1440)),
        (sealed_bytes, has_name, said) in (0u64..100_000, any::<bool>(), prop::option::of(any::<bool>())),
    ) {
        let plan = plan(&if is_table { tabular() } else { PLAN.to_owned() });
        let terms = terms(&plan, round);
        let name: Name = "patients".parse().expect("a name");
        let decision = said.map(|yes| Decision {
            plan: Digest::ZERO,
            answer: if yes { Answer::Approved } else { Answer::Denied },
            reason: None,
            at: Time(0),
        });
        let moment = |minutes| Moment { now: Time(minutes * 60_000), sealed_bytes };
        let asked = Asked {
            plan: &plan,
            terms: &terms,
            data: has_name.then_some(&name),
            decision: decision.as_ref(),
            moment: minutes.map(moment),
            privacy: None,
            examples: None,
        };
        let mut policy = Policy::new(vec!["B *".to_owned(), "A *".to_owned()]);
        for (which, number) in before {
            restrict(&mut policy, which, number);
        }
        let loose = policy.judge(&asked);
        restrict(&mut policy, one.0, one.1);
        let strict = policy.judge(&asked);
        for (loose, strict) in loose.0.iter().zip(&strict.0) {
            prop_assert!(strict.outcome >= loose.outcome, "{loose}\n{strict}");
        }
        prop_assert!(strict.outcome() >= loose.outcome());
    }
}
