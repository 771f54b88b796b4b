//! Optimisers as plans mean them.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig};
use covey_aggregation::plan::Optimizer;

/// Keeps Adam's division away from zero; the value of its authors.
const EPSILON: f32 = 1e-8;

pub(crate) fn optimizer(optimizer: Optimizer) -> ModuleOptimizer {
    match optimizer {
        Optimizer::Sgd { momentum, nesterov, weight_decay, .. } => {
            // burn's default dampening of 0.1 is not what plans mean by momentum.
            let momentum = (momentum > 0.0).then(|| {
                let config = MomentumConfig::new().with_momentum(momentum);
                config.with_dampening(0.0).with_nesterov(nesterov)
            });
            let decay = (weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay as f32));
            SgdConfig::new().with_momentum(momentum).with_weight_decay(decay).init()
        }
        Optimizer::Adam { .. } => AdamConfig::new().with_epsilon(EPSILON).init(),
        Optimizer::AdamW { weight_decay, .. } => {
            AdamWConfig::new().with_epsilon(EPSILON).with_weight_decay(weight_decay as f32).init()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{Module, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Tensor};

    #[derive(Module, Debug)]
    struct Weights {
        w: Param<Tensor<1>>,
    }

    const BEGIN: [f64; 2] = [1.0, -2.0];
    const RATES: [f64; 3] = [0.1, 0.1, 0.05];

    /// Three steps down `w0^2 + 3 w0 w1`, whose gradient is `(2 w0 + 3 w1, 3 w0)`.
    fn walked(plan: Optimizer) -> Vec<f64> {
        let device = Device::flex().autodiff();
        let begin = BEGIN.map(|x| x as f32);
        let mut weights = Weights { w: Param::from_tensor(Tensor::from_floats(begin, &device)) };
        let mut optimizer = optimizer(plan);
        for lr in RATES {
            let w = weights.w.val();
            let (w0, w1) = (w.clone().narrow(0, 0, 1), w.narrow(0, 1, 1));
            let loss = w0.clone() * w0.clone() + (w0 * w1).mul_scalar(3.0);
            let gradients = GradientsParams::from_grads(loss.backward(), &weights);
            weights = optimizer.step(lr, weights, gradients);
        }
        weights.w.val().into_data().iter::<f64>().collect()
    }

    /// The same with a rule that is given step, rate, gradient and weight of each number.
    fn expected(mut rule: impl FnMut(i32, f64, usize, f64, f64) -> f64) -> Vec<f64> {
        let mut w = BEGIN;
        for (step, lr) in (1..).zip(RATES) {
            let gradient = [2.0 * w[0] + 3.0 * w[1], 3.0 * w[0]];
            let next = |place: usize| (place, gradient[place], w[place]);
            let all = [next(0), next(1)];
            w = all.map(|(place, g, w)| rule(step, lr, place, g, w));
        }
        w.to_vec()
    }

    fn assert_near(found: &[f64], expected: &[f64]) {
        let near = found.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-5);
        assert!(near, "{found:?} is not {expected:?}");
    }

    #[test]
    fn sgd_has_momentum_nesterov_and_weight_decay_as_the_plan_says() {
        for (momentum, nesterov, decay) in
            [(0.0, false, 0.0), (0.0, false, 0.1), (0.9, false, 0.0), (0.9, true, 0.01)]
        {
            let plan = Optimizer::Sgd { lr: 1.0, momentum, nesterov, weight_decay: decay };
            let mut velocity = [0.0; 2];
            let by_hand = expected(|_, lr, place, g, w| {
                let g = g + decay * w;
                velocity[place] = momentum * velocity[place] + g;
                let step = if nesterov { g + momentum * velocity[place] } else { velocity[place] };
                w - lr * step
            });
            assert_near(&walked(plan), &by_hand);
        }
    }

    #[test]
    fn adam_and_adamw_are_those_of_their_papers() {
        for decay in [None, Some(0.1)] {
            let plan = match decay {
                None => Optimizer::Adam { lr: 1.0 },
                Some(weight_decay) => Optimizer::AdamW { lr: 1.0, weight_decay },
            };
            let (mut m, mut v) = ([0.0; 2], [0.0; 2]);
            let by_hand = expected(|step, lr, place, g, w| {
                m[place] = 0.9 * m[place] + 0.1 * g;
                v[place] = 0.999 * v[place] + 0.001 * g * g;
                let (m, v) =
                    (m[place] / (1.0 - 0.9f64.powi(step)), v[place] / (1.0 - 0.999f64.powi(step)));
                w - lr * decay.unwrap_or(0.0) * w - lr * m / (v.sqrt() + 1e-8)
            });
            assert_near(&walked(plan), &by_hand);
        }
    }
}
