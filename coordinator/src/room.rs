//! Room on the disk of the state folder: a round is begun only if it will not run out of it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use covey_aggregation::config::RoundConfig;
use covey_aggregation::program::room::free_bytes;
use covey_aggregation::sum::contribution::{box_bytes, correction_bytes};

/// So many times a round's need must be free: what it stores, and as much for what else is written
/// meanwhile (the journal's growth, the publication, another program's).
const ROUNDS_FREE: u64 = 2;

/// Below this nothing is promised to go well, whatever a round needs: SQLite's log alone takes as much
/// before it is folded back (1,000 pages of 4 KiB).
const FREE_BYTES_MIN: u64 = 4 << 20;

/// How much room there is, and how much is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Bytes free.
    pub free_bytes: u64,
    /// Bytes that should be.
    pub wanted_bytes: u64,
}

impl std::fmt::Display for Shortage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { free_bytes, wanted_bytes } = self;
        write!(
            f,
            "{:.1} MiB are free on the disk of the state folder, a round wants {:.1} MiB",
            mebibytes(*free_bytes),
            mebibytes(*wanted_bytes)
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people, with one decimal")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The room of a state folder.
#[derive(Debug)]
pub struct Room {
    state_dir: PathBuf,
    wanted_bytes: AtomicU64,
}

impl Room {
    /// Of this folder, for which nothing is wanted yet but the least.
    #[must_use]
    pub const fn of(state_dir: PathBuf) -> Self {
        Self { state_dir, wanted_bytes: AtomicU64::new(FREE_BYTES_MIN) }
    }

    /// Says that a round needs so many bytes.
    pub fn want(&self, round_bytes: u64) {
        let wanted = round_bytes.saturating_mul(ROUNDS_FREE).max(FREE_BYTES_MIN);
        self.wanted_bytes.store(wanted, Ordering::Relaxed);
    }

    /// What is missing of what is wanted, if anything. A system that does not tell has room.
    #[must_use]
    pub fn shortage(&self) -> Option<Shortage> {
        let free_bytes = free_bytes(&self.state_dir).ok().flatten()?;
        let wanted_bytes = self.wanted_bytes.load(Ordering::Relaxed);
        (free_bytes < wanted_bytes).then_some(Shortage { free_bytes, wanted_bytes })
    }
}

/// Bytes that a round of these terms stores of so many owners: their contributions, the opened sum, the
/// publication around it, and the next model.
#[must_use]
pub fn round_bytes(config: &RoundConfig, owners: usize) -> u64 {
    let chunks = (0..config.chunks()).map(|index| config.chunk_bytes(index) as u64);
    let boxes = (config.shape.members() * box_bytes(config)) as u64;
    let contribution = correction_bytes(config) as u64 + boxes + chunks.sum::<u64>();
    // Sums of 32 bits, stored and published; parameters of 32 bits; what a strategy keeps of each.
    let results = config.dimension.saturating_mul(4 + 4 + 4 + 8);
    contribution.saturating_mul(owners as u64).saturating_add(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_round_wants_is_twice_its_need_and_never_less_than_the_least() {
        let folder = tempfile::tempdir().expect("a folder");
        let room = Room::of(folder.path().to_owned());
        room.want(1);
        assert_eq!(room.wanted_bytes.load(Ordering::Relaxed), FREE_BYTES_MIN);
        room.want(u64::MAX / 4);
        let shortage = room.shortage().expect("no disk has that much");
        assert_eq!(shortage.wanted_bytes, u64::MAX / 4 * 2);
        assert!(shortage.free_bytes < shortage.wanted_bytes);
        assert!(shortage.to_string().contains("MiB are free on the disk of the state folder"));
    }
}
