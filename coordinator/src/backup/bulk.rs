//! Bulk bytes of a state folder, by their keys.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{BackupError, failed};
use crate::storage::durable::PART;

/// Folders of bulk bytes in a state folder and in each run's. `rounds` has what changes when a round
/// ends; everything else only grows.
const LASTING: [&str; 3] = ["objects", "published", "pools"];
const PASSING: &str = "rounds";

/// Which keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Working copies of the rounds at hand.
    Passing,
    /// Everything else.
    Lasting,
}

/// Every key of this part, ascending; what is unfinished is not among them. A folder that goes away
/// meanwhile is as if it had never been.
pub(super) fn keys(root: &Path, part: Part) -> Result<Vec<String>, BackupError> {
    let folders: &[&str] = match part {
        Part::Passing => &[PASSING],
        Part::Lasting => &LASTING,
    };
    let mut keys = Vec::new();
    let mut waiting: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    while let Some(below) = waiting.pop() {
        let here = root.join(&below);
        let entries = match std::fs::read_dir(&here) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed("read the folder", &here)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed("read the folder", &here))?;
            let name = below.join(entry.file_name());
            if name.as_os_str().as_encoded_bytes().ends_with(PART.as_bytes()) {
                continue;
            }
            if entry.file_type().map_err(failed("read", &here))?.is_dir() {
                waiting.push(name);
            } else if let Some(name) = name.to_str() {
                keys.push(name.to_owned());
            }
        }
    }
    keys.sort();
    Ok(keys)
}

/// Copies what lies under a key, durably; false where it is gone.
pub(crate) fn copy(from: &Path, to: &Path, key: &str) -> Result<bool, BackupError> {
    let (source, target) = (from.join(key), to.join(key));
    let mut source_file = match File::open(&source) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed("read", &source)(error)),
    };
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(failed("create the folder", parent))?;
    }
    let mut file = File::create(&target).map_err(failed("create", &target))?;
    std::io::copy(&mut source_file, &mut file).map_err(failed("write", &target))?;
    file.sync_all().map_err(failed("make durable", &target))?;
    Ok(true)
}
