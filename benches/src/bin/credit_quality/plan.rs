//! What is trained and how: the same for every scenario and seed but for the first parameters.

use covey_aggregation::config::{
    Audit, CommitteeShape, Profile, Quantiser, RoundConfig, Weighting,
};
use covey_aggregation::plan::Plan;
use covey_benches::RoundChoice;

pub(crate) const ROUNDS: u32 = 16;

/// Steps of an owner in a round.
pub(crate) const STEPS: usize = 6;

/// Examples of a step.
pub(crate) const BATCH: usize = 32;

/// Learning rate of owners, and of training on folds.
pub(crate) const LR: f32 = 0.5;

/// An owner counts for its examples, up to this many: twice what each of ten would have.
pub(crate) const EXAMPLES_CAP: u32 = 150;

/// Longest update: the median length of clean owners' updates over the rounds.
pub(crate) const CLIP_NORM: f32 = 0.9;

/// How updates become integers. The range is more than half of the longest update: hardly any
/// parameter moves as far.
pub(crate) const QUANTISER: Quantiser = Quantiser {
    bits: 8,
    range: 0.5,
    clip_norm: CLIP_NORM,
    weighting: Weighting::CappedExamples(EXAMPLES_CAP),
};

/// J: rows of the audit.
pub(crate) const AUDIT_ROWS: u16 = 128;

/// Contributions of a round at most.
const CONTRIBUTIONS_MAX: u32 = 20;

/// An audited round's terms for so many parameters.
///
/// # Panics
/// Never: a test asks for them.
pub(crate) fn terms(parameters: usize) -> RoundConfig {
    let choice = RoundChoice {
        profile: Profile::B,
        shape: CommitteeShape::Four,
        dimension: parameters as u64,
        contributions_max: CONTRIBUTIONS_MAX,
        quantiser: QUANTISER,
        audit: Audit::Closed { rows: AUDIT_ROWS },
    };
    choice.round().0
}

/// The plan as an owner of the real programs would be given it.
///
/// # Panics
/// Never: a test parses it.
pub(crate) fn parse(seed: u64) -> Plan {
    let Quantiser { bits, range, clip_norm, .. } = QUANTISER;
    let text = format!(
        r#"
schema = "plan/1"
name = "credit-quality"
purpose = "Learn to read handwritten digits"
seed = {seed}
[data]
kind = "image"
height = 8
width = 8
pixel_max = 16
classes = 10
[model]
layers = [
  {{ kind = "flatten" }}, {{ kind = "linear", out = 16 }}, {{ kind = "relu" }},
  {{ kind = "linear", out = 10 }},
]
[training]
rounds = {ROUNDS}
local_steps = {STEPS}
batch_size = {BATCH}
optimizer = {{ name = "sgd", lr = {LR} }}
weighting = {{ capped_examples = {EXAMPLES_CAP} }}
[cohort]
minimum = 5
maximum = {CONTRIBUTIONS_MAX}
[secure_aggregation]
profile = "B"
bits = {bits}
range = {range}
clip_norm = {clip_norm}
audit = "off"
"#
    );
    Plan::parse(&text).expect("a plan")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_is_one_with_this_quantiser_and_data_of_digits() {
        let plan = parse(7);
        assert_eq!((plan.seed, plan.quantiser()), (7, QUANTISER));
        let lanes = terms(crate::mlp::PARAMETERS).packing.lanes;
        assert!((4..=6).contains(&lanes), "{lanes}");
    }
}
