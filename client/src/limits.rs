//! What the owner allows. Checked here, before training and again before anything is sent;
//! nobody upstream can loosen it. The coordinator is told only "policy".

use covey_aggregation::config::RoundConfig;
use covey_aggregation::limits::{CONTRIBUTIONS_FLOOR, COUNTERS_MAX};
use covey_aggregation::plan::Plan;
use serde::{Deserialize, Serialize};

/// The `[limits]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Purposes of plans that may run: texts in which `*` stands for any text. There is no
    /// default: an owner says what its data may be used for.
    pub purposes: Vec<String>,
    /// No plan with more rounds.
    #[serde(default = "max_rounds")]
    pub max_rounds: u32,
    /// Rounds beyond the plan's that the operator may extend a run by; none by default, because
    /// the plan is what an owner agreed to. `max_rounds` holds for them, too.
    #[serde(default)]
    pub extra_rounds: u32,
    /// No sum of fewer contributions is opened.
    #[serde(default = "min_contributions")]
    pub min_contributions: u32,
    /// No more counts of held-out examples leave, inside the sum, in a round.
    #[serde(default = "max_counters")]
    pub max_counters: u16,
    /// Whether a second vector may leave inside the sum (SCAFFOLD's control variates): as many
    /// numbers about the data as the update again.
    #[serde(default = "control")]
    pub control: bool,
    /// No more numbers about this owner alone are published in a round, beside pass or fail: a plan
    /// with credit publishes 3, or 4 where owners count by their examples.
    #[serde(default = "max_released")]
    pub max_released: u8,
    /// Most bytes of memory that data are read into; half of what is free if not given.
    #[serde(default)]
    pub dataset_bytes_max: Option<u64>,
    /// Most bytes of a graphics card's memory to train with. A model that is estimated to need
    /// more is not begun on the card, and training ends there when more is reserved.
    #[serde(default)]
    pub device_memory_bytes_max: Option<u64>,
}

const fn max_counters() -> u16 {
    COUNTERS_MAX
}

const fn control() -> bool {
    true
}

/// As many as a plan can ask for: an owner that wants no credit says so by 0.
const fn max_released() -> u8 {
    4
}

const fn max_rounds() -> u32 {
    200
}

const fn min_contributions() -> u32 {
    CONTRIBUTIONS_FLOOR
}

/// A round that the owner does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// Its purpose matches none of the owner's.
    #[error("limits.purposes allows no plan with the purpose {0:?}")]
    Purpose(String),
    /// Too many rounds.
    #[error("limits.max_rounds is {max}, the plan or its extension has {got}")]
    Rounds {
        /// Of the plan, or the round's number where that is higher.
        got: u32,
        /// Allowed.
        max: u32,
    },
    /// A round beyond the plan's.
    #[error(
        "round {round} is beyond the plan's {rounds}, and limits.extra_rounds allows {extra} more"
    )]
    Beyond {
        /// The round's number.
        round: u32,
        /// Of the plan.
        rounds: u32,
        /// Allowed beyond.
        extra: u32,
    },
    /// Too many counts.
    #[error("limits.max_counters is {max}, the round has {got}")]
    Counters {
        /// The round's.
        got: u16,
        /// Allowed.
        max: u16,
    },
    /// A second vector.
    #[error("limits.control is false, the round has a second vector beside the update")]
    Control,
    /// Too much that is published about the owner alone.
    #[error(
        "limits.max_released is {max}, the plan publishes {got} numbers about each owner in a round"
    )]
    Released {
        /// The plan's.
        got: u8,
        /// Allowed.
        max: u8,
    },
    /// Too few owners in a sum.
    #[error("limits.min_contributions is {min}, the round opens sums of {got}")]
    Contributions {
        /// The round's minimum.
        got: u32,
        /// The owner's.
        min: u32,
    },
}

impl Limits {
    /// What is wrong with the limits themselves.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.min_contributions < CONTRIBUTIONS_FLOOR {
            return Err(format!(
                "limits.min_contributions = {} protects nobody; use at least \
                 {CONTRIBUTIONS_FLOOR}",
                self.min_contributions
            ));
        }
        Ok(())
    }

    /// Whether the owner allows this round of this plan.
    ///
    /// # Errors
    /// [`NotAllowed`], by the first rule broken.
    pub fn allow(&self, plan: &Plan, terms: &RoundConfig) -> Result<(), NotAllowed> {
        if !self.purposes.iter().any(|pattern| matches(pattern, &plan.purpose)) {
            return Err(NotAllowed::Purpose(plan.purpose.clone()));
        }
        let rounds = plan.training.rounds;
        let (got, max) = (rounds.max(terms.round), self.max_rounds);
        if got > max {
            return Err(NotAllowed::Rounds { got, max });
        }
        let (round, extra) = (terms.round, self.extra_rounds);
        if round > rounds.saturating_add(extra) {
            return Err(NotAllowed::Beyond { round, rounds, extra });
        }
        if terms.counters > self.max_counters {
            let (got, max) = (terms.counters, self.max_counters);
            return Err(NotAllowed::Counters { got, max });
        }
        if terms.control.is_some() && !self.control {
            return Err(NotAllowed::Control);
        }
        let (got, max) = (plan.released_numbers(), self.max_released);
        if got > max {
            return Err(NotAllowed::Released { got, max });
        }
        if terms.contributions_min < self.min_contributions {
            let (got, min) = (terms.contributions_min, self.min_contributions);
            return Err(NotAllowed::Contributions { got, min });
        }
        Ok(())
    }
}

