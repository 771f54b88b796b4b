//! Whether a card comes to the same losses as the processor.
//!
//! They cannot be equal bit for bit: sums are taken in another order, and a card may multiply
//! matrices with a mantissa of ten bits (TF32). The first step's loss shows that alone; later ones
//! grow apart, because training does.

use std::fmt;

use serde::Serialize;

/// Largest relative differences that are let pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    /// Of the first step's loss.
    first: f64,
    /// Of the mean loss of all steps.
    mean: f64,
    /// Of any step's loss.
    worst: f64,
}

/// A card that trains in f32.
pub(crate) const F32: Tolerance = Tolerance { first: 2e-3, mean: 3e-2, worst: 2e-1 };

/// A card that trains in bf16: its numbers have a mantissa of eight bits.
pub(crate) const BF16: Tolerance = Tolerance { first: 2e-2, mean: 5e-2, worst: 3e-1 };

/// A loss below counts as this where differences are taken relative to it: of a loss near zero,
/// rounding is a large share.
const LOSS_FLOOR: f64 = 0.1;

/// How far the losses of two fits are apart, relative to the processor's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Parity {
    /// In the first step.
    pub(crate) first: f64,
    /// Of the means over all steps.
    pub(crate) mean: f64,
    /// In the step in which it is most.
    pub(crate) worst: f64,
}

/// The losses are not those of the same training.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Disparity {
    #[error("{cpu} steps on the processor, {card} on the card")]
    Steps { cpu: usize, card: usize },
    #[error("the loss of step {step} is no finite number")]
    NotFinite { step: usize },
    #[error("the {what} differs by {difference:.2e} of itself, at most {max:.0e} is rounding")]
    TooFar { what: &'static str, difference: f64, max: f64 },
}

/// Compares the losses of all steps, in order.
pub(crate) fn compare(
    cpu: &[f32],
    card: &[f32],
    tolerance: Tolerance,
) -> Result<Parity, Disparity> {
    if cpu.len() != card.len() || cpu.is_empty() {
        return Err(Disparity::Steps { cpu: cpu.len(), card: card.len() });
    }
    let pairs = || cpu.iter().zip(card).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    if let Some(step) = pairs().position(|(a, b)| !(a.is_finite() && b.is_finite())) {
        return Err(Disparity::NotFinite { step: step + 1 });
    }
    let difference = |(a, b): (f64, f64)| (a - b).abs() / a.abs().max(LOSS_FLOOR);
    let mean =
        |losses: &[f32]| losses.iter().map(|x| f64::from(*x)).sum::<f64>() / cpu.len() as f64;
    let parity = Parity {
        first: pairs().map(difference).next().unwrap_or(0.0),
        mean: difference((mean(cpu), mean(card))),
        worst: pairs().map(difference).fold(0.0, f64::max),
    };
    let rules = [
        ("first loss", parity.first, tolerance.first),
        ("mean loss", parity.mean, tolerance.mean),
        ("loss of a step", parity.worst, tolerance.worst),
    ];
    match rules.into_iter().find(|(_, difference, max)| difference > max) {
        Some((what, difference, max)) => Err(Disparity::TooFar { what, difference, max }),
        None => Ok(parity),
    }
}

impl fmt::Display for Parity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, mean, worst } = self;
        write!(
            f,
            "losses differ by {first:.1e} at first, {mean:.1e} in the mean, {worst:.1e} at most"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{compare as compare_within, *};

    fn compare(cpu: &[f32], card: &[f32]) -> Result<Parity, Disparity> {
        compare_within(cpu, card, F32)
    }

    /// 2.3, falling.
    fn losses() -> Vec<f32> {
        (0..40).map(|step| 2.3 / (1.0 + step as f32 / 10.0)).collect()
    }

    #[test]
    fn equal_losses_are_equal_and_rounding_is_let_pass() {
        let cpu = losses();
        let none = Parity { first: 0.0, mean: 0.0, worst: 0.0 };
        assert_eq!(compare(&cpu, &cpu), Ok(none));
        let rounded: Vec<f32> =
            cpu.iter().zip(0..).map(|(loss, step)| loss * (1.0 + 1e-4 * step as f32)).collect();
        let parity = compare(&cpu, &rounded).expect("rounding");
        assert!(parity.first == 0.0 && parity.worst > 3e-3 && parity.mean < 3e-3, "{parity}");
        // Of losses near zero only the floor counts.
        assert!(compare(&[1e-6; 4], &[3e-6; 4]).is_ok());
    }

    #[test]
    fn losses_of_another_training_are_refused() {
        let cpu = losses();
        let change = |step: usize, factor: f32| {
            let mut card = cpu.clone();
            card[step] *= factor;
            compare(&cpu, &card)
        };
        let far = |what, result: Result<Parity, Disparity>| {
            let Err(Disparity::TooFar { what: got, .. }) = result else { panic!("{result:?}") };
            assert_eq!(got, what);
        };
        far("first loss", change(0, 1.01));
        far("loss of a step", change(20, 0.7));
        let drifted: Vec<f32> =
            cpu.iter().enumerate().map(|(i, x)| if i == 0 { *x } else { x * 1.04 }).collect();
        far("mean loss", compare(&cpu, &drifted));
        assert!(compare_within(&cpu, &drifted, BF16).is_ok());
        for bad in [f32::NAN, f32::INFINITY] {
            assert_eq!(change(7, bad), Err(Disparity::NotFinite { step: 8 }));
        }
        assert_eq!(compare(&cpu, &cpu[1..]), Err(Disparity::Steps { cpu: 40, card: 39 }));
        assert_eq!(compare(&[], &[]), Err(Disparity::Steps { cpu: 0, card: 0 }));
    }
}
