//! The summary at the end.

use std::fmt;
use std::fs;
use std::path::Path;

use covey_aggregation::sum::contribution::{box_bytes, correction_bytes};
use covey_aggregation::wire;
use covey_coordinator::event::RoundSummary;
use serde_json::{Value, json};

use crate::credits::Credits;
use crate::federation::{Federation, owner_name};
use crate::ledger::Ledger;
use crate::reference::Reference;
use crate::role::Role;
use crate::scenario::Scenario;
use crate::story::{Accidents, Ending};

/// Bytes of one owner's contribution.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bytes {
    /// The chunks.
    pub(crate) payload: u64,
    /// Header, correction and boxes: the same for every model size.
    pub(crate) fixed: u64,
    /// The proof of the round's audit, with its signature.
    pub(crate) proof: u64,
}

impl Bytes {
    /// As published of the first round that was done.
    pub(crate) fn published(federation: &Federation, ending: &Ending) -> Result<Self, String> {
        let Some(round) = ending.rounds.iter().find(|round| round.done) else {
            return Ok(Self::default());
        };
        let result = federation.publication(round.round)?.result;
        let config = &result.config;
        let header = result.headers.first().map_or(0, |header| wire::encode(header).len());
        let boxes = config.committee.len() * box_bytes(config);
        let fixed = (header + correction_bytes(config) + boxes) as u64;
        let proof = result.audit.and_then(|audit| audit.proofs.into_iter().next());
        let proof = proof.map_or(0, |proven| wire::encode(&proven).len() as u64);
        Ok(Self { payload: config.payload_bytes(), fixed, proof })
    }

    const fn total(self) -> u64 {
        self.payload + self.fixed + self.proof
    }
}

/// Everything that the demo found.
pub(crate) struct Report {
    pub(crate) title: String,
    /// Owners that train on a card, from the first on.
    pub(crate) cuda_owners: usize,
    pub(crate) scenario: Scenario,
    /// What each owner is, and how many rows it has.
    pub(crate) owners: Vec<(Role, usize)>,
    pub(crate) parameters: usize,
    pub(crate) ending: Ending,
    pub(crate) accidents: Accidents,
    pub(crate) reference: Reference,
    pub(crate) bytes: Bytes,
    /// What the outside check said, or why it failed.
    pub(crate) check: Result<String, String>,
    /// `None` where the plan gives none.
    pub(crate) credits: Option<Credits>,
    /// What the ledger came to, or why it does not hold.
    pub(crate) ledger: Result<Ledger, String>,
    /// Where the page is, while it is served.
    pub(crate) page: Option<String>,
    pub(crate) seconds: f64,
    pub(crate) peak_memory_bytes: Option<u64>,
}

impl Report {
    /// Whether the demo showed what it is to show.
    pub(crate) fn is_good(&self) -> bool {
        self.reference.exact
            && self.check.is_ok()
            && self.ledger.is_ok()
            && self.credits.as_ref().is_none_or(Credits::is_good)
            && self.ending.run.rounds_done > 0
            && self.cuda_rounds() == self.rounds_done()
    }

    /// Rounds whose sum holds the update of every owner that trains on a card.
    fn cuda_rounds(&self) -> usize {
        let has_all = |round: &&RoundSummary| {
            let is_counted = |number| {
                let name = owner_name(number);
                round.counted.iter().any(|counted| counted.as_str() == name)
            };
            round.done && (1..=self.cuda_owners).all(is_counted)
        };
        self.ending.rounds.iter().filter(has_all).count()
    }

    fn rounds_done(&self) -> usize {
        self.ending.rounds.iter().filter(|round| round.done).count()
    }

