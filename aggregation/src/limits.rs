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

/// Rounds whose envelopes a holder keeps in memory at once. Ten thousand contributions cost some
/// 3 MB each round; beyond this the oldest is forgotten and asked for again if it still lives.
pub const HOLDER_ROUNDS_MAX: usize = 16;

/// Rounds a client takes part in at once: each keeps a sealed update on its disk. An offer beyond
/// this is left unanswered, so that it is made again later.
pub const PARTICIPANT_ROUNDS_MAX: usize = 16;

/// Rounds of which a client remembers, until it restarts, that they ended before it had sealed: a
/// late offer of one of them is not taken up again.
pub const PARTICIPANT_ROUNDS_OVER_MAX: usize = 64;

/// Complaints a holder sends in one message, 162 bytes each: below [`FRAME_BYTES_MAX`]. Where
/// more boxes are bad, the holder votes for no set that holds one of the rest.
pub const COMPLAINTS_PER_MESSAGE_MAX: usize = 4096;

/// A publication, in bytes: 10,000 headers of a committee of seven (1.4 kB each) and the sums of
/// 200 million parameters (at most five bytes each) stay below it.
pub const PUBLICATION_BYTES_MAX: usize = 1 << 30;
