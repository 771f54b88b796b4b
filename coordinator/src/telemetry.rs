//! What the program tells beside its answers: logs on stderr, and to an OpenTelemetry collector the
//! spans of [`trace`](crate::trace), where this build can (feature `otel`) and the environment names one.

#[cfg(feature = "otel")]
mod otlp;

use covey_aggregation::program::Failure;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

/// The variables that name a collector
/// (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Logs and spans of this program.
pub(crate) struct Telemetry {
    #[cfg(feature = "otel")]
    exporter: Option<otlp::Exporter>,
}

impl Telemetry {
    /// Logs from now on; of a program that `serves` spans as well.
    ///
    /// # Errors
    /// [`Failure`]: the collector cannot be one.
    pub(crate) fn start(serves: bool) -> Result<Self, Failure> {
        let endpoint = ENDPOINTS.into_iter().find(|name| serves && is_set(name));
        let filter =
            EnvFilter::try_from_env("COVEY_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
        let logs = fmt::layer().with_writer(std::io::stderr).without_time().with_filter(filter);
        let all = registry().with(logs);
        #[cfg(feature = "otel")]
        let (all, exporter) = {
            let exporter = endpoint.map(|_| otlp::Exporter::start()).transpose()?;
            (all.with(exporter.as_ref().map(otlp::Exporter::layer)), exporter)
        };
        // Fails only when the program is embedded and the other has set one up.
        let _ = all.try_init();
        #[cfg(not(feature = "otel"))]
        if let Some(name) = endpoint {
            tracing::warn!("{name} is set, but this build sends no spans: it has no feature otel");
        }
        Ok(Self {
            #[cfg(feature = "otel")]
            exporter,
        })
    }

    /// Sends what was not sent yet.
    pub(crate) fn finish(self) {
        #[cfg(feature = "otel")]
        if let Some(exporter) = self.exporter {
            exporter.finish();
        }
    }
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}
