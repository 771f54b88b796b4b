//! Shape inference: every layer says only what it produces, and what it takes follows from the
//! layers before it. Nothing of burn in here, so a plan that does not fit together is refused
//! before any training, on any machine.

use std::fmt;

use covey_aggregation::limits::{ACTIVATIONS_MAX, PARAMETERS_MAX};
use covey_aggregation::plan::{Data, Layer, LayerKind};

/// Code of every shape error, in the list of `plan::Code`s.
pub const SHAPE_ERROR_CODE: &str = "P050";

/// What one example is between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A row of numbers.
    Features(u64),
    /// Channels of a picture.
    Image {
        /// Numbers of a pixel.
        channels: u64,
        /// Rows of pixels.
        height: u64,
        /// Pixels of a row.
        width: u64,
    },
}

impl Shape {
    /// The shape of an example of `data`.
    #[must_use]
    pub fn of(data: &Data) -> Self {
        match data {
            Data::Image(image) => Self::Image {
                channels: image.channels.into(),
                height: image.height.into(),
                width: image.width.into(),
            },
            Data::Tabular(_) | Data::Text(_) => Self::Features(data.features()),
        }
    }

    /// Numbers of one example, at most `u64::MAX`.
    #[must_use]
    pub const fn elements(self) -> u64 {
        match self {
            Self::Features(features) => features,
            Self::Image { channels, height, width } => {
                channels.saturating_mul(height).saturating_mul(width)
            }
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Features(features) => write!(f, "{features} features"),
            Self::Image { channels, height, width } => {
                write!(f, "an image of {channels} x {height} x {width} (channels, height, width)")
            }
        }
    }
}

/// A layer that does not fit the ones before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "error[{SHAPE_ERROR_CODE}] line {line}, column {column}: {path} ({kind}): expected \
     {expected}, got {got}\n  help: {help}"
)]
pub struct ShapeError {
    /// Which layer, such as `model.layers[3]`.
    pub path: String,
    /// Its kind, as in the plan.
    pub kind: &'static str,
    /// Line in the plan, from 1.
    pub line: u32,
    /// Character within the line, from 1.
    pub column: u32,
    /// What the layer needs.
    pub expected: String,
    /// What it would be given.
    pub got: String,
    /// What to do.
    pub help: String,
}

/// A layer whose sizes are all known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Linear { input: usize, out: usize },
    Conv2d { input: usize, out: usize, kernel: usize, stride: usize, pad: usize },
    GroupNorm { groups: usize, channels: usize },
    LayerNorm { features: usize },
    MaxPool2d { kernel: usize, stride: usize },
    Relu,
    Gelu,
    Tanh,
    Flatten,
    Dropout { p: f64 },
    Residual(Vec<Self>),
}

/// How a tensor of parameters begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Initial {
    /// Uniform in `+-sqrt(1 / fan_in)`.
    Uniform { fan_in: u64 },
    /// All ones.
    Ones,
    /// All zeros.
    Zeros,
}

/// One tensor of parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dimensions: Vec<u64>,
    pub(crate) initial: Initial,
}

impl Tensor {
    pub(crate) fn elements(&self) -> u64 {
        self.dimensions.iter().fold(1, |product: u64, size| product.saturating_mul(*size))
    }
}

/// A model whose shapes fit together: its steps, and its parameters in their flat order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Blueprint {
    pub(crate) input: Shape,
    pub(crate) classes: usize,
    pub(crate) steps: Vec<Step>,
    pub(crate) tensors: Vec<Tensor>,
}

/// Infers all shapes of `layers` over an example of shape `input`; the last layer must produce
/// one number per class.
pub(crate) fn infer(
    layers: &[Layer],
    input: Shape,
    classes: usize,
) -> Result<Blueprint, ShapeError> {
    let mut inference = Inference { tensors: Vec::new(), parameters: 0 };
    let (steps, output) = inference.layers(layers, input, "model.layers", "layers")?;
    if output != Shape::Features(classes as u64)
        && let Some((index, last)) = layers.iter().enumerate().next_back()
    {
        let place = Place { layer: last, path: format!("model.layers[{index}]") };
        let help = format!("end the model with {{ kind = \"linear\", out = {classes} }}");
        let expected = format!("{classes} features as the model's output, one per class");
        return Err(place.error(expected, output.to_string(), help));
    }
    Ok(Blueprint { input, classes, steps, tensors: inference.tensors })
}

