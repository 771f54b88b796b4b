//! A blueprint as a burn model. It is always built afresh from a flat vector: nothing is drawn
//! from burn's generator, and no state is shared with another model.

mod attention;
mod build;
mod fixed;
mod half;
mod layer;
mod norm;
mod pass;
mod recurrent;
mod signal;

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use covey_aggregation::shape::Shape;

pub(crate) use attention::UNSEEN;
pub(crate) use build::build;
pub use half::Precision;
pub(crate) use half::forward;
pub(crate) use norm::{Average, NORM_EPSILON, Seen};
pub use pass::Pass;
pub(crate) use pass::Tap;

use layer::Layer;
use signal::Signal;

/// The examples of a batch, as a model is given them.
#[derive(Clone, Debug)]
pub enum Input {
    /// Numbers, `[batch, features]`; of images, channel by channel, row by row.
    Rows(Tensor<2>),
    /// Tokens, `[batch, steps]`.
    Tokens(Tensor<2, Int>),
}

/// What trains: a burn module with one way through it.
pub trait Network: Module + 'static {
    /// `[examples, outputs]`: one row for each example, or, where the next token is predicted,
    /// for each token of each example.
    ///
    /// Randomness comes from [`Pass::dropout`] alone: burn's generator is one for the whole
    /// process, so that what it draws depends on whatever else runs.
    fn forward(&self, input: Input, pass: &mut Pass<'_>) -> Tensor<2>;
}

/// A model from a plan: its layers in order.
#[derive(Module, Debug)]
pub(crate) struct Model {
    layers: Vec<Layer>,
    #[module(skip)]
    input: Shape,
}

impl Network for Model {
    fn forward(&self, input: Input, pass: &mut Pass<'_>) -> Tensor<2> {
        layer::run(&self.layers, self.signal(input), pass).into_outputs()
    }
}

impl Model {
    fn signal(&self, input: Input) -> Signal {
        match (input, self.input) {
            (Input::Tokens(tokens), _) => Signal::Tokens(tokens),
            (Input::Rows(rows), Shape::Image { channels, height, width }) => {
                let [channels, height, width] = [channels, height, width].map(|size| size as usize);
                let [batch, _] = rows.dims();
                Signal::Image(rows.reshape([batch, channels, height, width]))
            }
            (Input::Rows(rows), _) => Signal::Features(rows),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
