//! The processes around the machines: what a driver does, with a journal that survives it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use covey_aggregation::audit::functions::Directions;
use covey_aggregation::audit::list::Proven;
use covey_aggregation::audit::opening::Public;
use covey_aggregation::audit::proof::Proof;
use covey_aggregation::audit::question::Question;
use covey_aggregation::audit::rereading::{Rereading, Signed};
use covey_aggregation::audit::witness::Witness;
use covey_aggregation::config::{HolderIndex, RoundConfig, Weighting};
use covey_aggregation::credit::Attested;
use covey_aggregation::hash::Digest;
use covey_aggregation::holder::{Holder, HolderSetup};
use covey_aggregation::message::{Decline, Outcome};
use covey_aggregation::participant::{Participant, ParticipantSetup, Uncounted};
use covey_aggregation::party::PartyId;
use covey_aggregation::roster::Roster;
use covey_aggregation::round::{BoxSource, OpenFailure, Opened, Round};
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::contribution::{BadContribution, ContributionCheck};
use covey_aggregation::sum::open::{Aggregate, KeySum, Summands, open_with_rest};
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::Sealing;
use covey_aggregation::sum::sealed_box::SealingSecret;
use rand::RngExt;
use zeroize::Zeroizing;

use crate::disk::Journal;
use crate::liars::{Liar, Lie, OwnerLie};
use crate::network::Upload;

/// Contributions by header digest: durable.
#[derive(Default)]
pub(crate) struct Blobs(pub(crate) BTreeMap<Digest, Rc<Upload>>);

impl BoxSource for Blobs {
    fn sealed_box(&self, header: &Digest, holder: HolderIndex) -> Option<Vec<u8>> {
        self.0.get(header)?.boxes.get(usize::from(holder.0)).cloned()
    }
}

/// What was opened of a round, stored before the machine is told.
pub(crate) struct Opening {
    pub(crate) opened: Opened,
    pub(crate) aggregate: Aggregate,
    pub(crate) rest: Vec<i32>,
    /// How often each of the set counts in it.
    pub(crate) times: BTreeMap<PartyId, u32>,
    /// The sum of the keys, as it is published.
    pub(crate) key_sum: Vec<u8>,
}

pub(crate) struct CoordinatorNode {
    pub(crate) identity: Arc<Identity>,
    pub(crate) life: u32,
    pub(crate) round: Option<Round>,
    /// Of the round at hand, whose number is one above the rounds that ended.
    pub(crate) journal: Journal,
    pub(crate) blobs: Blobs,
    pub(crate) openings: BTreeMap<Digest, Opening>,
    /// Rounds that ended, in order.
    pub(crate) ended: Vec<(Digest, Outcome)>,
    /// What the next round's credit goes on from.
    pub(crate) credit: CreditMemory,
    /// Public directions, by round.
    pub(crate) directions: BTreeMap<Digest, Directions>,
}

/// What a coordinator remembers of credit from round to round.
pub(crate) struct CreditMemory {
    pub(crate) model: Digest,
    pub(crate) retired: Vec<u32>,
    pub(crate) attested: Option<Attested>,
}

impl CoordinatorNode {
    pub(crate) fn new(identity: Arc<Identity>) -> Self {
        Self {
            identity,
            life: 0,
            round: None,
            journal: Journal::default(),
            blobs: Blobs::default(),
            openings: BTreeMap::new(),
            ended: Vec::new(),
            credit: CreditMemory { model: Digest([5; 32]), retired: Vec::new(), attested: None },
            directions: BTreeMap::new(),
        }
    }

    /// Checks an upload as it streams in, and stores it.
    pub(crate) fn take(
        &mut self,
        config: &RoundConfig,
        upload: &Rc<Upload>,
    ) -> Result<(), BadContribution> {
        let mut check = ContributionCheck::new(config, &upload.header)?;
        check.correction(&upload.correction)?;
        for (holder, sealed_box) in (0..).map(HolderIndex).zip(&upload.boxes) {
            check.sealed_box(holder, sealed_box)?;
        }
        for (index, chunk) in (0..).zip(&upload.chunks) {
            check.chunk(index, chunk)?;
        }
        check.finish()?;
        self.blobs.0.insert(upload.header.header.digest(), Rc::clone(upload));
        Ok(())
    }

