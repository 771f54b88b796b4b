//! Replicated sharing of a client's key, and what a holder does with its part.
//!
//! For each component T (the f holders that lack it) the client draws a seed and seals it to the
//! others. A seed expands to a vector over Z_q; the public correction is
//! `d = s - sum over T of expand(seed_T) mod q`. Any f holders lack one whole seed, so to them `d`
//! is uniform; any f + 1 together have all.

use zeroize::Zeroizing;

use crate::config::{CommitteeShape, Component, HolderIndex, Profile, RoundConfig};
use crate::hash::{Digest, Domain, hash};
use crate::limits::MULTIPLICITY_MAX;
use crate::message::{Complaint, ComplaintKind, Envelope, SignedHeader, contents_digest};
use crate::party::PartyId;
use crate::signing::Statement;
use crate::sum::contribution::{BadContribution, box_bytes};
use crate::sum::key::ClientKey;
use crate::sum::modulus::{primes, residue, sub_mod};
use crate::sum::pack::pack_residues;
use crate::sum::sealed_box::{BoxKey, Place, SealingSecret, decapsulate};
use crate::sum::xof::Xof;

/// Bytes of a seed.
pub(crate) const SEED_BYTES: usize = 32;

/// Contributions whose residues below 2^50, each [`MULTIPLICITY_MAX`] times, a `u64` can add up
/// before it must be reduced; besides what is left of the last time.
const LAZY_ADDITIONS_MAX: usize = (1 << 13) / MULTIPLICITY_MAX as usize;

/// The component seeds of one client that one holder knows, in canonical order. Zeroised when
/// dropped; no `Debug`, no `Clone`.
pub struct Seeds(Vec<Zeroizing<[u8; SEED_BYTES]>>);

impl Seeds {
    /// From what a box contains, if that is what its client commits to with `committed`; with com_T
    /// of each.
    fn check(
        shape: CommitteeShape,
        place: Place<'_>,
        committed: &Digest,
        contents: &[u8],
    ) -> Option<(Self, Vec<Digest>)> {
        let (seeds, []) = contents.as_chunks::<SEED_BYTES>() else { return None };
        let components = shape.components_of(place.holder);
        if components.len() != seeds.len() {
            return None;
        }
        let seeds = Self(seeds.iter().map(|seed| Zeroizing::new(*seed)).collect());
        let commitments = seeds.commitments(shape, place);
        let is_as_committed = contents_digest(commitments.iter()).equals(committed);
        is_as_committed.then_some((seeds, commitments))
    }

    /// The seeds, in canonical order of the components.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8; SEED_BYTES]> {
        self.0.iter().map(|seed| &**seed)
    }

    /// com_T for each of them.
    fn commitments(&self, shape: CommitteeShape, place: Place<'_>) -> Vec<Digest> {
        let components = shape.components_of(place.holder).into_iter().zip(&self.0);
        let commit = |(component, seed): (_, &Zeroizing<[u8; SEED_BYTES]>)| {
            seed_commitment(place.round_ctx, place.client, component, seed)
        };
        components.map(commit).collect()
    }
}

/// A box that gives a holder no seeds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBox {
    /// The client's fault, or the holder's: something to complain of.
    #[error("the box does not hold what the header commits to, or does not open")]
    Complaint(ComplaintKind),
    /// The coordinator's fault, who told the holder another list of commitments than the client
    /// signed, or took a header whose seats are not made from one list.
    #[error("the commitments to the seeds are not those that the header was made from")]
    Components,
}

impl From<ComplaintKind> for BadBox {
    fn from(kind: ComplaintKind) -> Self {
        Self::Complaint(kind)
    }
}

/// com_T: what the header says of a seed.
fn seed_commitment(
    round_ctx: &Digest,
    client: &PartyId,
    component: Component,
    seed: &[u8; SEED_BYTES],
) -> Digest {
    let parts: [&[u8]; 4] = [&round_ctx.0, &client.0, &component.0.to_le_bytes(), seed];
    hash(Domain::ComponentCommitment, &parts)
}

/// Expands seeds, reusing one buffer for a limb.
struct Expander<'a> {
    profile: Profile,
    round_ctx: &'a Digest,
    limb: Zeroizing<Vec<u64>>,
}

impl<'a> Expander<'a> {
    fn new(profile: Profile, round_ctx: &'a Digest) -> Self {
        Self { profile, round_ctx, limb: Zeroizing::new(vec![0; profile.ring_dimension()]) }
    }

