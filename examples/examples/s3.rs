//! A server of the S3 protocol over a folder, to try `objects = "s3://..."` without an account:
//!
//! ```text
//! AWS_ACCESS_KEY_ID=me AWS_SECRET_ACCESS_KEY=secret \
//!     cargo run --release --example s3 -- ./objects federation
//! ```
//!
//! It serves the folder's buckets on loopback, to whoever has those keys, until it is stopped. It is for
//! trying things out: it does not make what it stores durable.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use clap::Parser;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

/// A server of the S3 protocol on loopback, over a folder.
#[derive(Parser)]
struct Args {
    /// Where objects are kept
    folder: PathBuf,
    /// A bucket, which is made if need be
    bucket: String,
    /// The port
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// The key that may do everything
    #[arg(long, env = "AWS_ACCESS_KEY_ID")]
    key: String,
    /// Its secret; in the environment, where nobody else sees it
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", hide_env_values = true)]
    secret: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Args { folder, bucket, port, key, secret } = Args::parse();
    std::fs::create_dir_all(folder.join(bucket))?;
    let files = FileSystem::new(folder).map_err(|error| format!("{error:?}"))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(key, secret));
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    println!("http://{}", listener.local_addr()?);
    let routes = Router::new().fallback(answer).with_state(builder.build());
    Ok(axum::serve(listener, routes).await?)
}

async fn answer(State(service): State<S3Service>, request: Request) -> Response {
    match service.call(request.map(s3s::Body::http_body_unsync)).await {
        Ok(response) => response.map(Body::new),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
