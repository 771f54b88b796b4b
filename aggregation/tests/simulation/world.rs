//! The world: real machines with real crypto in virtual time.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use covey_aggregation::audit::deal::{ComponentKey, Deal, gather};
use covey_aggregation::audit::rereading::Signed;
use covey_aggregation::config::{
    Audit, HolderIndex, KeyLayer, Packing, Profile, Quantiser, RoundConfig, Weighting,
    cohort_digest,
};
use covey_aggregation::credit::{CreditConfig, CreditState};
use covey_aggregation::hash::{Digest, Domain, Hasher};
use covey_aggregation::limits::FRAME_BYTES_MAX;
use covey_aggregation::message::{Decline, FromClient, FromHolder, Refusal, ToClient, ToHolder};
use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::record::Sequence;
use covey_aggregation::roster::{Member, Roster};
use covey_aggregation::round::{Round, Terms};
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::sealed_box::SealingSecret;
use covey_aggregation::time::Time;
use covey_aggregation::wire;
use rand::RngExt;
use zeroize::Zeroizing;

use crate::disk::Journal;
use crate::liars::Lie;
use crate::network::{Event, Network, Node, Upload};
use crate::nodes::{CoordinatorNode, HolderNode, OwnerNode};
use crate::oracle::Witness;
use crate::scenario::{Fault, Scenario, When};

/// More events than any honest run needs; beyond it something answers itself for ever.
const EVENTS_MAX: u64 = 3_000_000;

/// What clocks that are right say at the beginning.
const EPOCH_MS: i64 = 10_000_000;
/// How far a clock may be off, either way.
const CLOCK_JUMP_MS: i64 = 3_600_000;

pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) roster: Roster,
    pub(crate) cohort: Vec<PartyId>,
    pub(crate) now_ms: u64,
    pub(crate) events: u64,
    pub(crate) coordinator: CoordinatorNode,
    pub(crate) holders: Vec<HolderNode>,
    pub(crate) owners: Vec<OwnerNode>,
    pub(crate) witness: Witness,
    pub(crate) network: Network,
    /// What holder 0 was told, where that is kept.
    pub(crate) told: Option<Vec<ToHolder>>,
    trace: Hasher,
    /// How far the clocks are off.
    skews_ms: BTreeMap<Node, i64>,
    /// Faults that are still to come.
    faults: Vec<(When, Fault)>,
    /// Nothing breaks any more.
    pub(crate) is_clear: bool,
}

fn identity(kind: u8, index: usize) -> Arc<Identity> {
    let mut seed = [kind; 32];
    seed[0] = index as u8;
    Arc::new(Identity::from_seed(&Zeroizing::new(seed)))
}

