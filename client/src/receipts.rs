//! Receipts of rounds: that a round in which this owner's update was counted is in the ledger, and that a
//! quorum of the key holders has cosigned it. Kept for good, and checked without anybody's help.
//!
//! ```text
//! receipts/<round_ctx>.awaited   the round counted the update; its receipt has not come
//! receipts/<round_ctx>.receipt   the receipt (C2SP tlog-proof, with the entry in it)
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::message::RecordBytes;
use covey_aggregation::net::membership::Membership;
use covey_aggregation::net::{FileError, files};
use covey_aggregation::party::PartyId;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::roster::Roster;
use covey_ledger::document::Held;
use covey_ledger::entry::{Body, Entry};
use covey_ledger::quorum::Quorum;
use covey_ledger::receipt::{RECEIPT_BYTES_MAX, Receipt};
use serde::Serialize;

use crate::config::Config;

/// The folder, in the state folder.
const FOLDER: &str = "receipts";

const RECEIPT: &str = "receipt";
const AWAITED: &str = "awaited";

/// Receipts that are asked for again at once.
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
    #[error("the receipt is of another round, or says that this update was not counted")]
    Other,
    #[error(transparent)]
    File(#[from] FileError),
}

/// One receipt, checked.
#[derive(Debug, Serialize)]
pub(crate) struct Checked {
    round_ctx: String,
    run: Option<String>,
    round: Option<u32>,
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
    /// Rounds whose receipt has not come.
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

    /// The update of a round was counted: its receipt is awaited.
    ///
    /// # Errors
    /// [`FileError`].
    pub(crate) fn expect(&self, round_ctx: &Digest) -> Result<(), FileError> {
        if self.path(round_ctx, RECEIPT).exists() {
            return Ok(());
        }
        files::write_durably(&self.path(round_ctx, AWAITED), b"")
    }

    /// Rounds whose receipt has not come; some of them, if there are many.
    pub(crate) fn awaited(&self) -> Vec<Digest> {
        let mut rounds = self.rounds(AWAITED);
        rounds.truncate(ASKED_MAX);
        rounds
    }

    /// Checks and keeps a receipt. What was kept first stays.
    ///
    /// # Errors
    /// [`BadRecord`].
    pub(crate) fn take(
        &self,
        round_ctx: &Digest,
        record: &RecordBytes,
        (own, roster): (&PartyId, &Roster),
    ) -> Result<u64, BadRecord> {
        let (entry, _) = check(round_ctx, record.as_bytes(), (own, roster))?;
        let path = self.path(round_ctx, RECEIPT);
        if !path.exists() {
            files::write_durably(&path, record.as_bytes())?;
        }
        // Left behind it is only asked for once more.
        let _ = std::fs::remove_file(self.path(round_ctx, AWAITED));
        Ok(entry)
    }

    fn path(&self, round_ctx: &Digest, ending: &str) -> PathBuf {
        self.0.join(format!("{round_ctx}.{ending}"))
    }

    fn rounds(&self, ending: &str) -> Vec<Digest> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let digest = |name: String| {
            let (digits, rest) = name.split_once('.')?;
            Digest::from_hex(digits).filter(|_| rest == ending)
        };
        let mut rounds: Vec<_> = names.filter_map(digest).collect();
        rounds.sort_unstable();
        rounds
    }
}

/// Checks a receipt: the number of its entry, and the entry with who vouches for it.
fn check(
    round_ctx: &Digest,
    bytes: &[u8],
    (own, roster): (&PartyId, &Roster),
) -> Result<(u64, Checked), BadRecord> {
    let text = String::from_utf8_lossy(bytes);
    let receipt: Receipt = text.parse()?;
    let included = receipt.check(&Quorum::of_roster(roster)?)?;
    let entry = Entry::parse(&receipt.entry)?;
    let Body::RoundClosed(round) = &entry.body else { return Err(BadRecord::Other) };
    let is_counted = match &round.owners {
        Held::Here(owners) => owners.iter().any(|one| one.owner == *own && one.missing.is_none()),
        // Too long for an entry: the list is a document that the entry names.
        Held::Document(_) => true,
    };
    if round.round_ctx != *round_ctx || !is_counted || entry.federation != roster.federation {
        return Err(BadRecord::Other);
    }
    let head = included.cosigned.checkpoint.head;
    let checked = Checked {
        round_ctx: round_ctx.to_string(),
        run: Some(round.run.to_string()),
        round: Some(round.round),
        entry: Some(included.index),
        ledger_size: Some(head.size),
        cosigned_by: included.cosigned.witnesses.keys().map(ToString::to_string).collect(),
        fault: None,
    };
    Ok((included.index, checked))
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
    let checked = receipts.rounds(RECEIPT).into_iter().map(|round_ctx| {
        let path = receipts.path(&round_ctx, RECEIPT);
        let checked = files::read(&path, RECEIPT_BYTES_MAX as u64)
            .map_err(BadRecord::from)
            .and_then(|bytes| check(&round_ctx, &bytes, own));
        match checked {
            Ok((_, checked)) => checked,
            Err(bad) => Checked {
                round_ctx: round_ctx.to_string(),
                run: None,
                round: None,
                entry: None,
                ledger_size: None,
                cosigned_by: Vec::new(),
                fault: Some(bad.to_string()),
            },
        }
    });
    let mut checked: Vec<_> = checked.collect();
    checked.sort_by_key(|one| one.entry);
    let awaited = receipts.rounds(AWAITED).iter().map(ToString::to_string).collect();
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

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} receipts, each checked with this owner's roster alone",
            self.receipts.len()
        )?;
        for one in &self.receipts {
            let short = one.round_ctx.get(..8).unwrap_or(&one.round_ctx);
            match (&one.fault, one.round, one.entry, one.ledger_size) {
                (None, Some(round), Some(entry), Some(size)) => writeln!(
                    f,
                    "  ok       round {round} ({short}): entry {entry} of a ledger of {size}, \
                     cosigned by {}",
                    one.cosigned_by.join(", ")
                )?,
                (fault, ..) => {
                    let fault = fault.as_deref().unwrap_or("nothing is shown");
                    writeln!(f, "  NOT OK   round {short}: {fault}")?;
                }
            }
        }
        write!(f, "{} rounds whose receipt has not come", self.awaited.len())
    }
}
