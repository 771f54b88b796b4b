//! What several views have in common.

use covey_aggregation::credit::{Account, Flag};
use covey_ledger::book::{CreditsRecord, State};
use covey_ledger::entry::Verdict;
use serde::Serialize;
use utoipa::ToSchema;

use super::reader::Reader;
use crate::block::{Cell, Tone};
use crate::chart::Interval;
use crate::text;

/// A member, as it is named on pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub(crate) struct Who {
    /// Its name; of somebody unknown, the first digits of its key.
    pub(crate) name: String,
    /// Its key, in hexadecimal.
    pub(crate) id: String,
    /// Where its page is.
    pub(crate) href: String,
}

impl Who {
    pub(crate) fn cell(&self) -> Cell {
        Cell::link(self.name.clone(), self.href.clone())
    }
}

/// A run, as it is named on pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct WhichRun {
    /// The name of its plan.
    pub(crate) name: String,
    /// What names it, in hexadecimal.
    pub(crate) id: String,
}

impl WhichRun {
    pub(crate) fn cell(&self) -> Cell {
        Cell::link(self.label(), self.href()).read_as(self.id.clone())
    }

    /// Name and first digits: names are not unique.
    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.name, text::short(&self.id))
    }

    pub(crate) fn href(&self) -> String {
        format!("/runs/{}", self.id)
    }
}

/// An owner's credit in an epoch. Amounts are in micro-credits.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct OwnerCredit {
    /// Whose.
    pub(crate) owner: Who,
    /// Rounds with evidence of it.
    pub(crate) rounds: u32,
    /// Its credit: the sum over rounds.
    pub(crate) credit_micro: i64,
    /// Standard error of the credit.
    pub(crate) error_micro: u64,
    /// Lower end of its interval.
    pub(crate) low_micro: i64,
    /// Upper end of its interval.
    pub(crate) high_micro: i64,
    /// What the pool is divided by.
    pub(crate) payable_micro: u64,
    /// What it is paid by the settlement.
    pub(crate) settled_micro: u64,
    /// What resolutions of disputes changed.
    pub(crate) difference_micro: i64,
    /// What it is paid all in all.
    pub(crate) payment_micro: u64,
    /// What it owes in the next epoch.
    pub(crate) debt_micro: u64,
    /// Groups hang together by overlapping intervals: between groups the difference is clear, within one
    /// nobody is ranked. From 1.
    pub(crate) group: u32,
    /// What people should look at; never changes a payment.
    pub(crate) flags: Vec<String>,
    /// Whether it is disputed now.
    pub(crate) is_disputed: bool,
}

impl OwnerCredit {
    /// All owners of an epoch, the largest credit first; equal ones by name.
    pub(crate) fn all(reader: &Reader<'_>, record: &CreditsRecord) -> Vec<Self> {
        let accounts = &record.settlement.accounts;
        let mut all: Vec<_> =
            accounts.iter().map(|account| Self::of(reader, record, account)).collect();
        all.sort_by(|one, other| {
            other.credit_micro.cmp(&one.credit_micro).then_with(|| one.owner.cmp(&other.owner))
        });
        let ends: Vec<_> = all.iter().map(|one| (one.low_micro, one.high_micro)).collect();
        for (one, group) in all.iter_mut().zip(groups(&ends)) {
            one.group = group;
        }
        all
    }

    fn of(reader: &Reader<'_>, record: &CreditsRecord, account: &Account) -> Self {
        let owner = &account.owner;
        Self {
            owner: reader.who(owner),
            rounds: account.rounds,
            credit_micro: account.credit_micro,
            error_micro: account.error_micro,
            low_micro: account.low_micro,
            high_micro: account.high_micro,
            payable_micro: account.payable_micro,
            settled_micro: account.payment_micro,
            difference_micro: record.difference_micro(owner),
            payment_micro: record.payment_micro(owner),
            debt_micro: account.debt_micro,
            group: 0,
            flags: account.flags.iter().map(|flag| flag_words(reader, flag)).collect(),
            is_disputed: reader.is_disputed(record, owner),
        }
    }

    /// As a row of a chart.
    pub(crate) fn interval(&self, chosen: &str) -> Interval {
        let credits = |micro: i64| micro as f64 / 1e6;
        Interval {
            name: self.owner.name.clone(),
            href: self.owner.href.clone(),
            low: credits(self.low_micro),
            value: credits(self.credit_micro),
            high: credits(self.high_micro),
            is_chosen: self.owner.id == chosen,
            note: format!("group {}", self.group),
        }
    }

    /// Flags and disputes as badges.
    pub(crate) fn remarks(&self) -> Cell {
        let mut words = self.flags.clone();
        if self.is_disputed {
            words.push("disputed".to_owned());
        }
        match words.len() {
            0 => Cell::none(),
            _ => Cell::badge(Tone::Warn, words.join(", ")),
        }
    }
}

/// Groups of intervals that hang together by overlaps: between two groups the difference is clear,
/// within one nobody is ranked. Numbered from 1, the highest first; in the order of the intervals.
pub(crate) fn groups(intervals: &[(i64, i64)]) -> Vec<u32> {
    let mut order: Vec<_> = (0..intervals.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(intervals[*at].1));
    let (mut groups, mut group, mut lowest) = (vec![0; intervals.len()], 0, i64::MAX);
    for at in order {
        let (low, high) = intervals[at];
        if group == 0 || high < lowest {
            group += 1;
        }
        lowest = lowest.min(low);
        groups[at] = group;
    }
    groups
}

fn flag_words(reader: &Reader<'_>, flag: &Flag) -> String {
    match flag {
        Flag::Duplicate { with } => format!("duplicate of {}", reader.who(with).name),
        other => other.kind().word().to_owned(),
    }
}

/// Where a dispute or proposal stands, in a word.
pub(crate) fn state_word(state: &State) -> &'static str {
    match state {
        State::Open => "open",
        State::Withdrawn(_) => "withdrawn",
        State::Decided(verdict, _) => verdict_word(*verdict),
    }
}

/// The entry that a state was reached by.
pub(crate) const fn state_entry(state: &State) -> Option<u64> {
    match state {
        State::Open => None,
        State::Withdrawn(entry) | State::Decided(_, entry) => Some(*entry),
    }
}

pub(crate) fn state_cell(word: &str) -> Cell {
    let tone = match word {
        "open" => Tone::Warn,
        "upheld" => Tone::Good,
        _ => Tone::Note,
    };
    Cell::badge(tone, word)
}

const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Upheld => "upheld",
        Verdict::Rejected => "rejected",
        Verdict::Lapsed => "lapsed",
    }
}

/// Something serialised as one word (kebab-case), as that word.
pub(crate) fn word_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// An argument of a command for a POSIX shell.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._,:/@=".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    // A command is one line: what would end it is a space.
    let line: String = text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
    format!("'{}'", line.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_that_overlap_are_of_one_group() {
        assert_eq!(groups(&[(8, 12), (7, 9), (3, 5), (1, 4), (-1, 0)]), [1, 1, 2, 2, 3]);
        // A wide one joins what lies apart.
        assert_eq!(groups(&[(8, 12), (4, 7), (3, 9)]), [1, 1, 1]);
        assert_eq!(groups(&[]), [] as [u32; 0]);
    }

    #[test]
    fn arguments_cannot_leave_their_quotes() {
        assert_eq!(quoted("a-b.c"), "a-b.c");
        assert_eq!(quoted("it's $(rm)\n`x`"), r"'it'\''s $(rm) `x`'");
        assert_eq!(quoted(""), "''");
    }
}