impl World {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let holders: Vec<HolderNode> = (0..scenario.shape.members())
            .map(|index| {
                let secret = SealingSecret::from_seed(&Zeroizing::new([index as u8; 96]));
                let mut node = HolderNode::new(identity(0xa0, index), Arc::new(secret));
                if let Some((_, lie)) = scenario.lies.iter().find(|(h, _)| *h == index) {
                    node.corrupt(HolderIndex(index as u8), *lie);
                }
                node
            })
            .collect();
        let owners: Vec<OwnerNode> = (0..scenario.owners)
            .map(|index| OwnerNode {
                identity: identity(0xc1, index),
                life: 0,
                machine: None,
                journal: Journal::default(),
                lie: scenario.owner_lies.iter().find(|(o, _)| *o == index).map(|(_, lie)| *lie),
                is_willing: !scenario.unwilling.contains(&index),
                witnesses: BTreeMap::new(),
                stored: BTreeMap::new(),
                second: BTreeMap::new(),
                told: BTreeMap::new(),
            })
            .collect();
        let coordinator = CoordinatorNode::new(identity(0xee, 0));
        let roster = roster(&coordinator, &holders, &owners);
        let mut cohort: Vec<_> = owners.iter().map(|owner| owner.identity.id()).collect();
        cohort.sort_unstable();
        let network = Network::new(scenario.seed, scenario.weather, scenario.cuts.clone());
        let mut world = Self {
            roster,
            cohort,
            now_ms: 0,
            events: 0,
            coordinator,
            holders,
            owners,
            witness: Witness::default(),
            network,
            told: None,
            trace: Hasher::new(Domain::Body),
            skews_ms: BTreeMap::new(),
            faults: scenario.faults.clone(),
            is_clear: false,
            scenario,
        };
        for holder in 0..world.holders.len() {
            world.start(Node::Holder(holder));
        }
        for owner in 0..world.owners.len() {
            world.start(Node::Owner(owner));
        }
        world.start(Node::Coordinator);
        world.schedule_timed_faults();
        world
    }

    /// Runs until nothing more can happen; returns the digest of everything that did.
    pub(crate) fn run(&mut self) -> Digest {
        self.pump();
        while self.step() {}
        self.trace.finish()
    }

    /// What the next round's credit begins with.
    fn credit(&self) -> CreditConfig {
        let attested = &self.coordinator.credit.attested;
        let state = match attested {
            Some(attested) => attested.state_for(&Digest([2; 32])),
            None => CreditState::first(crate::direction::pool()),
        };
        CreditConfig { fold: 30, steps: 20, state }
    }

    /// The terms of round number `round`.
    pub(crate) fn terms(&self, round: u32) -> Terms {
        let owners = self.scenario.owners as u32;
        let quantiser =
            Quantiser { bits: 8, range: 1.0, clip_norm: 1.0, weighting: Weighting::Uniform };
        let is_audited = self.scenario.is_audited;
        let profile = if is_audited { Profile::B } else { Profile::A };
        let packing = Packing::derive(profile, quantiser.bits, owners.max(3));
        let beacons = if is_audited { self.beacons() } else { Vec::new() };
        let mut config = RoundConfig {
            federation: self.roster.digest(),
            run: Digest([2; 32]),
            round,
            plan: Digest([3; 32]),
            manifest: Digest([4; 32]),
            model: self.coordinator.credit.model,
            dimension: u64::from(owners),
            profile,
            key_layer: KeyLayer::ReplicatedSeeds,
            quantiser,
            counters: 0,
            control: None,
            packing: packing.expect("a packing for few owners"),
            contributions_min: self.scenario.minimum,
            contributions_max: owners.max(3),
            shape: self.scenario.shape,
            committee: self.roster.committee(),
            cohort: cohort_digest(&self.cohort),
            beacon_commitments: beacons.iter().map(|key| key.key.commitment).collect(),
            audit: if is_audited { Audit::Closed { rows: 64 } } else { Audit::Off },
            credit: self.scenario.has_credit.then(|| self.credit()),
            collect_ms: self.scenario.timings.collect_ms,
        };
        config.packing = config.derive_packing().expect("a packing for few owners");
        let memory = &self.coordinator.credit;
        let (retired, attested) = (memory.retired.clone(), memory.attested.clone().map(Box::new));
        let (cohort, timings) = (self.cohort.clone(), self.scenario.timings);
        Terms { config, cohort, timings, beacons, retired, attested }
    }

    /// The beacon keys, as if all holders had been asked for them.
    fn beacons(&self) -> Vec<ComponentKey> {
        let (federation, committee) = (self.roster.digest(), self.roster.committee());
        let shape = self.scenario.shape;
        let deal = |(index, node): (usize, &HolderNode)| {
            let by = (HolderIndex(index as u8), &*node.identity);
            let deal = Deal::new(federation, shape, &committee, by).expect("good sealing keys");
            deal.check(&federation, shape, &committee).expect("as dealt");
            (by.0, deal)
        };
        let deals = self.holders.iter().enumerate().map(deal).collect();
        gather(shape, &deals, 0).expect("all have dealt")
    }

    /// One event or one timer, whichever is sooner.
    fn step(&mut self) -> bool {
        let Some((at_ms, is_timer)) = self.next() else { return false };
        self.now_ms = self.now_ms.max(at_ms);
        self.events += 1;
        assert!(self.events < EVENTS_MAX, "seed {}: it never ends", self.scenario.seed);
        if is_timer {
            self.note(&format!("{} timers", self.now_ms));
            self.fire_timers();
        } else if let Some(event) = self.network.pop() {
            self.note(&format!("{} {}", self.now_ms, event.describe()));
            self.handle(event);
        }
        self.pump();
        self.break_after_events();
        true
    }

    fn next(&self) -> Option<(u64, bool)> {
        let round = self.coordinator.round.as_ref().and_then(Round::poll_timeout);
        let round = round.map(|at| self.unskewed(Node::Coordinator, at));
        let owners = self.owners.iter().enumerate().filter_map(|(index, one)| {
            let at = one.machine.as_ref()?.poll_timeout()?;
            Some(self.unskewed(Node::Owner(index), at))
        });
        let timer = round.into_iter().chain(owners).min().map(|at_ms| (at_ms, true));
        let event = self.network.next_ms().map(|at_ms| (at_ms, false));
        // At the same time, events go first.
        [event, timer].into_iter().flatten().min()
    }

    fn note(&mut self, line: &str) {
        self.trace.part(line.as_bytes());
    }

    /// What the clock of `node` says.
    pub(crate) fn now(&self, node: Node) -> Time {
        Time((self.now_ms as i64 + self.offset_ms(node)) as u64)
    }

    /// When the clock of `node` will say so.
    fn unskewed(&self, node: Node, at: Time) -> u64 {
        (at.0 as i64 - self.offset_ms(node)).max(0) as u64
    }

    fn offset_ms(&self, node: Node) -> i64 {
        EPOCH_MS + self.skews_ms.get(&node).copied().unwrap_or_default()
    }

    /// A process that starts believes the clock of its machine, which may have been set since.
    /// While it runs, it counts from there.
    fn set_clock(&mut self, node: Node) {
        if self.scenario.clock_jumps {
            let jump_ms = self.network.rng.random_range(-CLOCK_JUMP_MS..=CLOCK_JUMP_MS);
            self.skews_ms.insert(node, jump_ms);
        }
    }

    fn fire_timers(&mut self) {
        let now = self.now(Node::Coordinator);
        if let Some(round) = &mut self.coordinator.round {
            round.handle_timeout(now);
        }
        for index in 0..self.owners.len() {
            let now = self.now(Node::Owner(index));
            if let Some(machine) = &mut self.owners[index].machine {
                machine.handle_timeout(now);
            }
        }
    }

    fn handle(&mut self, event: Event) {
        let now = self.now(Node::Coordinator);
        match event {
            Event::ToHolder { holder, bytes } => {
                let message: ToHolder = decode(&bytes);
                if let Some((_, liar)) = &mut self.holders[holder].lie {
                    liar.hear(&message);
                }
                if let Some(machine) = &mut self.holders[holder].machine {
                    machine.handle(message);
                }
            }
            Event::FromHolder { holder, bytes } => {
                let message: FromHolder = decode(&bytes);
                let from = self.holders[holder].identity.id();
                if let Some(round) = &mut self.coordinator.round {
                    let blobs = &self.coordinator.blobs;
                    let result = round.handle_holder(now, from, message, blobs);
                    self.note(&format!("{result:?}"));
                }
            }
            Event::ToOwner { owner, bytes } => {
                let now = self.now(Node::Owner(owner));
                if let Some(machine) = &mut self.owners[owner].machine {
                    machine.handle(now, decode(&bytes));
                }
            }
            Event::FromOwner { owner, bytes } => self.owner_says(owner, decode(&bytes)),
            Event::Upload { owner, upload } => self.upload(owner, &upload),
            Event::Stored { node, life, upto } => self.stored(node, life, upto),
            Event::Prepared { owner, life, config } => self.prepared(owner, life, &config),
            Event::Opened { life, round_ctx, result } => {
                let alive = self.coordinator.life == life;
                let round = self.coordinator.round.as_mut().filter(|_| alive);
                if let Some(round) = round.filter(|round| *round.context() == round_ctx) {
                    round.handle_opened(now, result);
                }
            }
            Event::Measured { life, round_ctx, result } => {
                let alive = self.coordinator.life == life;
                let round = self.coordinator.round.as_mut().filter(|_| alive);
                if let Some(round) = round.filter(|round| *round.context() == round_ctx) {
                    round.handle_measured(now, result);
                }
            }
            Event::Directed { life, round_ctx, result } => {
                let alive = self.coordinator.life == life;
                let round = self.coordinator.round.as_mut().filter(|_| alive);
                if let Some(round) = round.filter(|round| *round.context() == round_ctx) {
                    round.handle_directed(now, result);
                }
            }
            Event::OwnDirected { holder, life, round_ctx, question } => {
                let sums = &self.coordinator.openings[&round_ctx].aggregate.sums;
                let node = &mut self.holders[holder];
                if let Some(machine) = node.machine.as_mut().filter(|_| node.life == life) {
                    let own = match node.lie {
                        Some((Lie::WrongDirections, _)) => Err("it says so".to_owned()),
                        _ => crate::direction::own(&question, sums),
                    };
                    machine.handle_directed(&round_ctx, own);
                }
            }
            Event::Proven { owner, life, round_ctx, set, rows } => {
                let now = self.now(Node::Owner(owner));
                let node = &mut self.owners[owner];
                let result = node.prove(&round_ctx, (set, rows), &mut self.network.rng);
                if let Some(machine) = node.machine.as_mut().filter(|_| node.life == life) {
                    machine.handle_proven(now, &round_ctx, result);
                }
            }
            Event::Reread { holder, life, round_ctx, contributions } => {
                self.reread(holder, life, &round_ctx, contributions);
            }
            Event::Down(_) if self.is_clear => {}
            Event::Down(node) => self.crash(node),
            Event::Up(node) => self.start(node),
        }
    }

    /// A holder has fetched stored contributions.
    fn reread(&mut self, holder: usize, life: u32, round_ctx: &Digest, all: Vec<Signed>) {
        let node = &mut self.holders[holder];
        let Some(machine) = node.machine.as_mut().filter(|_| node.life == life) else { return };
        for signed in all {
            let Some(rereading) = machine.rereading(round_ctx) else { return };
            let public = self.coordinator.blobs.measure(&rereading, signed);
            machine.handle_reread(round_ctx, &signed.header, public);
        }
    }

    fn owner_says(&mut self, owner: usize, message: FromClient) {
        let round_ctx = *message.round_ctx();
        if self.tell_past(owner, round_ctx) {
            return;
        }
        let now = self.now(Node::Coordinator);
        let Some(round) = &mut self.coordinator.round else { return };
        let from = self.owners[owner].identity.id();
        if let Err(refusal) = round.handle_client(now, from, message) {
            self.tell_owner(owner, &ToClient::Refused { round_ctx, refusal });
        }
    }

    /// How a round that is over ended, if the coordinator is up.
    fn tell_past(&mut self, owner: usize, round_ctx: Digest) -> bool {
        let is_up = self.coordinator.round.is_some();
        let past = self.coordinator.ended.iter().find(|(ended, _)| *ended == round_ctx);
        let Some((_, outcome)) = past.filter(|_| is_up) else { return false };
        let outcome = outcome.for_client(&self.owners[owner].identity.id());
        self.tell_owner(owner, &ToClient::Ended { round_ctx, outcome });
        true
    }

    /// A bulk stream has come to its end.
    fn upload(&mut self, owner: usize, upload: &Rc<Upload>) {
        if self.tell_past(owner, upload.header.header.round_ctx) {
            return;
        }
        // A contribution that cannot be stored breaks its stream off; the client tries again.
        let breaks_off = self.disk_fails();
        let now = self.now(Node::Coordinator);
        let from = self.owners[owner].identity.id();
        let Some(mut round) = self.coordinator.round.take() else { return };
        let answer = match round.known_answer(&from, &upload.header) {
            Some(answer) => Some(answer),
            None if breaks_off => None,
            None => {
                let round_ctx = upload.header.header.round_ctx;
                let config = round.config().clone();
                let taken = round.may_contribute(&from, &upload.header).and_then(|()| {
                    let taken = self.coordinator.take(&config, upload);
                    taken.map_err(|bad| Refusal::Malformed(bad.to_string()))
                });
                let taken = taken
                    .and_then(|()| round.handle_contribution(now, from, upload.header.clone()));
                taken.err().map(|refusal| ToClient::Refused { round_ctx, refusal })
            }
        };
        self.coordinator.round = Some(round);
        if let Some(answer) = answer {
            self.tell_owner(owner, &answer);
        }
    }

    /// From now on nothing breaks, nobody is cut off, and nothing is lost.
    pub(crate) fn clear_up(&mut self) {
        self.is_clear = true;
        self.faults.clear();
        self.network.clear_up();
    }

    /// Whether a disk fails right now.
    pub(crate) fn disk_fails(&mut self) -> bool {
        let percent = if self.is_clear { 0 } else { self.scenario.disk_fault_percent };
        let fails = percent > 0 && self.network.chance(percent);
        self.witness.disk_faults += u64::from(fails);
        fails
    }

    /// How often the process of `node` came to an end.
    fn life(&self, node: Node) -> u32 {
        match node {
            Node::Coordinator => self.coordinator.life,
            Node::Holder(index) => self.holders[index].life,
            Node::Owner(index) => self.owners[index].life,
        }
    }

    /// A flush returns. When it fails, nobody knows what is stored: the process must not go on, and
    /// is started again by whoever watches over it.
    fn stored(&mut self, node: Node, life: u32, upto: Sequence) {
        if self.life(node) == life && self.disk_fails() {
            self.fail(node);
            return;
        }
        match node {
            Node::Coordinator if self.coordinator.life == life => {
                self.coordinator.journal.flush(upto);
                if let Some(round) = &mut self.coordinator.round {
                    round.handle_stored(upto);
                }
            }
            Node::Holder(index) if self.holders[index].life == life => {
                let holder = &mut self.holders[index];
                holder.journal.flush(upto);
                if let Some(machine) = &mut holder.machine {
                    machine.handle_stored(upto);
                }
            }
            Node::Owner(index) if self.owners[index].life == life => {
                let owner = &mut self.owners[index];
                owner.journal.flush(upto);
                if let Some(machine) = &mut owner.machine {
                    machine.handle_stored(upto);
                }
            }
            _ => {}
        }
    }

    /// Training is done.
    fn prepared(&mut self, index: usize, life: u32, config: &RoundConfig) {
        if self.owners[index].life != life || self.owners[index].machine.is_none() {
            return;
        }
        if self.disk_fails() {
            // What is sealed cannot be stored.
            self.fail(Node::Owner(index));
            return;
        }
        let now = self.now(Node::Owner(index));
        let owner = &mut self.owners[index];
        let result = if owner.is_willing {
            Ok(owner.seal(index, config, &mut self.network.rng).header.clone())
        } else {
            Err(Decline::Policy)
        };
        if let Some(machine) = &mut owner.machine {
            machine.handle_prepared(now, &config.context(), result);
        }
    }

    /// The process of `node` stops, and is started again.
    fn fail(&mut self, node: Node) {
        self.crash(node);
        let at_ms = self.now_ms + self.network.rng.random_range(100..1_000);
        self.network.schedule(at_ms, Event::Up(node));
    }

    fn crash(&mut self, node: Node) {
        self.witness.saw_crash(node);
        let rng = &mut self.network.rng;
        match node {
            Node::Coordinator => {
                self.coordinator.life += 1;
                self.coordinator.round = None;
                self.coordinator.journal.crash(rng);
            }
            Node::Holder(index) => {
                let holder = &mut self.holders[index];
                holder.life += 1;
                holder.machine = None;
                holder.journal.crash(rng);
            }
            Node::Owner(index) => {
                let owner = &mut self.owners[index];
                owner.life += 1;
                owner.machine = None;
                owner.witnesses.clear();
                owner.journal.crash(rng);
            }
        }
    }

    fn start(&mut self, node: Node) {
        let is_up = match node {
            Node::Coordinator => self.coordinator.round.is_some(),
            Node::Holder(index) => self.holders[index].machine.is_some(),
            Node::Owner(index) => self.owners[index].machine.is_some(),
        };
        if is_up {
            return;
        }
        if self.now_ms > 0 && self.disk_fails() {
            // Its records cannot be read: it stops with an error, and is started again.
            self.network.schedule(self.now_ms + 300, Event::Up(node));
            return;
        }
        self.set_clock(node);
        let now = self.now(node);
        let timings = self.scenario.timings;
        match node {
            Node::Coordinator if self.coordinator.round.is_none() => {
                let records = self.coordinator.journal.replay();
                if records.is_empty() {
                    self.open_round(self.coordinator.ended.len() as u32 + 1);
                } else {
                    let identity = Arc::clone(&self.coordinator.identity);
                    let round = Round::replay(records, identity, now);
                    self.coordinator.round = Some(round.expect("its own records in order"));
                }
            }
            Node::Holder(index) if self.holders[index].machine.is_none() => {
                self.holders[index].start(&self.roster);
            }
            Node::Owner(index) if self.owners[index].machine.is_none() => {
                self.owners[index].start(&self.roster, timings.resend_ms, 60_000);
            }
            _ => {}
        }
    }

    fn schedule_timed_faults(&mut self) {
        for (when, fault) in self.scenario.faults.clone() {
            if let When::AtMs(at_ms) = when {
                self.schedule_fault(at_ms, fault);
            }
        }
        self.faults.retain(|(when, _)| matches!(when, When::AfterEvents(_)));
    }

    fn schedule_fault(&mut self, at_ms: u64, fault: Fault) {
        let (Fault::Kill(node) | Fault::Restart(node, _)) = fault;
        self.network.schedule(at_ms, Event::Down(node));
        if let Fault::Restart(_, down_ms) = fault {
            self.network.schedule(at_ms + down_ms, Event::Up(node));
        }
    }

    fn break_after_events(&mut self) {
        let events = self.events;
        let due = |when: &When| matches!(when, When::AfterEvents(count) if *count <= events);
        let now_due: Vec<Fault> =
            self.faults.iter().filter(|(when, _)| due(when)).map(|(_, fault)| *fault).collect();
        self.faults.retain(|(when, _)| !due(when));
        for fault in now_due {
            // At once: before anything else happens.
            let (Fault::Kill(node) | Fault::Restart(node, _)) = fault;
            self.crash(node);
            if let Fault::Restart(_, down_ms) = fault {
                self.network.schedule(self.now_ms + down_ms, Event::Up(node));
            }
        }
    }
}

fn decode<T: serde::Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) -> T {
    wire::decode(bytes, FRAME_BYTES_MAX as usize).expect("within a frame, as encoded")
}

fn roster(coordinator: &CoordinatorNode, holders: &[HolderNode], owners: &[OwnerNode]) -> Roster {
    let name = |text: String| text.parse::<Name>().expect("a plain name");
    let member =
        |text: String, id, role, sealing_key| Member { name: name(text), id, role, sealing_key };
    let mut members =
        vec![member("middle".into(), coordinator.identity.id(), Role::Coordinator, None)];
    for (index, holder) in holders.iter().enumerate() {
        let key = Some(holder.secret.public());
        members.push(member(format!("holder-{index}"), holder.identity.id(), Role::Holder, key));
    }
    for (index, owner) in owners.iter().enumerate() {
        members.push(member(format!("owner-{index}"), owner.identity.id(), Role::DataOwner, None));
    }
    Roster { federation: name("simulated".into()), authority: Digest([9; 32]), members }
}
