//! Real holders under a coordinator that need not be honest: terms, what owners contribute under
//! them, and a way to tell each holder anything in any order.
#![allow(dead_code, reason = "each test file uses its part")]

use std::rc::Rc;
use std::sync::Arc;

use covey_aggregation::config::{CommitteeShape, HolderIndex, RoundConfig, set_digest};
use covey_aggregation::hash::Digest;
use covey_aggregation::holder::HolderEffect;
use covey_aggregation::message::{Certificate, Envelope, FromHolder, ToHolder, Vote};
use covey_aggregation::party::PartyId;
use covey_aggregation::record::Sequence;
use covey_aggregation::roster::Roster;
use covey_aggregation::round::Terms;
use covey_aggregation::signing::{Identity, Statement};
use covey_aggregation::sum::sealed_box::SealingSecret;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::network::Upload;
use crate::nodes::HolderNode;
use crate::scenario::Scenario;
use crate::world::World;

/// A way to make other terms of good ones.
pub(crate) type Change = fn(&mut Terms);

/// Terms, and what everybody contributes under them.
pub(crate) struct Offer {
    pub(crate) config: RoundConfig,
    pub(crate) context: Digest,
    pub(crate) cohort: Vec<PartyId>,
    /// One of every owner of the roster, by ascending client; behind them a second message of
    /// the first of these clients.
    pub(crate) uploads: Vec<Upload>,
}

impl Offer {
    pub(crate) fn propose(&self) -> ToHolder {
        let config = Box::new(self.config.clone());
        ToHolder::Propose {
            config,
            cohort: self.cohort.clone(),
            beacons: Vec::new(),
            attested: None,
        }
    }

    /// The name of a contribution.
    pub(crate) fn digest(&self, upload: usize) -> Digest {
        self.uploads[upload].header.header.digest()
    }

    /// The names of these contributions, in this order.
    pub(crate) fn set(&self, uploads: &[usize]) -> Vec<Digest> {
        uploads.iter().map(|&upload| self.digest(upload)).collect()
    }

    /// The contributions of the cohort, in order.
    pub(crate) fn everybody(&self) -> Vec<usize> {
        let owners = 0..self.uploads.len() - 1;
        let admitted =
            |upload: &usize| self.cohort.contains(&self.uploads[*upload].header.header.client);
        owners.filter(admitted).collect()
    }

    pub(crate) fn envelopes(&self, holder: usize, uploads: &[usize], total: usize) -> ToHolder {
        let batch = uploads.iter().map(|&upload| self.uploads[upload].envelope(holder)).collect();
        self.show(batch, total)
    }

    pub(crate) fn show(&self, batch: Vec<Envelope>, total: usize) -> ToHolder {
        ToHolder::Envelopes { round_ctx: self.context, total: total as u32, batch }
    }

    pub(crate) fn ask_vote(&self, set: &[Digest]) -> ToHolder {
        ToHolder::Set { round_ctx: self.context, set: set.to_vec() }
    }

    pub(crate) fn set_digest(&self, set: &[Digest]) -> Digest {
        set_digest(&self.context, set)
    }

    pub(crate) fn ask_release(&self, set: &[Digest], votes: Vec<Vote>) -> ToHolder {
        let certificate = Certificate { round_ctx: self.context, set: self.set_digest(set), votes };
        ToHolder::Certified { set: set.to_vec(), certificate }
    }
}

/// Who there is, and under what terms rounds may be held.
pub(crate) struct Cast {
    pub(crate) roster: Roster,
    pub(crate) coordinator: Arc<Identity>,
    pub(crate) owners: Vec<Arc<Identity>>,
    identities: Vec<Arc<Identity>>,
    secrets: Vec<Arc<SealingSecret>>,
    pub(crate) offers: Vec<Offer>,
}

