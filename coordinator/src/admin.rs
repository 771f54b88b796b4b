//! The operator's own door: whether the program lives, whether it is ready, and its numbers, by plain
//! HTTP at an address of its own. Nothing can be changed by it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use covey_aggregation::program::{Exit, Failure, Stop};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::metrics::Metrics;
use crate::room::Room;
use crate::session::Input;

/// What readiness is told by.
#[derive(Clone)]
pub struct Readiness {
    inputs: mpsc::WeakSender<Input>,
    is_draining: watch::Receiver<bool>,
    room: Arc<Room>,
}

impl Readiness {
    /// Of a coordinator whose driver takes `inputs`, that `stop` may ask to drain, and that has this
    /// `room`. Must be called within a tokio runtime.
    #[must_use]
    pub fn of(inputs: &mpsc::Sender<Input>, mut stop: Stop, room: Arc<Room>) -> Self {
        let (drain, is_draining) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = stop.draining() => { drain.send_replace(true); }
                // Nobody asks any more.
                () = drain.closed() => {}
            }
        });
        Self { inputs: inputs.downgrade(), is_draining, room }
    }

    /// Why it takes nobody in, if so.
    fn hindrance(&self) -> Option<String> {
        if *self.is_draining.borrow() {
            return Some("draining".to_owned());
        }
        match self.inputs.upgrade() {
            Some(inputs) if !inputs.is_closed() => {
                self.room.shortage().map(|shortage| shortage.to_string())
            }
            _ => Some("the run is over".to_owned()),
        }
    }
}

/// The door, open until it is dropped.
pub struct Admin {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Admin {
    /// Opens it at `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// [`Failure`] when the address cannot be listened at.
    pub async fn open(
        address: SocketAddr,
        metrics: Arc<Metrics>,
        readiness: Readiness,
    ) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            let what = format!("cannot listen at {address} (TCP), the admin address: {error}");
            Failure::new(Exit::NoAccess, "ADMIN_ADDRESS", what)
                .with_help("set another `admin` in coordinator.toml, or leave it out")
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let ready = async move || match readiness.hindrance() {
            None => (StatusCode::OK, "ready\n".to_owned()),
            Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        };
        let numbers = async move || {
            let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
            (kind, metrics.to_string()).into_response()
        };
        let router = Router::new()
            .route("/livez", get(async || "alive\n"))
            .route("/readyz", get(ready))
            .route("/metrics", get(numbers));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the admin address is no longer served");
            }
        });
        Ok(Self { address, serving })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes it, and gives the address back.
    pub async fn close(mut self) {
        self.serving.abort();
        // It was told to end.
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
