//! Bytes of the updates that were sealed for sending on the present day of UTC, durably, so that a
//! client that is started again does not count from zero.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use covey_aggregation::hash::Digest;
use covey_aggregation::net::{FileError, files};
use covey_aggregation::time::Time;
use serde::{Deserialize, Serialize};

/// The file in the state folder.
const SENT_FILE: &str = "sent.json";

/// The file, in bytes: a hundred for each round of a day.
const SENT_BYTES_MAX: u64 = 16 << 20;

const DAY_MS: u64 = 24 * 3600 * 1000;

/// What was sealed on a day. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sent {
    path: PathBuf,
    day: Arc<Mutex<Day>>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Day {
    /// Days since 1970.
    day: u64,
    /// Bytes by round, the latest where a round was sealed twice.
    bytes: BTreeMap<String, u64>,
}

impl Sent {
    /// Of this state folder.
    ///
    /// # Errors
    /// [`FileError`].
    pub(crate) fn open(state: &Path) -> Result<Self, FileError> {
        let path = state.join(SENT_FILE);
        let day = match files::read(&path, SENT_BYTES_MAX) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let what = format!(
                    "{error}; restore it, or delete it: then what was sent today counts as nothing"
                );
                FileError::content(&path, what)
            })?,
            Err(FileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Day::default()
            }
            Err(error) => return Err(error),
        };
        Ok(Self { path, day: Arc::new(Mutex::new(day)) })
    }

    /// Bytes of all rounds but this one that were sealed on the day of `now`.
    pub(crate) fn others_on(&self, now: Time, round_ctx: &Digest) -> u64 {
        let day = self.lock();
        if day.day != now.0 / DAY_MS {
            return 0;
        }
        let round = round_ctx.to_string();
        let others = day.bytes.iter().filter(|(other, _)| **other != round);
        others.fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }

    /// Adds what is about to be sealed for a round.
    ///
    /// # Errors
    /// [`FileError::Write`]; then it is not added.
    pub(crate) fn add(&self, now: Time, round_ctx: &Digest, bytes: u64) -> Result<(), FileError> {
        let mut held = self.lock();
        let mut day = held.clone();
        if day.day != now.0 / DAY_MS {
            day = Day { day: now.0 / DAY_MS, bytes: BTreeMap::new() };
        }
        day.bytes.insert(round_ctx.to_string(), bytes);
        let text = serde_json::to_vec(&day)
            .map_err(|error| FileError::content(&self.path, error.to_string()))?;
        files::write_durably(&self.path, &text)?;
        *held = day;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Day> {
        self.day.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_counted_across_a_restart_and_ends_at_midnight() {
        let folder = tempfile::tempdir().expect("a folder");
        let sent = Sent::open(folder.path()).expect("opened");
        let (one, two) = (Digest([1; 32]), Digest([2; 32]));
        let now = Time(5 * DAY_MS + 10);
        assert_eq!(sent.others_on(now, &one), 0);
        sent.add(now, &one, 100).expect("added");
        sent.add(now, &one, 100).expect("added");
        let sent = Sent::open(folder.path()).expect("opened");
        assert_eq!((sent.others_on(now, &one), sent.others_on(now, &two)), (0, 100));
        let midnight = Time(6 * DAY_MS);
        assert_eq!(sent.others_on(Time(midnight.0 - 1), &two), 100);
        assert_eq!(sent.others_on(midnight, &two), 0);
        sent.add(midnight, &two, 7).expect("added");
        assert_eq!(sent.others_on(midnight, &one), 7);
    }
}
