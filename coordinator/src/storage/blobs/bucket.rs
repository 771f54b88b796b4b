//! Whole objects in a bucket of an S3-compatible server. Calls block: they are made where files
//! would be read and written, and the requests are made by threads of their own.
//!
//! A request that fails is tried again, for as long as the settings say; then it is an error that
//! names the object. What the server answers is shown without the keys.

mod fault;
mod reader;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, Error, ObjectStoreExt as _, PutPayload,
    RetryConfig, StaticCredentialProvider,
};
use tokio::runtime::{Handle, Runtime, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, block_in_place};

use super::Entry;
use super::settings::{Credentials, ObjectsSettings, ObjectsUrl};
use crate::storage::StorageError;

pub(super) use reader::ObjectReader;

use fault::{Failed, Fault, first_line, none_if_missing};

/// Largest object that is put, or read, by one request; also the size of the parts of a larger
/// one. S3 takes no parts (but the last) below 5 MiB.
const PART_BYTES: u64 = 8 << 20;

/// Parts that an object may have; S3 takes 10,000.
const PARTS_MAX: u64 = 9_000;

/// Objects put at once, each of which holds one part in memory.
const PUTS_AT_ONCE: usize = 8;

/// Requests at once that carry no bytes: copies and removals.
const REQUESTS_AT_ONCE: usize = 16;

/// Longest time for one request with at most [`PART_BYTES`], connecting included.
const REQUEST_MAX: Duration = Duration::from_secs(60);

/// Longest time for a connection to come about.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Longest wait between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Threads that make requests: they wait for the network, and do little else.
const THREADS: usize = 2;

/// A place in a bucket, below which keys are. Cheap to clone.
#[derive(Clone)]
pub(super) struct Bucket {
    client: Arc<Client>,
    /// Empty, or ending in `/`.
    prefix: String,
}

/// A connection to a server. Not shown: it holds the keys.
struct Client {
    store: AmazonS3,
    bucket: String,
    puts: Semaphore,
    /// None while it is dropped.
    runtime: Option<Runtime>,
}

impl Drop for Client {
    fn drop(&mut self) {
        // Not waited for: it may be dropped where nothing may block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.url("")).finish()
    }
}

