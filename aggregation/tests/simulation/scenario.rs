//! What a run of the world is made of, chosen by hand or drawn from a seed.

use covey_aggregation::config::{CommitteeShape, Weighting};
use covey_aggregation::round::Timings;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::liars::{Lie, OwnerLie};
use crate::network::{Cut, Node, Weather};

/// Something breaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Gone for ever.
    Kill(Node),
    /// Gone, and back after so many milliseconds with nothing but its disk.
    Restart(Node, u64),
}

/// When it breaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// At this time.
    AtMs(u64),
    /// After this many events.
    AfterEvents(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) shape: CommitteeShape,
    pub(crate) owners: usize,
    /// n_min.
    pub(crate) minimum: u32,
    pub(crate) rounds: u32,
    pub(crate) weather: Weather,
    pub(crate) timings: Timings,
    pub(crate) lies: Vec<(usize, Lie)>,
    pub(crate) owner_lies: Vec<(usize, OwnerLie)>,
    /// Whether rounds are audited.
    pub(crate) is_audited: bool,
    /// Whether they have credit, too.
    pub(crate) has_credit: bool,
    /// How owners count.
    pub(crate) weighting: Weighting,
    /// Whether evidence weighs updates.
    pub(crate) is_weighed: bool,
    /// Whether the coordinator tells false public values of two contributions.
    pub(crate) misreads: bool,
    /// Owners whose policy forbids it.
    pub(crate) unwilling: Vec<usize>,
    pub(crate) faults: Vec<(When, Fault)>,
    pub(crate) cuts: Vec<Cut>,
    /// Whether a process that starts finds its clock up to an hour off.
    pub(crate) clock_jumps: bool,
    /// How often a disk fails to write or to read, in percent.
    pub(crate) disk_fault_percent: u32,
    /// Whether all faults stop before the last round: it must be done then.
    pub(crate) clears_up: bool,
}

/// Times in which a lossy network has dozens of tries.
const TIMINGS: Timings = Timings {
    select_ms: 8_000,
    collect_ms: 12_000,
    collect_again_ms: 0,
    vote_ms: 16_000,
    release_ms: 16_000,
    audit_ms: 12_000,
    resend_ms: 250,
};

impl Scenario {
    /// One round in fair weather in which everybody does as it should.
    pub(crate) fn calm(seed: u64) -> Self {
        Self {
            seed,
            shape: CommitteeShape::Four,
            owners: 4,
            minimum: 3,
            rounds: 1,
            weather: Weather::FAIR,
            timings: TIMINGS,
            lies: Vec::new(),
            owner_lies: Vec::new(),
            is_audited: false,
            has_credit: false,
            weighting: Weighting::Uniform,
            is_weighed: false,
            misreads: false,
            unwilling: Vec::new(),
            faults: Vec::new(),
            cuts: Vec::new(),
            clock_jumps: false,
            disk_fault_percent: 0,
            clears_up: false,
        }
    }

