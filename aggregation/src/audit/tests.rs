//! Whole audits, from sealed updates to verdicts and numbers, at N = 4096.

mod attacks;
mod holders;
mod spoilers;
mod statistics;

use std::sync::Arc;

use zeroize::Zeroizing;

use super::check::{Batch, Check};
use super::credit::{self, Functions, NUMBERS};
use super::opening::{Failure, Opening, Public, agree, judge, open};
use super::projection::project;
use super::proof::Proof;
use super::question::Question;
use super::terms::tests::audited;
use super::witness::Witness;
use crate::config::{CommitteeShape, HolderIndex, RoundConfig, Seat};
use crate::fixture::identity;
use crate::hash::Digest;
use crate::message::Envelope;
use crate::party::PartyId;
use crate::signing::Identity;
use crate::sum::quantise::Quantised;
use crate::sum::seal::{Leaf, SealError, Sealed, Sealing};
use crate::sum::sealed_box::SealingSecret;
use crate::sum::share::{Seeds, open_envelope};
use crate::sum::xof::Xof;

const ROWS: u16 = 64;
const BOTH: [CommitteeShape; 2] = [CommitteeShape::Four, CommitteeShape::Seven];

/// An audited round with its committee.
struct World {
    config: RoundConfig,
    secrets: Vec<SealingSecret>,
}

impl World {
    fn new(shape: CommitteeShape, dimension: u64) -> Self {
        let mut config = audited(dimension, 10, ROWS);
        let secret = |index| SealingSecret::from_seed(&Zeroizing::new([index as u8; 96]));
        let secrets: Vec<_> = (0..shape.members()).map(secret).collect();
        config.shape = shape;
        config.committee = (secrets.iter().enumerate())
            .map(|(index, secret)| Seat {
                holder: identity(0xa0, index).id(),
                sealing_key: secret.public(),
            })
            .collect();
        Self { config, secrets }
    }

    fn question(&self) -> Question<'_> {
        Question::new(&self.config, Digest([7; 32]), Digest([8; 32])).expect("can be audited")
    }

    /// Owner `index` with this update; the bound of its norm is the caller's to keep.
    fn client(&self, index: usize, units: &[i32]) -> Client {
        let owner = identity(0xc1, index);
        let quantised = Quantised::from_units(units, 1, &self.config.quantiser).expect("in range");
        let entropy = Zeroizing::new([index as u8; 32]);
        let sealing = Sealing::new::<SealError<()>>(&self.config, &owner, &quantised, &entropy);
        let sealing = sealing.unwrap_or_else(|_| panic!("it seals"));
        let mut sealer = sealing.sealer();
        let (mut chunks, mut kept) = (Vec::new(), Vec::new());
        let mut leaves: Vec<Leaf> = Vec::new();
        for chunk in 0..self.config.chunks() {
            let (bytes, leaf, witness) = sealer.seal_and_keep(chunk);
            chunks.push(bytes.to_vec());
            leaves.push(leaf);
            kept.push(witness);
        }
        let witness = sealing.witness::<()>(kept).expect("of all chunks");
        let sealed = sealing.finish::<()>(&leaves).expect("it seals");
        Client { owner, units: units.to_vec(), chunks, witness, sealed }
    }

    /// Every holder's seeds of `client`, from its sealed boxes.
    fn seeds(&self, client: &Client) -> Vec<Seeds> {
        let round_ctx = self.config.context();
        let open = |(index, secret): (usize, &SealingSecret)| {
            let holder = HolderIndex(index as u8);
            let sealed_box = client.sealed.boxes[index].clone();
            let envelope =
                Envelope::new(&client.sealed.header, holder, sealed_box).expect("a seat");
            open_envelope(&self.config, &round_ctx, holder, secret, &envelope).expect("opens")
        };
        self.secrets.iter().enumerate().map(open).collect()
    }
}

/// An owner that took part.
struct Client {
    owner: Arc<Identity>,
    units: Vec<i32>,
    chunks: Vec<Vec<u8>>,
    witness: Witness,
    sealed: Sealed,
}

impl Client {
    fn id(&self) -> PartyId {
        self.owner.id()
    }

    fn prove(&self, question: &Question<'_>) -> Proof {
        Proof::new(question, &self.id(), &self.witness, &Zeroizing::new([9; 32])).expect("a proof")
    }

