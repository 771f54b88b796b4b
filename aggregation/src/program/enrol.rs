//! How a member begins: its keys are born on its own machine, and only public ones leave.

use std::fmt;
use std::path::{Path, PathBuf};

use rand::TryRng as _;
use rand::rngs::SysRng;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::config::SealingKey;
use crate::net::key::KEY_FILE;
use crate::net::request::{REQUEST_FILE, Request};
use crate::net::text::to_hex;
use crate::net::{FileError, IdentityKey, files};
use crate::party::{Name, Role};
use crate::program::answer::Failure;
use crate::program::exit::Exit;

/// What a newcomer has now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Enrolment {
    /// Its name.
    pub name: Name,
    /// Its role.
    pub role: Role,
    /// Its public key, in hexadecimal.
    pub id: String,
    /// The file to send to the operator.
    pub request: PathBuf,
    /// Its configuration, to be edited.
    pub config: PathBuf,
}

impl fmt::Display for Enrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.request.parent().unwrap_or_else(|| Path::new(".")).display();
        writeln!(f, "{} ({}), key {}", self.name, self.role, self.id)?;
        writeln!(f, "The secret keys were made here, are readable by you only, and never leave.")?;
        writeln!(f)?;
        writeln!(f, "1. Send {} to the federation's operator;", self.request.display())?;
        writeln!(f, "   read the key above to them on another channel.")?;
        writeln!(f, "2. Put the three files that come back into {folder}:")?;
        writeln!(f, "   member.pem, authority.pem, roster.json")?;
        write!(f, "3. Set the coordinator's address in {}", self.config.display())
    }
}

/// 32, 64 or 96 secret bytes from the operating system.
///
/// # Errors
/// [`Failure`] when it has none to give.
pub fn secret<const BYTES: usize>() -> Result<Zeroizing<[u8; BYTES]>, Failure> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    SysRng.try_fill_bytes(bytes.as_mut_slice()).map_err(|error| {
        Failure::new(
            Exit::Failed,
            "NO_RANDOMNESS",
            format!("the system gave no randomness: {error}"),
        )
    })?;
    Ok(bytes)
}

/// The secret key of a folder, which is made if need be.
///
/// # Errors
/// [`Failure`], naming the file.
pub fn key_of(folder: &Path) -> Result<IdentityKey, Failure> {
    let file = |error: FileError| Failure::file(&error);
    if folder.join(KEY_FILE).exists() {
        return IdentityKey::load(folder).map_err(file);
    }
    let key = IdentityKey::from_seed(secret()?);
    key.create(folder).map_err(file)?;
    Ok(key)
}

/// Makes `folder`, a secret key, a request and a configuration `config_text` named `config_name`.
/// A holder gives its sealing key. Goes on where an interrupted attempt ended; never overwrites
/// a key or a finished request.
///
/// # Errors
/// [`Failure`], naming the file.
pub fn enrol(
    folder: &Path,
    name: Name,
    role: Role,
    sealing_key: Option<SealingKey>,
    (config_name, config_text): (&str, &str),
) -> Result<Enrolment, Failure> {
    let file = |error: FileError| Failure::file(&error);
    files::create_private_folder(folder).map_err(file)?;
    let request_path = folder.join(REQUEST_FILE);
    if request_path.exists() {
        let exists = FileError::Exists { path: request_path };
        return Err(Failure { exit: Exit::BadInput, ..Failure::file(&exists) });
    }
    let key = key_of(folder)?;
    let request = Request::create(&key, name, role, sealing_key)
        .map_err(|error| Failure::new(Exit::Failed, "REQUEST", error))?;
    let config = folder.join(config_name);
    if !config.exists() {
        files::write_durably(&config, config_text.as_bytes()).map_err(file)?;
    }
    files::write_durably(&request_path, request.to_json().as_bytes()).map_err(file)?;
    let member = request.member();
    Ok(Enrolment {
        name: member.name.clone(),
        role: member.role,
        id: to_hex(&member.id.0),
        request: request_path,
        config,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_enrolment_goes_on_with_the_same_key() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("ada");
        let ada: Name = "ada".parse().expect("a name");
        let begin = || enrol(&path, ada.clone(), Role::DataOwner, None, ("client.toml", "x = 1\n"));
        let first = begin().expect("enrolled");
        let again = begin().expect_err("nothing is overwritten");
        assert_eq!(again.exit, Exit::BadInput);
        std::fs::remove_file(&first.request).expect("removed");
        std::fs::write(&first.config, "x = 2\n").expect("edited");
        assert_eq!(begin().expect("went on"), first);
        assert_eq!(std::fs::read_to_string(&first.config).expect("read"), "x = 2\n");
        let request = Request::read(&first.request).expect("valid");
        assert_eq!(to_hex(&request.member().id.0), first.id);
    }
}
