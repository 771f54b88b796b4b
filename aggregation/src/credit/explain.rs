//! Why an owner is credited what it is, for that owner to read.

use std::fmt;

use serde::Serialize;

use super::amount::{Amount, MICRO, Percent};
use super::evidence::RoundEvidence;
use super::flag::{Flag, SHARE_UNITS, Statistic};
use super::settlement::{Account, Settlement};
use super::share::{capped, claims, count_cap, credits};
use super::spread::Spread;
use super::terms::{CreditTerms, Ratio};
use crate::party::PartyId;

/// One owner's credit with everything that it follows from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What was settled.
    pub account: Account,
    /// Rounds of the epoch with evidence.
    pub epoch_rounds: u32,
    /// What the epoch gives.
    pub pool_micro: u64,
    /// What everybody's payable credits come to: what the pool is divided by.
    pub payable_total_micro: u64,
    /// The rounds with evidence of the owner, ascending.
    pub rounds: Vec<RoundCredit>,
    /// What the payment would have been otherwise, the other owners' credits being what they are.
    pub changes: Vec<Change>,
    /// The terms.
    #[serde(skip)]
    terms: CreditTerms,
}

/// An owner's credit in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RoundCredit {
    /// The round.
    pub round: u32,
    /// Examples that the owner declared.
    pub count: u32,
    /// Examples that counted.
    pub counted: u32,
    /// s.
    pub s: i64,
    /// q, in micro-credits.
    pub credit_micro: i64,
}

/// What the payment would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// If what.
    #[serde(rename = "if")]
    pub case: Case,
    /// In micro-credits.
    pub payment_micro: u64,
}

/// What might have been otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// The owner had taken part in every round, in those it missed with its mean credit.
    EveryRound,
    /// Its rounds below 0 had been 0.
    NoneNegative,
    /// All its rounds had been like their mean.
    Steady,
    /// It had brought no debt with it.
    NoDebt,
}

/// Explains the account of `owner` in `settlement`, which must be of these terms and rounds; `None`
/// where it has no account there.
#[must_use]
pub fn explain(
    terms: &CreditTerms,
    rounds: &[RoundEvidence],
    settlement: &Settlement,
    owner: &PartyId,
) -> Option<Explanation> {
    let account = settlement.of(owner)?.clone();
    let mut own: Vec<_> =
        rounds.iter().filter_map(|round| credit_of(terms, round, owner)).collect();
    own.sort_by_key(|round| round.round);
    // At most 2^24 owners of at most 2^51 each.
    let payable_total_micro = settlement.accounts.iter().map(|one| one.payable_micro).sum::<u64>();
    let mut explanation = Explanation {
        account,
        epoch_rounds: settlement.rounds.len() as u32,
        pool_micro: settlement.pool_micro,
        payable_total_micro,
        rounds: own,
        changes: Vec::new(),
        terms: *terms,
    };
    explanation.changes = explanation.changes();
    Some(explanation)
}

fn credit_of(terms: &CreditTerms, round: &RoundEvidence, owner: &PartyId) -> Option<RoundCredit> {
    let (index, evidence) = round.of(owner)?;
    let cap = count_cap(terms, round.contributions().iter().map(|one| one.count));
    Some(RoundCredit {
        round: round.round(),
        count: evidence.count,
        // At most the count.
        counted: capped(evidence.count, cap) as u32,
        s: evidence.s,
        credit_micro: credits(terms, round, &claims(terms, round))[index],
    })
}

