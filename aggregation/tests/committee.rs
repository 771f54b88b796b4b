//! Which holders it takes, and what liars among them can do: nothing but be named.

mod support;

use covey_aggregation::config::{CommitteeShape, Component, HolderIndex, Profile};
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::open::{Aggregate, Combined, KeySum, NotShort, Spoiled, combine, open};
use support::{Fixture, Terms, Upload, agreed};

const SHAPES: [CommitteeShape; 2] = [CommitteeShape::Four, CommitteeShape::Seven];

/// A round of three over `shape`, with everything that the coordinator holds.
struct Round {
    fixture: Fixture,
    uploads: Vec<Upload>,
    accumulator: Accumulator,
    releases: Vec<Vec<Vec<u8>>>,
    sums: Vec<i32>,
}

impl Round {
    fn new(profile: Profile, shape: CommitteeShape, round: u32) -> Self {
        let fixture = Fixture::new(Terms { profile, shape, round, ..Terms::default() });
        let units = |i: i32| (0..300).map(|c| (c * 7 + i * 31) % 255 - 127).collect::<Vec<_>>();
        let uploads: Vec<_> = (0..3).map(|i| fixture.seal(i, &units(i as i32), 1)).collect();
        let sums = (0..300).map(|c| (0..3).map(|i| units(i)[c]).sum()).collect();
        let mut accumulator = Accumulator::new(&fixture.config).expect("valid terms");
        for upload in &uploads {
            fixture.add(&mut accumulator, upload);
        }
        let releases = fixture.releases(&uploads);
        Self { fixture, uploads, accumulator, releases, sums }
    }

    fn open(&self, components: &[Vec<u8>]) -> Result<Aggregate, NotShort> {
        let config = &self.fixture.config;
        let key_sum = KeySum::recover(config, &self.accumulator, components, 3)?;
        let opened = open(config, &self.fixture.round_ctx, &self.accumulator, &key_sum, 3);
        Ok(opened.expect("opens"))
    }

    /// What these holders know of R_T for each component in canonical order.
    fn known_to(&self, holders: &[usize]) -> Vec<Option<Vec<u8>>> {
        let shape = self.fixture.config.shape;
        let find = |component: &Component| {
            let knows = |&&h: &&usize| component.known_to(HolderIndex(h as u8));
            let holder = *holders.iter().find(knows)?;
            let known = shape.components_of(HolderIndex(holder as u8));
            let at = known.iter().position(|other| other == component)?;
            Some(self.releases[holder][at].clone())
        };
        shape.components().iter().map(find).collect()
    }

    /// Corrections and these component sums, added up as the opening does (small profile).
    fn sum_of(&self, known: &[Option<Vec<u8>>]) -> Vec<u64> {
        const PRIME: u64 = (1 << 50) - (1 << 14) + 1;
        let mut sum = vec![0; self.fixture.config.profile.ring_dimension()];
        let corrections = self.uploads.iter().map(|upload| &upload.sealed.correction);
        for vector in corrections.chain(known.iter().flatten()) {
            let entries = unpack(vector);
            sum.iter_mut().zip(entries).for_each(|(sum, entry)| *sum = (*sum + entry) % PRIME);
        }
        sum
    }
}

/// Far above what 16 bins of 2048 uniform values reach (15 degrees of freedom, 1 in 10^10).
const CHI_SQUARE_MAX: f64 = 80.0;

/// How unevenly the first four bits of numbers below the small profile's prime are spread.
fn chi_square(numbers: &[u64]) -> f64 {
    let mut bins = [0u32; 16];
    for number in numbers {
        bins[(number >> 46) as usize] += 1;
    }
    let expected = numbers.len() as f64 / 16.0;
    bins.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum()
}

/// The numbers below the small profile's prime in packed bytes, 50 bits each.
fn unpack(bytes: &[u8]) -> Vec<u64> {
    let bit = |at: usize| u64::from(bytes[at / 8] >> (at % 8) & 1);
    (0..bytes.len() * 8 / 50)
        .map(|entry| (0..50).fold(0, |word, at| word | bit(entry * 50 + at) << at))
        .collect()
}

fn subsets(members: usize, size: usize) -> impl Iterator<Item = Vec<usize>> {
    (0u32..1 << members)
        .filter(move |mask| mask.count_ones() as usize == size)
        .map(move |mask| (0..members).filter(|h| mask >> h & 1 == 1).collect())
}

fn is_open(combined: &Combined) -> bool {
    combined.components.iter().all(Option::is_some)
}

#[test]
fn every_quorum_opens_the_same_sum() {
    for shape in SHAPES {
        let round = Round::new(Profile::B, shape, 1);
        for size in shape.quorum()..=shape.members() {
            for holders in subsets(shape.members(), size) {
                let combined = round.fixture.combine(&round.releases, &holders);
                assert!(combined.liars.is_empty());
                assert_eq!(round.open(&agreed(&combined)).expect("short").sums, round.sums);
            }
        }
    }
}

