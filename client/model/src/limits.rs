//! Limits of what this crate reads, each with its unit and its reason.

/// Bytes of a data file after decompression. Everything is held in memory; and a small
/// compressed file must not become an endless one.
pub const DATA_BYTES_MAX: u64 = 8 << 30;

/// Examples of a data set. Keeps example numbers and weights inside a `u32`.
pub const EXAMPLES_MAX: usize = 1 << 30;

/// Numbers (`f32`) of a data set: 16 GiB of memory.
pub const DATASET_NUMBERS_MAX: usize = 1 << 32;

/// Examples of one step of evaluation. The result hangs on it by its rounding, and where batchnorms
/// keep no averages (`buffers = "local"`): those are estimated batch by batch.
pub const EVALUATION_BATCH: usize = 256;

/// Draws of a Dirichlet split until every part is large enough.
pub const SPLIT_ATTEMPTS_MAX: u32 = 1000;

/// Bytes of memory of a data set where the system does not tell how much is free.
pub const DATASET_BYTES_MAX: u64 = 4 << 30;

/// Bytes of one record of a text table: more than any row of images, and a bound where a quote is
/// never closed.
pub const CSV_RECORD_BYTES_MAX: usize = 64 << 20;

/// Bytes of the header of a `.npy` file, which names a type and a few sizes.
pub const NPY_HEADER_BYTES_MAX: usize = 64 * 1024;

/// Bytes of the header of a safetensors file: a few hundred for each tensor.
pub const SAFETENSORS_HEADER_BYTES_MAX: u64 = 16 << 20;

/// Sizes of an array: examples, height, width, channels, and some to say clearly that there are
/// too many.
pub const ARRAY_DIMENSIONS_MAX: usize = 16;

/// Bytes of one picture file.
pub const IMAGE_FILE_BYTES_MAX: u64 = 64 << 20;

/// Height or width of a picture file in pixels, before it is scaled.
pub const IMAGE_FILE_SIDE_MAX: u32 = 16_384;

/// Bytes that decoding one picture may take: a small file can claim to be a huge picture.
pub const IMAGE_DECODED_BYTES_MAX: u64 = 256 << 20;

/// Windows of one stretch of text that is held out or trained on as a whole: the boundary of a
/// stretch costs half a window on average.
pub const HOLDOUT_STRETCH_WINDOWS: usize = 16;

/// Rows of a table that a preview looks at.
pub const PREVIEW_ROWS_MAX: u64 = 100_000;

/// Tokens of one step of evaluation.
pub const EVALUATION_TOKENS: usize = 16_384;

/// Scores that are kept to rank examples by: 1 GiB of memory.
pub const RANKED_SCORES_MAX: usize = 1 << 26;
