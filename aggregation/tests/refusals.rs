//! Everything that can be wrong with a contribution, each with its own refusal.

mod support;

use std::sync::Arc;

use covey_aggregation::config::{HolderIndex, Profile, Weighting};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::ComplaintKind;
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::contribution::{BadContribution, ContributionCheck};
use covey_aggregation::sum::open::{KeySum, Spoiled, open};
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::{ChunkSink, SealError, seal};
use covey_aggregation::sum::share::{check_envelope, open_envelope};
use support::{Fixture, Terms, Upload, agreed, client, resigned};
use zeroize::Zeroizing;

const HOLDER: HolderIndex = HolderIndex(1);

fn fixture() -> Fixture {
    Fixture::new(Terms::default())
}

#[test]
fn an_honest_upload_is_accepted() {
    let fixture = fixture();
    assert_eq!(fixture.check(&fixture.seal(0, &[5; 300], 1)), Ok(()));
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    let fixture = fixture();
    let expect = |fault: BadContribution, change: &dyn Fn(&mut Upload)| {
        let mut upload = fixture.seal(0, &[5; 300], 1);
        change(&mut upload);
        assert_eq!(fixture.check(&upload), Err(fault));
    };
    use BadContribution as Bad;
    expect(Bad::OtherRound, &|u| u.sealed.header.header.round_ctx.0[0] ^= 1);
    expect(Bad::Signature, &|u| u.sealed.header.header.client.0[3] ^= 1);
    expect(Bad::Signature, &|u| u.sealed.header.header.components[2].0[9] ^= 1);
    expect(Bad::Signature, &|u| u.sealed.header.header.box_keys[3].0[31] ^= 1);
    expect(Bad::Signature, &|u| u.sealed.header.header.boxes[0].0[0] ^= 1);
    expect(Bad::Signature, &|u| u.sealed.header.header.correction.0[0] ^= 1);
    expect(Bad::Signature, &|u| u.sealed.header.header.chunks_root.0[0] ^= 1);
    for at in [0, 25_600, 51_190] {
        expect(Bad::Correction, &|u| u.sealed.correction[at] ^= 1);
    }
    for at in [0, 1087, 1088, 1119, 1120, 1231] {
        expect(Bad::Box(HolderIndex(3)), &|u| u.sealed.boxes[3][at] ^= 0x80);
    }
    let last = fixture.config.chunk_bytes(0) - 1;
    for at in [0, last / 2, last] {
        expect(Bad::Chunks, &|u| u.chunks[0][at] ^= 1);
    }
}

#[test]
fn every_byte_of_a_box_counts() {
    let fixture = fixture();
    let upload = fixture.seal(0, &[5; 300], 1);
    let mut check =
        ContributionCheck::new(&fixture.config, &upload.sealed.header).expect("a good header");
    check.correction(&upload.sealed.correction).expect("good");
    for at in 0..upload.sealed.boxes[0].len() {
        let mut changed = upload.sealed.boxes[0].clone();
        changed[at] ^= 1;
        let refused = check.sealed_box(HolderIndex(0), &changed);
        assert_eq!(refused, Err(BadContribution::Box(HolderIndex(0))), "byte {at}");
    }
}

