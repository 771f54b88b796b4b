//! Credits of a folder that holds evidence: listed, explained, computed again. Everything shown was
//! computed again first, so that nobody reads numbers that do not follow from the evidence.
//!
//! Where the evidence comes from is [`verify`]'s part, which needs the published rounds, and
//! [`Retraining`]'s, which needs plan and validation pool as well. What an owner can show others of its own
//! numbers is [`proof`](self)'s.

mod proof;
mod retraining;
mod verify;

use std::fmt;
use std::path::{Path, PathBuf};

pub use proof::{Proven, Shown, judge, prove};
pub use retraining::Retraining;
pub use verify::{Sources, Verified, verify};

use covey_aggregation::credit::{Account, Amount, Explanation, Flag, explain};
use covey_aggregation::net::read_roster;
use covey_aggregation::net::text::to_hex;
use covey_aggregation::party::PartyId;
use covey_aggregation::program::credits::PublishedEpoch;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::roster::Roster;
use serde::Serialize;

/// Fewest digits of a key that name an owner.
const DIGITS_MIN: usize = 4;

/// What all owners of an epoch are credited.
#[derive(Debug, Serialize)]
pub struct List {
    /// The epoch's folder.
    pub folder: PathBuf,
    /// The rounds with evidence.
    pub rounds: Vec<u32>,
    /// What the epoch gives, in micro-credits.
    pub pool_micro: u64,
    /// What is paid of it.
    pub paid_micro: u64,
    /// By name.
    pub owners: Vec<Line>,
    /// What this rests on.
    pub checked: &'static str,
}

/// One owner of a list.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Its name in the roster, or the beginning of its key.
    pub name: String,
    /// For people: what is flagged.
    #[serde(skip)]
    flags: String,
    /// Everything that was settled.
    #[serde(flatten)]
    pub account: Account,
}

/// Why an owner is credited what it is.
#[derive(Debug, Serialize)]
pub struct Told {
    /// The epoch's folder.
    pub folder: PathBuf,
    /// The owner's name in the roster, or the beginning of its key.
    pub name: String,
    /// In words.
    pub text: String,
    /// In numbers.
    #[serde(flatten)]
    pub explanation: Explanation,
    /// What this rests on.
    pub checked: &'static str,
}

/// An epoch that was computed again and found equal.
#[derive(Debug, Serialize)]
pub struct Recomputed {
    /// Its folder.
    pub folder: PathBuf,
    /// The rounds with evidence.
    pub rounds: Vec<u32>,
    /// Owners.
    pub owners: usize,
    /// What the epoch gives, in micro-credits.
    pub pool_micro: u64,
    /// What is paid of it.
    pub paid_micro: u64,
    /// Digest of the settlement.
    pub settlement: String,
    /// Digest of the evidence.
    pub evidence: String,
    /// What was checked, and what was not.
    pub checked: Vec<String>,
}

/// Said wherever credits are shown.
const CHECKED: &str = "computed again from the evidence in the folder and found equal; who attests \
                       that evidence is not checked here (covey-client credits verify)";

/// Lists the credits of the epoch in `folder`, with the names of `roster`.
///
/// # Errors
/// [`Failure`]: a file is missing or bad, or the credits do not follow from the evidence.
pub fn list(folder: &Path, roster: Option<&Path>) -> Result<List, Failure> {
    let (epoch, names) = (checked(folder)?, Names::read(roster)?);
    let line = |account: &Account| Line {
        name: names.of(&account.owner),
        flags: names.flags(account),
        account: account.clone(),
    };
    let mut owners: Vec<_> = epoch.settlement.accounts.iter().map(line).collect();
    owners.sort_by(|one, other| {
        (&one.name, one.account.owner).cmp(&(&other.name, other.account.owner))
    });
    let settlement = epoch.settlement;
    Ok(List {
        folder: epoch.folder,
        rounds: settlement.rounds,
        pool_micro: settlement.pool_micro,
        paid_micro: settlement.paid_micro,
        owners,
        checked: CHECKED,
    })
}

/// Explains the credit of `owner`, a name of `roster` or the beginning of a key, in the epoch in
/// `folder`.
///
/// # Errors
/// As [`list`]; also when there is no such owner.
pub fn tell(owner: &str, folder: &Path, roster: Option<&Path>) -> Result<Told, Failure> {
    let (epoch, names) = (checked(folder)?, Names::read(roster)?);
    let unknown = || {
        let message = format!("no owner {owner:?} in {}", folder.display());
        Failure::new(Exit::BadInput, "NO_OWNER", message)
            .with_help(format!("see covey-client credits list {}", folder.display()))
    };
    let found = names.find(owner, &epoch.settlement.accounts)?.ok_or_else(unknown)?;
    let explanation = explain(&epoch.terms, &epoch.rounds, &epoch.settlement, &found);
    let explanation = explanation.ok_or_else(unknown)?;
    let text = explanation.words(&|party| names.of(party)).to_string();
    let name = names.of(&found);
    Ok(Told { folder: epoch.folder, name, text, explanation, checked: CHECKED })
}

