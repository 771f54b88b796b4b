//! The account of one data set: every round with noise that it was trained on for, whichever
//! federation, run or membership asked.
//!
//! It is two files with the same content, one beside the data and one in the state folder. What stands
//! in either counts: who joins again with another folder finds the one, who moves or copies the data
//! finds the other. A round is charged in both, durably, before its update is sealed; the lock makes
//! clients that share the data take turns, so together they spend no more than there is.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use covey_aggregation::hash::Digest;
use covey_aggregation::net::{FileError, files};
use covey_privacy::budget::{Budget, Refused};
use covey_privacy::event::Event;
use covey_privacy::spent::{BadEntry, Spent};
use serde::{Deserialize, Serialize};

use super::Standing;
use crate::config::Config;

/// What the file beside the data is called, after the name of the data.
pub const ACCOUNT_SUFFIX: &str = ".covey-privacy.json";

/// The file in the state folder.
const ACCOUNT_FILE: &str = "privacy.json";

/// A file, in bytes: about four hundred a round, so tens of thousands of rounds.
const ACCOUNT_BYTES_MAX: u64 = 64 << 20;

/// The longest wait for another client of the same data, and how often it is looked again.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);
const LOCK_AGAIN: Duration = Duration::from_millis(20);

/// One round that was charged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// The run's digest.
    pub run: String,
    /// The round's number.
    pub round: u32,
    /// The client that took part: its id.
    pub client: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it does to privacy.
    pub event: Event,
    /// How often.
    pub count: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    schema: Schema,
    /// By the round's context.
    charges: BTreeMap<String, Charge>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
enum Schema {
    #[default]
    #[serde(rename = "privacy/1")]
    Privacy1,
}

/// Why a round is not charged. Nothing may leave then.
#[derive(Debug, thiserror::Error)]
pub enum BadCharge {
    /// The account cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Two records of the same round differ.
    #[error(
        "{} and {} differ about the same round: one of them was changed; restore it from a copy",
        .0.display(), .1.display()
    )]
    Differ(PathBuf, PathBuf),
    /// Another client has trained on the data for the same round: in one sum they would count twice, and
    /// the noise is for once.
    #[error("these data are in this round already, by another client ({0}): run one for them")]
    Twice(String),
    /// It would cost more than there is.
    #[error(transparent)]
    Over(#[from] Refused),
    /// More than can be accounted for.
    #[error(transparent)]
    Entry(#[from] BadEntry),
}

/// The account of one data set. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Account {
    beside: PathBuf,
    state: PathBuf,
}

impl Account {
    /// That of a configuration's data.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let beside = config.privacy_account.clone().unwrap_or_else(|| {
            let path = config.data.paths().first().map_or(config.folder.as_path(), |path| path);
            beside(path)
        });
        Self { beside, state: config.state.join(ACCOUNT_FILE) }
    }

    /// The file beside the data, or where the configuration says.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.beside
    }

    /// Whether a charge can be written beside the data, as far as can be told without writing.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        let folder = self.beside.parent().map(std::fs::metadata);
        folder.is_some_and(|found| found.is_ok_and(|found| !found.permissions().readonly()))
    }

    /// Every round that was charged, by its context.
    ///
    /// # Errors
    /// [`BadCharge::File`], [`BadCharge::Differ`].
    pub fn charges(&self) -> Result<BTreeMap<String, Charge>, BadCharge> {
        let mut all = read(&self.beside)?;
        for (round, charge) in read(&self.state)? {
            if let Some(known) = all.get(&round)
                && (known.event, known.count) != (charge.event, charge.count)
            {
                return Err(BadCharge::Differ(self.beside.clone(), self.state.clone()));
            }
            all.insert(round, charge);
        }
        Ok(all)
    }

    /// What all charged rounds come to, beside the round of this context.
    ///
    /// # Errors
    /// [`BadCharge`], but for `Over`.
    pub fn standing(&self, round_ctx: &Digest) -> Result<Standing, BadCharge> {
        let charges = self.charges()?;
        let is_charged = charges.contains_key(&round_ctx.to_string());
        Ok(Standing { spent: spent(&charges)?, is_charged })
    }

    /// Charges a round, once, durably; unless that would exceed the budget.
    ///
    /// # Errors
    /// [`BadCharge`]; nothing is charged then, but that one of the two files may say so already: then
    /// it counts.
    pub fn charge(
        &self,
        round_ctx: &Digest,
        charge: Charge,
        budget: Option<&Budget>,
    ) -> Result<Spent, BadCharge> {
        let _lock = self.lock()?;
        let mut charges = self.charges()?;
        let before = spent(&charges)?;
        let round = round_ctx.to_string();
        if let Some(known) = charges.get(&round)
            && known.client != charge.client
        {
            return Err(BadCharge::Twice(known.client.clone()));
        }
        let is_new = !charges.contains_key(&round);
        if is_new {
            if let Some(budget) = budget {
                budget.admits(&before, charge.event, charge.count)?;
            }
            charges.insert(round, charge);
        }
        let after = spent(&charges)?;
        // A round that is there may be in one file only, after a crash between the two.
        let content = Content { schema: Schema::Privacy1, charges };
        for path in [&self.beside, &self.state] {
            if is_new || read(path)?.len() < content.charges.len() {
                write(path, &content)?;
            }
        }
        Ok(after)
    }

    /// Held until it is dropped, or the process ends. Others hold it for as long as two files take to
    /// write; who holds it for longer has stopped.
    fn lock(&self) -> Result<File, FileError> {
        let mut name = self.beside.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let path = self.beside.with_file_name(name);
        let open = || {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            let begun = Instant::now();
            loop {
                match file.try_lock() {
                    Ok(()) => return Ok(file),
                    Err(TryLockError::Error(error)) => return Err(error),
                    Err(TryLockError::WouldBlock) if begun.elapsed() > LOCK_PATIENCE => {
                        let what = "another client of these data has held it for too long: look \
                                    whether it hangs";
                        return Err(io::Error::new(io::ErrorKind::TimedOut, what));
                    }
                    Err(TryLockError::WouldBlock) => sleep(LOCK_AGAIN),
                }
            }
        };
        open().map_err(|source| FileError::Write { path: path.clone(), source })
    }
}

/// The file beside data at `path`, links followed.
fn beside(path: &Path) -> PathBuf {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ACCOUNT_SUFFIX);
    path.with_file_name(name)
}

fn spent(charges: &BTreeMap<String, Charge>) -> Result<Spent, BadEntry> {
    let mut spent = Spent::default();
    for charge in charges.values() {
        spent.add(charge.event, charge.count)?;
    }
    Ok(spent)
}

fn read(path: &Path) -> Result<BTreeMap<String, Charge>, FileError> {
    let bytes = match files::read(path, ACCOUNT_BYTES_MAX) {
        Err(FileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(BTreeMap::new());
        }
        bytes => bytes?,
    };
    let content: Content = serde_json::from_slice(&bytes).map_err(|error| {
        let what = format!(
            "{error}; it says what was told about the data, so nothing leaves until it is restored"
        );
        FileError::content(path, what)
    })?;
    Ok(content.charges)
}

fn write(path: &Path, content: &Content) -> Result<(), FileError> {
    let text = serde_json::to_vec_pretty(content)
        .map_err(|error| FileError::content(path, error.to_string()))?;
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        files::create_private_folder(folder)?;
    }
    files::write_durably(path, &text)
}

#[cfg(test)]
mod tests;
