//! Spans as a collector gets them: of a run, in it of its rounds, in those of their phases, and nothing
//! that tells who takes part. The coordinator is the real program, with its feature `otel`:
//!
//! ```sh
//! cargo build --release --workspace    # the members' programs
//! cargo test --release --workspace --features covey-coordinator/otel --test otel
//! ```
#![cfg(all(feature = "otel", target_os = "linux"))]

#[path = "processes/oracle.rs"]
mod oracle;
mod processes;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use processes::{Federation, Plan, Process, Who, Work};
use prost::Message as _;
use tokio::net::TcpListener;

/// What came, in order.
#[derive(Default)]
struct Received {
    spans: Vec<Span>,
    /// Resources' attributes, in words.
    resources: Vec<String>,
    /// Requests as they came.
    bodies: Vec<Bytes>,
}

/// A collector on loopback.
struct Collector {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
    _runtime: tokio::runtime::Runtime,
}

impl Collector {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let received = Arc::new(Mutex::new(Received::default()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("bound");
        let taking = Arc::clone(&received);
        let take = async move |headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            let request = ExportTraceServiceRequest::decode(body.clone()).expect("OTLP");
            let mut received = taking.lock().expect("no panic");
            received.bodies.push(body);
            for resource in request.resource_spans {
                received.resources.push(format!("{:?}", resource.resource));
                let scopes = resource.scope_spans.into_iter();
                received.spans.extend(scopes.flat_map(|scope| scope.spans));
            }
            StatusCode::OK
        };
        let router = Router::new().route("/v1/traces", post(take));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, received, _runtime: runtime }
    }
}

fn attribute(span: &Span, key: &str) -> Option<Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.clone()?.value
}

fn text(span: &Span, key: &str) -> String {
    match attribute(span, key) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{key} of {}: {other:?}", span.name),
    }
}

fn number(span: &Span, key: &str) -> i64 {
    match attribute(span, key) {
        Some(Value::IntValue(number)) => number,
        other => panic!("{key} of {}: {other:?}", span.name),
    }
}

/// Starts the coordinator's program, which sends its spans there.
fn start(federation: &Federation, endpoint: &str) -> Process {
    let mut command = federation.command(Who::Coordinator);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    Process::start(Who::Coordinator, &mut command)
}

#[test]
fn a_collector_gets_the_run_its_rounds_and_their_phases_and_no_names() {
    let collector = Collector::start();
    let federation = Federation::new(4, &Plan { rounds: 2, ..Plan::default() });
    let coordinator = start(&federation, &format!("http://{}", collector.address));
    let story = Work::around(&federation, coordinator).finish(&[]);
    let story = story.unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(story.finished["rounds_done"], 2, "{}", story.finished);
    oracle::check(&federation);

    let received = collector.received.lock().expect("no panic");
    let named = |name: &str| -> Vec<&Span> {
        received.spans.iter().filter(|span| span.name == name).collect()
    };
    let (runs, rounds, phases) = (named("run"), named("round"), named("phase"));
    assert_eq!(runs.len() + rounds.len() + phases.len(), received.spans.len());
    let [run] = runs[..] else { panic!("{runs:?}") };
    assert_eq!(text(run, "run"), story.finished["run"].as_str().expect("a digest"));
    assert_eq!((number(run, "rounds"), text(run, "ending").as_str()), (2, "done"));
    assert!(run.parent_span_id.is_empty());
    assert_eq!(rounds.len(), 2);
    for (expected, round) in (1..).zip(&rounds) {
        assert_eq!(round.parent_span_id, run.span_id);
        assert_eq!(round.trace_id, run.trace_id);
        assert_eq!(number(round, "round"), expected);
        assert_eq!(text(round, "outcome"), "done");
        assert_eq!((number(round, "counted"), number(round, "missing")), (4, 0));
        let within: Vec<_> =
            phases.iter().filter(|phase| phase.parent_span_id == round.span_id).collect();
        let order: Vec<_> = within.iter().map(|phase| text(phase, "phase")).collect();
        assert_eq!(order, ["Select", "Collect", "Vote", "Audit", "Release", "Done"]);
        for (one, next) in within.iter().zip(within.iter().skip(1)) {
            assert!(one.end_time_unix_nano <= next.end_time_unix_nano, "one after the other");
        }
        for phase in within {
            assert_eq!(phase.trace_id, run.trace_id);
            assert!(round.start_time_unix_nano <= phase.start_time_unix_nano);
            assert!(phase.end_time_unix_nano <= round.end_time_unix_nano);
        }
        assert!(run.start_time_unix_nano <= round.start_time_unix_nano);
        assert!(round.end_time_unix_nano <= run.end_time_unix_nano);
    }
    assert_eq!(phases.len(), 12);
    assert!(received.resources.iter().all(|resource| resource.contains("covey-coordinator")));
    // Nothing that tells who takes part, or where this runs.
    for body in &received.bodies {
        let bytes = String::from_utf8_lossy(body).into_owned();
        for told in ["owner-", "holder-", "small", "/tmp", ".rs", "A test"] {
            assert!(!bytes.contains(told), "{told:?} is in a request");
        }
    }
}

#[test]
fn a_coordinator_that_is_asked_to_stop_sends_what_is_left_and_says_where_it_stood() {
    let collector = Collector::start();
    let federation = Federation::new(4, &Plan { rounds: 50, ..Plan::default() });
    let coordinator = start(&federation, &format!("http://{}", collector.address));
    let mut work = Work::around(&federation, coordinator);
    let coordinator = work.process(Who::Coordinator);
    coordinator.wait_for(|line| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        (event["event"] == "phase" && event["round"] == 2).then_some(())
    });
    coordinator.signal("-TERM");
    assert_eq!(coordinator.wait().code(), Some(143), "{}", coordinator.words());
    let received = collector.received.lock().expect("no panic");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for span in &received.spans {
        *counts.entry(&span.name).or_default() += 1;
    }
    assert_eq!(counts["run"], 1, "{counts:?}");
    assert!(counts["round"] >= 2 && counts["phase"] > 6, "{counts:?}");
    let run = received.spans.iter().find(|span| span.name == "run").expect("counted");
    assert_eq!(attribute(run, "ending"), None, "it is not over");
}

#[test]
fn rounds_go_on_where_no_collector_listens() {
    let federation = Federation::new(4, &Plan::default());
    // Nobody listens at a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let coordinator = start(&federation, &format!("http://{}", free.expect("a port")));
    let story = Work::around(&federation, coordinator).finish(&[]);
    let story = story.unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(story.finished["rounds_done"], 1, "{}", story.finished);

    let mut process = start(&federation, "not an address");
    assert_eq!(process.wait().code(), Some(2), "{}", process.words());
    assert!(process.words().contains("BAD_COLLECTOR"), "{}", process.words());
}
