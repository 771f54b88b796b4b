//! The owner's log of everything that this client sends: written and flushed to the disk before it
//! leaves, by the one place that sends. What has no entry has not left.
//!
//! - [`entry`]: an entry, as a line of JSON that carries the hash of the one before
//! - `naming`: what kind of message some bytes are, read off the bytes themselves
//! - [`log`]: the log being written
//! - [`chain`]: the log being read and checked
//! - [`report`]: what people are shown of it
//!
//! An entry is for a whole frame of a control stream or a bulk stream, or for all the bytes of one
//! contribution by the hash of all of them; it says what is about to leave, so a link that is lost
//! may have carried less. The handshake (with the member's certificate), the code that a link is
//! closed with, and the packets of QUIC are not in it: no program writes into them. A researcher's
//! commands, which have no data, have no log.

pub mod chain;
pub mod entry;
pub mod log;
mod naming;
pub mod report;

pub use log::OutboundLog;

/// The log's folder, in the state folder.
pub const FOLDER: &str = "audit";

/// A file that has grown so large is followed by another one: a few megabytes are read in no time.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Files kept; before another one is begun the oldest is removed, and an entry says so. 256 MiB are
/// about half a million messages: eighteen days of asking every three seconds how a round has ended,
/// which is most of what a client says.
pub const FILES_MAX: usize = 64;

/// Bytes of an entry at most; names, addresses and hashes are all short.
pub const LINE_BYTES_MAX: u64 = 4096;
