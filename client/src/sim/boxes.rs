//! Sealed boxes of a round's contributions, on disk until the holders are sent theirs: with many
//! clients they are most of what must be kept. The file has no name and is gone with the round.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::{Mutex, PoisonError};

use covey_aggregation::config::{HolderIndex, RoundConfig};
use covey_aggregation::hash::Digest;
use covey_aggregation::round::BoxSource;
use covey_aggregation::sum::contribution::box_bytes;

/// Boxes by the digest of their header.
pub(super) struct Boxes {
    file: Mutex<File>,
    /// Each contribution's place in the file, in the order in which they came.
    places: BTreeMap<Digest, u32>,
    holders: usize,
    /// Bytes of one box.
    bytes: usize,
}

impl Boxes {
    pub(super) fn new(config: &RoundConfig) -> io::Result<Self> {
        Ok(Self {
            file: Mutex::new(tempfile::tempfile()?),
            places: BTreeMap::new(),
            holders: config.shape.members(),
            bytes: box_bytes(config),
        })
    }

    /// Contributions stored.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Stores the boxes of one contribution: one for each holder, of the length that the terms
    /// say, which was checked.
    pub(super) fn store(&mut self, header: Digest, boxes: &[Vec<u8>]) -> io::Result<()> {
        let place = u32::try_from(self.places.len()).map_err(io::Error::other)?;
        let start = self.start(place, 0);
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        file.seek(start)?;
        file.write_all(&boxes.concat())?;
        self.places.insert(header, place);
        Ok(())
    }

    fn start(&self, place: u32, holder: usize) -> SeekFrom {
        let number = place as usize * self.holders + holder;
        SeekFrom::Start((number * self.bytes) as u64)
    }
}

impl BoxSource for Boxes {
    fn sealed_box(&self, header: &Digest, holder: HolderIndex) -> Option<Vec<u8>> {
        let (place, holder) = (*self.places.get(header)?, usize::from(holder.0));
        if holder >= self.holders {
            return None;
        }
        let mut sealed_box = vec![0; self.bytes];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(self.start(place, holder)).ok()?;
        file.read_exact(&mut sealed_box).ok()?;
        Some(sealed_box)
    }
}
