//! An epoch of evidence, settled by the rules that real credits are settled by.

use covey_aggregation::credit::{
    CreditTerms, Evidence, FlagKind, RoundEvidence, TermsDraft, settle,
};
use covey_aggregation::hash::{Domain, hash};

use crate::evidence::Scores;
use crate::owner::{Owner, name};
use crate::plan::ROUNDS;

/// What a round gives, in micro-credits.
const BUDGET_MICRO: u64 = 1_000_000_000;

/// What an epoch says of one owner.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Credit {
    /// Before anything is taken off; below zero too.
    pub(crate) credit: f64,
    pub(crate) paid: f64,
    pub(crate) is_novelty_flagged: bool,
    pub(crate) is_harm_flagged: bool,
    /// By the number that no round releases.
    pub(crate) is_public_flagged: bool,
}

/// Settles an epoch: for each round, the scores of each owner.
pub(crate) fn settled(owners: &[Owner], rounds: &[Vec<Scores>]) -> Vec<Credit> {
    let terms = CreditTerms::check(TermsDraft::usual(BUDGET_MICRO, ROUNDS));
    let terms = terms.expect("terms within their limits");
    let evidence = (1..).zip(rounds).map(|(round, scores): (u32, _)| {
        let of = |(place, scores): (usize, &Scores)| Evidence {
            owner: name(place),
            count: owners[place].claimed,
            s: scores.s,
            novelty: scores.novelty,
            harm: scores.harm,
        };
        let context = hash(Domain::Training, &[b"credit-quality", &round.to_le_bytes()]);
        let contributions = scores.iter().enumerate().map(of).collect();
        // Owners' names ascend, so that the order is that of the contributions.
        let public = scores.iter().map(|scores| scores.public).collect();
        RoundEvidence::new(round, context, contributions)
            .and_then(|evidence| evidence.with_public(public))
            .expect("scores within their limits")
    });
    let settlement = settle(&terms, &evidence.collect::<Vec<_>>(), &[]);
    let settlement = settlement.expect("an epoch of rounds of ten owners");
    let credit = |place: usize| {
        let account = settlement.of(&name(place)).expect("everybody has an account");
        Credit {
            credit: account.credit_micro as f64,
            paid: account.payment_micro as f64,
            is_novelty_flagged: account.is_flagged(FlagKind::Novelty),
            is_harm_flagged: account.is_flagged(FlagKind::Harm),
            is_public_flagged: account.is_flagged(FlagKind::Public),
        }
    };
    (0..owners.len()).map(credit).collect()
}
