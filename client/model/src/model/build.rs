//! From a blueprint and flat vectors to a model.

use std::slice::Iter;

use burn::module::Param;
use burn::nn::conv::{Conv1d, Conv2d};
use burn::nn::{GroupNorm, LayerNorm, LayerNormConfig, PaddingConfig1d, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};
use covey_aggregation::plan::Buffers;
use covey_aggregation::shape::{Blueprint, Kernel, Role, Step, Tensor as Described};

use crate::network::Built;

use super::attention::{Block, Encoder};
use super::fixed::Fixed;
use super::layer::{self, Adapter, Dense, Embedding, Layer, Position};
use super::norm::{Average, BatchNorm, NORM_EPSILON};
use super::recurrent::{Gru, Lstm};
use super::{Model, norm};

/// Builds the model of `blueprint` from the vector that travels and, where there are adapters,
/// that of the fixed tensors. The caller has checked both lengths. On an autodiff device the
/// trained tensors are tracked.
pub(crate) fn build(
    blueprint: &Blueprint,
    parameters: &[f32],
    base: &[f32],
    device: &Device,
) -> Built<Model> {
    let mut source = Source {
        tensors: blueprint.tensors.iter(),
        parameters,
        base,
        device,
        scale: blueprint.adapter_scale,
        averages: Vec::new(),
    };
    let layers = source.layers(&blueprint.steps);
    let averages = source.averages;
    Built { network: Model { layers, input: blueprint.input }, averages }
}

/// Takes tensors off the front of the flat vectors, in the order of the blueprint.
struct Source<'a> {
    tensors: Iter<'a, Described>,
    parameters: &'a [f32],
    base: &'a [f32],
    device: &'a Device,
    scale: Option<f64>,
    averages: Vec<Option<Average>>,
}

