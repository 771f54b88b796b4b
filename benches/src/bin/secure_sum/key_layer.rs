//! What does not depend on the number of parameters.

use std::hint::black_box;

use covey_aggregation::party::PartyId;
use covey_aggregation::sum::accumulator::Accumulator;
use covey_aggregation::sum::contribution::{box_bytes, correction_bytes};
use covey_aggregation::sum::share::{check_envelope, component_sums, open_envelope};
use covey_aggregation::wire;
use covey_benches::{Figure, Report, identity, median_ns};

use crate::federation::{Federation, envelope, holder, update};

const CLIENTS: usize = 50;

pub(crate) fn measure(report: &Report, federation: &Federation) {
    let (config, terms) = (&federation.config, &federation.terms);
    let round_ctx = config.context();
    let quantised = federation.quantise(&update(1));
    let mut chunks = Vec::new();
    let sealing = median_ns(25, || {
        black_box(federation.seal(1, &quantised, &mut chunks));
    });
    let sealed = federation.seal(1, &quantised, &mut chunks);
    let envelope = envelope(&sealed, 0);
    let secret = &federation.secrets[0];
    let open = || open_envelope(config, &round_ctx, holder(0), secret, &envelope);
    let checking = median_ns(25, || {
        black_box(check_envelope(config, &round_ctx, holder(0), &envelope).is_ok());
    });
    let opening = median_ns(25, || {
        black_box(open().is_ok());
    });
    let seeds = open().expect("a good box");
    let client: PartyId = identity(1).id();
    let summing = median_ns(9, || {
        let clients = (0..CLIENTS).map(|_| (client, &seeds));
        black_box(component_sums(config, &round_ctx, holder(0), clients));
    }) / CLIENTS as f64;
    let mut accumulator = Accumulator::new(config).expect("valid terms");
    let correcting = median_ns(9, || {
        accumulator.add_correction(&sealed.correction).expect("good");
    });
    let figure = |name, ns: f64| Figure::new(name, terms, ns / 1e3, "us/client");
    for (name, ns) in [
        ("key.client", sealing),
        ("key.holder.check", checking),
        ("key.holder.open", opening),
        ("key.holder.sum", summing),
        ("key.holder", checking + opening + summing),
        ("key.coordinator", correcting),
    ] {
        report.figure(&figure(name, ns));
    }
    let bytes = |name, bytes: usize| Figure::new(name, terms, bytes as f64, "B/client");
    let sent = correction_bytes(config) + box_bytes(config) * config.shape.members();
    report.figure(&bytes("key.client.bytes", sent));
    report.figure(&bytes("key.holder.bytes", wire::encode(&envelope).len()));
}
