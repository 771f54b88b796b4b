//! A blueprint as a burn model. It is always built afresh from a flat vector: nothing is drawn
//! from burn's generator, and no state is shared with another model.

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, LayerNorm, LayerNormConfig, Linear, PaddingConfig2d};
use burn::tensor::activation::{gelu, relu, tanh};
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;

use crate::random::unit_f32;
use crate::shape::{Blueprint, Shape, Step};

/// Offset of the variance in normalising layers.
const NORM_EPSILON: f64 = 1e-5;

/// Examples between two layers: `[batch, features]` or `[batch, channels, height, width]`.
enum Signal {
    Features(Tensor<2>),
    Image(Tensor<4>),
}

/// What a pass is for. Dropout draws from the generator of a training pass and does nothing in
/// an evaluation.
pub(crate) enum Pass<'a> {
    Training(&'a mut ChaCha8Rng),
    Evaluation,
}

/// A model: its layers in order.
#[derive(Module, Debug)]
pub(crate) struct Model {
    layers: Vec<Layer>,
    #[module(skip)]
    input: Option<[usize; 3]>,
}

#[derive(Module, Debug)]
enum Layer {
    Linear(Linear),
    Conv2d(Conv2d),
    GroupNorm(GroupNorm),
    LayerNorm(LayerNorm),
    Fixed(Fixed),
    Residual(Block),
}

/// Layers inside a layer.
#[derive(Module, Debug)]
struct Block {
    layers: Vec<Layer>,
}

/// A layer without parameters.
#[derive(Module, Debug)]
struct Fixed {
    #[module(skip)]
    step: Step,
}

impl Model {
    /// Builds the model and loads the flat vector, whose length the caller has checked. On an
    /// autodiff device the parameters are tracked.
    pub(crate) fn build(blueprint: &Blueprint, parameters: &[f32], device: &Device) -> Self {
        let mut source = Source { rest: parameters, device };
        let input = match blueprint.input {
            Shape::Features(_) => None,
            Shape::Image { channels, height, width } => {
                Some([channels, height, width].map(|size| size as usize))
            }
        };
        Self { layers: source.layers(&blueprint.steps), input }
    }

    /// `[batch, features]` to `[batch, classes]`.
    pub(crate) fn forward(&self, examples: Tensor<2>, pass: &mut Pass<'_>) -> Tensor<2> {
        let signal = match self.input {
            None => Signal::Features(examples),
            Some([channels, height, width]) => {
                let [batch, _] = examples.dims();
                Signal::Image(examples.reshape([batch, channels, height, width]))
            }
        };
        run(&self.layers, signal, pass).flatten()
    }

    /// The parameters as a flat vector, in the order of the manifest.
    pub(crate) fn flatten(&self, parameters: usize) -> Vec<f32> {
        let mut sink = Sink(Vec::with_capacity(parameters));
        self.visit(&mut sink);
        sink.0
    }
}

/// Takes tensors off the front of a flat vector.
struct Source<'a> {
    rest: &'a [f32],
    device: &'a Device,
}

impl Source<'_> {
    fn tensor<const D: usize>(&mut self, dimensions: [usize; D]) -> Param<Tensor<D>> {
        let (values, rest) = self.rest.split_at(dimensions.iter().product());
        self.rest = rest;
        let data = TensorData::new(values.to_vec(), dimensions);
        Param::from_tensor(Tensor::from_data(data, self.device))
    }

    fn layers(&mut self, steps: &[Step]) -> Vec<Layer> {
        steps.iter().map(|step| self.layer(step)).collect()
    }

    fn layer(&mut self, step: &Step) -> Layer {
        match step {
            Step::Linear { input, out } => {
                let weight = self.tensor([*input, *out]);
                Layer::Linear(Linear { weight, bias: Some(self.tensor([*out])) })
            }
            Step::Conv2d { input, out, kernel, stride, pad } => Layer::Conv2d(Conv2d {
                weight: self.tensor([*out, *input, *kernel, *kernel]),
                bias: Some(self.tensor([*out])),
                stride: [*stride; 2],
                kernel_size: [*kernel; 2],
                dilation: [1; 2],
                groups: 1,
                padding: PaddingConfig2d::Explicit(*pad, *pad, *pad, *pad),
            }),
            Step::GroupNorm { groups, channels } => Layer::GroupNorm(GroupNorm {
                gamma: Some(self.tensor([*channels])),
                beta: Some(self.tensor([*channels])),
                num_groups: *groups,
                num_channels: *channels,
                epsilon: NORM_EPSILON,
                affine: true,
            }),
            Step::LayerNorm { features } => {
                let config = LayerNormConfig::new(*features).with_epsilon(NORM_EPSILON);
                // Its scale and offset are lazy: they are replaced before anything makes them.
                let mut norm = config.init(self.device);
                norm.gamma = self.tensor([*features]);
                norm.beta = Some(self.tensor([*features]));
                Layer::LayerNorm(norm)
            }
            Step::Residual(steps) => Layer::Residual(Block { layers: self.layers(steps) }),
            step => Layer::Fixed(Fixed { step: step.clone() }),
        }
    }
}

