//! A federation in one process: thousands of clients, one global model, flat memory.
//!
//! What is real: the training code and its seeds, the quantiser, the encryption, the machines of
//! coordinator, key holders and owners (`sealed`). What is not: processes, sockets, files and
//! clocks. Nothing is lost on the way, time passes only where a round waits for a deadline, and
//! nothing is stored. So the models are, bit for bit, those of the real programs with the same
//! plan, owners' keys and data.
//!
//! # Decisions
//! - Clients are trained one after another by a few threads. A client's examples, update and
//!   sealed update live only while it is at work: the coordinator's side checks a sealed update,
//!   adds it and lets it go, where the real one stores it until the set is agreed on. (Sums do not
//!   depend on the order. A client whose box is found bad afterwards ends the round, which no
//!   simulated client brings about.)
//! - Everything that is drawn follows from two seeds: the plan's (model, order of examples,
//!   rounding, holdout) and the simulation's (keys, who has which examples, who vanishes, who
//!   attacks).
//! - A client that vanishes has been offered the round and is never heard of again until the next.

mod attack;
mod boxes;
mod clear;
mod crew;
mod event;
mod holdings;
mod laboratory;
mod memory;
mod options;
mod partition;
mod run;
mod sealed;
mod variates;

pub use attack::{Attack, AttackKind, FreeRide, Memory};
pub use event::{Event, RoundSummary, Summary};
pub use laboratory::owner_key;
pub(crate) use laboratory::{file_failure, mock_examples, mock_source};
pub use options::{CLIENTS, Options};
pub use partition::Partition;
pub use run::{simulate, simulate_model};