/// Whether `text` is `pattern`, in which `*` stands for any text. Linear in both: what stands
/// between two stars is taken where it comes first.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pattern.contains('*').then(|| parts.next_back()).flatten() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("*", "anything", true),
            ("", "", true),
            ("", "a", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("*b", "bc", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "ace", true),
            ("a*c*c", "ac", false),
            ("ab*ba", "aba", false),
            ("*readmission*", "Predict 30-day readmission; research only", true),
            ("Learn*", "learn", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

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
clip_norm = 20.0
audit = "off"
"#;

    /// By default an owner takes part in what its plan says, and in nothing beyond.
    #[test]
    fn rounds_beyond_the_plan_counts_and_control_are_for_the_owner_to_allow() {
        let plan = Plan::parse(PLAN).expect("a plan");
        let mut terms = crate::sealing::tests::terms(10);
        terms.counters = plan.counters();
        assert_eq!(terms.counters, 3);
        terms.control = plan.control(5, covey_aggregation::hash::Digest::ZERO);
        let limits = |text: &str| -> Limits { toml_limits(&format!("purposes = [\"*\"]\n{text}")) };
        let judge = |limits: &Limits, round: u32| {
            let mut terms = terms.clone();
            terms.round = round;
            limits.allow(&plan, &terms)
        };
        let usual = limits("");
        assert_eq!(judge(&usual, 10), Ok(()));
        let beyond = |extra| NotAllowed::Beyond { round: 13, rounds: 10, extra };
        assert_eq!(judge(&usual, 13), Err(beyond(0)));
        assert_eq!(judge(&limits("extra_rounds = 2"), 13), Err(beyond(2)));
        assert_eq!(judge(&limits("extra_rounds = 3"), 13), Ok(()));
        let few = limits("extra_rounds = 99\nmax_rounds = 12");
        assert_eq!(judge(&few, 13), Err(NotAllowed::Rounds { got: 13, max: 12 }));
        let counted = NotAllowed::Counters { got: 3, max: 2 };
        assert_eq!(judge(&limits("max_counters = 2"), 1), Err(counted));
        assert_eq!(judge(&limits("control = false"), 1), Err(NotAllowed::Control));
    }

    /// An owner that does not say otherwise takes part in plans with credit.
    #[test]
    fn numbers_published_about_the_owner_alone_are_for_the_owner_to_allow() {
        let scaffold = "strategy = { name = \"scaffold\", range = 1, clip_norm = 9 }\n";
        let audited = PLAN
            .replace(scaffold, "")
            .replace("minimum = 3", "minimum = 5")
            .replace("profile = \"A\"", "profile = \"B\"")
            .replace("\"off\"", "\"closed\"");
        let credited = format!("{audited}[credit]\nbudget = 1000\n");
        let counted = credited.replace("\"uniform\"", "{ capped_examples = 500 }");
        let mut terms = crate::sealing::tests::terms(10);
        terms.round = 1;
        for (text, got) in [(audited, 0), (credited, 3), (counted, 4)] {
            let plan = Plan::parse(&text).expect("a plan");
            let judge = |limits: &str| {
                toml_limits(&format!("purposes = [\"*\"]\n{limits}")).allow(&plan, &terms)
            };
            assert_eq!(judge(""), Ok(()), "{text}");
            for max in 0..=4 {
                let expected =
                    if got > max { Err(NotAllowed::Released { got, max }) } else { Ok(()) };
                assert_eq!(judge(&format!("max_released = {max}")), expected, "{text}");
            }
        }
        let told = NotAllowed::Released { got: 3, max: 0 }.to_string();
        let expected = "limits.max_released is 0, the plan publishes 3 numbers about each owner in \
                        a round";
        assert_eq!(told, expected);
    }

    fn toml_limits(text: &str) -> Limits {
        #[derive(Deserialize)]
        struct File {
            limits: Limits,
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("limits.toml");
        std::fs::write(&path, format!("[limits]\n{text}\n")).expect("written");
        let read: Result<File, _> = covey_aggregation::program::config::read(&path);
        read.expect("limits").limits
    }
}
