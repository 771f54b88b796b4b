//! The `[credit]` section: what rounds give to their owners, and the direction by which they are
//! told apart. Without it, nothing is credited and nothing about one owner is published but whether
//! its update passed.

use crate::config::{Audit, Weighting};
use crate::credit::{CreditConfig, CreditState, CreditTerms, MICRO, TermsDraft, Training};
use crate::limits::{
    BUDGET_MICRO_MAX, CREDIT_CONTRIBUTIONS_MIN, CREDIT_FOLD_DEFAULT, CREDIT_FOLD_MAX,
    CREDIT_FOLD_MIN, CREDIT_STEPS_DEFAULT, CREDIT_STEPS_MAX, EPOCH_ROUNDS_MAX, EPOCH_ROUNDS_MIN,
    FOLD_CLASS_MIN,
};
use crate::strategy::Strategy;

use super::Plan;
use super::error::{Code, Collector};
use super::goal::Goal;
use super::section::{At, Section};

/// The `[credit]` section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// What each round gives, in whole credits.
    pub budget: u32,
    /// Examples of the validation pool that each round's direction is trained on, of all classes
    /// together.
    pub fold: u16,
    /// Training steps of that direction, each on the whole fold.
    pub steps: u16,
    /// Whether an owner's past evidence weighs its next updates.
    pub training: Training,
}

/// Numbers that are published about each owner of a round with credit: s, novelty and harm.
const SCORES: u8 = 3;

impl Plan {
    /// What credits of a run of `rounds` rounds are settled by; none where the plan gives no credit, or
    /// where the run was extended beyond what an epoch may have.
    #[must_use]
    pub fn credit_terms(&self, rounds: u32) -> Option<CreditTerms> {
        let budget_micro = u64::from(self.credit?.budget) * MICRO;
        CreditTerms::check(TermsDraft::usual(budget_micro, rounds)).ok()
    }

    /// What a round's terms say of credit, where the rounds before left `state`; none where the plan
    /// gives none.
    #[must_use]
    pub fn credit_config(&self, state: CreditState) -> Option<CreditConfig> {
        let Credit { fold, steps, training, .. } = self.credit?;
        Some(CreditConfig { fold, steps, training, state })
    }

    /// Numbers about each owner alone that are published in every round, beside pass or fail: the
    /// scores where there is credit; where owners are audited and count by their examples, how many
    /// there are.
    #[must_use]
    pub const fn released_numbers(&self) -> u8 {
        let scores = if self.credit.is_some() { SCORES } else { 0 };
        if self.publishes_examples() { scores + 1 } else { scores }
    }

    /// Whether each owner's number of examples is published: an audited sum is divided by what its
    /// owners declare, as one of them can make the weight that is sealed anything.
    #[must_use]
    pub const fn publishes_examples(&self) -> bool {
        let is_audited = matches!(self.secure_aggregation.audit, Audit::Closed { .. });
        is_audited && matches!(self.training.weighting, Weighting::CappedExamples(_))
    }
}

pub(super) fn read(
    root: &mut Section<'_>,
    errors: &mut Collector<'_>,
) -> Option<Option<At<Credit>>> {
    let Some(field) = root.optional("credit") else { return Some(None) };
    let span = field.span.clone();
    let mut section = field.section(errors)?;
    let budget = section.whole(errors, "budget", 1..=BUDGET_MICRO_MAX / MICRO);
    let bounds = CREDIT_FOLD_MIN.into()..=CREDIT_FOLD_MAX.into();
    let fold = section.whole_or(errors, "fold", bounds, CREDIT_FOLD_DEFAULT.into());
    let bounds = 1..=CREDIT_STEPS_MAX.into();
    let steps = section.whole_or(errors, "steps", bounds, CREDIT_STEPS_DEFAULT.into());
    let choices = [("off", Training::Off), ("evidence", Training::Evidence)];
    let training = match section.optional("training") {
        Some(field) => field.choice(errors, &choices),
        None => Some(Training::Off),
    };
    section.finish(errors);
    let (budget, fold, steps) = (budget?.value as u32, fold? as u16, steps? as u16);
    let value = Credit { budget, fold, steps, training: training? };
    Some(Some(At { value, span }))
}

/// What a plan says beside `[credit]`, as far as it could be read.
pub(super) struct Beside<'a> {
    pub(super) goal: Option<Goal>,
    pub(super) rounds: Option<u32>,
    pub(super) strategy: Option<&'a Strategy>,
    pub(super) minimum: Option<u32>,
    pub(super) audit: Option<Audit>,
}