    fn public(&self, question: &Question<'_>, batch: &Batch) -> Public {
        let chunks = self.chunks.iter().map(Vec::as_slice);
        let product = batch.product(question, chunks);
        Public::new(batch, &self.sealed.correction, product).expect("a vector over Z_q")
    }
}

/// The check of one question, which tests share among clients.
struct Checked<'a> {
    question: Question<'a>,
    check: Check,
    batch: Batch,
}

impl<'a> Checked<'a> {
    fn new(question: Question<'a>, beacon: u8) -> Self {
        let check = question.check(&Digest([beacon; 32]));
        let batch = Batch::new(&question, &check);
        Self { question, check, batch }
    }

    fn answers(&self, world: &World, client: &Client, proof: &Proof) -> Vec<Option<Vec<Opening>>> {
        let id = client.id();
        let open =
            |seeds: &Seeds| open(&self.question, &self.check, &self.batch, (&id, proof), seeds);
        world.seeds(client).iter().map(open).map(Some).collect()
    }

    fn verdict(&self, world: &World, client: &Client, proof: &Proof) -> Result<(), Failure> {
        let answers = self.answers(world, client, proof);
        let opened = agree(self.question.config.shape, &answers).expect("all answered");
        assert_eq!(opened.liars, []);
        let public = client.public(&self.question, &self.batch);
        let about = (&client.id(), proof);
        judge(&self.question, &self.check, about, &public, &opened.parts)
    }
}

/// An update of the plan's full norm, spread over all coordinates, less `scale`.
fn full(config: &RoundConfig, seed: u8, scale: f64) -> Vec<i32> {
    let dimension = config.dimension as usize;
    let mut words = vec![0; dimension];
    Xof::new(&[seed; 32], 3).words(&mut words);
    let uniform: Vec<f64> = words.iter().map(|&word| word as i64 as f64 / 2f64.powi(63)).collect();
    let norm = uniform.iter().map(|x| x * x).sum::<f64>().sqrt();
    let bound = (config.quantiser.norm_squared_max() as f64).sqrt() * scale;
    // Towards zero, so that rounding never makes it longer.
    uniform.iter().map(|x| (x * bound / norm) as i32).collect()
}

/// Three functions with weights of all sizes and signs.
fn functions(question: &Question<'_>) -> Functions {
    let number = question.terms().projections();
    let rho = [1u8, 2, 3].map(|seed| {
        let mut words = vec![0; number];
        Xof::new(&[seed; 32], 4).words(&mut words);
        words.iter().map(|&word| (word as i64) >> 24).collect()
    });
    Functions::new(question, rho).expect("bounded")
}

fn numbers(
    world: &World,
    question: &Question<'_>,
    functions: &Functions,
    client: &Client,
    proof: &Proof,
) -> [i128; NUMBERS] {
    let about = (&client.id(), proof);
    let answers: Vec<_> = (world.seeds(client).iter())
        .map(|seeds| Some(credit::open(question, functions, about, seeds)))
        .collect();
    let opened = agree(question.config.shape, &answers).expect("all answered");
    assert_eq!(opened.liars, []);
    credit::numbers(functions, proof, &opened.parts)
}

#[test]
fn honest_contributions_pass_and_their_numbers_are_the_formula_and_add_up_to_the_sums() {
    for (shape, dimension) in [(BOTH[0], 30_000), (BOTH[1], 3_000)] {
        let world = World::new(shape, dimension);
        let checked = Checked::new(world.question(), 3);
        let functions = functions(&checked.question);
        let mut sum = vec![0; dimension as usize];
        let mut totals = [0; NUMBERS];
        for index in 0..4 {
            let scale = [1.0, 0.9, 0.1, 0.0][index];
            let client = world.client(index, &full(&world.config, index as u8, scale));
            let proof = client.prove(&checked.question);
            assert_eq!(checked.verdict(&world, &client, &proof), Ok(()));
            let got = numbers(&world, &checked.question, &functions, &client, &proof);
            // Everything an owner chose: units, then digits less their middle.
            let (units, _) = client.witness.vectors();
            assert_eq!(units[..client.units.len()], client.units);
            let y = project(&world.config, checked.question.rows(), &units);
            assert_eq!(got, functions.of(&y));
            totals.iter_mut().zip(got).for_each(|(total, number)| *total += number);
            sum.resize(units.len(), 0);
            sum.iter_mut().zip(&units).for_each(|(sum, unit)| *sum += unit);
        }
        let y = project(&world.config, checked.question.rows(), &sum);
        assert_eq!(totals, functions.of(&y), "the sum rule");
    }
}

