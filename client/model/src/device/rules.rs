//! What a person asks for.

use std::fmt;
use std::str::FromStr;

pub use crate::model::Precision;

/// Where to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A graphics card where one is usable, else the processor.
    Auto,
    /// The processor.
    Cpu,
    /// The CUDA device of this number, from 0.
    Cuda(usize),
}

/// What to do where a card that was asked for by its number cannot be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// Say why, and do nothing.
    #[default]
    None,
    /// Use the processor, and say why.
    Cpu,
}

/// Where to compute, and under which rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRules {
    /// Where.
    pub choice: DeviceChoice,
    /// What to do where the card asked for cannot be used. [`DeviceChoice::Auto`] always takes
    /// the processor then.
    pub fallback: Fallback,
    /// Most bytes of a card's memory. A model that is estimated to need more is not begun on the
    /// card, and training ends there when more is reserved. No rule for the processor.
    pub memory_bytes_max: Option<u64>,
    /// What to train in on a card that computes in it; the processor trains in f32.
    pub precision: Precision,
}

/// The text names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no device: use auto, cpu, or cuda:0 (the number of the card)")]
pub struct BadDevice {
    /// What was given.
    pub text: String,
}

/// The text names no precision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no precision: use f32 or bf16")]
pub struct BadPrecision {
    /// What was given.
    pub text: String,
}

/// The text names no fallback.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no fallback: use none (an error where the card cannot be used) or cpu")]
pub struct BadFallback {
    /// What was given.
    pub text: String,
}

impl From<DeviceChoice> for DeviceRules {
    fn from(choice: DeviceChoice) -> Self {
        Self { choice, fallback: Fallback::None, memory_bytes_max: None, precision: Precision::F32 }
    }
}

impl DeviceRules {
    /// Whether the processor may do what a card cannot.
    #[must_use]
    pub fn may_use_cpu(&self) -> bool {
        match self.choice {
            DeviceChoice::Auto | DeviceChoice::Cpu => true,
            DeviceChoice::Cuda(_) => self.fallback == Fallback::Cpu,
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = BadDevice;

    fn from_str(text: &str) -> Result<Self, BadDevice> {
        let bad = || BadDevice { text: text.to_owned() };
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            other => {
                let index = other.strip_prefix("cuda:").ok_or_else(bad)?;
                index.parse().map(Self::Cuda).map_err(|_| bad())
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Fallback {
    type Err = BadFallback;

    fn from_str(text: &str) -> Result<Self, BadFallback> {
        match text {
            "none" => Ok(Self::None),
            "cpu" => Ok(Self::Cpu),
            other => Err(BadFallback { text: other.to_owned() }),
        }
    }
}

impl FromStr for Precision {
    type Err = BadPrecision;

    fn from_str(text: &str) -> Result<Self, BadPrecision> {
        match text {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            other => Err(BadPrecision { text: other.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_and_shown_alike() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda:3", DeviceChoice::Cuda(3)),
        ] {
            assert_eq!(text.parse(), Ok(choice));
            assert_eq!(choice.to_string(), text);
        }
        for bad in ["gpu", "cuda:", "cuda:x", "cuda:-1", ""] {
            let error = bad.parse::<DeviceChoice>().expect_err(bad);
            assert!(error.to_string().contains("cuda:0"), "{error}");
        }
    }

    #[test]
    fn a_card_asked_for_by_number_is_left_only_where_the_owner_says_so() {
        let may = |choice, fallback: &str| {
            let fallback = fallback.parse().expect("a fallback");
            DeviceRules { fallback, ..DeviceRules::from(choice) }.may_use_cpu()
        };
        assert!(may(DeviceChoice::Auto, "none") && may(DeviceChoice::Cuda(1), "cpu"));
        assert!(!may(DeviceChoice::Cuda(1), "none"));
        assert!(!DeviceRules::from(DeviceChoice::Cuda(0)).may_use_cpu());
        let error = "gpu".parse::<Fallback>().expect_err("no fallback").to_string();
        assert!(error.contains("none") && error.contains("cpu"), "{error}");
    }
}