    /// Foul weather, at most f holders that are gone or lie, owners that come and go, processes
    /// that crash and come back.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5ce7_a110);
        let shape =
            if rng.random_range(0..5) == 0 { CommitteeShape::Seven } else { CommitteeShape::Four };
        let mut scenario = Self::calm(seed);
        scenario.shape = shape;
        // Most federations are small, as many seeds take long otherwise.
        scenario.owners = match rng.random_range(0..20) {
            0..=17 => rng.random_range(20..=40),
            18 => rng.random_range(41..=100),
            _ => rng.random_range(101..=200),
        };
        scenario.minimum = rng.random_range(3..=scenario.owners as u32 / 2);
        scenario.clock_jumps = rng.random();
        scenario.rounds = rng.random_range(1..=2);
        scenario.clears_up = scenario.rounds > 1 && rng.random();
        scenario.disk_fault_percent = [0, 0, 2, 10][rng.random_range(0..4)];
        scenario.weather = Weather {
            loss_percent: [0, 5, 30][rng.random_range(0..3)],
            duplicate_percent: [0, 20, 50][rng.random_range(0..3)],
            delay_ms_max: [5, 60, 400][rng.random_range(0..3)],
        };
        // Faulty holders come first, so that they are distinct.
        for holder in 0..rng.random_range(0..=shape.faults()) {
            if rng.random() {
                let lie = Lie::ALL[rng.random_range(0..Lie::ALL.len())];
                scenario.lies.push((holder, lie));
            } else {
                let when = When::AtMs(rng.random_range(0..6_000));
                scenario.faults.push((when, Fault::Kill(Node::Holder(holder))));
            }
        }
        scenario.draw_owners(&mut rng);
        for _ in 0..rng.random_range(0..4) {
            let node = match rng.random_range(0..3) {
                0 => Node::Coordinator,
                _ => Node::Holder(rng.random_range(0..shape.members())),
            };
            let when = When::AtMs(rng.random_range(0..6_000));
            let down_ms = rng.random_range(1..1_500);
            scenario.faults.push((when, Fault::Restart(node, down_ms)));
        }
        scenario.draw_cuts(&mut rng);
        scenario
    }

    /// Some owners are unwilling, vanish, come back; up to 30 % lie.
    fn draw_owners(&mut self, rng: &mut ChaCha8Rng) {
        let liars_percent = [0, 5, 30][rng.random_range(0..3)];
        for owner in 0..self.owners {
            let node = Node::Owner(owner);
            let when = When::AtMs(rng.random_range(0..6_000));
            if rng.random_range(0..100) < liars_percent {
                let lie = OwnerLie::ALL[rng.random_range(0..OwnerLie::ALL.len())];
                // One spoiler is enough to end a round, and more than a quarter of clients of
                // whom nobody can tell could frame a holder.
                let is_rare = lie.spoils() && rng.random_range(0..30) > 0;
                let undecidable = self.undecidable_owners().count();
                if !is_rare && (!lie.is_undecidable() || undecidable < self.owners.div_ceil(20)) {
                    self.owner_lies.push((owner, lie));
                }
                continue;
            }
            match rng.random_range(0..20) {
                0 => self.unwilling.push(owner),
                1 => self.faults.push((when, Fault::Kill(node))),
                2 | 3 => self.faults.push((when, Fault::Restart(node, 700))),
                _ => {}
            }
        }
    }

    /// Owners whose lie nobody can prove.
    pub(crate) fn undecidable_owners(&self) -> impl Iterator<Item = usize> {
        let lies = self.owner_lies.iter().filter(|(_, lie)| lie.is_undecidable());
        lies.map(|(owner, _)| *owner)
    }

    /// In each of the first seconds up to 3 % of the nodes are cut off for a while; now and then
    /// half of the owners are, all at once.
    fn draw_cuts(&mut self, rng: &mut ChaCha8Rng) {
        let percent = rng.random_range(0..=3);
        let holders = (0..self.shape.members()).map(Node::Holder);
        let nodes: Vec<_> = holders.chain((0..self.owners).map(Node::Owner)).collect();
        for second in 0..6 {
            for &node in &nodes {
                if rng.random_range(0..100) < percent {
                    let from_ms = second * 1_000 + rng.random_range(0..1_000);
                    let ms = from_ms..from_ms + rng.random_range(100..3_000);
                    self.cuts.push(Cut { node, ms });
                }
            }
        }
        if rng.random_range(0..8) == 0 {
            let from_ms = rng.random_range(0..4_000);
            let half = (0..self.owners).filter(|owner| owner % 2 == 0).map(Node::Owner);
            self.cuts.extend(half.map(|node| Cut { node, ms: from_ms..from_ms + 2_500 }));
        }
    }

    /// Whether at most f holders are ever dead or lying.
    pub(crate) fn is_within_bounds(&self) -> bool {
        let mut faulty: Vec<usize> = self.lies.iter().map(|(holder, _)| *holder).collect();
        faulty.extend(self.faults.iter().filter_map(|(_, fault)| match fault {
            Fault::Kill(Node::Holder(holder)) => Some(*holder),
            _ => None,
        }));
        faulty.sort_unstable();
        faulty.dedup();
        let coordinator_lives =
            !self.faults.iter().any(|(_, fault)| matches!(fault, Fault::Kill(Node::Coordinator)));
        coordinator_lives && !self.misreads && faulty.len() <= self.shape.faults()
    }
}