/// The relation of the design note, for every row, and what the noise is made of.
#[test]
fn the_lifted_ciphertext_is_key_and_coordinates_and_small_noise() {
    let world = World::new(CommitteeShape::Four, 30_000);
    let client = world.client(0, &full(&world.config, 1, 1.0));
    let (units, noise) = client.witness.vectors();
    let config = &world.config;
    let lanes = config.packing.lanes as usize;
    assert_eq!(units.len(), noise.len() * lanes);
    // Rounding to P bits is uniform over 2^(100 - P) units, the pad's noise adds 6.4^2.
    let unit = f64::from(100 - config.packing.pad_bits()).exp2();
    let squares: f64 = noise.iter().map(|&x| f64::from(x).powi(2)).sum();
    let variance = squares / noise.len() as f64;
    let expected = unit * unit / 12.0 + 41.0;
    assert!((variance / expected - 1.0).abs() < 0.1, "{variance} for {expected}");
    let largest = noise.iter().map(|x| x.unsigned_abs()).max().expect("not empty");
    assert!(f64::from(largest) < unit / 2.0 + 64.0 + 128.0 * lanes as f64);
}

#[test]
fn a_proof_has_one_form_and_the_length_of_the_design_note() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let question = world.question();
    let proof = world.client(0, &full(&world.config, 1, 1.0)).prove(&question);
    let bytes = proof.to_bytes();
    assert_eq!(Proof::from_bytes(question.terms(), &bytes), Ok(proof));
    for at in [0, 15, 16, 1000, bytes.len() - 577, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[at] ^= 0x41;
        if let Ok(other) = Proof::from_bytes(question.terms(), &changed) {
            assert_eq!(other.to_bytes(), changed);
        }
    }
    assert!(Proof::from_bytes(question.terms(), &bytes[1..]).is_err());
    assert!(Proof::from_bytes(question.terms(), &[&bytes[..], &[0]].concat()).is_err());
    // J = 128, k = 4: 648 entries, 39 values, 96 masks; with the signature 10.5 kB.
    let config = audited(1_000_000, 1000, 128);
    let question = Question::new(&config, Digest::ZERO, Digest::ZERO).expect("can be audited");
    assert_eq!(Proof::length(question.terms()), 16 + 196 * 50 + 576);
}

#[test]
fn the_same_salt_under_another_question_gives_other_streams() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let client = world.client(0, &full(&world.config, 1, 0.0));
    let proofs: Vec<Proof> = [(7, 8), (7, 9), (6, 8)]
        .map(|(set, beacon)| {
            let question = Question::new(&world.config, Digest([set; 32]), Digest([beacon; 32]));
            client.prove(&question.expect("can be audited"))
        })
        .into();
    assert_eq!(client.prove(&world.question()), proofs[0], "the same question, the same proof");
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        assert_ne!(proofs[one].salt, proofs[other].salt);
        let same = proofs[one].entries.iter().zip(&proofs[other].entries);
        assert_eq!(same.filter(|(a, b)| a == b).count(), 0);
    }
    // One entropy, one question, but another client: nothing in common either.
    let other = world.client(1, &full(&world.config, 1, 0.0)).prove(&world.question());
    assert_ne!(other.salt, proofs[0].salt);
}

#[test]
fn an_update_beyond_the_bound_has_no_proof() {
    let mut world = World::new(CommitteeShape::Four, 30_000);
    let units = full(&world.config, 1, 1.0);
    // The owner's update stays as it is, the terms allow a third of its norm.
    world.config.quantiser.clip_norm /= 3.0;
    let packing = world.config.derive_packing().expect("a packing exists");
    world.config.packing = packing;
    let client = world.client(0, &units);
    let entropy = Zeroizing::new([9; 32]);
    let proof = Proof::new(&world.question(), &client.id(), &client.witness, &entropy);
    assert_eq!(proof, Err(super::proof::NoProof::Update));
    let allowed = super::terms::norm_squared_max(&world.config);
    assert!(client.witness.norm_squared() > 6 * allowed);
}

