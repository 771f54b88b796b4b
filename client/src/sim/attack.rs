//! What dishonest clients do to their data or updates before they are clipped and sealed. They
//! keep to the protocol: one that does not is found and named, which other tests show.
//!
//! Not among them is a client that trains on the fold that it will be judged by: a simulation has
//! no folds. The bench `credit_quality` has, and that attacker with them.

mod cast;
mod spoil;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

pub(super) use cast::{Role, Share, cast};
pub use spoil::Memory;

/// What an attacker does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AttackKind {
    /// Trains on labels turned around: class c of n becomes n - 1 - c.
    LabelFlip,
    /// Trains on labels of which this share was drawn anew among the other classes.
    LabelNoise(f64),
    /// Trains on inputs to whose every number normal noise of this deviation was added, in the
    /// scale of what the model is given.
    FeatureNoise(f64),
    /// Trains on examples of one class that are labelled as another; all its others are clean.
    Poison {
        /// The class that the model is to forget.
        from: u32,
        /// What the model is to see instead.
        to: u32,
    },
    /// Sends the update with its sign changed, times this.
    SignFlip(f64),
    /// Sends the update times this.
    Boost(f64),
    /// Adds normal noise of this deviation to every number of the update.
    Noise(f64),
    /// Sends what took no training.
    FreeRider(FreeRide),
    /// Two by two, such clients have the same examples.
    Duplicate,
    /// All such clients of one attack are one owner, who divides what one of them has.
    Sybil,
    /// Says that it has so many times its examples.
    Claim(f64),
}

/// What a free-rider sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeRide {
    /// Zeros.
    Zero,
    /// Normal noise, as long as the clipping allows.
    Random,
    /// The model's last step as it was; zeros in the first round.
    Replay,
    /// The same, as long as the clipping allows.
    BoostedReplay,
}

/// So many clients attack, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attack {
    /// What they do.
    pub kind: AttackKind,
    /// How many.
    pub clients: usize,
}

/// Share of labels that are wrong, if not given.
const LABEL_NOISE: f64 = 0.6;

/// Deviation of the noise on inputs, if not given.
const FEATURE_NOISE: f64 = 1.0;

/// Factor of a changed sign, if not given.
const SIGN_FLIP: f64 = 1.0;

/// Factor of a boost, if not given.
const BOOST: f64 = 10.0;

/// Deviation of the noise on updates, if not given.
const NOISE: f64 = 0.1;

/// Factor of a claim, if not given.
const CLAIM: f64 = 5.0;

const KINDS: &str = "label-flip:N, label-noise:N:SHARE, feature-noise:N:DEVIATION, \
                     poison:N:CLASS:AS, sign-flip:N:FACTOR, boost:N:FACTOR, noise:N:DEVIATION, \
                     free-rider:N:zero|random|replay|boosted-replay, duplicate:N, sybil:N or claim:N:FACTOR";

impl FromStr for Attack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let word = parts.next().unwrap_or_default();
        let clients = parts.next().and_then(|part| part.parse().ok());
        let clients = clients.ok_or_else(|| format!("{text:?}: write {word}:CLIENTS"))?;
        let details: Vec<&str> = parts.collect();
        let kind = AttackKind::read(word, &details).map_err(|why| format!("{text:?}: {why}"))?;
        match kind {
            AttackKind::Duplicate if clients % 2 != 0 => {
                Err(format!("{text:?}: duplicates come in pairs: an even number of clients"))
            }
            AttackKind::Sybil if clients == 1 => {
                Err(format!("{text:?}: one owner as two clients or more"))
            }
            kind => Ok(Self { kind, clients }),
        }
    }
}

impl AttackKind {
    /// From its word and what is written after the number of clients.
    fn read(word: &str, details: &[&str]) -> Result<Self, String> {
        let number = |default, allowed| match details.first() {
            Some(text) => number(text, allowed),
            None => Ok(default),
        };
        let any = f64::MIN..=f64::MAX;
        Ok(match (word, details) {
            ("label-flip", []) => Self::LabelFlip,
            ("label-noise", [] | [_]) => Self::LabelNoise(number(LABEL_NOISE, 0.0..=1.0)?),
            ("feature-noise", [] | [_]) => {
                Self::FeatureNoise(number(FEATURE_NOISE, 0.0..=f64::MAX)?)
            }
            ("poison", [from, to]) => Self::Poison { from: class(from)?, to: class(to)? },
            ("sign-flip", [] | [_]) => Self::SignFlip(number(SIGN_FLIP, any)?),
            ("boost", [] | [_]) => Self::Boost(number(BOOST, any)?),
            ("noise", [] | [_]) => Self::Noise(number(NOISE, any)?),
            ("free-rider", [] | ["zero"]) => Self::FreeRider(FreeRide::Zero),
            ("free-rider", ["random"]) => Self::FreeRider(FreeRide::Random),
            ("free-rider", ["replay"]) => Self::FreeRider(FreeRide::Replay),
            ("free-rider", ["boosted-replay"]) => Self::FreeRider(FreeRide::BoostedReplay),
            ("duplicate", []) => Self::Duplicate,
            ("sybil", []) => Self::Sybil,
            ("claim", [] | [_]) => Self::Claim(number(CLAIM, f64::MIN_POSITIVE..=f64::MAX)?),
            _ => return Err(format!("use {KINDS}")),
        })
    }

    /// Whether it is about classes, which some plans do not predict.
    pub(super) const fn needs_labels(self) -> bool {
        matches!(self, Self::LabelFlip | Self::LabelNoise(_) | Self::Poison { .. })
    }
}