/// What f + 1 holders know is everything: put together without asking for equal copies.
#[test]
fn every_f_plus_one_holders_know_the_whole_key() {
    for shape in SHAPES {
        let round = Round::new(Profile::A, shape, 1);
        for size in shape.faults() + 1..=shape.members() {
            for holders in subsets(shape.members(), size) {
                let known = round.known_to(&holders).into_iter();
                let components: Vec<_> =
                    known.map(|sum| sum.expect("f + 1 holders cover all")).collect();
                assert_eq!(round.open(&components).expect("short").sums, round.sums);
            }
        }
    }
}

/// What f holders and the coordinator have, put together in whatever way, is no key: at least one
/// component is missing, nothing they could put in its place fits, and what they do have looks
/// like noise.
#[test]
fn no_f_holders_can_open_anything_with_all_that_is_public() {
    for shape in SHAPES {
        let round = Round::new(Profile::A, shape, 1);
        let other = Round::new(Profile::A, shape, 2);
        for size in 0..=shape.faults() {
            for holders in subsets(shape.members(), size) {
                let known = round.known_to(&holders);
                let missing = known.iter().filter(|sum| sum.is_none()).count();
                assert!(missing >= 1, "{holders:?}");
                assert_eq!(missing == 1, size == shape.faults(), "{holders:?}");
                let with = |filling: &dyn Fn(usize) -> Vec<u8>| {
                    let filled = (0..).zip(&known);
                    let filled: Vec<_> = filled
                        .map(|(at, sum)| sum.clone().unwrap_or_else(|| filling(at)))
                        .collect();
                    round.open(&filled).err()
                };
                // Nothing, another round's, and another component's.
                let elsewhere = other.known_to(&(0..shape.members()).collect::<Vec<_>>());
                let here = round.known_to(&(0..shape.members()).collect::<Vec<_>>());
                let next = |at: usize| here[(at + 1) % here.len()].clone().expect("all known");
                let fillings: [&dyn Fn(usize) -> Vec<u8>; 3] = [
                    &|_| vec![0; 12_800],
                    &|at| elsewhere[at].clone().expect("all known"),
                    // All of them moved by one would be the right ones in another order.
                    &|at| if missing == known.len() { vec![0; 12_800] } else { next(at) },
                ];
                for filling in fillings {
                    assert_eq!(with(filling), Some(NotShort::Entry { entry: 0 }), "{holders:?}");
                }
                let flat = chi_square(&round.sum_of(&known));
                assert!(flat < CHI_SQUARE_MAX, "{holders:?}: {flat}");
            }
        }
        // The whole key sum is anything but flat, so the measure tells the difference.
        let all: Vec<usize> = (0..shape.members()).collect();
        assert!(chi_square(&round.sum_of(&round.known_to(&all))) > 100.0 * CHI_SQUARE_MAX);
    }
}

#[test]
fn fewer_releases_than_a_quorum_open_nothing() {
    for shape in SHAPES {
        let round = Round::new(Profile::A, shape, 1);
        for size in 0..shape.quorum() {
            for holders in subsets(shape.members(), size) {
                let combined = round.fixture.combine(&round.releases, &holders);
                assert!(!is_open(&combined) && combined.liars.is_empty());
            }
        }
    }
}

/// Every choice of holders that release nothing and of at most f that lie, alone or in concert:
/// a component opens if and only if f + 1 honest copies of it came, and then it is the right one
/// and whoever gave another is named. So one of four, or two of seven, stop nothing; one of four
/// missing and one lying open nothing; nobody honest is ever named.
#[test]
fn every_choice_of_missing_and_lying_holders_opens_the_right_sum_or_nothing() {
    for shape in SHAPES {
        let round = Round::new(Profile::A, shape, 1);
        let all: Vec<usize> = (0..shape.members()).collect();
        let right = agreed(&round.fixture.combine(&round.releases, &all));
        let mut opened = 0;
        for liars in (0..=shape.faults()).flat_map(|size| subsets(shape.members(), size)) {
            for missing in (0..=shape.members()).flat_map(|size| subsets(shape.members(), size)) {
                if liars.iter().any(|liar| missing.contains(liar)) {
                    continue;
                }
                let lie = Choice { liars: &liars, missing: &missing, in_concert: false };
                let is_open = lie.judge(&round, &right);
                opened += usize::from(is_open);
                if liars.len() > 1 {
                    assert_eq!(Choice { in_concert: true, ..lie }.judge(&round, &right), is_open);
                }
            }
        }
        // Nobody faulty, or up to f of them missing, or lying, or both.
        let expected = match shape {
            CommitteeShape::Four => 1 + 4 + 4,
            CommitteeShape::Seven => 1 + 7 + 7 + 21 + 21 + 42,
        };
        assert_eq!(opened, expected, "{shape:?}");
    }
}

