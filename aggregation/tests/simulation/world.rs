//! The world: real machines with real crypto in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;

use covey_aggregation::audit::deal::{ComponentKey, Deal, gather};
use covey_aggregation::config::{
    Audit, HolderIndex, KeyLayer, Packing, Profile, Quantiser, RoundConfig, cohort_digest,
};
use covey_aggregation::credit::{CreditConfig, CreditState, Training};
use covey_aggregation::hash::{Digest, Domain, Hasher};
use covey_aggregation::limits::FRAME_BYTES_MAX;
use covey_aggregation::message::ToHolder;
use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::roster::{Member, Roster};
use covey_aggregation::round::{Round, Terms};
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::sealed_box::SealingSecret;
use covey_aggregation::time::Time;
use covey_aggregation::wire;
use rand::RngExt;
use zeroize::Zeroizing;

use crate::disk::Journal;
use crate::network::{Network, Node};
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
    pub(crate) faults: Vec<(When, Fault)>,
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
        let training = if self.scenario.is_weighed { Training::Evidence } else { Training::Off };
        CreditConfig { fold: 30, steps: 20, training, state }
    }

    /// The terms of round number `round`.
    pub(crate) fn terms(&self, round: u32) -> Terms {
        let owners = self.scenario.owners as u32;
        let weighting = self.scenario.weighting;
        let quantiser = Quantiser { bits: 8, range: 1.0, clip_norm: 1.0, weighting };
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
            noise: None,
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

    pub(crate) fn note(&mut self, line: &str) {
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
    pub(crate) fn set_clock(&mut self, node: Node) {
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
}

pub(crate) fn decode<T: serde::Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) -> T {
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
    Roster::founding(name("simulated".into()), Digest([9; 32]), members)
}
