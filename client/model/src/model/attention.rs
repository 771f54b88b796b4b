//! Transformer blocks, normalised before each part (Xiong et al., 2020).

use burn::module::Module;
use burn::nn::LayerNorm;
use burn::tensor::activation::{gelu, softmax};
use burn::tensor::{Device, Tensor, TensorData};

use super::half::in_f32;
use super::layer::Dense;
use super::pass::Pass;

/// Added to the score of a step that must not be seen: its share becomes zero.
pub(crate) const UNSEEN: f32 = -1e9;

#[derive(Module, Debug)]
pub(super) struct Encoder {
    pub(super) blocks: Vec<Block>,
    #[module(skip)]
    pub(super) heads: usize,
    #[module(skip)]
    pub(super) causal: bool,
    #[module(skip)]
    pub(super) dropout: f64,
}

/// In the order of the manifest.
#[derive(Module, Debug)]
pub(super) struct Block {
    pub(super) attention_norm: LayerNorm,
    pub(super) query: Dense,
    pub(super) key: Dense,
    pub(super) value: Dense,
    pub(super) output: Dense,
    pub(super) ff_norm: LayerNorm,
    pub(super) expand: Dense,
    pub(super) contract: Dense,
}

impl Encoder {
    pub(super) fn forward(&self, mut x: Tensor<3>, pass: &mut Pass<'_>) -> Tensor<3> {
        let [_, steps, _] = x.dims();
        let mask = self.causal.then(|| causal_mask(steps, &x.device()));
        for block in &self.blocks {
            let attended = block.attend(x.clone(), self.heads, mask.as_ref());
            x = x + pass.dropout(attended, self.dropout);
            let normed = in_f32(x.clone(), |x| block.ff_norm.forward(x));
            let fed = block.contract.forward(gelu(block.expand.forward(normed)));
            x = x + pass.dropout(fed, self.dropout);
        }
        x
    }
}

impl Block {
    fn attend(&self, x: Tensor<3>, heads: usize, mask: Option<&Tensor<4>>) -> Tensor<3> {
        let [batch, steps, features] = x.dims();
        let width = features / heads;
        let x = in_f32(x, |x| self.attention_norm.forward(x));
        let split = |x: Tensor<3>| x.reshape([batch, steps, heads, width]).swap_dims(1, 2);
        let query = split(self.query.forward(x.clone()));
        let key = split(self.key.forward(x.clone()));
        let value = split(self.value.forward(x));
        let scores = query.matmul(key.swap_dims(2, 3)).div_scalar((width as f64).sqrt());
        let shares = in_f32(scores, |scores| match mask {
            Some(mask) => softmax(scores + mask.clone(), 3),
            None => softmax(scores, 3),
        });
        let mixed = shares.matmul(value);
        self.output.forward(mixed.swap_dims(1, 2).reshape([batch, steps, features]))
    }
}

/// `[1, 1, steps, steps]`: step i sees step j up to i.
fn causal_mask(steps: usize, device: &Device) -> Tensor<4> {
    let seen = |row: usize| (0..steps).map(move |column| if column > row { UNSEEN } else { 0.0 });
    let numbers: Vec<f32> = (0..steps).flat_map(seen).collect();
    Tensor::from_data(TensorData::new(numbers, [1, 1, steps, steps]), device)
}