#[test]
fn wrong_lengths_and_orders_are_refused() {
    let fixture = fixture();
    let upload = fixture.seal(0, &[5; 300], 1);
    let (config, sealed) = (&fixture.config, &upload.sealed);
    let start = || ContributionCheck::new(config, &sealed.header).expect("a good header");
    use BadContribution as Bad;

    let short = Bad::CorrectionLength { got: 51_199, expected: 51_200 };
    assert_eq!(start().correction(&sealed.correction[1..]), Err(short));
    assert_eq!(start().sealed_box(HolderIndex(0), &sealed.boxes[0]), Err(Bad::Order));
    assert_eq!(start().chunk(0, &upload.chunks[0]), Err(Bad::Order));
    assert_eq!(start().finish(), Err(Bad::Incomplete));

    let mut check = start();
    check.correction(&sealed.correction).expect("good");
    assert_eq!(check.correction(&sealed.correction), Err(Bad::Order));
    assert_eq!(check.sealed_box(HolderIndex(1), &sealed.boxes[1]), Err(Bad::Order));
    assert_eq!(check.sealed_box(HolderIndex(99), &sealed.boxes[1]), Err(Bad::Order));
    let long = [sealed.boxes[0].as_slice(), &[0]].concat();
    let holder = HolderIndex(0);
    let refused = Bad::BoxLength { holder, got: 1233, expected: 1232 };
    assert_eq!(check.sealed_box(holder, &long), Err(refused));
    for (holder, sealed_box) in (0..).map(HolderIndex).zip(&sealed.boxes) {
        check.sealed_box(holder, sealed_box).expect("good");
    }
    assert_eq!(check.chunk(1, &upload.chunks[0]), Err(Bad::Order));
    let expected = config.chunk_bytes(0);
    let refused = Bad::ChunkLength { index: 0, got: expected - 1, expected };
    assert_eq!(check.chunk(0, &upload.chunks[0][1..]), Err(refused));
    check.chunk(0, &upload.chunks[0]).expect("good");
    assert_eq!(check.chunk(1, &upload.chunks[0]), Err(Bad::Order));
    assert_eq!(check.finish(), Ok(()));
}

#[test]
fn headers_with_other_numbers_of_hashes_are_refused() {
    let fixture = fixture();
    let changes: [fn(&mut Upload); 4] = [
        |u| u.sealed.header.header.components.truncate(3),
        |u| u.sealed.header.header.components.push(Digest::ZERO),
        |u| u.sealed.header.header.boxes.truncate(3),
        |u| u.sealed.header.header.box_keys.push(Digest::ZERO),
    ];
    for change in changes {
        let upload = resigned(&fixture, change);
        assert_eq!(fixture.check(&upload), Err(BadContribution::Vectors));
    }
}

/// The correction is canonical: one form for every vector over Z_q.
#[test]
fn unreduced_corrections_are_refused_even_when_signed_for() {
    let fixture = fixture();
    let mut upload = fixture.seal(0, &[5; 300], 1);
    // The last entry's second limb becomes 2^50 - 1.
    upload.sealed.correction[51_193..].fill(0xff);
    let refused = BadContribution::CorrectionResidue { entry: 4095 };
    assert_eq!(fixture.check(&upload), Err(refused.clone()));
    let mut accumulator = Accumulator::new(&fixture.config).expect("valid terms");
    assert_eq!(accumulator.add_correction(&upload.sealed.correction), Err(refused));
    upload.sealed.correction[..7].fill(0xff);
    let refused = BadContribution::CorrectionResidue { entry: 0 };
    assert_eq!(accumulator.add_correction(&upload.sealed.correction), Err(refused));
    assert_eq!(accumulator.count(), Some(0));
}

#[test]
fn an_upload_of_another_round_is_refused_everywhere() {
    let (now, then) = (fixture(), Fixture::new(Terms { round: 2, ..Terms::default() }));
    let old = then.seal(0, &[5; 300], 1);
    assert_eq!(now.check(&old), Err(BadContribution::OtherRound));
    let envelope = now.envelope(&old, 1);
    let refused = check_envelope(&now.config, &now.round_ctx, HOLDER, &envelope);
    assert_eq!(refused, Err(BadContribution::Signature));
    // Even past that check the box has another key.
    let opened = open_envelope(&now.config, &now.round_ctx, HOLDER, &now.secrets[1], &envelope);
    assert_eq!(opened.err(), Some(ComplaintKind::Key.into()));
}

