//! A coordinator that cheats, with one holder on its side, against three honest holders: whatever
//! it sends in whatever order, the honest ones release at most one set, of an allowed size, that
//! Q holders voted for.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use covey_aggregation::config::{HolderIndex, RoundConfig, set_digest};
use covey_aggregation::hash::Digest;
use covey_aggregation::holder::HolderEffect;
use covey_aggregation::message::{
    Certificate, Envelope, FromHolder, Outcome, Report, ToHolder, Vote,
};
use covey_aggregation::signing::Statement;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::network::Upload;
use crate::nodes::OwnerNode;
use crate::scenario::Scenario;
use crate::world::World;

const OWNERS: usize = 5;
const MINIMUM: usize = 3;
/// The holder on the coordinator's side.
const ACCOMPLICE: usize = 3;

/// Terms, and what everybody contributes under them.
struct Offer {
    config: RoundConfig,
    uploads: Vec<Upload>,
}

/// What the coordinator has gathered, and what the honest holders gave away.
struct Cheat {
    world: World,
    rng: ChaCha8Rng,
    /// Two for the same round number.
    offers: Rc<[Offer; 2]>,
    /// By round and set, the votes of each holder.
    votes: BTreeMap<(Digest, Digest), BTreeMap<HolderIndex, Vote>>,
    released: BTreeSet<(Digest, Digest)>,
    /// Sets ever proposed or certified, with their sizes.
    sizes: BTreeMap<Digest, usize>,
}

impl Cheat {
    /// The honest holders have countersigned the first configuration and seen all of it.
    fn new(seed: u64, offers: &Rc<[Offer; 2]>) -> Self {
        let (world, offers) = (world(seed), Rc::clone(offers));
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let (votes, released, sizes) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let mut cheat = Self { world, rng, offers, votes, released, sizes };
        for holder in 0..ACCOMPLICE {
            let proposal = cheat.propose(0);
            cheat.tell(holder, proposal);
            let envelopes = cheat.envelopes(0, holder, OWNERS);
            cheat.tell(holder, envelopes);
        }
        cheat
    }

    /// One move of the coordinator.
    fn step(&mut self) {
        let which = usize::from(self.rng.random_range(0..8) == 0);
        let holder = self.rng.random_range(0..ACCOMPLICE);
        let message = match self.rng.random_range(0..10) {
            0 => self.propose(which),
            1 | 2 => {
                let all: bool = self.rng.random();
                let total = self.rng.random_range(MINIMUM..=OWNERS);
                self.envelopes(which, holder, if all { OWNERS } else { total })
            }
            3..=5 => {
                let set = self.any_set(which);
                ToHolder::Set { round_ctx: self.context(which), set }
            }
            6..=8 => self.certified(which),
            _ => {
                self.restart_or_end(which, holder);
                return;
            }
        };
        self.tell(holder, message);
    }

    fn context(&self, which: usize) -> Digest {
        self.offers[which].config.context()
    }

    fn propose(&self, which: usize) -> ToHolder {
        let config = Box::new(self.offers[which].config.clone());
        ToHolder::Propose { config, cohort: self.world.cohort.clone() }
    }

    fn envelopes(&self, which: usize, holder: usize, total: usize) -> ToHolder {
        let (round_ctx, uploads) = (self.context(which), &self.offers[which].uploads);
        let batch = uploads[..total].iter().map(|upload| {
            let sealed_box = upload.boxes[holder].clone();
            Envelope::new(&upload.header, HolderIndex(holder as u8), sealed_box).expect("a seat")
        });
        ToHolder::Envelopes { round_ctx, total: total as u32, batch: batch.collect() }
    }

    /// Everybody, everybody but one, three, or too few.
    fn any_set(&mut self, which: usize) -> Vec<Digest> {
        let uploads = self.offers[which].uploads.iter();
        let mut set: Vec<_> = uploads.map(|upload| upload.header.header.digest()).collect();
        match self.rng.random_range(0..6) {
            0..=2 => {}
            3 => {
                set.remove(self.rng.random_range(0..OWNERS));
            }
            4 => set.truncate(MINIMUM),
            _ => set.truncate(MINIMUM - 1),
        }
        self.sizes.insert(set_digest(&self.context(which), &set), set.len());
        set
    }

