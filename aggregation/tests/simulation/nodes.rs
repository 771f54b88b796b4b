//! The processes around the machines: what a driver does, with a journal that survives it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use covey_aggregation::config::{HolderIndex, RoundConfig};
use covey_aggregation::hash::Digest;
use covey_aggregation::holder::{Holder, HolderSetup};
use covey_aggregation::message::Outcome;
use covey_aggregation::participant::{Participant, ParticipantSetup, Uncounted};
use covey_aggregation::roster::Roster;
use covey_aggregation::round::{BoxSource, OpenFailure, Opened, Round};
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::contribution::{BadContribution, ContributionCheck};
use covey_aggregation::sum::open::{Aggregate, KeySum, open};
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::seal;
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
        set: &[Digest],
        components: &[Vec<u8>],
    ) -> Result<Opened, OpenFailure> {
        let spoiled = |why: String| OpenFailure::Spoiled(why);
        let mut accumulator = Accumulator::new(config).map_err(|e| spoiled(e.to_string()))?;
        for digest in set {
            let Some(upload) = self.blobs.0.get(digest) else {
                return Err(OpenFailure::Unavailable("a blob is gone".into()));
            };
            add(&mut accumulator, upload).map_err(|e| spoiled(e.to_string()))?;
        }
        let (round_ctx, count) = (config.context(), set.len() as u32);
        let key_sum = KeySum::recover(config, &accumulator, components, count)
            .map_err(|e| spoiled(e.to_string()))?;
        let aggregate = open(config, &round_ctx, &accumulator, &key_sum, count)
            .map_err(|e| spoiled(e.to_string()))?;
        let (weight, key_sum) = (aggregate.weight, key_sum.digest());
        let opened = Opened { aggregate: aggregate.digest(), key_sum, count, weight };
        self.openings.insert(round_ctx, Opening { opened, aggregate });
        Ok(opened)
    }
}

fn add(accumulator: &mut Accumulator, upload: &Upload) -> Result<(), BadContribution> {
    accumulator.add_correction(&upload.correction)?;
    (0..).zip(&upload.chunks).try_for_each(|(index, chunk)| accumulator.add_chunk(index, chunk))
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

    fn sealed(&self, index: usize, config: &RoundConfig, rng: &mut impl RngExt) -> Rc<Upload> {
        let mut units = vec![0; config.dimension as usize];
        units[index] = 1;
        let quantised =
            Quantised::from_units(&units, 1, &config.quantiser).expect("one is in range");
        let mut chunks = Vec::new();
        let entropy = Zeroizing::new(rng.random());
        let sealed = seal(config, &self.identity, &quantised, &entropy, &mut chunks)
            .expect("countersigned terms can be sealed for");
        let (header, correction, boxes) = (sealed.header, sealed.correction, sealed.boxes);
        let honest = Upload { header, correction, boxes, chunks };
        Rc::new(match self.lie {
            Some(lie) => lie.distort(&self.identity, honest),
            None => honest,
        })
    }
}
