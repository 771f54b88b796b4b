//! What owners declare that they count, beside what is in the sum.
//!
//! Anybody can compare the two totals, exactly, and nobody can tell who is behind a difference. It costs
//! nobody its credit: an owner's numbers do not hang on the weight that it sealed, only on what it
//! declares, so one that lies would seal what it declares and be no worse off; and if a difference voided
//! a round, every owner could void every round, unseen. What a false declaration can gain is bounded
//! where scores are made ([`super::credit::scores`]).

use serde::{Deserialize, Serialize};

use crate::audit::carry::Carry;
use crate::audit::functions::digits;
use crate::config::RoundConfig;
use crate::limits::{SENTINELS, WEIGHT_DIGITS};
use crate::party::PartyId;

/// The weight of an accepted set by what its owners declare, each as often as it counts.
#[must_use]
pub fn declared(config: &RoundConfig, accepted: &[(PartyId, u32)]) -> u64 {
    let times = config.multiplicities(accepted.iter().map(|(client, _)| *client));
    let each = accepted.iter().zip(&times);
    each.map(|((_, examples), times)| u64::from(*examples) * u64::from(*times)).sum()
}

/// How many check digits and places of padding of an opened sum are not what all owners are to seal;
/// `rest` is all that is behind the vectors ([`RoundConfig::rest`]).
#[must_use]
pub fn wrong_check_digits(config: &RoundConfig, rest: &[i32]) -> usize {
    let digits = digits(config);
    let places = config.rest().zip(rest);
    places.filter(|(place, sum)| !digits.contains(place) && **sum != 0).count()
}

/// The totals of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    /// What the accepted owners declare, added up.
    pub declared: u64,
    /// The weight that is in their contributions. Below zero or above all bounds only where somebody
    /// sealed no weight at all.
    pub sealed: i64,
}

impl Weights {
    /// Of the `accepted` owners with what they declare, each as often as it counts; of the sums of all
    /// that is behind the vectors as they were opened, less what is the same for everybody; and of what
    /// noise carried into them.
    #[must_use]
    pub fn of(
        config: &RoundConfig,
        accepted: &[(PartyId, u32)],
        rest: &[i32],
        carries: &[Carry],
    ) -> Self {
        let times = config.multiplicities(accepted.iter().map(|(client, _)| *client));
        let summands = times.iter().sum();
        let declared = declared(config, accepted);
        Self { declared, sealed: Self::sealed(config, summands, rest, carries) }
    }

    /// The weight in so many `summands`: contributions, each as often as it counts.
    fn sealed(config: &RoundConfig, summands: u32, rest: &[i32], carries: &[Carry]) -> i64 {
        let offset = i128::from(config.quantiser.offset()) * i128::from(summands);
        let carried = |place: u64| {
            let here = carries.iter().filter(|carry| carry.coordinate == place);
            here.map(|carry| i128::from(carry.by)).sum::<i128>()
        };
        let bits = u32::from(config.quantiser.bits);
        let digit = |((i, place), sum): ((u32, u64), &i32)| {
            (i128::from(*sum) + offset + carried(place)) << (i * bits)
        };
        let places = (0..).zip(digits(config)).take(WEIGHT_DIGITS);
        let opened = rest.iter().skip(SENTINELS);
        let sealed = places.zip(opened).map(digit).sum::<i128>();
        sealed.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Whether both are the same.
    #[must_use]
    pub fn are_equal(&self) -> bool {
        i128::from(self.declared) == i128::from(self.sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::terms::tests::audited;
    use crate::config::Weighting;

    fn config() -> RoundConfig {
        let mut config = audited(100, 10, 64);
        (config.counters, config.quantiser.weighting) = (1, Weighting::CappedExamples(500));
        config
    }

    /// Sums of the digits of these weights, base 2^8, and of a counter, each less its middle.
    fn opened(weights: &[u32]) -> Vec<i32> {
        let digit = |i: usize, weight: &u32| (weight >> (8 * i) & 255) as i32 - 128;
        let sum = |i: usize| weights.iter().map(|weight| digit(i, weight)).sum();
        std::iter::repeat_n(0, SENTINELS).chain((0..4).map(sum)).chain([7, 7, 7, 7]).collect()
    }

    fn owners(declared: &[u32]) -> Vec<(PartyId, u32)> {
        (1..).map(|i| PartyId([i; 32])).zip(declared.iter().copied()).collect()
    }

    #[test]
    fn declared_and_sealed_weights_are_compared_as_integers() {
        let config = config();
        let honest = [1, 255, 256, 499, 500];
        let weights = Weights::of(&config, &owners(&honest), &opened(&honest), &[]);
        assert_eq!(weights, Weights { declared: 1511, sealed: 1511 });
        assert!(weights.are_equal());
        let weights = Weights::of(&config, &owners(&[1, 255, 1, 499, 500]), &opened(&honest), &[]);
        assert_eq!(weights, Weights { declared: 1256, sealed: 1511 });
        assert!(!weights.are_equal());
    }

    #[test]
    fn what_noise_carried_into_a_digit_is_put_right() {
        let config = config();
        let honest = [20, 300, 500];
        let mut off = opened(&honest);
        off[SENTINELS + 1] -= 1;
        let second = digits(&config).start + 1;
        let carry = Carry { coordinate: second, by: 1 };
        let weights = Weights::of(&config, &owners(&honest), &off, &[carry]);
        assert!(weights.are_equal(), "{weights:?}");
        let elsewhere = Carry { coordinate: 3, by: 1 };
        let weights = Weights::of(&config, &owners(&honest), &off, &[elsewhere]);
        assert_eq!(weights, Weights { declared: 820, sealed: 820 - 256 });
    }

    #[test]
    fn no_digits_overflow() {
        let config = config();
        for extreme in [i32::MIN, i32::MAX] {
            let weights = Weights::of(&config, &owners(&[1; 10]), &[extreme; SENTINELS + 8], &[]);
            assert_eq!(weights.declared, 10);
            assert!(!weights.are_equal());
        }
    }
}