    /// The last JSON line.
    pub(crate) fn to_json(&self) -> Value {
        let run = &self.ending.run;
        json!({
            "schema_version": 1,
            "event": "summary",
            "scenario": self.scenario.word(),
            "accuracy": run.accuracy,
            "accuracy_plain": self.reference.accuracy_plain.iter().rev().find_map(|x| *x),
            "accuracy_best_alone": self.reference.accuracy_best_alone,
            "exact": self.reference.exact,
            "verified": self.check.is_ok(),
            "credits": self.credits.as_ref().map(Credits::to_json),
            "credits_recomputed": self.credits.as_ref().map(Credits::is_good),
            "ledger_verified": self.ledger.is_ok(),
            "ledger_entries": self.ledger.as_ref().ok().map(|ledger| ledger.entries),
            "ledger_cosigned_by": self.ledger.as_ref().ok().map(|ledger| ledger.cosigned_by),
            "receipts": self.ledger.as_ref().ok().map(|ledger| ledger.receipts),
            "credit_receipts": self.ledger.as_ref().ok().map(|ledger| ledger.credit_receipts),
            "compute_reports": self.ledger.as_ref().ok().map(|ledger| ledger.compute_reports),
            "page": self.page,
            "rounds_done": run.rounds_done,
            "rounds_abandoned": run.rounds_abandoned,
            "cuda_owners": self.cuda_owners,
            "cuda_rounds": if self.cuda_owners > 0 { self.cuda_rounds() } else { 0 },
            "parameters": self.parameters,
            "bytes_payload": self.bytes.payload,
            "bytes_fixed": self.bytes.fixed,
            "bytes_proof": self.bytes.proof,
            "bytes_per_parameter": self.bytes_per_parameter(),
            "seconds": self.seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
            "terminal": true,
        })
    }

    fn bytes_per_parameter(&self) -> f64 {
        self.bytes.total() as f64 / self.parameters as f64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<String> = self.owners.iter().map(of_owner).collect();
        writeln!(f, "\n{}: owners with {} rows\n", self.title, rows.join(", "))?;
        self.write_rounds(f)?;
        self.write_credits(f)?;
        self.write_bytes(f)?;
        self.write_check(f)?;
        if self.cuda_owners > 0 {
            let (rounds, done) = (self.cuda_rounds(), self.rounds_done());
            let owners = self.cuda_owners;
            write!(
                f,
                "\nCard      {owners} owner(s) on cuda:0, counted in {rounds} of {done} sums"
            )?;
        }
        let memory = self.peak_memory_bytes.map_or_else(
            || "not told by this system".to_owned(),
            |bytes| format!("{:.0} MB in all processes together", bytes as f64 / 1e6),
        );
        write!(
            f,
            "\nTime      {:.1} s, of which the run {:.1} s\nMemory    {memory}",
            self.seconds, self.ending.seconds
        )?;
        match &self.page {
            Some(page) => write!(f, "\nPage      {page} until Ctrl-C"),
            None => f.write_str("\nPage      of the ledger: again with --page"),
        }
    }
}