/// Refuses a plan whose rounds cannot be credited. Told at `[credit]`, without which all else is
/// fine.
pub(super) fn check(credit: &At<Credit>, beside: &Beside<'_>, errors: &mut Collector<'_>) {
    let At { value, span } = credit;
    let mut push = |message: String, help: String| errors.push(span, Code::Credit, message, help);
    if beside.audit == Some(Audit::Off) {
        let message = "credit without an audit: nobody would vouch for an owner's numbers";
        let help = "write `audit = \"closed\"` in [secure_aggregation], or remove [credit]";
        push(message.to_owned(), help.to_owned());
    }
    if let Some(minimum) = beside.minimum.filter(|&least| least < CREDIT_CONTRIBUTIONS_MIN) {
        push(
            format!("cohort.minimum = {minimum} is too few for credit"),
            format!(
                "raise cohort.minimum to {CREDIT_CONTRIBUTIONS_MIN} or more, or remove [credit]"
            ),
        );
    }
    let epoch = EPOCH_ROUNDS_MIN..=EPOCH_ROUNDS_MAX;
    if let Some(rounds) = beside.rounds.filter(|rounds| !epoch.contains(rounds)) {
        push(
            format!("training.rounds = {rounds} where credits are settled over all rounds"),
            format!("use {EPOCH_ROUNDS_MIN} to {EPOCH_ROUNDS_MAX} rounds, or remove [credit]"),
        );
    }
    if let Some(strategy @ Strategy::Scaffold { .. }) = beside.strategy {
        push(
            format!("credit is not computed for {} yet", strategy.name()),
            "use another strategy, or remove [credit]".to_owned(),
        );
    }
    if let Some(Goal::Class(classes)) = beside.goal
        && usize::from(value.fold) / FOLD_CLASS_MIN < classes as usize
    {
        push(
            format!("credit.fold = {} is too small for {classes} classes", value.fold),
            format!("use {FOLD_CLASS_MIN} examples of each class or more, or remove [credit]"),
        );
    }
}

#[cfg(test)]
mod tests {
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
minimum = 5
maximum = 100
[secure_aggregation]
profile = "B"
bits = 12
range = 0.5
clip_norm = 5
audit = "closed"
[credit]
budget = 1000
"#;

    /// The plan with one piece of text replaced.
    fn with(from: &str, to: &str) -> String {
        assert_eq!(PLAN.matches(from).count(), 1, "{from:?} must occur once");
        PLAN.replace(from, to)
    }

    fn good(text: &str) -> Plan {
        Plan::parse(text).unwrap_or_else(|errors| panic!("{text}: {errors}"))
    }

    #[test]
    fn a_plan_with_credit_is_read_with_its_defaults() {
        let plan = good(PLAN);
        let usual = Credit { budget: 1000, fold: 30, steps: 20, training: Training::Off };
        assert_eq!(plan.credit, Some(usual));
        let all = good(&format!("{PLAN}fold = 100\nsteps = 7\ntraining = \"evidence\"\n"));
        let training = Training::Evidence;
        assert_eq!(all.credit, Some(Credit { budget: 1000, fold: 100, steps: 7, training }));
        let spelled = good(&format!("{PLAN}fold = 30\nsteps = 20\ntraining = \"off\"\n"));
        assert_eq!(spelled.credit, plan.credit);
        let terms = plan.credit_terms(plan.training.rounds).expect("terms");
        assert_eq!(*terms.get(), TermsDraft::usual(1_000_000_000, 16));
        assert_eq!(terms.get().contributions_min, CREDIT_CONTRIBUTIONS_MIN);
        assert!(plan.audit_notice().contains("three numbers about each owner are published"));
    }

    #[test]
    fn without_the_section_nothing_is_credited_and_no_number_released() {
        let plan = good(&with("[credit]\nbudget = 1000\n", ""));
        assert_eq!((plan.credit, plan.credit_terms(20), plan.released_numbers()), (None, None, 0));
        assert!(plan.audit_notice().ends_with("and no credit is given"));
    }

    #[test]
    fn the_number_of_examples_is_released_where_owners_count_by_it() {
        assert_eq!(good(PLAN).released_numbers(), 3);
        let counted = good(&with("\"uniform\"", "{ capped_examples = 500 }"));
        assert_eq!(counted.released_numbers(), 4);
        assert!(counted.audit_notice().contains("number of its examples"));
    }

    #[test]
    fn the_number_of_examples_is_released_of_audited_owners_without_credit_too() {
        let plan = with("[credit]\nbudget = 1000\n", "");
        let counted = plan.replacen("\"uniform\"", "{ capped_examples = 500 }", 1);
        let counted = good(&counted);
        assert_eq!((counted.credit, counted.released_numbers()), (None, 1));
        assert!(counted.audit_notice().contains("number of its examples"));
    }

    #[test]
    fn where_evidence_weighs_updates_sums_have_room_for_each_several_times() {
        let (plain, weighed) = (good(PLAN), good(&format!("{PLAN}training = \"evidence\"\n")));
        let terms = [plain, weighed].map(|plan| plan.layout_terms(650));
        assert_eq!(terms.each_ref().map(|terms| terms.summands_max()), [100, 400]);
        let [plain, weighed] = terms.map(|terms| terms.packing);
        let most = 400 * ((1 << 12) - 1);
        assert!(1u64 << weighed.lane_bits > most && plain.lane_bits <= weighed.lane_bits);
    }

