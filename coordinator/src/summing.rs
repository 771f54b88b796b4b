//! Adds up the stored contributions of the agreed set and opens the sum, on threads of its own.
//! Contributions stream from the disk chunk by chunk; memory is one accumulator per round and a
//! few chunks per thread, however many contributions there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use covey_aggregation::config::RoundConfig;
use covey_aggregation::hash::{Digest, Domain, chunk_leaf, hash, merkle_root};
use covey_aggregation::limits::PUBLICATION_BYTES_MAX;
use covey_aggregation::message::SignedHeader;
use covey_aggregation::round::{OpenFailure, Opened};
use covey_aggregation::sum::accumulator::{Accumulator, Strip};
use covey_aggregation::sum::open::{Aggregate, KeySum, Summands, open_with_rest};
use covey_aggregation::wire;

use crate::storage::StorageError;
use crate::storage::blobs::{Blobs, StoredContribution};

/// Names of a round's results on disk.
pub const KEY_SUM: &str = "key-sum";
/// See [`KEY_SUM`]; the sums of everything behind the vectors.
pub const REST: &str = "rest";
/// See [`KEY_SUM`].
pub const AGGREGATE: &str = "aggregate";

/// Contributions that a thread reads side by side: enough to make reading and writing the sums
/// cheap beside reading the contributions, few enough to hold a chunk of each in the cache.
const CONTRIBUTIONS_AT_ONCE: usize = 8;

