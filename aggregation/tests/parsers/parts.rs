//! Parts of a contribution under fixed terms, those of `tests/vectors/round.json`.

use std::sync::LazyLock;

use covey_aggregation::audit::part;
use covey_aggregation::audit::proof::Proof;
use covey_aggregation::audit::verdict::{decode_public, encode_public};
use covey_aggregation::config::HolderIndex;
use covey_aggregation::message::{ComplaintKind, Envelope, SignedHeader};
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::contribution::{BadContribution, ContributionCheck};
use covey_aggregation::sum::open::{KeySum, combine};
use covey_aggregation::sum::share::{BadBox, check_envelope, open_envelope};

use super::seeds::{Seeds, Upload};
use super::{FACTOR, bounded, decoded};

static SEEDS: LazyLock<Seeds> = LazyLock::new(Seeds::read);

/// The prime of the small profile's modulus.
const PRIME: u64 = 1_125_899_906_826_241;

/// A proof of an audited round: the length follows from the terms, and there is one form.
pub fn audit_proof(bytes: &[u8]) -> bool {
    let terms = SEEDS.audit();
    let parsed = bounded(bytes.len(), FACTOR, || Proof::from_bytes(&terms, bytes));
    let Ok(proof) = parsed else { return false };
    assert!(proof.to_bytes() == bytes, "two encodings of one proof");
    assert_eq!(bytes.len(), Proof::length(&terms));
    true
}

/// A component's openings of so many proofs as these bytes may be.
pub fn audit_openings(bytes: &[u8]) -> bool {
    let terms = SEEDS.audit();
    let count = bytes.len() / part::opening_bytes(&terms);
    let parsed = bounded(bytes.len(), FACTOR, || part::decode(&terms, count, bytes));
    let Some(openings) = parsed else { return false };
    assert!(part::encode(&openings) == bytes, "two encodings of one list");
    assert_eq!(openings.len(), count);
    true
}

/// The public values of so many proofs as these bytes may be.
pub fn audit_values(bytes: &[u8]) -> bool {
    // Two numbers of 100 bits each; they are packed in fours.
    let count = bytes.len() / 25;
    let parsed = bounded(bytes.len(), FACTOR, || decode_public(count, bytes));
    let Some(values) = parsed else { return false };
    assert!(encode_public(&values) == bytes, "two encodings of one list");
    true
}

/// The first byte says what the rest is: 0 a header, otherwise changes to a good upload: which
/// parts come in which order, and what is added (modulo 2) to their bytes, wherever it fits.
pub fn contribution(bytes: &[u8]) -> bool {
    let Some((&kind, rest)) = bytes.split_first() else { return false };
    let (config, upload) = (&SEEDS.config, &SEEDS.uploads[0]);
    if kind == 0 {
        let Some(header) = decoded::<SignedHeader>(rest) else { return false };
        let accepted = ContributionCheck::new(config, &header).is_ok();
        let is_good = SEEDS.uploads.iter().any(|upload| upload.header == header);
        assert_eq!(accepted, is_good, "only what its client signed is accepted");
        return accepted;
    }
    let Ok(mut check) = ContributionCheck::new(config, &upload.header) else {
        panic!("a good header")
    };
    let mut parts = upload.parts();
    let mut ops = rest.chunks(4);
    let mut order: Vec<usize> = (0..parts.len()).collect();
    let mut is_changed = vec![false; parts.len()];
    // One change of bytes, then the order in which parts come.
    if let Some(&[part, low, high, change]) = ops.next() {
        let part = usize::from(part) % parts.len();
        let at = usize::from(u16::from_le_bytes([low, high])) % parts[part].len();
        parts[part][at] ^= change;
        is_changed[part] = change != 0;
    }
    for op in ops {
        match *op {
            [0, part, ..] => {
                order.insert(usize::from(part) % (order.len() + 1), usize::from(kind) % parts.len())
            }
            [1, part, ..] if !order.is_empty() => {
                order.remove(usize::from(part) % order.len());
            }
            [2, part, other, ..] if !order.is_empty() => {
                let length = order.len();
                order.swap(usize::from(part) % length, usize::from(other) % length);
            }
            [3, part, length, ..] => {
                let part = usize::from(part) % parts.len();
                let kept = parts[part].len().saturating_sub(usize::from(length));
                is_changed[part] |= length != 0;
                parts[part].truncate(kept);
            }
            _ => {}
        }
    }
    let boxes = upload.boxes.len();
    let bytes_in = parts.iter().map(Vec::len).sum();
    // Parts come in their order, each once.
    let mut expected = 0;
    let refused = bounded(bytes_in, FACTOR, || {
        for &part in &order {
            let result = match part {
                0 => check.correction(&parts[0]),
                _ if part <= boxes => check.sealed_box(HolderIndex(part as u8 - 1), &parts[part]),
                _ => check.chunk((part - 1 - boxes) as u32, &parts[part]).map(drop),
            };
            let in_order = part == expected;
            expected += usize::from(in_order);
            assert_eq!(matches!(result, Err(BadContribution::Order)), !in_order);
            // Contents of chunks are checked at the end, their length at once.
            let may_pass =
                part > boxes && parts[part].len() == upload.chunks[part - 1 - boxes].len();
            if in_order {
                assert_eq!(result.is_err(), is_changed[part] && !may_pass, "{result:?}");
            }
            if result.is_err() {
                return true;
            }
        }
        false
    });
    if refused {
        return false;
    }
    let is_good = check.finish().is_ok();
    let is_whole = expected == parts.len();
    assert_eq!(is_good, is_whole && !is_changed.contains(&true));
    is_good
}

