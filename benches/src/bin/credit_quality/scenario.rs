//! Ten owners of one kind or another, as the design note on credits has them.

use std::fmt;
use std::str::FromStr;

use covey_client::sim::{AttackKind, FreeRide};
use covey_model::data::Dataset;
use covey_model::random::{shuffle, stream};
use covey_model::split::{by_class, dirichlet_by_label, iid};

use crate::digits::Digits;
use crate::mlp::CLASSES;
use crate::owner::{Owner, Truths};

pub(crate) const OWNERS: usize = 10;

/// Parameter of the Dirichlet division.
const ALPHA: f64 = 0.5;

/// Fewest examples of an owner of that division.
const FEWEST: usize = 20;

/// Share of wrong labels of the last owner where it grows from owner to owner.
const LABEL_NOISE_MAX: f64 = 0.6;

/// With more wrong labels than this an owner is bad. The design note's honest owners have up to so
/// many.
const BAD_LABELS: f64 = 0.4;

/// Share of wrong labels of the two noisy owners beside one with rare classes.
const RARE_NOISE: f64 = 0.5;

/// Deviation of noise on pixels between 0 and 1.
const FEATURE_NOISE: f64 = 1.0;

/// Factor of a changed sign.
const SIGN_FLIP: f64 = 3.0;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Four clean owners and a copy of one; two with wrong labels (30 and 60 %), one with noise on
    /// its inputs, a free-rider (zero, random or replay by the seed), one that changes the sign.
    Mixed,
    /// 0 to 60 % wrong labels, a little more from owner to owner.
    Label,
    /// The same, and owners differ in their classes.
    DirichletLabel,
    /// Mixed, and owners differ in their classes.
    MixedDirichlet,
    /// One owner alone has two of the classes; two others have half of their labels wrong.
    Rare,
    /// All clean; one has ten times as much as another, the others between.
    Counts,
}

pub(crate) const SCENARIOS: [Scenario; 6] = [
    Scenario::Mixed,
    Scenario::Label,
    Scenario::DirichletLabel,
    Scenario::MixedDirichlet,
    Scenario::Rare,
    Scenario::Counts,
];

impl Scenario {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Label => "label",
            Self::DirichletLabel => "dirichlet-label",
            Self::MixedDirichlet => "mixed-dirichlet",
            Self::Rare => "rare",
            Self::Counts => "counts",
        }
    }

    /// The owners of one seed.
    pub(crate) fn owners(self, digits: &Digits, seed: u64) -> Vec<Owner> {
        let training = &digits.training;
        match self {
            Self::Mixed => mixed(&even(training, seed), seed),
            Self::MixedDirichlet => mixed(&uneven(training, seed), seed),
            Self::Label => noisy(&even(training, seed), seed),
            Self::DirichletLabel => noisy(&uneven(training, seed), seed),
            Self::Rare => rare(training, seed),
            Self::Counts => counts(training, seed),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = SCENARIOS.into_iter().find(|scenario| scenario.word() == text);
        found.ok_or_else(|| format!("{text:?} is no scenario"))
    }
}

/// Equally many examples for each of ten owners, at random.
pub(crate) fn even(training: &Dataset, seed: u64) -> Vec<Dataset> {
    let parts = iid(training.len(), OWNERS, seed).expect("more examples than owners");
    parts.iter().map(|part| training.subset(part)).collect()
}

fn uneven(training: &Dataset, seed: u64) -> Vec<Dataset> {
    let parts = dirichlet_by_label(training.labels(), OWNERS, ALPHA, FEWEST, seed);
    let parts = parts.expect("ten owners of 750 examples have twenty each sooner or later");
    parts.iter().map(|part| training.subset(part)).collect()
}

/// An owner of whose labels so many are wrong.
pub(crate) fn with_noise(data: &Dataset, share: f64, seed: u64, place: usize) -> Owner {
    let (seed, place) = (seed.to_le_bytes(), (place as u64).to_le_bytes());
    let kind = AttackKind::LabelNoise(share);
    Owner::attacker(data.clone(), kind, &[&seed, &place]).known(Truths {
        is_bad: share > BAD_LABELS,
        is_worthless: share >= LABEL_NOISE_MAX,
        ..Truths::default()
    })
}

fn noisy(parts: &[Dataset], seed: u64) -> Vec<Owner> {
    let last = (OWNERS - 1) as f64;
    let share = |place| LABEL_NOISE_MAX * place as f64 / last;
    (0..OWNERS).map(|place| with_noise(&parts[place], share(place), seed, place)).collect()
}

fn mixed(parts: &[Dataset], seed: u64) -> Vec<Owner> {
    let attacker = |place: usize, kind, truths| {
        let (seed, number) = (seed.to_le_bytes(), (place as u64).to_le_bytes());
        Owner::attacker(parts[place].clone(), kind, &[&seed, &number]).known(truths)
    };
    let bad = Truths { is_bad: true, ..Truths::default() };
    let ride = [FreeRide::Zero, FreeRide::Random, FreeRide::Replay][seed as usize % 3];
    let free_rider = Truths {
        is_free_rider: true,
        // A step sent again does move the model where it should go; it is for the flag to see.
        is_worthless: ride != FreeRide::Replay,
        ..bad
    };
    let flipped = Truths { is_worthless: true, is_harmful: true, ..bad };
    let mut owners: Vec<_> = parts[..4].iter().map(|part| Owner::honest(part.clone())).collect();
    // The tenth part of the examples is nobody's: the copy has the first owner's.
    owners.push(Owner::honest(parts[0].clone()));
    // Beside clean ones, this one is bad too.
    owners.push(with_noise(&parts[5], 0.3, seed, 5).known(bad));
    owners.push(with_noise(&parts[6], 0.6, seed, 6));
    owners.push(attacker(7, AttackKind::FeatureNoise(FEATURE_NOISE), bad));
    owners.push(attacker(8, AttackKind::FreeRider(ride), free_rider));
    owners.push(attacker(9, AttackKind::SignFlip(SIGN_FLIP), flipped));
    owners
}

