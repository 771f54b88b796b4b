//! Examples between two layers.

use burn::tensor::{Int, Tensor};

/// Examples between two layers.
pub(super) enum Signal {
    /// `[batch, features]`.
    Features(Tensor<2>),
    /// `[batch, channels, height, width]`.
    Image(Tensor<4>),
    /// `[batch, steps, features]`.
    Sequence(Tensor<3>),
    /// `[batch, steps]`.
    Tokens(Tensor<2, Int>),
}

/// Why a signal of another kind cannot occur.
pub(super) const INFERRED: &str = "shape inference gives every layer the signal that it takes";

/// Applies the same function to any kind of numbers.
macro_rules! each {
    ($signal:expr, $x:ident => $result:expr) => {
        match $signal {
            Signal::Features($x) => Signal::Features($result),
            Signal::Image($x) => Signal::Image($result),
            Signal::Sequence($x) => Signal::Sequence($result),
            Signal::Tokens(_) => unreachable!("{}", $crate::model::signal::INFERRED),
        }
    };
}
pub(super) use each;

impl Signal {
    /// `[batch, features]`: of images channel by channel, of sequences step by step.
    pub(super) fn flatten(self) -> Tensor<2> {
        match self {
            Self::Features(x) => x,
            Self::Image(x) => x.flatten(1, 3),
            Self::Sequence(x) => x.flatten(1, 2),
            Self::Tokens(_) => unreachable!("{INFERRED}"),
        }
    }

    /// One row of outputs for each example, or for each step of each example.
    pub(super) fn into_outputs(self) -> Tensor<2> {
        match self {
            Self::Sequence(x) => x.flatten(0, 1),
            other => other.flatten(),
        }
    }

    pub(super) fn image(self) -> Tensor<4> {
        let Self::Image(x) = self else { unreachable!("{INFERRED}") };
        x
    }

    pub(super) fn sequence(self) -> Tensor<3> {
        let Self::Sequence(x) = self else { unreachable!("{INFERRED}") };
        x
    }

    pub(super) fn tokens(self) -> Tensor<2, Int> {
        let Self::Tokens(x) = self else { unreachable!("{INFERRED}") };
        x
    }

    pub(super) fn add(self, other: Self) -> Self {
        match (self, other) {
            (Self::Features(x), Self::Features(y)) => Self::Features(x + y),
            (Self::Image(x), Self::Image(y)) => Self::Image(x + y),
            (Self::Sequence(x), Self::Sequence(y)) => Self::Sequence(x + y),
            _ => unreachable!("{INFERRED}"),
        }
    }

    pub(super) fn copy(&self) -> Self {
        match self {
            Self::Features(x) => Self::Features(x.clone()),
            Self::Image(x) => Self::Image(x.clone()),
            Self::Sequence(x) => Self::Sequence(x.clone()),
            Self::Tokens(x) => Self::Tokens(x.clone()),
        }
    }
}