/// Who does not release, and who lies.
struct Choice<'a> {
    liars: &'a [usize],
    missing: &'a [usize],
    /// Liars tell the same lie.
    in_concert: bool,
}

impl Choice<'_> {
    /// Whether everything opens.
    fn judge(&self, round: &Round, right: &[Vec<u8>]) -> bool {
        let shape = round.fixture.config.shape;
        let mut releases = round.releases.clone();
        for &liar in self.liars {
            let mark = if self.in_concert { 1 } else { 1 << liar };
            releases[liar].iter_mut().for_each(|sum| sum[0] ^= mark);
        }
        let present: Vec<usize> =
            (0..shape.members()).filter(|holder| !self.missing.contains(holder)).collect();
        let combined = round.fixture.combine(&releases, &present);
        let mut named = Vec::new();
        for ((component, sum), right) in
            shape.components().iter().zip(&combined.components).zip(right)
        {
            let knows = |holder: &&usize| component.known_to(HolderIndex(**holder as u8));
            let (lying, honest): (Vec<usize>, Vec<usize>) =
                present.iter().filter(knows).partition(|holder| self.liars.contains(holder));
            if honest.len() > shape.faults() {
                assert_eq!(sum.as_ref(), Some(right), "{:?} {:?}", self.liars, self.missing);
                named.extend(lying);
            } else {
                assert_eq!(*sum, None, "{:?} {:?}", self.liars, self.missing);
            }
        }
        named.sort_unstable();
        named.dedup();
        let liars: Vec<usize> = combined.liars.iter().map(|liar| liar.0.into()).collect();
        assert_eq!(liars, named, "missing {:?}", self.missing);
        if is_open(&combined) {
            assert_eq!(named, self.liars, "who lied is named whenever the sum opens");
        }
        is_open(&combined)
    }
}

/// What a lying holder releases.
#[derive(Clone, Copy)]
enum Lie {
    FirstBit,
    LastBit,
    OtherRound,
    OneLess,
    Short,
}

impl Lie {
    fn tell(self, sums: &mut Vec<Vec<u8>>, other_round: &[Vec<u8>]) {
        match self {
            Self::FirstBit => sums[0][0] ^= 1,
            Self::LastBit => sums.last_mut().expect("some")[51_199] ^= 1,
            Self::OtherRound => sums.clone_from_slice(other_round),
            Self::OneLess => sums.truncate(sums.len() - 1),
            Self::Short => sums[1].truncate(100),
        }
    }
}

#[test]
fn any_f_liars_are_outvoted_and_named() {
    for shape in SHAPES {
        let round = Round::new(Profile::B, shape, 1);
        let other = Round::new(Profile::B, shape, 2);
        let all: Vec<usize> = (0..shape.members()).collect();
        for liars in subsets(shape.members(), shape.faults()) {
            for lie in [Lie::FirstBit, Lie::LastBit, Lie::OtherRound, Lie::OneLess, Lie::Short] {
                let mut releases = round.releases.clone();
                for &liar in &liars {
                    lie.tell(&mut releases[liar], &other.releases[liar]);
                }
                let combined = round.fixture.combine(&releases, &all);
                let named: Vec<usize> =
                    combined.liars.iter().map(|holder| holder.0.into()).collect();
                assert_eq!(named, liars);
                assert_eq!(round.open(&agreed(&combined)).expect("short").sums, round.sums);
            }
        }
    }
}

#[test]
fn one_missing_and_one_lying_of_four_open_nothing() {
    let mut round = Round::new(Profile::A, CommitteeShape::Four, 1);
    round.releases[1][0][7] ^= 4;
    let combined = round.fixture.combine(&round.releases, &[0, 1, 2]);
    assert!(!is_open(&combined));
}

#[test]
fn a_second_release_and_a_stranger_are_ignored() {
    let round = Round::new(Profile::A, CommitteeShape::Four, 1);
    let mut lie = round.releases[0].clone();
    lie[0][0] ^= 1;
    let mut given: Vec<_> =
        (0..4).map(|h| (HolderIndex(h as u8), round.releases[h].as_slice())).collect();
    given.push((HolderIndex(0), &lie));
    given.push((HolderIndex(9), &lie));
    let combined = combine(&round.fixture.config, &given);
    assert!(combined.liars.is_empty());
    assert_eq!(round.open(&agreed(&combined)).expect("short").sums, round.sums);
}

