//! `complaint.json`: what a holder complains of, and who is found at fault.

use covey_aggregation::config::HolderIndex;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Complaint, ComplaintKind, Envelope};
use covey_aggregation::signing::Statement;
use covey_aggregation::sum::share::{
    BadBox, Verdict, check_complaint, check_envelope, open_envelope,
};
use serde_json::{Value, json};

use crate::case::{Case, File, NAME, REFUSED, WRONG, hex};
use crate::reference::boxes::{Place, commitment, open_with};
use crate::reference::bytes::{accepts, hash, header_digest, signed_bytes};
use crate::round::{CHANGES, SIGNED_AGAIN, Stored, UPLOAD, base};

/// Who complains in all cases but one.
const HOLDER: usize = 1;

fn text(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::ClientAtFault => "client at fault",
        Verdict::Undecidable => "undecidable",
        Verdict::FalseComplaint => "false complaint",
    }
}

/// What the holder finds in its box.
fn found(upload: &Stored) -> Option<ComplaintKind> {
    let (config, round_ctx) = (&base().config, &base().round_ctx);
    let holder = HolderIndex(HOLDER as u8);
    let sealed_box = upload.boxes[HOLDER].clone();
    let envelope = Envelope::new(&upload.signed_header(), holder, sealed_box).expect("a seat");
    check_envelope(config, round_ctx, holder, &envelope).expect("signed for");
    let secret = base().sealing_secret(HOLDER);
    match open_envelope(config, round_ctx, holder, &secret, &envelope) {
        Ok(_) => None,
        Err(BadBox::Complaint(kind)) => Some(kind),
        Err(bad @ BadBox::Components) => panic!("{bad}"),
    }
}

fn complain(upload: &Stored, kind: ComplaintKind) -> Complaint {
    let (round_ctx, header) = (base().round_ctx, upload.header().digest());
    let holder = HolderIndex(HOLDER as u8);
    let body = Complaint::body(&header, holder, &kind);
    let signature = base().holder(HOLDER).sign(Statement::Complaint, &round_ctx, &body);
    Complaint { round_ctx, header, holder, kind, signature }
}

fn judge(upload: &Stored, complaint: &Complaint) -> Verdict {
    let (config, round_ctx) = (&base().config, &base().round_ctx);
    check_complaint(config, round_ctx, &upload.signed_header(), &upload.boxes[HOLDER], complaint)
}

fn case(name: &str, upload: &Stored, complaint: &Complaint) -> Value {
    let changes = base().uploads[0].changes_to(upload);
    let (kind, box_key) = match &complaint.kind {
        ComplaintKind::Contents { box_key } => ("contents", hex(box_key)),
        ComplaintKind::Key => ("key", String::new()),
    };
    json!({
        "name": name, "upload": 0, "signed_again": !changes.is_empty(), "changes": changes,
        "round_ctx": complaint.round_ctx.to_string(), "header": complaint.header.to_string(),
        "holder": complaint.holder.0, "kind": kind, "box_key": box_key,
        "signature": hex(&complaint.signature.to_bytes()),
        "verdict": text(judge(upload, complaint)),
    })
}

fn changed(change: impl Fn(&mut Stored)) -> Stored {
    let mut upload = base().uploads[0].clone();
    change(&mut upload);
    upload.sign_again();
    upload
}

fn valid(name: &str, upload: &Stored) -> Value {
    case(name, upload, &complain(upload, found(upload).expect("a bad box")))
}

fn invalid(name: &str, upload: &Stored, complaint: &Complaint) -> Value {
    let mut value = case(name, upload, complaint);
    value["wrong"] = json!(name);
    value["refused"] = json!("the complaint accuses the holder that signed it, or nobody did");
    value
}

