//! A coordinator for these tests: the real machine, the real network, everything in memory.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use covey_aggregation::config::{
    CommitteeShape, HolderIndex, KeyLayer, RoundConfig, cohort_digest,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::limits::ENVELOPES_PER_MESSAGE_MAX;
use covey_aggregation::message::{
    Envelope, FromClient, FromHolder, Outcome, Refusal, SignedHeader, ToClient, ToHolder,
};
use covey_aggregation::net::{
    Arrival, BulkArrival, BulkStream, CloseReason, ControlSender, Doors, GuestList, Link,
    LinkError, Listener, Membership, Upload,
};
use covey_aggregation::party::{PartyId, Role};
use covey_aggregation::plan::Plan;
use covey_aggregation::program::clock::{now, until};
use covey_aggregation::publication::{Publication, RoundResult};
use covey_aggregation::roster::Roster;
use covey_aggregation::round::{BoxSource, Opened, Round, RoundEffect, Terms, Timings};
use covey_aggregation::strategy::State;
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::contribution::{ContributionCheck, box_bytes, correction_bytes};
use covey_aggregation::sum::open::{Aggregate, KeySum, open};
use covey_model::task::Task;
use tokio::sync::mpsc;

use super::federation::PLAN;

/// What comes in.
enum Input {
    Linked(PartyId, Role, ControlSender),
    FromHolder(PartyId, FromHolder),
    FromClient(PartyId, FromClient),
    Contributed(PartyId, SignedHeader),
}

/// A stored contribution.
#[derive(Clone)]
pub(crate) struct Contribution {
    pub(crate) header: SignedHeader,
    correction: Vec<u8>,
    boxes: Vec<Vec<u8>>,
    chunks: Vec<Vec<u8>>,
}

/// What bulk streams see of the coordinator.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) contributions: BTreeMap<Digest, Contribution>,
    /// Headers of uploads that were begun, in order.
    pub(crate) offered: Vec<Digest>,
    /// Cut every upload off, as a coordinator that dies does.
    pub(crate) cuts_uploads: bool,
    /// Die when so many bytes of an upload have come, and keep them.
    pub(crate) cuts_after: Option<usize>,
    /// What was kept of uploads that were cut.
    pub(crate) halves: BTreeMap<Digest, Vec<u8>>,
    plan: Vec<u8>,
    /// Models and control variates.
    models: BTreeMap<Digest, Vec<u8>>,
    terms: Option<RoundConfig>,
}

type SharedShelf = Arc<Mutex<Shelf>>;

fn lock(shelf: &SharedShelf) -> std::sync::MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Coordinator {
    membership: Arc<Membership>,
    pub(crate) address: String,
    inputs: mpsc::UnboundedReceiver<Input>,
    senders: BTreeMap<PartyId, (Role, ControlSender)>,
    pub(crate) shelf: SharedShelf,
    pub(crate) task: Task,
    pub(crate) plan: Plan,
}

/// A round that is done.
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) opened: Option<(Aggregate, Publication)>,
}

impl Coordinator {
    pub(crate) fn start(membership: Arc<Membership>) -> Self {
        Self::start_with(membership, PLAN)
    }

    /// With another plan.
    pub(crate) fn start_with(membership: Arc<Membership>, plan_text: &str) -> Self {
        let address: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let coordinator = Self::start_at(membership, plan_text, address.into());
        coordinator.0
    }

    /// With a plan, at these doors; also where it listens over TCP.
    pub(crate) fn start_at(
        membership: Arc<Membership>,
        plan_text: &str,
        doors: Doors,
    ) -> (Self, SocketAddr) {
        let listener =
            Listener::bind(doors, Arc::clone(&membership), GuestList::pinned(&membership))
                .expect("bound");
        let address = listener.address().to_string();
        let tcp = listener.tcp_address().expect("it listens");
        let (sender, inputs) = mpsc::unbounded_channel();
        let shelf = SharedShelf::default();
        tokio::spawn(admit(listener, sender, Arc::clone(&shelf)));
        lock(&shelf).plan = plan_text.as_bytes().to_vec();
        let plan = Plan::parse(plan_text).expect("a plan");
        let task = Task::from_plan(&plan).expect("a model");
        let senders = BTreeMap::new();
        (Self { membership, address, inputs, senders, shelf, task, plan }, tcp)
    }

