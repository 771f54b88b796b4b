//! Whole things as files in a folder. `object_store` has a local store, too, but does not make what
//! it wrote durable (no fsync of file or folder): after a power cut an acknowledged contribution
//! could be gone. Hence these files are written here ([`durable`](crate::storage::durable)).

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::Entry;
use crate::storage::durable::{
    create_folder, part_of, remove_folder, rename, sync_folder, write_file,
};
use crate::storage::{MAKE_DURABLE, StorageError};

/// A folder, below which keys are paths.
#[derive(Clone, Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn path(&self, key: &str) -> PathBuf {
        self.0.join(key)
    }

    /// A file's bytes; none when there is no such file.
    pub(super) fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let path = self.path(key);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StorageError::file("read", &path)(error)),
        }
    }

    /// Up to `bytes` of a file's bytes from `offset` on; fewer only at its end.
    pub(super) fn read_at(
        &self,
        key: &str,
        offset: u64,
        bytes: u64,
    ) -> Result<Vec<u8>, StorageError> {
        let (mut content, mut file) = (Vec::new(), self.open(key, offset)?);
        let read = (&mut file).take(bytes).read_to_end(&mut content);
        read.map_err(StorageError::file("read", &self.path(key)))?;
        Ok(content)
    }

    /// A file, to be read from `offset` on.
    pub(super) fn open(&self, key: &str, offset: u64) -> Result<File, StorageError> {
        let path = self.path(key);
        let failed = || StorageError::file("read", &path);
        let mut file = File::open(&path).map_err(failed())?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset)).map_err(failed())?;
        }
        Ok(file)
    }

    /// How many bytes a file has; none when there is no such file.
    pub(super) fn size(&self, key: &str) -> Result<Option<u64>, StorageError> {
        let path = self.path(key);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StorageError::file("read", &path)(error)),
        }
    }

    /// Writes a whole file durably, in the place of an older one.
    pub(super) fn write(&self, key: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let path = self.path(key);
        self.parent(&path)?;
        write_file(&path, bytes)
    }

    /// Likewise, of `bytes` bytes of `source`.
    pub(super) fn put(
        &self,
        key: &str,
        bytes: u64,
        source: &mut dyn Read,
    ) -> Result<(), StorageError> {
        let path = self.path(key);
        self.parent(&path)?;
        let part = part_of(&path);
        let mut file = File::create(&part).map_err(StorageError::file("create", &part))?;
        let written = std::io::copy(&mut source.take(bytes), &mut file).and_then(|written| {
            if written == bytes { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
        });
        written.map_err(StorageError::file("write", &part))?;
        file.sync_all().map_err(StorageError::file(MAKE_DURABLE, &part))?;
        rename(&part, &path)
    }

    fn parent(&self, path: &Path) -> Result<(), StorageError> {
        path.parent().map_or(Ok(()), create_folder)
    }

    /// Copies a file under another name; no byte of it moves.
    pub(super) fn link(&self, from: &str, to: &Path) -> Result<(), StorageError> {
        fs::hard_link(self.path(from), to).map_err(StorageError::file("link", to))
    }

    /// Removes all files below `folder`, and it.
    pub(super) fn remove_all(&self, folder: &str) -> Result<(), StorageError> {
        remove_folder(&self.path(folder))
    }

    /// All files below `folder`, which ends in `/` or is empty, ascending. A folder that is not there
    /// has none.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<Entry>, StorageError> {
        let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
        while let Some(folder) = folders.pop() {
            for (name, metadata) in self.children(&folder)? {
                let key = format!("{folder}{name}");
                if metadata.is_dir() {
                    folders.push(key + "/");
                } else {
                    found.push(Entry { key, bytes: metadata.len() });
                }
            }
        }
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    /// The names of what is directly in `folder`; none when it is not there.
    pub(super) fn children(
        &self,
        folder: &str,
    ) -> Result<Vec<(String, fs::Metadata)>, StorageError> {
        let path = self.path(folder);
        let failed = || StorageError::file("read the folder", &path);
        let listed = match fs::read_dir(&path) {
            Ok(listed) => listed,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed()(error)),
        };
        let mut found = Vec::new();
        for entry in listed {
            let entry = entry.map_err(failed())?;
            let metadata = entry.metadata().map_err(failed())?;
            // Nothing here has another name.
            if let Ok(name) = entry.file_name().into_string() {
                found.push((name, metadata));
            }
        }
        Ok(found)
    }

    /// Makes `folder` of `linked` files and one that is written; it is there as a whole or not at all.
    pub(super) fn assemble(
        &self,
        folder: &str,
        linked: &[(String, String)],
        (last, bytes): (&str, &[u8]),
    ) -> Result<(), StorageError> {
        let folder = self.path(folder);
        let part = part_of(&folder);
        remove_folder(&part)?;
        let mut parents = std::collections::BTreeSet::new();
        for (from, name) in linked {
            let link = part.join(name);
            for parent in link.ancestors().skip(1).take_while(|parent| *parent != part) {
                parents.insert(parent.to_owned());
            }
            if let Some(parent) = link.parent() {
                // Durable below, all of them once.
                fs::create_dir_all(parent)
                    .map_err(StorageError::file("create the folder", parent))?;
            }
            self.link(from, &link)?;
        }
        create_folder(&part)?;
        for parent in parents.iter().rev() {
            sync_folder(parent)?;
        }
        write_file(&part.join(last), bytes)?;
        sync_folder(&part)?;
        rename(&part, &folder)
    }
}