pub(crate) fn file() -> File {
    let broken = changed(|upload| {
        upload.boxes[HOLDER][1150] ^= 1;
        upload.commit_to_boxes();
    });
    let wrong_seeds = changed(|upload| upload.set_header(|header| header.components[0].0[0] ^= 1));
    let other_key = changed(|upload| {
        upload.boxes[HOLDER][0] ^= 1;
        upload.commit_to_boxes();
    });
    let good = base().uploads[0].clone();
    let kind = found(&broken).expect("a bad box");
    let complaint = complain(&broken, kind.clone());
    let with = |change: fn(&mut Complaint)| {
        let mut complaint = complaint.clone();
        change(&mut complaint);
        complaint
    };
    let invented = complain(&good, ComplaintKind::Contents { box_key: [7; 32] });
    File {
        about: "complaints about the box of holder 1 in an upload, and what anybody finds of them",
        step: "step 9, Complaints",
        fields: &[
            NAME,
            WRONG,
            REFUSED,
            UPLOAD,
            CHANGES,
            SIGNED_AGAIN,
            ("round_ctx", "of the complaint"),
            ("header", "the header digest that the complaint names"),
            ("holder", "who complains, from 0"),
            (
                "kind",
                "contents: the box's key is shown, and what it opens to is not as committed; \
              key: the key inside is not the committed one",
            ),
            ("box_key", "the key shown; empty for `key`"),
            (
                "signature",
                "over version 01, header digest, holder, kind (00 and the box key, or \
              01), as `complaint`",
            ),
            ("verdict", "who is at fault"),
        ],
        valid: vec![
            valid("contents that do not open", &broken),
            valid("seeds that are not the committed ones", &wrong_seeds),
            valid("a key that is not the committed one", &other_key),
        ],
        invalid: vec![
            invalid("the true key of a good box", &good, &complain(&good, kind)),
            invalid("a key that is not the committed one, shown", &good, &invented),
            invalid("another kind than signed", &broken, &with(|c| c.kind = ComplaintKind::Key)),
            invalid("another holder than signed", &broken, &with(|c| c.holder = HolderIndex(2))),
            invalid("nobody's", &broken, &with(|c| c.holder = HolderIndex(200))),
            invalid("about another contribution", &good, &complaint),
            invalid("of another round", &broken, &with(|c| c.round_ctx = Digest::ZERO)),
        ],
    }
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let upload = base().changed_upload(case);
    let kind = match (case.text("kind").as_str(), case.bytes("box_key")) {
        ("contents", key) => ComplaintKind::Contents { box_key: key.try_into().expect("32 bytes") },
        ("key", key) if key.is_empty() => ComplaintKind::Key,
        other => panic!("no complaint {other:?}"),
    };
    let complaint = Complaint {
        round_ctx: case.digest("round_ctx"),
        header: case.digest("header"),
        holder: HolderIndex(case.number("holder") as u8),
        kind,
        signature: case.signature("signature"),
    };
    let verdict = case.text("verdict");
    assert_eq!(text(judge(&upload, &complaint)), verdict, "{}", case.name);
    assert_eq!(plain_verdict(&upload, &complaint), verdict, "{}", case.name);
    assert_eq!(verdict != "false complaint", is_valid, "{}", case.name);
    if is_valid {
        assert_eq!(found(&upload), Some(complaint.kind), "{}", case.name);
    } else {
        case.refusal();
    }
}

/// The verdict once more, from the text.
fn plain_verdict(upload: &Stored, complaint: &Complaint) -> &'static str {
    let (round_ctx, client) = (base().round_ctx.0, &upload.header[33..65]);
    let (holder, name) = (complaint.holder.0, header_digest(&upload.header));
    let mut body = vec![1];
    body.extend(complaint.header.0);
    body.push(holder);
    let key = match &complaint.kind {
        ComplaintKind::Contents { box_key } => Some(box_key),
        ComplaintKind::Key => None,
    };
    body.push(u8::from(key.is_none()));
    body.extend(key.into_iter().flatten());
    let Some(seat) = base().config.committee.get(usize::from(holder)) else {
        return "false complaint";
    };
    let message = signed_bytes("complaint", &round_ctx, &body);
    let is_signed = accepts(&seat.holder.0, &message, &complaint.signature.to_bytes());
    if !is_signed || complaint.round_ctx.0 != round_ctx || complaint.header.0 != name {
        return "false complaint";
    }
    let Some(key) = key else { return "undecidable" };
    let place = Place { round_ctx: &round_ctx, client, holder };
    let at = 66 + 4 * 32 + 1 + 32 * usize::from(holder);
    if upload.header[at..at + 32] != commitment(&place, key) {
        return "false complaint";
    }
    let Some(contents) = open_with(key, &upload.boxes[usize::from(holder)]) else {
        return "client at fault";
    };
    let known = (0..4usize).filter(|component| *component != usize::from(holder));
    let all_hold = known.zip(contents.chunks(32)).all(|(component, seed)| {
        let mask = 1u16 << component;
        let parts: [&[u8]; 4] = [&round_ctx, client, &mask.to_le_bytes(), seed];
        let at = 66 + component * 32;
        upload.header[at..at + 32] == hash("component-commitment", &parts)
    });
    if all_hold && contents.len() == 96 { "false complaint" } else { "client at fault" }
}
