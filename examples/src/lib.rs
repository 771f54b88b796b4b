//! What the experiments of this folder have in common. Each is a program of its own in `src/bin`;
//! training is that of `covey-client sim` and of `covey-model`.
//!
//! - [`federation`]: a plan trained by several owners, added up in the clear
//! - [`pooled`]: the same plan trained by one owner who has everything
//! - [`variant`]: a plan with some fields set otherwise
//! - [`digits`], [`hospitals`], [`play`]: data, and how they are divided
//! - [`search`]: the best setting of a method, with as many tries as any other
//! - [`statistics`]: means and deviations

pub mod digits;
pub mod federation;
pub mod hospitals;
pub mod play;
pub mod pooled;
pub mod search;
pub mod statistics;
pub mod variant;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::ExitCode;

use covey_aggregation::program::{Exit, Failure, Format};

/// The plans of `examples/plans` that experiments train.
pub mod plans {
    /// Convolutional network for digits.
    pub const DIGITS_CNN: &str = include_str!("../plans/digits-cnn.toml");
    /// Two linear layers for digits.
    pub const DIGITS_MLP: &str = include_str!("../plans/digits-mlp.toml");
    /// Two linear layers for records of hearts.
    pub const HEART_MLP: &str = include_str!("../plans/heart-mlp.toml");
    /// Small LSTM over characters.
    pub const ROLES_LSTM: &str = include_str!("../plans/roles-lstm.toml");
    /// Small causal transformer over characters.
    pub const ROLES_TRANSFORMER: &str = include_str!("../plans/roles-transformer.toml");
}

/// How an experiment's program ends: 0, or with the failure's code after it is told.
#[must_use]
pub fn end(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => Format::Text.fail(&failure).into(),
    }
}

/// The text of a file of data that does not ship with this project; `help` says where it is from.
///
/// # Errors
/// [`Failure`] with [`Exit::BadInput`] when it cannot be read.
pub fn read_data(path: &Path, help: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let what = format!("{}: {error}", path.display());
        Failure::new(Exit::BadInput, "NO_DATA", what).with_help(help)
    })
}

/// A port of loopback that was free a moment ago, for both UDP and TCP.
///
/// # Errors
/// As the system.
pub fn free_address() -> io::Result<SocketAddr> {
    loop {
        let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
}

/// Writes a file of an experiment's temporary folder.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::new(Exit::Failed, "FILE", format!("{}: {error}", path.display())))
}

/// A failure of training or measuring.
#[must_use]
pub fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, "TRAINING", error)
}
