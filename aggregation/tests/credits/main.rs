//! Laws of credits over random evidence, what a second implementation makes of the same, and cases.

#[path = "../vectors/reference/bytes.rs"]
#[allow(dead_code, reason = "also a module of the vectors")]
mod bytes;
#[path = "../vectors/reference/credits.rs"]
#[allow(dead_code, reason = "also a module of the vectors")]
mod reference;

mod alike;
mod epochs;
mod explained;
mod flags;
mod laws;
mod settled;
mod weights;