#[test]
fn wrong_components_do_not_give_a_short_key() {
    let round = Round::new(Profile::B, CommitteeShape::Four, 1);
    let other = Round::new(Profile::B, CommitteeShape::Four, 2);
    let good = agreed(&round.fixture.combine(&round.releases, &[0, 1, 2, 3]));
    let replayed = agreed(&other.fixture.combine(&other.releases, &[0, 1, 2, 3]));
    assert_eq!(round.open(&replayed).err(), Some(NotShort::Entry { entry: 0 }));

    let mut moved = good.clone();
    moved.swap(0, 1);
    // The sum does not depend on the order; each component alone would.
    assert_eq!(round.open(&moved).expect("short").sums, round.sums);
    assert_eq!(round.open(&good[..3]).err(), Some(NotShort::Components { got: 3, expected: 4 }));
    let mut changed = good.clone();
    changed[2][51_193..].fill(0xff);
    assert_eq!(round.open(&changed).err(), Some(NotShort::Component(2)));
    let mut changed = good.clone();
    changed[2].pop();
    assert_eq!(round.open(&changed).err(), Some(NotShort::Component(2)));
    // One limb of entry 5 off by one: the limbs disagree.
    let mut changed = good;
    changed[0][5 * 100 / 8 + 1] ^= 0x10;
    assert_eq!(round.open(&changed).err(), Some(NotShort::Entry { entry: 5 }));
}

#[test]
fn a_missing_or_foreign_contribution_is_found_when_opening() {
    let round = Round::new(Profile::B, CommitteeShape::Four, 1);
    let config = &round.fixture.config;
    let components = agreed(&round.fixture.combine(&round.releases, &[0, 1, 2, 3]));
    let key_sum = KeySum::recover(config, &round.accumulator, &components, 3).expect("short");

    let mut fewer = Accumulator::new(config).expect("valid terms");
    for upload in &round.uploads[..2] {
        round.fixture.add(&mut fewer, upload);
    }
    assert_eq!(
        KeySum::recover(config, &fewer, &components, 3).err(),
        Some(NotShort::Count { added: Some(2), expected: 3 })
    );
    assert_eq!(
        open(config, &round.fixture.round_ctx, &fewer, &key_sum, 3).err(),
        Some(Spoiled::Count { added: Some(2), expected: 3 })
    );
    let opened = open(config, &round.fixture.round_ctx, &fewer, &key_sum, 2);
    assert!(opened.is_err(), "the key of three does not open two");

    let other = Fixture::new(Terms { round: 2, ..Terms::default() });
    let foreign = Accumulator::new(&other.config).expect("valid terms");
    assert_eq!(
        open(config, &round.fixture.round_ctx, &foreign, &key_sum, 0).err(),
        Some(Spoiled::Shape)
    );
}

#[test]
fn key_sums_round_trip_and_long_ones_are_refused() {
    let round = Round::new(Profile::B, CommitteeShape::Four, 1);
    let config = &round.fixture.config;
    let components = agreed(&round.fixture.combine(&round.releases, &[0, 1, 2, 3]));
    let key_sum = KeySum::recover(config, &round.accumulator, &components, 3).expect("short");
    let bytes = key_sum.to_bytes();
    let again = KeySum::from_bytes(config, &bytes).expect("short");
    assert_eq!(again, key_sum);
    assert_eq!(again.digest(), key_sum.digest());
    assert_eq!(
        KeySum::from_bytes(config, &bytes[4..]).err(),
        Some(NotShort::Length { got: 16_380, expected: 16_384 })
    );
    // n_max is 10: entries up to 640.
    let mut long = bytes;
    long[40..44].copy_from_slice(&641i32.to_le_bytes());
    assert_eq!(KeySum::from_bytes(config, &long).err(), Some(NotShort::Entry { entry: 10 }));
    long[40..44].copy_from_slice(&i32::MIN.to_le_bytes());
    assert_eq!(KeySum::from_bytes(config, &long).err(), Some(NotShort::Entry { entry: 10 }));
}

#[test]
fn any_wrong_entry_of_the_key_sum_spoils_the_opening() {
    let round = Round::new(Profile::B, CommitteeShape::Four, 1);
    let config = &round.fixture.config;
    let components = agreed(&round.fixture.combine(&round.releases, &[0, 1, 2, 3]));
    let key_sum = KeySum::recover(config, &round.accumulator, &components, 3).expect("short");
    for entry in [0, 1, 2048, 4095] {
        let mut bytes = key_sum.to_bytes();
        let value = i32::from_le_bytes(bytes[entry * 4..][..4].try_into().expect("four"));
        let changed = if value > 0 { value - 1 } else { value + 1 };
        bytes[entry * 4..][..4].copy_from_slice(&changed.to_le_bytes());
        let wrong = KeySum::from_bytes(config, &bytes).expect("still short");
        let opened = open(config, &round.fixture.round_ctx, &round.accumulator, &wrong, 3);
        assert!(opened.is_err(), "entry {entry}");
    }
}
