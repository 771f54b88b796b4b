//! `upload.json`: what the coordinator accepts, and what it refuses.

use covey_aggregation::config::HolderIndex;
use covey_aggregation::hash::Digest;
use covey_aggregation::sum::contribution::{BadContribution, ContributionCheck};
use serde_json::{Value, json};

use crate::case::{Case, File, NAME, REFUSED, WRONG};
use crate::round::{CHANGES, SIGNED_AGAIN, Stored, UPLOAD, base};

fn accept(upload: &Stored) -> Result<(), BadContribution> {
    let mut check = ContributionCheck::new(&base().config, &upload.signed_header())?;
    check.correction(&upload.correction)?;
    for (holder, sealed_box) in (0..).map(HolderIndex).zip(&upload.boxes) {
        check.sealed_box(holder, sealed_box)?;
    }
    for (index, chunk) in (0..).zip(&upload.chunks) {
        check.chunk(index, chunk)?;
    }
    check.finish()
}

fn valid(index: usize) -> Value {
    json!({
        "name": format!("upload {index}"), "upload": index, "changes": [], "signed_again": false,
    })
}

fn invalid(name: &str, signed_again: bool, change: impl Fn(&mut Stored)) -> Value {
    let mut changed = base().uploads[0].clone();
    change(&mut changed);
    let changes = base().uploads[0].changes_to(&changed);
    if signed_again {
        changed.sign_again();
    }
    let signed = if signed_again { ", signed for by the client" } else { "" };
    json!({
        "name": name, "wrong": format!("{name}{signed}"), "upload": 0, "changes": changes,
        "signed_again": signed_again,
        "refused": accept(&changed).expect_err(name).to_string(),
    })
}

pub(crate) fn file() -> File {
    let other_client = base().uploads[1].header().client;
    File {
        about: "uploads as the coordinator checks them",
        step: "step 8, Header",
        fields: &[NAME, WRONG, REFUSED, UPLOAD, CHANGES, SIGNED_AGAIN],
        valid: (0..3).map(valid).collect(),
        invalid: vec![
            invalid("a header of another round", true, |upload| {
                upload.set_header(|header| header.round_ctx = Digest::ZERO);
            }),
            invalid("another client's name", false, |upload| {
                upload.set_header(|header| header.client = other_client);
            }),
            invalid("a header that was changed", false, |upload| {
                upload.set_header(|header| header.correction.0[31] ^= 1);
            }),
            invalid("one box commitment missing", true, |upload| {
                upload.set_header(|header| header.box_keys.truncate(3));
            }),
            invalid("one seed commitment too many", true, |upload| {
                upload.set_header(|header| header.components.push(Digest::ZERO));
            }),
            invalid("one box digest missing", true, |upload| {
                upload.set_header(|header| header.boxes.truncate(3));
            }),
            invalid("a correction one byte short", true, |upload| {
                upload.correction.pop();
                upload.commit_to_correction();
            }),
            invalid("the last entry of the correction not below its prime", true, |upload| {
                upload.correction[12_793..].fill(0xff);
                upload.commit_to_correction();
            }),
            invalid("a correction of eight entries more", true, |upload| {
                upload.correction.extend([0; 50]);
                upload.commit_to_correction();
            }),
            invalid("the last bit of the correction changed", false, |upload| {
                upload.correction[12_799] ^= 1;
            }),
            invalid("two boxes swapped", false, |upload| upload.boxes.swap(0, 1)),
            invalid("the last byte of the last box changed", false, |upload| {
                upload.boxes[3][1231] ^= 1;
            }),
            invalid("a box one byte short", true, |upload| {
                upload.boxes[2].pop();
                upload.commit_to_boxes();
            }),
            invalid("a box one byte too long", true, |upload| {
                upload.boxes[2].push(0);
                upload.commit_to_boxes();
            }),
            invalid("a chunk cut after 100 bytes", true, |upload| {
                upload.chunks[0].truncate(100);
                upload.commit_to_chunks();
            }),
            invalid("the last byte of the chunk changed", false, |upload| {
                *upload.chunks[0].last_mut().expect("some") ^= 1;
            }),
        ],
    }
}

pub(crate) fn check(case: &mut Case, is_valid: bool) {
    let upload = base().changed_upload(case);
    let refused = accept(&upload).err().map(|refused| refused.to_string());
    assert_eq!(refused, (!is_valid).then(|| case.refusal()), "{}", case.name);
}
