//! `ledger verify`: all of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::PUBLICATION_BYTES_MAX;
use covey_aggregation::net::files;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::roster::Roster;
use serde::Serialize;

use super::{Doubtful, Findings, WholeLedger, word};
use crate::book::EntryRecord;
use crate::bundle::{self, CHECKPOINT_PATH};
use crate::checkpoint::TreeHead;
use crate::desk::Desk;
use crate::desk::source::{Shelf, ledger_folder, no_ledger, quorum_of, stranger_to, within};
use crate::document::sha256;
use crate::folder::{DOCUMENTS_FOLDER, Folder};
use crate::note::NOTE_BYTES_MAX;
use crate::quorum::{Cosigned, Quorum};
use crate::tree::{Frontier, leaf_hash};
use crate::verify::{Line, Standing, verify};

/// What came of a check of a whole ledger.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// Whether there is no doubt.
    pub is_verified: bool,
    /// The ledger's folder.
    pub folder: PathBuf,
    /// The federation.
    pub federation: String,
    /// Number of the roster that it was checked by.
    pub roster: u32,
    /// The digest of that.
    pub roster_digest: String,
    /// How many entries there are; none where there is no final checkpoint.
    pub entries: Option<u64>,
    /// Their root.
    pub root: Option<String>,
    /// Who cosigned it.
    pub cosigned_by: Vec<String>,
    /// How many must.
    pub cosigners_needed: usize,
    /// Older checkpoints that it has grown from.
    pub grown_from: Vec<Grown>,
    /// How many statements of each kind of entry there are, by what they are worth.
    pub kinds: BTreeMap<&'static str, Counts>,
    /// The same of all.
    pub total: Counts,
    /// Every statement and every doubt.
    #[serde(flatten)]
    pub findings: Findings,
    /// Whether statements are printed one by one.
    #[serde(skip)]
    is_long: bool,
}

/// An older checkpoint.
#[derive(Debug, Serialize)]
pub struct Grown {
    /// Its file.
    pub file: PathBuf,
    /// Entries that there were.
    pub entries: u64,
}

/// Numbers of entries and statements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Entries.
    pub entries: u64,
    /// Statements that were computed again.
    pub checked: u64,
    /// Statements that a quorum signed.
    pub attested: u64,
    /// Statements that somebody says.
    pub asserted: u64,
}

/// Checks a whole ledger.
///
/// # Errors
/// [`Failure`]: there is none, or a file that was named cannot be read.
pub fn whole(wanted: &WholeLedger, desk: &Desk<'_>) -> Result<Verified, Failure> {
    let roster = wanted.at.pinned.read(desk)?;
    let (quorum, dir) = (quorum_of(&roster)?, &wanted.at.dir);
    let folder = ledger_folder(dir);
    if !folder.join(CHECKPOINT_PATH).exists() {
        return Err(no_ledger(dir));
    }
    let mut verified = Verified::begin(&folder, &roster, &quorum);
    verified.is_long = wanted.statements;
    let (files, mut entries) = (Folder::new(&folder), Vec::new());
    let visit = |_, entry: &[u8]| entries.push(entry.to_vec());
    match bundle::audit(|path| files.read(path), &quorum, visit) {
        Ok(cosigned) => verified.head(&cosigned),
        Err(fault) => {
            verified.doubt(format!("the ledger's log: {fault}"));
            // What entries mean is of no interest where it is not known whose they are.
            return Ok(verified);
        }
    }
    for path in &wanted.checkpoint {
        verified.grown_from(path, &quorum, &entries)?;
    }
    let shelf = Shelf::new(dir, &wanted.at.published, &roster);
    let report = verify(entries.iter().map(Vec::as_slice), &shelf);
    let stranger = report.book.as_ref().and_then(|book| stranger_to(book, &roster));
    verified.findings.doubts.extend(report.doubts.into_iter().map(Doubtful::from));
    if let Some(why) = stranger {
        verified.doubt(why.to_owned());
    }
    verified.documents(&folder);
    if let Some(book) = &report.book {
        verified.count(book.entries(), &report.lines);
    }
    verified.findings.statements = report.lines;
    verified.is_verified = verified.findings.doubts.is_empty();
    Ok(verified)
}

impl Verified {
    fn begin(folder: &Path, roster: &Roster, quorum: &Quorum) -> Self {
        Self {
            is_verified: false,
            folder: folder.to_owned(),
            federation: roster.federation.to_string(),
            roster: roster.number,
            roster_digest: roster.digest().to_string(),
            entries: None,
            root: None,
            cosigned_by: Vec::new(),
            cosigners_needed: quorum.needed(),
            grown_from: Vec::new(),
            kinds: BTreeMap::new(),
            total: Counts::default(),
            findings: Findings::default(),
            is_long: false,
        }
    }

