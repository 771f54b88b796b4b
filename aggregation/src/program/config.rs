//! Configuration files: TOML, no unknown fields, errors with file and line.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::limits::CONFIG_BYTES_MAX;
use crate::net::files;
use crate::program::answer::Failure;
use crate::program::exit::Exit;

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line and column, from 1, where that is known.
    pub at: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::BadInput, "BAD_CONFIG", error)
    }
}

/// Reads a configuration of at most [`CONFIG_BYTES_MAX`].
///
/// # Errors
/// [`ConfigError`].
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let error = |message| ConfigError { path: path.to_owned(), at: None, message };
    let bytes = files::read(path, CONFIG_BYTES_MAX).map_err(|fault| error(fault.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| error("not a text file".to_owned()))?;
    parse(path, &text)
}

/// Reads the text of the configuration at `path`.
///
/// # Errors
/// [`ConfigError`] with line and column.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|fault| ConfigError {
        path: path.to_owned(),
        at: fault.span().map(|span| position(text, span.start)),
        message: fault.message().to_owned(),
    })
}

/// `path` as seen from the folder of the configuration file `config`.
#[must_use]
pub fn beside(config: &Path, path: &Path) -> PathBuf {
    config.parent().unwrap_or_else(|| Path::new("")).join(path)
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[serde(rename = "port")]
        _port: u16,
    }

    #[test]
    fn errors_name_the_file_and_the_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x.toml");
        for (text, at) in [
            ("port = 1\nprot = 2\n", "x.toml:2:1: unknown field `prot`"),
            ("\n\nport = \"a\"", "x.toml:3:8: invalid type"),
            ("port = ", "x.toml:1:8: "),
            ("port = 70000", "x.toml:1:8: invalid value"),
        ] {
            fs::write(&path, text).expect("written");
            let error = read::<Example>(&path).expect_err(text).to_string();
            assert!(error.contains(at), "{error}");
        }
        let error = read::<Example>(&folder.path().join("none.toml")).expect_err("missing");
        assert!(error.to_string().contains("none.toml"), "{error}");
    }
}
