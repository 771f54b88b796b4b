//! What training makes small.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::Tensor;
use covey_aggregation::plan::Loss;

use crate::batch::Wanted;

/// The mean over output rows.
pub(crate) fn loss(outputs: Tensor<2>, wanted: Wanted, kind: Loss) -> Tensor<1> {
    match wanted {
        Wanted::Classes(labels) => {
            CrossEntropyLossConfig::new().init(&outputs.device()).forward(outputs, labels)
        }
        Wanted::Numbers(values) => {
            let [rows, _] = outputs.dims();
            let error = outputs.reshape([rows]) - values;
            match kind {
                Loss::Huber { delta } => {
                    let size = error.abs();
                    let inner = size.clone().clamp_max(delta);
                    let square = (inner.clone() * inner.clone()).mul_scalar(0.5);
                    (square + (size - inner).mul_scalar(delta)).mean()
                }
                _ => (error.clone() * error).mean(),
            }
        }
    }
}

/// The loss of one number, on the host.
pub(crate) fn number_loss(error: f64, kind: Loss) -> f64 {
    match kind {
        Loss::Huber { delta } => {
            let inner = error.abs().min(delta);
            0.5 * inner * inner + delta * (error.abs() - inner)
        }
        _ => error * error,
    }
}
