//! Room on a disk.

use std::io;
use std::path::Path;

/// Bytes that this program may still write to the disk that `folder` is on; none where the system does
/// not tell.
///
/// # Errors
/// The system's.
#[cfg(unix)]
pub fn free_bytes(folder: &Path) -> io::Result<Option<u64>> {
    let system = rustix::fs::statvfs(folder)?;
    Ok(Some(system.f_bavail.saturating_mul(system.f_frsize)))
}

/// None: it is not asked here.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn free_bytes(_: &Path) -> io::Result<Option<u64>> {
    Ok(None)
}
