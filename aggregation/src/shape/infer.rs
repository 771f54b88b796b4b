//! Shape inference, layer by layer.

use crate::limits::{ACTIVATIONS_MAX, PARAMETERS_MAX, TENSORS_MAX};
use crate::plan::{Buffers, Goal, Layer, LayerKind, Window};

use super::{Blueprint, Initial, Kernel, Role, Shape, ShapeError, Step, Tensor};

/// Infers all shapes of `layers` over an example of shape `input`; the last layer must produce
/// what answers `goal`.
pub(crate) fn infer(layers: &[Layer], input: Shape, goal: Goal) -> Result<Blueprint, ShapeError> {
    let mut inference = Inference { tensors: Vec::new(), parameters: 0 };
    let (steps, shapes) = inference.layers(layers, input, "model.layers", "layers")?;
    let output = shapes.last().copied().unwrap_or(input);
    let answer = Shape::answer(goal, input);
    if output != answer
        && let Some((index, last)) = layers.iter().enumerate().next_back()
    {
        let place = Place { layer: last, path: format!("model.layers[{index}]") };
        let help = format!("end the model with {{ kind = \"linear\", out = {} }}", goal.outputs());
        let each = match goal {
            Goal::Class(_) => "one per class",
            Goal::Number => "the number that is predicted",
            Goal::NextToken(_) => "one feature per token at every step",
        };
        let expected = format!("{answer} as the model's output, {each}");
        return Err(place.error(expected, output.to_string(), help));
    }
    Ok(Blueprint { input, goal, steps, shapes, tensors: inference.tensors, adapter_scale: None })
}

/// A layer and its name, for errors.
pub(super) struct Place<'a> {
    layer: &'a Layer,
    path: String,
}

impl Place<'_> {
    pub(super) fn error(
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

    fn image(&self, input: Shape) -> Result<[u64; 3], ShapeError> {
        match input {
            Shape::Image { channels, height, width } => Ok([channels, height, width]),
            _ => {
                let help = "use it before any flatten, and only where data.kind = \"image\"";
                Err(self.error("an image", input.to_string(), help))
            }
        }
    }

    /// Steps and features of a sequence.
    pub(super) fn sequence(&self, input: Shape) -> Result<[u64; 2], ShapeError> {
        match input {
            Shape::Sequence { steps, features } => Ok([steps, features]),
            Shape::Tokens { .. } => Err(self.tokens("a sequence", input)),
            _ => {
                let help = "put { kind = \"sequence\", features = ... } before it";
                Err(self.error("a sequence", input.to_string(), help))
            }
        }
    }

    fn tokens(&self, expected: &str, input: Shape) -> ShapeError {
        let help = "put { kind = \"embedding\", out = 64 } before it";
        self.error(expected, input.to_string(), help)
    }

    /// Features of a row, or of every step.
    pub(super) fn features(&self, input: Shape) -> Result<u64, ShapeError> {
        match input {
            Shape::Features(features) | Shape::Sequence { features, .. } => Ok(features),
            Shape::Image { .. } => {
                let help = "put { kind = \"flatten\" } before it";
                Err(self.error("a row of features", input.to_string(), help))
            }
            Shape::Tokens { .. } => Err(self.tokens("a row of features", input)),
        }
    }

    /// Channels of whatever has some.
    fn channels(&self, input: Shape) -> Result<u64, ShapeError> {
        match input {
            Shape::Image { channels, .. } => Ok(channels),
            _ => self.features(input),
        }
    }

    fn numbers(&self, input: Shape) -> Result<(), ShapeError> {
        match input {
            Shape::Tokens { .. } => Err(self.tokens("numbers", input)),
            _ => Ok(()),
        }
    }

    /// Places of a window in `side` pixels or steps.
    fn places(&self, side: u64, window: &Window) -> Result<u64, ShapeError> {
        let Window { kernel, stride, pad } = *window;
        match (side + 2 * pad).checked_sub(kernel) {
            Some(rest) => Ok(rest / stride + 1),
            None => {
                let is_1d = matches!(
                    self.layer.kind,
                    LayerKind::Conv1d(..) | LayerKind::MaxPool1d(_) | LayerKind::AvgPool1d(_)
                );
                let what = if is_1d { "steps" } else { "pixels" };
                let expected = format!("at least {kernel} {what} for kernel = {kernel}");
                let help = "use a smaller kernel, more pad, or fewer pooling layers before it";
                Err(self.error(expected, format!("{side} {what} with pad = {pad}"), help))
            }
        }
    }

    fn over_steps(&self, input: Shape, window: &Window) -> Result<Shape, ShapeError> {
        let [steps, features] = self.sequence(input)?;
        Ok(Shape::Sequence { steps: self.places(steps, window)?, features })
    }

    fn over_pixels(&self, input: Shape, window: &Window) -> Result<Shape, ShapeError> {
        let [channels, height, width] = self.image(input)?;
        let (height, width) = (self.places(height, window)?, self.places(width, window)?);
        Ok(Shape::Image { channels, height, width })
    }
}

