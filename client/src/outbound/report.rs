//! What people are shown of the log.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use covey_aggregation::net::{FileError, files};
use covey_aggregation::program::clock::utc;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::time::Time;
use serde::Serialize;

use super::chain::{Walked, files_of, walk};
use super::entry::{Entry, Sent, What};

/// Digits of a hash that people are shown.
const SHORT_DIGITS: usize = 12;

/// Which entries are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of a run whose identity begins so.
    pub run: Option<String>,
    /// Not older.
    pub since: Option<Time>,
}

impl Filter {
    fn admits(&self, entry: &Entry) -> bool {
        let run = |run: &String| match &entry.what {
            What::Sent(sent) => sent.run.as_ref().is_some_and(|one| one.starts_with(run)),
            What::Removed(_) => false,
        };
        // Equally long texts of times are in the order of the times.
        self.run.as_ref().is_none_or(run) && self.since.is_none_or(|since| entry.time >= utc(since))
    }
}

/// Entries of the log.
#[derive(Debug, Serialize)]
pub struct List {
    entries: Vec<Entry>,
}

impl List {
    /// Reads the log in `folder`, all of which is checked.
    ///
    /// # Errors
    /// [`Failure`]; [`Exit::Unverified`] when the log was changed.
    pub fn read(folder: &Path, filter: &Filter) -> Result<Self, Failure> {
        let mut entries = Vec::new();
        let mut see = |entry: &Entry, _: &str| {
            if filter.admits(entry) {
                entries.push(entry.clone());
            }
        };
        walk(&files_of(folder).map_err(|error| Failure::file(&error))?, &mut see)?;
        Ok(Self { entries })
    }

    /// For spreadsheets.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut text = "entry,time,kind,bytes,sha256,peer,address,run,round,context\n".to_owned();
        for (entry, sent) in self.sent() {
            let Entry { entry, time, .. } = entry;
            let Sent { kind, bytes, sha256, peer, address, .. } = sent;
            let or_none = |text: &Option<String>| text.clone().unwrap_or_default();
            let (run, context) = (or_none(&sent.run), or_none(&sent.context));
            let round = or_none(&sent.round.map(|round| round.to_string()));
            // Names, addresses and hashes have neither commas nor quotes.
            text += &format!(
                "{entry},{time},{kind},{bytes},{sha256},{peer},{address},{run},{round},{context}"
            );
            text.push('\n');
        }
        text
    }

    /// As the log's files have them, for `audit verify` and other programs.
    #[must_use]
    pub fn to_lines(&self) -> String {
        self.entries.iter().map(|entry| entry.line().0 + "\n").collect()
    }

    fn sent(&self) -> impl Iterator<Item = (&Entry, &Sent)> {
        self.entries.iter().filter_map(|entry| match &entry.what {
            What::Sent(sent) => Some((entry, sent)),
            What::Removed(_) => None,
        })
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.entries.is_empty() {
            return f.write_str("no such entry: nothing was sent");
        }
        for entry in &self.entries {
            let Entry { entry: number, time, .. } = entry;
            match &entry.what {
                What::Sent(sent) => {
                    let Sent { kind, bytes, sha256, peer, round, run, .. } = sent;
                    write!(f, "{number:>6}  {time}  {kind:<24} {bytes:>10} bytes  to {peer}")?;
                    if let (Some(run), Some(round)) = (run, round) {
                        write!(f, "  run {} round {round}", &run[..run.len().min(8)])?;
                    }
                    writeln!(f, "  sha256 {}", short(sha256))?;
                }
                What::Removed(gone) => {
                    let to = gone.removed_to;
                    writeln!(f, "{number:>6}  {time}  the log's entries up to {to} were removed")?;
                }
            }
        }
        let bytes: u64 = self.sent().map(|(_, sent)| sent.bytes).sum();
        write!(f, "{} messages, {bytes} bytes", self.sent().count())
    }
}

fn short(hash: &str) -> &str {
    hash.get(..SHORT_DIGITS).unwrap_or(hash)
}

