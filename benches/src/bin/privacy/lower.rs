//! A lower bound of epsilon, measured, beside the accountant's.
//!
//! Whatever is (epsilon, delta)-private has hits <= e^epsilon false alarms + delta for every test
//! that an attacker makes, and the same with both cases exchanged (Jagielski, Ullman, Oprea 2020,
//! "Auditing Differentially Private Machine Learning"). A test is chosen on one half of the trials
//! and counted on the other.

use std::io;

use crate::auc::Measured;
use crate::binomial::{at_least, at_most};
use crate::canary::{Canary, Seen};
use crate::normal;
use crate::plan::{DELTA, Protection, Setting};
use crate::report::{Line, Report};
use crate::scale::Scale;

/// Noise multipliers.
const MULTIPLIERS: [f64; 3] = [0.5, 1.0, 2.0];

/// Thresholds that are tried on the first half.
const THRESHOLDS: usize = 60;

/// Of all trials; other noise than that of the attacks.
const SEED: u64 = 2;

/// What an attacker says of a statistic.
#[derive(Clone, Copy)]
struct Test {
    threshold: f64,
    /// It says "in" above the threshold; else "out" below it, which is the same test with both
    /// cases exchanged.
    is_above: bool,
}

/// Bounds of how often a test is right and wrong: each holds with 97.5 %, both with 95 %.
struct Rates {
    hits_low: f64,
    alarms_high: f64,
}

impl Rates {
    fn epsilon(&self) -> f64 {
        ((self.hits_low - DELTA).max(0.0) / self.alarms_high).ln().max(0.0)
    }

    /// How many standard deviations both cases are apart, if they are normal.
    fn mu(&self) -> f64 {
        (normal::quantile(self.hits_low) - normal::quantile(self.alarms_high)).max(0.0)
    }
}

/// Measures it. Whether it is nowhere above the accountant's.
///
/// # Errors
/// When training fails.
pub(crate) fn measure(scale: &Scale, report: &mut Report) -> io::Result<bool> {
    let trials = scale.canary_trials;
    report.section(
        "how much is told at least? Epsilon, measured from one side, beside the accountant's",
        &format!(
            "One round of the owners of digits, delta {DELTA:e}; {trials} sums of which half have an update as long \
             as the clip. The attacker knows all but the noise and has an owner in league, which is \
             more than a real one. 'counted': holds with 95 % whatever the noise is; so many trials \
             show no more than about {:.1}. 'if Gaussian': the same, taking the noise for normal, \
             which shows how close the account is. Neither may be above the accountant's epsilon.",
            ceiling(trials)
        ),
    );
    let mut is_within = true;
    for multiplier in MULTIPLIERS {
        let plan = Setting::digits(Protection::Owner(multiplier)).plan(SEED)?;
        let accounted = Canary::epsilon(&plan);
        let accounted = accounted.ok_or_else(|| io::Error::other("nothing bounds epsilon"))?;
        let seen = Canary::new(&plan, SEED)?.look(trials)?;
        let bounds = [("counted", counted(&seen)), ("if Gaussian", gaussian(&seen))];
        for (way, lower) in bounds {
            let is_fine = lower <= accounted;
            is_within &= is_fine;
            let verdict = match is_fine {
                true => format!("{:.0} % of the account", 100.0 * lower / accounted),
                false => "MORE THAN ACCOUNTED".to_owned(),
            };
            let what = format!("noise {multiplier} clips, {way}");
            let line = Line::new("lower", what, Measured::bound(lower), "epsilon");
            report.line(&line.exact().epsilon(Some(accounted)).allowed(accounted).verdict(verdict));
        }
    }
    Ok(is_within)
}

/// What the counted bound comes to where every hit is one and there is no false alarm.
fn ceiling(trials: usize) -> f64 {
    let counted = trials / 4;
    Rates { hits_low: at_least(counted, counted), alarms_high: at_most(0, counted) }.epsilon()
}

/// The counted bound: by the test that is best on the first half, on the second.
fn counted(seen: &Seen) -> f64 {
    let (first, second) = halves(seen);
    let all = sorted(&first);
    let tests = (1..THRESHOLDS).flat_map(|step| {
        let threshold = all[all.len() * step / THRESHOLDS];
        [true, false].map(|is_above| Test { threshold, is_above })
    });
    let of = |test: &Test| test.rates(&first).epsilon();
    let chosen = tests.max_by(|one, other| of(one).total_cmp(&of(other)));
    chosen.map_or(0.0, |test| test.rates(&second).epsilon())
}

/// The bound for normal noise: by the threshold in the middle of the first half, on the second. There
/// hits and false alarms are known best.
fn gaussian(seen: &Seen) -> f64 {
    let (first, second) = halves(seen);
    let all = sorted(&first);
    let test = Test { threshold: all[all.len() / 2], is_above: true };
    normal::epsilon(test.rates(&second).mu(), DELTA)
}

fn halves(seen: &Seen) -> (Seen, Seen) {
    let (present, present_rest) = seen.present.split_at(seen.present.len() / 2);
    let (absent, absent_rest) = seen.absent.split_at(seen.absent.len() / 2);
    let seen = |present: &[f64], absent: &[f64]| Seen {
        present: present.to_vec(),
        absent: absent.to_vec(),
    };
    (seen(present, absent), seen(present_rest, absent_rest))
}

fn sorted(seen: &Seen) -> Vec<f64> {
    let mut all: Vec<f64> = seen.present.iter().chain(&seen.absent).copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    all
}

impl Test {
    fn rates(&self, seen: &Seen) -> Rates {
        let says = |values: &[f64]| {
            values.iter().filter(|x| (**x > self.threshold) == self.is_above).count()
        };
        let (hits, alarms) = match self.is_above {
            true => (&seen.present, &seen.absent),
            false => (&seen.absent, &seen.present),
        };
        Rates {
            hits_low: at_least(says(hits), hits.len()),
            alarms_high: at_most(says(alarms), alarms.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use covey_model::random::{normal, stream};

    use super::*;

    /// Noise of standard deviation 1 and an update of length `mu`.
    fn seen(mu: f64) -> Seen {
        let mut rng = stream("lower-test", &[]);
        let mut draw = |mean: f64| (0..2000).map(|_| mean + normal(&mut rng)).collect::<Vec<_>>();
        Seen { present: draw(mu), absent: draw(0.0) }
    }

    #[test]
    fn bounds_are_below_the_truth_and_not_far() {
        let truth = crate::normal::epsilon(1.0, DELTA);
        let seen = seen(1.0);
        let (counted, gaussian) = (counted(&seen), gaussian(&seen));
        assert!(counted > 0.8 && counted < gaussian, "{counted} {gaussian}");
        assert!(gaussian < truth && gaussian > 0.7 * truth, "{gaussian} {truth}");
    }

    #[test]
    fn where_nothing_is_told_nothing_is_found() {
        assert!(counted(&seen(0.0)) < 0.3);
    }
}
