//! What shows that the ledger's log said two things that cannot both be true, kept for everybody to see.
//!
//! ```text
//! ledger/fork-<digest>.json    two checkpoints of one size that the log has signed: proof of a fork
//! ledger/doubt-<digest>.json   two checkpoints of which no proof was given that one follows from the other
//! ```
//!
//! Files are named by their two checkpoints, so that the same thing said again overwrites nothing. There are at
//! most [`KEPT_MAX`]: whoever keeps the log cannot fill a holder's disk, and cannot push out what proves a fork
//! with what does not.

use std::fs;
use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::net::{FileError, files};
use covey_ledger::note::VerifierKey;
use covey_ledger::witness::ForkEvidence;

/// Files that are kept at most.
pub(crate) const KEPT_MAX: usize = 64;

const FORK: &str = "fork-";
const DOUBT: &str = "doubt-";

/// Keeps evidence against the log of this key, durably. What is there already stays as it is.
///
/// # Errors
/// [`FileError`].
pub(crate) fn keep(
    folder: &Path,
    evidence: &ForkEvidence,
    log: &VerifierKey,
) -> Result<(), FileError> {
    let proves = evidence.proves_fork(log);
    let kind = if proves { FORK } else { DOUBT };
    let path = folder.join(format!("{kind}{}.json", digest_of(evidence)));
    if path.exists() {
        return Ok(());
    }
    let kept = kept(folder);
    if kept.len() >= KEPT_MAX {
        // A proof is worth more than any doubt; of equals, the first stay.
        let doubt = kept.iter().rev().find(|path| is_of(path, DOUBT));
        let Some(doubt) = doubt.filter(|_| proves) else { return Ok(()) };
        files::remove_durably(doubt)?;
    }
    let text = serde_json::to_vec_pretty(evidence).unwrap_or_default();
    files::write_durably(&path, &text)
}

/// Of the two checkpoints alone. Notes have no control characters but ends of lines.
fn digest_of(evidence: &ForkEvidence) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(evidence.ours.as_bytes()).update(&[0]).update(evidence.theirs.as_bytes());
    Digest(*hasher.finalize().as_bytes())
}

fn is_of(path: &Path, kind: &str) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(kind))
}

/// The files that are kept, by name. Where the folder cannot be read, writing to it will tell.
fn kept(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_kept = |path: &PathBuf| is_of(path, FORK) || is_of(path, DOUBT);
    let mut kept: Vec<_> = entries.map(|entry| entry.path()).filter(is_kept).collect();
    kept.sort_unstable();
    kept
}

#[cfg(test)]
mod tests {
    use covey_aggregation::signing::Identity;
    use covey_ledger::checkpoint::{Checkpoint, TreeHead};
    use covey_ledger::note::Algorithm;
    use covey_ledger::tree::leaf_hash;
    use zeroize::Zeroizing;

    use super::*;

    fn log() -> Identity {
        Identity::from_seed(&Zeroizing::new([7; 32]))
    }

    fn signed(size: u64, root: &str) -> String {
        let head = TreeHead { size, root: leaf_hash(root.as_bytes()) };
        let checkpoint = Checkpoint::new("fed".parse().expect("a name"), head);
        checkpoint.sign(&log()).expect("signed").to_string()
    }

    fn evidence(size: u64, root: &str) -> ForkEvidence {
        let (ours, theirs) = (signed(1, "ours"), signed(size, root));
        ForkEvidence { ours, theirs, proof: Vec::new(), time_s: 1 }
    }

    fn names(folder: &Path) -> Vec<String> {
        kept(folder)
            .iter()
            .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn proofs_push_out_doubts_and_nothing_pushes_out_a_proof() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = VerifierKey::new("fed".parse().expect("a name"), Algorithm::Ed25519, log().id());
        let keep = |evidence: &ForkEvidence| keep(folder.path(), evidence, &key).expect("kept");
        let count = |kind: &str| {
            let names = names(folder.path());
            names.iter().filter(|name| name.starts_with(kind)).count()
        };
        for number in 0..KEPT_MAX + 9 {
            keep(&evidence(2, &number.to_string()));
        }
        assert_eq!((count(FORK), count(DOUBT)), (0, KEPT_MAX));
        keep(&evidence(1, "first"));
        assert_eq!((count(FORK), count(DOUBT)), (1, KEPT_MAX - 1));
        let first = format!("{FORK}{}.json", digest_of(&evidence(1, "first")));
        // The same two checkpoints again, at another time.
        let before = fs::read(folder.path().join(&first)).expect("kept");
        keep(&ForkEvidence { time_s: 2, ..evidence(1, "first") });
        assert_eq!(fs::read(folder.path().join(&first)).expect("kept"), before);
        for number in 0..KEPT_MAX + 9 {
            keep(&evidence(1, &number.to_string()));
            keep(&evidence(3, &number.to_string()));
        }
        assert_eq!((count(FORK), count(DOUBT)), (KEPT_MAX, 0));
        assert_eq!(fs::read(folder.path().join(&first)).expect("kept"), before);
    }
}
