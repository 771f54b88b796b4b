//! A federation of one log and four witnesses, three of them needed, over a store in memory that can be
//! told to fail.

use std::collections::BTreeMap;

use covey_aggregation::signing::Identity;
use covey_ledger::checkpoint::{Checkpoint, TreeHead};
use covey_ledger::log::{Effect, Failure, Log, OpenError, Opening};
use covey_ledger::note::{Algorithm, KeyName, VerifierKey};
use covey_ledger::quorum::Quorum;
use covey_ledger::tile::Tiles;
use covey_ledger::witness::{Head, Request, Witness};
use zeroize::Zeroizing;

/// When everything begins, in milliseconds since 1970.
pub(crate) const START_MS: u64 = 1_800_000_000_000;
pub(crate) const WITNESSES: u8 = 4;

pub(crate) fn identity(seed: u8) -> Identity {
    Identity::from_seed(&Zeroizing::new([seed; 32]))
}

/// The log's.
pub(crate) fn log_identity() -> Identity {
    identity(100)
}

pub(crate) fn name(text: &str) -> KeyName {
    text.parse().expect("a name")
}

pub(crate) fn witness_key(number: u8) -> VerifierKey {
    let name = name(&format!("fed/holder-{number}"));
    VerifierKey::new(name, Algorithm::Cosignature, identity(number).id())
}

pub(crate) fn quorum() -> Quorum {
    let log = VerifierKey::new(name("fed"), Algorithm::Ed25519, log_identity().id());
    Quorum::new(log, (0..WITNESSES).map(witness_key).collect(), 3).expect("a quorum")
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It reports an error and has done nothing.
    ErrorBefore,
    /// It reports an error and has done everything.
    ErrorAfter,
    /// The program ends before it.
    KillBefore,
    /// The program ends after it.
    KillAfter,
}

impl Fault {
    pub(crate) const ALL: [Self; 4] =
        [Self::ErrorBefore, Self::ErrorAfter, Self::KillBefore, Self::KillAfter];
}

/// The program has ended, or must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

/// What outlives a program: files, the lock, and what witnesses keep. Operations are counted.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) lock: Option<Vec<u8>>,
    pub(crate) heads: BTreeMap<u8, Head>,
    /// Operations so far, and which of them fail.
    pub(crate) operations: usize,
    pub(crate) faults: BTreeMap<usize, Fault>,
    /// Every checkpoint that anybody ever saw signed.
    pub(crate) signed: Vec<TreeHead>,
    /// What was acknowledged, by index.
    pub(crate) acknowledged: BTreeMap<u64, Vec<u8>>,
}

impl Store {
    pub(crate) fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.files.get(path).cloned()
    }

    pub(crate) fn open(&self) -> Result<Log, OpenError> {
        Opening::new(quorum(), self.lock.clone())?.open(|path| self.read(path))
    }

    /// An operation, which may be one that fails: `Ok(false)` is an error reported.
    fn operate(&mut self, operation: impl FnOnce(&mut Self)) -> Result<bool, Stopped> {
        let fault = self.faults.get(&self.operations).copied();
        self.operations += 1;
        if !matches!(fault, Some(Fault::ErrorBefore | Fault::KillBefore)) {
            operation(self);
        }
        match fault {
            None => Ok(true),
            Some(Fault::ErrorBefore | Fault::ErrorAfter) => Ok(false),
            Some(Fault::KillBefore | Fault::KillAfter) => Err(Stopped),
        }
    }

    /// Does the log's effects until there is none; `Ok(false)` when the batch was dropped.
    pub(crate) fn drive(&mut self, log: &mut Log, now_ms: u64) -> Result<bool, Stopped> {
        while let Some(effect) = log.effect().cloned() {
            let done = match effect {
                Effect::Stage { path, bytes }
                | Effect::Write { path, bytes }
                | Effect::Publish { path, bytes } => self.operate(|store| {
                    store.see(&bytes);
                    store.files.insert(path, bytes);
                })?,
                Effect::Commit { old, new } => self.operate(|store| {
                    assert_eq!(store.lock, old, "nobody else writes");
                    store.lock = Some(new);
                })?,
                Effect::Unstage { path } => self.operate(|store| {
                    store.files.remove(&path);
                })?,
                Effect::Cosign { size, checkpoint } => {
                    self.cosign(log, size, &checkpoint, now_ms)?;
                    true
                }
                Effect::Acknowledge { entries } => self.operate(|store| {
                    let all = store.entries();
                    let there = entries.map(|index| (index, all[index as usize].clone()));
                    store.acknowledged.extend(there);
                })?,
            };
            if done {
                // Too few cosignatures: they are asked again.
                let _ = log.done();
                continue;
            }
            match log.failed() {
                Failure::Dropped => return Ok(false),
                Failure::Reopen => return Err(Stopped),
                Failure::Retry => {}
            }
        }
        Ok(true)
    }

    /// Asks every witness; each keeps its head before it answers.
    fn cosign(
        &mut self,
        log: &mut Log,
        size: u64,
        checkpoint: &[u8],
        now_ms: u64,
    ) -> Result<(), Stopped> {
        self.see(checkpoint);
        for number in 0..WITNESSES {
            let kept = self.heads.get(&number).cloned();
            let key = witness_key(number);
            let mut witness = Witness::new(key.name, quorum(), kept).expect("its own head");
            let tiles = Tiles::new(size, |path: &str| self.read(path));
            let request = Request::new(witness.size(), size, checkpoint.to_vec(), &tiles);
            let request = Request::parse(&request.expect("all tiles are there").encode());
            // A log that never forks is never refused.
            let step = witness.handle(&request.expect("a request"), now_ms / 1_000);
            let head = step.expect("an honest log").head;
            if self.operate(|store| drop(store.heads.insert(number, head)))? {
                let line = witness.stored(&identity(number)).expect("a step");
                log.cosigned(line).expect("an honest witness");
            }
        }
        Ok(())
    }

    fn see(&mut self, bytes: &[u8]) {
        if let Ok((checkpoint, _)) = Checkpoint::parse(bytes) {
            self.signed.push(checkpoint.head);
        }
    }

    /// All entries as the published files have them, audited.
    pub(crate) fn entries(&self) -> Vec<Vec<u8>> {
        let mut entries = Vec::new();
        let visit = |_, entry: &[u8]| entries.push(entry.to_vec());
        covey_ledger::bundle::audit(|path| self.read(path), &quorum(), visit).expect("sound");
        entries
    }
}

/// A published log of these entries, in batches of at most `batch`.
pub(crate) fn published(entries: &[Vec<u8>], batch: usize) -> Store {
    let mut store = Store::default();
    let mut log = store.open().expect("nothing yet");
    for (number, entries) in entries.chunks(batch).enumerate() {
        let now_ms = START_MS + number as u64 * 1_000;
        log.append(entries, now_ms, &log_identity()).expect("ready");
        assert_eq!(store.drive(&mut log, now_ms), Ok(true));
    }
    store
}

/// What an entry may look like: text of some length.
pub(crate) fn entry(index: u64) -> Vec<u8> {
    let kinds = ["member-joined", "round-closed", "credits", "dispute"];
    let kind = kinds[(index % 4) as usize];
    format!(r#"{{"kind":"{kind}","time_ms":{},"body":{{"n":{index}}}}}"#, START_MS + index)
        .into_bytes()
}
