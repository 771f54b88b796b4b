//! Which ledger is read, by whose roster, and what lies beside it.
//!
//! A folder is what a coordinator publishes (`ledger/`, `rosters/`, `round-0001/`, `runs/`), a copy of that,
//! or the ledger's own folder alone. Whatever is at hand makes more of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use covey_aggregation::hash::Digest;
use covey_aggregation::limits::{MEMBER_FILE_BYTES_MAX, PUBLICATION_BYTES_MAX};
use covey_aggregation::net::roster_file::ROSTER_FILE;
use covey_aggregation::net::{files, read_roster};
use covey_aggregation::program::published::PUBLICATION_FILE;
use covey_aggregation::program::rosters::ROSTERS_FOLDER;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::roster::Roster;
use covey_aggregation::roster::succession::CertifiedRoster;
use covey_aggregation::wire;

use super::names::Names;
use super::seat::Configured;
use super::{Desk, Seat};
use crate::bundle::CHECKPOINT_PATH;
use crate::document::{Document, Documents, sha256};
use crate::folder::{BadLedger, Folder, Ledger};
use crate::quorum::Quorum;

/// The ledger's folder in what is published.
pub const LEDGER_FOLDER: &str = "ledger";

/// The folder of runs in what is published.
const RUNS_FOLDER: &str = "runs";

/// Said where something does not hold.
pub const ALARM: &str = "somebody altered it: keep a copy, and tell the others";

/// By which roster.
#[derive(Clone, Debug, Default, Args)]
pub struct Pinned {
    /// Your own copy of the federation's roster. Without it, that of your configuration
    #[arg(long, value_name = "FILE")]
    pub roster: Option<PathBuf>,
    /// Your configuration.
    #[command(flatten)]
    pub configured: Configured,
}

/// Which ledger, by which roster.
#[derive(Clone, Debug, Args)]
pub struct Source {
    /// The folder with the ledger: what the coordinator publishes, or a copy of it
    #[arg(long, value_name = "DIR", env = "COVEY_LEDGER")]
    pub ledger: PathBuf,
    /// By which roster.
    #[command(flatten)]
    pub pinned: Pinned,
}

/// A ledger that was read whole and holds, by a reader's roster.
#[derive(Debug)]
pub struct Open {
    /// The ledger.
    pub ledger: Ledger,
    /// The reader's roster.
    pub roster: Roster,
}

impl Pinned {
    /// The reader's roster.
    ///
    /// # Errors
    /// [`Failure`]: there is none, or it is bad.
    pub fn read(&self, desk: &Desk<'_>) -> Result<Roster, Failure> {
        let bad = |error| Failure::new(Exit::BadInput, "BAD_ROSTER", error);
        if let Some(path) = &self.roster {
            return read_roster(path).map_err(bad);
        }
        let Some(path) = self.configured.path(desk) else {
            return Err(Failure::new(Exit::BadInput, "NO_ROSTER", "no roster is given")
                .with_help("give your own copy of the federation's roster: --roster FILE"));
        };
        read_roster(&Seat::read(&path)?.folder.join(ROSTER_FILE)).map_err(bad)
    }
}

impl Source {
    /// Reads the ledger and checks all of it.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(&self, desk: &Desk<'_>) -> Result<Open, Failure> {
        open(&self.ledger, self.pinned.read(desk)?)
    }
}

/// Reads the ledger in a folder, and checks all of it.
///
/// # Errors
/// [`Failure`]: there is none ([`Exit::BadInput`]), or it does not hold ([`Exit::Unverified`]).
pub fn open(folder: &Path, roster: Roster) -> Result<Open, Failure> {
    let ledger = Folder::new(&ledger_folder(folder)).open(&quorum_of(&roster)?);
    let ledger = ledger.map_err(|bad| match bad {
        BadLedger::None(_) => no_ledger(folder),
        bad => unverified(bad),
    })?;
    if let Some(why) = stranger(&ledger, &roster) {
        return Err(unverified(why));
    }
    Ok(Open { ledger, roster })
}

impl Open {
    /// What things are called.
    #[must_use]
    pub const fn names(&self) -> Names<'_> {
        Names { book: Some(&self.ledger.book), roster: &self.roster }
    }

    /// A time that is not before the ledger's last entry.
    #[must_use]
    pub fn now_ms(&self, now_ms: u64) -> u64 {
        now_ms.max(self.ledger.book.time_ms())
    }
}

/// Whose signatures make a roster's ledger final.
///
/// # Errors
/// [`Failure`]: the roster has no committee yet.
pub fn quorum_of(roster: &Roster) -> Result<Quorum, Failure> {
    Quorum::of_roster(roster).map_err(|error| Failure::new(Exit::BadInput, "BAD_ROSTER", error))
}

/// The ledger's own folder: this one, or the one in what is published.
#[must_use]
pub fn ledger_folder(folder: &Path) -> PathBuf {
    let own = folder.join(LEDGER_FOLDER);
    let is_published = !folder.join(CHECKPOINT_PATH).exists() && own.join(CHECKPOINT_PATH).exists();
    if is_published { own } else { folder.to_owned() }
}

