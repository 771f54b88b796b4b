//! Limits of what this crate reads, each with its unit and its reason.

/// Bytes of a data file after decompression. Everything is held in memory; and a small
/// compressed file must not become an endless one.
pub const DATA_BYTES_MAX: u64 = 8 << 30;

/// Examples of a data set. Keeps example numbers and weights inside a `u32`.
pub const EXAMPLES_MAX: usize = 1 << 30;

/// Numbers (`f32`) of a data set: 16 GiB of memory.
pub const DATASET_NUMBERS_MAX: usize = 1 << 32;

/// Examples of one step of evaluation; has no effect on the result but its rounding.
pub const EVALUATION_BATCH: usize = 256;

/// Draws of a Dirichlet split until every part is large enough.
pub const SPLIT_ATTEMPTS_MAX: u32 = 1000;
