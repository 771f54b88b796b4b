//! Stored contributions: `contributions/<header digest>/{correction,chunks}`.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use covey_aggregation::config::RoundConfig;
use covey_aggregation::hash::Digest;
use covey_aggregation::net::files;
use covey_aggregation::party::PartyId;
use covey_aggregation::publication::ContributionSource;
use covey_aggregation::sum::contribution::correction_bytes;

/// The contributions of one published round.
pub(super) struct Folder<'a> {
    path: PathBuf,
    config: &'a RoundConfig,
    /// The chunks being read.
    open: Option<(Digest, File)>,
}

impl<'a> Folder<'a> {
    pub(super) fn new(round: &Path, config: &'a RoundConfig) -> Self {
        Self { path: round.join("contributions"), config, open: None }
    }

    fn file(&self, contribution: &Digest, name: &str) -> PathBuf {
        self.path.join(contribution.to_string()).join(name)
    }

    /// The file of all chunks, which must be exactly as long as they are.
    fn chunks(&mut self, contribution: &Digest) -> io::Result<&mut File> {
        let is_open = self.open.as_ref().is_some_and(|(open, _)| open == contribution);
        if !is_open {
            let path = self.file(contribution, "chunks");
            let named = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            };
            let file = File::open(&path).map_err(named)?;
            let (bytes, expected) =
                (file.metadata().map_err(named)?.len(), self.config.payload_bytes());
            if bytes != expected {
                let what = format!("{}: {bytes} bytes, expected {expected}", path.display());
                return Err(io::Error::other(what));
            }
            self.open = Some((*contribution, file));
        }
        self.open.as_mut().map(|(_, file)| file).ok_or_else(|| io::Error::other("not open"))
    }
}

impl ContributionSource for Folder<'_> {
    type Error = io::Error;

    fn correction(&mut self, _: &PartyId, contribution: &Digest) -> io::Result<Vec<u8>> {
        let bytes_max = correction_bytes(self.config) as u64;
        files::read(&self.file(contribution, "correction"), bytes_max).map_err(io::Error::other)
    }

    fn chunk(&mut self, _: &PartyId, contribution: &Digest, index: u32) -> io::Result<Vec<u8>> {
        let start = u64::from(index) * self.config.chunk_bytes(0) as u64;
        let mut bytes = vec![0; self.config.chunk_bytes(index)];
        let file = self.chunks(contribution)?;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
