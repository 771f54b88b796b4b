//! Telling the operator and whoever watches where a round stands: every phase at once; who
//! answered, and whom it waits for, not more often than a person can read.

use covey_aggregation::message::Phase;
use covey_aggregation::party::{Name, PartyId};
use covey_aggregation::research::{Few, Now};
use covey_aggregation::roster::Roster;
use covey_aggregation::round::Progress;
use covey_aggregation::time::Time;

use super::Driver;
use crate::event::Event;

/// Least time between two reports of progress.
const CHANGED_AFTER_MS: u64 = 250;

/// A report is due after this time even if nothing changed: a silent program looks dead.
const UNCHANGED_AFTER_MS: u64 = 10_000;

/// What was told last.
#[derive(Default)]
pub(super) struct Reporter {
    phase: Option<Phase>,
    answered: usize,
    told_at: Option<Time>,
    /// Something may have changed since, too soon to be told.
    is_behind: bool,
    /// It was told that the round collects once more.
    is_extended: bool,
}

impl Reporter {
    /// When to look again.
    pub(super) fn next_at(&self, now: Time) -> Option<Time> {
        match self.phase? {
            Phase::Done | Phase::Abandon => None,
            _ => {
                let after_ms = if self.is_behind { CHANGED_AFTER_MS } else { UNCHANGED_AFTER_MS };
                self.told_at.map(|told| told.after_ms(after_ms).max(now))
            }
        }
    }
}

impl Driver {
    /// Tells what is new of the round at hand.
    pub(super) fn report(&mut self) {
        let now = self.clock.now();
        let Some(live) = &mut self.live else { return };
        let (round, phase) = (live.config.round, live.round.phase());
        if self.reporter.phase != Some(phase) {
            let began = live.phases.first().map_or(now, |(_, began)| *began);
            live.phases.push((phase, now));
            live.span.enter(phase);
            let progress = live.round.progress();
            self.reporter =
                Reporter { phase: Some(phase), told_at: Some(now), ..Reporter::default() };
            self.show(round, &progress);
            self.tell(&Event::Phase { round, phase, at_ms: now.since_ms(began) });
            return;
        }
        if live.round.is_extended() && !self.reporter.is_extended && phase == Phase::Collect {
            let progress = live.round.progress();
            self.reporter.is_extended = true;
            self.show(round, &progress);
            let left_ms = progress.deadline.map_or(0, |deadline| deadline.since_ms(now));
            let (answered, waiting) =
                (names(&self.roster, &progress.answered), names(&self.roster, &progress.waiting));
            self.tell(&Event::Extended { round, answered, waiting, left_ms });
            return;
        }
        let since = self.reporter.told_at.map_or(u64::MAX, |told| now.since_ms(told));
        self.reporter.is_behind = since < CHANGED_AFTER_MS;
        if self.reporter.is_behind || matches!(phase, Phase::Done | Phase::Abandon) {
            return;
        }
        let progress = live.round.progress();
        if progress.answered.len() == self.reporter.answered && since < UNCHANGED_AFTER_MS {
            return;
        }
        self.show(round, &progress);
        self.reporter.answered = progress.answered.len();
        self.reporter.told_at = Some(now);
        let left_ms = progress.deadline.map_or(0, |deadline| deadline.since_ms(now));
        let (answered, waiting) =
            (names(&self.roster, &progress.answered), names(&self.roster, &progress.waiting));
        self.tell(&Event::Progress { round, phase, answered, waiting, left_ms });
    }
}

impl Driver {
    /// Shows a round to those who watch.
    fn show(&self, round: u32, progress: &Progress) {
        let Some(deadline) = progress.deadline else { return };
        let now = Now::Round {
            round,
            phase: progress.phase,
            answered: u32::try_from(progress.answered.len()).unwrap_or(u32::MAX),
            waiting: Few::of(names(&self.roster, &progress.waiting)),
            left_ms: 0,
        };
        self.watched(Some((now, deadline)));
    }
}

fn names(roster: &Roster, ids: &[PartyId]) -> Vec<Name> {
    let known = ids.iter().filter_map(|id| roster.member(id));
    known.map(|member| member.name.clone()).collect()
}
