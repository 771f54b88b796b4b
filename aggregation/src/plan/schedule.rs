//! How the step size changes over a run.

use std::f64::consts::PI;

use crate::limits::ROUNDS_MAX;

use super::error::{Code, Collector};
use super::section::{At, Field, Section};

/// How the step size changes over a run. Positions are counted in rounds, so that owners with
/// many and with few local steps have the same step size at the same share of a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Rounds over which the step size grows from near zero to its full value.
    pub warmup_rounds: f64,
    /// What happens afterwards.
    pub decay: Decay,
}

/// How the step size falls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// Not at all.
    Constant,
    /// In a straight line.
    Linear {
        /// Share of the full step size at the end of the run.
        end: f64,
    },
    /// Along half a cosine (Loshchilov & Hutter, 2017).
    Cosine {
        /// Share of the full step size at the end of the run.
        end: f64,
    },
    /// By a factor every so many rounds.
    Step {
        /// Rounds between two falls.
        every_rounds: f64,
        /// What the step size is multiplied by, below 1.
        factor: f64,
    },
}

impl Schedule {
    /// Always the full step size.
    pub const CONSTANT: Self = Self { warmup_rounds: 0.0, decay: Decay::Constant };

    /// The factor for local step `step` of `steps`, from 1, in round `round` of `rounds`, from 1.
    /// Rounds beyond the plan's keep the last value.
    #[must_use]
    pub fn factor(&self, round: u32, rounds: u32, step: u64, steps: u64) -> f64 {
        let within = |step: u64| step as f64 / steps.max(1) as f64;
        let done = f64::from(round.saturating_sub(1));
        let at = done + within(step.saturating_sub(1));
        if at < self.warmup_rounds {
            // The last step of the warm-up has the full size.
            return ((done + within(step)) / self.warmup_rounds).min(1.0);
        }
        let since = at - self.warmup_rounds;
        let share = since / (f64::from(rounds) - self.warmup_rounds).max(f64::MIN_POSITIVE);
        let share = share.clamp(0.0, 1.0);
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear { end } => 1.0 - (1.0 - end) * share,
            Decay::Cosine { end } => end + (1.0 - end) * 0.5 * (1.0 + (PI * share).cos()),
            Decay::Step { every_rounds, factor } => factor.powf((since / every_rounds).floor()),
        }
    }
}

/// The schedule, with the place of the warm-up for a later check.
pub(super) fn read(field: Field<'_>, errors: &mut Collector<'_>) -> Option<At<Schedule>> {
    let span = field.span.clone();
    let mut section = field.section(errors)?;
    let kinds = ["constant", "linear", "cosine", "step"].map(|kind| (kind, kind));
    let help = "write `kind = \"cosine\"`, or constant, linear or step";
    let kind = section.required(errors, "kind", help)?.choice(errors, &kinds)?;
    let warmup = match section.optional("warmup") {
        Some(field) => rounds(field, errors),
        None => Some(0.0),
    };
    let decay = match kind {
        "linear" => end(&mut section, errors).map(|end| Decay::Linear { end }),
        "cosine" => end(&mut section, errors).map(|end| Decay::Cosine { end }),
        "step" => {
            let help = "write `every = 10`: rounds between two falls";
            let every = section.required(errors, "every", help);
            let every = every.and_then(|field| field.positive(errors));
            let help = "write `factor = 0.5` to halve the step size";
            let factor = section.required(errors, "factor", help);
            let factor = factor.and_then(|field| field.fraction(errors));
            every
                .zip(factor)
                .map(|(every, factor)| Decay::Step { every_rounds: every.value, factor })
        }
        _ => Some(Decay::Constant),
    };
    section.finish(errors);
    Some(At { value: Schedule { warmup_rounds: warmup?, decay: decay? }, span })
}

fn end(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<f64> {
    section.optional("end").map_or(Some(0.0), |field| field.fraction(errors))
}

/// A number of rounds from 0, which need not be whole.
fn rounds(field: Field<'_>, errors: &mut Collector<'_>) -> Option<f64> {
    let path = field.path.clone();
    let number = field.number(errors)?;
    if (0.0..=f64::from(ROUNDS_MAX)).contains(&number.value) {
        return Some(number.value);
    }
    let message = format!("{path} = {} is no number of rounds", number.value);
    let help = format!("use a number from 0 to {ROUNDS_MAX}, such as 2 or 0.5");
    errors.push(&number.span, Code::OutOfRange, message, help);
    None
}

/// Refuses a warm-up that does not end within the run.
pub(super) fn check(schedule: &At<Schedule>, rounds: u32, errors: &mut Collector<'_>) {
    let warmup = schedule.value.warmup_rounds;
    if warmup >= f64::from(rounds) {
        let message = format!("a warm-up of {warmup} rounds does not end within {rounds} rounds");
        let help = "use a shorter warm-up or more rounds";
        errors.push(&schedule.span, Code::Schedule, message, help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The factors of rounds 1 to 4 at two steps each.
    fn factors(warmup_rounds: f64, decay: Decay) -> Vec<f64> {
        let schedule = Schedule { warmup_rounds, decay };
        let steps = (1..=4).flat_map(|round| [(round, 1), (round, 2)]);
        steps.map(|(round, step)| schedule.factor(round, 4, step, 2)).collect()
    }

    fn assert_near(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        let near = found.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-12);
        assert!(near, "{found:?} is not {expected:?}");
    }

    #[test]
    fn every_schedule_has_its_values() {
        assert_near(&factors(0.0, Decay::Constant), &[1.0; 8]);
        let linear = [1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125];
        assert_near(&factors(0.0, Decay::Linear { end: 0.0 }), &linear);
        let linear = linear.map(|x| 0.2 + 0.8 * x);
        assert_near(&factors(0.0, Decay::Linear { end: 0.2 }), &linear);
        let cosine =
            (0..8).map(|i| 0.5 * (1.0 + (PI * f64::from(i) / 8.0).cos())).collect::<Vec<_>>();
        assert_near(&factors(0.0, Decay::Cosine { end: 0.0 }), &cosine);
        let step = Decay::Step { every_rounds: 1.5, factor: 0.1 };
        assert_near(&factors(0.0, step), &[1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01, 0.01]);
    }

    #[test]
    fn a_warm_up_grows_to_the_full_size_and_the_rest_follows_it() {
        let found = factors(2.0, Decay::Linear { end: 0.0 });
        assert_near(&found, &[0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25]);
    }

    #[test]
    fn rounds_beyond_the_plan_keep_the_last_value() {
        let schedule = Schedule { warmup_rounds: 0.0, decay: Decay::Linear { end: 0.1 } };
        assert!((schedule.factor(9, 4, 1, 2) - 0.1).abs() < 1e-12);
        assert!((schedule.factor(1, 4, 1, 0) - 1.0).abs() < 1e-12);
    }
}