impl Source<'_> {
    /// The next tensor's numbers, and what becomes of it.
    fn next<const D: usize>(&mut self, dimensions: [usize; D]) -> (TensorData, Role) {
        let described = self.tensors.next();
        let role = described.map_or(Role::Trained, |tensor| tensor.role);
        debug_assert!(described.is_some_and(|tensor| {
            tensor.dimensions.iter().map(|size| *size as usize).eq(dimensions)
        }));
        let from = if role == Role::Fixed { &mut self.base } else { &mut self.parameters };
        let (values, rest) = from.split_at(dimensions.iter().product());
        *from = rest;
        (TensorData::new(values.to_vec(), dimensions), role)
    }

    fn tensor<const D: usize>(&mut self, dimensions: [usize; D]) -> Param<Tensor<D>> {
        let (data, role) = self.next(dimensions);
        let parameter = Param::from_tensor(Tensor::from_data(data, self.device));
        if role == Role::Fixed { parameter.set_require_grad(false) } else { parameter }
    }

    fn dense(&mut self, [input, out]: [usize; 2]) -> Dense {
        let (weight, bias) = (self.tensor([input, out]), self.tensor([out]));
        let next = self.tensors.as_slice().first();
        let adapter = next
            .filter(|tensor| tensor.name.ends_with(".lora.a"))
            .map(|tensor| tensor.dimensions[1] as usize);
        let adapter = adapter.zip(self.scale).map(|(rank, scale)| Adapter {
            a: self.tensor([input, rank]),
            b: self.tensor([rank, out]),
            scale,
        });
        Dense { weight, bias, adapter }
    }

    fn layers(&mut self, steps: &[Step]) -> Vec<Layer> {
        steps.iter().map(|step| self.layer(step)).collect()
    }

    fn layer(&mut self, step: &Step) -> Layer {
        match step {
            Step::Linear { input, out } => Layer::Dense(self.dense([*input, *out])),
            Step::Conv1d(kernel) => Layer::Conv1d(self.conv1d(kernel)),
            Step::Conv2d(kernel) => Layer::Conv2d(self.conv2d(kernel)),
            Step::BatchNorm { channels, buffers } => {
                Layer::BatchNorm(self.batch_norm(*channels, *buffers))
            }
            Step::GroupNorm { groups, channels } => Layer::GroupNorm(GroupNorm {
                gamma: Some(self.tensor([*channels])),
                beta: Some(self.tensor([*channels])),
                num_groups: *groups,
                num_channels: *channels,
                epsilon: NORM_EPSILON,
                affine: true,
            }),
            Step::LayerNorm { features } => Layer::LayerNorm(self.layer_norm(*features)),
            Step::Embedding { vocabulary, out } => {
                Layer::Embedding(Embedding { weight: self.tensor([*vocabulary, *out]) })
            }
            Step::Position { steps, features } => {
                Layer::Position(Position { weight: self.tensor([*steps, *features]) })
            }
            Step::Lstm { input, hidden, is_last } => Layer::Lstm(Lstm {
                input_weight: self.tensor([*input, 4 * hidden]),
                hidden_weight: self.tensor([*hidden, 4 * hidden]),
                bias: self.tensor([4 * hidden]),
                is_last: *is_last,
            }),
            Step::Gru { input, hidden, is_last } => Layer::Gru(Gru {
                input_weight: self.tensor([*input, 3 * hidden]),
                hidden_weight: self.tensor([*hidden, 3 * hidden]),
                input_bias: self.tensor([3 * hidden]),
                hidden_bias: self.tensor([3 * hidden]),
                is_last: *is_last,
            }),
            Step::Encoder { layers, features, heads, ff, causal, dropout } => {
                Layer::Encoder(Encoder {
                    blocks: (0..*layers).map(|_| self.block(*features, *ff)).collect(),
                    heads: *heads,
                    causal: *causal,
                    dropout: *dropout,
                })
            }
            Step::Residual { steps, .. } => {
                Layer::Residual(layer::Block { layers: self.layers(steps) })
            }
            step => Layer::Fixed(Fixed { step: step.clone() }),
        }
    }

    fn conv1d(&mut self, kernel: &Kernel) -> Conv1d {
        let Kernel { input, out, kernel, stride, pad } = *kernel;
        Conv1d {
            weight: self.tensor([out, input, kernel]),
            bias: Some(self.tensor([out])),
            stride,
            kernel_size: kernel,
            dilation: 1,
            groups: 1,
            padding: PaddingConfig1d::Explicit(pad, pad),
        }
    }

    fn conv2d(&mut self, kernel: &Kernel) -> Conv2d {
        let Kernel { input, out, kernel, stride, pad } = *kernel;
        Conv2d {
            weight: self.tensor([out, input, kernel, kernel]),
            bias: Some(self.tensor([out])),
            stride: [stride; 2],
            kernel_size: [kernel; 2],
            dilation: [1; 2],
            groups: 1,
            padding: PaddingConfig2d::Explicit(pad, pad, pad, pad),
        }
    }

    fn batch_norm(&mut self, channels: usize, buffers: Buffers) -> norm::BatchNorm {
        let (gamma, beta) = (self.tensor([channels]), self.tensor([channels]));
        let plain = self.device.clone().inner();
        let average = (buffers == Buffers::Average).then(|| {
            let mut next = || Tensor::from_data(self.next([channels]).0, &plain);
            Average { mean: next(), variance: next() }
        });
        self.averages.push(average);
        BatchNorm { gamma, beta, norm: self.averages.len() - 1 }
    }

    fn layer_norm(&mut self, features: usize) -> LayerNorm {
        let config = LayerNormConfig::new(features).with_epsilon(NORM_EPSILON);
        // Its scale and offset are lazy: they are replaced before anything makes them.
        let mut norm = config.init(self.device);
        norm.gamma = self.tensor([features]);
        norm.beta = Some(self.tensor([features]));
        norm
    }

    fn block(&mut self, features: usize, ff: usize) -> Block {
        Block {
            attention_norm: self.layer_norm(features),
            query: self.dense([features, features]),
            key: self.dense([features, features]),
            value: self.dense([features, features]),
            output: self.dense([features, features]),
            ff_norm: self.layer_norm(features),
            expand: self.dense([features, ff]),
            contract: self.dense([ff, features]),
        }
    }
}
