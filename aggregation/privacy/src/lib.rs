//! Differential privacy for Covey: noise that is exact, and what it buys.
//!
//! Noise, in integers:
//! - [`variance`]: how much noise, as a fraction, and each client's share of it
//! - [`bound`]: what it may come to, so that sums do not wrap
//! - [`gaussian`]: the discrete Gaussian, drawn exactly; of `laplace` draws and [`bernoulli`] coins
//!
//! Accounts, always rounded up:
//! - [`event`]: what a round does; [`distributed`]: a sum of noise shares
//! - [`rdp`]: Renyi-DP, for every event; [`pld`]: losses themselves, tighter, for sampled Gaussians
//! - [`spent`]: events over rounds and runs; [`budget`]: whether one more may happen
//! - [`delta`]: with what probability a guarantee may fail
//!
//! Pure: no clock, file or network, and no randomness but what is passed in. The same question has
//! the same answer on every machine that computes in IEEE 754 (`libm`, no fused operations).

pub mod bernoulli;
pub mod bound;
pub mod budget;
#[cfg(test)]
mod chi_square;
pub mod delta;
pub mod distributed;
pub mod event;
mod exact;
pub mod gaussian;
mod laplace;
mod normal;
pub mod pld;
pub mod rdp;
pub mod spent;
mod uniform;
pub mod variance;