pub(super) struct Inference {
    tensors: Vec<Tensor>,
    parameters: u64,
}

pub(super) type Inferred = Result<(Step, Shape), ShapeError>;

impl Inference {
    fn layers(
        &mut self,
        layers: &[Layer],
        input: Shape,
        path: &str,
        name: &str,
    ) -> Result<(Vec<Step>, Vec<Shape>), ShapeError> {
        let (mut steps, mut shapes) = (Vec::with_capacity(layers.len()), Vec::new());
        for (index, layer) in layers.iter().enumerate() {
            let place = Place { layer, path: format!("{path}[{index}]") };
            let name = format!("{name}.{index}.{}", layer.kind.word());
            let shape = shapes.last().copied().unwrap_or(input);
            let (step, output) = self.layer(&place, &name, shape)?;
            if output.elements() > ACTIVATIONS_MAX {
                let expected = format!("at most {ACTIVATIONS_MAX} numbers per example");
                return Err(place.error(expected, output.to_string(), "make the layer smaller"));
            }
            shapes.push(output);
            steps.push(step);
        }
        Ok((steps, shapes))
    }

    fn layer(&mut self, place: &Place<'_>, name: &str, input: Shape) -> Inferred {
        Ok(match &place.layer.kind {
            LayerKind::Linear { out } => self.linear(place, name, input, *out)?,
            LayerKind::Conv1d(window, out) => self.conv1d(place, name, input, window, *out)?,
            LayerKind::Conv2d(window, out) => self.conv2d(place, name, input, window, *out)?,
            LayerKind::BatchNorm { buffers } => self.batch_norm(place, name, input, *buffers)?,
            LayerKind::GroupNorm { groups } => self.group_norm(place, name, input, *groups)?,
            LayerKind::LayerNorm => {
                let features = place.features(input)?;
                self.scale_and_offset(place, name, features)?;
                (Step::LayerNorm { features: features as usize }, input)
            }
            LayerKind::Embedding { out } => self.embedding(place, name, input, *out)?,
            LayerKind::Position => {
                let [steps, features] = place.sequence(input)?;
                let initial = Initial::Uniform { fan_in: features };
                self.tensor(place, name, "weight", &[steps, features], initial)?;
                let (steps, features) = (steps as usize, features as usize);
                (Step::Position { steps, features }, input)
            }
            LayerKind::Lstm(recurrent) => self.lstm(place, name, input, *recurrent)?,
            LayerKind::Gru(recurrent) => self.gru(place, name, input, *recurrent)?,
            LayerKind::Encoder { layers, heads, ff, causal, dropout } => {
                let sizes = [*layers, *heads, *ff];
                self.encoder(place, name, input, sizes, (*causal, *dropout))?
            }
            LayerKind::Residual { layers } => {
                let (path, name) = (format!("{}.layers", place.path), format!("{name}.layers"));
                let (steps, shapes) = self.layers(layers, input, &path, &name)?;
                let output = shapes.last().copied().unwrap_or(input);
                if output != input || matches!(input, Shape::Tokens { .. }) {
                    let expected = format!("its layers to give back {input}");
                    let help = "keep the shape inside a residual layer (conv2d with pad, no pool)";
                    return Err(place.error(expected, output.to_string(), help));
                }
                (Step::Residual { steps, shapes }, input)
            }
            _ => plain(place, input)?,
        })
    }

