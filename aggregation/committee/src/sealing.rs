//! The holder's sealing secret on disk: 96 bytes in hexadecimal, readable by its owner only.

use std::path::Path;

use covey_aggregation::net::text::{from_hex, to_hex};
use covey_aggregation::net::{FileError, files};
use covey_aggregation::sum::sealed_box::SealingSecret;
use zeroize::Zeroizing;

/// The file's name in a holder's folder.
pub const SEALING_FILE: &str = "sealing.key";

/// Writes a new secret.
///
/// # Errors
/// [`FileError::Exists`] rather than losing an older one.
pub fn create(folder: &Path, seed: &Zeroizing<[u8; 96]>) -> Result<(), FileError> {
    let mut text = Zeroizing::new(to_hex(seed.as_slice()));
    text.push('\n');
    files::create_private(&folder.join(SEALING_FILE), text.as_bytes())
}

/// Reads the secret, which must be readable by its owner only.
///
/// # Errors
/// [`FileError`] by what is wrong with the file.
pub fn load(folder: &Path) -> Result<SealingSecret, FileError> {
    let path = folder.join(SEALING_FILE);
    files::check_private(&path)?;
    let text = Zeroizing::new(files::read(&path, 1024)?);
    let bad = || FileError::content(&path, "not 96 bytes in hexadecimal");
    let text = std::str::from_utf8(&text).map_err(|_| bad())?;
    let bytes = Zeroizing::new(from_hex(text.trim()).ok_or_else(bad)?);
    let mut seed = Zeroizing::new([0; 96]);
    if bytes.len() != seed.len() {
        return Err(bad());
    }
    seed.copy_from_slice(&bytes);
    Ok(SealingSecret::from_seed(&seed))
}