    /// Calls `each` with every limb of `expand(seed)` in turn.
    fn expand(
        &mut self,
        client: &PartyId,
        seed: &[u8; SEED_BYTES],
        mut each: impl FnMut(usize, &[u64]),
    ) {
        let parts: [&[u8]; 3] = [seed, &self.round_ctx.0, &client.0];
        let key = Zeroizing::new(hash(Domain::Share, &parts).0);
        for (l, &prime) in primes(self.profile).iter().enumerate() {
            Xof::new(&key, l as u64).uniform(prime, &mut self.limb);
            each(l, &self.limb);
        }
    }
}

/// `<g, r_T>` mod each prime, r_T the expansion of a component's seed.
pub(crate) fn component_product(
    (profile, round_ctx): (Profile, &Digest),
    client: &PartyId,
    seed: &[u8; SEED_BYTES],
    g: &[Vec<u64>; 2],
) -> [u64; 2] {
    let mut products = [0; 2];
    Expander::new(profile, round_ctx).expand(client, seed, |l, limb| {
        products[l] = inner_product(&g[l], limb, primes(profile)[l]);
    });
    products
}

/// `<a, b>` modulo `prime`, both reduced and of at most 2^27 entries.
pub(crate) fn inner_product(a: &[u64], b: &[u64], prime: u64) -> u64 {
    let sum: u128 = a.iter().zip(b).map(|(&a, &b)| u128::from(a) * u128::from(b)).sum();
    (sum % u128::from(prime)) as u64
}

/// A vector over Z_q as it is packed: entry by entry, the limbs of an entry side by side.
fn pack_limbs(profile: Profile, limbs: &[Zeroizing<Vec<u64>>]) -> Vec<u8> {
    let entries = (0..profile.ring_dimension()).flat_map(|i| limbs.iter().map(move |l| l[i]));
    let residues: Vec<u64> = entries.collect();
    let mut bytes = Vec::with_capacity(profile.key_vector_bytes());
    pack_residues(&residues, &mut bytes);
    bytes
}

/// A key, shared.
pub(crate) struct Shares {
    /// d, packed.
    pub(crate) correction: Vec<u8>,
    /// com_T in canonical order.
    pub(crate) commitments: Vec<Digest>,
    seeds: Vec<(Component, Zeroizing<[u8; SEED_BYTES]>)>,
}

impl Shares {
    /// Shares `key` under fresh seeds.
    pub(crate) fn new(
        (profile, shape): (Profile, CommitteeShape),
        round_ctx: &Digest,
        client: &PartyId,
        key: &ClientKey,
        randomness: &mut Xof,
    ) -> Self {
        let residues = |q| key.entries().iter().map(move |&entry| residue(entry, q));
        let mut rest: Vec<Zeroizing<Vec<u64>>> =
            primes(profile).iter().map(|&q| Zeroizing::new(residues(q).collect())).collect();
        let mut expander = Expander::new(profile, round_ctx);
        let mut seeds = Vec::new();
        let mut commitments = Vec::new();
        for component in shape.components() {
            let seed = Self::draw_seed(randomness);
            expander.expand(client, &seed, |l, limb| {
                subtract(&mut rest[l], limb, primes(profile)[l]);
            });
            commitments.push(seed_commitment(round_ctx, client, component, &seed));
            seeds.push((component, seed));
        }
        Self { correction: pack_limbs(profile, &rest), commitments, seeds }
    }

    /// The next component's seed.
    pub(crate) fn draw_seed(randomness: &mut Xof) -> Zeroizing<[u8; SEED_BYTES]> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        randomness.bytes(&mut seed[..]);
        seed
    }

    /// What the box for `holder` contains.
    pub(crate) fn contents(&self, holder: HolderIndex) -> Zeroizing<Vec<u8>> {
        let known = self.seeds.iter().filter(|(component, _)| component.known_to(holder));
        Zeroizing::new(known.flat_map(|(_, seed)| seed.iter().copied()).collect())
    }
}

fn subtract(rest: &mut [u64], limb: &[u64], prime: u64) {
    for (rest, entry) in rest.iter_mut().zip(limb) {
        *rest = sub_mod(*rest, *entry, prime);
    }
}

/// Who a complaint accuses, after checking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The box does not hold what the client's header commits to.
    ClientAtFault,
    /// Either may be at fault: nobody but the holder can decapsulate.
    Undecidable,
    /// The box is good, or the complaint is not the holder's: the holder is at fault.
    FalseComplaint,
}

/// Checks an envelope as far as public bytes go, and names its contribution: length of the box,
/// and the client's signature over everything, this round included. A fault here is the
/// coordinator's, who should have refused it, or who changed it.
///
/// # Errors
/// [`BadContribution::BoxLength`], [`BadContribution::Vectors`], [`BadContribution::Signature`].
pub fn check_envelope(
    config: &RoundConfig,
    round_ctx: &Digest,
    holder: HolderIndex,
    envelope: &Envelope,
) -> Result<Digest, BadContribution> {
    let (got, expected) = (envelope.sealed_box.len(), box_bytes(config));
    if got != expected {
        return Err(BadContribution::BoxLength { holder, got, expected });
    }
    let header =
        envelope.digest(round_ctx, config.shape, holder).ok_or(BadContribution::Vectors)?;
    let signed =
        envelope.client.verify(Statement::Header, round_ctx, &header.0, &envelope.signature);
    signed.map(|()| header).map_err(|_| BadContribution::Signature)
}