    /// Has a model for owners to fetch.
    pub(crate) fn shelve(&self, digest: Digest, parameters: &[f32]) {
        let bytes = parameters.iter().flat_map(|one| one.to_le_bytes()).collect();
        lock(&self.shelf).models.insert(digest, bytes);
    }

    /// The terms of a round for these clients, who start from `parameters`.
    pub(crate) fn terms(&self, round: u32, parameters: &[f32], cohort: Vec<PartyId>) -> Terms {
        let state = self.plan.initial_state(parameters.len());
        self.terms_after(round, (parameters, &state), cohort)
    }

    /// Likewise, with what the strategy keeps.
    pub(crate) fn terms_after(
        &self,
        round: u32,
        (parameters, state): (&[f32], &State),
        mut cohort: Vec<PartyId>,
    ) -> Terms {
        cohort.sort_unstable();
        let roster: &Roster = self.membership.roster();
        let timings = Timings {
            select_ms: 60_000,
            collect_ms: 60_000,
            collect_again_ms: 0,
            vote_ms: 60_000,
            release_ms: 60_000,
            audit_ms: 60_000,
            resend_ms: 500,
        };
        let config = RoundConfig {
            federation: roster.digest(),
            run: Digest([9; 32]),
            round,
            plan: Plan::digest(&lock(&self.shelf).plan),
            manifest: self.task.manifest_digest(),
            model: self.task.parameters_digest(parameters),
            dimension: self.task.parameters() as u64,
            profile: self.plan.secure_aggregation.profile,
            key_layer: KeyLayer::ReplicatedSeeds,
            quantiser: self.plan.quantiser_at(state),
            counters: self.plan.counters(),
            control: self.plan.strategy.control(
                state,
                roster.with_role(Role::DataOwner).count() as u32,
                &self.task.manifest_digest(),
            ),
            noise: self.plan.noise(self.task.parameters() as u64).expect("noise with room"),
            packing: self.plan.packing(),
            contributions_min: self.plan.cohort.minimum,
            contributions_max: self.plan.cohort.maximum,
            shape: CommitteeShape::Four,
            committee: roster.committee(),
            cohort: cohort_digest(&cohort),
            beacon_commitments: Vec::new(),
            audit: self.plan.secure_aggregation.audit,
            credit: None,
            collect_ms: timings.collect_ms,
        };
        let bytes = |numbers: &[f32]| numbers.iter().flat_map(|one| one.to_le_bytes()).collect();
        let mut shelf = lock(&self.shelf);
        shelf.models.insert(config.model, bytes(parameters));
        if let Some((control, variate)) = config.control.zip(state.variate()) {
            shelf.models.insert(control.variate, bytes(&variate));
        }
        shelf.terms = Some(config.clone());
        let (beacons, retired) = (Vec::new(), Vec::new());
        Terms { config, cohort, timings, beacons, retired, attested: None }
    }

    /// Begins a round.
    pub(crate) fn open_round(&self, terms: &Terms) -> Round {
        let identity = Arc::clone(self.membership.identity());
        Round::open(terms.clone(), identity, now()).expect("good terms")
    }

