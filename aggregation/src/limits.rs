//! Every limit of the protocol, with its unit and its reason. Nothing is computed elsewhere.

/// Contributions a round may sum. The key layer costs each holder work and bytes in proportion;
/// 10,000 is 2 s and 17 MB (design note), beyond it another `key_layer` is due.
pub const CONTRIBUTIONS_MAX: u32 = 10_000;

/// Fewest contributions a round may be configured to open: with two, each owner could subtract
/// its own update and read the other's.
pub const CONTRIBUTIONS_FLOOR: u32 = 3;

/// Parameters of a model. Keeps every length of a contribution inside a `u32` of chunks.
pub const PARAMETERS_MAX: u64 = 1 << 32;

/// Quantisation width in bits, both ends included: one bit carries only signs, 16 fill a `u16`.
pub const QUANTISED_BITS_MIN: u8 = 2;
/// See [`QUANTISED_BITS_MIN`].
pub const QUANTISED_BITS_MAX: u8 = 16;

/// A control message of either direction, in bytes: the largest is a release of a committee of
/// seven (15 components of 51.2 kB), the rest leaves room for a set of 10,000 hashes.
pub const FRAME_BYTES_MAX: u32 = 1 << 20;

/// Envelopes sent to a holder in one message: 128 headers and boxes stay below
/// [`FRAME_BYTES_MAX`] with a committee of seven (2.2 kB each).
pub const ENVELOPES_PER_MESSAGE_MAX: usize = 128;

/// A plan, in bytes. Larger ones are data in disguise.
pub const PLAN_BYTES_MAX: u32 = 256 * 1024;

/// Bytes of a plan's purpose, which every owner is shown word for word.
pub const PURPOSE_BYTES_MAX: usize = 4096;

/// Rounds of a plan. Beyond it a plan should be renewed by its owners anyway.
pub const ROUNDS_MAX: u32 = 100_000;

/// Passes over an owner's data in one round. More is memorising, not averaging.
pub const LOCAL_EPOCHS_MAX: u32 = 1000;

/// Examples in one training step; bounds the memory of a step.
pub const BATCH_EXAMPLES_MAX: u32 = 65_536;

/// Layers of a model, those inside residual layers included.
pub const LAYERS_MAX: usize = 1024;

/// Residual layers inside residual layers. Bounds recursion.
pub const LAYER_DEPTH_MAX: usize = 16;

/// Any size of a layer (outputs, channels, kernel side). Keeps products inside a `u64`.
pub const LAYER_SIZE_MAX: u64 = 1 << 20;

/// Numbers that one layer may produce for one example; bounds what a plan can make an owner
/// allocate (256 MiB of `f32` per example at most).
pub const ACTIVATIONS_MAX: u64 = 1 << 26;

/// Height or width of an image in pixels.
pub const IMAGE_SIDE_MAX: u32 = 16_384;

/// Channels of an image.
pub const IMAGE_CHANNELS_MAX: u32 = 1024;

/// Columns that a plan reads of a table.
pub const COLUMNS_MAX: usize = 10_000;

/// Classes that a model tells apart, and values of a category column.
pub const CLASSES_MAX: usize = 10_000;

/// Bytes of a column's, category's or class's name.
pub const LABEL_BYTES_MAX: usize = 256;

/// Longest deadline of a phase, in milliseconds: 30 days.
pub const DEADLINE_MS_MAX: u64 = 30 * 24 * 3600 * 1000;

/// Errors told about one plan; a file with more of them is something else than a plan.
pub const PLAN_ERRORS_MAX: usize = 100;

/// Bytes of a member's name.
pub const NAME_BYTES_MAX: usize = 64;

/// Length of a message or reason in plain words that a peer may be told, in bytes.
pub const TEXT_BYTES_MAX: usize = 512;

/// Coordinates of value one at the end of every contribution; their opened sum must be the
/// number of contributions, which tells that a round was spoiled.
pub const SENTINELS: usize = 64;

/// Coordinates that carry an owner's example weight, little-endian digits of `bits` bits each.
pub const WEIGHT_DIGITS: usize = 4;

/// Largest example weight: fits four digits of the narrowest useful quantiser (2^(4*4)-1) and
/// keeps one owner from counting for everything.
pub const WEIGHT_MAX: u32 = 65_535;
