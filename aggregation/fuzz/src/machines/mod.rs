//! The three machines as sequences of operations: good messages of a small federation, altered
//! ones, replays, in any order; time; records that become durable late, or never, because the
//! program is killed. What must hold is asserted while it happens, and at the end.
//! Driven by the fuzz targets, and by `tests/machines.rs`.
#![allow(unreachable_pub, reason = "also a module of a test")]

pub mod federation;
pub mod holder;
pub mod participant;
pub mod round;
pub mod seeds;

use std::fmt::Debug;
use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use covey_aggregation::wire;
use serde::Serialize;
use serde::de::DeserializeOwned;

static IS_PRINTED: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os("COVEY_FUZZ_PRINT").is_some());

/// Operations of one sequence; bounds its time.
const OPERATIONS_MAX: usize = 64;

/// The operations that the bytes spell; printed where `COVEY_FUZZ_PRINT` is set.
pub(crate) fn operations<'a, T: Arbitrary<'a> + Debug>(bytes: &'a [u8]) -> Vec<T> {
    let mut unstructured = Unstructured::new(bytes);
    let mut operations = Vec::new();
    while operations.len() < OPERATIONS_MAX && !unstructured.is_empty() {
        match T::arbitrary(&mut unstructured) {
            Ok(operation) => operations.push(operation),
            Err(_) => break,
        }
    }
    if *IS_PRINTED {
        operations.iter().for_each(|operation| eprintln!("{operation:?}"));
    }
    operations
}

/// A byte of a message changed, if that is a message.
pub(crate) fn altered<T: Serialize + DeserializeOwned>(
    message: &T,
    (at, change): (u16, u8),
) -> Option<T> {
    let mut bytes = wire::encode(message);
    let at = usize::from(at) % bytes.len();
    bytes[at] ^= change;
    wire::decode(&bytes, bytes.len()).ok()
}

/// Which of a few: bit i of `mask` tells of the i-th.
pub(crate) fn picked(mask: u8, among: usize) -> impl Iterator<Item = usize> {
    (0..among).filter(move |index| mask >> index & 1 == 1)
}

/// Records as a disk has them: those that are not durable are lost when the program is killed.
pub(crate) struct Disk<R> {
    pub(crate) durable: Vec<R>,
    pub(crate) waiting: Vec<R>,
}

impl<R> Default for Disk<R> {
    fn default() -> Self {
        Self { durable: Vec::new(), waiting: Vec::new() }
    }
}

impl<R> Disk<R> {
    /// Takes a record, which must be the next.
    pub(crate) fn append(&mut self, sequence: u64, record: R) {
        assert_eq!(sequence as usize, self.durable.len() + self.waiting.len(), "records in order");
        self.waiting.push(record);
    }

    /// Makes the first `count` that wait durable. Returns the place of the last durable one.
    pub(crate) fn store(&mut self, count: usize) -> Option<u64> {
        self.durable.extend(self.waiting.drain(..count.min(self.waiting.len())));
        (self.durable.len() as u64).checked_sub(1)
    }
}