    /// Runs a round to its end, or until `interrupt` says so.
    pub(crate) async fn run(
        &mut self,
        terms: &Terms,
        round: &mut Round,
        interrupt: impl Fn(&Shelf) -> bool,
    ) -> Option<Finished> {
        let (mut opened, mut ended) = (None, None);
        loop {
            let mut appended = None;
            while let Some(effect) = round.poll_effect() {
                match effect {
                    RoundEffect::Append { sequence, .. } => appended = Some(sequence),
                    RoundEffect::ToHolder { to, message } => self.send(to, &message).await,
                    RoundEffect::ToClient { to, message } => self.send(to, &message).await,
                    RoundEffect::SendEnvelopes { to, holder, headers } => {
                        for message in self.envelopes(round, holder, &headers) {
                            self.send(to, &message).await;
                        }
                    }
                    RoundEffect::Open { set, components, .. } => {
                        let (aggregate, key_sum) = self.sum(&terms.config, &set, &components);
                        let summary = Opened {
                            aggregate: aggregate.digest(),
                            key_sum: key_sum.digest(),
                            count: aggregate.count,
                            weight: aggregate.weight,
                        };
                        opened = Some((aggregate, key_sum));
                        round.handle_opened(now(), Ok(summary));
                    }
                    RoundEffect::SendProofs { .. }
                    | RoundEffect::Measure { .. }
                    | RoundEffect::Direct { .. } => panic!("no round of these is audited"),
                    RoundEffect::Ended(outcome) => ended = Some(outcome),
                }
            }
            if let Some(outcome) = ended {
                let opened = opened.map(|(aggregate, key_sum)| {
                    self.publish(terms, round, &outcome, aggregate, &key_sum)
                });
                return Some(Finished { outcome, opened });
            }
            if let Some(sequence) = appended {
                round.handle_stored(sequence);
                continue;
            }
            if interrupt(&lock(&self.shelf)) {
                return None;
            }
            tokio::select! {
                input = self.inputs.recv() => {
                    self.take(input.expect("listening"), round).await;
                }
                () = tokio::time::sleep(until(round.poll_timeout())) => {
                    round.handle_timeout(now());
                }
            }
        }
    }

    async fn take(&mut self, input: Input, round: &mut Round) {
        let boxes = Boxes(Arc::clone(&self.shelf));
        match input {
            Input::Linked(id, role, sender) => {
                self.senders.insert(id, (role, sender));
            }
            Input::FromHolder(from, message) => {
                // What a machine refuses changes nothing; these tests look at the outcome.
                let _ = round.handle_holder(now(), from, message, &boxes);
            }
            Input::FromClient(from, message) => {
                if let Err(refusal) = round.handle_client(now(), from, message) {
                    let round_ctx = *round.context();
                    self.send(from, &ToClient::Refused { round_ctx, refusal }).await;
                }
            }
            Input::Contributed(from, header) => {
                if let Err(refusal) = round.handle_contribution(now(), from, header) {
                    let round_ctx = *round.context();
                    self.send(from, &ToClient::Refused { round_ctx, refusal }).await;
                }
            }
        }
    }

    async fn send<T: serde::Serialize>(&mut self, to: PartyId, message: &T) {
        if let Some((_, sender)) = self.senders.get_mut(&to)
            && sender.send(message).await.is_err()
        {
            self.senders.remove(&to);
        }
    }

    fn envelopes(
        &self,
        round: &Round,
        holder: HolderIndex,
        headers: &[SignedHeader],
    ) -> Vec<ToHolder> {
        let (round_ctx, total) = (*round.context(), headers.len() as u32);
        let shelf = lock(&self.shelf);
        let envelope = |header: &SignedHeader| {
            let boxes = &shelf.contributions[&header.header.digest()].boxes;
            let sealed_box = boxes[usize::from(holder.0)].clone();
            Envelope::new(header, holder, sealed_box).expect("a seat")
        };
        let batches = headers.chunks(ENVELOPES_PER_MESSAGE_MAX);
        batches
            .map(|batch| ToHolder::Envelopes {
                round_ctx,
                total,
                batch: batch.iter().map(envelope).collect(),
            })
            .collect()
    }