/// Computes the epoch in `folder` again and compares it with what was published; with `before`, the
/// folder of the epoch before it, the debts carried in as well.
///
/// # Errors
/// [`Failure`] with [`Exit::Unverified`] that names the first difference; others when a file is
/// missing.
pub fn recompute(folder: &Path, before: Option<&Path>) -> Result<Recomputed, Failure> {
    let epoch = checked(folder)?;
    let mut lines = vec!["ok       the settlement is the one that the evidence gives".to_owned()];
    match before {
        Some(before) => {
            epoch.follows(&checked(before)?)?;
            lines.push(format!("ok       the debts are those that {} left", before.display()));
        }
        None if epoch.carried.is_empty() => {
            lines.push("not checked: that the epoch before left no debts (--before)".to_owned());
        }
        None => lines.push("not checked: where the debts come from (--before)".to_owned()),
    }
    lines.push(
        "not checked: who attests the evidence (covey-client credits verify, with the published \
         rounds)"
            .to_owned(),
    );
    let settlement = &epoch.settlement;
    Ok(Recomputed {
        rounds: settlement.rounds.clone(),
        owners: settlement.accounts.len(),
        pool_micro: settlement.pool_micro,
        paid_micro: settlement.paid_micro,
        settlement: settlement.digest().to_string(),
        evidence: settlement.evidence.to_string(),
        checked: lines,
        folder: epoch.folder,
    })
}

fn checked(folder: &Path) -> Result<PublishedEpoch, Failure> {
    let epoch = PublishedEpoch::read(folder)?;
    epoch.recompute()?;
    Ok(epoch)
}

/// Whom parties are known as.
struct Names(Option<Roster>);

impl Names {
    fn read(roster: Option<&Path>) -> Result<Self, Failure> {
        let roster = roster.map(read_roster).transpose();
        Ok(Self(roster.map_err(|error| Failure::new(Exit::BadInput, "BAD_ROSTER", error))?))
    }

    fn of(&self, party: &PartyId) -> String {
        self.0.as_ref().map_or_else(|| party.to_string(), |roster| roster.name_of(party))
    }

    fn find(&self, text: &str, accounts: &[Account]) -> Result<Option<PartyId>, Failure> {
        let mut members = self.0.iter().flat_map(|roster| &roster.members);
        if let Some(member) = members.find(|member| member.name.as_str() == text) {
            return Ok(Some(member.id));
        }
        if text.len() < DIGITS_MIN {
            return Ok(None);
        }
        let begins = |account: &&Account| to_hex(&account.owner.0).starts_with(text);
        let mut found = accounts.iter().filter(begins).map(|account| account.owner);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => {
                let message = format!("more than one owner's key begins with {text:?}");
                Err(Failure::new(Exit::BadInput, "NO_OWNER", message)
                    .with_help("give more digits, or a name with --roster"))
            }
            (found, _) => Ok(found),
        }
    }

    fn flags(&self, account: &Account) -> String {
        let word = |flag: &Flag| match flag {
            Flag::Duplicate { with } => format!("duplicate of {}", self.of(with)),
            flag => flag.kind().to_string(),
        };
        let words: Vec<_> = account.flags.iter().map(word).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pool, paid) = (Amount::from(self.pool_micro), Amount::from(self.paid_micro));
        let rounds = self.rounds.len();
        writeln!(f, "{paid} of {pool} credits paid for {rounds} rounds\n")?;
        let heading = ["owner", "rounds", "credit", "low", "high", "paid", "owed", "flags"];
        let row = |line: &Line| {
            let account = &line.account;
            let amounts = [
                Amount::from(account.credit_micro),
                Amount::from(account.low_micro),
                Amount::from(account.high_micro),
                Amount::from(account.payment_micro),
                Amount::from(account.debt_micro),
            ];
            let [credit, low, high, paid, owed] = amounts.map(|amount| format!("{amount:.2}"));
            let there = format!("{}/{rounds}", account.rounds);
            [line.name.clone(), there, credit, low, high, paid, owed, line.flags.clone()]
        };
        let rows: Vec<_> = std::iter::once(heading.map(str::to_owned))
            .chain(self.owners.iter().map(row))
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: [usize; 8] = std::array::from_fn(width);
        for row in &rows {
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                match column {
                    0 => write!(f, "{cell:width$}")?,
                    7 => writeln!(f, "  {cell}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
        }
        write!(
            f,
            "\nLow and high: the interval of the credit. Where intervals overlap there is no clear \
             difference.\nFlags are for people to look at; they change no payment.\nChecked: {}.",
            self.checked
        )
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\nChecked: {}.", self.text, self.checked)
    }
}

impl fmt::Display for Recomputed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pool, paid) = (Amount::from(self.pool_micro), Amount::from(self.paid_micro));
        writeln!(
            f,
            "{}: {} rounds, {} owners, {paid} of {pool} credits paid",
            self.folder.display(),
            self.rounds.len(),
            self.owners
        )?;
        writeln!(f, "evidence    {}", self.evidence)?;
        writeln!(f, "settlement  {}", self.settlement)?;
        f.write_str(&self.checked.join("\n"))
    }
}