    /// The worker: sums the set's blobs in order and opens the sum.
    pub(crate) fn open(
        &mut self,
        config: &RoundConfig,
        (set, summands): (&[Digest], Summands),
        components: &[Vec<u8>],
    ) -> Result<Opened, OpenFailure> {
        let spoiled = |why: String| OpenFailure::Spoiled(why);
        let mut accumulator = Accumulator::new(config).map_err(|e| spoiled(e.to_string()))?;
        let uploads = set.iter().map(|digest| self.blobs.0.get(digest));
        let Some(uploads) = uploads.collect::<Option<Vec<_>>>() else {
            return Err(OpenFailure::Unavailable("a blob is gone".into()));
        };
        let times = config.multiplicities(uploads.iter().map(|one| one.header.header.client));
        for (upload, times) in uploads.iter().zip(&times) {
            add(&mut accumulator, upload, *times).map_err(|e| spoiled(e.to_string()))?;
        }
        let (round_ctx, count) = (config.context(), summands.count);
        let key_sum = KeySum::recover(config, &accumulator, components, count)
            .map_err(|e| spoiled(e.to_string()))?;
        let (aggregate, rest) =
            open_with_rest(config, &round_ctx, &accumulator, &key_sum, summands)
                .map_err(|e| spoiled(e.to_string()))?;
        let (weight, digest) = (aggregate.weight, key_sum.digest());
        let opened = Opened { aggregate: aggregate.digest(), key_sum: digest, count, weight };
        let clients = uploads.iter().map(|upload| upload.header.header.client);
        let times = clients.zip(times).collect();
        let key_sum = key_sum.to_bytes();
        self.openings.insert(round_ctx, Opening { opened, aggregate, rest, times, key_sum });
        Ok(opened)
    }
}

fn add(accumulator: &mut Accumulator, upload: &Upload, times: u32) -> Result<(), BadContribution> {
    accumulator.add_correction_times(&upload.correction, times)?;
    (0..)
        .zip(&upload.chunks)
        .try_for_each(|(index, chunk)| accumulator.add_chunk_times(index, chunk, times))
}

pub(crate) struct HolderNode {
    pub(crate) identity: Arc<Identity>,
    pub(crate) secret: Arc<SealingSecret>,
    pub(crate) life: u32,
    pub(crate) machine: Option<Holder>,
    pub(crate) journal: Journal,
    pub(crate) lie: Option<(Lie, Liar)>,
}

impl HolderNode {
    pub(crate) fn new(identity: Arc<Identity>, secret: Arc<SealingSecret>) -> Self {
        Self { identity, secret, life: 0, machine: None, journal: Journal::default(), lie: None }
    }

    /// It lies from now on.
    pub(crate) fn corrupt(&mut self, seat: HolderIndex, lie: Lie) {
        let (identity, secret) = (Arc::clone(&self.identity), Arc::clone(&self.secret));
        self.lie = Some((lie, Liar::new(identity, secret, seat)));
    }

    pub(crate) fn start(&mut self, roster: &Roster) {
        let (identity, secret) = (Arc::clone(&self.identity), Arc::clone(&self.secret));
        let setup = HolderSetup { identity, secret, roster: roster.clone() };
        let machine = Holder::new(setup, self.journal.replay());
        self.machine = Some(machine.expect("a holder finds its own records in order"));
    }
}

pub(crate) struct OwnerNode {
    pub(crate) identity: Arc<Identity>,
    pub(crate) life: u32,
    pub(crate) machine: Option<Participant>,
    pub(crate) journal: Journal,
    pub(crate) lie: Option<OwnerLie>,
    pub(crate) is_willing: bool,
    /// What proofs are made of, in memory, by round.
    pub(crate) witnesses: BTreeMap<Digest, (RoundConfig, Witness)>,
    /// Sealed updates on its disk, by round.
    pub(crate) stored: BTreeMap<Digest, Rc<Upload>>,
    /// The other of its two messages, if it is such a liar.
    pub(crate) second: BTreeMap<Digest, Rc<Upload>>,
    /// What it was told of rounds: counted, or why not.
    pub(crate) told: BTreeMap<Digest, Option<Uncounted>>,
}

impl OwnerNode {
    pub(crate) fn start(&mut self, roster: &Roster, resend_ms: u64, patience_ms: u64) {
        let identity = Arc::clone(&self.identity);
        let setup = ParticipantSetup { identity, roster: roster.clone(), resend_ms, patience_ms };
        let machine = Participant::new(setup, self.journal.replay());
        self.machine = Some(machine.expect("an owner finds its own records in order"));
    }