/// Opens the box of an envelope, and checks that all holders of a component were given the same
/// seed. Call [`check_envelope`] first: what it finds is the coordinator's fault and nothing to
/// complain of.
///
/// # Errors
/// [`BadBox::Complaint`] with what to complain of; [`BadBox::Components`] when a good box is not
/// one of those that the one list of commitments in the header was made from.
pub fn open_envelope(
    config: &RoundConfig,
    round_ctx: &Digest,
    holder: HolderIndex,
    secret: &SealingSecret,
    envelope: &Envelope,
) -> Result<Seeds, BadBox> {
    let place = Place { round_ctx, client: &envelope.client, holder };
    let key = decapsulate(secret, place, &envelope.sealed_box).ok_or(ComplaintKind::Key)?;
    if !key.commitment(place).equals(&envelope.box_key) {
        return Err(ComplaintKind::Key.into());
    }
    let seeds = (key.open(&envelope.sealed_box))
        .and_then(|contents| Seeds::check(config.shape, place, &envelope.contents, &contents));
    let (seeds, known) = seeds.ok_or_else(|| ComplaintKind::Contents { box_key: key.publish() })?;
    envelope.agrees(config.shape, holder, &known).then_some(seeds).ok_or(BadBox::Components)
}

/// Judges a complaint about the contribution `header`, whose box for that holder is
/// `sealed_box` (which matches the header: the coordinator checked it when it came). A complaint
/// without the holder's valid signature over this round and contribution is a false one.
#[must_use]
pub fn check_complaint(
    config: &RoundConfig,
    round_ctx: &Digest,
    header: &SignedHeader,
    sealed_box: &[u8],
    complaint: &Complaint,
) -> Verdict {
    let header = &header.header;
    let (digest, holder) = (header.digest(), complaint.holder);
    let Some(seat) = config.committee.get(usize::from(holder.0)) else {
        return Verdict::FalseComplaint;
    };
    let body = Complaint::body(&digest, holder, &complaint.kind);
    let signed = seat.holder.verify(Statement::Complaint, round_ctx, &body, &complaint.signature);
    if signed.is_err() || complaint.round_ctx != *round_ctx || complaint.header != digest {
        return Verdict::FalseComplaint;
    }
    let ComplaintKind::Contents { box_key } = &complaint.kind else {
        return Verdict::Undecidable;
    };
    let key = BoxKey::published(box_key);
    let place = Place { round_ctx, client: &header.client, holder };
    if header.box_keys.get(usize::from(holder.0)) != Some(&key.commitment(place)) {
        return Verdict::FalseComplaint;
    }
    let Some(committed) = header.contents(holder) else {
        return Verdict::FalseComplaint;
    };
    let seeds = (key.open(sealed_box))
        .and_then(|contents| Seeds::check(config.shape, place, &committed, &contents));
    if seeds.is_some() { Verdict::FalseComplaint } else { Verdict::ClientAtFault }
}

/// R_T for each component that `holder` knows, in canonical order, over the given clients.
pub fn component_sums<'a>(
    config: &RoundConfig,
    round_ctx: &Digest,
    holder: HolderIndex,
    seeds: impl Iterator<Item = (PartyId, &'a Seeds)>,
) -> Vec<Vec<u8>> {
    weighed_component_sums(config, round_ctx, holder, seeds.map(|seeds| (seeds, 1)))
}

