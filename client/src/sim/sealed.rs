//! Rounds with the real machines and the real encryption: one `Round`, four or seven `Holder`s,
//! a `Participant` for each client. Messages are handed over in memory.

mod audit;
mod committee;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use covey_aggregation::audit::deal::{ComponentKey, Deal, gather};
use covey_aggregation::audit::witness::Witness;
use covey_aggregation::config::{CommitteeShape, HolderIndex, RoundConfig};
use covey_aggregation::hash::Digest;
use covey_aggregation::holder::{Holder, HolderSetup};
use covey_aggregation::limits::PROOFS_PER_MESSAGE_MAX;
use covey_aggregation::message::{Decline, Outcome, SignedHeader, ToClient, ToHolder};
use covey_aggregation::participant::{CheckedRoster, Participant, ParticipantEffect};
use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::program::enrol::secret;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::roster::{Member, Roster};
use covey_aggregation::round::{OpenFailure, Opened, Round, RoundEffect, Terms, Timings};
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::contribution::{BadContribution, ContributionCheck};
use covey_aggregation::sum::open::{Aggregate, KeySum, Summands, open};
use covey_aggregation::sum::seal::Sealed;
use covey_aggregation::sum::sealed_box::SealingSecret;
use covey_aggregation::time::Time;

use super::boxes::Boxes;
use super::crew::for_each;
use super::laboratory::{Laboratory, Opening, file_failure};
use super::run::{RoundEnd, bug};
use crate::prepare::Declined;
use crate::sealing::seal;

use audit::Kept;

/// Key holders: one may be missing or lie.
const HOLDERS: usize = 4;

/// A federation's members, with the keys of all but the owners.
pub(super) struct Founded {
    pub(super) roster: Roster,
    coordinator: Arc<Identity>,
    holders: Vec<(Arc<Identity>, Arc<SealingSecret>)>,
}

impl Founded {
    /// Draws the keys of a coordinator and of holders: nothing that is learnt hangs on them.
    pub(super) fn new(owners: &[Arc<Identity>]) -> Result<Self, Failure> {
        let coordinator = Arc::new(Identity::from_seed(&secret()?));
        let mut members =
            vec![member("coordinator".to_owned(), coordinator.id(), Role::Coordinator)?];
        let mut holders = Vec::new();
        for place in 1..=HOLDERS {
            let identity = Arc::new(Identity::from_seed(&secret()?));
            let sealing = Arc::new(SealingSecret::from_seed(&secret()?));
            let mut holder = member(format!("holder-{place}"), identity.id(), Role::Holder)?;
            holder.sealing_key = Some(sealing.public());
            members.push(holder);
            holders.push((identity, sealing));
        }
        for (place, owner) in (1..).zip(owners) {
            members.push(member(format!("client-{place}"), owner.id(), Role::DataOwner)?);
        }
        let federation = "simulated".parse().map_err(|error| bug(&error))?;
        let roster = Roster::founding(federation, Digest::ZERO, members);
        Ok(Self { roster, coordinator, holders })
    }

    /// The beacon keys that audited rounds begin with, as the holders deal them.
    pub(super) fn beacons(&self) -> Result<Vec<ComponentKey>, Failure> {
        let (federation, committee) = (self.roster.digest(), self.roster.committee());
        let mut deals = BTreeMap::new();
        for (place, (identity, _)) in (0..).zip(&self.holders) {
            let by = (HolderIndex(place), &**identity);
            let deal = Deal::new(federation, CommitteeShape::Four, &committee, by);
            deals.insert(by.0, deal.ok_or_else(|| bug("a sealing key is none"))?);
        }
        gather(CommitteeShape::Four, &deals, 0).ok_or_else(|| bug("a component has no dealer"))
    }
}

/// The machines of a federation.
pub(super) struct Machines {
    coordinator: Arc<Identity>,
    holders: Vec<(PartyId, Holder)>,
    owners: Vec<Participant>,
    /// Virtual: it stands still but where a round waits for a deadline.
    now: Time,
}

