//! The holder as a witness of the federation's ledger: it cosigns a checkpoint once it has seen that the
//! ledger has only grown since the last one, and once what it cosigns is on its disk. A cosignature of its
//! own that it does not remember tells it that its state is older than what it has signed: then it stops,
//! before it signs another set of a round that it has signed already.
//!
//! ```text
//! ledger/head.json    the last checkpoint that it has cosigned
//! ledger/fork-*.json  two checkpoints that contradict each other, for everybody to see
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use covey_aggregation::hash::Digest;
use covey_aggregation::message::{FromHolder, NoteBytes, ToHolder};
use covey_aggregation::net::{FileError, Membership, files};
use covey_aggregation::program::clock::now;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::signing::Identity;
use covey_ledger::note::KeyName;
use covey_ledger::quorum::{BadQuorum, Quorum, witness_name};
use covey_ledger::tree::Hash;
use covey_ledger::witness::{Behind, Head, Request, Witness};

use crate::forks;

/// The folder, in the state folder.
const LEDGER_FOLDER: &str = "ledger";

/// What was cosigned last.
const HEAD_FILE: &str = "head.json";

/// Bytes of that file at most: a note and a time.
const HEAD_BYTES_MAX: u64 = 64 << 10;

/// A witness and what it remembers.
pub(crate) struct Witnessing {
    /// None while the committee is not complete.
    witness: Option<(Witness, KeyName, Quorum)>,
    identity: Arc<Identity>,
    folder: PathBuf,
    /// Whether a state that is older than what was signed is gone on with.
    accepts_loss: bool,
}

/// What a witness answers, and what the person who runs it is told.
pub(crate) struct Witnessed {
    pub(crate) message: FromHolder,
    /// Size of the ledger that was cosigned, or why it was not.
    pub(crate) outcome: Result<u64, String>,
}

impl Witnessing {
    /// Opens the memory of this holder in its state folder.
    ///
    /// # Errors
    /// [`Failure`]: the memory cannot be read or is not of this federation's ledger. A witness without
    /// its memory would cosign a fork.
    pub(crate) fn open(
        state: &Path,
        membership: &Membership,
        accepts_loss: bool,
    ) -> Result<Self, Failure> {
        let folder = state.join(LEDGER_FOLDER);
        files::create_private_folder(&folder).map_err(|error| Failure::file(&error))?;
        let path = folder.join(HEAD_FILE);
        let damaged = |what: String| {
            Failure::new(Exit::Failed, "WITNESS", format!("{}: {what}", path.display())).with_help(
                "restore it from a backup of this holder: without its memory it could vouch for a \
                 second history of the ledger",
            )
        };
        let head = match path.exists() {
            true => {
                let bytes =
                    files::read(&path, HEAD_BYTES_MAX).map_err(|no| damaged(no.to_string()))?;
                let head: Head =
                    serde_json::from_slice(&bytes).map_err(|no| damaged(no.to_string()))?;
                Some(head)
            }
            false => None,
        };
        let bad = |bad: BadQuorum| Failure::new(Exit::NoAccess, "IDENTITY", bad);
        let roster = membership.roster();
        let name = witness_name(&roster.federation, &membership.member().name).map_err(bad)?;
        let witness = match roster.validate() {
            Ok(()) => {
                let quorum = Quorum::of_roster(roster).map_err(bad)?;
                let witness = Witness::new(name.clone(), quorum.clone(), head);
                Some((witness.map_err(|bad| damaged(bad.to_string()))?, name, quorum))
            }
            // It is opened again once the committee is complete.
            Err(_) => None,
        };
        let identity = Arc::clone(membership.identity());
        Ok(Self { witness, identity, folder, accepts_loss })
    }

    /// Answers [`ToHolder::Cosign`]; nothing to anything else.
    ///
    /// # Errors
    /// [`Failure`]: nothing was cosigned, and this holder is not to go on.
    pub(crate) fn answer(&mut self, message: &ToHolder) -> Result<Option<Witnessed>, Failure> {
        let (ToHolder::Cosign { old_size, proof, checkpoint, published }, Some(known)) =
            (message, &mut self.witness)
        else {
            return Ok(None);
        };
        let (witness, name, quorum) = known;
        let memory = published.as_ref().map_or(Ok(()), |one| witness.check_memory(one.as_bytes()));
        match memory {
            Err(Behind { head, .. }) if self.accepts_loss => {
                store(&self.folder, &head).map_err(|error| Failure::file(&error))?;
                if let Ok(caught_up) = Witness::new(name.clone(), quorum.clone(), Some(*head)) {
                    *witness = caught_up;
                }
            }
            memory => memory.map_err(behind)?,
        }
        let note = Digest(*blake3::hash(checkpoint.as_bytes()).as_bytes());
        let request = Request {
            old_size: *old_size,
            proof: proof.iter().map(|hash| Hash(hash.0)).collect(),
            checkpoint: checkpoint.as_bytes().to_vec(),
        };
        let step = match witness.handle(&request, now().0 / 1000) {
            Ok(step) => step,
            Err(refusal) => {
                if let Some(evidence) = refusal.evidence() {
                    let kept = forks::keep(&self.folder, evidence, quorum.log());
                    kept.map_err(|error| Failure::file(&error))?;
                }
                let (size, code) = (Some(witness.size()), refusal.code());
                let message = FromHolder::NotCosigned { note, size, code };
                return Ok(Some(Witnessed { message, outcome: Err(refusal.to_string()) }));
            }
        };
        if let Err(error) = store(&self.folder, &step.head) {
            witness.not_stored();
            return Err(Failure::file(&error));
        }
        let line = witness.stored(&self.identity).map(|line| line.to_string().into_bytes());
        let Some(line) = line.and_then(NoteBytes::new) else { return Ok(None) };
        let message = FromHolder::Cosigned { note, line };
        Ok(Some(Witnessed { message, outcome: Ok(witness.size()) }))
    }
}

/// Why a holder that has forgotten what it signed does not go on.
fn behind(behind: Behind) -> Failure {
    let what = format!(
        "the state folder is older than what this holder has signed: {behind}. It could sign another set \
         of a round that it has signed already"
    );
    Failure::new(Exit::Failed, "BEHIND", what).with_help(
        "restore a newer copy of the state folder; if there is none, wait until every round that was under \
         way when it was lost is over, then: covey-committee serve --accept-loss",
    )
}

/// Remembers what was cosigned last, durably.
fn store(folder: &Path, head: &Head) -> Result<(), FileError> {
    let head = serde_json::to_vec(head).unwrap_or_default();
    files::write_durably(&folder.join(HEAD_FILE), &head)
}
