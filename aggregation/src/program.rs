//! What the programs have in common beside the network: how they read their configuration, keep
//! their records, stop, answer and fail. Part of feature `net`; the machines know nothing of it.
//!
//! - [`exit`], [`answer`]: exit codes, and answers for people and for other programs
//! - [`config`]: configuration files
//! - [`state`], [`journal`]: one running program per state folder, and its durable records
//! - [`enrol`]: how a member's keys are born
//! - [`mod@line`], [`linked`]: a link that comes back, and what it travels by
//! - [`credits`]: what is published of credits, as it lies in a folder
//! - [`published`]: what a coordinator publishes, as it lies in a folder
//! - [`doctor`]: what a person would have to put right before a program starts
//! - [`service`]: a program as a service of systemd
//! - [`room`]: room on a disk
//! - [`stop`]: once drains, twice stops
//! - [`clock`]: the only place that asks what time it is

pub mod answer;
pub mod clock;
pub mod config;
pub mod credits;
pub mod desk;
pub mod doctor;
pub mod enrol;
pub mod exit;
pub mod joining;
pub mod journal;
pub mod line;
pub mod linked;
pub mod published;
pub mod renewal;
pub mod room;
pub mod rosters;
pub mod service;
pub mod state;
pub mod stop;
pub mod words;

pub use answer::{Failure, Format};
pub use exit::Exit;
pub use journal::Journal;
pub use state::StateFolder;
pub use stop::{Signal, Stop};
