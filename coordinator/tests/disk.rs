//! Disks that fail, are full, or give back other bytes than they were given: a clear refusal or a
//! recovery, never a wrong answer. Runs are judged by what everybody has on disk at their end
//! (`processes/oracle.rs`), made-up updates by their exact sum.
//!
//! A sample is tried by default; every call, every transaction and every byte, in less than an hour on two
//! processors with nothing else to do, one test after another:
//!
//! ```sh
//! cargo build --release --workspace    # the tests run the programs that are there
//! TMPDIR=/dev/shm cargo test --release --workspace --test disk -- --ignored --nocapture --test-threads=1
//! ```
#![cfg(target_os = "linux")]

mod federation;
#[path = "processes/oracle.rs"]
mod oracle;
mod processes;

#[path = "disk/damaged.rs"]
mod damaged;
#[path = "disk/failing.rs"]
mod failing;
#[path = "disk/full.rs"]
mod full;
#[path = "disk/transactions.rs"]
mod transactions;
