//! `ledger credits`: what owners are credited, computed again, and why.

use std::fmt;

use covey_aggregation::credit::{Account, Amount, Explanation};
use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use covey_aggregation::program::{Exit, Failure};
use serde::Serialize;

use super::{Findings, word};
use crate::book::CreditsRecord;
use crate::desk::source::{Open, Shelf};
use crate::desk::words::{amount, difference, time};

/// Credits of a run.
#[derive(Debug, Serialize)]
pub struct Credits {
    /// Whether there is no doubt.
    pub is_verified: bool,
    /// The run, by its digest.
    pub run: String,
    /// The run's name.
    pub run_name: String,
    /// Its place among the settlements, from 1.
    pub epoch: u32,
    /// The entry of the settlement.
    pub entry: u64,
    /// Until when the credits may be disputed, in milliseconds since the Unix epoch.
    pub window_end_ms: u64,
    /// What the run gives, in micro-credits.
    pub pool_micro: u64,
    /// Whether it gives more than is free of a vote, and none approved it.
    pub needs_approval: bool,
    /// The owners, or the one that was asked for.
    pub owners: Vec<Owner>,
    /// Why the one that was asked for is credited that; none for all.
    pub why: Option<Why>,
    /// Statements and doubts.
    #[serde(flatten)]
    pub findings: Findings,
}

/// An owner's credit.
#[derive(Debug, Serialize)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// What it is paid, resolutions included, in micro-credits.
    pub paid_micro: u64,
    /// What resolutions changed, in micro-credits.
    pub difference_micro: i64,
    /// Whether it is under dispute.
    pub is_disputed: bool,
    /// What was settled.
    pub settled: Account,
}

/// Why an owner is credited what it is.
#[derive(Debug, Serialize)]
pub struct Why {
    /// In words.
    pub text: String,
    /// In numbers.
    pub explanation: Explanation,
    /// The entries that it follows from.
    pub inputs: Vec<u64>,
}

/// What a run's owners are credited, or one of them.
///
/// # Errors
/// [`Failure`]: there is no such run or owner, or no credits of it.
pub fn credits(
    open: &Open,
    shelf: &Shelf,
    (run, owner): (&str, Option<&str>),
) -> Result<Credits, Failure> {
    let (names, book) = (open.names(), &open.ledger.book);
    let run = names.run(run)?;
    let owner = owner.map(|text| names.member(text)).transpose()?;
    let record = book.run(&run);
    let found = record.and_then(|run| Some((run, run.credits.as_ref()?)));
    let (record, credits) = found.ok_or_else(|| {
        let message = format!("the credits of {} are not settled", names.of_run(&run));
        Failure::new(Exit::BadInput, "NOT_SETTLED", message)
    })?;
    let accounts = credits.settlement.accounts.iter();
    let wanted = accounts.filter(|account| owner.is_none_or(|owner| owner == account.owner));
    let owners: Vec<_> = wanted.map(|account| view(open, credits, account)).collect();
    if let (Some(owner), []) = (owner, &owners[..]) {
        let message = format!("{} has no account in {}", names.of(&owner), names.of_run(&run));
        return Err(Failure::new(Exit::BadInput, "NO_SUCH", message));
    }
    let why = owner.and_then(|owner| why(open, &run, &owner));
    let inputs = match &why {
        Some(why) => why.inputs.clone(),
        None => vec![record.entry, credits.entry],
    };
    let findings = Findings::of(open, shelf, &inputs);
    Ok(Credits {
        is_verified: findings.doubts.is_empty(),
        run: run.to_string(),
        run_name: record.plan.name.to_string(),
        epoch: credits.epoch,
        entry: credits.entry,
        window_end_ms: credits.window_end_ms,
        pool_micro: credits.settlement.pool_micro,
        needs_approval: credits.needs_approval,
        owners,
        why,
        findings,
    })
}

fn view(open: &Open, credits: &CreditsRecord, account: &Account) -> Owner {
    let owner = &account.owner;
    Owner {
        name: open.names().of(owner),
        paid_micro: credits.payment_micro(owner),
        difference_micro: credits.difference_micro(owner),
        is_disputed: open.ledger.book.is_disputed(&credits.run, owner),
        settled: account.clone(),
    }
}

fn why(open: &Open, run: &Digest, owner: &PartyId) -> Option<Why> {
    let (names, book) = (open.names(), &open.ledger.book);
    let explanation = book.explain(run, owner)?;
    let text = explanation.words(&|party| names.of(party)).to_string();
    Some(Why { text, explanation, inputs: book.inputs(run, owner) })
}

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = word(self.is_verified);
        writeln!(
            f,
            "credits of {} ({}) {word}: entry {}",
            self.run_name,
            &self.run[..8],
            self.entry
        )?;
        writeln!(f, "  they may be disputed until {}", time(self.window_end_ms))?;
        write!(f, "  the run gives {}", amount(self.pool_micro))?;
        if self.needs_approval {
            f.write_str(", which reviewers have not approved")?;
        }
        for one in &self.owners {
            let Account { low_micro, high_micro, credit_micro, .. } = one.settled;
            let [credit, low, high] = [credit_micro, low_micro, high_micro].map(Amount::from);
            write!(
                f,
                "\n  {}: paid {}; credit {credit:.2}, between {low:.2} and {high:.2}",
                one.name,
                amount(one.paid_micro)
            )?;
            if one.difference_micro != 0 {
                write!(f, "; {} by review", difference(one.difference_micro))?;
            }
            if one.is_disputed {
                f.write_str("; under dispute")?;
            }
        }
        if let Some(why) = &self.why {
            let inputs: Vec<_> = why.inputs.iter().map(ToString::to_string).collect();
            write!(f, "\n\n{}\n\nIt follows from the entries {}.", why.text, inputs.join(", "))?;
        }
        write!(f, "{}", self.findings)
    }
}
