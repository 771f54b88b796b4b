//! Everything in the untrusted middle of Covey: it collects, adds and publishes ciphertexts, and
//! whatever it claims can be recomputed or is signed by others.
//!
//! From the network inwards:
//!
//! - [`session`], [`upload`]: one connection, one bulk stream; no decisions; [`allowance`]: how much
//!   one member may ask
//! - [`driver`]: the single writer; owns the round's machine, the journal, and who is connected
//! - [`summing`]: adds up the agreed set and opens the sum, on threads of its own
//! - [`run`]: the plan's rounds one after the other; [`learning`]: what they are for
//! - [`queue`]: runs that were submitted, one after the other; [`research`]: what researchers are
//!   served with; [`view`]: what goes on at this moment
//! - [`storage`]: journal, blobs, lock; [`room`]: whether the disk has enough of it
//! - [`coordinator`]: all of it started together; [`event`]: what it says while it works
//! - [`ledger`]: what all of it comes to, as entries that key holders cosign
//! - [`page`]: the published ledger, for everybody to see
//! - [`admin`]: health and [`metrics`], by HTTP at an address of its own; [`trace`]: spans of runs,
//!   rounds and phases
//! - [`backup`], [`restore`], [`migrate`]: what was recorded, taken elsewhere or to a newer format
//! - [`cli`], [`config`], [`setup`], [`doctor`], [`status`], [`published`]: the program around it

pub mod admin;
pub mod allowance;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod coordinator;
pub mod directing;
pub mod doctor;
pub mod driver;
pub mod event;
pub mod learning;
pub mod ledger;
pub mod measuring;
pub mod metrics;
pub mod migrate;
pub mod office;
pub mod page;
pub mod payout;
mod program;
pub mod published;
pub mod queue;
pub mod registrar;
pub mod research;
pub mod restore;
pub mod room;
pub mod run;
pub mod session;
pub mod setup;
pub mod status;
pub mod storage;
pub mod summing;
mod telemetry;
pub mod trace;
pub mod upload;
pub mod view;
pub mod weighing;

pub use coordinator::{Coordinator, Running};
pub use program::main;