    /// The votes there are, and the accomplice's, as if they were a certificate.
    fn certified(&mut self, which: usize) -> ToHolder {
        let (round_ctx, set) = (self.context(which), self.any_set(which));
        let digest = set_digest(&round_ctx, &set);
        let accomplice = &self.world.holders[ACCOMPLICE].identity;
        let signature = accomplice.sign(Statement::Vote, &round_ctx, &digest.0);
        let holder = HolderIndex(ACCOMPLICE as u8);
        let mut votes = self.votes.get(&(round_ctx, digest)).cloned().unwrap_or_default();
        votes.insert(holder, Vote { holder, signature });
        let votes = votes.into_values().collect();
        ToHolder::Certified { set, certificate: Certificate { round_ctx, set: digest, votes } }
    }

    /// The coordinator cannot restart a holder, but holders do restart.
    fn restart_or_end(&mut self, which: usize, holder: usize) {
        if self.rng.random() {
            let roster = self.world.roster.clone();
            self.world.holders[holder].start(&roster);
        } else {
            let (round_ctx, outcome) = (self.context(which), Outcome::Done(Report::default()));
            self.tell(holder, ToHolder::Ended { round_ctx, outcome });
        }
    }

    fn tell(&mut self, index: usize, message: ToHolder) {
        let node = &mut self.world.holders[index];
        let machine = node.machine.as_mut().expect("alive");
        machine.handle(message);
        let mut said = Vec::new();
        while let Some(effect) = machine.poll_effect() {
            match effect {
                HolderEffect::Append { sequence, record } => {
                    node.journal.append(sequence, &record);
                    node.journal.flush(sequence);
                    machine.handle_stored(sequence);
                }
                HolderEffect::Send(message) => said.push(message),
            }
        }
        for message in said {
            self.world.witness.saw_holder(index, &message);
            match message {
                FromHolder::Voted { round_ctx, set, vote } => {
                    self.votes.entry((round_ctx, set)).or_default().insert(vote.holder, vote);
                }
                FromHolder::Released(release) => {
                    let votes = self.votes.get(&(release.round_ctx, release.set));
                    // Two honest ones, and the accomplice's.
                    assert!(votes.is_some_and(|votes| votes.len() >= 2));
                    assert!(self.sizes[&release.set] >= MINIMUM);
                    self.released.insert((release.round_ctx, release.set));
                }
                _ => {}
            }
        }
    }
}

fn world(seed: u64) -> World {
    let mut scenario = Scenario::calm(seed);
    (scenario.owners, scenario.minimum) = (OWNERS, MINIMUM as u32);
    World::new(scenario)
}

fn offers() -> [Offer; 2] {
    let mut world = world(0);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    [0, 1].map(|model| {
        let mut config = world.terms(1).config;
        config.model = Digest([model; 32]);
        let seal = |(index, owner): (usize, &mut OwnerNode)| {
            let upload = owner.seal(index, &config, &mut rng);
            owner.stored.clear();
            Rc::into_inner(upload).expect("nobody else has it")
        };
        let mut uploads: Vec<_> = world.owners.iter_mut().enumerate().map(seal).collect();
        uploads.sort_by_key(|upload| upload.header.header.client);
        Offer { config, uploads }
    })
}

#[test]
fn a_cheating_coordinator_with_an_accomplice_never_has_two_sets_opened() {
    let (mut opened, offers) = (0, Rc::new(offers()));
    for seed in 0..200 {
        let mut cheat = Cheat::new(seed, &offers);
        for _ in 0..60 {
            cheat.step();
        }
        assert!(cheat.released.len() <= 1, "seed {seed}: {:?}", cheat.released);
        opened += cheat.released.len();
    }
    // It does get one set opened often enough for the rest to mean something.
    assert!(opened >= 50, "{opened}");
}
