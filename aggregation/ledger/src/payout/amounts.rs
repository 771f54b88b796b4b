//! What a payout comes to.

use std::collections::{BTreeMap, BTreeSet};

use covey_aggregation::credit::MICRO;
use covey_aggregation::hash::Digest;
use covey_aggregation::party::PartyId;
use serde::Serialize;

use super::address::Address;
use super::tree::{PAYEES_MAX, Payee, Tree};
use crate::book::{Book, State, Status};
use crate::entry::{HeldBack, WhyHeld};
use crate::form::{decimal, hex};

/// Why a run's credits cannot be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum NotPayable {
    /// They are not settled.
    #[error("its credits are not settled")]
    NotSettled,
    /// They can still be disputed.
    #[error("its credits can be disputed until {0} ms")]
    WindowOpen(u64),
    /// Reviewers have not approved its pool.
    #[error("reviewers have not approved what it gives")]
    NotApproved,
}

/// Why there is no payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPayout {
    /// A run that cannot be paid.
    #[error("the run {0} cannot be paid: {1}")]
    Run(Digest, NotPayable),
    /// Nobody would be paid anything new.
    #[error("there is nothing new to pay")]
    Nothing,
    /// More than the amounts can hold.
    #[error("the amounts are beyond 2^128 units")]
    TooMuch,
    /// More payees than a tree may have.
    #[error("more than {PAYEES_MAX} addresses")]
    TooMany,
}

/// What an owner has by a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Who.
    #[serde(with = "hex")]
    pub owner: PartyId,
    /// Its address.
    pub address: Address,
    /// What all credits that payouts include come to, in micro-credits.
    pub entitled_micro: u64,
    /// What it was paid before.
    pub paid_micro: u64,
    /// What is new, in token units.
    #[serde(with = "decimal")]
    pub units: u128,
}

/// What a payout comes to, before it is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Amounts {
    /// The payout's number, from 1.
    pub number: u32,
    /// The runs in it, in the order of their settlements.
    #[serde(with = "hex::list")]
    pub runs: Vec<Digest>,
    /// What one credit is paid.
    #[serde(with = "decimal")]
    pub units_per_credit: u128,
    /// Owners with something new, ascending.
    pub shares: Vec<Share>,
    /// What is not in it, ascending by run and owner.
    pub held_back: Vec<HeldBack>,
    /// Credits that are in a payout from now on.
    #[serde(skip)]
    pub(crate) includes: BTreeSet<(Digest, PartyId)>,
    /// What each address has, all in all.
    #[serde(skip)]
    pub(crate) at: BTreeMap<Address, u128>,
}

/// The runs that can be paid now, in the order of their settlements, and why each other one cannot.
#[must_use]
pub fn payable_runs(book: &Book, now_ms: u64) -> (Vec<Digest>, Vec<(Digest, NotPayable)>) {
    let (mut payable, mut others) = (Vec::new(), Vec::new());
    for run in book.settlements().map(|credits| credits.run) {
        match check_run(book, &run, now_ms) {
            Ok(()) => payable.push(run),
            Err(why) => others.push((run, why)),
        }
    }
    (payable, others)
}

fn check_run(book: &Book, run: &Digest, now_ms: u64) -> Result<(), NotPayable> {
    let credits = book.run(run).and_then(|run| run.credits.as_ref());
    let credits = credits.ok_or(NotPayable::NotSettled)?;
    if now_ms <= credits.window_end_ms {
        Err(NotPayable::WindowOpen(credits.window_end_ms))
    } else if credits.needs_approval {
        Err(NotPayable::NotApproved)
    } else {
        Ok(())
    }
}

/// What the next payout would come to at a time, with these runs and those of earlier payouts: what
/// is paid, what is held back, and why.
///
/// # Errors
/// [`NoPayout::Run`], [`NoPayout::TooMuch`], [`NoPayout::TooMany`].
pub fn preview(book: &Book, runs: &[Digest], now_ms: u64) -> Result<Amounts, NoPayout> {
    for run in runs {
        check_run(book, run, now_ms).map_err(|why| NoPayout::Run(*run, why))?;
    }
    let before = book.payouts().last().map_or(&[][..], |payout| &payout.payout.runs);
    let is_in = |run: &Digest| runs.contains(run) || before.contains(run);
    let runs: Vec<_> = book.settlements().map(|one| one.run).filter(is_in).collect();
    let mut includes = book.included().clone();
    let mut held_back = Vec::new();
    for run in &runs {
        hold_back(book, run, &mut includes, &mut held_back);
    }
    let mut amounts = Amounts {
        number: book.payouts().len() as u32 + 1,
        runs,
        units_per_credit: book.charter().units_per_credit,
        shares: Vec::new(),
        held_back,
        includes,
        at: book.paid_at().clone(),
    };
    amounts.held_back.sort_unstable();
    amounts.share(book)?;
    Ok(amounts)
}

