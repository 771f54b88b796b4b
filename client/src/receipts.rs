//! Receipts: that a round in which this owner's update was counted, or its credits of a run, are in the
//! ledger, and that a quorum of the key holders has cosigned it. Kept for good, and checked without
//! anybody's help.
//!
//! ```text
//! receipts/<about>.awaited   the round counted the update, or the run gives credits: no receipt has come
//! receipts/<about>.receipt   the receipt (C2SP tlog-proof, with the entry in it)
//! ```
//!
//! `<about>` is the round's context, or the run.

use std::fmt;
use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::message::RecordBytes;
use covey_aggregation::net::membership::Membership;
use covey_aggregation::net::{FileError, files};
use covey_aggregation::party::PartyId;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::roster::Roster;
use covey_ledger::desk::words::amount;
use covey_ledger::document::Held;
use covey_ledger::entry::{Body, Entry, RoundClosed};
use covey_ledger::quorum::{Cosigned, Quorum};
use covey_ledger::receipt::{Included, RECEIPT_BYTES_MAX, Receipt};
use serde::Serialize;

use crate::config::Config;

/// The folder, in the state folder.
const FOLDER: &str = "receipts";

const RECEIPT: &str = "receipt";
const AWAITED: &str = "awaited";

/// Receipts that are asked for at once.
const ASKED_MAX: usize = 64;

/// A client's receipts. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Receipts(PathBuf);

/// A receipt that shows nothing, and why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadRecord {
    #[error("the receipt: {0}")]
    Receipt(#[from] covey_ledger::receipt::BadReceipt),
    #[error("the key holders of the roster are no quorum: {0}")]
    Quorum(#[from] covey_ledger::quorum::BadQuorum),
    #[error("the receipt's entry: {0}")]
    Entry(#[from] covey_ledger::entry::BadEntry),
    #[error("the receipt is of another round or run, or says nothing about this owner")]
    Other,
    #[error(transparent)]
    File(#[from] FileError),
}

/// What a receipt is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(crate) enum Subject {
    /// A round that counted the owner's update.
    Round {
        /// Its number.
        round: u32,
        /// Whether it published numbers about the owner, so that the run's credits are to come.
        #[serde(skip)]
        is_credited: bool,
    },
    /// The owner's credits of a run.
    Credits {
        /// What it is paid, by this settlement; none where the entry is too long to hold it.
        paid_micro: Option<u64>,
    },
}

/// One receipt, checked.
#[derive(Debug, Serialize)]
pub(crate) struct Checked {
    /// The round's context, or the run.
    about: String,
    run: Option<String>,
    #[serde(flatten)]
    subject: Option<Subject>,
    /// The entry's number in the ledger.
    entry: Option<u64>,
    /// Entries of the ledger when it was cosigned.
    ledger_size: Option<u64>,
    /// Key holders that cosigned.
    cosigned_by: Vec<String>,
    /// Why it shows nothing.
    fault: Option<String>,
}

/// All receipts of a client.
#[derive(Debug, Serialize)]
pub(crate) struct List {
    receipts: Vec<Checked>,
    /// Rounds and runs whose receipt has not come.
    awaited: Vec<String>,
}

impl Receipts {
    /// In a state folder.
    ///
    /// # Errors
    /// [`FileError`].
    pub(crate) fn open(state: &Path) -> Result<Self, FileError> {
        let folder = state.join(FOLDER);
        files::create_private_folder(&folder)?;
        Ok(Self(folder))
    }

    /// The update of a round was counted, or a run is to give credits: a receipt is awaited.
    ///
    /// # Errors
    /// [`FileError`].
    pub(crate) fn expect(&self, about: &Digest) -> Result<(), FileError> {
        if self.path(about, RECEIPT).exists() {
            return Ok(());
        }
        files::write_durably(&self.path(about, AWAITED), b"")
    }

    /// Rounds and runs whose receipt has not come; some of them, if there are many.
    pub(crate) fn awaited(&self) -> Vec<Digest> {
        let mut awaited = self.all(AWAITED);
        awaited.truncate(ASKED_MAX);
        awaited
    }

    /// Checks and keeps a receipt. What was kept first stays.
    ///
    /// # Errors
    /// [`BadRecord`].
    pub(crate) fn take(
        &self,
        about: &Digest,
        record: &RecordBytes,
        (own, roster): (&PartyId, &Roster),
    ) -> Result<Kept, BadRecord> {
        let kept = check(about, record.as_bytes(), (own, roster))?.0;
        let path = self.path(about, RECEIPT);
        if !path.exists() {
            files::write_durably(&path, record.as_bytes())?;
        }
        if let Subject::Round { is_credited: true, .. } = kept.subject {
            self.expect(&kept.run)?;
        }
        // Left behind it is only asked for once more.
        let _ = std::fs::remove_file(self.path(about, AWAITED));
        Ok(kept)
    }

    fn path(&self, about: &Digest, ending: &str) -> PathBuf {
        self.0.join(format!("{about}.{ending}"))
    }

    fn all(&self, ending: &str) -> Vec<Digest> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let digest = |name: String| {
            let (digits, rest) = name.split_once('.')?;
            Digest::from_hex(digits).filter(|_| rest == ending)
        };
        let mut all: Vec<_> = names.filter_map(digest).collect();
        all.sort_unstable();
        all
    }
}

/// A receipt that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The run that it is about, or of the round that it is about.
    pub(crate) run: Digest,
    /// What it is of.
    pub(crate) subject: Subject,
    /// The entry's number in the ledger.
    pub(crate) entry: u64,
}