    fn linear(&mut self, place: &Place<'_>, name: &str, input: Shape, out: u64) -> Inferred {
        let features = place.features(input)?;
        self.dense(place, name, [features, out])?;
        let step = Step::Linear { input: features as usize, out: out as usize };
        let output = match input {
            Shape::Sequence { steps, .. } => Shape::Sequence { steps, features: out },
            _ => Shape::Features(out),
        };
        Ok((step, output))
    }

    fn conv1d(
        &mut self,
        place: &Place<'_>,
        name: &str,
        input: Shape,
        window: &Window,
        out: u64,
    ) -> Inferred {
        let [steps, features] = place.sequence(input)?;
        let steps = place.places(steps, window)?;
        let fan_in = features.saturating_mul(window.kernel);
        let dimensions = [out, features, window.kernel];
        self.tensor(place, name, "weight", &dimensions, Initial::Uniform { fan_in })?;
        self.tensor(place, name, "bias", &[out], Initial::Zeros)?;
        let step = Step::Conv1d(kernel(features, out, window));
        Ok((step, Shape::Sequence { steps, features: out }))
    }

    fn conv2d(
        &mut self,
        place: &Place<'_>,
        name: &str,
        input: Shape,
        window: &Window,
        out: u64,
    ) -> Inferred {
        let [channels, height, width] = place.image(input)?;
        let (height, width) = (place.places(height, window)?, place.places(width, window)?);
        let side = window.kernel;
        let fan_in = channels.saturating_mul(side).saturating_mul(side);
        let dimensions = [out, channels, side, side];
        self.tensor(place, name, "weight", &dimensions, Initial::Uniform { fan_in })?;
        self.tensor(place, name, "bias", &[out], Initial::Zeros)?;
        let step = Step::Conv2d(kernel(channels, out, window));
        Ok((step, Shape::Image { channels: out, height, width }))
    }

    fn batch_norm(
        &mut self,
        place: &Place<'_>,
        name: &str,
        input: Shape,
        buffers: Buffers,
    ) -> Inferred {
        let channels = place.channels(input)?;
        self.scale_and_offset(place, name, channels)?;
        if buffers == Buffers::Average {
            for (part, initial) in [("mean", Initial::Zeros), ("variance", Initial::Ones)] {
                self.tensor_of(place, name, part, &[channels], initial, Role::Buffer)?;
            }
        }
        Ok((Step::BatchNorm { channels: channels as usize, buffers }, input))
    }

