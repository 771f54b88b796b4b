//! The shapes of a model: every layer says only what it produces, and what it takes follows from
//! the layers before it. A plan whose layers do not fit together is refused where it is read,
//! before any training, on any machine; and everybody knows how many parameters travel.

mod adapt;
mod infer;
mod recurrent;
mod step;

use std::fmt;

use crate::plan::{Data, Goal};

pub use adapt::NoSuchWeight;
pub(crate) use infer::infer;
pub use step::{Kernel, Step};

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
    /// Steps, each a row of numbers.
    Sequence {
        /// Steps.
        steps: u64,
        /// Numbers of a step.
        features: u64,
    },
    /// Steps, each a token.
    Tokens {
        /// Steps.
        steps: u64,
        /// Different tokens that there are.
        vocabulary: u64,
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
            Data::Tabular(tabular) => Self::Features(tabular.features()),
            Data::Text(text) => {
                Self::Tokens { steps: text.context.into(), vocabulary: text.vocabulary() as u64 }
            }
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
            Self::Sequence { steps, features } => steps.saturating_mul(features),
            Self::Tokens { steps, .. } => steps,
        }
    }

    /// What a model that answers `goal` about an example of shape `input` must produce.
    const fn answer(goal: Goal, input: Self) -> Self {
        match (goal, input) {
            (Goal::NextToken(features), Self::Tokens { steps, .. }) => {
                Self::Sequence { steps, features }
            }
            _ => Self::Features(goal.outputs()),
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
            Self::Sequence { steps, features } => {
                write!(f, "a sequence of {steps} steps of {features} features")
            }
            Self::Tokens { steps, vocabulary } => {
                write!(f, "{steps} tokens, each one of {vocabulary}")
            }
        }
    }
}

/// A layer that does not fit the ones before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} ({kind}): expected {expected}, got {got}")]
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

/// How a tensor of parameters begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initial {
    /// Uniform in `+-sqrt(1 / fan_in)`.
    Uniform {
        /// Numbers that one output adds up.
        fan_in: u64,
    },
    /// All ones.
    Ones,
    /// All zeros.
    Zeros,
}

/// What becomes of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Gradients change it; it travels.
    Trained,
    /// Averages over the data change it; it travels.
    Buffer,
    /// Nothing changes it, and it does not travel: the base of a model with adapters.
    Fixed,
}

/// One tensor of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name, such as `layers.0.conv2d.weight`.
    pub name: String,
    /// Its sizes, outermost first.
    pub dimensions: Vec<u64>,
    /// How it begins.
    pub initial: Initial,
    /// What becomes of it.
    pub role: Role,
}

impl Tensor {
    /// Its numbers, at most `u64::MAX`.
    #[must_use]
    pub fn elements(&self) -> u64 {
        self.dimensions.iter().fold(1, |product: u64, size| product.saturating_mul(*size))
    }
}

/// A model whose shapes fit together.
#[derive(Clone, Debug, PartialEq)]
pub struct Blueprint {
    /// One example.
    pub input: Shape,
    /// What the model answers.
    pub goal: Goal,
    /// What is computed, one after the other.
    pub steps: Vec<Step>,
    /// What each of them produces.
    pub shapes: Vec<Shape>,
    /// The tensors in the order of the steps.
    pub tensors: Vec<Tensor>,
    /// What adapters are multiplied by, where there are any.
    pub adapter_scale: Option<f64>,
}

impl Blueprint {
    /// The tensors that travel, in the order of the flat vector.
    pub fn travelling(&self) -> impl Iterator<Item = &Tensor> {
        self.tensors.iter().filter(|tensor| tensor.role != Role::Fixed)
    }

    /// Numbers that travel: the length of the flat parameter vector.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.travelling().map(Tensor::elements).sum()
    }
}

#[cfg(test)]
mod tests;