/// Collects tensors into a flat vector.
struct Sink(Vec<f32>);

impl ModuleVisitor for Sink {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let data = parameter.val().into_data();
        self.0.extend(data.iter::<f32>());
    }
}

fn run(layers: &[Layer], signal: Signal, pass: &mut Pass<'_>) -> Signal {
    layers.iter().fold(signal, |signal, layer| layer.forward(signal, pass))
}

/// Applies the same function to either kind of signal.
macro_rules! each {
    ($signal:expr, $x:ident => $result:expr) => {
        match $signal {
            Signal::Features($x) => Signal::Features($result),
            Signal::Image($x) => Signal::Image($result),
        }
    };
}

impl Signal {
    fn flatten(self) -> Tensor<2> {
        match self {
            Self::Features(x) => x,
            Self::Image(x) => x.flatten(1, 3),
        }
    }

    fn add(self, other: Self) -> Self {
        match (self, other) {
            (Self::Features(x), Self::Features(y)) => Self::Features(x + y),
            (Self::Image(x), Self::Image(y)) => Self::Image(x + y),
            _ => unreachable!("shape inference lets residual layers keep their shape"),
        }
    }

    fn copy(&self) -> Self {
        match self {
            Self::Features(x) => Self::Features(x.clone()),
            Self::Image(x) => Self::Image(x.clone()),
        }
    }
}

impl Layer {
    fn forward(&self, signal: Signal, pass: &mut Pass<'_>) -> Signal {
        match (self, signal) {
            (Self::Linear(linear), signal) => Signal::Features(linear.forward(signal.flatten())),
            (Self::Conv2d(conv), Signal::Image(x)) => Signal::Image(conv.forward(x)),
            (Self::Conv2d(_), Signal::Features(_)) => {
                unreachable!("shape inference gives images to convolutions")
            }
            (Self::GroupNorm(norm), signal) => each!(signal, x => norm.forward(x)),
            (Self::LayerNorm(norm), signal) => each!(signal, x => norm.forward(x)),
            (Self::Fixed(fixed), signal) => fixed.forward(signal, pass),
            (Self::Residual(block), signal) => {
                let shortcut = signal.copy();
                shortcut.add(run(&block.layers, signal, pass))
            }
        }
    }
}

impl Fixed {
    fn forward(&self, signal: Signal, pass: &mut Pass<'_>) -> Signal {
        match &self.step {
            Step::Relu => each!(signal, x => relu(x)),
            Step::Gelu => each!(signal, x => gelu(x)),
            Step::Tanh => each!(signal, x => tanh(x)),
            Step::Dropout { p } => each!(signal, x => dropout(x, *p as f32, pass)),
            Step::MaxPool2d { kernel, stride } => match signal {
                Signal::Image(x) => {
                    let options = MaxPoolOptions::new([*kernel; 2]).with_stride([*stride; 2]);
                    Signal::Image(max_pool2d(x, options))
                }
                Signal::Features(_) => unreachable!("shape inference gives images to pools"),
            },
            _ => Signal::Features(signal.flatten()),
        }
    }
}

/// Sets a share `p` of the numbers to zero and scales the rest to keep the mean. The mask is
/// drawn on the host from the pass's own generator: burn's is shared by the whole process.
fn dropout<const D: usize>(x: Tensor<D>, p: f32, pass: &mut Pass<'_>) -> Tensor<D> {
    let Pass::Training(rng) = pass else { return x };
    let dimensions = x.dims();
    let kept = 1.0 / (1.0 - p);
    let mask = (0..dimensions.iter().product())
        .map(|_| if unit_f32(rng) < p { 0.0 } else { kept })
        .collect();
    let mask = Tensor::from_data(TensorData::new::<f32, _>(mask, dimensions), &x.device());
    x * mask
}
