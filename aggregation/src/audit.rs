//! The closed audit: every contribution is checked to be small and well-formed, and three numbers
//! of it are opened for credit, though nobody sees the update, its norm, or any projection of it.
//! `README.md` beside this crate has the argument. Rounds do not carry it out yet: this is its
//! algebra, from the sealed update to the verdict and the numbers.
//!
//! In the order of a round:
//!
//! - [`terms`]: lengths and bounds, and the packing that leaves room for them
//! - [`beacon`]: values that nobody foresees, by which everything random below is drawn
//! - [`rows`], [`projection`]: random linear forms, and what they make of a vector
//! - [`question`]: what is asked of the clients of one agreed set
//! - [`witness`], [`proof`]: what an owner keeps, and the proof that it makes of it
//! - [`check`]: the random weights that batch all relations into one
//! - [`opening`]: what holders answer, how their answers are put together, and the verdict
//! - [`direction`], [`estimate`]: public directions, and the public weights that make a number of
//!   an owner's projections
//! - [`credit`]: the three numbers

pub mod beacon;
pub mod check;
pub mod credit;
pub mod direction;
mod element;
pub mod estimate;
mod lift;
pub mod opening;
mod polynomial;
pub mod projection;
pub mod proof;
pub mod question;
pub mod rows;
mod squares;
pub mod terms;
pub mod witness;

#[cfg(test)]
mod tests;

pub use element::Element;
pub use terms::Terms;
