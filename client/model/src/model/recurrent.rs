//! Recurrent layers.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, tanh};
use burn::tensor::module::linear;

use super::signal::Signal;

/// Gates in the order input, forget, cell, output.
#[derive(Module, Debug)]
pub(super) struct Lstm {
    pub(super) input_weight: Param<Tensor<2>>,
    pub(super) hidden_weight: Param<Tensor<2>>,
    pub(super) bias: Param<Tensor<1>>,
    #[module(skip)]
    pub(super) is_last: bool,
}

/// Gates in the order reset, update, new.
#[derive(Module, Debug)]
pub(super) struct Gru {
    pub(super) input_weight: Param<Tensor<2>>,
    pub(super) hidden_weight: Param<Tensor<2>>,
    pub(super) input_bias: Param<Tensor<1>>,
    pub(super) hidden_bias: Param<Tensor<1>>,
    #[module(skip)]
    pub(super) is_last: bool,
}

impl Lstm {
    pub(super) fn forward(&self, x: Tensor<3>) -> Signal {
        let [batch, steps, features] = x.dims();
        let weight = self.hidden_weight.val();
        let [hidden, _] = weight.dims();
        let (input_weight, bias) = (self.input_weight.val(), self.bias.val());
        let mut state = Tensor::<2>::zeros([batch, hidden], (&x.device(), x.dtype()));
        let mut cell = state.clone();
        let mut states = Vec::with_capacity(steps);
        for step in 0..steps {
            let now = x.clone().narrow(1, step, 1).reshape([batch, features]);
            let gates = linear(now, input_weight.clone(), Some(bias.clone()))
                + state.matmul(weight.clone());
            let gate = |place| gates.clone().narrow(1, place * hidden, hidden);
            let (input, forget) = (sigmoid(gate(0)), sigmoid(gate(1)));
            cell = forget * cell + input * tanh(gate(2));
            state = sigmoid(gate(3)) * tanh(cell.clone());
            if !self.is_last {
                states.push(state.clone());
            }
        }
        give(states, state, self.is_last)
    }
}

impl Gru {
    pub(super) fn forward(&self, x: Tensor<3>) -> Signal {
        let [batch, steps, features] = x.dims();
        let weight = self.hidden_weight.val();
        let [hidden, _] = weight.dims();
        let (input_weight, input_bias) = (self.input_weight.val(), self.input_bias.val());
        let hidden_bias = self.hidden_bias.val();
        let mut state = Tensor::<2>::zeros([batch, hidden], (&x.device(), x.dtype()));
        let mut states = Vec::with_capacity(steps);
        for step in 0..steps {
            let now = x.clone().narrow(1, step, 1).reshape([batch, features]);
            let from_input = linear(now, input_weight.clone(), Some(input_bias.clone()));
            let from_state = linear(state.clone(), weight.clone(), Some(hidden_bias.clone()));
            let gate = |x: &Tensor<2>, place| x.clone().narrow(1, place * hidden, hidden);
            let reset = sigmoid(gate(&from_input, 0) + gate(&from_state, 0));
            let update = sigmoid(gate(&from_input, 1) + gate(&from_state, 1));
            let new = tanh(gate(&from_input, 2) + reset * gate(&from_state, 2));
            state = new.clone() + update * (state - new);
            if !self.is_last {
                states.push(state.clone());
            }
        }
        give(states, state, self.is_last)
    }
}

fn give(states: Vec<Tensor<2>>, last: Tensor<2>, is_last: bool) -> Signal {
    if is_last { Signal::Features(last) } else { Signal::Sequence(Tensor::stack(states, 1)) }
}