#[test]
fn points_of_the_check_are_never_nodes() {
    use super::check::point_beyond;
    // A bound so large that most draws are nodes.
    let last = crate::sum::modulus::PRIMES[1] / 10 * 9;
    for stream in 0..50 {
        let point = point_beyond(&mut Xof::new(&[1; 32], stream), last);
        assert!(point.0.iter().all(|&residue| residue > last));
    }
}

/// r = sum_j chi_j r_j and g = A* r, from the rows one by one; and beta from the definition.
#[test]
fn the_batch_is_the_weighted_sum_of_the_rows() {
    use super::element::Element;
    use super::lift::Lift;
    use crate::sum::pack::unpack_residues;
    let world = World::new(CommitteeShape::Four, 30_000);
    let checked = Checked::new(world.question(), 3);
    let client = world.client(0, &full(&world.config, 1, 0.5));
    let mut r = Vec::new();
    for chunk in 0..world.config.chunks() {
        let mut sums = vec![Element::ZERO; world.config.chunk_coefficients(chunk)];
        checked.question.rows.for_chunk(&world.config, chunk, |j, row| {
            for (sum, &entry) in sums.iter_mut().zip(row) {
                *sum += checked.check.weights[j] * Element::from(i64::from(entry));
            }
        });
        r.extend(sums);
    }
    let mut beta = Element::ZERO;
    let mut at = 0;
    for (chunk, bytes) in (0..).zip(&client.chunks) {
        Lift::new(&world.config).for_chunk(chunk, bytes, |_, lifted| {
            beta += r[at] * Element::of_reduced(lifted);
            at += 1;
        });
    }
    let chunks = client.chunks.iter().map(Vec::as_slice);
    assert_eq!(checked.batch.product(&checked.question, chunks), beta);
    // <g, d + sum r_T> = <r, A s>, which is beta less units and noise.
    let entries: Vec<u64> = unpack_residues(&client.sealed.correction).collect();
    let parts = world.config.shape.components().len();
    assert_eq!(client.witness.seeds.len(), parts);
    let place = (world.config.profile, &checked.question.round_ctx);
    let mut key: Element = (client.witness.seeds.iter())
        .map(|seed| {
            let product = crate::sum::share::component_product;
            Element(product(place, &client.id(), seed, &checked.batch.key))
        })
        .sum();
    for (i, pair) in entries.chunks_exact(2).enumerate() {
        let g = Element([checked.batch.key[0][i], checked.batch.key[1][i]]);
        key += g * Element([pair[0], pair[1]]);
    }
    let (units, noise) = client.witness.vectors();
    let factors = Lift::new(&world.config).factors();
    let lanes = factors.len();
    for (c, &r) in r.iter().enumerate() {
        let own: Element = (units[c * lanes..].iter().zip(&factors))
            .map(|(&unit, &factor)| factor * Element::from(i64::from(unit)))
            .sum();
        beta -= r * (own + Element::from(i64::from(noise[c])));
    }
    assert_eq!(key, beta);
}

#[test]
fn updates_of_any_width_are_proved_also_where_their_digits_are_most_of_them() {
    for (bits, clip_norm) in [(8, 0.1), (12, 0.1), (15, 0.02), (15, 20.0), (16, 0.001), (16, 1.0)] {
        let mut world = World::new(CommitteeShape::Four, 10);
        (world.config.quantiser.bits, world.config.quantiser.clip_norm) = (bits, clip_norm);
        world.config.audit = crate::config::Audit::Closed { rows: 128 };
        world.config.packing = world.config.derive_packing().expect("a packing exists");
        for index in 0..4 {
            let client = world.client(index, &[1, -1, 0, 2, 0, 0, 1, -2, 0, 1]);
            let question = world.question();
            let proof =
                Proof::new(&question, &client.id(), &client.witness, &Zeroizing::new([9; 32]));
            assert!(proof.is_ok(), "{bits} {clip_norm}: {:?} {:?}", proof.err(), question.terms);
        }
    }
}
