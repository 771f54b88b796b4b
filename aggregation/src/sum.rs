//! The secure sum.
