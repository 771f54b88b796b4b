//! What a verifier says of the example, and of one that was altered.

use std::collections::BTreeMap;

use super::*;
use crate::entry::Kind;
use crate::example::{Example, Shape};

fn report(example: &Example) -> Report {
    verify(example.entries.iter().map(Vec::as_slice), &example.documents)
}

#[test]
fn an_honest_ledger_leaves_no_doubt() {
    let example = Example::new(Shape::default()).expect("an example");
    let report = report(&example);
    assert_eq!(report.doubts, []);
    let [checked, attested, asserted] = report.counts();
    assert!(checked > 100 && attested > 15 && asserted > 80, "{checked} {attested} {asserted}");
    let told: std::collections::BTreeSet<_> = report.lines.iter().map(|line| line.entry).collect();
    assert_eq!(told.len(), example.entries.len(), "every entry says something");
    let joined = example.book.entries().iter().find(|one| one.kind == Kind::MemberJoined);
    let joined = joined.expect("a newcomer").index;
    let line = report.lines.iter().rev().find(|line| line.entry == joined).expect("a line");
    assert_eq!(
        line.to_string(),
        "clinic-7 is a member (data-owner) (attested by 3 of the committee)"
    );
}

#[test]
fn without_documents_less_is_checked_and_nothing_is_doubted() {
    let example = Example::new(Shape::default()).expect("an example");
    let entries = example.entries.iter().map(Vec::as_slice);
    let bare = verify(entries, &());
    assert_eq!(bare.doubts, []);
    let ([all, ..], [less, ..]) = (report(&example).counts(), bare.counts());
    assert!(less < all);
}

#[test]
fn an_altered_document_is_a_doubt() {
    let example = Example::new(Shape::default()).expect("an example");
    for (digest, bytes) in &example.documents {
        let mut altered: BTreeMap<_, _> = example.documents.clone();
        let mut bytes = bytes.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        altered.insert(*digest, bytes);
        let used = example
            .entries
            .iter()
            .any(|entry| String::from_utf8_lossy(entry).contains(&digest.to_string()));
        let entries = example.entries.iter().map(Vec::as_slice);
        let doubts = verify(entries, &altered).doubts;
        // A plan's text is in its entry, and a payout's file is made again.
        let is_needed = doubts.iter().any(|doubt| matches!(doubt.why, Why::Document(_)));
        let is_roster = example.book.roster_document(&example.roster.digest());
        let is_roster = is_roster.is_some_and(|document| document.sha256 == *digest)
            || example.book.founding().roster_document.sha256 == *digest;
        assert!(used);
        assert_eq!(is_needed, is_roster);
    }
}

#[test]
fn no_changed_byte_of_evidence_or_credits_is_read() {
    let mut example = Example::founded(Shape::default()).expect("an example");
    example.first_run().expect("a run");
    for kind in [Kind::EvidenceGiven, Kind::CreditsSettled] {
        let at = example.book.entries().iter().rev().find(|one| one.kind == kind);
        let at = at.expect("an entry").index as usize;
        // What comes before, its time, is the coordinator's own word: only the log's tree tells whether
        // it was changed.
        let head = "\"kind\"".as_bytes();
        let first = example.entries[at].windows(head.len()).position(|text| text == head);
        let before = example.entries[..at].iter().map(Vec::as_slice);
        let before = Book::read(before, &example.documents).expect("what comes before");
        for place in first.expect("a kind")..example.entries[at].len() {
            let mut entries = example.entries[at..].to_vec();
            entries[0][place] ^= 1;
            let mut book = before.clone();
            let is_read = entries.iter().all(|bytes| {
                let entry = Entry::parse(bytes);
                entry.is_ok_and(|entry| book.apply(&entry, &example.documents).is_ok())
            });
            assert!(!is_read, "{kind}, byte {place}");
        }
    }
}
