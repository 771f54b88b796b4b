//! The closed audit: every contribution is checked to be small and well-formed, and three numbers
//! of it are opened for credit, though nobody sees the update, its norm, or any projection of it.
//! `README.md` beside this crate has the argument; the machines of a round carry it out.
//!
//! In the order of a round:
//!
//! - [`terms`]: lengths and bounds, and the packing that leaves room for them
//! - [`beacon`], [`deal`], [`drawing`]: values that nobody foresees, by which everything random
//!   below is drawn; how holders come by their keys, and how a value is drawn
//! - [`rows`], [`projection`]: random linear forms, and what they make of a vector
//! - [`question`]: what is asked of the clients of one agreed set
//! - [`witness`], [`proof`]: what an owner keeps, and the proof that it makes of it
//! - [`list`]: the signed proofs of a round, fixed before anything is opened
//! - [`check`]: the random weights that batch all relations into one
//! - [`opening`], [`part`]: what holders answer, and how their answers are put together
//! - [`verdict`], [`rereading`]: who passes, and how the public values it needs are checked
//! - [`record`]: what is published of it, and the check that anybody can run
//! - [`direction`], [`estimate`], [`functions`]: public directions, and the public weights that make
//!   a number of an owner's projections
//! - [`comparison`]: fold and functions that one party computed, beside another's
//! - [`credit`], [`crediting`]: the three numbers, and what is published of them
//! - [`carry`], [`weighing`]: what noise did to the opened sum; what owners declare that they count

pub mod beacon;
pub mod carry;
pub mod check;
pub mod comparison;
pub mod credit;
pub mod crediting;
pub mod deal;
pub mod direction;
pub mod drawing;
mod element;
pub mod estimate;
pub mod functions;
mod lift;
pub mod list;
pub mod opening;
pub mod part;
mod polynomial;
pub mod projection;
pub mod proof;
pub mod question;
pub mod record;
pub mod rereading;
pub mod rows;
mod squares;
pub mod terms;
pub mod verdict;
pub mod weighing;
pub mod witness;

#[cfg(test)]
mod tests;

pub use element::Element;
pub use terms::Terms;
