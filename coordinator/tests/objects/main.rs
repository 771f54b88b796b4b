//! Bulk bytes, in a folder and in a bucket of a real server: what is stored, what a broken upload
//! leaves, and whole federations over either.

#[path = "../federation/mod.rs"]
mod federation;

mod bucket;
mod federations;
mod resuming;
mod server;
mod stores;

use std::path::{Path, PathBuf};

use covey_coordinator::storage::blobs::Depot;
use covey_coordinator::storage::blobs::settings::{ObjectsSettings, S3Settings};
use server::{BUCKET, Server};
use tempfile::TempDir;

/// Where bulk bytes are in a test.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) server: Option<Server>,
}

impl Place {
    /// A folder, and a bucket.
    pub(crate) fn both() -> [Self; 2] {
        [None, Some(Server::start())].map(|server| {
            let folder = tempfile::tempdir().expect("a folder");
            Self { folder, server }
        })
    }

    pub(crate) fn bucket() -> Self {
        let [_, bucket] = Self::both();
        bucket
    }

    pub(crate) fn state_dir(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn settings(&self) -> Option<ObjectsSettings> {
        self.server.as_ref().map(|server| settings(server, "a/b"))
    }

    pub(crate) fn depot(&self) -> Depot {
        Depot::new(self.state_dir(), self.settings().as_ref()).expect("settings")
    }

    /// Where files are that were stored.
    pub(crate) fn stored(&self) -> PathBuf {
        match &self.server {
            Some(server) => server.stored().join("a/b"),
            None => self.state_dir().to_owned(),
        }
    }
}

/// What an operator writes to use a server.
pub(crate) fn settings(server: &Server, prefix: &str) -> ObjectsSettings {
    let s3 = S3Settings {
        endpoint: Some(format!("http://{}", server.address).parse().expect("an endpoint")),
        region: Some("eu-north-1".to_owned()),
        allow_http: true,
        credentials: Some(server.credentials()),
        retry_s: covey_coordinator::config::Positive::of(1),
        ..S3Settings::default()
    };
    let url = format!("s3://{BUCKET}/{prefix}").parse().expect("a URL");
    ObjectsSettings { url, s3 }
}