impl Bucket {
    /// Makes ready; no request is made yet.
    ///
    /// # Errors
    /// [`StorageError::Settings`]: the settings, or the environment, do not hold together.
    pub(super) fn new(settings: &ObjectsSettings) -> Result<Self, StorageError> {
        let ObjectsSettings { url, s3 } = settings;
        let wrong = |what: String| StorageError::Settings { url: url.to_string(), what };
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(url.bucket());
        if let Some(endpoint) = &s3.endpoint {
            // Both of the environment's variables give way to what the file says.
            builder = builder
                .with_endpoint(endpoint.as_str())
                .with_config(AmazonS3ConfigKey::S3Endpoint, endpoint.as_str());
        }
        if let Some(region) = &s3.region {
            builder = builder.with_region(region);
        }
        if let Some(path) = &s3.credentials {
            let keys = Credentials::read(path).map_err(wrong)?;
            // As a whole: a token of the environment belongs to other keys.
            let keys = StaticCredentialProvider::new(AwsCredential {
                key_id: keys.access_key_id,
                secret_key: keys.secret_access_key,
                token: keys.session_token,
            });
            builder = builder.with_credentials(Arc::new(keys));
        }
        let said = |builder: &AmazonS3Builder, key| builder.get_config_value(&key);
        let allow_http = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);
        let is_http_allowed =
            s3.allow_http || said(&builder, allow_http).is_some_and(|said| said == "true");
        let endpoint = said(&builder, AmazonS3ConfigKey::S3Endpoint);
        let endpoint = endpoint.or_else(|| said(&builder, AmazonS3ConfigKey::Endpoint));
        if endpoint.is_some_and(|at| at.starts_with("http://")) && !is_http_allowed {
            let what = "its endpoint is plain HTTP, which carries what owners contribute where \
                        everybody can read how much and from whom: use https, or say allow_http";
            return Err(wrong(what.to_owned()));
        }
        let client = ClientOptions::new()
            .with_allow_http(is_http_allowed)
            .with_connect_timeout(CONNECT_MAX)
            .with_timeout(REQUEST_MAX);
        let backoff = BackoffConfig { max_backoff: BACKOFF_MAX, ..BackoffConfig::default() };
        let retry_timeout = Duration::from_secs(u64::from(s3.retry_s.value()));
        if s3.virtual_hosted {
            builder = builder.with_virtual_hosted_style_request(true);
        }
        let store = builder
            .with_client_options(client)
            // Time is the bound.
            .with_retry(RetryConfig { backoff, max_retries: usize::MAX, retry_timeout })
            .build()
            .map_err(|error| wrong(first_line(&error.to_string())))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("objects")
            .enable_all()
            .build()
            .map_err(|error| wrong(format!("no threads: {error}")))?;
        let client = Client {
            store,
            bucket: url.bucket().to_owned(),
            puts: Semaphore::new(PUTS_AT_ONCE),
            runtime: Some(runtime),
        };
        Ok(Self { client: Arc::new(client), prefix: url.prefix().to_owned() })
    }

    /// The place below `folder`, which ends in `/`.
    pub(super) fn below(&self, folder: &str) -> Self {
        Self { client: Arc::clone(&self.client), prefix: format!("{}{folder}", self.prefix) }
    }

    /// What a key is called outside.
    pub(super) fn url(&self, key: &str) -> String {
        format!("s3://{}/{}{key}", self.client.bucket, self.prefix)
    }

    /// Whether this is the place that `url` means.
    pub(super) fn is_at(&self, url: &ObjectsUrl) -> bool {
        self.client.bucket == url.bucket() && self.prefix == url.prefix()
    }

    fn path(&self, key: &str) -> Path {
        Path::from(format!("{}{key}", self.prefix))
    }

    /// Waits for a request, which another thread makes. May be called anywhere but in a runtime
    /// of one thread that has other work to do meanwhile.
    fn wait<T, F>(&self, action: &'static str, key: &str, request: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failed>> + Send + 'static,
    {
        let stopping = || {
            let why = "the program is stopping".to_owned();
            StorageError::Object { action, url: self.url(key), why }
        };
        let runtime = self.client.runtime.as_ref().ok_or_else(stopping)?;
        let (answer, answered) = sync_channel(1);
        let client = Arc::clone(&self.client);
        runtime.spawn(async move {
            let done = match request.await {
                Ok(done) => Ok(done),
                Err(Failed { path, error }) => Err((path, Fault::of(&error, &client).await)),
            };
            // Whoever asked may be gone.
            let _ = answer.send(done);
        });
        let received = match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => block_in_place(|| answered.recv()),
            _ => answered.recv(),
        };
        received.map_err(|_| stopping())?.map_err(|(path, fault)| {
            let bucket = &self.client.bucket;
            let url = path.map_or_else(|| self.url(key), |path| format!("s3://{bucket}/{path}"));
            match fault {
                Fault::Missing => StorageError::NoObject { action, url },
                Fault::Other(why) => StorageError::Object { action, url, why },
            }
        })
    }

    /// An object's bytes; none when there is no such object.
    pub(super) fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let (client, path) = (Arc::clone(&self.client), self.path(key));
        let read = self.wait("read", key, async move {
            let found = client.store.get(&path).await?;
            let bytes = found.meta.size;
            if bytes <= PART_BYTES {
                return Ok(found.bytes().await?.to_vec());
            }
            drop(found);
            let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
            while (content.len() as u64) < bytes {
                let start = content.len() as u64;
                let range = start..bytes.min(start + PART_BYTES);
                content.extend_from_slice(&client.store.get_range(&path, range).await?);
            }
            Ok(content)
        });
        none_if_missing(read)
    }

    /// Up to `bytes` of an object's bytes from `offset` on; fewer only at its end.
    pub(super) fn read_at(
        &self,
        key: &str,
        offset: u64,
        bytes: u64,
    ) -> Result<Vec<u8>, StorageError> {
        let (client, path) = (Arc::clone(&self.client), self.path(key));
        let range = offset..offset.saturating_add(bytes);
        self.wait(
            "read",
            key,
            async move { Ok(client.store.get_range(&path, range).await?.to_vec()) },
        )
    }

    /// How many bytes an object has; none when there is no such object.
    pub(super) fn size(&self, key: &str) -> Result<Option<u64>, StorageError> {
        let (client, path) = (Arc::clone(&self.client), self.path(key));
        let found =
            self.wait("look for", key, async move { Ok(client.store.head(&path).await?.size) });
        none_if_missing(found)
    }

    /// Puts an object, in the place of an older one. When this returns it is whole and kept.
    pub(super) fn write(&self, key: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.put(key, bytes.len() as u64, bytes)
    }

    /// Likewise, of a whole file.
    pub(super) fn write_file(&self, key: &str, path: &FilePath) -> Result<(), StorageError> {
        let failed = || StorageError::file("read", path);
        let file = File::open(path).map_err(failed())?;
        let bytes = file.metadata().map_err(failed())?.len();
        self.put(key, bytes, file)
    }

    /// Puts `bytes` bytes of `source`: at once, or in parts where they are many.
    pub(super) fn put(
        &self,
        key: &str,
        bytes: u64,
        mut source: impl Read,
    ) -> Result<(), StorageError> {
        let _place = self.place(key)?;
        let mut next = |length: u64| {
            let mut part = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
            source.read_exact(&mut part).map(|()| PutPayload::from(part)).map_err(|error| {
                let why = format!("what is to be written cannot be read: {error}");
                StorageError::Object { action: "write", url: self.url(key), why }
            })
        };
        let (client, path) = (Arc::clone(&self.client), self.path(key));
        if bytes <= PART_BYTES {
            let payload = next(bytes)?;
            return self.wait("write", key, async move {
                client.store.put(&path, payload).await?;
                Ok(())
            });
        }
        let part_bytes = PART_BYTES.max(bytes.div_ceil(PARTS_MAX));
        let mut upload =
            self.wait("write", key, async move { Ok(client.store.put_multipart(&path).await?) })?;
        let mut written = 0;
        while written < bytes {
            let length = part_bytes.min(bytes - written);
            let sent = next(length).and_then(|part| {
                let part = upload.put_part(part);
                self.wait("write", key, async move { Ok(part.await?) })
            });
            if let Err(error) = sent {
                // What stays if this fails, too, is for the bucket's rule on unfinished uploads.
                let _ = self.wait("give up", key, async move { Ok(upload.abort().await?) });
                return Err(error);
            }
            written += length;
        }
        self.wait("write", key, async move {
            upload.complete().await?;
            Ok(())
        })
    }

    /// Waits until one more object may be put.
    fn place(&self, key: &str) -> Result<PutPlace, StorageError> {
        let client = Arc::clone(&self.client);
        self.wait("write", key, async move {
            // Never closed.
            if let Ok(place) = client.puts.acquire().await {
                place.forget();
            }
            Ok(PutPlace(client))
        })
    }

    /// Copies objects within the bucket; the server does it. In any order.
    pub(super) fn copy(&self, pairs: Vec<(String, String)>) -> Result<(), StorageError> {
        let paths = pairs.iter().map(|(from, to)| (self.path(from), self.path(to)));
        self.each("copy", paths.collect(), |client, (from, to)| async move {
            let copied = client.store.copy(&from, &to).await;
            copied.map_err(|error| Failed { path: Some(from), error })
        })
    }

    /// Removes objects, in any order; those that are not there are no error.
    pub(super) fn remove(&self, keys: &[String]) -> Result<(), StorageError> {
        let paths = keys.iter().map(|key| self.path(key)).collect();
        self.each("remove", paths, |client, path| async move {
            match client.store.delete(&path).await {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(Failed { path: Some(path), error }),
            }
        })
    }

    /// Does the same with many things, some at a time.
    fn each<T, F>(
        &self,
        action: &'static str,
        things: Vec<T>,
        work: impl Fn(Arc<Client>, T) -> F + Send + 'static,
    ) -> Result<(), StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<(), Failed>> + Send + 'static,
    {
        let client = Arc::clone(&self.client);
        self.wait(action, "", async move {
            let (mut things, mut running) = (things.into_iter(), JoinSet::new());
            loop {
                while running.len() < REQUESTS_AT_ONCE
                    && let Some(thing) = things.next()
                {
                    running.spawn(work(Arc::clone(&client), thing));
                }
                match running.join_next().await {
                    Some(done) => done.map_err(Error::from)??,
                    None => return Ok(()),
                }
            }
        })
    }

    /// All objects whose keys begin with `start`, ascending.
    pub(super) fn list(&self, start: &str) -> Result<Vec<Entry>, StorageError> {
        let found = self.pages(start, None, |page, cut| {
            let entry = |object: object_store::ObjectMeta| {
                let key = object.location.as_ref().get(cut..)?.to_owned();
                Some(Entry { key, bytes: object.size })
            };
            page.objects.into_iter().filter_map(entry).collect()
        });
        let mut found = found?;
        found.sort_by(|a: &Entry, b| a.key.cmp(&b.key));
        Ok(found)
    }

    /// The names of what would be folders directly in `folder`, which ends in `/`.
    pub(super) fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        self.pages(folder, Some("/"), |page, _| {
            let name = |path: Path| path.filename().map(str::to_owned);
            page.common_prefixes.into_iter().filter_map(name).collect()
        })
    }

    fn pages<T: Send + 'static>(
        &self,
        start: &str,
        delimiter: Option<&'static str>,
        read: impl Fn(object_store::ListResult, usize) -> Vec<T> + Send + 'static,
    ) -> Result<Vec<T>, StorageError> {
        let (client, prefix) = (Arc::clone(&self.client), format!("{}{start}", self.prefix));
        let cut = self.prefix.len();
        self.wait("list", start, async move {
            let (mut found, mut page_token) = (Vec::new(), None);
            loop {
                let delimiter = delimiter.map(Into::into);
                let options = PaginatedListOptions { delimiter, page_token, ..Default::default() };
                let page = client.store.list_paginated(Some(&prefix), options).await?;
                found.extend(read(page.result, cut));
                page_token = page.page_token;
                if page_token.is_none() {
                    return Ok(found);
                }
            }
        })
    }
}

/// A place among those that put; given back when dropped.
struct PutPlace(Arc<Client>);

impl Drop for PutPlace {
    fn drop(&mut self) {
        self.0.puts.add_permits(1);
    }
}