impl Explanation {
    fn changes(&self) -> Vec<Change> {
        let account = &self.account;
        if account.rounds == 0 {
            return Vec::new();
        }
        let own: Vec<_> = self.rounds.iter().map(|round| round.credit_micro).collect();
        let missed = self.epoch_rounds - account.rounds;
        let mean = account.credit_micro / i64::from(account.rounds);
        let every = own.iter().copied().chain((0..missed).map(|_| mean)).collect();
        let none_negative = own.iter().map(|credit| *credit.max(&0)).collect();
        let carried = account.carried_micro;
        let balance = account.credit_micro.saturating_sub_unsigned(carried);
        let cases = [
            (missed > 0, Case::EveryRound, self.payable(every, carried)),
            (account.rounds_negative > 0, Case::NoneNegative, self.payable(none_negative, carried)),
            (account.error_micro > 0, Case::Steady, u64::try_from(balance).unwrap_or(0)),
            (carried > 0, Case::NoDebt, self.payable(own, 0)),
        ];
        let cases = cases.into_iter().filter(|(is_one, ..)| *is_one);
        let change = |(_, case, payable)| Change { case, payment_micro: self.payment_for(payable) };
        cases.map(change).collect()
    }

    fn payable(&self, credits: Vec<i64>, carried: u64) -> u64 {
        let mut spread = Spread::default();
        credits.into_iter().for_each(|credit| spread.add(credit));
        let margin = self.terms.get().lambda.times_up(spread.error(self.epoch_rounds));
        let payable = spread.sum().saturating_sub_unsigned(carried).saturating_sub_unsigned(margin);
        u64::try_from(payable).unwrap_or(0)
    }

    /// What would be paid for this payable credit, the other owners' being what they are.
    fn payment_for(&self, payable: u64) -> u64 {
        let others = self.payable_total_micro - self.account.payable_micro;
        let (payable, whole) = (u128::from(payable), u128::from(others) + u128::from(payable));
        let payment = (u128::from(self.pool_micro) * payable).checked_div(whole).unwrap_or(0);
        // At most the pool.
        payment as u64
    }

    /// The explanation in words; `name` says whom a party is known as.
    #[must_use]
    pub fn words<'a>(&'a self, name: &'a dyn Fn(&PartyId) -> String) -> impl fmt::Display + 'a {
        Words { explanation: self, name }
    }
}

struct Words<'a> {
    explanation: &'a Explanation,
    name: &'a dyn Fn(&PartyId) -> String,
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.payment(f)?;
        self.credit(f)?;
        self.deductions(f)?;
        self.flags(f)?;
        self.changes(f)
    }
}

