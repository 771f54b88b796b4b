//! SCAFFOLD's control variates of this owner, one for each run, on its own disk.
//!
//! c_i is the sum of the changes that were counted, and nothing else: a change is stored before
//! the update is (`<round>.change`), and added (`<run>.own`) only when the round's end says that
//! the contribution was counted. So the federation's variate stays the mean of the owners', in
//! whatever order rounds end, and through any crash: the file of a run names the change added
//! last, and what a crash left over is settled by the journal at the next start.
//!
//! A file that is lost counts as zero, as before the first round. Its last value stays in the
//! federation's variate, a bias of 1/N of it, until a new run begins. A file that is damaged is
//! told and not used.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::net::FileError;
use covey_aggregation::net::files;
use covey_aggregation::record::ParticipantRecord;
use covey_aggregation::wire;
use serde::{Deserialize, Serialize};

/// Largest file: eight bytes a parameter and a little more.
const FILE_BYTES_MAX: u64 = 16 << 30;

/// The folder of control variates.
#[derive(Clone, Debug)]
pub(crate) struct Variates(PathBuf);

/// c_i of a run.
#[derive(Serialize, Deserialize)]
struct Own {
    /// The round whose change was added last.
    last: Digest,
    values: Vec<f64>,
}

/// What a round changes, if it is counted.
#[derive(Serialize, Deserialize)]
struct Change {
    run: Digest,
    values: Vec<f64>,
}

impl Variates {
    /// The folder `path`, made if need be; settles what a crash left, by the journal's records.
    ///
    /// # Errors
    /// [`FileError`].
    pub(crate) fn open(path: &Path, records: &[ParticipantRecord]) -> Result<Self, FileError> {
        files::create_private_folder(path)?;
        let this = Self(path.to_owned());
        let mut fates = BTreeMap::new();
        for record in records {
            match record {
                ParticipantRecord::Sealed { round_ctx, .. } => fates.insert(*round_ctx, None),
                ParticipantRecord::Ended { round_ctx, counted } => {
                    fates.insert(*round_ctx, Some(*counted))
                }
                ParticipantRecord::Receipted { .. } => continue,
            };
        }
        // Added already, but not removed: before another one is added and takes the name's place.
        for round_ctx in this.changes()? {
            if this.is_added_last(&round_ctx)? {
                this.discard(&round_ctx)?;
            }
        }
        for round_ctx in this.changes()? {
            match fates.get(&round_ctx) {
                Some(None) => {} // not over
                Some(Some(true)) => this.counted(&round_ctx)?,
                // Not counted, or never sealed.
                Some(Some(false)) | None => this.discard(&round_ctx)?,
            }
        }
        Ok(this)
    }

    fn is_added_last(&self, round_ctx: &Digest) -> Result<bool, FileError> {
        let change = self.read::<Change>(&self.change_path(round_ctx))?;
        let Some(change) = change else { return Ok(false) };
        let own = self.read::<Own>(&self.own_path(&change.run))?;
        Ok(own.is_some_and(|own| own.last == *round_ctx))
    }