impl Machines {
    pub(super) fn new(
        founded: Founded,
        owners: &[Arc<Identity>],
        timings: &Timings,
    ) -> Result<Self, Failure> {
        let Founded { roster, coordinator, holders } = founded;
        let holders = holders.into_iter().map(|(identity, secret)| {
            let id = identity.id();
            let setup = HolderSetup { identity, secret, roster: roster.clone() };
            Ok((id, Holder::new(setup, []).map_err(|error| bug(&error))?))
        });
        let holders = holders.collect::<Result<_, Failure>>()?;
        let shared = Arc::new(CheckedRoster::new(&roster).map_err(|error| bug(&error))?);
        let times = (timings.resend_ms, u64::MAX);
        let owners = owners.iter().map(|identity| {
            let participant =
                Participant::sharing(Arc::clone(&shared), Arc::clone(identity), times, []);
            participant.map_err(|error| bug(&error))
        });
        let owners = owners.collect::<Result<_, Failure>>()?;
        Ok(Self { coordinator, holders, owners, now: Time(1) })
    }

    /// Plays one round. Clients in `absent` are offered it, and that is all.
    pub(super) fn play(
        &mut self,
        laboratory: &Laboratory,
        workers: usize,
        terms: Terms,
        opening: &Opening,
        absent: &BTreeSet<usize>,
    ) -> Result<RoundEnd, Failure> {
        let config = Arc::new(terms.config.clone());
        let accumulator = Accumulator::new(&config).map_err(|error| bug(&error))?;
        let identity = Arc::clone(&self.coordinator);
        let round = Round::open(terms, identity, self.now).map_err(|error| {
            Failure::new(Exit::BadInput, "BAD_TERMS", format!("no round can be opened: {error}"))
        })?;
        let mail = self.holders.iter().map(|_| Vec::new()).collect();
        let boxes = Boxes::new(&config).map_err(|error| file_failure(&error))?;
        let mut play = Play {
            machines: self,
            laboratory,
            workers: workers.max(1),
            absent,
            context: config.context(),
            config,
            round,
            accumulator,
            boxes,
            mail,
            to_train: Vec::new(),
            to_prove: Vec::new(),
            witnesses: BTreeMap::new(),
            kept: BTreeMap::new(),
            arriving: None,
            losses: BTreeMap::new(),
            why_declined: None,
            aggregate: None,
            ended: None,
        };
        play.run(opening)
    }
}

fn member(name: String, id: PartyId, role: Role) -> Result<Member, Failure> {
    let name = Name::try_from(name).map_err(|error| bug(&error))?;
    Ok(Member { name, id, role, sealing_key: None })
}

/// What a holder is to be told.
enum Mail {
    Message(ToHolder),
    Envelopes(HolderIndex, Arc<[SignedHeader]>),
}

/// What a client made, checked as it is when it is uploaded.
struct Upload {
    sealed: Sealed,
    chunks: Vec<Vec<u8>>,
    /// What a proof is made from, where the round is audited.
    witness: Option<Witness>,
    loss: f32,
}

/// A round being played.
struct Play<'a> {
    machines: &'a mut Machines,
    laboratory: &'a Laboratory,
    /// Threads.
    workers: usize,
    absent: &'a BTreeSet<usize>,
    config: Arc<RoundConfig>,
    context: Digest,
    round: Round,
    accumulator: Accumulator,
    boxes: Boxes,
    /// For each holder, what it has not taken yet.
    mail: Vec<Vec<Mail>>,
    /// Clients that are asked to prepare.
    to_train: Vec<usize>,
    /// Clients that are asked to prove, with the set and the beacon of the rows.
    to_prove: Vec<(usize, Digest, Digest)>,
    /// What they prove from.
    witnesses: BTreeMap<usize, Witness>,
    /// Where the round is audited: contributions, which are added only when they have passed.
    kept: BTreeMap<Digest, Kept>,
    /// Of the client that has just prepared, what it will upload.
    arriving: Option<Upload>,
    losses: BTreeMap<usize, f32>,
    /// What the first client that declined told its owner.
    why_declined: Option<String>,
    aggregate: Option<Aggregate>,
    ended: Option<Outcome>,
}

