//! Rounds without encryption: the same updates, clipped and rounded alike, added in the clear. No
//! machine of the protocol takes part.

use std::collections::{BTreeMap, BTreeSet};

use covey_aggregation::message::{AbandonReason, MissingReason, Outcome, Report};
use covey_aggregation::program::Failure;
use covey_aggregation::round::Terms;
use covey_aggregation::sum::open::Aggregate;
use covey_aggregation::sum::quantise::Quantised;

use super::crew::for_each;
use super::laboratory::{Laboratory, Opening};
use super::run::RoundEnd;

/// Plays one round. Clients in `absent` do not answer.
pub(super) fn play(
    laboratory: &Laboratory,
    workers: usize,
    terms: &Terms,
    opening: &Opening,
    absent: &BTreeSet<usize>,
) -> Result<RoundEnd, Failure> {
    let Terms { config, cohort, .. } = terms;
    let places = cohort.iter().filter_map(|id| laboratory.places.get(id).copied());
    let clients: Vec<usize> = places.filter(|client| !absent.contains(client)).collect();
    let dimension = config.dimension as usize;
    let mut sum = Aggregate {
        count: 0,
        weight: 0,
        sums: vec![0; dimension],
        control: vec![0; config.vector_coordinates() as usize - dimension],
        counters: vec![0; usize::from(config.counters)],
    };
    let (mut losses, mut declined, mut why_declined) = (BTreeMap::new(), BTreeMap::new(), None);
    let work = |client| laboratory.prepare(client, config, opening);
    for_each(&clients, workers, work, |client, prepared| {
        match prepared {
            Ok(prepared) => {
                add(&mut sum, &prepared.quantised);
                losses.insert(client, prepared.loss);
            }
            Err(no) => {
                declined.insert(client, no.reason);
                why_declined.get_or_insert(no.why);
            }
        }
        Ok(())
    })?;
    let (mut counted, mut missing) = (Vec::new(), Vec::new());
    for id in cohort {
        let client = laboratory.places.get(id);
        match client.and_then(|client| declined.get(client)) {
            _ if client.is_some_and(|client| losses.contains_key(client)) => counted.push(*id),
            Some(reason) => missing.push((*id, MissingReason::Declined(*reason))),
            None => missing.push((*id, MissingReason::NoAnswer)),
        }
    }
    let (got, needed) = (sum.count, config.contributions_min);
    if got < needed {
        missing.extend(counted.drain(..).map(|id| (id, MissingReason::Abandoned)));
        missing.sort_unstable_by_key(|(id, _)| *id);
        let report = Report { counted, missing, ..Report::default() };
        let reason = AbandonReason::TooFewContributions { got, needed };
        let outcome = Outcome::Abandoned { reason, report };
        return Ok(RoundEnd { outcome, aggregate: None, losses, why_declined });
    }
    losses.keys().try_for_each(|client| laboratory.counted(*client))?;
    let outcome = Outcome::Done(Report { counted, missing, ..Report::default() });
    Ok(RoundEnd { outcome, aggregate: Some(sum), losses, why_declined })
}

fn add(sum: &mut Aggregate, quantised: &Quantised) {
    sum.count += 1;
    sum.weight += u64::from(quantised.weight());
    let add = |sums: &mut [i32], units: &mut dyn Iterator<Item = i32>| {
        sums.iter_mut().zip(units).for_each(|(sum, unit)| *sum += unit);
    };
    add(&mut sum.sums, &mut quantised.units());
    add(&mut sum.control, &mut quantised.control_units());
    let counters = sum.counters.iter_mut().zip(quantised.counters());
    counters.for_each(|(sum, counter)| *sum += counter);
}