/// There is no ledger in a folder.
#[must_use]
pub fn no_ledger(folder: &Path) -> Failure {
    let message = format!("{} holds no ledger: no file {CHECKPOINT_PATH}", folder.display());
    Failure::new(Exit::BadInput, "NO_LEDGER", message)
        .with_help(format!("give the folder that the coordinator publishes, with {LEDGER_FOLDER}/"))
}

/// Something does not hold.
#[must_use]
pub fn unverified(why: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Unverified, "UNVERIFIED", why).with_help(ALARM)
}

/// Why a ledger is not the one of the federation of this roster, if it is not.
#[must_use]
pub fn stranger(ledger: &Ledger, roster: &Roster) -> Option<&'static str> {
    stranger_to(&ledger.book, roster)
}

/// The same of a book.
#[must_use]
pub fn stranger_to(book: &crate::book::Book, roster: &Roster) -> Option<&'static str> {
    let founding = book.founding();
    let holders = founding.holders.iter().map(|holder| holder.id);
    let is_same_committee = holders.eq(roster.committee().iter().map(|seat| seat.holder))
        && Some(founding.coordinator.id) == roster.coordinator();
    if *book.federation() != roster.federation || founding.authority != roster.authority {
        Some("the ledger is that of another federation than your roster")
    } else if !is_same_committee {
        Some("the ledger's founding names another coordinator or committee than your roster")
    } else if roster.number == 0 && founding.roster != roster.digest() {
        Some("the ledger's founding roster is another one than yours")
    } else {
        None
    }
}

/// Documents beside a ledger: its own, rosters, and the publications of rounds.
#[derive(Debug)]
pub struct Shelf {
    folder: Folder,
    rosters: BTreeMap<Digest, Vec<u8>>,
    /// Folders of rounds.
    rounds: Vec<PathBuf>,
}

impl Shelf {
    /// What is at hand in the ledger's folder, beside it, and in the folders `published`.
    #[must_use]
    pub fn new(ledger: &Path, published: &[PathBuf], pinned: &Roster) -> Self {
        let own = ledger_folder(ledger);
        let beside = own.parent().map(Path::to_owned).filter(|_| own.ends_with(LEDGER_FOLDER));
        let places: Vec<_> = std::iter::once(ledger.to_owned())
            .chain(beside)
            .chain(published.iter().cloned())
            .collect();
        let mut rosters = BTreeMap::new();
        let files = places.iter().flat_map(|place| within(&place.join(ROSTERS_FOLDER)));
        let certified = files.filter_map(|path| read_certified(&path)).map(|one| one.roster);
        for roster in certified.chain([pinned.clone()]) {
            let bytes = wire::encode(&roster);
            rosters.insert(sha256(&bytes), bytes);
        }
        let mut rounds: Vec<_> = places.iter().flat_map(|place| round_folders(place)).collect();
        rounds.sort_unstable();
        rounds.dedup();
        Self { folder: Folder::new(&own), rosters, rounds }
    }

    /// The folder of the round whose publication is this document.
    #[must_use]
    pub fn round_folder(&self, document: &Document) -> Option<&Path> {
        self.publication(document).map(|(folder, _)| folder)
    }

    fn publication(&self, document: &Document) -> Option<(&Path, Vec<u8>)> {
        let read = |folder: &PathBuf| {
            let path = folder.join(PUBLICATION_FILE);
            // Only files of the right length are read at all.
            let is_as_long = fs::metadata(&path).is_ok_and(|meta| meta.len() == document.bytes);
            let bytes = is_as_long.then(|| files::read(&path, PUBLICATION_BYTES_MAX as u64))?;
            bytes.ok().filter(|bytes| document.is(bytes))
        };
        self.rounds.iter().find_map(|folder| Some((&**folder, read(folder)?)))
    }
}

impl Documents for Shelf {
    fn document(&self, document: &Document) -> Option<Vec<u8>> {
        let own = self.folder.document(document);
        let roster = || self.rosters.get(&document.sha256).cloned();
        own.or_else(roster).or_else(|| self.publication(document).map(|(_, bytes)| bytes))
    }
}

fn read_certified(path: &Path) -> Option<CertifiedRoster> {
    let bytes = files::read(path, MEMBER_FILE_BYTES_MAX).ok()?;
    wire::decode(&bytes, usize::try_from(MEMBER_FILE_BYTES_MAX).ok()?).ok()
}

/// The folders of rounds in what is published: of the settings' plan, and of each run.
fn round_folders(folder: &Path) -> Vec<PathBuf> {
    let runs = within(&folder.join(RUNS_FOLDER)).into_iter();
    let runs = runs.flat_map(|run| [run.join("published"), run]);
    let places = std::iter::once(folder.to_owned()).chain(runs);
    let rounds = places.flat_map(|place| within(&place)).chain([folder.to_owned()]);
    rounds.filter(|path| path.join(PUBLICATION_FILE).exists()).collect()
}

/// What is in a folder; nothing where it cannot be read.
#[must_use]
pub fn within(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
