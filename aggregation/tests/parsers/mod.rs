//! Every parser of bytes or text from outside, each with what must hold for any input at all:
//! no panic, one form only, bounded memory, and what else is known of it. Driven by
//! `tests/decoding.rs`, and by the fuzz targets of `aggregation/fuzz`. Needs `peak_alloc` as the
//! global allocator, and one thread.
#![allow(unreachable_pub, dead_code, reason = "also a module of the fuzz targets")]

mod audits;
mod enrolments;
pub mod parts;
mod research;
pub mod seeds;
pub mod texts;

use covey_aggregation::config::RoundConfig;
use covey_aggregation::credit::RoundEvidence;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{
    Certificate, Complaint, FromClient, FromHolder, Outcome, Release, SignedHeader, ToClient,
    ToHolder,
};
use covey_aggregation::net::enrolment::{Answer, Application};
use covey_aggregation::net::frame::Deframer;
use covey_aggregation::net::link::{Greeting, Welcome};
use covey_aggregation::net::{BulkAnswer, BulkRequest};
use covey_aggregation::publication::Publication;
use covey_aggregation::record::{HolderRecord, ParticipantRecord, RoundRecord};
use covey_aggregation::research::{FromResearcher, ToResearcher};
use covey_aggregation::strategy::State;
use covey_aggregation::sum::open::Aggregate;
use covey_aggregation::wire;
use peak_alloc::PeakAlloc;
use serde::Serialize;
use serde::de::DeserializeOwned;

use seeds::Seeds;

/// A parser.
pub struct Parser {
    /// The name of its fuzz target.
    pub name: &'static str,
    /// Parses, and panics where something does not hold. Returns whether the input was accepted.
    pub check: fn(&[u8]) -> bool,
    /// Inputs that it accepts, or nearly. `tests/decoding.rs` names those that it refuses.
    pub seeds: fn(&Seeds) -> Vec<Vec<u8>>,
}

/// All of them.
pub const PARSERS: [Parser; 40] = [
    Parser { name: "to_holder", check: message::<ToHolder>, seeds: Seeds::to_holder },
    Parser { name: "from_holder", check: message::<FromHolder>, seeds: Seeds::holder_says },
    Parser { name: "to_client", check: message::<ToClient>, seeds: Seeds::to_client },
    Parser { name: "from_client", check: message::<FromClient>, seeds: Seeds::client_says },
    Parser {
        name: "from_researcher",
        check: message::<FromResearcher>,
        seeds: Seeds::researcher_says,
    },
    Parser { name: "to_researcher", check: message::<ToResearcher>, seeds: Seeds::to_researcher },
    Parser { name: "bulk_request", check: message::<BulkRequest>, seeds: Seeds::bulk_request },
    Parser { name: "bulk_answer", check: message::<BulkAnswer>, seeds: Seeds::bulk_answer },
    Parser { name: "greeting", check: message::<Greeting>, seeds: Seeds::greeting },
    Parser { name: "welcome", check: message::<Welcome>, seeds: Seeds::welcome },
    Parser { name: "application", check: message::<Application>, seeds: Seeds::application },
    Parser { name: "enrolment_answer", check: message::<Answer>, seeds: Seeds::enrolment_answer },
    Parser { name: "invite", check: enrolments::invite, seeds: Seeds::invite },
    Parser { name: "round_record", check: message::<RoundRecord>, seeds: Seeds::round_record },
    Parser { name: "holder_record", check: message::<HolderRecord>, seeds: Seeds::holder_record },
    Parser {
        name: "participant_record",
        check: message::<ParticipantRecord>,
        seeds: Seeds::participant_record,
    },
    Parser { name: "signed_header", check: message::<SignedHeader>, seeds: Seeds::signed_header },
    Parser { name: "release", check: message::<Release>, seeds: Seeds::release },
    Parser { name: "certificate", check: message::<Certificate>, seeds: Seeds::certificate },
    Parser { name: "complaint", check: message::<Complaint>, seeds: Seeds::complaint },
    Parser { name: "outcome", check: message::<Outcome>, seeds: Seeds::outcome },
    Parser { name: "aggregate", check: message::<Aggregate>, seeds: Seeds::aggregate },
    Parser { name: "publication", check: message::<Publication>, seeds: Seeds::publication },
    Parser { name: "evidence", check: message::<RoundEvidence>, seeds: Seeds::evidence },
    Parser { name: "terms", check: terms, seeds: Seeds::terms },
    Parser { name: "frame", check: frame, seeds: Seeds::frame },
    Parser { name: "contribution", check: parts::contribution, seeds: Seeds::contribution },
    Parser { name: "sealed_box", check: parts::sealed_box, seeds: Seeds::sealed_box },
    Parser { name: "audit_proof", check: parts::audit_proof, seeds: Seeds::audit_proof },
    Parser { name: "audit_openings", check: parts::audit_openings, seeds: Seeds::audit_openings },
    Parser { name: "audit_values", check: parts::audit_values, seeds: Seeds::audit_values },
    Parser { name: "strategy_state", check: strategy_state, seeds: Seeds::strategy_state },
    Parser { name: "key_vectors", check: parts::key_vectors, seeds: Seeds::key_vectors },
    Parser { name: "plan", check: texts::plan, seeds: Seeds::plan },
    Parser { name: "configuration", check: texts::configuration, seeds: Seeds::configuration },
    Parser { name: "roster", check: texts::roster, seeds: Seeds::roster },
    Parser { name: "evidence_file", check: texts::evidence, seeds: Seeds::evidence_file },
    Parser { name: "credits_file", check: texts::credits, seeds: Seeds::credits_file },
    Parser { name: "request", check: texts::request, seeds: Seeds::request },
    Parser {
        name: "member_certificate",
        check: texts::member_certificate,
        seeds: Seeds::member_certificate,
    },
];

