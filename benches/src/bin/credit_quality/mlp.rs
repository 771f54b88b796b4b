//! Plain training of the one model that is measured, 64-16-10 with ReLU, in single precision. Exact
//! Shapley values take thousands of trainings a seed; this one is written for that and agrees with
//! `covey-model`'s (a test trains both).

use covey_model::data::Dataset;
use covey_model::random::{shuffle, stream};
use covey_model::train::FitSeed;

pub(crate) const FEATURES: usize = 64;
pub(crate) const HIDDEN: usize = 16;
pub(crate) const CLASSES: usize = 10;

/// Length of the flat vector, which lies as `covey-model`'s: weights `[in, out]` and bias of each
/// layer.
pub(crate) const PARAMETERS: usize = (FEATURES + 1) * HIDDEN + (HIDDEN + 1) * CLASSES;

/// Examples without their zeros: half of a digit's pixels.
#[derive(Clone)]
pub(crate) struct Examples {
    /// Features and their values, example after example.
    pixels: Vec<(u8, f32)>,
    /// Where each example's begin, and where the last one's end.
    starts: Vec<usize>,
    labels: Vec<u8>,
}

/// The parameters, the last layer's weights turned around.
#[derive(Clone)]
struct Network {
    first: [[f32; HIDDEN]; FEATURES],
    first_bias: [f32; HIDDEN],
    second: [[f32; HIDDEN]; CLASSES],
    second_bias: [f32; CLASSES],
}

/// How good parameters are on examples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quality {
    /// Share of examples whose class is found.
    pub(crate) accuracy: f64,
    /// Mean cross-entropy.
    pub(crate) loss: f64,
}

impl Examples {
    /// # Panics
    /// When the data are not 64 numbers and one of ten classes each.
    pub(crate) fn new(data: &Dataset) -> Self {
        assert_eq!((data.features(), data.classes()), (FEATURES, CLASSES), "digits of 8 x 8");
        let (mut pixels, mut starts) = (Vec::new(), vec![0]);
        for number in 0..data.len() {
            let example = (0u8..).zip(data.example(number));
            pixels.extend(example.filter(|(_, x)| **x != 0.0).map(|(place, x)| (place, *x)));
            starts.push(pixels.len());
        }
        let labels = data.labels().iter().map(|label| *label as u8).collect();
        Self { pixels, starts, labels }
    }

    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// All but those of one class.
    pub(crate) fn without(&self, class: u8) -> Self {
        let mut rest = Self { pixels: Vec::new(), starts: vec![0], labels: Vec::new() };
        for number in (0..self.len()).filter(|number| self.labels[*number] != class) {
            rest.pixels.extend_from_slice(self.pixels(number));
            rest.starts.push(rest.pixels.len());
            rest.labels.push(self.labels[number]);
        }
        rest
    }

    fn pixels(&self, number: usize) -> &[(u8, f32)] {
        &self.pixels[self.starts[number]..self.starts[number + 1]]
    }
}

/// The examples of each step of a fit with this seed, as `covey-model` draws them.
pub(crate) fn batches(
    seed: FitSeed,
    examples: usize,
    batch: usize,
    steps: usize,
) -> Vec<Vec<usize>> {
    let mut rng = stream("example-order", &[&seed.0]);
    let mut order: Vec<usize> = (0..examples).collect();
    let mut drawn = Vec::with_capacity(steps);
    while drawn.len() < steps {
        shuffle(&mut order, &mut rng);
        drawn.extend(order.chunks(batch).take(steps - drawn.len()).map(<[usize]>::to_vec));
    }
    drawn
}

/// What gradient steps on these batches change, one step a batch.
pub(crate) fn fit(
    parameters: &[f32],
    examples: &Examples,
    batches: &[Vec<usize>],
    lr: f32,
) -> Vec<f32> {
    let mut network = Network::read(parameters);
    for batch in batches {
        let gradient = network.gradient(examples, batch.iter().copied());
        network.add(&gradient, -lr / batch.len() as f32);
    }
    network.flat().iter().zip(parameters).map(|(new, old)| new - old).collect()
}

/// The gradient of the mean cross-entropy over all examples.
pub(crate) fn gradient(parameters: &[f32], examples: &Examples) -> Vec<f32> {
    let sum = Network::read(parameters).gradient(examples, 0..examples.len()).flat();
    sum.iter().map(|x| x / examples.len() as f32).collect()
}

/// Measures parameters. Where two classes have the same output, the first is the answer.
pub(crate) fn quality(parameters: &[f32], examples: &Examples) -> Quality {
    let network = Network::read(parameters);
    let (mut right, mut loss) = (0, 0.0);
    for number in 0..examples.len() {
        let label = usize::from(examples.labels[number]);
        let (answer, own) = network.answer(examples.pixels(number), label);
        right += usize::from(answer == label);
        loss += own;
    }
    let count = examples.len() as f64;
    Quality { accuracy: right as f64 / count, loss: loss / count }
}

