//! An owner without a trainer: the real machine, the real sealing, the real network, and an
//! update that anybody can compute, so that the opened sum can be compared with the plain one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use covey_aggregation::audit::list::Proven;
use covey_aggregation::audit::proof::Proof;
use covey_aggregation::audit::question::Question;
use covey_aggregation::audit::witness::Witness;
use covey_aggregation::config::{RoundConfig, Weighting};
use covey_aggregation::hash::Digest;
use covey_aggregation::limits::PLAN_BYTES_MAX;
use covey_aggregation::message::SignedHeader;
use covey_aggregation::net::{BulkRequest, Dialer, Link, LinkError, Membership, Route};
use covey_aggregation::participant::{Participant, ParticipantEffect, ParticipantSetup};
use covey_aggregation::plan::Plan;
use covey_aggregation::program::clock;
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::{Sealing, seal};
use covey_coordinator::learning::from_bytes;
use covey_model::task::Task;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

/// The update of owner `index` in `round`: integers within 12 bits, all different.
pub(crate) fn units(index: usize, round: u32, dimension: u64) -> Vec<i32> {
    let (index, round) = (i32::try_from(index).expect("few"), round.cast_signed());
    let unit = |i: i32| (i * 37 + index * 101 + round * 13) % 2047 - 1023;
    (0..i32::try_from(dimension).expect("small")).map(unit).collect()
}

/// How much owner `index` counts.
pub(crate) fn weight(index: usize) -> u32 {
    u32::try_from(index).expect("few") * 10 + 5
}

/// What every owner counts: ten examples, of which one more is right in every round.
pub(crate) fn counters(round: u32, number: u16) -> Vec<u64> {
    (0..number).map(|at| if at == 0 { 10 } else { 4 + u64::from(round) }).collect()
}

/// What became of an owner's rounds.
#[derive(Default)]
pub(crate) struct Diary {
    pub(crate) promised: Vec<Digest>,
    pub(crate) counted: Vec<Digest>,
    pub(crate) not_counted: Vec<(Digest, String)>,
}

/// An owner at work.
pub(crate) struct Owner {
    pub(crate) diary: Arc<Mutex<Diary>>,
    pub(crate) task: JoinHandle<()>,
}

/// Starts an owner in the current runtime. It prepares nothing while `gate` is false.
pub(crate) fn start(
    index: usize,
    membership: Arc<Membership>,
    route: impl Into<Route>,
    gate: watch::Receiver<bool>,
) -> Owner {
    let diary = Arc::new(Mutex::new(Diary::default()));
    let work = Work {
        index,
        participant: participant(&membership),
        membership,
        route: route.into(),
        gate,
        diary: Arc::clone(&diary),
        stored: BTreeMap::new(),
        witnesses: BTreeMap::new(),
    };
    Owner { diary, task: tokio::spawn(work.run()) }
}

fn participant(membership: &Membership) -> Participant {
    let setup = ParticipantSetup {
        identity: Arc::clone(membership.identity()),
        roster: membership.roster().as_ref().clone(),
        resend_ms: 300,
        patience_ms: 600_000,
    };
    Participant::new(setup, []).expect("an owner")
}

/// A sealed update.
struct Stored {
    header: SignedHeader,
    bytes: Arc<Vec<u8>>,
    is_uploading: bool,
}

struct Work {
    index: usize,
    membership: Arc<Membership>,
    route: Route,
    gate: watch::Receiver<bool>,
    participant: Participant,
    diary: Arc<Mutex<Diary>>,
    stored: BTreeMap<Digest, Stored>,
    /// What proofs are made from.
    witnesses: BTreeMap<Digest, (RoundConfig, Witness)>,
}

impl Work {
    async fn run(mut self) {
        let mut dialer = Dialer::new(Arc::clone(&self.membership), &self.route).expect("a dialer");
        loop {
            match dialer.connect(|_, _| {}).await {
                Ok(link) => self.serve(link).await,
                Err(LinkError::Renewed { .. }) => {
                    let membership = Membership::load(self.membership.folder());
                    self.membership = Arc::new(membership.expect("a member still"));
                    self.participant = participant(&self.membership);
                    dialer =
                        Dialer::new(Arc::clone(&self.membership), &self.route).expect("a dialer");
                }
                // Shut out, or the coordinator is gone for good.
                Err(_) => return,
            }
        }
    }

    /// Until the link is lost.
    async fn serve(&mut self, mut link: Link) {
        let (uploaded, mut done) = mpsc::channel(8);
        for stored in self.stored.values_mut() {
            stored.is_uploading = false;
        }
        loop {
            while let Some(effect) = self.participant.poll_effect() {
                if self.carry_out(effect, &mut link, &uploaded).await.is_none() {
                    return;
                }
            }
            let wait = clock::until(self.participant.poll_timeout());
            tokio::select! {
                message = link.receiver.receive() => match message {
                    Ok(Some(message)) => self.participant.handle(clock::now(), message),
                    _ => return,
                },
                Some(context) = done.recv() => {
                    if let Some(stored) = self.stored.get_mut(&context) {
                        stored.is_uploading = false;
                    }
                }
                () = tokio::time::sleep(wait) => self.participant.handle_timeout(clock::now()),
            }
        }
    }