fn number(text: &str, allowed: RangeInclusive<f64>) -> Result<f64, String> {
    let read = text.parse::<f64>().ok().filter(|number| number.is_finite());
    let number = read.ok_or_else(|| format!("{text:?} is no number"))?;
    if allowed.contains(&number) {
        return Ok(number);
    }
    Err(match (*allowed.start(), *allowed.end()) {
        (start, f64::MAX) if start > 0.0 => format!("{text} is not above 0"),
        (start, f64::MAX) => format!("{text} is below {start}"),
        (start, end) => format!("{text} is not between {start} and {end}"),
    })
}

fn class(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{text:?} is no number of a class"))
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = self.clients;
        match self.kind {
            AttackKind::LabelFlip => write!(f, "label-flip:{clients}"),
            AttackKind::LabelNoise(share) => write!(f, "label-noise:{clients}:{share}"),
            AttackKind::FeatureNoise(deviation) => {
                write!(f, "feature-noise:{clients}:{deviation}")
            }
            AttackKind::Poison { from, to } => write!(f, "poison:{clients}:{from}:{to}"),
            AttackKind::SignFlip(SIGN_FLIP) => write!(f, "sign-flip:{clients}"),
            AttackKind::SignFlip(factor) => write!(f, "sign-flip:{clients}:{factor}"),
            AttackKind::Boost(factor) => write!(f, "boost:{clients}:{factor}"),
            AttackKind::Noise(deviation) => write!(f, "noise:{clients}:{deviation}"),
            AttackKind::FreeRider(FreeRide::Zero) => write!(f, "free-rider:{clients}"),
            AttackKind::FreeRider(FreeRide::Random) => write!(f, "free-rider:{clients}:random"),
            AttackKind::FreeRider(FreeRide::Replay) => write!(f, "free-rider:{clients}:replay"),
            AttackKind::FreeRider(FreeRide::BoostedReplay) => {
                write!(f, "free-rider:{clients}:boosted-replay")
            }
            AttackKind::Duplicate => write!(f, "duplicate:{clients}"),
            AttackKind::Sybil => write!(f, "sybil:{clients}"),
            AttackKind::Claim(factor) => write!(f, "claim:{clients}:{factor}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> AttackKind {
        text.parse::<Attack>().unwrap_or_else(|why| panic!("{why}")).kind
    }

    #[test]
    fn attacks_are_read_as_they_are_written() {
        let written = [
            ("label-flip:3", AttackKind::LabelFlip),
            ("label-noise:2:0.3", AttackKind::LabelNoise(0.3)),
            ("feature-noise:1:0.5", AttackKind::FeatureNoise(0.5)),
            ("poison:1:3:8", AttackKind::Poison { from: 3, to: 8 }),
            ("sign-flip:1", AttackKind::SignFlip(1.0)),
            ("sign-flip:1:3", AttackKind::SignFlip(3.0)),
            ("boost:2:10", AttackKind::Boost(10.0)),
            ("noise:4:0.5", AttackKind::Noise(0.5)),
            ("free-rider:9", AttackKind::FreeRider(FreeRide::Zero)),
            ("free-rider:9:random", AttackKind::FreeRider(FreeRide::Random)),
            ("free-rider:9:replay", AttackKind::FreeRider(FreeRide::Replay)),
            ("free-rider:9:boosted-replay", AttackKind::FreeRider(FreeRide::BoostedReplay)),
            ("duplicate:4", AttackKind::Duplicate),
            ("sybil:2", AttackKind::Sybil),
            ("claim:1:7", AttackKind::Claim(7.0)),
        ];
        for (text, kind) in written {
            let attack: Attack = text.parse().expect("an attack");
            assert_eq!((attack.to_string().as_str(), attack.kind), (text, kind));
        }
    }

    #[test]
    fn what_is_not_written_has_a_default() {
        let short = [
            ("label-noise:1", "label-noise:1:0.6"),
            ("feature-noise:1", "feature-noise:1:1"),
            ("sign-flip:1", "sign-flip:1:1"),
            ("boost:1", "boost:1:10"),
            ("noise:1", "noise:1:0.1"),
            ("free-rider:1", "free-rider:1:zero"),
            ("claim:1", "claim:1:5"),
        ];
        for (short, long) in short {
            assert_eq!(kind(short), kind(long), "{short}");
        }
    }

    #[test]
    fn what_is_no_attack_is_refused() {
        let refused = [
            ("", "write :CLIENTS"),
            ("boost", "write boost:CLIENTS"),
            ("boost:x", "write boost:CLIENTS"),
            ("boost:1:x", "\"x\" is no number"),
            ("boost:1:inf", "\"inf\" is no number"),
            ("boost:1:2:3", "use label-flip:N"),
            ("label-flip:1:2", "use label-flip:N"),
            ("label-noise:1:1.5", "1.5 is not between 0 and 1"),
            ("feature-noise:1:-1", "-1 is below 0"),
            ("poison:1:3", "use label-flip:N"),
            ("poison:1:3:-8", "\"-8\" is no number of a class"),
            ("free-rider:1:sleeping", "use label-flip:N"),
            ("duplicate:3", "an even number"),
            ("sybil:1", "two clients or more"),
            ("claim:1:0", "0 is not above 0"),
            ("y:1", "use label-flip:N"),
        ];
        for (text, expected) in refused {
            let why = text.parse::<Attack>().expect_err(text);
            assert!(why.contains(expected), "{why}");
        }
    }
}
