//! Requests that failed, for people: what the server answers is shown without the keys.

use object_store::Error;
use object_store::path::Path;

use super::Client;
use crate::storage::StorageError;

/// Longest answer of a server that is shown.
const ANSWER_CHARS_MAX: usize = 400;

/// A request that failed.
pub(super) struct Failed {
    /// On what, where many things are asked for.
    pub(super) path: Option<Path>,
    pub(super) error: Error,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { path: None, error }
    }
}

/// What a request found; none where there is no such object.
pub(super) fn none_if_missing<T>(
    found: Result<T, StorageError>,
) -> Result<Option<T>, StorageError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(StorageError::NoObject { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What came of a request that failed, for people.
pub(super) enum Fault {
    Missing,
    Other(String),
}

impl Fault {
    /// Servers repeat in what they answer whose key it was: it is not shown.
    pub(super) async fn of(error: &Error, client: &Client) -> Self {
        if matches!(error, Error::NotFound { .. }) {
            return Self::Missing;
        }
        let mut text = error.to_string();
        if let Ok(keys) = client.store.credentials().get_credential().await {
            let secrets = [Some(&keys.key_id), Some(&keys.secret_key), keys.token.as_ref()];
            for secret in secrets.into_iter().flatten().filter(|secret| !secret.is_empty()) {
                text = text.replace(secret.as_str(), "***");
            }
        }
        Self::Other(first_line(&text))
    }
}

/// The beginning of a text that may be long.
pub(super) fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(ANSWER_CHARS_MAX).collect()
}