/// The same, of each client as often as it counts ([`RoundConfig::multiplicities`]): at most
/// [`MULTIPLICITY_MAX`] times.
pub fn weighed_component_sums<'a>(
    config: &RoundConfig,
    round_ctx: &Digest,
    holder: HolderIndex,
    seeds: impl Iterator<Item = ((PartyId, &'a Seeds), u32)>,
) -> Vec<Vec<u8>> {
    sum_components((config.profile, config.shape), round_ctx, holder, seeds)
}

fn sum_components<'a>(
    (profile, shape): (Profile, CommitteeShape),
    round_ctx: &Digest,
    holder: HolderIndex,
    seeds: impl Iterator<Item = ((PartyId, &'a Seeds), u32)>,
) -> Vec<Vec<u8>> {
    let zero = || Zeroizing::new(vec![0u64; profile.ring_dimension()]);
    let zeros = || primes(profile).iter().map(|_| zero()).collect();
    let mut sums: Vec<Vec<Zeroizing<Vec<u64>>>> =
        shape.components_of(holder).iter().map(|_| zeros()).collect();
    let mut expander = Expander::new(profile, round_ctx);
    let counting = seeds.filter(|(_, times)| *times > 0);
    for (i, ((client, seeds), times)) in counting.enumerate() {
        let times = u64::from(times);
        for (sums, seed) in sums.iter_mut().zip(&seeds.0) {
            expander.expand(&client, seed, |l, limb| {
                sums[l].iter_mut().zip(limb).for_each(|(sum, entry)| *sum += times * entry);
            });
        }
        if (i + 1) % LAZY_ADDITIONS_MAX == 0 {
            reduce(profile, &mut sums);
        }
    }
    reduce(profile, &mut sums);
    sums.iter().map(|limbs| pack_limbs(profile, limbs)).collect()
}

fn reduce(profile: Profile, sums: &mut [Vec<Zeroizing<Vec<u64>>>]) {
    for limbs in sums {
        for (limb, prime) in limbs.iter_mut().zip(primes(profile)) {
            limb.iter_mut().for_each(|entry| *entry %= prime);
        }
    }
}

#[cfg(test)]
pub(crate) mod vectors {
    use serde_json::{Value, json};

    use super::*;
    use crate::sum::gauss::tests::draws;
    use crate::sum::vectors::digest;

    /// A key shared under known seeds.
    pub(crate) fn share_vector(profile: Profile, shape: CommitteeShape) -> Value {
        let (round_ctx, client) = (Digest([3; 32]), PartyId([4; 32]));
        let key = ClientKey::of_entries(draws(3, profile.ring_dimension()));
        let mut randomness = Xof::new(&[6; 32], 1);
        let shares = Shares::new((profile, shape), &round_ctx, &client, &key, &mut randomness);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let components: Vec<Value> = (shares.seeds.iter().zip(&shares.commitments))
            .map(|((component, seed), commitment)| {
                let mut first = Vec::new();
                let mut expander = Expander::new(profile, &round_ctx);
                expander.expand(&client, seed, |_, limb| first.push(limb[0]));
                json!({
                    "lacking": component.0, "seed": hex(&seed[..]),
                    "commitment": commitment.to_string(), "first_entry": first,
                })
            })
            .collect();
        let sums = (0..shape.members() as u8).map(HolderIndex).map(|holder| {
            let contents = shares.contents(holder);
            let seeds = contents.as_chunks().0.iter().map(|seed| Zeroizing::new(*seed));
            let seeds = Seeds(seeds.collect());
            let clients = [((client, &seeds), 1)].into_iter();
            let sums = sum_components((profile, shape), &round_ctx, holder, clients);
            digest(&sums.concat())
        });
        json!({
            "profile": profile, "committee": shape.members(),
            "round_ctx": round_ctx.to_string(), "client": hex(&client.0),
            "key": "draws of gauss under key 03.., stream 0",
            "components": components,
            "correction_first": hex(&shares.correction[..50]),
            "correction_digest": digest(&shares.correction),
            "component_sums_digests": sums.collect::<Vec<_>>(),
        })
    }

    #[test]
    fn correction_and_all_components_add_up_to_the_key() {
        for profile in [Profile::A, Profile::B] {
            for shape in [CommitteeShape::Four, CommitteeShape::Seven] {
                let (round_ctx, client) = (Digest([3; 32]), PartyId([4; 32]));
                let entries = draws(9, profile.ring_dimension());
                let key = ClientKey::of_entries(entries.clone());
                let mut randomness = Xof::new(&[6; 32], 1);
                let mut shares =
                    Shares::new((profile, shape), &round_ctx, &client, &key, &mut randomness);
                let sum = |shares: &Shares| {
                    let mut total: Vec<u64> =
                        crate::sum::pack::unpack_residues(&shares.correction).collect();
                    let limbs = profile.limbs();
                    let mut expander = Expander::new(profile, &round_ctx);
                    for (_, seed) in &shares.seeds {
                        expander.expand(&client, seed, |l, limb| {
                            for (i, entry) in limb.iter().enumerate() {
                                let at = &mut total[i * limbs + l];
                                *at = (*at + entry) % primes(profile)[l];
                            }
                        });
                    }
                    total
                };
                let expected: Vec<u64> = (entries.iter())
                    .flat_map(|&entry| primes(profile).iter().map(move |&q| residue(entry, q)))
                    .collect();
                assert_eq!(sum(&shares), expected);
                // Without any one component nothing is left but uniform residues.
                shares.seeds.pop();
                let short = sum(&shares).iter().filter(|&&x| x <= 64).count();
                assert!(short < 3, "{short} short entries");
            }
        }
    }
}