/// Memory that decoding n bytes may hold at its peak: so many times n, and [`SLACK_BYTES`].
pub const FACTOR: usize = 4;
/// See [`FACTOR`].
pub const SLACK_BYTES: usize = 64 * 1024;

/// Runs `parse` on `bytes`; it must not hold more than `factor` times as many and the slack.
pub fn bounded<T>(bytes: usize, factor: usize, parse: impl FnOnce() -> T) -> T {
    let before = PeakAlloc.current_usage();
    PeakAlloc.reset_peak_usage();
    let parsed = parse();
    let held = PeakAlloc.peak_usage() - before;
    let allowed = factor * bytes + SLACK_BYTES;
    assert!(held <= allowed, "{bytes} bytes made it hold {held}, more than {allowed}");
    parsed
}

/// One wire value: bounded, and it encodes to what it was decoded from.
pub fn decoded<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let decoded = bounded(bytes.len(), FACTOR, || wire::decode::<T>(bytes, usize::MAX).ok());
    if let Some(value) = &decoded {
        assert!(wire::encode(value) == bytes, "two encodings of one value");
    }
    decoded
}

fn message<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> bool {
    decoded::<T>(bytes).is_some()
}

/// What is kept from round to round: read back, it is the same bytes.
fn strategy_state(bytes: &[u8]) -> bool {
    let Ok(state) = bounded(bytes.len(), FACTOR, || State::decode(bytes)) else { return false };
    assert!(state.encode() == bytes, "two encodings of one state");
    true
}

/// Terms, and every length and place that follows from those that hold together.
fn terms(bytes: &[u8]) -> bool {
    let Some(config) = decoded::<RoundConfig>(bytes) else { return false };
    if config.validate().is_ok() {
        assert_eq!(config.validate_layout(), Ok(()));
        assert!(config.contributions_min >= 3);
    }
    if config.validate_layout().is_err() {
        return true;
    }
    let last = config.chunks() - 1;
    let width = u64::from(config.packing.pad_bits());
    let (whole, rest) = (config.chunk_bytes(0) as u64, config.chunk_bytes(last) as u64);
    assert!(rest > 0 && (last == 0 || rest <= whole));
    assert_eq!(config.payload_bytes(), u64::from(last) * whole + rest);
    assert_eq!(config.chunk_coefficients(last) as u64 * width, rest * 8);
    assert!(
        config.payload_bytes() * 8 >= config.coordinates() * u64::from(config.packing.lane_bits)
    );
    let place = config.place(config.coordinates() - 1);
    assert_eq!(place.chunk, last);
    assert!(place.coefficient < config.chunk_coefficients(last));
    assert!(place.lane < config.packing.lanes);
    assert_eq!(config.committee.len(), config.shape.members());
    let seat = config.committee[0].holder;
    assert!(config.seat_of(&seat).is_some());
    assert!(config.quantiser.step() > 0.0);
    true
}

/// The first byte is how many bytes come at once. Whatever it is, the same frames come out.
fn frame(bytes: &[u8]) -> bool {
    const FRAME_BYTES_MAX: u32 = 4096;
    let Some((&step, stream)) = bytes.split_first() else { return false };
    let mut expected = Vec::new();
    let mut rest = stream;
    let is_refused = loop {
        let Some((length, body)) = rest.split_first_chunk::<4>() else { break false };
        let length = u32::from_le_bytes(*length);
        if length > FRAME_BYTES_MAX {
            break true;
        }
        let Some((frame, after)) = body.split_at_checked(length as usize) else { break false };
        expected.push(frame);
        rest = after;
    };
    let mut expected = expected.into_iter();
    let got_refused = bounded(stream.len(), FACTOR, || {
        let mut deframer = Deframer::new(FRAME_BYTES_MAX);
        for part in stream.chunks(usize::from(step) + 1) {
            deframer.push(part);
            loop {
                match deframer.next_frame() {
                    Ok(Some(frame)) => assert_eq!(Some(frame.as_slice()), expected.next()),
                    Ok(None) => break,
                    Err(_) => return true,
                }
            }
        }
        assert_eq!(deframer.is_inside_a_frame(), !rest.is_empty());
        assert_eq!(deframer.into_rest(), rest);
        false
    });
    assert_eq!(expected.next(), None);
    assert_eq!(got_refused, is_refused);
    !is_refused && rest.is_empty()
}

/// A digest to put somewhere.
pub(crate) const fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}