impl Report {
    fn write_rounds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "round  accuracy  plain average  owners  seconds in each phase")?;
        for (round, plain) in self.ending.rounds.iter().zip(&self.reference.accuracy_plain) {
            let phases: Vec<String> = round
                .phases_ms
                .iter()
                .filter(|(_, ms)| *ms > 0)
                .map(|(phase, ms)| format!("{phase:?} {:.2}", *ms as f64 / 1e3))
                .collect();
            writeln!(
                f,
                "{:5}  {:>8}  {:>13}  {:>6}  {}{}",
                round.round,
                percent(round.accuracy),
                percent(*plain),
                if round.done { round.counted.len().to_string() } else { "-".to_owned() },
                phases.join(", "),
                self.accident_in(round.round),
            )?;
        }
        let last = self.ending.rounds.iter().rev().find(|round| round.done);
        if let Some((round, weighing)) =
            last.and_then(|one| Some((one.round, one.weighing.as_ref()?)))
        {
            write!(f, "\nWeighed   in round {round}: {weighing}")?;
        }
        let reference = &self.reference;
        writeln!(
            f,
            "\nAccuracy  {} encrypted, {} plain average of the same updates, {} best owner alone \
             ({})",
            percent(self.ending.run.accuracy),
            percent(reference.accuracy_plain.iter().rev().find_map(|x| *x)),
            percent(Some(reference.accuracy_best_alone)),
            reference.best_alone,
        )
    }

    fn accident_in(&self, round: u32) -> String {
        let Accidents { owner, holder } = &self.accidents;
        let owner = owner.filter(|(_, when)| *when == round);
        let holder = holder.filter(|(_, when)| *when == round);
        match (owner, holder) {
            (Some((who, _)), _) => format!("  <- owner-{who} vanished"),
            (_, Some((who, _))) => format!("  <- holder-{who} killed"),
            _ => String::new(),
        }
    }

    fn write_bytes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bytes { payload, fixed, proof } = self.bytes;
        let total = self.bytes.total();
        let parameters = self.parameters as f64;
        let plain = 4 * self.parameters as u64;
        writeln!(
            f,
            "Sent      {} bytes by each owner in each round: {payload} of update ({:.2} per \
             parameter), {fixed} of keys\n          and {proof} of proof; {:.2} bytes per parameter \
             in all, plain f32 would be 4 ({plain} bytes)",
            total,
            payload as f64 / parameters,
            self.bytes_per_parameter(),
        )?;
        if total > plain {
            writeln!(
                f,
                "          That is {:.2} times plain f32: keys and proof cost the same for every \
                 model, and this one is small.",
                total as f64 / plain as f64
            )?;
        }
        Ok(())
    }

    fn write_check(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = if self.reference.exact {
            "every opened sum equals the plain sum of the same integers"
        } else {
            "AN OPENED SUM DIFFERS from the plain sum of the same integers"
        };
        writeln!(f, "Exact     {exact}")?;
        match &self.check {
            Ok(said) => writeln!(f, "Check     {}", indent(said))?,
            Err(why) => writeln!(f, "Check     FAILED: {}", indent(why))?,
        }
        match &self.ledger {
            Ok(ledger) => write!(f, "Ledger    {}", indent(&ledger.to_string())),
            Err(why) => write!(f, "Ledger    FAILED: {}", indent(why)),
        }
    }

    fn write_credits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(credits) = &self.credits else { return Ok(()) };
        writeln!(f, "{credits}")?;
        let mut directing: Vec<_> =
            self.ending.rounds.iter().filter_map(|round| round.directing_ms).collect();
        directing.sort_unstable();
        if let Some(median) = directing.get(directing.len() / 2) {
            writeln!(
                f,
                "Directed  {:.2} s of each Credit are the coordinator's training on the fold \
                 (median); each\n          holder repeats it, here on the same processor",
                *median as f64 / 1e3
            )?;
        }
        match &credits.recomputed {
            Ok(said) => writeln!(f, "Settled   {}", indent(said)),
            Err(why) => writeln!(f, "Settled   FAILED: {}", indent(why)),
        }?;
        match &credits.proven {
            Ok(said) => writeln!(f, "Proof     {}", indent(said)),
            Err(why) => writeln!(f, "Proof     FAILED: {}", indent(why)),
        }
    }
}

/// `171`, or `170 (free-rider)`.
fn of_owner((role, rows): &(Role, usize)) -> String {
    match role {
        Role::Honest => rows.to_string(),
        role => format!("{rows} ({role})"),
    }
}

fn indent(text: &str) -> String {
    text.trim_end().replace('\n', "\n          ")
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", share * 100.0))
}

/// Writes the summary beside the rest, for those who keep it.
pub(crate) fn save(report: &Report, folder: &Path) -> std::io::Result<()> {
    fs::write(folder.join("summary.txt"), format!("{report}\n"))?;
    fs::write(folder.join("summary.json"), format!("{}\n", report.to_json()))
}
