//! Every run that was offered to this client, and what its owner said to it, in the state folder.
//!
//! The client writes `<run>.json` and `<run>.plan.toml`; the owner's commands write
//! `<run>.decision.json`, which a running client reads at every check. So each file has one
//! writer, and nothing has to be locked or started again.
//!
//! - [`offer`]: what was offered; [`decision`]: what the owner said
//! - [`commands`]: `covey-client runs`

pub mod commands;
pub mod decision;
pub mod offer;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::PLAN_BYTES_MAX;
use covey_aggregation::net::{FileError, files};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use decision::{Answer, Decision};
pub use offer::{Offer, Standing};

/// The folder in the state folder.
const RUNS_FOLDER: &str = "runs";

/// Runs without a decision that are kept: the oldest are forgotten, so that nobody can fill the
/// owner's disk with offers. A decision is never forgotten.
const UNDECIDED_RUNS_MAX: usize = 256;

/// A record, in bytes: a reason and some findings.
const RECORD_BYTES_MAX: u64 = 256 * 1024;

/// The folder of runs.
#[derive(Clone, Debug)]
pub struct Runs(PathBuf);

/// A run that cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The disk.
    #[error(transparent)]
    File(#[from] FileError),
    /// A run has one plan, and what the owner said to it holds for that plan.
    #[error("run {} was offered before with plan {}, now with {}", run.short(), before.short(), now.short())]
    OtherPlan {
        /// The run.
        run: Digest,
        /// The plan it was offered with.
        before: Digest,
        /// The plan it is offered with.
        now: Digest,
    },
}

impl Runs {
    /// The runs of a state folder, of which nothing need be there.
    #[must_use]
    pub fn of(state: &Path) -> Self {
        Self(state.join(RUNS_FOLDER))
    }

    /// Records an offer durably: anew, or in the place of what was recorded of its run. `plan` is
    /// the plan's text.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn record(&self, offer: &Offer, plan: &[u8]) -> Result<(), RecordError> {
        let mut offer = offer.clone();
        match self.offer(&offer.run)? {
            Some(before) if before.plan != offer.plan => {
                let (run, before, now) = (offer.run, before.plan, offer.plan);
                return Err(RecordError::OtherPlan { run, before, now });
            }
            Some(before) => {
                offer.first_round = before.first_round.min(offer.first_round);
                offer.first_offered = before.first_offered;
            }
            None => {
                files::create_private_folder(&self.0)?;
                self.forget_oldest()?;
                files::write_durably(&self.plan_path(&offer.run), plan)?;
            }
        }
        self.write(&self.offer_path(&offer.run), &offer)?;
        Ok(())
    }

    /// What was offered of a run.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn offer(&self, run: &Digest) -> Result<Option<Offer>, FileError> {
        read(&self.offer_path(run))
    }

    /// The text of a run's plan, whose digest is as recorded.
    ///
    /// # Errors
    /// [`FileError`], also when it is another plan's.
    pub fn plan(&self, offer: &Offer) -> Result<Vec<u8>, FileError> {
        let path = self.plan_path(&offer.run);
        let text = files::read(&path, PLAN_BYTES_MAX.into())?;
        if covey_aggregation::plan::Plan::digest(&text) == offer.plan {
            return Ok(text);
        }
        Err(FileError::content(&path, "not the plan that was offered"))
    }

    /// Where the text of a run's plan is.
    #[must_use]
    pub fn plan_path(&self, run: &Digest) -> PathBuf {
        self.0.join(format!("{run}.plan.toml"))
    }

    /// What the owner said to this plan of a run.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn decision(&self, run: &Digest, plan: &Digest) -> Result<Option<Decision>, FileError> {
        let decision: Option<Decision> = read(&self.decision_path(run))?;
        Ok(decision.filter(|decision| decision.plan == *plan))
    }

    /// Records durably what the owner says to a run; a running client acts on it by itself.
    ///
    /// # Errors
    /// [`FileError::Write`].
    pub fn decide(&self, run: &Digest, decision: &Decision) -> Result<(), FileError> {
        self.write(&self.decision_path(run), decision)
    }

    /// All offers, the latest first.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn all(&self) -> Result<Vec<Offer>, FileError> {
        let failed = |source| FileError::Read { path: self.0.clone(), source };
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut offers: Vec<Offer> = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let run = name.to_str().and_then(|name| name.strip_suffix(".json"));
            if let Some(run) = run.and_then(Digest::from_hex) {
                offers.extend(self.offer(&run)?);
            }
        }
        offers.sort_by_key(|offer| (std::cmp::Reverse(offer.last_offered), offer.run));
        Ok(offers)
    }

    /// Makes room for one more run that nobody has decided on.
    fn forget_oldest(&self) -> Result<(), FileError> {
        let mut undecided = self.all()?;
        undecided.retain(|offer| !self.decision_path(&offer.run).exists());
        for offer in undecided.into_iter().skip(UNDECIDED_RUNS_MAX - 1) {
            files::remove_durably(&self.plan_path(&offer.run))?;
            files::remove_durably(&self.offer_path(&offer.run))?;
        }
        Ok(())
    }

    fn write(&self, path: &Path, record: &impl Serialize) -> Result<(), FileError> {
        let text = serde_json::to_vec_pretty(record)
            .map_err(|error| FileError::content(path, error.to_string()))?;
        files::write_durably(path, &text)
    }

    fn offer_path(&self, run: &Digest) -> PathBuf {
        self.0.join(format!("{run}.json"))
    }

    fn decision_path(&self, run: &Digest) -> PathBuf {
        self.0.join(format!("{run}.decision.json"))
    }
}

