//! One attacker beside nine honest owners whose labels are wrong by 0 to 40 %.

use std::fmt;

use covey_client::sim::{AttackKind, FreeRide};

use crate::credit::Credit;
use crate::digits::Digits;
use crate::federation::Federation;
use crate::figures::{Figure, Figures};
use crate::measure::{Credits, credits};
use crate::metric::mean;
use crate::mlp::{Examples, recall};
use crate::owner::{Conduct, Owner};
use crate::scenario::{OWNERS, even, with_noise};

/// Share of wrong labels of the last honest owner.
const HONEST_NOISE_MAX: f64 = 0.4;

/// The class that is poisoned, and what it is to be taken for.
const POISON: [u32; 2] = [3, 8];

/// Times its examples that one claims.
const CLAIM: f64 = 5.0;

/// Times its update that one sends.
const BOOST: f64 = 10.0;

/// Share of wrong labels of one that is worth nothing.
const NOISE: f64 = 0.6;

/// What the one beside the nine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attack {
    /// Nothing bad, with clean data: what the others are compared with.
    Honest,
    /// Sends zeros.
    Zero,
    /// Sends noise as long as the clipping allows.
    Random,
    /// Sends the update with its sign changed.
    SignFlip,
    /// Has 60 % wrong labels.
    Noise,
    /// Sends the last step again, as long as the clipping allows.
    Replay,
    /// Hides a poison.
    HiddenPoison,
    /// Claims five times its examples.
    Claim,
    /// Comes as two.
    Split,
    /// Sends ten times its update.
    Boost,
    /// Trains on the fold that it should not know yet.
    CurrentFold,
    /// Trains on the folds that everybody knows.
    OpenedFolds,
}

pub(crate) const ATTACKS: [Attack; 12] = [
    Attack::Honest,
    Attack::Zero,
    Attack::Random,
    Attack::SignFlip,
    Attack::Noise,
    Attack::Replay,
    Attack::HiddenPoison,
    Attack::Claim,
    Attack::Split,
    Attack::Boost,
    Attack::CurrentFold,
    Attack::OpenedFolds,
];

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Honest => "honest",
            Self::Zero => "zero",
            Self::Random => "random",
            Self::SignFlip => "sign-flip",
            Self::Noise => "noise-60",
            Self::Replay => "replay",
            Self::HiddenPoison => "hidden-poison",
            Self::Claim => "claim-5",
            Self::Split => "split-2",
            Self::Boost => "norm-10",
            Self::CurrentFold => "current-fold",
            Self::OpenedFolds => "opened-folds",
        })
    }
}

/// What came of every attack with one seed, by the encrypted run's credits and by exact ones.
pub(crate) fn measure(digits: &Digits, seed: u64) -> Vec<(Attack, [Figures; 2])> {
    let test = Examples::new(&digits.test);
    let mut honest: Option<[Figures; 2]> = None;
    let mut honest_recall = 0.0;
    let mut all = Vec::new();
    for attack in ATTACKS {
        let owners = attack.owners(digits, seed);
        let federation = Federation::new(&owners, digits, seed);
        let rounds = federation.record();
        let Credits { encrypted, exact } = credits(&federation, &rounds);
        let mut figures = [&encrypted, &exact].map(|credits| judge(credits));
        let base = *honest.get_or_insert(figures);
        for (figures, base) in figures.iter_mut().zip(base) {
            let gain = figures.get(Figure::Paid).zip(base.get(Figure::Paid));
            figures.set(Figure::Gain, gain.map(|(own, honest)| own / honest));
        }
        let last = rounds.last().map_or(&federation.initial, |round| &round.after);
        let found = recall(last, &test, POISON[0] as u8);
        match attack {
            Attack::Honest => honest_recall = found,
            Attack::HiddenPoison => {
                let change = Some(found - honest_recall);
                figures.iter_mut().for_each(|one| one.set(Figure::RecallChange, change));
            }
            _ => {}
        }
        all.push((attack, figures));
    }
    all
}