    fn sum(
        &self,
        config: &RoundConfig,
        set: &[SignedHeader],
        components: &[Vec<u8>],
    ) -> (Aggregate, KeySum) {
        let shelf = lock(&self.shelf);
        let mut accumulator = Accumulator::new(config).expect("valid terms");
        for header in set {
            let contribution = &shelf.contributions[&header.header.digest()];
            accumulator.add_correction(&contribution.correction).expect("a good correction");
            for (index, chunk) in (0..).zip(&contribution.chunks) {
                accumulator.add_chunk(index, chunk).expect("a good chunk");
            }
        }
        let count = set.len() as u32;
        let key_sum = KeySum::recover(config, &accumulator, components, count).expect("a key sum");
        let round_ctx = config.context();
        let aggregate = open(config, &round_ctx, &accumulator, &key_sum, count).expect("opens");
        (aggregate, key_sum)
    }

    fn publish(
        &self,
        terms: &Terms,
        round: &Round,
        outcome: &Outcome,
        aggregate: Aggregate,
        key_sum: &KeySum,
    ) -> (Aggregate, Publication) {
        let Outcome::Done(report) = outcome else { panic!("opened, yet not done: {outcome:?}") };
        let result = RoundResult {
            config: terms.config.clone(),
            cohort: terms.cohort.clone(),
            countersignatures: round.countersignatures().to_vec(),
            headers: round.set().to_vec(),
            certificate: round.certificate().expect("certified").clone(),
            audit: None,
            key_sum: key_sum.to_bytes(),
            aggregate: aggregate.clone(),
            report: report.clone(),
        };
        (aggregate, Publication::sign(result, self.membership.identity()))
    }

    /// Writes a finished round as coordinators publish it.
    pub(crate) fn write(&self, folder: &Path, publication: &Publication) {
        let round = folder.join(format!("round-{:04}", publication.result.config.round));
        fs::create_dir_all(&round).expect("a folder");
        fs::write(round.join("publication.covey"), publication.encode()).expect("written");
        let shelf = lock(&self.shelf);
        for signed in &publication.result.headers {
            let digest = signed.header.digest();
            let folder = round.join("contributions").join(digest.to_string());
            fs::create_dir_all(&folder).expect("a folder");
            let contribution = &shelf.contributions[&digest];
            fs::write(folder.join("correction"), &contribution.correction).expect("written");
            fs::write(folder.join("chunks"), contribution.chunks.concat()).expect("written");
        }
    }
}

struct Boxes(SharedShelf);

impl BoxSource for Boxes {
    fn sealed_box(&self, header: &Digest, holder: HolderIndex) -> Option<Vec<u8>> {
        let shelf = lock(&self.0);
        shelf.contributions.get(header)?.boxes.get(usize::from(holder.0)).cloned()
    }
}

async fn admit(mut listener: Listener, inputs: mpsc::UnboundedSender<Input>, shelf: SharedShelf) {
    while let Some(arrival) = listener.accept().await {
        match arrival {
            Arrival::Link(link) => {
                tokio::spawn(serve(*link, inputs.clone(), Arc::clone(&shelf)));
            }
            Arrival::Applicant(_) => eprintln!("nobody enrols here"),
            // Also a client that was killed while it dialled; a round that lacks somebody tells.
            Arrival::Refused { error, .. } => eprintln!("turned away: {error}"),
        }
    }
}

async fn serve(link: Link, inputs: mpsc::UnboundedSender<Input>, shelf: SharedShelf) {
    let Link { peer, sender, mut receiver, links, .. } = link;
    let (id, role) = (peer.id, peer.role);
    // The test may be over.
    let _ = inputs.send(Input::Linked(id, role, sender));
    let bulk = async {
        while let Ok(stream) = links.accept_bulk().await {
            let (inputs, shelf, links) = (inputs.clone(), Arc::clone(&shelf), links.clone());
            tokio::spawn(async move {
                if serve_bulk(stream, id, &inputs, &shelf).await.is_none() {
                    links.close(CloseReason::ShuttingDown);
                }
            });
        }
    };
    let messages = async {
        loop {
            let input = if role == Role::Holder {
                receiver.receive().await.ok().flatten().map(|one| Input::FromHolder(id, one))
            } else {
                receiver.receive().await.ok().flatten().map(|one| Input::FromClient(id, one))
            };
            let Some(input) = input else { return };
            let _ = inputs.send(input);
        }
    };
    tokio::join!(bulk, messages);
}

