//! Spans to a collector by OTLP over HTTP, in protocol buffers. Where to, with which headers and how
//! often is for the environment to say, by OpenTelemetry's own variables.

use std::time::Duration;

use covey_aggregation::program::{Exit, Failure};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::trace;

/// Who sends them, unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "covey-coordinator";

/// Longest wait, at the end, for a collector to take what is left.
const FLUSH_WAIT: Duration = Duration::from_secs(5);

/// The way to a collector, with a thread of its own: nothing that a round does waits for it.
pub(super) struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Dials nobody yet. Must be called outside a tokio runtime.
    pub(super) fn start() -> Result<Self, Failure> {
        let exporter = SpanExporter::builder().with_http().build().map_err(|error| {
            Failure::new(Exit::BadInput, "BAD_COLLECTOR", format!("spans cannot be sent: {error}"))
                .with_help(
                    "OTEL_EXPORTER_OTLP_ENDPOINT is an address such as http://127.0.0.1:4318",
                )
        })?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_attribute(version);
        let resource = match super::is_set("OTEL_SERVICE_NAME") {
            true => resource,
            false => resource.with_service_name(SERVICE),
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        Ok(Self(provider))
    }

    /// Listens to the spans of runs, and to nothing else.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(SERVICE))
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(trace::TARGET, LevelFilter::INFO))
    }

    /// Sends what is left, and says so if nobody takes it.
    pub(super) fn finish(self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH_WAIT) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}