#[test]
fn the_accumulator_takes_no_chunk_twice_and_counts_only_whole_contributions() {
    let terms = Terms { contributions_max: 2, dimension: 100_000, ..Terms::default() };
    let fixture = Fixture::new(terms);
    let upload = fixture.seal(0, &[5; 100_000], 1);
    let (first, second) = (upload.chunks[0].as_slice(), upload.chunks[1].as_slice());
    let mut accumulator = Accumulator::new(&fixture.config).expect("valid terms");
    use BadContribution as Bad;
    assert_eq!(accumulator.add_chunk(0, first), Err(Bad::Order), "before its correction");
    accumulator.add_correction(&upload.sealed.correction).expect("good");
    assert_eq!(accumulator.add_chunk(fixture.config.chunks(), first), Err(Bad::Order));
    let short = Bad::ChunkLength { index: 0, got: first.len() - 1, expected: first.len() };
    assert_eq!(accumulator.add_chunk(0, &first[1..]), Err(short));
    accumulator.add_chunk(0, first).expect("good");
    assert_eq!(accumulator.add_chunk(0, first), Err(Bad::Order), "twice");
    assert_eq!(accumulator.count(), None, "a chunk is missing");
    let chunks = fixture.config.chunks() as usize;
    let mut strips = accumulator.strips(chunks);
    assert_eq!(strips.len(), chunks);
    assert_eq!(strips[0].add(1, &[second]), Err(Bad::Order), "another strip's chunk");
    assert_eq!(strips[1].add(0, &[first]), Err(Bad::Order), "another strip's chunk");
    assert_eq!(strips[1].add(1, &[second, second]), Err(Bad::Order), "of one contribution");
    strips[1].add(1, &[second]).expect("good");
    for index in 2..fixture.config.chunks() {
        accumulator.add_chunk(index, &upload.chunks[index as usize]).expect("good");
    }
    assert_eq!(accumulator.count(), Some(1));
    fixture.add(&mut accumulator, &upload);
    assert_eq!(accumulator.add_correction(&upload.sealed.correction), Err(Bad::TooMany));
    assert_eq!(accumulator.count(), Some(2));
}

#[test]
fn sealing_refuses_terms_and_updates_that_do_not_fit() {
    let fixture = fixture();
    let entropy = Zeroizing::new([1; 32]);
    let quantised = |units: &[i32], bits| {
        let quantiser = covey_aggregation::config::Quantiser { bits, ..fixture.config.quantiser };
        Quantised::from_units(units, 1, &quantiser).expect("in range")
    };
    let attempt = |config: &covey_aggregation::config::RoundConfig, update: &Quantised| {
        seal(config, &client(0), update, &entropy, &mut Vec::new()).map(|_| ())
    };
    assert_eq!(attempt(&fixture.config, &quantised(&[0; 300], 8)), Ok(()));
    let refused = Err(SealError::Update { got: 299, bits: 8 });
    assert_eq!(attempt(&fixture.config, &quantised(&[0; 299], 8)), refused);
    let refused = Err(SealError::Update { got: 300, bits: 9 });
    assert_eq!(attempt(&fixture.config, &quantised(&[0; 300], 9)), refused);

    let mut config = fixture.config.clone();
    config.packing.lanes += 1;
    assert!(matches!(attempt(&config, &quantised(&[0; 300], 8)), Err(SealError::Terms(_))));
    let mut config = fixture.config.clone();
    config.committee.pop();
    assert!(matches!(attempt(&config, &quantised(&[0; 300], 8)), Err(SealError::Terms(_))));
    let mut config = fixture.config.clone();
    Arc::make_mut(&mut config.committee[2].sealing_key.ml_kem)[..3].fill(0xff);
    let refused = Err(SealError::SealingKey(HolderIndex(2)));
    assert_eq!(attempt(&config, &quantised(&[0; 300], 8)), refused);

    struct Full;
    impl ChunkSink for Full {
        type Error = &'static str;
        fn chunk(&mut self, _index: u32, _bytes: &[u8]) -> Result<(), Self::Error> {
            Err("disk full")
        }
    }
    let update = quantised(&[0; 300], 8);
    let refused = seal(&fixture.config, &client(0), &update, &entropy, &mut Full).err();
    assert_eq!(refused, Some(SealError::Sink("disk full")));
}

#[test]
fn terms_without_a_layout_are_refused_not_computed_with() {
    let good = fixture().config;
    let changes: [fn(&mut covey_aggregation::config::RoundConfig); 6] = [
        |c| c.dimension = 0,
        |c| c.dimension = u64::MAX,
        |c| c.contributions_max = 0,
        |c| c.contributions_max = u32::MAX,
        |c| c.quantiser.bits = 77,
        |c| c.packing.lanes = 0,
    ];
    for change in changes {
        let mut config = good.clone();
        change(&mut config);
        assert!(Accumulator::new(&config).is_err());
    }
}

