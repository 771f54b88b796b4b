//! Sums of clipped gradients, as whole numbers of steps.

use super::grid::{Grid, nearest};

/// Gradients that are added up in 64-bit floats before they go to the integers: so many numbers of
/// at most 2^27 are a whole number that a float holds exactly.
const RECENT_MAX: u32 = 1 << 20;

/// A sum of clipped gradients.
pub(super) struct Sum {
    grid: Grid,
    totals: Vec<i64>,
    /// Of the last gradients; whole numbers.
    recent: Vec<f64>,
    count: u32,
}

/// A linear layer's part of the gradients of a block of examples.
pub(super) struct Linear {
    /// What it took, `[block, inputs]`.
    pub(super) input: Vec<f32>,
    /// The gradient of what it gave, `[block, outputs]`.
    pub(super) delta: Vec<f32>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

impl Linear {
    fn row(&self, row: usize) -> (&[f32], &[f32]) {
        let Self { input, delta, inputs, outputs } = self;
        (&input[row * inputs..][..*inputs], &delta[row * outputs..][..*outputs])
    }
}

impl Sum {
    /// Of nothing.
    pub(super) fn new(grid: Grid, numbers: usize) -> Self {
        Self { grid, totals: vec![0; numbers], recent: vec![0.0; numbers], count: 0 }
    }

    /// Adds the gradient of an example, clipped; nothing where it is not finite.
    pub(super) fn add(&mut self, gradient: &[f32]) {
        let Some(factor) = self.grid.factor(squares(gradient).sqrt()) else { return };
        self.make_room();
        for (sum, number) in self.recent.iter_mut().zip(gradient) {
            *sum += nearest(f64::from(*number) * factor);
        }
    }

    /// Adds the gradient of one example of a block, clipped. Of a layer with the input a and the
    /// gradient d of its output it is a d^T for the weights and d for the offsets, hence of the
    /// squared norm |a|^2 |d|^2 + |d|^2 (Goodfellow 2015, arXiv 1510.01799).
    pub(super) fn add_row(&mut self, layers: &[Linear], row: usize) {
        let square = |layer: &Linear| {
            let (input, delta) = layer.row(row);
            (squares(input) + 1.0) * squares(delta)
        };
        let norm = layers.iter().map(square).sum::<f64>().sqrt();
        let Some(factor) = self.grid.factor(norm) else { return };
        self.make_room();
        let mut rest = &mut self.recent[..];
        for layer in layers {
            let (input, delta) = layer.row(row);
            let (weights, after) = rest.split_at_mut(layer.inputs * layer.outputs);
            let (offsets, after) = after.split_at_mut(layer.outputs);
            rest = after;
            let delta: Vec<f64> = delta.iter().map(|x| f64::from(*x) * factor).collect();
            for (x, weights) in input.iter().zip(weights.chunks_exact_mut(layer.outputs)) {
                // Inputs that are zero are many: blank pixels, and units that a ReLU has cut.
                if *x != 0.0 {
                    let x = f64::from(*x);
                    weights.iter_mut().zip(&delta).for_each(|(sum, d)| *sum += nearest(x * d));
                }
            }
            offsets.iter_mut().zip(&delta).for_each(|(sum, d)| *sum += nearest(*d));
        }
    }

    /// The sum, in steps.
    pub(super) fn finish(mut self) -> Vec<i64> {
        self.settle();
        self.totals
    }

    fn make_room(&mut self) {
        if self.count == RECENT_MAX {
            self.settle();
        }
        self.count += 1;
    }

    fn settle(&mut self) {
        for (total, recent) in self.totals.iter_mut().zip(&mut self.recent) {
            *total += std::mem::take(recent) as i64;
        }
        self.count = 0;
    }
}

fn squares(numbers: &[f32]) -> f64 {
    numbers.iter().map(|x| f64::from(*x) * f64::from(*x)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(sum: &[i64]) -> f64 {
        sum.iter().map(|x| (*x as f64).powi(2)).sum::<f64>().sqrt()
    }

    /// Numbers that rounding makes longer: all just above a half of a step.
    #[test]
    fn a_rounded_gradient_is_never_longer_than_the_clipping_norm() {
        for numbers in [1, 1000, 100_000] {
            let grid = Grid::new(1.0, numbers);
            for size in [0.5001 * grid.step(), 1.0 / (numbers as f64).sqrt(), 1e9, 3e38] {
                let mut sum = Sum::new(grid, numbers);
                sum.add(&vec![size as f32; numbers]);
                let norm = norm(&sum.finish());
                assert!(norm <= grid.clip_norm(), "{numbers} of {size}: {norm}");
                assert!(size < 1e-6 || norm > 0.999 * grid.clip_norm(), "{size}: {norm}");
            }
        }
    }

    #[test]
    fn a_row_of_a_block_is_the_gradient_that_it_stands_for() {
        let first = Linear {
            input: vec![9.0, 9.0, 0.5, -0.25],
            delta: vec![9.0, 9.0, 9.0, 0.125, -0.5, 0.0625],
            inputs: 2,
            outputs: 3,
        };
        let second =
            Linear { input: vec![9.0, 2.0], delta: vec![9.0, 0.75], inputs: 1, outputs: 1 };
        let gradient =
            [0.0625, -0.25, 0.031_25, -0.031_25, 0.125, -0.015_625, 0.125, -0.5, 0.0625, 1.5, 0.75];
        for clip_norm in [100.0, 0.1] {
            let grid = Grid::new(clip_norm, gradient.len());
            let (mut whole, mut rows) = (Sum::new(grid, 11), Sum::new(grid, 11));
            whole.add(&gradient);
            let layers = [&first, &second].map(|layer| Linear {
                input: layer.input.clone(),
                delta: layer.delta.clone(),
                ..*layer
            });
            rows.add_row(&layers, 1);
            let (whole, rows) = (whole.finish(), rows.finish());
            assert!(norm(&whole) > 0.0);
            assert!(whole.iter().zip(&rows).all(|(x, y)| (x - y).abs() <= 1), "{whole:?} {rows:?}");
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_adds_nothing() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut sum = Sum::new(Grid::new(1.0, 2), 2);
            sum.add(&[1.0, bad]);
            let (input, delta) = (vec![bad], vec![1.0]);
            sum.add_row(&[Linear { input, delta, inputs: 1, outputs: 1 }], 0);
            assert_eq!(sum.finish(), [0, 0]);
        }
    }
}