impl Play<'_> {
    fn run(&mut self, opening: &Opening) -> Result<RoundEnd, Failure> {
        loop {
            self.pump()?;
            if let Some(outcome) = self.ended.take() {
                let losses = std::mem::take(&mut self.losses);
                let why_declined = self.why_declined.take();
                return Ok(RoundEnd {
                    outcome,
                    aggregate: self.aggregate.take(),
                    losses,
                    why_declined,
                });
            }
            if !self.to_prove.is_empty() {
                self.prove()?;
                continue;
            }
            let clients = std::mem::take(&mut self.to_train);
            if clients.is_empty() {
                // Everybody who is there has answered: now the deadline comes.
                let next =
                    self.round.poll_timeout().ok_or_else(|| bug("the round stands still"))?;
                self.machines.now = self.machines.now.max(next);
                self.round.handle_timeout(self.machines.now);
                continue;
            }
            let (laboratory, config) = (self.laboratory, Arc::clone(&self.config));
            let work = |client| prepare(laboratory, client, &config, opening);
            for_each(&clients, self.workers, work, |client, made| self.take(client, made))?;
        }
    }

    /// A client has prepared, or will not.
    fn take(
        &mut self,
        client: usize,
        made: Result<Result<Upload, Declined>, Failure>,
    ) -> Result<(), Failure> {
        let result = match made? {
            Ok(upload) => {
                let header = upload.sealed.header.clone();
                self.arriving = Some(upload);
                Ok(header)
            }
            Err(Declined { reason, why }) => {
                self.why_declined.get_or_insert(why);
                Err::<_, Decline>(reason)
            }
        };
        let now = self.machines.now;
        self.machines.owners[client].handle_prepared(now, &self.context, result);
        self.follow(client)?;
        self.pump()
    }

    /// Does what the coordinator and the holders want, until they want nothing.
    fn pump(&mut self) -> Result<(), Failure> {
        loop {
            while let Some(effect) = self.round.poll_effect() {
                self.perform(effect)?;
            }
            if self.mail.iter().all(Vec::is_empty) {
                return Ok(());
            }
            self.deliver()?;
        }
    }

    fn perform(&mut self, effect: RoundEffect) -> Result<(), Failure> {
        match effect {
            RoundEffect::Append { sequence, .. } => self.round.handle_stored(sequence),
            RoundEffect::ToHolder { to, message } => self.post(&to, Mail::Message(message)),
            RoundEffect::SendEnvelopes { to, holder, headers } => {
                self.post(&to, Mail::Envelopes(holder, headers));
            }
            RoundEffect::ToClient { to, message } => {
                let place = self.laboratory.places.get(&to).copied();
                if let Some(client) = place.filter(|client| !self.absent.contains(client)) {
                    self.tell(client, message)?;
                }
            }
            RoundEffect::SendProofs { to, proofs } => {
                let round_ctx = self.context;
                for batch in proofs.chunks(PROOFS_PER_MESSAGE_MAX) {
                    let batch = batch.to_vec();
                    self.post(&to, Mail::Message(ToHolder::Proofs { round_ctx, batch }));
                }
            }
            RoundEffect::Measure { headers, set, rows, check } => {
                self.measure(&headers, (set, rows, check))?;
            }
            RoundEffect::Open { set, components, summands } => {
                let opened = self.open((&set, summands), &components);
                self.round.handle_opened(self.machines.now, opened);
            }
            // Simulated rounds have no validation pool, and so no credit.
            RoundEffect::Direct { .. } => {}
            RoundEffect::Ended(outcome) => self.ended = Some(outcome),
        }
        Ok(())
    }

    fn post(&mut self, to: &PartyId, mail: Mail) {
        if let Some(place) = self.machines.holders.iter().position(|(id, _)| id == to) {
            self.mail[place].push(mail);
        }
    }

    fn tell(&mut self, client: usize, message: ToClient) -> Result<(), Failure> {
        self.machines.owners[client].handle(self.machines.now, message);
        self.follow(client)
    }

    /// Does what a client wants.
    fn follow(&mut self, client: usize) -> Result<(), Failure> {
        while let Some(effect) = self.machines.owners[client].poll_effect() {
            match effect {
                ParticipantEffect::Append { sequence, .. } => {
                    self.machines.owners[client].handle_stored(sequence);
                }
                ParticipantEffect::Prepare { config } => {
                    if *config != *self.config {
                        return Err(bug("a client was offered other terms"));
                    }
                    self.to_train.push(client);
                }
                ParticipantEffect::Upload { .. } => self.upload(client)?,
                ParticipantEffect::Prove { set, rows, .. } => {
                    self.to_prove.push((client, set, rows));
                }
                ParticipantEffect::Send(message) => {
                    let id = self.laboratory.identities[client].id();
                    let now = self.machines.now;
                    self.round.handle_client(now, id, message).map_err(|why| bug(&why))?;
                }
                ParticipantEffect::Counted { .. } => self.laboratory.counted(client)?,
                ParticipantEffect::Promised(_)
                | ParticipantEffect::NotCounted { .. }
                | ParticipantEffect::Forget { .. }
                | ParticipantEffect::Cancel { .. } => {}
            }
        }
        Ok(())
    }

    /// The coordinator takes a contribution, and adds it at once.
    fn upload(&mut self, client: usize) -> Result<(), Failure> {
        let upload = self.arriving.take().ok_or_else(|| bug("an upload of nothing"))?;
        let Upload { sealed, chunks, witness, loss } = upload;
        let Sealed { header, correction, boxes } = sealed;
        let (id, round) = (self.laboratory.identities[client].id(), &mut self.round);
        round.may_contribute(&id, &header).map_err(|why| bug(&why))?;
        if let Some(witness) = witness {
            self.witnesses.insert(client, witness);
            self.kept.insert(header.header.digest(), Kept { correction, chunks });
        } else {
            add(&mut self.accumulator, &correction, &chunks).map_err(|why| bug(&why))?;
        }
        let stored = self.boxes.store(header.header.digest(), &boxes);
        stored.map_err(|error| file_failure(&error))?;
        let taken = round.handle_contribution(self.machines.now, id, header);
        taken.map_err(|why| bug(&why))?;
        self.losses.insert(client, loss);
        Ok(())
    }

    fn open(
        &mut self,
        (set, summands): (&[SignedHeader], Summands),
        components: &[Vec<u8>],
    ) -> Result<Opened, OpenFailure> {
        let spoiled = |why: &dyn std::fmt::Display| OpenFailure::Spoiled(why.to_string());
        for signed in set {
            if let Some(Kept { correction, chunks }) = self.kept.get(&signed.header.digest()) {
                let added = add(&mut self.accumulator, correction, chunks);
                added.map_err(|why| spoiled(&why))?;
            }
        }
        if !self.config.is_audited() && set.len() != self.boxes.len() {
            let what = "a contribution was left out after it had been added";
            return Err(OpenFailure::Unavailable(what.to_owned()));
        }
        let (config, sum) = (&*self.config, &self.accumulator);
        let key_sum = KeySum::recover(config, sum, components, summands.count)
            .map_err(|why| spoiled(&why))?;
        let aggregate =
            open(config, &self.context, sum, &key_sum, summands).map_err(|why| spoiled(&why))?;
        let opened = Opened {
            aggregate: aggregate.digest(),
            key_sum: key_sum.digest(),
            count: aggregate.count,
            weight: aggregate.weight,
        };
        self.aggregate = Some(aggregate);
        Ok(opened)
    }
}