impl Words<'_> {
    /// To the hundredth of a credit, or exactly where the epoch has few.
    fn amount(&self, micro: impl Into<Amount>) -> String {
        let is_large = self.explanation.pool_micro >= 100 * MICRO;
        let amount = micro.into();
        if is_large { format!("{amount:.2}") } else { amount.to_string() }
    }

    fn payment(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { account, pool_micro, .. } = self.explanation;
        let (name, paid) = ((self.name)(&account.owner), account.payment_micro);
        // A payment is below 2^51.
        let part = Percent { part: paid as i64, whole: *pool_micro };
        write!(
            f,
            "{name} is paid {} of the {} credits of this epoch ({part})",
            self.amount(paid),
            self.amount(*pool_micro),
        )
    }

    fn credit(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { account, epoch_rounds, pool_micro, terms, .. } = self.explanation;
        if account.rounds == 0 {
            return write!(f, "\n\nIt took part in none of the {epoch_rounds} rounds.");
        }
        let part = Percent { part: account.credit_micro, whole: *pool_micro };
        write!(
            f,
            "\n\nWhy: it took part in {} of {epoch_rounds} rounds. A round's budget goes to its owners \
             by how far each update moved the model the way that the round's validation examples \
             would have moved it; an update that moved it the other way counts against its owner. \
             All in all that was {}, {part} of what all owners' updates came to: a credit between {} \
             and {} ({} times the standard error of {} to either side).",
            account.rounds,
            self.amount(account.credit_micro),
            self.amount(account.low_micro),
            self.amount(account.high_micro),
            Decimal(terms.get().interval),
            self.amount(account.error_micro),
        )?;
        f.write_str(
            " The interval comes from how much the rounds differ; that the validation examples or \
             the first model could have been others is not in it.",
        )?;
        if account.rounds_negative > 0 {
            write!(f, " In {} of its rounds the credit was below 0.", account.rounds_negative)?;
        }
        if account.rounds_capped > 0 {
            write!(
                f,
                " In {} of its rounds it declared more examples than count ({} times the median of \
                 the round).",
                account.rounds_capped,
                terms.get().count_cap_medians,
            )?;
        }
        Ok(())
    }

    fn deductions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { account, payable_total_micro, terms, .. } = self.explanation;
        f.write_str("\n\nPaid: ")?;
        write!(f, "the credit of {}", self.amount(account.credit_micro))?;
        if account.carried_micro > 0 {
            write!(f, ", less {} owed from before", self.amount(account.carried_micro))?;
        }
        let margin = terms.get().lambda.times_up(account.error_micro);
        write!(
            f,
            ", less {} ({} times the standard error), is {}. The pool is divided by what that comes to for \
             everybody, {}; what is below 0 counts as 0.",
            self.amount(margin),
            Decimal(terms.get().lambda),
            self.amount(account.payable_micro),
            self.amount(*payable_total_micro),
        )?;
        if account.debt_micro > 0 {
            let debt = self.amount(account.debt_micro);
            write!(f, " {debt} is owed in the next epoch.")?;
        }
        Ok(())
    }

    fn flags(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = &self.explanation.account;
        f.write_str("\n\nFlags, for people to look at; they change no payment:")?;
        if account.flags.is_empty() {
            f.write_str(" none.")?;
        }
        let statistics = &account.statistics;
        for flag in &account.flags {
            match flag {
                Flag::Novelty => f.write_str(
                    "\n- novelty: nothing could be told from 0 that recent steps had not done already",
                )?,
                Flag::Harm => f.write_str(
                    "\n- harm: the steps that it had a part in made the validation loss worse by it",
                )?,
                Flag::Public => f.write_str(
                    "\n- public: nothing could be told from 0 that opened validation examples do \
                     not give",
                )?,
                Flag::Duplicate { with } => write!(
                    f,
                    "\n- duplicate: its scores go up and down with those of {}",
                    (self.name)(with),
                )?,
            }
            let statistic = match flag {
                Flag::Novelty => statistics.novelty,
                Flag::Harm => statistics.harm,
                Flag::Public => statistics.public,
                Flag::Duplicate { .. } => None,
            };
            if let Some(statistic) = statistic {
                write!(f, " ({})", Bounds(statistic))?;
            }
        }
        Ok(())
    }

    fn changes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { changes, account, terms, .. } = self.explanation;
        f.write_str("\n\nWhat would have changed it, the others being what they are:")?;
        for Change { case, payment_micro } in changes {
            let case = match case {
                Case::EveryRound => "in every round, where it was absent with its mean",
                Case::NoneNegative => "its rounds below 0 at 0",
                Case::Steady => "all its rounds like their mean",
                Case::NoDebt => "nothing owed from before",
            };
            write!(f, "\n- {case}: {}", self.amount(*payment_micro))?;
        }
        write!(
            f,
            "\n- more examples count by their square root, up to {} times the median of a round",
            terms.get().count_cap_medians,
        )?;
        if account.payable_micro == 0 && account.credit_micro > 0 {
            f.write_str(
                "\nIts credit is above 0, but not by enough to tell it from chance (and from what \
                 is owed): nothing is paid for it.",
            )?;
        }
        Ok(())
    }
}

/// A statistic per round, in percent of the round's sum.
struct Bounds(Statistic);

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Statistic { rounds, sum, low, high, .. } = self.0;
        let whole = SHARE_UNITS * u64::from(rounds);
        let percent = |part| Percent { part, whole };
        write!(
            f,
            "{} of all owners' over {rounds} rounds, bounds {} and {}",
            percent(sum),
            percent(low),
            percent(high),
        )
    }
}

/// A ratio with three digits after the point at most.
struct Decimal(Ratio);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ratio { numerator, denominator } = self.0;
        let thousandths = u64::from(numerator) * 1000 / u64::from(denominator);
        let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}
