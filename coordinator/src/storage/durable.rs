//! Files that are whole or absent, whatever happens: write beside, fsync, rename, fsync the
//! folder. The last step makes the *name* durable; without it a crash can undo the rename.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{MAKE_DURABLE, StorageError};

/// Ending of what is not yet whole. Anything with it may be deleted at start.
pub const PART: &str = ".part";

/// Makes the entries of a folder durable.
///
/// # Errors
/// [`StorageError::File`].
pub fn sync_folder(path: &Path) -> Result<(), StorageError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(StorageError::file(MAKE_DURABLE, path))
}

/// Creates a folder with its parents, durably.
///
/// # Errors
/// [`StorageError::File`].
pub fn create_folder(path: &Path) -> Result<(), StorageError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_folder(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(StorageError::file("create the folder", path)(error))
        }
        _ => path.parent().map_or(Ok(()), |parent| sync_folder(nonempty(parent))),
    }
}

/// The name under which `path` is written before it is whole.
#[must_use]
pub fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PART);
    PathBuf::from(name)
}

/// Writes a whole file, replacing an older one.
///
/// # Errors
/// [`StorageError::File`].
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let part = part_of(path);
    let mut file = File::create(&part).map_err(StorageError::file("create", &part))?;
    file.write_all(bytes).map_err(StorageError::file("write", &part))?;
    file.sync_all().map_err(StorageError::file(MAKE_DURABLE, &part))?;
    rename(&part, path)
}

/// Renames a file or folder and makes the new name durable. What is inside must be durable
/// already.
///
/// # Errors
/// [`StorageError::File`].
pub fn rename(from: &Path, to: &Path) -> Result<(), StorageError> {
    fs::rename(from, to).map_err(StorageError::file("put in place", to))?;
    to.parent().map_or(Ok(()), |parent| sync_folder(nonempty(parent)))
}

/// Removes a folder with all it holds; one that is not there is no error.
///
/// # Errors
/// [`StorageError::File`].
pub fn remove_folder(path: &Path) -> Result<(), StorageError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StorageError::file("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Removes everything in `folder` that was being written when the program died.
///
/// # Errors
/// [`StorageError::File`].
pub fn remove_parts(folder: &Path) -> Result<(), StorageError> {
    let failed = || StorageError::file("read the folder", folder);
    for entry in fs::read_dir(folder).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        if !path.as_os_str().as_encoded_bytes().ends_with(PART.as_bytes()) {
            continue;
        }
        if path.is_dir() {
            remove_folder(&path)?;
        } else {
            fs::remove_file(&path).map_err(StorageError::file("remove", &path))?;
        }
    }
    Ok(())
}

/// `Path::parent` of a bare name is the empty path, which means the working folder.
fn nonempty(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_no_part() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        write_file(&path, b"one").expect("first");
        write_file(&path, b"two").expect("second");
        assert_eq!(fs::read(&path).expect("readable"), b"two");
        assert!(!part_of(&path).exists());
    }

    #[test]
    fn parts_of_a_crash_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("whole"), b"x").expect("written");
        fs::write(folder.path().join("file.part"), b"x").expect("written");
        fs::create_dir(folder.path().join("folder.part")).expect("created");
        fs::write(folder.path().join("folder.part/inner"), b"x").expect("written");
        remove_parts(folder.path()).expect("removed");
        let left: Vec<_> = fs::read_dir(folder.path())
            .expect("readable")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(left, ["whole"]);
    }
}