/// Checks a receipt: what it is of, and who vouches for it.
fn check(
    about: &Digest,
    bytes: &[u8],
    (own, roster): (&PartyId, &Roster),
) -> Result<(Kept, Cosigned), BadRecord> {
    let text = String::from_utf8_lossy(bytes);
    let receipt: Receipt = text.parse()?;
    let Included { index, cosigned } = receipt.check(&Quorum::of_roster(roster)?)?;
    let entry = Entry::parse(&receipt.entry)?;
    let (is_it, run, subject) = match &entry.body {
        Body::RoundClosed(round) => {
            let is_it = round.round_ctx == *about && is_counted(round, own);
            let is_credited = round.published.as_ref().is_some_and(|one| !one.released.is_empty());
            (is_it, round.run, Subject::Round { round: round.round, is_credited })
        }
        Body::CreditsSettled(credits) => {
            let account = match &credits.settlement {
                Held::Here(settlement) => Some(settlement.of(own).ok_or(BadRecord::Other)?),
                Held::Document(_) => None,
            };
            let paid_micro = account.map(|account| account.payment_micro);
            (credits.run == *about, credits.run, Subject::Credits { paid_micro })
        }
        _ => return Err(BadRecord::Other),
    };
    if !is_it || entry.federation != roster.federation {
        return Err(BadRecord::Other);
    }
    Ok((Kept { run, subject, entry: index }, cosigned))
}

fn is_counted(round: &RoundClosed, own: &PartyId) -> bool {
    match &round.owners {
        Held::Here(owners) => owners.iter().any(|one| one.owner == *own && one.missing.is_none()),
        // Too long for an entry: the list is a document that the entry names.
        Held::Document(_) => true,
    }
}

/// `receipts`: all of them, each checked again with nothing but the owner's own roster.
///
/// # Errors
/// [`Failure`]: the configuration, the roster.
pub(crate) fn list(config: &Path) -> Result<List, Failure> {
    let Config { folder, state, .. } = Config::read(config)?;
    let membership = Membership::load(&folder).map_err(|error| Failure::identity(&error))?;
    let receipts = Receipts(state.join(FOLDER));
    let own = (&membership.member().id, &**membership.roster());
    let checked = receipts.all(RECEIPT).into_iter().map(|about| {
        let path = receipts.path(&about, RECEIPT);
        let checked = files::read(&path, RECEIPT_BYTES_MAX as u64)
            .map_err(BadRecord::from)
            .and_then(|bytes| check(&about, &bytes, own));
        Checked::of(&about, checked)
    });
    let mut checked: Vec<_> = checked.collect();
    checked.sort_by_key(|one| one.entry);
    let awaited = receipts.all(AWAITED).iter().map(ToString::to_string).collect();
    Ok(List { receipts: checked, awaited })
}

impl List {
    /// How the command ends.
    pub(crate) fn exit(&self) -> Exit {
        match self.receipts.iter().any(|one| one.fault.is_some()) {
            true => Exit::Unverified,
            false => Exit::Done,
        }
    }
}

impl Checked {
    fn of(about: &Digest, checked: Result<(Kept, Cosigned), BadRecord>) -> Self {
        let about = about.to_string();
        match checked {
            Ok((kept, cosigned)) => Self {
                about,
                run: Some(kept.run.to_string()),
                subject: Some(kept.subject),
                entry: Some(kept.entry),
                ledger_size: Some(cosigned.checkpoint.head.size),
                cosigned_by: cosigned.witnesses.keys().map(ToString::to_string).collect(),
                fault: None,
            },
            Err(bad) => Self {
                about,
                run: None,
                subject: None,
                entry: None,
                ledger_size: None,
                cosigned_by: Vec::new(),
                fault: Some(bad.to_string()),
            },
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Round { round, .. } => write!(f, "round {round}"),
            Self::Credits { paid_micro: Some(micro) } => write!(f, "credits: {}", amount(micro)),
            Self::Credits { paid_micro: None } => f.write_str("credits"),
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} receipts, each checked with this owner's roster alone",
            self.receipts.len()
        )?;
        for one in &self.receipts {
            let short = one.about.get(..8).unwrap_or(&one.about);
            match (&one.fault, one.subject, one.entry, one.ledger_size) {
                (None, Some(subject), Some(entry), Some(size)) => writeln!(
                    f,
                    "  ok       {subject} ({short}): entry {entry} of a ledger of {size}, cosigned \
                     by {}",
                    one.cosigned_by.join(", ")
                )?,
                (fault, ..) => {
                    let fault = fault.as_deref().unwrap_or("nothing is shown");
                    writeln!(f, "  NOT OK   {short}: {fault}")?;
                }
            }
        }
        write!(f, "{} rounds or runs whose receipt has not come", self.awaited.len())
    }
}
