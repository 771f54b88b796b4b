//! A log in a folder, and its four witnesses, all in one process.

use std::{io, thread};

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

/// Files that are written at once.
const AT_ONCE: usize = 8;

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
                Effect::Stage { path, bytes } | Effect::Publish { path, bytes } => {
                    self.write(&path, &bytes)?;
                }
                Effect::Write { .. } => {
                    let writes: Vec<_> = self.log.writes().collect();
                    at_once(&writes, |(path, bytes)| self.write(path, bytes))?;
                    for _ in 1..writes.len() {
                        self.log.done()?;
                    }
                }
                Effect::Commit { new, .. } => self.write("lock", &new)?,
                Effect::Unstage { path } => self.folder.remove(&path)?,
                Effect::Cosign { size, checkpoint } => self.cosign(size, &checkpoint)?,
                Effect::Acknowledge { .. } => {}
            }
            self.log.done()?;
        }
        Ok(())
    }

    /// Each witness is a machine of its own: they write at once.
    fn cosign(&mut self, size: u64, checkpoint: &[u8]) -> Result<(), Failed> {
        let mut heads = Vec::new();
        for (number, (witness, _)) in self.witnesses.iter_mut().enumerate() {
            let tiles = Tiles::new(size, |path: &str| self.folder.read(path));
            let request = Request::new(witness.size(), size, checkpoint.to_vec(), &tiles)?;
            let step = witness.handle(&request, self.now_ms / 1_000)?;
            heads.push((format!("witness-{number}"), step.head.checkpoint));
        }
        // Durable first, cosigned second.
        at_once(&heads, |(path, head)| self.write(path, head.as_bytes()))?;
        for (witness, identity) in &mut self.witnesses {
            self.log.cosigned(witness.stored(identity).ok_or("no step")?)?;
        }
        Ok(())
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let write = if self.durable { Folder::write_durably } else { Folder::write };
        write(&self.folder, path, bytes)
    }
}

/// Does something with each of a few, all at once, as the coordinator writes the files of a batch.
fn at_once<T: Sync>(all: &[T], work: impl Fn(&T) -> io::Result<()> + Sync) -> io::Result<()> {
    thread::scope(|scope| {
        let parts = all.chunks(all.len().div_ceil(AT_ONCE).max(1));
        let work = &work;
        let working: Vec<_> =
            parts.map(|part| scope.spawn(move || part.iter().try_for_each(work))).collect();
        let panicked = |_| io::Error::other("a thread panicked");
        working.into_iter().try_for_each(|one| one.join().map_err(panicked)?)
    })
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