/// The first owner has two classes that nobody else has, half of its examples, and as many examples
/// as the others have on average.
fn rare(training: &Dataset, seed: u64) -> Vec<Owner> {
    let mut rng = stream("credit-quality-rare", &[&seed.to_le_bytes()]);
    let mut classes = by_class(training.labels());
    classes.iter_mut().for_each(|class| shuffle(class, &mut rng));
    shuffle(&mut classes, &mut rng);
    let (rare, common) = classes.split_at(2);
    let mut rest = common.concat();
    shuffle(&mut rest, &mut rng);
    let each = rest.len() / OWNERS;
    let mut own: Vec<usize> = rare.iter().flat_map(|class| class[..each / 4].to_vec()).collect();
    own.extend(rest.drain(..each - own.len()));
    let mut owners = vec![Owner::honest(training.subset(&own))];
    for (place, part) in rest.chunks(rest.len().div_ceil(OWNERS - 1)).enumerate() {
        let data = training.subset(part);
        owners.push(match place {
            0 | 1 => with_noise(&data, RARE_NOISE, seed, place),
            _ => Owner::honest(data),
        });
    }
    debug_assert_eq!((owners.len(), classes.len()), (OWNERS, CLASSES));
    owners
}

fn counts(training: &Dataset, seed: u64) -> Vec<Owner> {
    let mut order: Vec<usize> = (0..training.len()).collect();
    shuffle(&mut order, &mut stream("credit-quality-counts", &[&seed.to_le_bytes()]));
    let shares: usize = (1..=OWNERS).sum();
    let mut owners = Vec::new();
    for place in 1..=OWNERS {
        let part: Vec<_> = order.drain(..training.len() * place / shares.max(1)).collect();
        owners.push(Owner::honest(training.subset(&part)));
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits::class_counts;
    use crate::owner::Conduct;

    #[test]
    fn scenarios_are_read_as_they_are_written() {
        for scenario in SCENARIOS {
            assert_eq!(scenario.to_string().parse(), Ok(scenario));
        }
        assert!("mix".parse::<Scenario>().is_err());
    }

    #[test]
    fn every_scenario_has_ten_owners_and_the_seed_says_what_they_have() {
        let digits = Digits::open(1).expect("they ship");
        for scenario in SCENARIOS {
            let data = |seed| {
                let owners = scenario.owners(&digits, seed);
                owners.into_iter().map(|owner| owner.data).collect::<Vec<_>>()
            };
            assert_eq!(data(1).len(), OWNERS);
            assert_eq!(data(1), data(1), "{scenario}");
            assert_ne!(data(1), data(2), "{scenario}");
        }
    }

    #[test]
    fn mixed_has_five_bad_owners_one_copy_and_each_free_rider_in_turn() {
        let digits = Digits::open(1).expect("they ship");
        for (seed, ride) in [(3, FreeRide::Zero), (4, FreeRide::Random), (5, FreeRide::Replay)] {
            let owners = Scenario::Mixed.owners(&digits, seed);
            assert_eq!(owners.iter().filter(|owner| owner.truths.is_bad).count(), 5);
            assert_eq!(owners[0].data, owners[4].data);
            assert_eq!(owners[8].conduct, Conduct::Attack(AttackKind::FreeRider(ride)));
            assert_eq!(owners[8].truths.is_worthless, ride != FreeRide::Replay);
        }
    }

    #[test]
    fn one_owner_alone_has_the_rare_classes() {
        let digits = Digits::open(1).expect("they ship");
        let owners = Scenario::Rare.owners(&digits, 1);
        // Of the noisy owners (1 and 2), labels say nothing.
        let clean = class_counts(
            &owners[3..].iter().flat_map(|owner| owner.data.labels().to_vec()).collect::<Vec<_>>(),
        );
        let own = class_counts(owners[0].data.labels());
        let rare: Vec<_> = (0..CLASSES).filter(|class| clean[*class] == 0).collect();
        assert_eq!(rare.len(), 2);
        assert!(rare.iter().all(|class| own[*class] == 15), "{own:?}");
        assert_eq!(owners[0].data.len(), 60);
        assert_eq!(owners.iter().filter(|owner| owner.truths.is_bad).count(), 2);
    }

    #[test]
    fn counts_go_from_one_to_ten() {
        let digits = Digits::open(1).expect("they ship");
        let counts: Vec<_> =
            Scenario::Counts.owners(&digits, 1).iter().map(|owner| owner.claimed).collect();
        assert_eq!((counts[0], counts[9]), (13, 136));
        assert!(counts.is_sorted() && counts.iter().sum::<u32>() <= 750);
    }
}