    /// Trains (it adds one at its own coordinate), seals, and stores.
    pub(crate) fn seal(
        &mut self,
        index: usize,
        config: &RoundConfig,
        rng: &mut impl RngExt,
    ) -> Rc<Upload> {
        let upload = self.sealed(index, config, rng);
        if self.lie == Some(OwnerLie::TwoMessages) {
            let second = self.sealed(index, config, rng);
            self.second.insert(config.context(), second);
        }
        self.stored.insert(config.context(), Rc::clone(&upload));
        upload
    }

    /// What it adds at its own coordinate.
    pub(crate) fn unit(&self) -> i32 {
        if self.lie == Some(OwnerLie::Undercounts) { 127 } else { 1 }
    }

    fn sealed(&mut self, index: usize, config: &RoundConfig, rng: &mut impl RngExt) -> Rc<Upload> {
        let mut units = vec![0; config.dimension as usize];
        units[index] = self.unit();
        if self.lie == Some(OwnerLie::HugeNorm) {
            units.fill(127);
        }
        let weight = weight(index, config.quantiser.weighting);
        let quantised =
            Quantised::from_units(&units, weight, &config.quantiser).expect("it is in range");
        let entropy = Zeroizing::new(rng.random());
        let sealing = Sealing::new::<()>(config, &self.identity, &quantised, &entropy)
            .unwrap_or_else(|_| panic!("countersigned terms can be sealed for"));
        let (mut chunks, mut leaves, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        let mut sealer = sealing.sealer();
        for chunk in 0..config.chunks() {
            if config.is_audited() {
                let (bytes, leaf, witness) = sealer.seal_and_keep(chunk);
                chunks.push(bytes.to_vec());
                leaves.push(leaf);
                kept.push(witness);
            } else {
                let (bytes, leaf) = sealer.seal(chunk);
                chunks.push(bytes.to_vec());
                leaves.push(leaf);
            }
        }
        if config.is_audited() {
            let witness = sealing.witness::<()>(kept);
            let witness = witness.unwrap_or_else(|_| panic!("of all chunks"));
            self.witnesses.insert(config.context(), (config.clone(), witness));
        }
        let sealed = sealing.finish::<()>(&leaves).unwrap_or_else(|_| panic!("it seals"));
        let (header, correction, boxes) = (sealed.header, sealed.correction, sealed.boxes);
        let honest = Upload { header, correction, boxes, chunks };
        Rc::new(match self.lie {
            Some(lie) => lie.distort(&self.identity, honest),
            None => honest,
        })
    }

    /// Proves, from what it kept in memory.
    pub(crate) fn prove(
        &self,
        index: usize,
        round_ctx: &Digest,
        (set, rows): (Digest, Digest),
        rng: &mut impl RngExt,
    ) -> Result<Box<Proven>, Decline> {
        let (config, witness) = self.witnesses.get(round_ctx).ok_or(Decline::Lost)?;
        let question = Question::new(config, set, rows).expect("audited terms");
        let entropy = Zeroizing::new(rng.random());
        let client = self.identity.id();
        let proof = Proof::new(&question, &client, witness, &entropy);
        let proof = proof.map_err(|_| Decline::Unprovable)?;
        if self.lie == Some(OwnerLie::FalseProof) {
            let mut bytes = proof.to_bytes();
            // A correction's lowest byte: another element, and still a reduced one.
            bytes[16] ^= 1;
            let forged = Proof::from_bytes(question.terms(), &bytes).expect("well-formed");
            return Ok(Box::new(Proven::sign(&question, (&forged, 1), &self.identity)));
        }
        let undercounts = self.lie == Some(OwnerLie::Undercounts);
        let declared = if undercounts { 1 } else { weight(index, config.quantiser.weighting) };
        Ok(Box::new(Proven::sign(&question, (&proof, declared), &self.identity)))
    }
}

/// How much owner `index` counts.
pub(crate) fn weight(index: usize, weighting: Weighting) -> u32 {
    match weighting {
        Weighting::Uniform => 1,
        Weighting::CappedExamples(cap) => (3 * index as u32 + 2).min(cap),
    }
}

impl Blobs {
    /// The public values of a stored contribution.
    pub(crate) fn measure(&self, rereading: &Rereading, signed: Signed) -> Option<Public> {
        let upload = self.0.get(&signed.header)?;
        let mut reading = rereading.begin(signed, &upload.correction).ok()?;
        upload.chunks.iter().try_for_each(|chunk| reading.chunk(chunk)).ok()?;
        reading.finish().ok()
    }
}
