//! A folder of files, written durably or not.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use covey_aggregation::net::files::write_durably;

pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self(path.to_owned()))
    }

    pub(crate) fn read(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.0.join(path)).ok()
    }

    pub(crate) fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&self.0))?;
        fs::write(path, bytes)
    }

    pub(crate) fn write_durably(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&self.0))?;
        write_durably(&path, bytes).map_err(io::Error::other)
    }

    /// Not durably: what is removed does no harm if it comes back.
    pub(crate) fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(path))
    }
}