/// The share of examples of one class that are found.
pub(crate) fn recall(parameters: &[f32], examples: &Examples, class: u8) -> f64 {
    let network = Network::read(parameters);
    let of_class = || (0..examples.len()).filter(|number| examples.labels[*number] == class);
    let found = |number: &usize| {
        let label = usize::from(class);
        network.answer(examples.pixels(*number), label).0 == label
    };
    of_class().filter(found).count() as f64 / of_class().count() as f64
}

impl Network {
    fn read(parameters: &[f32]) -> Self {
        assert_eq!(parameters.len(), PARAMETERS);
        let (weights, rest) = parameters.split_at(FEATURES * HIDDEN);
        let (first_bias, rest) = rest.split_at(HIDDEN);
        let (last, second_bias) = rest.split_at(HIDDEN * CLASSES);
        let mut network = Self::zero();
        network.first.as_flattened_mut().copy_from_slice(weights);
        network.first_bias.copy_from_slice(first_bias);
        network.second_bias.copy_from_slice(second_bias);
        for (unit, row) in last.chunks(CLASSES).enumerate() {
            for (class, weight) in row.iter().enumerate() {
                network.second[class][unit] = *weight;
            }
        }
        network
    }

    const fn zero() -> Self {
        Self {
            first: [[0.0; HIDDEN]; FEATURES],
            first_bias: [0.0; HIDDEN],
            second: [[0.0; HIDDEN]; CLASSES],
            second_bias: [0.0; CLASSES],
        }
    }

    fn flat(&self) -> Vec<f32> {
        let mut flat = Vec::with_capacity(PARAMETERS);
        flat.extend_from_slice(self.first.as_flattened());
        flat.extend_from_slice(&self.first_bias);
        for unit in 0..HIDDEN {
            flat.extend(self.second.iter().map(|weights| weights[unit]));
        }
        flat.extend_from_slice(&self.second_bias);
        flat
    }

    /// Outputs of the hidden layer and of the last.
    fn forward(&self, pixels: &[(u8, f32)]) -> ([f32; HIDDEN], [f32; CLASSES]) {
        let mut hidden = self.first_bias;
        for &(place, x) in pixels {
            add_times(&mut hidden, &self.first[usize::from(place) % FEATURES], x);
        }
        hidden.iter_mut().for_each(|x| *x = x.max(0.0));
        let mut outputs = self.second_bias;
        for (output, weights) in outputs.iter_mut().zip(&self.second) {
            *output += dot(&hidden, weights);
        }
        (hidden, outputs)
    }

    /// The class it finds, and the cross-entropy of the right one.
    fn answer(&self, pixels: &[(u8, f32)], label: usize) -> (usize, f64) {
        let (_, outputs) = self.forward(pixels);
        let mut answer = 0;
        for class in 1..CLASSES {
            if outputs[class] > outputs[answer] {
                answer = class;
            }
        }
        let top = outputs[answer];
        let sum: f32 = outputs.iter().map(|output| (output - top).exp()).sum();
        (answer, f64::from(sum.ln() + top - outputs[label]))
    }

    /// The sum of the examples' gradients.
    fn gradient(&self, examples: &Examples, numbers: impl Iterator<Item = usize>) -> Self {
        let mut sum = Self::zero();
        for number in numbers {
            let pixels = examples.pixels(number);
            let (hidden, outputs) = self.forward(pixels);
            let top = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut wrong = outputs.map(|output| (output - top).exp());
            let total: f32 = wrong.iter().sum();
            wrong.iter_mut().for_each(|x| *x /= total);
            wrong[usize::from(examples.labels[number])] -= 1.0;
            let mut back = [0.0; HIDDEN];
            for (class, wrong) in wrong.into_iter().enumerate() {
                add_times(&mut back, &self.second[class], wrong);
                add_times(&mut sum.second[class], &hidden, wrong);
                sum.second_bias[class] += wrong;
            }
            for (back, hidden) in back.iter_mut().zip(&hidden) {
                *back = if *hidden > 0.0 { *back } else { 0.0 };
            }
            for &(place, x) in pixels {
                add_times(&mut sum.first[usize::from(place) % FEATURES], &back, x);
            }
            add_times(&mut sum.first_bias, &back, 1.0);
        }
        sum
    }

    fn add(&mut self, other: &Self, factor: f32) {
        let add = |own: &mut [f32], other: &[f32]| {
            own.iter_mut().zip(other).for_each(|(own, other)| *own += factor * other);
        };
        add(self.first.as_flattened_mut(), other.first.as_flattened());
        add(&mut self.first_bias, &other.first_bias);
        add(self.second.as_flattened_mut(), other.second.as_flattened());
        add(&mut self.second_bias, &other.second_bias);
    }
}