    #[test]
    fn every_plan_that_is_read_has_terms_up_to_the_limits() {
        for (budget, rounds) in [(1, EPOCH_ROUNDS_MIN), (1_000_000, EPOCH_ROUNDS_MAX)] {
            let text = with("1000", &budget.to_string());
            let plan = good(&text.replace("rounds = 16", &format!("rounds = {rounds}")));
            let terms = plan.credit_terms(plan.training.rounds).expect("terms");
            let TermsDraft { budget_micro, rounds: epoch, .. } = *terms.get();
            assert_eq!((budget_micro, epoch), (budget * MICRO, rounds));
        }
    }

    #[test]
    fn a_goal_without_classes_can_be_credited() {
        let data = "{ kind = \"tabular\", columns = [{ name = \"a\", type = \"float\", min = 0, \
                    max = 1 }], target = { column = \"b\", type = \"float\" } }";
        let text = with("{ kind = \"image\", height = 8, width = 8, classes = 10 }", data);
        let text = text.replace("{ kind = \"flatten\" }, ", "").replace("out = 10", "out = 1");
        assert_eq!(good(&text).data.goal(), Goal::Number);
    }

    #[test]
    fn every_bad_credit_is_refused_with_its_code_and_line() {
        let cases: &[(&str, &str, Code, u32, &str)] = &[
            ("budget = 1000", "", Code::MissingField, 21, "credit.budget is missing"),
            ("1000", "0", Code::OutOfRange, 22, "credit.budget = 0"),
            ("1000", "1000001", Code::OutOfRange, 22, "credit.budget = 1000001"),
            ("1000", "0.5", Code::WrongType, 22, "expected a whole number"),
            ("1000", "1000\nfold = 29", Code::OutOfRange, 23, "credit.fold = 29"),
            ("1000", "1000\nfold = 10001", Code::OutOfRange, 23, "credit.fold = 10001"),
            ("1000", "1000\nsteps = 0", Code::OutOfRange, 23, "credit.steps = 0"),
            ("1000", "1000\nsteps = 1001", Code::OutOfRange, 23, "credit.steps = 1001"),
            ("1000", "1000\ntraining = \"on\"", Code::UnknownChoice, 23, "credit.training"),
            ("1000", "1000\ntraining = true", Code::WrongType, 23, "credit.training"),
            ("1000", "1000\nlambda = 1", Code::UnknownField, 23, "unknown field `lambda`"),
            ("\"closed\"", "\"off\"", Code::Credit, 21, "credit without an audit"),
            ("minimum = 5", "minimum = 4", Code::Credit, 21, "cohort.minimum = 4 is too few"),
            ("rounds = 16", "rounds = 1", Code::Credit, 21, "training.rounds = 1 where"),
            ("rounds = 16", "rounds = 1025", Code::Credit, 21, "training.rounds = 1025 where"),
            (
                "[training]",
                "strategy = { name = \"scaffold\", range = 1, clip_norm = 5 }\n[training]",
                Code::Credit,
                22,
                "credit is not computed for scaffold yet",
            ),
        ];
        for (from, to, code, line, part) in cases {
            let errors = Plan::parse(&with(from, to)).expect_err(to);
            let [PlanError { code: found, line: at, message, help, .. }] = errors.errors() else {
                panic!("{to}: {errors}");
            };
            assert_eq!((found, at), (code, line), "{to}: {errors}");
            assert!(message.contains(part) && !help.is_empty(), "{to}: {errors}");
        }
    }

    #[test]
    fn a_fold_has_three_examples_of_each_class() {
        let many = with("classes = 10", "classes = 11").replace("out = 10", "out = 11");
        let errors = Plan::parse(&many).expect_err("too small a fold");
        let [PlanError { code: Code::Credit, line: 21, message, .. }] = errors.errors() else {
            panic!("{errors}");
        };
        assert_eq!(message, "credit.fold = 30 is too small for 11 classes");
        assert_eq!(Plan::parse(&format!("{many}fold = 33\n")).err(), None);
    }

    #[test]
    fn all_errors_of_a_credit_are_told_at_once() {
        let text = with("\"closed\"", "\"off\"")
            .replace("minimum = 5", "minimum = 3")
            .replace("rounds = 16", "rounds = 1")
            // What cannot be read at all keeps nothing else from being told.
            .replace("seed = 42", "seed = -1");
        let errors = Plan::parse(&text).expect_err("four errors");
        let codes: Vec<_> = errors.errors().iter().map(|error| error.code).collect();
        assert_eq!(codes, [Code::OutOfRange, Code::Credit, Code::Credit, Code::Credit], "{errors}");
    }
}