    fn group_norm(&mut self, place: &Place<'_>, name: &str, input: Shape, groups: u64) -> Inferred {
        let channels = place.channels(input)?;
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

    fn embedding(&mut self, place: &Place<'_>, name: &str, input: Shape, out: u64) -> Inferred {
        let Shape::Tokens { steps, vocabulary } = input else {
            let help = "use it once, as the first layer, where data.kind = \"text\"";
            return Err(place.error("tokens", input.to_string(), help));
        };
        let initial = Initial::Uniform { fan_in: out };
        self.tensor(place, name, "weight", &[vocabulary, out], initial)?;
        let step = Step::Embedding { vocabulary: vocabulary as usize, out: out as usize };
        Ok((step, Shape::Sequence { steps, features: out }))
    }

    /// The tensors of `y = x W + b`.
    pub(super) fn dense(
        &mut self,
        place: &Place<'_>,
        name: &str,
        [input, out]: [u64; 2],
    ) -> Result<(), ShapeError> {
        let initial = Initial::Uniform { fan_in: input };
        self.tensor(place, name, "weight", &[input, out], initial)?;
        self.tensor(place, name, "bias", &[out], Initial::Zeros)
    }

    pub(super) fn scale_and_offset(
        &mut self,
        place: &Place<'_>,
        name: &str,
        size: u64,
    ) -> Result<(), ShapeError> {
        self.tensor(place, name, "gamma", &[size], Initial::Ones)?;
        self.tensor(place, name, "beta", &[size], Initial::Zeros)
    }

    pub(super) fn tensor(
        &mut self,
        place: &Place<'_>,
        name: &str,
        part: &str,
        dimensions: &[u64],
        initial: Initial,
    ) -> Result<(), ShapeError> {
        self.tensor_of(place, name, part, dimensions, initial, Role::Trained)
    }

    fn tensor_of(
        &mut self,
        place: &Place<'_>,
        name: &str,
        part: &str,
        dimensions: &[u64],
        initial: Initial,
        role: Role,
    ) -> Result<(), ShapeError> {
        let name = format!("{name}.{part}");
        let tensor = Tensor { name, dimensions: dimensions.to_vec(), initial, role };
        self.parameters = self.parameters.saturating_add(tensor.elements());
        if self.parameters > PARAMETERS_MAX {
            let expected = format!("at most {PARAMETERS_MAX} parameters in the model");
            let got = format!("more with {} of {dimensions:?}", tensor.name);
            return Err(place.error(expected, got, "make the layer smaller"));
        }
        if self.tensors.len() >= TENSORS_MAX {
            let expected = format!("at most {TENSORS_MAX} tensors in the model");
            return Err(place.error(expected, "more", "use fewer layers or blocks"));
        }
        self.tensors.push(tensor);
        Ok(())
    }
}

fn kernel(input: u64, out: u64, window: &Window) -> Kernel {
    let [input, out, kernel, stride, pad] =
        [input, out, window.kernel, window.stride, window.pad].map(|size| size as usize);
    Kernel { input, out, kernel, stride, pad }
}

/// Layers without parameters.
fn plain(place: &Place<'_>, input: Shape) -> Inferred {
    let sides = |window: &Window| (window.kernel as usize, window.stride as usize);
    Ok(match &place.layer.kind {
        LayerKind::MaxPool1d(window) => {
            let (kernel, stride) = sides(window);
            (Step::MaxPool1d { kernel, stride }, place.over_steps(input, window)?)
        }
        LayerKind::MaxPool2d(window) => {
            let (kernel, stride) = sides(window);
            (Step::MaxPool2d { kernel, stride }, place.over_pixels(input, window)?)
        }
        LayerKind::AvgPool1d(window) => {
            let (kernel, stride) = sides(window);
            (Step::AvgPool1d { kernel, stride }, place.over_steps(input, window)?)
        }
        LayerKind::AvgPool2d(window) => {
            let (kernel, stride) = sides(window);
            (Step::AvgPool2d { kernel, stride }, place.over_pixels(input, window)?)
        }
        LayerKind::AdaptiveAvgPool1d { out } => {
            let [_, features] = place.sequence(input)?;
            let step = Step::AdaptiveAvgPool1d { out: *out as usize };
            (step, Shape::Sequence { steps: *out, features })
        }
        LayerKind::AdaptiveAvgPool2d { out } => {
            let [channels, ..] = place.image(input)?;
            let step = Step::AdaptiveAvgPool2d { out: *out as usize };
            (step, Shape::Image { channels, height: *out, width: *out })
        }
        LayerKind::GlobalAvgPool => {
            let [channels, ..] = place.image(input)?;
            (Step::GlobalAvgPool, Shape::Features(channels))
        }
        LayerKind::Softmax => {
            place.features(input)?;
            (Step::Softmax, input)
        }
        LayerKind::Flatten => {
            place.numbers(input)?;
            (Step::Flatten, Shape::Features(input.elements()))
        }
        LayerKind::Sequence { features } => {
            place.numbers(input)?;
            let elements = input.elements();
            if !elements.is_multiple_of(*features) {
                let expected = format!("numbers that divide into steps of {features}");
                let help = format!("use a divisor of {elements} for features");
                return Err(place.error(expected, input.to_string(), help));
            }
            let step = Step::Sequence { features: *features as usize };
            (step, Shape::Sequence { steps: elements / features, features: *features })
        }
        LayerKind::LastStep => {
            let [_, features] = place.sequence(input)?;
            (Step::LastStep, Shape::Features(features))
        }
        LayerKind::MeanSteps => {
            let [_, features] = place.sequence(input)?;
            (Step::MeanSteps, Shape::Features(features))
        }
        kind => {
            place.numbers(input)?;
            (elementwise(kind), input)
        }
    })
}

/// Layers that take every number by itself.
fn elementwise(kind: &LayerKind) -> Step {
    match kind {
        LayerKind::Relu => Step::Relu,
        LayerKind::LeakyRelu { slope } => Step::LeakyRelu { slope: *slope },
        LayerKind::Gelu => Step::Gelu,
        LayerKind::Silu => Step::Silu,
        LayerKind::Tanh => Step::Tanh,
        LayerKind::Sigmoid => Step::Sigmoid,
        LayerKind::Dropout { p } => Step::Dropout { p: *p },
        other => unreachable!("{other} has been read before"),
    }
}