#[inline(always)]
fn add_times(sums: &mut [f32; HIDDEN], values: &[f32; HIDDEN], factor: f32) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}

/// In four lanes, so that it vectorises.
#[inline(always)]
fn dot(left: &[f32; HIDDEN], right: &[f32; HIDDEN]) -> f32 {
    let mut lanes = [0f32; 4];
    for (left, right) in left.chunks_exact(4).zip(right.chunks_exact(4)) {
        for lane in 0..4 {
            lanes[lane] += left[lane] * right[lane];
        }
    }
    (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])
}

#[cfg(test)]
mod tests {
    use covey_model::device::DeviceChoice;
    use covey_model::task::Task;
    use covey_model::train::{Cancel, FitContext, Trainer};

    use super::*;
    use crate::digits::Digits;
    use crate::plan;

    fn largest_difference(left: &[f32], right: &[f32]) -> f32 {
        assert_eq!(left.len(), right.len());
        left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn it_trains_and_measures_as_covey_model_does() {
        let digits = Digits::open(3).expect("they ship");
        let data = digits.training.subset(&(0..75).collect::<Vec<_>>());
        let examples = Examples::new(&data);
        let task = Task::from_plan(&plan::parse(3)).expect("a model");
        assert_eq!(task.parameters(), PARAMETERS);
        let trainer = Trainer::new(&task, DeviceChoice::Cpu).expect("the processor");
        let mut parameters = task.initial_parameters();
        // Three rounds, each from where `covey-model` has come to.
        for round in 0..3 {
            let seed = FitSeed([round; 32]);
            let (cancel, mut progress) = (Cancel::new(), |_| ());
            let context = FitContext::new(seed, &cancel, &mut progress);
            let theirs = trainer.fit(&parameters, &data, context).expect("trained").update;
            let drawn = batches(seed, data.len(), plan::BATCH, plan::STEPS);
            let ours = fit(&parameters, &examples, &drawn, plan::LR);
            let apart = largest_difference(&theirs, &ours);
            assert!(apart < 1e-4, "round {round}: {apart}");
            assert!(theirs.iter().any(|x| x.abs() > 0.01));
            parameters.iter_mut().zip(&theirs).for_each(|(x, change)| *x += change);
        }
        let theirs = trainer.evaluate(&parameters, &digits.test).expect("measured");
        let ours = quality(&parameters, &Examples::new(&digits.test));
        assert!((theirs.accuracy().expect("of classes") - ours.accuracy).abs() < 1e-9);
        assert!((theirs.loss - ours.loss).abs() < 1e-5, "{} {}", theirs.loss, ours.loss);
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let digits = Digits::open(3).expect("they ship");
        let examples = Examples::new(&digits.training.subset(&[0, 1, 2, 3, 4, 5, 6, 7]));
        let parameters = Task::from_plan(&plan::parse(3)).expect("a model").initial_parameters();
        let gradient = gradient(&parameters, &examples);
        // Short: at a kink of ReLU the slope is another.
        let step = 2e-3;
        let mut checked = 0;
        for place in (0..PARAMETERS).step_by(37).filter(|place| gradient[*place].abs() > 1e-2) {
            let at = |change: f32| {
                let mut moved = parameters.clone();
                moved[place] += change;
                quality(&moved, &examples).loss
            };
            let slope = (at(step) - at(-step)) / f64::from(2.0 * step);
            let expected = f64::from(gradient[place]);
            assert!(
                (slope - expected).abs() < 0.03 * expected.abs(),
                "{place}: {slope} {expected}"
            );
            checked += 1;
        }
        assert!(checked > 5, "{checked}");
    }

    #[test]
    fn batches_pass_over_all_examples_before_any_comes_again() {
        let drawn = batches(FitSeed([1; 32]), 75, 32, 6);
        assert_eq!(drawn.iter().map(Vec::len).collect::<Vec<_>>(), [32, 32, 11, 32, 32, 11]);
        let mut first: Vec<_> = drawn[..3].concat();
        first.sort_unstable();
        assert_eq!(first, (0..75).collect::<Vec<_>>());
        assert_ne!(drawn[0], drawn[3]);
    }

    #[test]
    fn recall_counts_one_class_alone() {
        let digits = Digits::open(3).expect("they ship");
        let examples = Examples::new(&digits.test);
        let parameters = vec![0.0; PARAMETERS];
        // All outputs alike: the first class is the answer.
        assert_eq!(recall(&parameters, &examples, 0), 1.0);
        assert_eq!(recall(&parameters, &examples, 1), 0.0);
    }
}
