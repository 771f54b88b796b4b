//! *What is true* in Covey: the pure core of a federation in which nobody has to be trusted
//! with the data. No clock, socket, file, thread or ambient randomness in here (feature `net`
//! aside, which is the shared QUIC transport).
//!
//! Read in this order; bytes flow one way: bytes -> parsed message -> machine -> effects -> bytes.
//!
//! - [`limits`]: every size, count and rate, with its reason
//! - [`hash`], [`signing`], [`wire`]: digests with domains, signatures with context, strict encoding
//! - [`party`], [`roster`]: who there is; the pinned list of a federation's members
//! - [`plan`]: what a researcher asks for, as data
//! - [`shape`]: what a plan's layers produce, and which parameters they have
//! - [`config`]: exactly one round's terms, countersigned by the key holders
//! - [`sum`]: the secure sum itself
//! - [`audit`]: what checks contributions that nobody sees, and opens credit's numbers
//! - [`message`], [`record`]: what travels, and what a machine remembers
//! - [`round`], [`participant`], [`holder`]: the three machines of a round
//! - [`strategy`], [`evaluation`], [`stop`]: from an opened aggregate to the next model, to what
//!   it is worth, and to the end of a run
//! - [`credit`]: from a round's evidence to what each owner is credited
//! - [`publication`]: what is published of a round, and the check anybody can run
//! - [`research`]: what a researcher and a coordinator say about runs
//! - `net` (feature): QUIC connections, framing, identity
//! - `program` (feature `net`): what else the programs have in common

pub mod audit;
pub mod config;
pub mod credit;
pub mod evaluation;
#[cfg(test)]
mod fixture;
pub mod hash;
pub mod holder;
pub mod limits;
pub mod message;
#[cfg(feature = "net")]
pub mod net;
pub mod participant;
pub mod party;
pub mod plan;
#[cfg(feature = "net")]
pub mod program;
pub mod publication;
pub mod record;
pub mod research;
pub mod roster;
pub mod round;
pub mod shape;
pub mod signing;
pub mod stop;
pub mod strategy;
pub mod sum;
pub mod time;
pub mod wire;