/// What a check of the whole log found.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// Entries that are kept.
    pub entries: u64,
    /// The first of them; those before were removed, and the log says so.
    pub first: u64,
    /// Messages and bytes by kind.
    pub kinds: BTreeMap<String, Total>,
    /// The last entry's hash: who notes it down can ask later whether it is still in the log.
    pub head: String,
    /// Whether the hash that was asked for is in the log.
    pub has_head: Option<bool>,
    /// Bytes of a last entry that is not whole: being written just now, or torn by a crash before
    /// anything left. The next start cuts it.
    pub torn_bytes: u64,
    /// When the last entry was written.
    pub last: Option<String>,
}

/// How much was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Messages.
    pub messages: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Verified {
    /// Checks the log in a folder, or one that was exported into a file, and whether it holds an
    /// entry whose hash begins with `head`.
    ///
    /// # Errors
    /// [`Failure`]; [`Exit::Unverified`], naming the entry, when the log was changed or lacks the
    /// hash.
    pub fn of(path: &Path, head: Option<&str>) -> Result<Self, Failure> {
        let paths = if path.is_file() { vec![path.to_owned()] } else { list(path)? };
        let (mut kinds, mut last) = (BTreeMap::<String, Total>::new(), None);
        let mut has_head = head.map(|_| false);
        let mut see = |entry: &Entry, hash: &str| {
            if let What::Sent(sent) = &entry.what {
                let total = kinds.entry(sent.kind.clone()).or_default();
                total.messages += 1;
                total.bytes += sent.bytes;
            }
            if head.is_some_and(|head| hash.starts_with(head)) {
                has_head = Some(true);
            }
            last = Some(entry.time.clone());
        };
        let Walked { first, end, torn_bytes } = walk(&paths, &mut see)?;
        if let (Some(false), Some(head)) = (has_head, head) {
            let what = format!("no entry has the hash {head}: the log's end was cut or replaced");
            return Err(Failure::new(Exit::Unverified, "AUDIT_BROKEN", what));
        }
        let entries = end.next - first.next;
        Ok(Self {
            entries,
            first: first.next,
            kinds,
            head: end.previous,
            has_head,
            torn_bytes,
            last,
        })
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let paths = files_of(folder).map_err(|error| Failure::file(&error))?;
    if paths.is_empty() {
        let what = format!("there is no log in {}: nothing was sent yet", folder.display());
        return Err(Failure::new(Exit::BadInput, "NO_LOG", what));
    }
    Ok(paths)
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, first, kinds, head, .. } = self;
        writeln!(f, "the log is whole: {entries} entries, each follows the one before")?;
        if *first > 0 {
            writeln!(f, "it begins with entry {first}; what was before was removed as it grew")?;
        }
        for (kind, Total { messages, bytes }) in kinds {
            writeln!(f, "  {kind:<24} {messages:>8} messages {bytes:>14} bytes")?;
        }
        if self.torn_bytes > 0 {
            writeln!(f, "the last entry is not whole: it is being written, or a crash tore it")?;
        }
        if self.has_head == Some(true) {
            writeln!(f, "the hash that you noted is in it")?;
        }
        writeln!(f, "head  {head}")?;
        write!(f, "Note the head down elsewhere: later, --head tells whether the end was cut.")
    }
}

/// A file of entries that was written.
#[derive(Debug, Serialize)]
pub struct Exported {
    /// Where.
    pub file: PathBuf,
    /// How many entries.
    pub entries: usize,
}

impl Exported {
    /// Writes text of `entries` entries to a new file.
    ///
    /// # Errors
    /// [`Failure`]; also when the file is there.
    pub fn write(file: &Path, text: &str, list: &List) -> Result<Self, Failure> {
        if file.exists() {
            let exists = FileError::Exists { path: file.to_owned() };
            return Err(Failure { exit: Exit::BadInput, ..Failure::file(&exists) });
        }
        files::write_durably(file, text.as_bytes()).map_err(|error| Failure::file(&error))?;
        Ok(Self { file: file.to_owned(), entries: list.entries.len() })
    }
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entries in {}", self.entries, self.file.display())
    }
}
