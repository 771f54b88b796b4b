//! One scenario with one seed, by every method.

use std::io;

use crate::baseline::{self, BASELINES};
use crate::credit::{Credit, settled};
use crate::digits::Digits;
use crate::direction::Directions;
use crate::evidence::{Evidence, Scores};
use crate::federation::{Federation, Round};
use crate::figures::{Figure, Figures};
use crate::metric::{auc, kendall, mean, misallocated, spearman};
use crate::mlp::Examples;
use crate::owner::{Owner, Truths};
use crate::scenario::Scenario;
use crate::shapley::shapley;
use crate::truth;

/// Credits from what the encrypted run releases.
pub(crate) const ENCRYPTED: &str = "encrypted";

/// Credits from the inner products themselves.
pub(crate) const EXACT: &str = "exact";

/// What one method came to.
pub(crate) struct Measured {
    pub(crate) method: &'static str,
    pub(crate) figures: Figures,
}

/// Credits of the encrypted run and by exact inner products.
pub(crate) struct Credits {
    pub(crate) encrypted: Vec<Credit>,
    pub(crate) exact: Vec<Credit>,
}

/// Trains a scenario's owners together, gives them credits by every method, and compares with the
/// truth.
///
/// # Errors
/// When the truth cannot be read or kept.
pub(crate) fn measure(scenario: Scenario, digits: &Digits, seed: u64) -> io::Result<Vec<Measured>> {
    let owners = scenario.owners(digits, seed);
    let federation = Federation::new(&owners, digits, seed);
    let truth = shapley(&truth::worth(&federation, &digits.test)?);
    let rounds = federation.record();
    let Credits { encrypted, exact } = credits(&federation, &rounds);
    let of = |credits: &[Credit]| credits.iter().map(|one| one.credit).collect::<Vec<_>>();
    let paid = |credits: &[Credit]| credits.iter().map(|one| one.paid).collect::<Vec<_>>();
    let mut all = Vec::new();
    for (method, credits) in [(ENCRYPTED, &encrypted), (EXACT, &exact)] {
        let mut figures = compare(&owners, &truth, &of(credits), &paid(credits));
        flags(&owners, credits, &mut figures);
        figures.set(Figure::Agreement, spearman(&of(credits), &of(&exact)));
        all.push(Measured { method, figures });
    }
    let scores = baseline::scores(&rounds, &Examples::new(&digits.pool));
    for (baseline, scores) in BASELINES.into_iter().zip(scores) {
        let (sums, paid) = baseline::settle(&scores);
        let figures = compare(&owners, &truth, &sums, &paid);
        all.push(Measured { method: baseline.word(), figures });
    }
    Ok(all)
}

/// An epoch's credits.
pub(crate) fn credits(federation: &Federation<'_>, rounds: &[Round]) -> Credits {
    let (mut encrypted, mut exact) = (Vec::<Vec<Scores>>::new(), Vec::<Vec<Scores>>::new());
    for (place, round) in rounds.iter().enumerate() {
        let fold = federation.fold(round.number);
        let opened = federation.opened(round.number);
        let directions = Directions::new(round, fold, &rounds[..place], opened);
        let evidence = Evidence::new(round, &directions, federation.seed);
        encrypted.push(evidence.encrypted);
        exact.push(evidence.exact);
    }
    Credits {
        encrypted: settled(federation.owners, &encrypted),
        exact: settled(federation.owners, &exact),
    }
}

fn compare(owners: &[Owner], truth: &[f64], scores: &[f64], paid: &[f64]) -> Figures {
    let is_bad: Vec<_> = owners.iter().map(|owner| owner.truths.is_bad).collect();
    let mut figures = Figures::default();
    figures.set(Figure::Spearman, spearman(scores, truth));
    figures.set(Figure::Kendall, kendall(scores, truth));
    figures.set(Figure::Auc, auc(scores, &is_bad));
    figures.set(Figure::Misallocated, Some(misallocated(paid, truth)));
    let average = mean(paid).filter(|average| *average > 0.0);
    let worthless: Vec<_> = owners
        .iter()
        .zip(paid)
        .filter(|(owner, _)| owner.truths.is_worthless)
        .filter_map(|(_, paid)| Some(paid / average?))
        .collect();
    figures.set(Figure::WorthlessPaid, mean(&worthless));
    figures
}

fn flags(owners: &[Owner], credits: &[Credit], figures: &mut Figures) {
    let rate = |of: fn(&Truths) -> bool, is_flagged: fn(&Credit) -> bool| {
        let chosen = owners.iter().zip(credits).filter(|(owner, _)| of(&owner.truths));
        let flagged: Vec<_> =
            chosen.map(|(_, credit)| f64::from(u8::from(is_flagged(credit)))).collect();
        mean(&flagged)
    };
    let novelty: fn(&Credit) -> bool = |credit| credit.is_novelty_flagged;
    let harm: fn(&Credit) -> bool = |credit| credit.is_harm_flagged;
    let public: fn(&Credit) -> bool = |credit| credit.is_public_flagged;
    figures.set(Figure::PublicFalse, rate(|truths| !truths.is_bad, public));
    figures.set(Figure::NoveltyHit, rate(|truths| truths.is_free_rider, novelty));
    figures.set(Figure::NoveltyFalse, rate(|truths| !truths.is_bad, novelty));
    figures.set(Figure::HarmHit, rate(|truths| truths.is_harmful, harm));
    figures.set(Figure::HarmFalse, rate(|truths| !truths.is_bad, harm));
}