/// Adds uploads, one of which a dishonest client made, and opens them.
fn open_spoiled(fixture: &Fixture, change: impl Fn(&mut Upload)) -> Result<Vec<i32>, Spoiled> {
    let mut uploads: Vec<_> = (0..3).map(|i| fixture.seal(i, &[5; 300], 1)).collect();
    change(&mut uploads[1]);
    let mut accumulator = Accumulator::new(&fixture.config).expect("valid terms");
    for upload in &uploads {
        fixture.add(&mut accumulator, upload);
    }
    let releases = fixture.releases(&uploads);
    let components = agreed(&fixture.combine(&releases, &[0, 1, 2, 3]));
    let key_sum =
        KeySum::recover(&fixture.config, &accumulator, &components, 3).expect("short keys");
    open(&fixture.config, &fixture.round_ctx, &accumulator, &key_sum, 3).map(|a| a.sums)
}

/// Adds `value` to coordinate `i` of an upload, behind the quantiser's back. B w=8 n=10: lanes
/// of 12 bits above 4 noise bits, P = 88 is 11 whole bytes.
fn add_behind(upload: &mut Upload, fixture: &Fixture, i: u64, value: u128) {
    let place = fixture.config.place(i);
    let at = place.coefficient * 11;
    let chunk = &mut upload.chunks[place.chunk as usize];
    let mut word = [0; 16];
    word[..11].copy_from_slice(&chunk[at..at + 11]);
    let sum = u128::from_le_bytes(word).wrapping_add(value << (4 + place.lane * 12));
    chunk[at..at + 11].copy_from_slice(&sum.to_le_bytes()[..11]);
}

#[test]
fn a_spoiled_round_is_told() {
    let fixture = fixture();
    assert_eq!(fixture.config.packing.pad_bits(), 88);
    assert_eq!(open_spoiled(&fixture, |_| {}), Ok(vec![15; 300]));
    // Within the lane and the plausible range: nobody can tell with the audit off.
    let opened = open_spoiled(&fixture, |u| add_behind(u, &fixture, 7, 100)).expect("opens");
    assert_eq!((opened[7], opened[8]), (115, 15));
    // Beyond what three clients can add up to.
    let refused = open_spoiled(&fixture, |u| add_behind(u, &fixture, 7, 1000));
    assert_eq!(refused, Err(Spoiled::Coordinate(7)));
    let refused = open_spoiled(&fixture, |u| add_behind(u, &fixture, 300 + 20, 1));
    assert_eq!(refused, Err(Spoiled::Sentinel(20)));
    // A weight digit, and padding behind the last coordinate.
    let refused = open_spoiled(&fixture, |u| add_behind(u, &fixture, 300 + 64 + 1, 1));
    assert_eq!(refused, Err(Spoiled::Weight));
    let refused = open_spoiled(&fixture, |u| add_behind(u, &fixture, 368, 1));
    assert_eq!(refused, Err(Spoiled::Coordinate(368)));
    // Noise: changed by eight units, where four bits hold eight on each side and three honest
    // contributions make five at most.
    let noisy = |u: &mut Upload| {
        for coefficient in 0..10 {
            u.chunks[0][coefficient * 11] ^= 8;
        }
    };
    assert!(matches!(open_spoiled(&fixture, noisy), Err(Spoiled::Noise { chunk: 0, .. })));
}

#[test]
fn weights_beyond_the_cap_are_told() {
    let weighting = Weighting::CappedExamples(100);
    let fixture = Fixture::new(Terms { weighting, ..Terms::default() });
    let weight_place = 300 + 64;
    let refused = open_spoiled(&fixture, |u| add_behind(u, &fixture, weight_place + 1, 2));
    assert_eq!(refused, Err(Spoiled::Weight));
    assert!(open_spoiled(&fixture, |u| add_behind(u, &fixture, weight_place, 99)).is_ok());
}

#[test]
fn a_small_profile_refuses_the_same() {
    let fixture = Fixture::new(Terms { profile: Profile::A, ..Terms::default() });
    let mut upload = fixture.seal(0, &[5; 300], 1);
    assert_eq!(upload.sealed.correction.len(), 12_800);
    assert_eq!(fixture.check(&upload), Ok(()));
    upload.sealed.correction[12_793..].fill(0xff);
    let refused = BadContribution::CorrectionResidue { entry: 2047 };
    assert_eq!(fixture.check(&upload), Err(refused));
}
