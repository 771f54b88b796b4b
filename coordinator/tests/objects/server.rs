//! A real server of the S3 protocol on loopback, over a folder: it checks every signature, and fails
//! when it is told to.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The only bucket.
pub(crate) const BUCKET: &str = "federation";

/// The key that may do everything, and its secret.
pub(crate) const KEYS: (&str, &str) = ("COVEYTESTKEYID", "covey-test-secret-do-not-show");

/// Fails for ever.
const ALWAYS: u32 = u32::MAX;

/// A server and what it stores.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    folder: TempDir,
    failures: Arc<AtomicU32>,
    /// Its thread; none while it is dropped.
    runtime: Option<Runtime>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        fs::create_dir_all(root.join(BUCKET)).expect("created");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let failures = Arc::new(AtomicU32::new(0));
        let serving = serve(&root, Arc::clone(&failures));
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
        listener.set_nonblocking(true).expect("set");
        let address = listener.local_addr().expect("bound");
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, serving).await
        });
        Self { address, folder, failures, runtime: Some(runtime) }
    }

    /// A file with its keys.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.keys("keys.toml", KEYS)
    }

    /// A file with keys.
    pub(crate) fn keys(&self, name: &str, (id, secret): (&str, &str)) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;

        let path = self.folder.path().join(name);
        let text = format!("access_key_id = \"{id}\"\nsecret_access_key = \"{secret}\"\n");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("private");
        path
    }

    /// Where it keeps the objects of the bucket.
    pub(crate) fn stored(&self) -> PathBuf {
        self.folder.path().join("root").join(BUCKET)
    }

    /// The next requests fail: so many, as a server's that is overloaded.
    pub(crate) fn fail(&self, requests: u32) {
        self.failures.store(requests, Ordering::SeqCst);
    }

    /// All requests fail until [`Self::recover`].
    pub(crate) fn fail_always(&self) {
        self.fail(ALWAYS);
    }

    pub(crate) fn recover(&self) {
        self.fail(0);
    }

    /// Whether it has failed as often as it was told to.
    pub(crate) fn has_failed(&self) -> bool {
        self.failures.load(Ordering::SeqCst) == 0
    }
}

/// The protocol over the folder `root`.
fn serve(root: &Path, failures: Arc<AtomicU32>) -> Router {
    let mut builder = S3ServiceBuilder::new(FileSystem::new(root).expect("a folder"));
    builder.set_auth(SimpleAuth::from_single(KEYS.0, KEYS.1));
    Router::new().fallback(answer).with_state((builder.build(), failures))
}

async fn answer(
    State((service, failures)): State<(S3Service, Arc<AtomicU32>)>,
    request: Request,
) -> Response {
    let one_less = |left| match left {
        0 => None,
        ALWAYS => Some(ALWAYS),
        left => Some(left - 1),
    };
    if failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
        // Servers repeat whose key it was.
        let text = format!("SlowDown: the key {} asks too often, {}", KEYS.0, KEYS.1);
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    let asked = format!("{} {}", request.method(), request.uri());
    match service.call(request.map(s3s::Body::http_body_unsync)).await {
        Ok(response) => {
            if response.status().is_server_error() {
                eprintln!("S3: {asked}: {}", response.status());
            }
            response.map(Body::new)
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
