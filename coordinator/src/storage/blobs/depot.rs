//! Where the bulk bytes of a state folder lie: in it, or in a bucket. A folder whose bytes are in a
//! bucket says so in a file, so that nobody takes it for one without.

use std::path::{Path, PathBuf};

use covey_aggregation::hash::Digest;
use covey_aggregation::net::files;
use covey_aggregation::net::text::to_hex;

use super::bucket::Bucket;
use super::folder::Folder;
use super::settings::{ObjectsSettings, ObjectsUrl, S3Settings};
use super::{Blobs, OBJECTS, PUBLISHED, ROUNDS, Store};
use crate::storage::StorageError;
use crate::storage::durable::{create_folder, write_file};
use crate::storage::registry::run_folder;

/// The URL of a state folder's bulk bytes, in that folder.
const URL_FILE: &str = "objects.url";

/// Longest URL that is read.
const URL_BYTES_MAX: u64 = 4096;

/// Where bulk bytes lie. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Depot {
    /// The state folder.
    root: PathBuf,
    /// How buckets are reached.
    s3: S3Settings,
    bucket: Option<Bucket>,
}

impl Depot {
    /// That of the state folder `root`, by the operator's settings. Nothing is read or written yet.
    ///
    /// # Errors
    /// [`StorageError::Settings`].
    pub fn new(root: &Path, objects: Option<&ObjectsSettings>) -> Result<Self, StorageError> {
        let s3 = objects.map_or_else(S3Settings::default, |objects| objects.s3.clone());
        let bucket = objects.map(Bucket::new).transpose()?;
        Ok(Self { root: root.to_owned(), s3, bucket })
    }

    /// That of a run which was submitted. Half of its digest tells it apart as well, and stores that
    /// keep objects as files have keys of limited length.
    #[must_use]
    pub fn of_run(&self, run: &Digest) -> Self {
        let below = format!("runs/{}/", to_hex(&run.0[..16]));
        let bucket = self.bucket.as_ref().map(|bucket| bucket.below(&below));
        Self { root: run_folder(&self.root, run), s3: self.s3.clone(), bucket }
    }

    /// That of another state folder, by what it says itself.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn elsewhere(&self, root: &Path) -> Result<Self, StorageError> {
        let bucket = match said(root)? {
            Some(url) => Some(Bucket::new(&ObjectsSettings { url, s3: self.s3.clone() })?),
            None => None,
        };
        Ok(Self { root: root.to_owned(), s3: self.s3.clone(), bucket })
    }

    /// Opens it, to read and to write, and clears what a crash left unfinished.
    ///
    /// # Errors
    /// [`StorageError`]; [`StorageError::Elsewhere`] when the folder's bytes are not where the
    /// settings say.
    pub fn open(&self) -> Result<Blobs, StorageError> {
        create_folder(&self.root)?;
        self.check()?;
        let blobs = self.read();
        blobs.clear()?;
        Ok(blobs)
    }

    /// To read what somebody else wrote.
    #[must_use]
    pub fn read(&self) -> Blobs {
        let store = match &self.bucket {
            Some(bucket) => Store::Bucket(bucket.clone()),
            None => Store::Folder(Folder(self.root.clone())),
        };
        Blobs::at(&self.root, store)
    }

    /// Holds the settings against what the folder says; a folder that is new is told.
    fn check(&self) -> Result<(), StorageError> {
        let here = "in the folder itself".to_owned();
        let elsewhere = |is: String, asked: String| {
            Err(StorageError::Elsewhere { folder: self.root.clone(), is, asked })
        };
        match (said(&self.root)?, &self.bucket) {
            (None, None) => Ok(()),
            (Some(url), None) => elsewhere(url.to_string(), here),
            (Some(url), Some(bucket)) if bucket.is_at(&url) => Ok(()),
            (Some(url), Some(bucket)) => elsewhere(url.to_string(), bucket.url("")),
            (None, Some(bucket)) => {
                if !Folder(self.root.clone()).children(OBJECTS)?.is_empty() {
                    return elsewhere(here, bucket.url(""));
                }
                // Two that share a place would take each other's rounds for their own.
                let ours =
                    |name: &String| [OBJECTS, ROUNDS, PUBLISHED].contains(&&*format!("{name}/"));
                if bucket.folders("")?.iter().any(ours) {
                    let (url, folder) = (bucket.url(""), self.root.clone());
                    return Err(StorageError::Taken { url, folder });
                }
                write_file(&self.root.join(URL_FILE), bucket.url("").as_bytes())
            }
        }
    }

    /// Whether the store does what is asked of it: writes, reads, lists and removes an object.
    ///
    /// # Errors
    /// [`StorageError`] of what it does not do.
    pub fn probe(&self) -> Result<(), StorageError> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        let key = format!("probe-{}", std::process::id());
        let content = b"covey-coordinator doctor";
        bucket.write(&key, content)?;
        let (read, listed) = (bucket.read(&key), bucket.list(&key));
        bucket.remove(std::slice::from_ref(&key))?;
        let failed = |why: &str| {
            let (action, why) = ("check", why.to_owned());
            Err(StorageError::Object { action, url: bucket.url(&key), why })
        };
        if read?.as_deref() != Some(content.as_slice()) {
            return failed("other bytes were read than were written");
        }
        if listed?.is_empty() {
            return failed("it was written, and is not listed");
        }
        match bucket.size(&key)? {
            None => Ok(()),
            Some(_) => failed("it was removed, and is still there"),
        }
    }

    /// The URL, where bytes are in a bucket.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        self.bucket.as_ref().map(|bucket| bucket.url(""))
    }
}

/// What a state folder says of where its bytes are.
fn said(root: &Path) -> Result<Option<ObjectsUrl>, StorageError> {
    let path = root.join(URL_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let damaged = |what: String| StorageError::Damaged { path: path.clone(), what };
    let text =
        files::read_text(&path, URL_BYTES_MAX).map_err(|error| damaged(error.to_string()))?;
    let url: Result<ObjectsUrl, _> = text.trim().parse();
    url.map(Some).map_err(|_| damaged("it is no URL of a bucket".to_owned()))
}