impl Cast {
    /// A federation with round 2 of a run offered under each of `changes`.
    pub(crate) fn new(
        shape: CommitteeShape,
        owners: usize,
        minimum: u32,
        changes: &[Change],
    ) -> Self {
        let mut scenario = Scenario::calm(0);
        (scenario.shape, scenario.owners, scenario.minimum) = (shape, owners, minimum);
        let mut world = World::new(scenario);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let offers = changes.iter().map(|change| {
            let mut terms = world.terms(2);
            change(&mut terms);
            offer(&mut world, terms, &mut rng)
        });
        let offers = offers.collect();
        Self {
            coordinator: Arc::clone(&world.coordinator.identity),
            owners: world.owners.iter().map(|owner| Arc::clone(&owner.identity)).collect(),
            identities: world.holders.iter().map(|node| Arc::clone(&node.identity)).collect(),
            secrets: world.holders.iter().map(|node| Arc::clone(&node.secret)).collect(),
            roster: world.roster,
            offers,
        }
    }

    pub(crate) fn secret(&self, holder: usize) -> &SealingSecret {
        &self.secrets[holder]
    }

    pub(crate) fn identity(&self, holder: usize) -> &Identity {
        &self.identities[holder]
    }

    /// What `holder` would sign if it signed anything.
    pub(crate) fn vote(&self, holder: usize, round_ctx: &Digest, set: &Digest) -> Vote {
        let signature = self.identities[holder].sign(Statement::Vote, round_ctx, &set.0);
        Vote { holder: HolderIndex(holder as u8), signature }
    }

    pub(crate) fn keeper(&self, holder: usize) -> Keeper {
        let (identity, secret) = (&self.identities[holder], &self.secrets[holder]);
        let mut node = HolderNode::new(Arc::clone(identity), Arc::clone(secret));
        node.start(&self.roster);
        Keeper { node, unsynced: None, signed: 0 }
    }
}

fn offer(world: &mut World, terms: Terms, rng: &mut ChaCha8Rng) -> Offer {
    let Terms { config, cohort, .. } = terms;
    let mut seal = |world: &mut World, index: usize| {
        let upload = world.owners[index].seal(index, &config, rng);
        world.owners[index].stored.clear();
        Rc::into_inner(upload).expect("nobody else has it")
    };
    let mut order: Vec<usize> = (0..world.owners.len()).collect();
    order.sort_by_key(|&index| world.owners[index].identity.id());
    let mut uploads: Vec<_> = order.iter().map(|&index| seal(world, index)).collect();
    uploads.push(seal(world, order[0]));
    Offer { context: config.context(), config, cohort, uploads }
}

/// A holder with a disk that may lag behind.
pub(crate) struct Keeper {
    node: HolderNode,
    /// The last record that is on its way to the disk.
    unsynced: Option<Sequence>,
    /// Records ever appended: a signature each.
    pub(crate) signed: usize,
}

impl Keeper {
    /// Tells it something; all that it wants to store is stored at once.
    pub(crate) fn tell(&mut self, message: ToHolder) -> Vec<FromHolder> {
        let mut said = self.tell_lagging(message);
        said.extend(self.flush());
        said
    }

    /// Tells it something while its disk is slow: what waits for the disk does not leave.
    pub(crate) fn tell_lagging(&mut self, message: ToHolder) -> Vec<FromHolder> {
        self.node.machine.as_mut().expect("alive").handle(message);
        self.drain()
    }

    /// The disk has caught up.
    pub(crate) fn flush(&mut self) -> Vec<FromHolder> {
        let Some(upto) = self.unsynced.take() else { return Vec::new() };
        self.node.journal.flush(upto);
        self.node.machine.as_mut().expect("alive").handle_stored(upto);
        self.drain()
    }

    /// It dies, with any part of what was on its way to the disk stored, and starts again.
    pub(crate) fn crash(&mut self, roster: &Roster, rng: &mut impl RngExt) {
        self.unsynced = None;
        self.node.journal.crash(rng);
        self.node.start(roster);
    }

    fn drain(&mut self) -> Vec<FromHolder> {
        let mut said = Vec::new();
        while let Some(effect) = self.node.machine.as_mut().expect("alive").poll_effect() {
            match effect {
                HolderEffect::Append { sequence, record } => {
                    self.node.journal.append(sequence, &record);
                    self.unsynced = Some(sequence);
                    self.signed += 1;
                }
                HolderEffect::Send(message) => said.push(message),
                HolderEffect::Reread { .. } | HolderEffect::Direct { .. } => {
                    panic!("no round of these is audited")
                }
            }
        }
        said
    }
}
