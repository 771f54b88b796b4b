//! What must hold whatever happened: more never costs less, runs add up, and a budget stops.

use covey_privacy::budget::{Budget, Refused};
use covey_privacy::delta::Delta;
use covey_privacy::event::{Event, Sampled};
use covey_privacy::pld::Grid;
use covey_privacy::spent::Spent;
use proptest::prelude::*;

/// What a fitted grid may add to an epsilon; so much less may more cost.
const GRID: f64 = 1e-3;

/// The same below all epsilons of interest, where a grid's part is no part.
const SMALL: f64 = 1e-9;

type Step = (f64, f64, u64);

fn event((noise, rate, _): Step) -> Event {
    Event::Sampled(Sampled::new(noise, rate).expect("an event"))
}

fn spent(steps: &[Step]) -> Spent {
    let mut spent = Spent::default();
    for &step in steps {
        spent.add(event(step), step.2).expect("added");
    }
    spent
}

fn delta(delta: f64) -> Delta {
    Delta::new(delta).expect("a delta")
}

fn logarithmic(low: f64, high: f64) -> impl Strategy<Value = f64> {
    (low.ln()..=high.ln()).prop_map(f64::exp)
}

fn rate() -> impl Strategy<Value = f64> {
    prop_oneof![1 => Just(1.0), 4 => logarithmic(1e-4, 1.0).prop_map(|rate| rate.min(1.0))]
}

fn step() -> impl Strategy<Value = Step> {
    (logarithmic(0.5, 20.0), rate(), logarithmic(1.0, 5_000.0))
        .prop_map(|(noise, rate, count)| (noise, rate, count as u64))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..4)
}

fn deltas() -> impl Strategy<Value = f64> {
    logarithmic(1e-9, 1e-2)
}

/// Both epsilons of `more` are at least those of `less`.
fn is_no_less(
    (less, less_delta): (&Spent, f64),
    (more, more_delta): (&Spent, f64),
) -> Result<(), TestCaseError> {
    let (less, more) = (less.epsilon(delta(less_delta)), more.epsilon(delta(more_delta)));
    let enough = |less: f64, more: f64, part: f64| more >= less - part * less - SMALL;
    prop_assert!(enough(less.rdp, more.rdp, 1e-9), "Renyi: {} > {}", less.rdp, more.rdp);
    let (less, more) = (less.pld.expect("losses"), more.pld.expect("losses"));
    prop_assert!(enough(less, more, GRID), "losses: {less} > {more}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn more_steps_cost_no_less(steps in steps(), more in 1u64..100, at in deltas()) {
        let mut longer = steps.clone();
        longer[0].2 += more;
        is_no_less((&spent(&steps), at), (&spent(&longer), at))?;
    }

    #[test]
    fn another_event_costs_no_less(steps in steps(), more in step(), at in deltas()) {
        let mut longer = steps.clone();
        longer.push(more);
        is_no_less((&spent(&steps), at), (&spent(&longer), at))?;
    }

    #[test]
    fn larger_rates_cost_no_less(steps in steps(), by in 1.0f64..10.0, at in deltas()) {
        let mut larger = steps.clone();
        larger[0].1 = (larger[0].1 * by).min(1.0);
        is_no_less((&spent(&steps), at), (&spent(&larger), at))?;
    }

    #[test]
    fn less_noise_costs_no_less(steps in steps(), by in 0.3f64..1.0, at in deltas()) {
        let mut quieter = steps.clone();
        quieter[0].0 *= by;
        is_no_less((&spent(&steps), at), (&spent(&quieter), at))?;
    }

    #[test]
    fn smaller_deltas_cost_no_less(steps in steps(), at in deltas(), by in 0.001f64..1.0) {
        let spent = spent(&steps);
        is_no_less((&spent, at), (&spent, at * by))?;
    }

    #[test]
    fn runs_that_were_cut_cost_what_the_whole_costs(steps in steps(), cut in any::<u64>(), at in deltas()) {
        let whole = spent(&steps);
        let (mut one, mut two) = (Spent::default(), Spent::default());
        for &step in steps.iter().rev() {
            let first = cut % (step.2 + 1);
            for (part, count) in [(&mut one, first), (&mut two, step.2 - first)] {
                if count > 0 {
                    part.add(event(step), count).expect("added");
                }
            }
        }
        let before = one.epsilon(delta(at)).least();
        one.merge(&two).expect("merged");
        // The very same, not nearly: events are counted, not their costs.
        prop_assert_eq!(&one, &whole);
        prop_assert_eq!(one.epsilon(delta(at)), whole.epsilon(delta(at)));
        prop_assert!(before <= (1.0 + GRID) * whole.epsilon(delta(at)).least() + SMALL);
    }

    #[test]
    fn losses_never_cost_more_than_their_divergences(steps in steps(), at in deltas()) {
        let epsilon = spent(&steps).epsilon(delta(at));
        let losses = epsilon.pld.expect("losses");
        // Divergences know a delta that losses on a grid do not: of less than any outcome's.
        prop_assert!(losses <= (1.0 + GRID) * epsilon.rdp + SMALL, "{losses} {}", epsilon.rdp);
    }

    #[test]
    fn coarser_grids_give_upper_bounds_too(steps in steps(), bits in 10u32..16, at in deltas()) {
        let spent = spent(&steps);
        let losses = |grid| spent.pld(grid).expect("losses").epsilon(delta(at));
        let (coarse, fine) = (losses(Grid::cells(1 << bits).expect("a grid")), losses(Grid::default()));
        prop_assert!(coarse >= fine * (1.0 - GRID) - SMALL, "{coarse} {fine}");
    }

    #[test]
    fn a_budget_refuses_exactly_what_would_exceed_it(
        steps in steps(), next in step(), of in 0.2f64..3.0, at in logarithmic(1e-9, 1e-3)
    ) {
        let spent = spent(&steps);
        let budget = Budget::new(of * spent.epsilon(delta(at)).least(), at).expect("a budget");
        let mut after = spent.clone();
        after.add(event(next), next.2).expect("added");
        let epsilon = after.epsilon(delta(at)).least();
        match budget.admits(&spent, event(next), next.2) {
            Ok(()) => prop_assert!(epsilon <= budget.epsilon()),
            Err(Refused::Over { next, budget: limit, .. }) => {
                prop_assert!(epsilon > budget.epsilon());
                prop_assert_eq!((next, limit), (epsilon, budget.epsilon()));
            }
            Err(refused) => prop_assert!(false, "{}", refused),
        }
    }
}