/// A layer and its name, for errors.
struct Place<'a> {
    layer: &'a Layer,
    path: String,
}

impl Place<'_> {
    fn error(
        &self,
        expected: impl Into<String>,
        got: impl Into<String>,
        help: impl Into<String>,
    ) -> ShapeError {
        ShapeError {
            path: self.path.clone(),
            kind: self.layer.kind.word(),
            line: self.layer.line,
            column: self.layer.column,
            expected: expected.into(),
            got: got.into(),
            help: help.into(),
        }
    }

    fn features(&self, input: Shape) -> Result<u64, ShapeError> {
        match input {
            Shape::Features(features) => Ok(features),
            Shape::Image { .. } => {
                let help = "put { kind = \"flatten\" } before it";
                Err(self.error("a row of features", input.to_string(), help))
            }
        }
    }

    fn image(&self, input: Shape) -> Result<(u64, u64, u64), ShapeError> {
        match input {
            Shape::Image { channels, height, width } => Ok((channels, height, width)),
            Shape::Features(_) => {
                let help = "use it before any flatten, and only where data.kind = \"image\"";
                Err(self.error("an image", input.to_string(), help))
            }
        }
    }

    /// Places of a window of `kernel` in `side` pixels with `pad` more at both ends.
    fn places(&self, side: u64, kernel: u64, stride: u64, pad: u64) -> Result<u64, ShapeError> {
        let padded = side + 2 * pad;
        match padded.checked_sub(kernel) {
            Some(rest) => Ok(rest / stride + 1),
            None => {
                let expected = format!("at least {kernel} pixels for kernel = {kernel}");
                let help = "use a smaller kernel, more pad, or fewer pooling layers before it";
                Err(self.error(expected, format!("{side} pixels with pad = {pad}"), help))
            }
        }
    }
}

struct Inference {
    tensors: Vec<Tensor>,
    parameters: u64,
}

impl Inference {
    fn layers(
        &mut self,
        layers: &[Layer],
        input: Shape,
        path: &str,
        name: &str,
    ) -> Result<(Vec<Step>, Shape), ShapeError> {
        let mut shape = input;
        let mut steps = Vec::with_capacity(layers.len());
        for (index, layer) in layers.iter().enumerate() {
            let place = Place { layer, path: format!("{path}[{index}]") };
            let name = format!("{name}.{index}.{}", layer.kind.word());
            let (step, output) = self.layer(&place, &name, shape)?;
            if output.elements() > ACTIVATIONS_MAX {
                let expected = format!("at most {ACTIVATIONS_MAX} numbers per example");
                return Err(place.error(expected, output.to_string(), "make the layer smaller"));
            }
            shape = output;
            steps.push(step);
        }
        Ok((steps, shape))
    }

    fn layer(
        &mut self,
        place: &Place<'_>,
        name: &str,
        input: Shape,
    ) -> Result<(Step, Shape), ShapeError> {
        Ok(match &place.layer.kind {
            LayerKind::Linear { out } => self.linear(place, name, input, *out)?,
            LayerKind::Conv2d { out, kernel, stride, pad } => {
                self.conv2d(place, name, input, [*out, *kernel, *stride, *pad])?
            }
            LayerKind::MaxPool2d { kernel, stride } => {
                let (channels, height, width) = place.image(input)?;
                let height = place.places(height, *kernel, *stride, 0)?;
                let width = place.places(width, *kernel, *stride, 0)?;
                let (kernel, stride) = (*kernel as usize, *stride as usize);
                (Step::MaxPool2d { kernel, stride }, Shape::Image { channels, height, width })
            }
            LayerKind::GroupNorm { groups } => self.group_norm(place, name, input, *groups)?,
            LayerKind::LayerNorm => {
                let features = place.features(input)?;
                self.scale_and_offset(place, name, features)?;
                (Step::LayerNorm { features: features as usize }, input)
            }
            LayerKind::Relu => (Step::Relu, input),
            LayerKind::Gelu => (Step::Gelu, input),
            LayerKind::Tanh => (Step::Tanh, input),
            LayerKind::Dropout { p } => (Step::Dropout { p: *p }, input),
            LayerKind::Flatten => (Step::Flatten, Shape::Features(input.elements())),
            LayerKind::Residual { layers } => {
                let (path, name) = (format!("{}.layers", place.path), format!("{name}.layers"));
                let (steps, output) = self.layers(layers, input, &path, &name)?;
                if output != input {
                    let expected = format!("its layers to give back {input}");
                    let help = "keep the shape inside a residual layer (conv2d with pad, no pool)";
                    return Err(place.error(expected, output.to_string(), help));
                }
                (Step::Residual(steps), input)
            }
        })
    }