    /// None when the link is lost.
    async fn carry_out(
        &mut self,
        effect: ParticipantEffect,
        link: &mut Link,
        uploaded: &mpsc::Sender<Digest>,
    ) -> Option<()> {
        match effect {
            ParticipantEffect::Append { sequence, .. } => self.participant.handle_stored(sequence),
            ParticipantEffect::Prepare { config } => {
                self.gate.wait_for(|open| *open).await.expect("the test goes on");
                let context = config.context();
                self.check_downloads(&config, link).await;
                let header = self.seal(&config);
                self.participant.handle_prepared(clock::now(), &context, Ok(header));
            }
            ParticipantEffect::Upload { round_ctx, .. } => {
                let stored = self.stored.get_mut(&round_ctx).expect("sealed before");
                if !std::mem::replace(&mut stored.is_uploading, true) {
                    let (bulk, uploaded) = (link.links.bulk(), uploaded.clone());
                    let (header, bytes) = (stored.header.clone(), Arc::clone(&stored.bytes));
                    tokio::spawn(async move {
                        // A refusal or a lost link: the machine asks again if it still wants it.
                        let _ = super::contribute(&bulk, &header, &bytes).await;
                        let _ = uploaded.send(round_ctx).await;
                    });
                }
            }
            ParticipantEffect::Prove { round_ctx, set, rows } => {
                let (config, witness) = &self.witnesses[&round_ctx];
                let question = Question::new(config, set, rows).expect("audited terms");
                let identity = self.membership.identity();
                let entropy = Zeroizing::new([self.index as u8; 32]);
                let proof = Proof::new(&question, &identity.id(), witness, &entropy);
                let declared = (&proof.expect("within bounds"), self.weight(config));
                let proven = Proven::sign(&question, declared, identity);
                self.participant.handle_proven(clock::now(), &round_ctx, Ok(Box::new(proven)));
            }
            ParticipantEffect::Send(message) => link.sender.send(&message).await.ok()?,
            ParticipantEffect::Forget { round_ctx } => {
                self.stored.remove(&round_ctx);
            }
            ParticipantEffect::Cancel { .. } => {}
            ParticipantEffect::Promised(receipt) => {
                self.diary.lock().expect("a diary").promised.push(receipt.round_ctx);
            }
            ParticipantEffect::Counted { round_ctx } => {
                self.diary.lock().expect("a diary").counted.push(round_ctx);
            }
            ParticipantEffect::NotCounted { round_ctx, why } => {
                let mut diary = self.diary.lock().expect("a diary");
                diary.not_counted.push((round_ctx, why.to_string()));
            }
        }
        Some(())
    }

    /// As a client does before training: plan and model must be those of the terms.
    async fn check_downloads(&self, config: &RoundConfig, link: &Link) {
        let bulk = link.links.bulk();
        let plan_max = u64::from(PLAN_BYTES_MAX);
        let Ok(bytes) = bulk.fetch(&BulkRequest::Plan(config.plan), plan_max).await else { return };
        assert_eq!(Plan::digest(&bytes), config.plan);
        let plan = Plan::from_bytes(&bytes).expect("a plan");
        let task = Task::from_plan(&plan).expect("a model");
        let model_max = 4 * config.dimension;
        let Ok(bytes) = bulk.fetch(&BulkRequest::Model(config.model), model_max).await else {
            return;
        };
        let parameters = from_bytes(&bytes, task.parameters()).expect("whole");
        assert_eq!(task.parameters_digest(&parameters), config.model);
    }

    /// Owners alike count as one.
    fn weight(&self, config: &RoundConfig) -> u32 {
        match config.quantiser.weighting {
            Weighting::Uniform => 1,
            Weighting::CappedExamples(_) => weight(self.index),
        }
    }

    fn seal(&mut self, config: &RoundConfig) -> SignedHeader {
        let units = units(self.index, config.round, config.dimension);
        let mut quantised = Quantised::from_units(&units, self.weight(config), &config.quantiser)
            .and_then(|quantised| quantised.with_counters(&counters(config.round, config.counters)))
            .expect("in range");
        if let Some(control) = &config.control {
            quantised = quantised.with_control_units(&units, control).expect("in range");
        }
        let mut entropy = [self.index as u8; 32];
        entropy[..4].copy_from_slice(&config.round.to_le_bytes());
        let (identity, entropy) = (self.membership.identity(), Zeroizing::new(entropy));
        let mut chunks: Vec<Vec<u8>> = Vec::new();
        let sealed = if config.is_audited() {
            let sealing = Sealing::new::<()>(config, identity, &quantised, &entropy);
            let sealing = sealing.unwrap_or_else(|_| panic!("good terms"));
            let (mut leaves, mut kept) = (Vec::new(), Vec::new());
            let mut sealer = sealing.sealer();
            for index in 0..config.chunks() {
                let (bytes, leaf, witness) = sealer.seal_and_keep(index);
                chunks.push(bytes.to_vec());
                leaves.push(leaf);
                kept.push(witness);
            }
            let witness = sealing.witness::<()>(kept).unwrap_or_else(|_| panic!("of all chunks"));
            self.witnesses.insert(config.context(), (config.clone(), witness));
            sealing.finish::<()>(&leaves).unwrap_or_else(|_| panic!("sealed"))
        } else {
            seal(config, identity, &quantised, &entropy, &mut chunks).expect("sealed")
        };
        let mut bytes = sealed.correction;
        bytes.extend(sealed.boxes.into_iter().flatten());
        bytes.extend(chunks.into_iter().flatten());
        let (header, bytes) = (sealed.header, Arc::new(bytes));
        let stored = Stored { header: header.clone(), bytes, is_uploading: false };
        self.stored.insert(config.context(), stored);
        header
    }
}
