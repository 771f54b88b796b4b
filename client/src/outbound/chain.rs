//! The log being read: in order, every entry checked by its hash and by the one before.

use std::fs;
use std::path::{Path, PathBuf};

use covey_aggregation::net::FileError;
use covey_aggregation::net::files;
use covey_aggregation::program::{Exit, Failure};

use super::entry::{Entry, What, no_hash};
use super::{FILE_BYTES_MAX, FILES_MAX, LINE_BYTES_MAX};

/// How the names of the log's files end.
const EXTENSION: &str = "jsonl";

/// A log that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}, line {line}{}: {what}", path.display(), entry_text(*.entry))]
pub struct Broken {
    /// The file.
    pub path: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// The entry's number, where that is known.
    pub entry: Option<u64>,
    /// What is wrong.
    pub what: String,
}

fn entry_text(entry: Option<u64>) -> String {
    entry.map_or_else(String::new, |entry| format!(", entry {entry}"))
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::new(Exit::Unverified, "AUDIT_BROKEN", broken).with_help(
            "somebody or something changed the log after it was written: keep the folder as \
             evidence. To begin a new log, move the folder away; never edit it",
        )
    }
}

/// A log that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file of it cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not as it was written.
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        match error {
            LogError::File(error) => Self::file(&error),
            LogError::Broken(broken) => broken.into(),
        }
    }
}

/// The log's files, in the order of their entries.
///
/// # Errors
/// [`FileError::Read`]; none when there is no folder.
pub fn files_of(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let failed = |source| FileError::Read { path: folder.to_owned(), source };
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in listed {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The file that begins with an entry.
pub(super) fn file_of(folder: &Path, entry: u64) -> PathBuf {
    folder.join(format!("{entry:012}.{EXTENSION}"))
}

/// Bytes of a file at most: a whole log may be exported into one.
const READ_BYTES_MAX: u64 = FILES_MAX as u64 * (FILE_BYTES_MAX + LINE_BYTES_MAX);

/// What a file holds: its whole lines, and how many bytes they take. What is left at its end is an
/// entry that a crash tore, or one that is being written.
pub(super) struct Lines {
    pub(super) text: String,
    pub(super) torn_bytes: u64,
}

impl Lines {
    pub(super) fn read(path: &Path) -> Result<Self, LogError> {
        let mut bytes = files::read(path, READ_BYTES_MAX)?;
        let all = bytes.len();
        let end_of =
            |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        bytes.truncate(end_of(&bytes));
        // A file system may have made room for a line and lost what was in it: no entry has a zero.
        let last = bytes.len().checked_sub(1).map_or(0, |end| end_of(&bytes[..end]));
        if bytes[last..].contains(&0) {
            bytes.truncate(last);
        }
        let torn_bytes = (all - bytes.len()) as u64;
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let (path, what) = (path.to_owned(), "it is no text".to_owned());
            LogError::Broken(Broken { path, line, entry: None, what })
        })?;
        Ok(Self { text, torn_bytes })
    }
}

/// A place in the chain: what the next entry has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub next: u64,
    /// The hash of the entry before.
    pub previous: String,
}

impl Link {
    /// Before the first entry.
    #[must_use]
    pub fn start() -> Self {
        Self { next: 0, previous: no_hash() }
    }
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The first entry there is; what the next one will be where there is none.
    pub first: Link,
    /// What follows the last one.
    pub end: Link,
    /// Bytes of an entry at the end that is not whole.
    pub torn_bytes: u64,
}

/// Reads files of the log in order; `see` is shown every entry with its hash.
///
/// # Errors
/// [`LogError`]. A torn entry at the very end is none.
pub fn walk(paths: &[PathBuf], see: &mut dyn FnMut(&Entry, &str)) -> Result<Walked, LogError> {
    let (walked, removed) = walk_part(paths, see)?;
    check_beginning(paths, &walked.first, &removed)?;
    Ok(walked)
}

/// The last entry that was removed with the beginning of the log, and its hash.
type Gone = (u64, String);

/// As [`walk`], of files that need not be the log's first ones. Also the removals that they tell.
pub(super) fn walk_part(
    paths: &[PathBuf],
    see: &mut dyn FnMut(&Entry, &str),
) -> Result<(Walked, Vec<Gone>), LogError> {
    let mut walked = Walked { first: Link::start(), end: Link::start(), torn_bytes: 0 };
    let mut removed = Vec::new();
    let mut is_begun = false;
    for (place, path) in paths.iter().enumerate() {
        let lines = Lines::read(path)?;
        let mut line = 0;
        for text in lines.text.lines() {
            line += 1;
            let broken = |entry, what: String| Broken { path: path.clone(), line, entry, what };
            let expected = is_begun.then_some(walked.end.next);
            let (entry, hash) =
                Entry::read(text).map_err(|bad| broken(expected, bad.to_string()))?;
            if !is_begun {
                let previous = entry.previous.clone();
                walked.first = Link { next: entry.entry, previous };
                walked.end = walked.first.clone();
                is_begun = true;
            }
            let Link { next, previous } = &walked.end;
            if entry.entry != *next {
                let what = format!("entry {next} should be here: entries are missing or misplaced");
                return Err(broken(Some(entry.entry), what).into());
            }
            if entry.previous != *previous {
                let what = "it does not follow the entry before it, which was changed or replaced";
                return Err(broken(Some(entry.entry), what.to_owned()).into());
            }
            if let What::Removed(one) = &entry.what {
                removed.push((one.removed_to, one.removed_hash.clone()));
            }
            see(&entry, &hash);
            walked.end = Link { next: entry.entry + 1, previous: hash };
        }
        if lines.torn_bytes > 0 && place + 1 < paths.len() {
            let what = "its last entry is torn, and another file follows".to_owned();
            let broken = Broken { path: path.clone(), line: line + 1, entry: None, what };
            return Err(broken.into());
        }
        walked.torn_bytes = lines.torn_bytes;
    }
    Ok((walked, removed))
}

/// A log begins with entry 0, or says itself what was removed before its first one.
fn check_beginning(paths: &[PathBuf], first: &Link, removed: &[Gone]) -> Result<(), Broken> {
    let is_said = |(to, hash): &Gone| to + 1 == first.next && *hash == first.previous;
    if *first == Link::start() || removed.iter().any(is_said) {
        return Ok(());
    }
    let path = paths.first().cloned().unwrap_or_default();
    let what = "the entries before it are missing, and no entry says that they were removed";
    Err(Broken { path, line: 1, entry: Some(first.next), what: what.to_owned() })
}