/// A record, if there is one.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let bytes = match files::read(path, RECORD_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(FileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let record = serde_json::from_slice(&bytes);
    record.map(Some).map_err(|error| FileError::content(path, error.to_string()))
}

/// Digests as hexadecimal digits.
mod digits {
    use covey_aggregation::hash::Digest;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(digest)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(from)?;
        Digest::from_hex(&text).ok_or_else(|| serde::de::Error::custom("64 digits expected"))
    }
}

#[cfg(test)]
mod tests {
    use covey_aggregation::plan::Plan;
    use covey_aggregation::time::Time;

    use super::*;

    fn offer(run: u16, plan: &[u8], at: u64) -> Offer {
        let mut digest = [0; 32];
        digest[..2].copy_from_slice(&run.to_le_bytes());
        Offer {
            run: Digest(digest),
            plan: Plan::digest(plan),
            name: "halves".to_owned(),
            purpose: "A test".to_owned(),
            first_round: 1,
            last_round: 1,
            rounds: 3,
            first_offered: Time(at),
            last_offered: Time(at),
            standing: Standing::Asks,
            why: vec!["Y001 because".to_owned()],
        }
    }

    fn said(plan: &[u8], answer: Answer) -> Decision {
        Decision { plan: Plan::digest(plan), answer, reason: None, at: Time(9) }
    }

    #[test]
    fn a_run_is_there_again_with_its_first_offer_and_its_plan() {
        let folder = tempfile::tempdir().expect("a folder");
        let runs = Runs::of(folder.path());
        assert!(runs.all().expect("read").is_empty());
        let first = offer(1, b"plan", 10);
        runs.record(&first, b"plan").expect("recorded");
        let later = Offer { last_round: 2, standing: Standing::Allowed, ..offer(1, b"plan", 20) };
        runs.record(&Offer { first_round: 2, ..later.clone() }, b"plan").expect("recorded");
        let expected = Offer { first_offered: Time(10), ..later };
        let runs = Runs::of(folder.path());
        assert_eq!(runs.all().expect("read"), [expected]);
        assert_eq!(runs.plan(&first).expect("read"), b"plan");
    }

    #[test]
    fn a_decision_holds_for_the_plan_it_was_made_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let runs = Runs::of(folder.path());
        let one = offer(1, b"plan", 10);
        runs.record(&one, b"plan").expect("recorded");
        assert_eq!(runs.decision(&one.run, &one.plan).expect("read"), None);
        for answer in [Answer::Approved, Answer::Denied] {
            let decision = said(b"plan", answer);
            runs.decide(&one.run, &decision).expect("recorded");
            assert_eq!(runs.decision(&one.run, &one.plan).expect("read"), Some(decision));
            assert_eq!(runs.decision(&one.run, &Digest::ZERO).expect("read"), None);
        }
        let other = offer(1, b"another plan", 20);
        let error = runs.record(&other, b"another plan").expect_err("another plan");
        assert!(matches!(error, RecordError::OtherPlan { .. }), "{error}");
        assert_eq!(runs.offer(&one.run).expect("read"), Some(one));
    }

    #[test]
    fn the_oldest_offers_are_forgotten_and_decisions_never() {
        let folder = tempfile::tempdir().expect("a folder");
        let runs = Runs::of(folder.path());
        let most = UNDECIDED_RUNS_MAX as u16;
        for run in 0..most + 2 {
            let one = offer(run, b"plan", run.into());
            runs.record(&one, b"plan").expect("recorded");
            if run == 0 {
                runs.decide(&one.run, &said(b"plan", Answer::Denied)).expect("recorded");
            }
        }
        let kept = runs.all().expect("read");
        assert_eq!(kept.len(), UNDECIDED_RUNS_MAX + 1);
        let is_kept = |run| kept.iter().any(|offer| offer.first_offered == Time(run));
        assert_eq!([0, 1, 2].map(is_kept), [true, false, true]);
        assert!(!runs.plan_path(&offer(1, b"plan", 1).run).exists());
    }
}
