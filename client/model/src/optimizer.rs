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
