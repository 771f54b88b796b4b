//! What the owner allows. Checked here, before training and again before anything is sent;
//! nobody upstream can loosen it. The coordinator is told only "policy".

use covey_aggregation::config::RoundConfig;
use covey_aggregation::limits::CONTRIBUTIONS_FLOOR;
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
    /// No sum of fewer contributions is opened.
    #[serde(default = "min_contributions")]
    pub min_contributions: u32,
    /// Most bytes of memory that data are read into; half of what is free if not given.
    #[serde(default)]
    pub dataset_bytes_max: Option<u64>,
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
    #[error("limits.max_rounds is {max}, the plan has {got}")]
    Rounds {
        /// Of the plan.
        got: u32,
        /// Allowed.
        max: u32,
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
        if plan.training.rounds > self.max_rounds {
            let (got, max) = (plan.training.rounds, self.max_rounds);
            return Err(NotAllowed::Rounds { got, max });
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
}
