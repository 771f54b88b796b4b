//! The secure sum: many owners' integer vectors are added while encrypted, and only the sum of
//! one agreed set is ever opened. `README.md` beside this crate has the protocol step by step.
//!
//! From the owner's vector to the opened sum, one noun per file:
//!
//! - [`quantise`]: real numbers to integers of w bits
//! - [`seal`]: integers to a sealed update (uses `key`, `pad`, `pack`, [`share`], [`sealed_box`])
//! - [`contribution`]: the coordinator's check of an upload against its signed header
//! - [`accumulator`]: adding ciphertexts and corrections
//! - [`share`]: what a holder does: open boxes, complain, add key components
//! - [`open`]: from the holders' component sums to the opened aggregate

pub mod accumulator;
pub(crate) mod adjoint;
pub mod contribution;
mod fields;
mod gauss;
mod hygiene;
mod key;
mod mask;
pub(crate) mod modulus;
pub mod open;
pub(crate) mod pack;
pub(crate) mod pad;
pub mod path;
pub(crate) mod product;
pub mod quantise;
pub mod seal;
pub mod sealed_box;
pub mod share;
mod transform;
pub(crate) mod xof;

#[cfg(test)]
mod vectors;