    fn doubt(&mut self, why: String) {
        self.findings.doubts.push(Doubtful { entry: None, why });
    }

    fn count(&mut self, entries: &[EntryRecord], lines: &[Line]) {
        for record in entries {
            self.kinds.entry(record.kind.word()).or_default().entries += 1;
            self.total.entries += 1;
        }
        for line in lines {
            let record = usize::try_from(line.entry).ok().and_then(|at| entries.get(at));
            if let Some(record) = record {
                self.kinds.entry(record.kind.word()).or_default().add(&line.standing);
                self.total.add(&line.standing);
            }
        }
    }

    /// Every document in the folder is what its name says, also one that nothing here needed.
    fn documents(&mut self, folder: &Path) {
        for path in within(&folder.join(DOCUMENTS_FOLDER)) {
            let name = path.file_name().and_then(|name| name.to_str()).and_then(Digest::from_hex);
            let bytes = files::read(&path, PUBLICATION_BYTES_MAX as u64);
            match (name, bytes) {
                (Some(name), Ok(bytes)) if sha256(&bytes) == name => {}
                (_, Err(error)) => self.doubt(error.to_string()),
                _ => self.doubt(format!("{} is not what its name says", path.display())),
            }
        }
    }

    fn head(&mut self, cosigned: &Cosigned) {
        let TreeHead { size, root } = cosigned.checkpoint.head;
        self.entries = Some(size);
        self.root = Some(root.to_string());
        self.cosigned_by = cosigned.witnesses.keys().map(ToString::to_string).collect();
    }

    /// An older checkpoint must be one of a beginning of this log. The log's own signature on it is enough:
    /// where it does not fit, that is what convicts the log.
    fn grown_from(
        &mut self,
        path: &Path,
        quorum: &Quorum,
        entries: &[Vec<u8>],
    ) -> Result<(), Failure> {
        let bytes = files::read(path, NOTE_BYTES_MAX as u64)
            .map_err(|error| Failure::new(Exit::BadInput, "NO_FILE", error))?;
        let file = path.display();
        let older = match quorum.check_signed(&bytes) {
            Ok(cosigned) => cosigned.checkpoint.head,
            Err(bad) => {
                self.doubt(format!("the older checkpoint {file}: {bad}"));
                return Ok(());
            }
        };
        let size = usize::try_from(older.size).unwrap_or(usize::MAX);
        let Some(beginning) = entries.get(..size) else {
            let (was, is) = (older.size, entries.len());
            self.doubt(format!("there were {was} entries by {file}, now there are {is}"));
            return Ok(());
        };
        let mut tree = Frontier::default();
        beginning.iter().for_each(|entry| tree.push(leaf_hash(entry)));
        if tree.root() == older.root {
            self.grown_from.push(Grown { file: path.to_owned(), entries: older.size });
        } else {
            self.doubt(format!(
                "the first {size} entries are other ones than when the log signed {file}: keep both"
            ));
        }
        Ok(())
    }
}

impl Counts {
    const fn add(&mut self, standing: &Standing) {
        match standing {
            Standing::Checked => self.checked += 1,
            Standing::Attested(_) => self.attested += 1,
            Standing::Asserted(_) => self.asserted += 1,
        }
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = word(self.is_verified);
        writeln!(f, "{}: the ledger of {} {word}", self.folder.display(), self.federation)?;
        if let (Some(entries), Some(root)) = (self.entries, &self.root) {
            let (got, needed) = (self.cosigned_by.len(), self.cosigners_needed);
            writeln!(f, "  {entries} entries with the root {root}")?;
            let names = self.cosigned_by.join(", ");
            writeln!(f, "  cosigned by {got}, {needed} are needed: {names}")?;
        }
        let digits = &self.roster_digest[..8];
        writeln!(f, "  by your roster {} ({digits})", self.roster)?;
        for Grown { file, entries } in &self.grown_from {
            let file = file.display();
            writeln!(f, "  grown from {entries} entries ({file}): nothing of them was changed")?;
        }
        writeln!(
            f,
            "\n  {:20} {:>8} {:>8} {:>8} {:>8}",
            "entries", "", "checked", "attested", "asserted"
        )?;
        let total = [("in all", &self.total)];
        let kinds = self.kinds.iter().map(|(kind, counts)| (*kind, counts));
        for (kind, counts) in kinds.chain(total) {
            let Counts { entries, checked, attested, asserted } = counts;
            writeln!(f, "  {kind:20} {entries:>8} {checked:>8} {attested:>8} {asserted:>8}")?;
        }
        write!(
            f,
            "\nChecked: computed again here. Attested: signed by a quorum of the key holders. Asserted: \
             said by the one who is named."
        )?;
        if self.is_long {
            return write!(f, "{}", self.findings);
        }
        self.findings.doubts.iter().try_for_each(|one| write!(f, "\n  {one}"))
    }
}