/// The last owners, from the tenth on, are the attacker.
fn judge(credits: &[Credit]) -> Figures {
    let (honest, attacker) = credits.split_at(OWNERS - 1);
    let average = mean(&honest.iter().map(|one| one.paid).collect::<Vec<_>>());
    let paid: f64 = attacker.iter().map(|one| one.paid).sum();
    let flagged = |is: fn(&Credit) -> bool| Some(f64::from(u8::from(attacker.iter().any(is))));
    let mut figures = Figures::default();
    let average = average.filter(|average| *average > 0.0);
    figures.set(Figure::Paid, average.map(|average| paid / average));
    figures.set(Figure::NoveltyFlagged, flagged(|one| one.is_novelty_flagged));
    figures.set(Figure::HarmFlagged, flagged(|one| one.is_harm_flagged));
    figures.set(Figure::PublicFlagged, flagged(|one| one.is_public_flagged));
    figures.set(Figure::Flagged, flagged(|one| one.is_novelty_flagged || one.is_harm_flagged));
    figures
}

impl Attack {
    fn owners(self, digits: &Digits, seed: u64) -> Vec<Owner> {
        let parts = even(&digits.training, seed);
        let share = |place| HONEST_NOISE_MAX * place as f64 / (OWNERS - 2) as f64;
        let mut owners: Vec<_> = (0..OWNERS - 1)
            .map(|place| with_noise(&parts[place], share(place), seed, place))
            .collect();
        let place = OWNERS - 1;
        let own = &parts[place];
        let numbers = [seed, place as u64].map(u64::to_le_bytes);
        let attacker =
            |kind| Owner::attacker(own.clone(), kind, &numbers.each_ref().map(|n| &n[..]));
        let with = |conduct| Owner { conduct, ..Owner::honest(own.clone()) };
        match self {
            Self::Honest => owners.push(Owner::honest(own.clone())),
            Self::Zero => owners.push(attacker(AttackKind::FreeRider(FreeRide::Zero))),
            Self::Random => owners.push(attacker(AttackKind::FreeRider(FreeRide::Random))),
            Self::SignFlip => owners.push(attacker(AttackKind::SignFlip(1.0))),
            Self::Noise => owners.push(with_noise(own, NOISE, seed, place)),
            Self::Replay => owners.push(attacker(AttackKind::FreeRider(FreeRide::BoostedReplay))),
            Self::HiddenPoison => {
                let [from, to] = POISON;
                owners.push(with(Conduct::HiddenPoison { from, to }));
            }
            Self::Claim => owners.push(attacker(AttackKind::Claim(CLAIM))),
            Self::Split => {
                let half = |first: usize| (first..own.len()).step_by(2).collect::<Vec<_>>();
                owners.extend([0, 1].map(|first| Owner::honest(own.subset(&half(first)))));
            }
            Self::Boost => owners.push(attacker(AttackKind::Boost(BOOST))),
            Self::CurrentFold => owners.push(with(Conduct::CurrentFold)),
            Self::OpenedFolds => owners.push(with(Conduct::OpenedFolds)),
        }
        owners
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attacker_comes_after_nine_honest_owners() {
        let digits = Digits::open(1).expect("they ship");
        let clean = Attack::Honest.owners(&digits, 1);
        for attack in ATTACKS {
            let owners = attack.owners(&digits, 1);
            assert_eq!(owners.len(), if attack == Attack::Split { 11 } else { 10 }, "{attack}");
            for (own, clean) in owners[..9].iter().zip(&clean) {
                assert!(own.conduct == clean.conduct && own.data == clean.data, "{attack}");
            }
        }
        assert_eq!(Attack::Claim.owners(&digits, 1)[9].claimed, 375);
        let halves = Attack::Split.owners(&digits, 1);
        assert_eq!((halves[9].claimed, halves[10].claimed), (38, 37));
    }
}
