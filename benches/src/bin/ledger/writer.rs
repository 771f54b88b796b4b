//! A log in a folder, and its four witnesses, all in one process.

use covey_aggregation::signing::Identity;
use covey_ledger::checkpoint::TreeHead;
use covey_ledger::log::{Effect, Log, Opening};
use covey_ledger::note::{Algorithm, VerifierKey};
use covey_ledger::quorum::Quorum;
use covey_ledger::tile::Tiles;
use covey_ledger::witness::{Request, Witness};
use zeroize::Zeroizing;

use crate::folder::Folder;

type Failed = Box<dyn std::error::Error>;

const WITNESSES: u8 = 4;

/// When the log begins, in milliseconds since 1970.
const START_MS: u64 = 1_800_000_000_000;

pub(crate) struct Writer {
    folder: Folder,
    /// Whether every file is flushed, or left to the system.
    durable: bool,
    quorum: Quorum,
    log: Log,
    identity: Identity,
    witnesses: Vec<(Witness, Identity)>,
    now_ms: u64,
}

impl Writer {
    pub(crate) fn create(folder: Folder, durable: bool) -> Result<Self, Failed> {
        let name = |number: u8| format!("bench/holder-{number}").parse();
        let mut keys = Vec::new();
        for number in 0..WITNESSES {
            keys.push(VerifierKey::new(
                name(number)?,
                Algorithm::Cosignature,
                identity(number).id(),
            ));
        }
        let log = VerifierKey::new("bench".parse()?, Algorithm::Ed25519, identity(100).id());
        let quorum = Quorum::new(log, keys, 3)?;
        let log = Opening::new(quorum.clone(), None)?.open(|path| folder.read(path))?;
        let mut witnesses = Vec::new();
        for number in 0..WITNESSES {
            let witness = Witness::new(name(number)?, quorum.clone(), None)?;
            witnesses.push((witness, identity(number)));
        }
        let (identity, now_ms) = (identity(100), START_MS);
        Ok(Self { folder, durable, quorum, log, identity, witnesses, now_ms })
    }

    pub(crate) fn size(&self) -> u64 {
        self.log.size()
    }

    pub(crate) fn head(&self) -> Option<TreeHead> {
        self.log.head()
    }

    pub(crate) const fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    pub(crate) const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Appends a batch until it is acknowledged.
    pub(crate) fn append(&mut self, entries: &[Vec<u8>]) -> Result<(), Failed> {
        self.now_ms += 1_000;
        self.log.append(entries, self.now_ms, &self.identity)?;
        while let Some(effect) = self.log.effect().cloned() {
            match effect {
                Effect::Stage { path, bytes }
                | Effect::Write { path, bytes }
                | Effect::Publish { path, bytes } => self.write(&path, &bytes)?,
                Effect::Commit { new, .. } => self.write("lock", &new)?,
                Effect::Unstage { path } => self.folder.remove(&path)?,
                Effect::Cosign { size, checkpoint } => self.cosign(size, &checkpoint)?,
                Effect::Acknowledge { .. } => {}
            }
            self.log.done()?;
        }
        Ok(())
    }

    fn cosign(&mut self, size: u64, checkpoint: &[u8]) -> Result<(), Failed> {
        for number in 0..self.witnesses.len() {
            let tiles = Tiles::new(size, |path: &str| self.folder.read(path));
            let (witness, _) = &self.witnesses[number];
            let request = Request::new(witness.size(), size, checkpoint.to_vec(), &tiles)?;
            let (witness, identity) = &mut self.witnesses[number];
            let step = witness.handle(&request, self.now_ms / 1_000)?;
            // Durable first, cosigned second.
            let head = step.head.checkpoint;
            write(&self.folder, self.durable, &format!("witness-{number}"), head.as_bytes())?;
            let line = witness.stored(identity).ok_or("no step")?;
            self.log.cosigned(line)?;
        }
        Ok(())
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Failed> {
        write(&self.folder, self.durable, path, bytes)
    }
}

fn write(folder: &Folder, durable: bool, path: &str, bytes: &[u8]) -> Result<(), Failed> {
    let write = if durable { Folder::write_durably } else { Folder::write };
    Ok(write(folder, path, bytes)?)
}

/// An entry as rounds have them: a few hundred bytes.
pub(crate) fn entry(index: u64) -> Vec<u8> {
    let digest = covey_ledger::tree::leaf_hash(&index.to_be_bytes());
    format!(
        r#"{{"schema":"covey-entry/1","federation":"bench","time_ms":{START_MS},"kind":"contribution","body":{{"round":"{digest}","owner":"{digest}","header":"{digest}","examples":{index}}}}}"#
    )
    .into_bytes()
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&Zeroizing::new([seed; 32]))
}
