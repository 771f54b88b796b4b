//! Everything in the untrusted middle of Covey: it collects, adds and publishes ciphertexts, and
//! whatever it claims can be recomputed or is signed by others.

pub mod config;
pub mod failure;
pub mod storage;
