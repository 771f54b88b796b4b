//! Files that hold secrets, and files that must survive a power cut.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// A file that is not there, not readable, or not what it should be. Always names the path.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{}: {what}", path.display())]
    Content {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A secret that others can read.
    #[error(
        "{path} is a secret and has mode {mode:03o}, so that others can read it; run: chmod 600 \
         {path}",
        path = path.display()
    )]
    Exposed {
        /// Where.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Something is already there and is never overwritten.
    #[error("{} exists already and is not overwritten; choose another folder", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
}

impl FileError {
    /// `path` holds something else than it should.
    pub fn content(path: &Path, what: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), what: what.into() }
    }

    fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }
}

/// Reads a file of at most `bytes_max` bytes.
///
/// # Errors
/// [`FileError::Read`] or, when it is larger, [`FileError::Content`].
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(|source| FileError::read(path, source))?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| FileError::read(path, source))?;
    if bytes.len() as u64 > bytes_max {
        return Err(FileError::content(path, format!("larger than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// Reads a text file of at most `bytes_max` bytes.
///
/// # Errors
/// As [`read`], and when it is not UTF-8.
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, FileError> {
    String::from_utf8(read(path, bytes_max)?)
        .map_err(|_| FileError::content(path, "not a text file"))
}

/// Refuses a secret file that others can read.
///
/// # Errors
/// [`FileError::Exposed`], or [`FileError::Read`] when it is not there.
#[cfg_attr(not(unix), allow(unused_variables, clippy::unnecessary_wraps))]
pub fn check_private(path: &Path) -> Result<(), FileError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = fs::metadata(path).map_err(|source| FileError::read(path, source))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(FileError::Exposed { path: path.to_owned(), mode });
        }
    }
    Ok(())
}

/// Writes a new secret file, readable by its owner only, durably. Never overwrites.
///
/// # Errors
/// [`FileError::Exists`] or [`FileError::Write`].
pub fn create_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let write = || {
        let mut file = options.open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        sync_folder_of(path)
    };
    write().map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists { path: path.to_owned() },
        _ => FileError::write(path, source),
    })
}

/// Writes a file so that after a power cut there is either the old or the new content, never a
/// part: a temporary file beside it, flushed, renamed, and its folder flushed.
///
/// # Errors
/// [`FileError::Write`].
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = DurableFile::create(path)?;
    file.write_all(bytes).map_err(|source| FileError::write(path, source))?;
    file.commit()
}

/// A file being written that appears under its name, whole and durable, on
/// [`commit`](Self::commit), and otherwise not at all.
pub struct DurableFile {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<io::BufWriter<File>>,
}

impl DurableFile {
    /// Begins a file that shall be at `path`. Only its owner can read it.
    ///
    /// # Errors
    /// [`FileError::Write`].
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let temporary = path.with_file_name(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let file = options.open(&temporary).map_err(|source| FileError::write(path, source))?;
        let file = Some(io::BufWriter::with_capacity(1 << 18, file));
        Ok(Self { path: path.to_owned(), temporary, file })
    }

    /// Makes the content durable and gives it its name.
    ///
    /// # Errors
    /// [`FileError::Write`].
    pub fn commit(mut self) -> Result<(), FileError> {
        let commit = |file: io::BufWriter<File>| {
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&self.temporary, &self.path)?;
            sync_folder_of(&self.path)
        };
        let file = self.file.take();
        file.map_or(Ok(()), commit).map_err(|source| FileError::write(&self.path, source))
    }
}

impl io::Write for DurableFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), io::Write::flush)
    }
}

impl Drop for DurableFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Not committed: what is left of it serves nobody, and failing to tidy up harms none.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Removes a file durably; a file that is not there is fine.
///
/// # Errors
/// [`FileError::Write`].
pub fn remove_durably(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder_of(path).map_err(|source| FileError::write(path, source)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(FileError::write(path, source)),
    }
}

/// Creates a folder (and its parents) that only its owner can enter.
///
/// # Errors
/// [`FileError::Write`].
pub fn create_private_folder(path: &Path) -> Result<(), FileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path).map_err(|source| FileError::write(path, source))
}

/// Makes a new folder durable in the one that it is in.
///
/// # Errors
/// [`FileError::Write`].
pub fn sync_folder(path: &Path) -> Result<(), FileError> {
    sync_folder_of(path).map_err(|source| FileError::write(path, source))
}

/// A new or renamed file is durable only once its folder is (fsync(2)).
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_committed_never_appears() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("bulk");
        write_durably(&path, b"old").expect("written");
        let mut file = DurableFile::create(&path).expect("created");
        file.write_all(b"new").expect("written");
        drop(file);
        assert_eq!(read(&path, 10).expect("read"), b"old");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_is_private_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("key");
        create_private(&path, b"secret").expect("created");
        check_private(&path).expect("private");
        assert!(matches!(create_private(&path, b"other"), Err(FileError::Exists { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        let error = check_private(&path).expect_err("exposed");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("long");
        write_durably(&path, &[0; 11]).expect("written");
        assert!(matches!(read(&path, 10), Err(FileError::Content { .. })));
    }
}