    /// Rounds with a change on the disk.
    fn changes(&self) -> Result<Vec<Digest>, FileError> {
        let failed = |source| FileError::Read { path: self.0.clone(), source };
        let mut rounds = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let round = name.to_str().and_then(|name| name.strip_suffix(".change"));
            rounds.extend(round.and_then(Digest::from_hex));
        }
        Ok(rounds)
    }

    /// c_i of a run, of a model of `parameters` parameters; zeros where there is no file.
    ///
    /// # Errors
    /// [`FileError`], also when the file is another model's.
    pub(crate) fn own(&self, run: &Digest, parameters: usize) -> Result<Vec<f64>, FileError> {
        let Some(own) = self.read::<Own>(&self.own_path(run))? else {
            return Ok(vec![0.0; parameters]);
        };
        let is_good = own.values.len() == parameters && own.values.iter().all(|x| x.is_finite());
        if is_good { Ok(own.values) } else { Err(self.damaged(run)) }
    }

    /// Stores what a round changes, before the update is stored.
    ///
    /// # Errors
    /// [`FileError::Write`].
    pub(crate) fn propose(
        &self,
        round_ctx: &Digest,
        run: &Digest,
        values: Vec<f64>,
    ) -> Result<(), FileError> {
        let change = Change { run: *run, values };
        files::write_durably(&self.change_path(round_ctx), &wire::encode(&change))
    }

    /// The round was counted: its change is added, once.
    ///
    /// # Errors
    /// [`FileError`]; it is tried again at the next start.
    pub(crate) fn counted(&self, round_ctx: &Digest) -> Result<(), FileError> {
        let Some(change) = self.read::<Change>(&self.change_path(round_ctx))? else {
            return Ok(());
        };
        let path = self.own_path(&change.run);
        let own = self.read::<Own>(&path)?;
        if own.as_ref().is_none_or(|own| own.last != *round_ctx) {
            let mut values = own.map_or_else(|| vec![0.0; change.values.len()], |own| own.values);
            if values.len() != change.values.len() {
                return Err(self.damaged(&change.run));
            }
            values.iter_mut().zip(&change.values).for_each(|(own, change)| *own += change);
            files::write_durably(&path, &wire::encode(&Own { last: *round_ctx, values }))?;
        }
        self.discard(round_ctx)
    }

    /// The round was not counted: its change never was.
    ///
    /// # Errors
    /// [`FileError::Write`].
    pub(crate) fn discard(&self, round_ctx: &Digest) -> Result<(), FileError> {
        files::remove_durably(&self.change_path(round_ctx))
    }

    fn read<T: Serialize + serde::de::DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<Option<T>, FileError> {
        if !path.exists() {
            return Ok(None);
        }
        let bytes = files::read(path, FILE_BYTES_MAX)?;
        let read = wire::decode(&bytes, bytes.len());
        read.map(Some).map_err(|error| FileError::content(path, error.to_string()))
    }

    fn damaged(&self, run: &Digest) -> FileError {
        let what = "is no control variate of this run; delete it to go on from zero";
        FileError::content(&self.own_path(run), what)
    }

    fn own_path(&self, run: &Digest) -> PathBuf {
        self.0.join(format!("{run}.own"))
    }

    fn change_path(&self, round_ctx: &Digest) -> PathBuf {
        self.0.join(format!("{round_ctx}.change"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Digest = Digest([1; 32]);

    fn round(number: u8) -> Digest {
        Digest([number; 32])
    }

    fn sealed(number: u8) -> ParticipantRecord {
        let (round_ctx, header) = (round(number), Digest::ZERO);
        ParticipantRecord::Sealed { run: RUN, round: number.into(), round_ctx, header }
    }

    fn ended(number: u8, counted: bool) -> ParticipantRecord {
        ParticipantRecord::Ended { round_ctx: round(number), counted }
    }

    #[test]
    fn only_what_was_counted_is_added_and_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let variates = Variates::open(folder.path(), &[]).expect("opened");
        assert_eq!(variates.own(&RUN, 2).expect("zeros"), [0.0, 0.0]);
        variates.propose(&round(1), &RUN, vec![0.5, -1.0]).expect("stored");
        variates.propose(&round(2), &RUN, vec![9.0, 9.0]).expect("stored");
        assert_eq!(variates.own(&RUN, 2).expect("still zeros"), [0.0, 0.0]);
        variates.counted(&round(1)).expect("added");
        variates.counted(&round(1)).expect("nothing to add");
        variates.discard(&round(2)).expect("gone");
        variates.counted(&round(2)).expect("nothing to add");
        assert_eq!(variates.own(&RUN, 2).expect("the change"), [0.5, -1.0]);
        variates.propose(&round(3), &RUN, vec![0.25, 0.0]).expect("stored");
        variates.counted(&round(3)).expect("added");
        assert_eq!(variates.own(&RUN, 2).expect("both"), [0.75, -1.0]);
        assert_eq!(variates.own(&round(7), 2).expect("another run"), [0.0, 0.0]);
    }

    /// A crash after the journal heard of the end and before the change was added, and one after
    /// that and before the change was removed.
    #[test]
    fn what_a_crash_left_is_settled_by_the_journal() {
        let folder = tempfile::tempdir().expect("a folder");
        let variates = Variates::open(folder.path(), &[]).expect("opened");
        for number in 1..=5 {
            variates.propose(&round(number), &RUN, vec![f64::from(number)]).expect("stored");
        }
        let kept = fs::read(variates.change_path(&round(1))).expect("read");
        variates.counted(&round(1)).expect("added");
        fs::write(variates.change_path(&round(1)), kept).expect("as if not removed");
        let records = [
            sealed(1),
            ended(1, true),
            sealed(2),
            ended(2, true),
            sealed(3),
            ended(3, false),
            sealed(4), // its end is not known yet; 5 was never sealed
        ];
        let variates = Variates::open(folder.path(), &records).expect("opened");
        assert_eq!(variates.own(&RUN, 1).expect("1 and 2"), [3.0]);
        assert_eq!(variates.changes().expect("listed"), [round(4)]);
        variates.counted(&round(4)).expect("added");
        assert_eq!(variates.own(&RUN, 1).expect("and 4"), [7.0]);
    }

    #[test]
    fn a_damaged_file_is_told_and_a_lost_one_is_zero() {
        let folder = tempfile::tempdir().expect("a folder");
        let variates = Variates::open(folder.path(), &[]).expect("opened");
        variates.propose(&round(1), &RUN, vec![1.0, 2.0]).expect("stored");
        variates.counted(&round(1)).expect("added");
        let refused = variates.own(&RUN, 3).expect_err("another model's");
        assert!(refused.to_string().contains("delete it to go on from zero"), "{refused}");
        let path = variates.own_path(&RUN);
        let good = fs::read(&path).expect("read");
        fs::write(&path, &good[..good.len() - 1]).expect("written");
        assert!(variates.own(&RUN, 2).is_err());
        fs::remove_file(&path).expect("lost");
        assert_eq!(variates.own(&RUN, 2).expect("zeros"), [0.0, 0.0]);
    }
}