    fn linear(
        &mut self,
        place: &Place<'_>,
        name: &str,
        input: Shape,
        out: u64,
    ) -> Result<(Step, Shape), ShapeError> {
        let features = place.features(input)?;
        let initial = Initial::Uniform { fan_in: features };
        self.tensor(place, name, "weight", &[features, out], initial)?;
        self.tensor(place, name, "bias", &[out], Initial::Zeros)?;
        let step = Step::Linear { input: features as usize, out: out as usize };
        Ok((step, Shape::Features(out)))
    }

    fn conv2d(
        &mut self,
        place: &Place<'_>,
        name: &str,
        input: Shape,
        [out, kernel, stride, pad]: [u64; 4],
    ) -> Result<(Step, Shape), ShapeError> {
        let (channels, height, width) = place.image(input)?;
        let height = place.places(height, kernel, stride, pad)?;
        let width = place.places(width, kernel, stride, pad)?;
        let fan_in = channels.saturating_mul(kernel).saturating_mul(kernel);
        let dimensions = [out, channels, kernel, kernel];
        self.tensor(place, name, "weight", &dimensions, Initial::Uniform { fan_in })?;
        self.tensor(place, name, "bias", &[out], Initial::Zeros)?;
        let [kernel, stride, pad] = [kernel, stride, pad].map(|size| size as usize);
        let step =
            Step::Conv2d { input: channels as usize, out: out as usize, kernel, stride, pad };
        Ok((step, Shape::Image { channels: out, height, width }))
    }

    fn group_norm(
        &mut self,
        place: &Place<'_>,
        name: &str,
        input: Shape,
        groups: u64,
    ) -> Result<(Step, Shape), ShapeError> {
        let (Shape::Image { channels, .. } | Shape::Features(channels)) = input;
        if !channels.is_multiple_of(groups) {
            let expected = format!("channels that divide into {groups} equal groups");
            let help = format!("use a divisor of {channels} for groups");
            return Err(place.error(expected, format!("{channels} channels"), help));
        }
        if input.elements() / groups < 2 {
            let expected = "at least two numbers in a group";
            let help = "use fewer groups; one number alone is always normalised to zero";
            return Err(place.error(expected, format!("{input} in {groups} groups"), help));
        }
        self.scale_and_offset(place, name, channels)?;
        let (groups, channels) = (groups as usize, channels as usize);
        Ok((Step::GroupNorm { groups, channels }, input))
    }

    fn scale_and_offset(
        &mut self,
        place: &Place<'_>,
        name: &str,
        size: u64,
    ) -> Result<(), ShapeError> {
        self.tensor(place, name, "gamma", &[size], Initial::Ones)?;
        self.tensor(place, name, "beta", &[size], Initial::Zeros)
    }

    fn tensor(
        &mut self,
        place: &Place<'_>,
        name: &str,
        part: &str,
        dimensions: &[u64],
        initial: Initial,
    ) -> Result<(), ShapeError> {
        let tensor =
            Tensor { name: format!("{name}.{part}"), dimensions: dimensions.to_vec(), initial };
        self.parameters = self.parameters.saturating_add(tensor.elements());
        if self.parameters > PARAMETERS_MAX {
            let expected = format!("at most {PARAMETERS_MAX} parameters in the model");
            let got = format!("more with {} of {dimensions:?}", tensor.name);
            return Err(place.error(expected, got, "make the layer smaller"));
        }
        self.tensors.push(tensor);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
