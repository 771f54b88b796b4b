//! What breaks: processes and disks, and how processes come back.

use std::sync::Arc;

use covey_aggregation::round::Round;
use rand::RngExt;

use crate::network::{Event, Node};
use crate::scenario::{Fault, When};
use crate::world::World;

impl World {
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
    pub(crate) fn life(&self, node: Node) -> u32 {
        match node {
            Node::Coordinator => self.coordinator.life,
            Node::Holder(index) => self.holders[index].life,
            Node::Owner(index) => self.owners[index].life,
        }
    }

    /// The process of `node` stops, and is started again.
    pub(crate) fn fail(&mut self, node: Node) {
        self.crash(node);
        let at_ms = self.now_ms + self.network.rng.random_range(100..1_000);
        self.network.schedule(at_ms, Event::Up(node));
    }

    pub(crate) fn crash(&mut self, node: Node) {
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

    pub(crate) fn start(&mut self, node: Node) {
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

    pub(crate) fn schedule_timed_faults(&mut self) {
        for (when, fault) in self.scenario.faults.clone() {
            if let When::AtMs(at_ms) = when {
                self.schedule_fault(at_ms, fault);
            }
        }
        self.faults.retain(|(when, _)| matches!(when, When::AfterEvents(_)));
    }

    pub(crate) fn schedule_fault(&mut self, at_ms: u64, fault: Fault) {
        let (Fault::Kill(node) | Fault::Restart(node, _)) = fault;
        self.network.schedule(at_ms, Event::Down(node));
        if let Fault::Restart(_, down_ms) = fault {
            self.network.schedule(at_ms + down_ms, Event::Up(node));
        }
    }

    pub(crate) fn break_after_events(&mut self) {
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
