//! What goes on, as numbers for Prometheus (text exposition format 0.0.4): a fold of the events. No
//! label ever names a member, a run or a plan: labels come from closed lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use covey_aggregation::party::{Name, Role};
use covey_aggregation::time::Time;

use crate::event::{Event, RoundSummary};

/// Upper bounds of the phases' histogram, in seconds: from a demo's to a plan of a day.
const PHASE_SECONDS: [f64; 11] =
    [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 43_200.0, 86_400.0];

/// Everything that is counted since this program started.
pub struct Metrics {
    certificate_ends: Option<Time>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    rounds: BTreeMap<&'static str, u64>,
    phases: BTreeMap<String, Histogram>,
    /// Of the last round.
    cohort: BTreeMap<&'static str, u64>,
    round: u32,
    linked: BTreeMap<String, BTreeSet<Name>>,
    holder_faults: u64,
    refused: u64,
    turned_away: u64,
    submitted: BTreeMap<&'static str, u64>,
    link_bytes: BTreeMap<&'static str, u64>,
    /// Entries of the ledger that a quorum has cosigned.
    ledger: u64,
}

#[derive(Default)]
struct Histogram {
    buckets: [u64; PHASE_SECONDS.len()],
    count: u64,
    sum_seconds: f64,
}

impl Histogram {
    fn observe(&mut self, seconds: f64) {
        for (bucket, most) in self.buckets.iter_mut().zip(PHASE_SECONDS) {
            *bucket += u64::from(seconds <= most);
        }
        self.count += 1;
        self.sum_seconds += seconds;
    }
}

impl Metrics {
    /// Nothing yet; the coordinator's own certificate ends then.
    #[must_use]
    pub fn new(certificate_ends: Option<Time>) -> Self {
        Self { certificate_ends, counts: Mutex::default() }
    }

    /// Counts what an event tells.
    pub fn see(&self, event: &Event) {
        let counts = &mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Joined { name, role } => {
                counts.linked.entry(role.to_string()).or_default().insert(name.clone());
            }
            Event::Left { name, role, .. } => {
                counts.linked.entry(role.to_string()).or_default().remove(name);
            }
            Event::Refused { .. } => counts.refused += 1,
            Event::TurnedAway { .. } => counts.turned_away += 1,
            Event::Phase { round, .. } => counts.round = *round,
            Event::Submitted { is_refused, .. } => {
                let outcome = if *is_refused { "refused" } else { "accepted" };
                *counts.submitted.entry(outcome).or_default() += 1;
            }
            Event::Round(summary) => counts.see_round(summary),
            Event::Ledger { size } => counts.ledger = *size,
            _ => {}
        }
    }

    /// Counts the bytes of a link that has ended, as its transport counts them.
    pub fn see_link(&self, (sent, received): (u64, u64)) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.link_bytes.entry("sent").or_default() += sent;
        *counts.link_bytes.entry("received").or_default() += received;
    }
}

impl Counts {
    fn see_round(&mut self, summary: &RoundSummary) {
        let outcome = if summary.done { "done" } else { "abandoned" };
        *self.rounds.entry(outcome).or_default() += 1;
        self.cohort.insert("counted", summary.counted.len() as u64);
        self.cohort.insert("missing", summary.missing.len() as u64);
        self.holder_faults += summary.faults.len() as u64;
        for (phase, milliseconds) in &summary.phases_ms {
            let phase = format!("{phase:?}").to_lowercase();
            self.phases.entry(phase).or_default().observe(*milliseconds as f64 / 1000.0);
        }
    }
}

/// One family of samples, each with its labels.
fn family(
    f: &mut fmt::Formatter<'_>,
    (name, kind, help): (&str, &str, &str),
    samples: &[(String, f64)],
) -> fmt::Result {
    writeln!(f, "# HELP covey_{name} {help}\n# TYPE covey_{name} {kind}")?;
    samples.iter().try_for_each(|(labels, value)| writeln!(f, "covey_{name}{labels} {value}"))
}

fn label(key: &str, value: &str) -> String {
    format!("{{{key}=\"{value}\"}}")
}

/// A counter for each of a closed list, those at zero too: what is not there cannot be watched.
fn each(key: &str, values: &[&str], counts: &BTreeMap<&'static str, u64>) -> Vec<(String, f64)> {
    let of = |value: &&str| counts.get(value).copied().unwrap_or_default() as f64;
    values.iter().map(|value| (label(key, value), of(value))).collect()
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |value: f64| [(String::new(), value)];
        let version = [(label("version", env!("CARGO_PKG_VERSION")), 1.0)];
        family(f, ("build_info", "gauge", "The version that runs."), &version)?;
        if let Some(ends) = self.certificate_ends {
            let name = "cert_expiry_timestamp_seconds";
            let help = "When the coordinator's own certificate ends.";
            family(f, (name, "gauge", help), &one((ends.0 / 1000) as f64))?;
        }
        let rounds = each("outcome", &["done", "abandoned"], &counts.rounds);
        family(f, ("rounds_total", "counter", "Rounds that are over."), &rounds)?;
        let help = "The round at hand, or the last one.";
        family(f, ("round_number", "gauge", help), &one(counts.round.into()))?;
        histograms(f, &counts.phases)?;
        let cohort = each("state", &["counted", "missing"], &counts.cohort);
        family(f, ("cohort_members", "gauge", "Owners of the last round."), &cohort)?;
        let linked: Vec<_> = [Role::Holder, Role::DataOwner]
            .iter()
            .map(|role| {
                let role = role.to_string();
                let number = counts.linked.get(&role).map_or(0, BTreeSet::len);
                (label("role", &role), number as f64)
            })
            .collect();
        family(f, ("linked_members", "gauge", "Members that are connected."), &linked)?;
        for (name, help, value) in [
            ("holder_faults_total", "Faults of holders that rounds named.", counts.holder_faults),
            ("refusals_total", "Requests of members that were refused.", counts.refused),
            ("turned_away_total", "Dialers that were turned away.", counts.turned_away),
        ] {
            family(f, (name, "counter", help), &one(value as f64))?;
        }
        let submitted = each("outcome", &["accepted", "refused"], &counts.submitted);
        family(f, ("plans_submitted_total", "counter", "Plans of researchers."), &submitted)?;
        let bytes = each("direction", &["sent", "received"], &counts.link_bytes);
        let help = "Bytes of links that have ended, over UDP or TCP.";
        family(f, ("link_bytes_total", "counter", help), &bytes)?;
        let help = "Entries of the ledger that a quorum of the key holders has cosigned.";
        family(f, ("ledger_size", "gauge", help), &one(counts.ledger as f64))
    }
}

fn histograms(f: &mut fmt::Formatter<'_>, phases: &BTreeMap<String, Histogram>) -> fmt::Result {
    let name = "covey_round_duration_seconds";
    writeln!(f, "# HELP {name} Seconds in each phase of a round.\n# TYPE {name} histogram")?;
    for (phase, Histogram { buckets, count, sum_seconds }) in phases {
        for (bucket, most) in buckets.iter().zip(PHASE_SECONDS) {
            writeln!(f, "{name}_bucket{{phase=\"{phase}\",le=\"{most}\"}} {bucket}")?;
        }
        writeln!(f, "{name}_bucket{{phase=\"{phase}\",le=\"+Inf\"}} {count}")?;
        writeln!(f, "{name}_sum{{phase=\"{phase}\"}} {sum_seconds}")?;
        writeln!(f, "{name}_count{{phase=\"{phase}\"}} {count}")?;
    }
    f.write_str("")
}