/// Serves one bulk stream; `None` when the coordinator is to die now.
async fn serve_bulk(
    stream: BulkStream,
    from: PartyId,
    inputs: &mpsc::UnboundedSender<Input>,
    shelf: &SharedShelf,
) -> Option<()> {
    match stream.request().await.ok()? {
        BulkArrival::Plan(_, fetch) => {
            let plan = lock(shelf).plan.clone();
            fetch.send(&plan).await.ok()
        }
        BulkArrival::Model(digest, fetch) => {
            let model = lock(shelf).models.get(&digest).cloned();
            fetch.send(&model.expect("a known model")).await.ok()
        }
        BulkArrival::Stored(_, fetch) => fetch.refuse(Refusal::UnknownRound).await.ok(),
        BulkArrival::Contribution(header, upload) => {
            let digest = header.header.digest();
            let (config, cuts) = {
                let mut shelf = lock(shelf);
                shelf.offered.push(digest);
                (shelf.terms.clone().expect("terms"), shelf.cuts_uploads)
            };
            if cuts {
                return None;
            }
            if header.header.round_ctx != config.context() {
                return upload.refuse(Refusal::UnknownRound).await.ok();
            }
            let is_known = lock(shelf).contributions.contains_key(&digest);
            if !is_known {
                let (contribution, upload) = receive(*header, upload, &config, shelf).await?;
                let header = contribution.header.clone();
                lock(shelf).contributions.insert(digest, contribution);
                let _ = inputs.send(Input::Contributed(from, header));
                return upload.stored().await.ok();
            }
            let _ = inputs.send(Input::Contributed(from, *header));
            upload.stored().await.ok()
        }
    }
}

async fn receive(
    header: SignedHeader,
    mut upload: Upload,
    config: &RoundConfig,
    shelf: &SharedShelf,
) -> Option<(Contribution, Upload)> {
    let mut check = ContributionCheck::new(config, &header).expect("a good header");
    let digest = header.header.digest();
    let (half, cuts_after) = {
        let shelf = lock(shelf);
        (shelf.halves.get(&digest).cloned().unwrap_or_default(), shelf.cuts_after)
    };
    upload.accept(half.len() as u64).await.ok()?;
    if let Some(bytes) = cuts_after {
        let mut rest = vec![0; bytes.saturating_sub(half.len())];
        upload.read_exact(&mut rest).await.ok()?;
        lock(shelf).halves.insert(digest, [half, rest].concat());
        return None;
    }
    let mut upload = Parts { half, upload };
    let mut correction = vec![0; correction_bytes(config)];
    upload.read_exact(&mut correction).await.ok()?;
    check.correction(&correction).expect("a good correction");
    let mut boxes = Vec::new();
    for holder in (0..).map(HolderIndex).take(config.shape.members()) {
        let mut sealed_box = vec![0; box_bytes(config)];
        upload.read_exact(&mut sealed_box).await.ok()?;
        check.sealed_box(holder, &sealed_box).expect("a good box");
        boxes.push(sealed_box);
    }
    let mut chunks = Vec::new();
    for index in 0..config.chunks() {
        let mut chunk = vec![0; config.chunk_bytes(index)];
        upload.read_exact(&mut chunk).await.ok()?;
        check.chunk(index, &chunk).expect("a good chunk");
        chunks.push(chunk);
    }
    let mut upload = upload.upload;
    upload.expect_end().await.ok()?;
    check.finish().expect("a good contribution");
    Some((Contribution { header, correction, boxes, chunks }, upload))
}

/// What came of an upload before it was cut, and then the rest.
struct Parts {
    half: Vec<u8>,
    upload: Upload,
}

impl Parts {
    async fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), LinkError> {
        let (early, late) = bytes.split_at_mut(bytes.len().min(self.half.len()));
        early.copy_from_slice(&self.half[..early.len()]);
        self.half.drain(..early.len());
        self.upload.read_exact(late).await
    }
}
