//! What a running program is linked by, in a file beside its records, for `status` to read: the records
//! themselves are the running program's alone.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::net::{Way, files};

/// The file's name, in the state folder.
const LINKED_FILE: &str = "link.json";

/// A file of a few lines.
const FILE_BYTES_MAX: u64 = 4096;

/// A link, as it was when it came to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedBy {
    /// The coordinator's address.
    pub address: String,
    /// What carries it, and why.
    #[serde(flatten)]
    pub way: Way,
    /// Since when, in seconds of Unix time.
    pub since_s: u64,
}

impl fmt::Display for LinkedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "to {} by {}", self.address, self.way)
    }
}

/// The file; it goes with this value.
pub struct LinkedFile(PathBuf);

impl LinkedFile {
    /// In a state folder that this program has to itself.
    #[must_use]
    pub fn in_folder(state: &Path) -> Self {
        let file = Self(state.join(LINKED_FILE));
        // A program that was killed left it.
        file.unlinked();
        file
    }

    /// There is a link. That it cannot be noted stops nobody.
    pub fn linked(&self, address: &str, way: &Way) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let (address, way) = (address.to_owned(), way.clone());
        let since_s = since.map_or(0, |since| since.as_secs());
        let text = serde_json::to_vec(&LinkedBy { address, way, since_s });
        if let Ok(text) = text {
            let _ = files::write_durably(&self.0, &text);
        }
    }

    /// There is none.
    pub fn unlinked(&self) {
        // Usually it is not there.
        let _ = std::fs::remove_file(&self.0);
    }

    /// What a program with this state folder is linked by, if it said so.
    #[must_use]
    pub fn read(state: &Path) -> Option<LinkedBy> {
        let bytes = files::read(&state.join(LINKED_FILE), FILE_BYTES_MAX).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

impl Drop for LinkedFile {
    fn drop(&mut self) {
        self.unlinked();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_noted_while_it_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = LinkedFile::in_folder(folder.path());
        assert_eq!(LinkedFile::read(folder.path()), None);
        let way = Way::tcp("UDP got no answer");
        file.linked("a:1", &way);
        let read = LinkedFile::read(folder.path()).expect("noted");
        assert_eq!((read.address.as_str(), &read.way), ("a:1", &way));
        assert_eq!(read.to_string(), "to a:1 by TLS over TCP (UDP got no answer)");
        let text = std::fs::read_to_string(folder.path().join(LINKED_FILE)).expect("read");
        assert!(text.contains("\"transport\":\"tcp\""), "{text}");
        drop(file);
        assert_eq!(LinkedFile::read(folder.path()), None);
    }
}