/// Includes the credits of a run, but for those that are held back.
fn hold_back(
    book: &Book,
    run: &Digest,
    includes: &mut BTreeSet<(Digest, PartyId)>,
    held_back: &mut Vec<HeldBack>,
) {
    let Some(credits) = book.run(run).and_then(|run| run.credits.as_ref()) else { return };
    let disputes = credits.disputes.iter().filter_map(|id| book.dispute(id));
    let open = disputes.filter(|dispute| dispute.state == State::Open);
    let disputed: BTreeSet<_> = open.map(|dispute| dispute.dispute.owner).collect();
    for owner in credits.settlement.accounts.iter().map(|account| account.owner) {
        let member = book.member(&owner);
        let why = if disputed.contains(&owner) {
            Some(WhyHeld::Disputed)
        } else if member.is_some_and(|member| member.status == Status::Suspended) {
            Some(WhyHeld::Suspended)
        } else if member.is_none_or(|member| member.address.is_none()) {
            Some(WhyHeld::NoAddress)
        } else {
            None
        };
        let micro = credits.payment_micro(&owner);
        match why {
            // What was included before stays so.
            _ if includes.contains(&(*run, owner)) => {}
            Some(why) if micro > 0 || why == WhyHeld::Disputed => {
                held_back.push(HeldBack { run: *run, owner, micro, why });
            }
            Some(_) => {}
            None => {
                includes.insert((*run, owner));
            }
        }
    }
}

impl Amounts {
    /// Gives every owner what is new, at its address.
    fn share(&mut self, book: &Book) -> Result<(), NoPayout> {
        let mut entitled: BTreeMap<PartyId, u64> = BTreeMap::new();
        for (run, owner) in &self.includes {
            let credits = book.run(run).and_then(|run| run.credits.as_ref());
            let micro = credits.map_or(0, |credits| credits.payment_micro(owner));
            let sum = entitled.entry(*owner).or_default();
            *sum = sum.checked_add(micro).ok_or(NoPayout::TooMuch)?;
        }
        for (owner, entitled_micro) in entitled {
            let member = book.member(&owner);
            let is_held = member.is_none_or(|member| member.status == Status::Suspended);
            let address = member.and_then(|member| member.address).map(|(address, _)| address);
            let paid_micro = book.paid_micro(&owner);
            let Some(address) = address.filter(|_| !is_held && entitled_micro > paid_micro) else {
                continue;
            };
            let (now, before) = (self.units(entitled_micro)?, self.units(paid_micro)?);
            let units = now - before;
            let at = self.at.entry(address).or_default();
            *at = at.checked_add(units).ok_or(NoPayout::TooMuch)?;
            self.shares.push(Share { owner, address, entitled_micro, paid_micro, units });
        }
        self.at.retain(|_, units| *units > 0);
        if self.at.len() > PAYEES_MAX { Err(NoPayout::TooMany) } else { Ok(()) }
    }

    /// Micro-credits in token units, rounded down.
    fn units(&self, micro: u64) -> Result<u128, NoPayout> {
        let product = u128::from(micro).checked_mul(self.units_per_credit);
        Ok(product.ok_or(NoPayout::TooMuch)? / u128::from(MICRO))
    }

    /// The tree; none where nobody has anything.
    #[must_use]
    pub fn tree(&self) -> Option<Tree> {
        let payee =
            |(address, amount): (&Address, &u128)| Payee { address: *address, amount: *amount };
        Tree::new(self.at.iter().map(payee).collect())
    }

    /// What each address has, all in all, ascending.
    #[must_use]
    pub const fn at(&self) -> &BTreeMap<Address, u128> {
        &self.at
    }
}
