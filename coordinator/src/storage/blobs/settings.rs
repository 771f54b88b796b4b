//! What the operator says of an S3-compatible store: a URL, and how to reach it. Secrets are not
//! settings: they are in a file of their own, or in the environment.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use covey_aggregation::net::files;
use serde::Deserialize;

use crate::config::Positive;

/// How every URL of a bucket begins.
const SCHEME: &str = "s3://";

/// Lengths that a bucket's name may have, by the rules of S3.
const BUCKET_CHARS: std::ops::RangeInclusive<usize> = 3..=63;

/// Longest file of credentials; a longer one is something else.
const CREDENTIALS_BYTES_MAX: u64 = 16 * 1024;

/// A place in a bucket: `s3://bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectsUrl {
    bucket: String,
    /// Empty, or ending in `/`.
    prefix: String,
}

/// A text that is no [`ObjectsUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoObjectsUrl {
    /// Not a bucket's URL at all.
    #[error("write s3://BUCKET/PREFIX; without `objects` everything lies in state_dir")]
    Scheme,
    /// Not a bucket's name.
    #[error("a bucket has 3 to 63 lower-case letters, digits, '.' and '-'")]
    Bucket,
    /// Not a prefix.
    #[error("a prefix is parts of letters, digits, '.', '_' and '-', with one '/' between them")]
    Prefix,
}

impl FromStr for ObjectsUrl {
    type Err = NoObjectsUrl;

    fn from_str(text: &str) -> Result<Self, NoObjectsUrl> {
        let place = text.strip_prefix(SCHEME).ok_or(NoObjectsUrl::Scheme)?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let is_bucket = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
        if !BUCKET_CHARS.contains(&bucket.len()) || !bucket.bytes().all(is_bucket) {
            return Err(NoObjectsUrl::Bucket);
        }
        let mut parts = String::new();
        for part in prefix.strip_suffix('/').unwrap_or(prefix).split('/') {
            let is_part =
                |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'.' | b'_' | b'-');
            if prefix.is_empty() {
                break;
            }
            // Clients and servers read "." and ".." as they please.
            if matches!(part, "" | "." | "..") || !part.bytes().all(is_part) {
                return Err(NoObjectsUrl::Prefix);
            }
            parts.push_str(part);
            parts.push('/');
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: parts })
    }
}

impl fmt::Display for ObjectsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bucket, prefix } = self;
        write!(f, "{SCHEME}{bucket}/{prefix}")
    }
}

impl ObjectsUrl {
    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What every key begins with: nothing, or something that ends in `/`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl<'de> Deserialize<'de> for ObjectsUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The text is not repeated: people put secrets into URLs.
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How a bucket is reached, `[s3]`. What is not said is taken from the usual variables of the
/// environment (`AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, ...), or from the machine's
/// role.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Settings {
    /// Where the server is, for all but Amazon's own.
    pub endpoint: Option<Endpoint>,
    /// The region.
    pub region: Option<String>,
    /// Whether the endpoint may be plain HTTP.
    pub allow_http: bool,
    /// Whether the bucket is a part of the host's name, not of the path.
    pub virtual_hosted: bool,
    /// A file with the keys, readable by its owner only.
    pub credentials: Option<PathBuf>,
    /// A request that fails is tried again for so many seconds.
    pub retry_s: Positive,
}

impl Default for S3Settings {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            allow_http: false,
            virtual_hosted: false,
            credentials: None,
            retry_s: Positive::of(60),
        }
    }
}

/// The URL of a server, with no user and no password in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is plain HTTP.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.starts_with("http://")
    }
}

/// A text that is no [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write https://HOST[:PORT] (or http://..., with allow_http = true); keys go into `credentials`"
)]
pub struct NoEndpoint;

impl FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Self, NoEndpoint> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = host.ok_or(NoEndpoint)?.trim_end_matches('/');
        let is_good = |letter: u8| letter.is_ascii_graphic() && !b"@?#".contains(&letter);
        if host.is_empty() || !host.bytes().all(is_good) {
            return Err(NoEndpoint);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where bulk bytes lie: a bucket and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectsSettings {
    /// Which bucket.
    pub url: ObjectsUrl,
    /// How.
    pub s3: S3Settings,
}

/// Keys from a file. No `Debug`: they are secrets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) session_token: Option<String>,
}

impl Credentials {
    /// Reads a file of keys, which nobody else may read.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = files::check_private(path)
            .and_then(|()| files::read_text(path, CREDENTIALS_BYTES_MAX))
            .map_err(|error| error.to_string())?;
        // What the reader of TOML says may repeat a line of the file.
        toml::from_str(&text).map_err(|_| {
            let form = "access_key_id = \"...\" and secret_access_key = \"...\", and perhaps \
                        session_token = \"...\"";
            format!("{}: not a file of credentials: write {form}", path.display())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_bucket_is_read_as_it_is_written() {
        for (text, bucket, prefix) in [
            ("s3://fed", "fed", ""),
            ("s3://fed/", "fed", ""),
            ("s3://fed.example/a/b-1", "fed.example", "a/b-1/"),
            ("s3://fed/a_b/", "fed", "a_b/"),
        ] {
            let url: ObjectsUrl = text.parse().expect(text);
            assert_eq!((url.bucket(), url.prefix()), (bucket, prefix));
            assert_eq!(url.to_string().parse(), Ok(url));
        }
    }

    #[test]
    fn what_is_no_place_in_a_bucket_is_refused() {
        for (text, why) in [
            ("fed", NoObjectsUrl::Scheme),
            ("https://fed", NoObjectsUrl::Scheme),
            ("s3://", NoObjectsUrl::Bucket),
            ("s3://Fed/x", NoObjectsUrl::Bucket),
            ("s3://key:secret@fed/x", NoObjectsUrl::Bucket),
            ("s3://fed/a//b", NoObjectsUrl::Prefix),
            ("s3://fed/../x", NoObjectsUrl::Prefix),
            ("s3://fed/a?b", NoObjectsUrl::Prefix),
            ("s3://fed//", NoObjectsUrl::Prefix),
        ] {
            assert_eq!(text.parse::<ObjectsUrl>(), Err(why), "{text}");
        }
    }

    #[test]
    fn an_endpoint_has_no_keys_in_it() {
        for text in ["https://minio.example.org:9000/", "http://127.0.0.1:9000", "https://x/s3"] {
            text.parse::<Endpoint>().expect(text);
        }
        for text in ["minio", "https://", "https://me:secret@minio", "https://x/?key=1", "s3://x"] {
            assert_eq!(text.parse::<Endpoint>(), Err(NoEndpoint), "{text}");
        }
    }

    #[test]
    fn a_file_of_credentials_is_private_and_is_never_repeated() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s3.toml");
        let keys = "access_key_id = \"id\"\nsecret_access_key = \"hush\"\n";
        std::fs::write(&path, keys).expect("written");
        let mode = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, mode).expect("set");
        };
        mode(0o644);
        Credentials::read(&path).err().expect("others can read it");
        mode(0o600);
        let read = Credentials::read(&path).expect("read");
        assert_eq!((read.access_key_id.as_str(), read.secret_access_key.as_str()), ("id", "hush"));
        std::fs::write(&path, "secret_access_key = hush").expect("written");
        let error = Credentials::read(&path).err().expect("not TOML");
        assert!(!error.contains("hush"), "{error}");
    }
}