/// A client's work: train, round, seal; and the coordinator's check of what arrives.
fn prepare(
    laboratory: &Laboratory,
    client: usize,
    terms: &RoundConfig,
    opening: &Opening,
) -> Result<Result<Upload, Declined>, Failure> {
    let prepared = match laboratory.prepare(client, terms, opening) {
        Ok(prepared) => prepared,
        Err(declined) => return Ok(Err(declined)),
    };
    let (entropy, identity) = (secret()?, &laboratory.identities[client]);
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    let sealed = seal(terms, identity, &prepared.quantised, &entropy, 1, &mut chunks);
    let (sealed, witness) = sealed.map_err(|error| bug(&error))?;
    check(terms, &sealed, &chunks).map_err(|error| bug(&error))?;
    Ok(Ok(Upload { sealed, chunks, witness, loss: prepared.loss }))
}

fn check(terms: &RoundConfig, sealed: &Sealed, chunks: &[Vec<u8>]) -> Result<(), BadContribution> {
    let mut check = ContributionCheck::new(terms, &sealed.header)?;
    check.correction(&sealed.correction)?;
    for (holder, sealed_box) in (0..).map(HolderIndex).zip(&sealed.boxes) {
        check.sealed_box(holder, sealed_box)?;
    }
    for (index, chunk) in (0..).zip(chunks) {
        check.chunk(index, chunk)?;
    }
    check.finish().map(|_| ())
}

fn add(
    accumulator: &mut Accumulator,
    correction: &[u8],
    chunks: &[Vec<u8>],
) -> Result<(), BadContribution> {
    accumulator.add_correction(correction)?;
    (0..).zip(chunks).try_for_each(|(index, chunk)| accumulator.add_chunk(index, chunk))
}
