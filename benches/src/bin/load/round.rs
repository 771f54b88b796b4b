//! One round: what it took.

use std::time::{Duration, Instant};

use covey_benches::{Figure, Process, Report};

use crate::disk::Plain;
use crate::federation::{self, Members, RoundEnd, Sealed};
use crate::sampling::Samples;
use crate::{PATIENCE, Terms};

/// What a round took of the coordinator.
pub(crate) struct Round {
    pub(crate) sealed: Sealed,
    samples: Samples,
    /// Memory before the first contribution.
    before: u64,
    /// From the first byte of the first contribution to the last receipt.
    sent: Duration,
    /// From there to the end of the round.
    took: Duration,
    /// Of the coordinator, for all contributions.
    cpu_s: f64,
    end: RoundEnd,
}

impl Round {
    /// Has everybody seal, then everybody send, and waits for the end.
    pub(crate) async fn of(
        number: u32,
        members: &Members,
        coordinator: &Process,
    ) -> Result<Self, String> {
        let sealed = members.sealed(number, PATIENCE).await?;
        let (before, cpu_before) = (coordinator.resident_bytes()?, coordinator.cpu_s()?);
        let began = Instant::now();
        members.send(number);
        let all = members.owners();
        let samples = Samples::take(coordinator, || members.promised(number), all).await?;
        let sent = began.elapsed();
        let cpu_s = coordinator.cpu_s()? - cpu_before;
        let end = federation::end_of_round(coordinator, PATIENCE)?;
        let took = began.elapsed();
        if end.counted != all {
            return Err(format!("{} of {all} contributions are in the sum", end.counted));
        }
        Ok(Self { sealed, samples, before, sent, took, cpu_s, end })
    }

    /// Prints the figures, beside the plain process and the disk alone, which writes so many megabytes in
    /// a second.
    pub(crate) fn report(&self, report: &Report, terms: &Terms, (plain, disk): (&Plain, f64)) {
        let figure = |name, value, unit| Figure::new(name, terms, value, unit);
        let resident = |name, bytes: u64| figure(name, bytes as f64 / 1e6, "MB resident");
        report.figure(&resident("load.before", self.before));
        for (count, bytes) in self.samples.at() {
            let name = match count {
                10 => "load.at_10",
                100 => "load.at_100",
                _ => "load.at_all",
            };
            let beside = ("the plain process", plain.resident as f64 / 1e6);
            report.figure(&resident(name, bytes).beside(beside.0, beside.1));
        }
        report.figure(&figure("load.growth", self.samples.growth(), "all over 10"));
        let total = terms.owners as f64 * terms.contribution_bytes as f64;
        let rate = total / 1e6 / self.sent.as_secs_f64();
        let of_plain = figure("load.in", rate, "MB/s");
        report.figure(&of_plain.beside("plain TCP into files", plain.megabytes_per_s));
        report.figure(&figure("load.in_of_disk", rate, "MB/s").beside("files alone", disk));
        let each_ms = self.cpu_s * 1e3 / terms.owners as f64;
        report.figure(&figure("load.cpu", each_ms, "ms/contribution"));
        report.figure(&figure("load.sealing", self.sealed.seconds, "s"));
        report.figure(&figure("load.sending", self.sent.as_secs_f64(), "s"));
        report.figure(&figure("load.round", self.took.as_secs_f64(), "s"));
        let phases = self.end.phases.iter();
        let phases: Vec<_> = phases.map(|(phase, s)| format!("{phase} {s:.2} s")).collect();
        report.note(&format!("  by the coordinator's clock, with sealing: {}", phases.join(", ")));
    }
}
