//! `envelope.json`: what one holder is sent of a contribution, and how it finds what the client
//! signed.

use covey_aggregation::config::HolderIndex;
use covey_aggregation::message::Envelope;
use covey_aggregation::sum::share::{check_envelope, open_envelope};
use covey_aggregation::wire;
use serde_json::{Value, json};

use crate::case::{Case, File, NAME, REFUSED, WRONG, hex};
use crate::reference::boxes::{self, Place};
use crate::reference::bytes::{accepts, hash, header_digest, signed_bytes};
use crate::round::{UPLOAD, base};

fn envelope(upload: usize, holder: usize) -> Envelope {
    let upload = &base().uploads[upload];
    let sealed_box = upload.boxes[holder].clone();
    Envelope::new(&upload.signed_header(), HolderIndex(holder as u8), sealed_box).expect("a seat")
}

fn check_of(envelope: &Envelope, holder: usize) -> Result<String, String> {
    let (config, round_ctx) = (&base().config, &base().round_ctx);
    let (place, secret) = (HolderIndex(holder as u8), base().sealing_secret(holder));
    let header = check_envelope(config, round_ctx, place, envelope)
        .map_err(|refused| refused.to_string())?;
    let opened = open_envelope(config, round_ctx, place, &secret, envelope);
    opened.map(|_| header.to_string()).map_err(|bad| bad.to_string())
}

fn valid((upload, holder): (usize, usize)) -> Value {
    let envelope = envelope(upload, holder);
    json!({
        "name": format!("upload {upload} for holder {holder}"), "upload": upload, "holder": holder,
        "envelope": hex(&wire::encode(&envelope)),
        "header": check_of(&envelope, holder).expect("as the client signed"),
    })
}

fn invalid(name: &str, change: impl Fn(&mut Envelope)) -> Value {
    let (upload, holder) = (0, 1);
    let mut envelope = envelope(upload, holder);
    change(&mut envelope);
    json!({
        "name": name, "wrong": name, "upload": upload, "holder": holder,
        "envelope": hex(&wire::encode(&envelope)),
        "refused": check_of(&envelope, holder).expect_err(name),
    })
}

pub(crate) fn file() -> File {
    let next = base().uploads[1].header().client;
    File {
        about: "envelopes: client, correction, chunks, components, the commitments that the holder \
                lacks, the seat's key commitment and contents, the path to the root over seats, \
                signature, box; good if its client signed that, and the box's seeds are of the one \
                list of components",
        step: "step 8, Envelope",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            UPLOAD,
            ("holder", "the holder's place in the committee, from 0"),
            ("envelope", "its encoded bytes"),
            ("header", "the header digest that it leads to"),
        ],
        valid: [(0, 0), (0, 1), (0, 2), (0, 3), (2, 1)].map(valid).to_vec(),
        invalid: vec![
            invalid("another client's name", |envelope| envelope.client = next),
            invalid("another correction", |envelope| envelope.correction.0[0] ^= 1),
            invalid("other chunks", |envelope| envelope.chunks_root.0[31] ^= 1),
            invalid("other components", |envelope| envelope.components.0[0] ^= 1),
            invalid("another commitment that the holder lacks", |envelope| {
                envelope.lacking[0].0[0] ^= 1;
            }),
            invalid("no commitment that the holder lacks", |envelope| envelope.lacking.clear()),
            invalid("one commitment too many", |envelope| envelope.lacking.push(envelope.box_key)),
            invalid("another key commitment", |envelope| envelope.box_key.0[0] ^= 1),
            invalid("other contents", |envelope| envelope.contents.0[0] ^= 1),
            invalid("the path swapped", |envelope| envelope.path.swap(0, 1)),
            invalid("a path one node short", |envelope| _ = envelope.path.pop()),
            invalid("a path one node long", |envelope| envelope.path.push(envelope.contents)),
            invalid("the last byte of the box changed", |envelope| {
                *envelope.sealed_box.last_mut().expect("some") ^= 1;
            }),
            invalid("a box one byte short", |envelope| _ = envelope.sealed_box.pop()),
            invalid("another holder's envelope", |envelope| *envelope = self::envelope(0, 2)),
        ],
    }
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let (upload, holder) = (case.number("upload") as usize, case.number("holder") as usize);
    let bytes = case.bytes("envelope");
    let envelope: Envelope = wire::decode(&bytes, 1 << 20).expect("well-formed");
    let checked = check_of(&envelope, holder);
    let plain = plain_header(&bytes, holder);
    if is_valid {
        let header = case.digest("header");
        assert_eq!(checked, Ok(header.to_string()), "{}", case.name);
        assert_eq!(plain, Some(header.0), "{}", case.name);
        assert_eq!(header.0, header_digest(&base().uploads[upload].header), "{}", case.name);
    } else {
        assert_eq!(checked, Err(case.refusal()), "{}", case.name);
        assert_eq!(plain, None, "{}", case.name);
    }
}

/// The header digest that an envelope leads holder `holder` of four to, if its client signed that.
fn plain_header(bytes: &[u8], holder: usize) -> Option<[u8; 32]> {
    // Client, correction, chunks, components; one component lacked; key and contents of the seat;
    // two nodes; a signature; the length of the box, the box.
    if bytes.len() != 1 + 4 * 32 + 33 + 2 * 32 + 1 + 2 * 32 + 64 + 2 + 1232 {
        return None;
    }
    let digest = |at: usize| &bytes[at..at + 32];
    let sealed_box = hash("sealed-box", &[&bytes[bytes.len() - 1232..]]);
    let mut node = hash("seat", &[digest(162), &sealed_box, digest(194)]);
    for (level, beside) in bytes[227..291].chunks(32).enumerate() {
        let is_right = holder >> level & 1 == 1;
        let pair = if is_right { [beside, &node] } else { [&node, beside] };
        node = hash("merkle-node", &pair);
    }
    let seats = hash("merkle-root", &[&4u64.to_le_bytes(), &node]);
    let round_ctx = base().round_ctx.0;
    let parts = [&round_ctx, digest(1), digest(33), digest(65), digest(97), &seats];
    let header = hash("header", &parts);
    let message = signed_bytes("header", &round_ctx, &header);
    let client = digest(1).try_into().expect("32 bytes");
    let signature = bytes[291..355].try_into().expect("64 bytes");
    if !accepts(client, &message, signature) {
        return None;
    }
    opens_to_one_list(bytes, holder).then_some(header)
}

/// Whether the seeds in the box, and the one commitment beside it, make the signed components.
fn opens_to_one_list(bytes: &[u8], holder: usize) -> bool {
    let (round_ctx, client) = (&base().round_ctx.0, &bytes[1..33]);
    let place = Place { round_ctx, client, holder: holder as u8 };
    let sealed = &bytes[bytes.len() - 1232..];
    let Some((_, seeds)) = boxes::open(&base().sealing_seeds[holder], &place, sealed) else {
        return false;
    };
    let mut seeds = seeds.chunks(32);
    // Component T is the one that holder T lacks.
    let commitments = (0..4).map(|component| {
        if component == holder {
            return bytes[130..162].try_into().expect("32 bytes");
        }
        let (mask, seed) = (1u16 << component, seeds.next().expect("three seeds"));
        hash("component-commitment", &[round_ctx, client, &mask.to_le_bytes(), seed])
    });
    let commitments: Vec<[u8; 32]> = commitments.collect();
    let parts: Vec<&[u8]> = commitments.iter().map(<[u8; 32]>::as_slice).collect();
    hash("components", &parts) == bytes[97..129]
}