/// A box, as holder 0 gets it: only the one that was sealed to it opens.
pub fn sealed_box(bytes: &[u8]) -> bool {
    let (config, round_ctx) = (&SEEDS.config, &SEEDS.round_ctx);
    let Upload { header, boxes, .. } = &SEEDS.uploads[0];
    let holder = HolderIndex(0);
    let envelope = Envelope::new(header, holder, boxes[0].clone()).expect("a seat");
    let envelope = Envelope { sealed_box: bytes.to_vec(), ..envelope };
    let is_sealed = bytes == boxes[0];
    let (secret, fits) = (&SEEDS.secrets[0], boxes[0].len() == bytes.len());
    let opened = bounded(bytes.len(), FACTOR, || {
        open_envelope(config, round_ctx, holder, secret, &envelope)
    });
    assert_eq!(opened.is_ok(), is_sealed);
    if let Err(BadBox::Complaint(ComplaintKind::Contents { .. })) = opened {
        let kem = 1088 + 32;
        assert!(bytes.len() >= kem && bytes[..kem] == boxes[0][..kem], "the key is the box's own");
    }
    // The signature is checked on every hundredth only, for it takes most of the time.
    if fits && (is_sealed || bytes.last().is_some_and(|last| last % 128 == 1)) {
        assert_eq!(check_envelope(config, round_ctx, holder, &envelope).is_ok(), is_sealed);
    }
    is_sealed
}

/// The bytes, over and over, as long as they must be: a vector over Z_q (a correction, a component
/// sum) and a key sum.
pub fn key_vectors(bytes: &[u8]) -> bool {
    let config = &SEEDS.config;
    let key_sum = bounded(bytes.len(), FACTOR, || KeySum::from_bytes(config, bytes));
    assert!(key_sum.is_err() || bytes.len() == 4 * config.profile.ring_dimension());
    if bytes.is_empty() {
        return false;
    }
    let tiled = |length: usize| -> Vec<u8> { bytes.iter().copied().cycle().take(length).collect() };

    let packed = tiled(config.profile.key_vector_bytes());
    let is_reduced = residues(&packed).all(|residue| residue < PRIME);
    let mut sum = Accumulator::new(config).expect("valid terms");
    let added = bounded(packed.len(), FACTOR, || sum.add_correction(&packed));
    assert_eq!(added.is_ok(), is_reduced, "{added:?}");
    let shape = config.shape;
    let sums = vec![packed; shape.components_of(HolderIndex(0)).len()];
    let given = [(HolderIndex(0), sums.as_slice()), (HolderIndex(1), sums.as_slice())];
    let combined = combine(config, &given);
    assert_eq!(combined.liars.is_empty(), is_reduced);
    let known = |component: covey_aggregation::config::Component| {
        component.known_to(HolderIndex(0)) && component.known_to(HolderIndex(1))
    };
    for (component, agreed) in shape.components().into_iter().zip(&combined.components) {
        assert_eq!(agreed.is_some(), is_reduced && known(component));
    }

    let entries = tiled(4 * config.profile.ring_dimension());
    let limit = 64 * i64::from(config.contributions_max);
    let numbers = entries.as_chunks().0.iter().map(|entry| i64::from(i32::from_le_bytes(*entry)));
    let is_short = numbers.into_iter().all(|entry| entry.abs() <= limit);
    let key_sum = bounded(entries.len(), FACTOR, || KeySum::from_bytes(config, &entries));
    assert_eq!(key_sum.is_ok(), is_short);
    if let Ok(key_sum) = key_sum {
        assert_eq!(key_sum.to_bytes(), entries);
    }
    is_reduced || is_short
}

/// 50-bit words of a little-endian bit stream.
fn residues(bytes: &[u8]) -> impl Iterator<Item = u64> {
    (0..bytes.len() * 8 / 50).map(|i| {
        let (at, bit) = (i * 50 / 8, i * 50 % 8);
        let mut load = [0; 8];
        let end = (at + 8).min(bytes.len());
        load[..end - at].copy_from_slice(&bytes[at..end]);
        u64::from_le_bytes(load) >> bit & ((1 << 50) - 1)
    })
}
