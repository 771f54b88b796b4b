//! From evidence to credits: section 5 of the design note on credits, in integers.

use std::collections::BTreeMap;

use super::duplicate::{Series, duplicates};
use super::evidence::{BadEvidence, RoundEvidence, ascending, rounds_digest};
use super::flag::{Flag, Statistic, Statistics};
use super::settlement::{Account, Debt, Settlement};
use super::share::{apportion, claims, count_cap, credits, score_shares, tie};
use super::spread::Spread;
use super::terms::CreditTerms;
use crate::limits::{BUDGET_MICRO_MAX, DEBTS_MAX, EPOCH_ROUNDS_MAX, EPOCH_ROUNDS_MIN};
use crate::party::PartyId;

/// Most that an owner may owe: what the largest epoch gives.
const DEBT_MICRO_MAX: u64 = BUDGET_MICRO_MAX * EPOCH_ROUNDS_MAX as u64;

/// Settles an epoch. `rounds`: its evidence, in any order; `carried`: the debts that the settlement
/// before it left ([`Settlement::debts`]), in any order.
///
/// What is paid adds up to the pool exactly, or to nothing where no owner has anything payable.
///
/// # Errors
/// [`BadEvidence`], by the first fault.
pub fn settle(
    terms: &CreditTerms,
    rounds: &[RoundEvidence],
    carried: &[Debt],
) -> Result<Settlement, BadEvidence> {
    let (got, min, max) = (rounds.len(), EPOCH_ROUNDS_MIN, terms.get().rounds);
    if got < min as usize || got > max as usize {
        return Err(BadEvidence::Rounds { got, min, max });
    }
    let rounds = ascending(terms, rounds)?;
    let carried = owed(carried)?;
    let evidence = rounds_digest(terms, &rounds);
    let tallies = tally(terms, &rounds);
    let pool_micro = terms.get().budget_micro * rounds.len() as u64;
    // There is at least one owner: rounds have at least k_min contributions.
    let debt_max = pool_micro / tallies.len() as u64;

    let mut everybody: BTreeMap<PartyId, (Option<&Tally>, u64)> =
        tallies.iter().map(|(owner, tally)| (*owner, (Some(tally), 0))).collect();
    for (owner, micro) in carried {
        everybody.entry(owner).or_insert((None, 0)).1 = micro;
    }
    let nothing = Tally::default();
    let mut accounts: Vec<_> = everybody
        .into_iter()
        .map(|(owner, (tally, carried))| {
            let tally = tally.unwrap_or(&nothing);
            tally.account(terms, owner, rounds.len() as u32, (carried, debt_max))
        })
        .collect();
    let payable: Vec<_> = accounts.iter().map(|one| u128::from(one.payable_micro)).collect();
    let payments = apportion(pool_micro, &payable, |index| tie(&evidence, &accounts[index].owner));
    let paid_micro = payments.iter().sum();
    accounts.iter_mut().zip(payments).for_each(|(one, payment)| one.payment_micro = payment);

    let series =
        |(owner, tally): (&PartyId, &Tally)| Series::new(*owner, &tally.shares, rounds.len());
    let series: Vec<_> = tallies.iter().map(series).collect();
    let duplicates = duplicates(&series, terms.get().duplicate);
    for pair in &duplicates {
        let [one, other] = pair.owners;
        for (owner, with) in [(one, other), (other, one)] {
            let account = accounts.binary_search_by_key(&owner, |account| account.owner);
            // Everybody with a series has an account.
            account.into_iter().for_each(|at| accounts[at].flags.push(Flag::Duplicate { with }));
        }
    }
    let rounds = rounds.iter().map(|round| round.round()).collect();
    let terms = terms.digest();
    Ok(Settlement { terms, evidence, rounds, pool_micro, paid_micro, accounts, duplicates })
}

/// The debts by owner.
fn owed(carried: &[Debt]) -> Result<BTreeMap<PartyId, u64>, BadEvidence> {
    if carried.len() > DEBTS_MAX {
        return Err(BadEvidence::Debts { got: carried.len(), max: DEBTS_MAX });
    }
    let mut owed = BTreeMap::new();
    let mut ordered: Vec<_> = carried.iter().collect();
    ordered.sort_by_key(|debt| (debt.owner, debt.micro));
    for &Debt { owner, micro } in ordered {
        if micro == 0 || micro > DEBT_MICRO_MAX {
            return Err(BadEvidence::Debt { owner, got: micro, max: DEBT_MICRO_MAX });
        }
        if owed.insert(owner, micro).is_some() {
            return Err(BadEvidence::DebtTwice { owner });
        }
    }
    Ok(owed)
}

/// One owner's rounds.
#[derive(Default)]
struct Tally {
    credit: Spread,
    rounds_negative: u32,
    rounds_capped: u32,
    novelty: Spread,
    harm: Spread,
    public: Spread,
    /// Shares of s, by the round's place in the epoch.
    shares: Vec<(u32, i64)>,
}

fn tally(terms: &CreditTerms, rounds: &[&RoundEvidence]) -> BTreeMap<PartyId, Tally> {
    let mut tallies: BTreeMap<PartyId, Tally> = BTreeMap::new();
    for (place, round) in (0..).zip(rounds) {
        let contributions = round.contributions();
        let cap = count_cap(terms, contributions.iter().map(|one| one.count));
        let credits = credits(terms, round, &claims(terms, round));
        let shares = score_shares(contributions.iter().map(|one| one.s));
        let novelty = score_shares(contributions.iter().map(|one| one.novelty));
        let harm = score_shares(contributions.iter().map(|one| one.harm));
        let public = round.public().map(|scores| score_shares(scores.into_iter()));
        for (index, evidence) in contributions.iter().enumerate() {
            let tally = tallies.entry(evidence.owner).or_default();
            tally.credit.add(credits[index]);
            tally.rounds_negative += u32::from(credits[index] < 0);
            tally.rounds_capped += u32::from(u64::from(evidence.count) > cap);
            tally.novelty.add(novelty[index]);
            tally.harm.add(harm[index]);
            tally.shares.push((place, shares[index]));
            if let Some(public) = &public {
                tally.public.add(public[index]);
            }
        }
    }
    tallies
}

impl Tally {
    /// The account before payments: `rounds` of the epoch, the debt carried in, and the most that is
    /// carried out.
    fn account(
        &self,
        terms: &CreditTerms,
        owner: PartyId,
        rounds: u32,
        (carried_micro, debt_max): (u64, u64),
    ) -> Account {
        let terms = terms.get();
        let (credit_micro, error_micro) = (self.credit.sum(), self.credit.error(rounds));
        let margin = terms.interval.times_up(error_micro);
        let balance = credit_micro.saturating_sub_unsigned(carried_micro);
        let payable = balance.saturating_sub_unsigned(terms.lambda.times_up(error_micro));
        let statistics = Statistics {
            novelty: Statistic::of(&self.novelty, terms.flag),
            harm: Statistic::of(&self.harm, terms.flag),
            public: Statistic::of(&self.public, terms.flag),
        };
        Account {
            owner,
            rounds: self.credit.rounds(),
            rounds_negative: self.rounds_negative,
            rounds_capped: self.rounds_capped,
            credit_micro,
            error_micro,
            low_micro: credit_micro.saturating_sub_unsigned(margin),
            high_micro: credit_micro.saturating_add_unsigned(margin),
            carried_micro,
            payable_micro: u64::try_from(payable).unwrap_or(0),
            payment_micro: 0,
            debt_micro: u64::try_from(balance.saturating_neg()).unwrap_or(0).min(debt_max),
            flags: statistics.flags(),
            statistics,
        }
    }
}