/// A sum that was not opened.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    /// It cannot be stored. Nothing is lost: it is opened again at the next start.
    #[error(transparent)]
    Unstored(#[from] StorageError),
    /// It cannot be opened at all, by who is at fault.
    #[error(transparent)]
    Failed(#[from] OpenFailure),
}

/// What is to be opened.
pub struct Opening {
    /// The round's terms.
    pub config: Arc<RoundConfig>,
    /// `round_ctx`.
    pub context: Digest,
    /// U, in order.
    pub set: Arc<[SignedHeader]>,
    /// R_T for every component, in canonical order.
    pub components: Vec<Vec<u8>>,
    /// How many contributions that is, and of what weight.
    pub summands: Summands,
    /// Where the contributions are.
    pub blobs: Arc<Blobs>,
    /// Most threads.
    pub threads: usize,
    /// Set when nobody wants the result any more.
    pub cancelled: Arc<AtomicBool>,
}

impl Opening {
    /// Adds, recovers the sum of the keys, opens, and stores both results durably.
    ///
    /// # Errors
    /// [`Unopened`], by who is at fault: some contribution, or this machine.
    pub fn run(&self) -> Result<Opened, Unopened> {
        let times = self.config.multiplicities(self.set.iter().map(|one| one.header.client));
        let count = self.summands.count;
        let accumulator = self.add_all(&times)?;
        let spoiled = |why: &dyn std::fmt::Display| OpenFailure::Spoiled(why.to_string());
        let key_sum = KeySum::recover(&self.config, &accumulator, &self.components, count)
            .map_err(|error| spoiled(&error))?;
        let (aggregate, rest) =
            open_with_rest(&self.config, &self.context, &accumulator, &key_sum, self.summands)
                .map_err(|error| spoiled(&error))?;
        let round = self.config.round;
        let store = |name, bytes: &[u8]| self.blobs.put_result(round, name, bytes);
        store(KEY_SUM, &key_sum.to_bytes())?;
        store(REST, &wire::encode(&rest))?;
        store(AGGREGATE, &wire::encode(&aggregate))?;
        Ok(Opened {
            aggregate: aggregate.digest(),
            key_sum: key_sum.digest(),
            count: aggregate.count,
            weight: aggregate.weight,
        })
    }

    /// One accumulator, whatever the number of contributions; each thread adds its own chunks of
    /// all of them, of each as often as it counts (`times`). What is added is compared with what was
    /// signed for: it was checked when it came, but a disk may give other bytes since.
    fn add_all(&self, times: &[u32]) -> Result<Accumulator, OpenFailure> {
        let mut sum = Accumulator::new(&self.config).map_err(|error| unavailable(&error))?;
        let all: Vec<(&SignedHeader, u32)> = self.set.iter().zip(times.iter().copied()).collect();
        for (header, times) in &all {
            let stored = self.stored(header);
            let correction = stored.correction().map_err(|error| unavailable(&error))?;
            if hash(Domain::Correction, &[&correction]) != header.header.correction {
                return Err(changed(&stored));
            }
            let added = sum.add_correction_times(&correction, *times);
            added.map_err(|error| unavailable(&error))?;
        }
        let mut strips = sum.strips(self.threads);
        for some in all.chunks(CONTRIBUTIONS_AT_ONCE) {
            let parts: Vec<_> = thread::scope(|scope| {
                let running: Vec<_> = (strips.iter_mut())
                    .map(|strip| scope.spawn(move || self.add(strip, some)))
                    .collect();
                running.into_iter().map(thread::ScopedJoinHandle::join).collect()
            });
            let mut leaves = vec![Vec::new(); some.len()];
            for part in parts {
                let died = |_| OpenFailure::Unavailable("a worker died".to_owned());
                let part: Vec<Vec<Digest>> = part.map_err(died)??;
                leaves.iter_mut().zip(part).for_each(|(all, part)| all.extend(part));
            }
            for ((header, _), leaves) in some.iter().zip(&leaves) {
                if merkle_root(leaves) != header.header.chunks_root {
                    return Err(changed(&self.stored(header)));
                }
            }
        }
        drop(strips);
        Ok(sum)
    }

    fn stored(&self, header: &SignedHeader) -> StoredContribution {
        self.blobs.contribution(self.config.round, &header.header.digest())
    }

    /// Adds a strip of some contributions; the leaves of its chunks, for each of them.
    fn add(
        &self,
        strip: &mut Strip<'_>,
        some: &[(&SignedHeader, u32)],
    ) -> Result<Vec<Vec<Digest>>, OpenFailure> {
        let offset = u64::from(strip.chunks().start) * self.config.chunk_bytes(0) as u64;
        let readers = some.iter().map(|(header, _)| self.stored(header).chunks(offset));
        let mut readers =
            readers.collect::<Result<Vec<_>, _>>().map_err(|error| unavailable(&error))?;
        let mut buffers = vec![vec![0; self.config.chunk_bytes(0)]; some.len()];
        let mut leaves = vec![Vec::with_capacity(strip.chunks().len()); some.len()];
        for index in strip.chunks() {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(OpenFailure::Unavailable("the program is stopping".to_owned()));
            }
            let bytes = self.config.chunk_bytes(index);
            for ((reader, buffer), leaves) in readers.iter_mut().zip(&mut buffers).zip(&mut leaves)
            {
                let chunk = &mut buffer[..bytes];
                reader.next(chunk).map_err(|error| unavailable(&error))?;
                leaves.push(chunk_leaf(index, chunk));
            }
            let as_often = |(buffer, (_, times)): (_, &(_, u32))| {
                let buffer: &Vec<u8> = buffer;
                std::iter::repeat_n(&buffer[..bytes], *times as usize)
            };
            let chunks: Vec<&[u8]> = buffers.iter().zip(some).flat_map(as_often).collect();
            strip.add(index, &chunks).map_err(|error| unavailable(&error))?;
        }
        Ok(leaves)
    }
}

fn changed(stored: &StoredContribution) -> OpenFailure {
    unavailable(&stored.damaged("it is not what its owner signed for".to_owned()))
}

fn unavailable(error: &dyn std::fmt::Display) -> OpenFailure {
    OpenFailure::Unavailable(error.to_string())
}

/// Reads the stored aggregate of a round, which must be the one named by `digest`.
///
/// # Errors
/// [`StorageError`], also when it is not that one.
pub fn stored_aggregate(
    blobs: &Blobs,
    round: u32,
    digest: &Digest,
) -> Result<Aggregate, StorageError> {
    let bytes = blobs.result(round, AGGREGATE)?;
    wire::decode(&bytes, PUBLICATION_BYTES_MAX)
        .ok()
        .filter(|aggregate: &Aggregate| aggregate.digest() == *digest)
        .ok_or_else(|| StorageError::Damaged {
            path: blobs.result_path(round, AGGREGATE),
            what: "not the aggregate that the journal names".to_owned(),
        })
}
