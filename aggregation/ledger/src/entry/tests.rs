//! Entries have one form only.

use covey_aggregation::party::Name;
use proptest::prelude::*;

use super::*;
use crate::example::{Example, Shape};

fn example() -> Example {
    Example::new(Shape::default()).expect("an example")
}

fn refused(text: &str) -> BadEntry {
    Entry::parse(text.as_bytes()).expect_err("no entry")
}

/// An entry of each kind, as text.
fn each_kind() -> Vec<(Kind, String)> {
    let example = example();
    let text = |kind: &Kind| {
        let record = example.book.entries().iter().find(|entry| entry.kind == *kind)?;
        let bytes = example.entries[record.index as usize].clone();
        Some((*kind, String::from_utf8(bytes).expect("text")))
    };
    Kind::ALL.iter().filter_map(text).collect()
}

#[test]
fn what_an_entry_says_gives_its_bytes() {
    let kinds = each_kind();
    // A run that was extended and a member that left are written elsewhere.
    assert_eq!(kinds.len(), Kind::ALL.len() - 2);
    for (kind, text) in kinds {
        let entry = Entry::parse(text.as_bytes()).expect("an entry");
        assert_eq!(entry.body.kind(), kind);
        assert_eq!(entry.encode().map(String::from_utf8), Ok(Ok(text.clone())));
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["kind"], kind.word());
    }
}

#[test]
fn another_form_of_the_same_is_refused() {
    for (kind, text) in each_kind() {
        let is_refused = |other: String| {
            assert_ne!(other, text, "{kind}");
            assert!(Entry::parse(other.as_bytes()).is_err(), "{kind}: {other}");
        };
        is_refused(format!(" {text}"));
        is_refused(format!("{text}\n"));
        is_refused(text.replacen(':', ": ", 1));
        is_refused(text.replacen("\"north\"", "\"\\u006eorth\"", 1));
        is_refused(text.replacen("\"time_ms\":", "\"time_ms\":0", 1));
        is_refused(text.replacen("\"body\":{", "\"body\":{\"more\":1,", 1));
        is_refused(text.replacen("\"body\":", "\"more\":1,\"body\":", 1));
        is_refused(text.replacen("covey-entry/1", "covey-entry/2", 1));
        is_refused(text.replacen("\"kind\":", "\"Kind\":", 1));
        let twice = "\"federation\":\"north\",";
        is_refused(text.replacen(twice, &twice.repeat(2), 1));
        // Fields in another order.
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        is_refused(value.to_string());
    }
}

#[test]
fn capitals_in_digests_and_zeros_before_amounts_are_refused() {
    let all = each_kind();
    let of = |kind| all.iter().find(|(one, _)| *one == kind).map(|(_, text)| text).expect("one");
    let payout = of(Kind::PayoutMade);
    let at = payout.find("\"root\":\"").expect("a root") + 8;
    let upper =
        format!("{}{}{}", &payout[..at], payout[at..at + 64].to_uppercase(), &payout[at + 64..]);
    assert!(matches!(refused(&upper), BadEntry::Shape(_)));
    let zero = payout.replacen("\"total\":\"", "\"total\":\"0", 1);
    assert!(matches!(refused(&zero), BadEntry::Shape(_)));
    let number = payout.replacen(
        "\"units_per_credit\":\"1000000000000000000\"",
        "\"units_per_credit\":1",
        1,
    );
    assert_ne!(number, *payout);
    assert!(matches!(refused(&number), BadEntry::Shape(_)));
    let set = of(Kind::AddressSet);
    let at = set.find("\"0x").expect("an address");
    let lower = format!("{}{}{}", &set[..at], set[at..at + 44].to_lowercase(), &set[at + 44..]);
    assert!(matches!(refused(&lower), BadEntry::Shape(_)), "without its checksum");
}

#[test]
fn integers_that_javascript_rounds_are_refused() {
    let text = each_kind().remove(0).1;
    let time = |time: &str| {
        let at = text.find("\"time_ms\":").expect("a time") + 10;
        let end = at + text[at..].find(',').expect("its end");
        format!("{}{time}{}", &text[..at], &text[end..])
    };
    assert!(Entry::parse(time("9007199254740991").as_bytes()).is_ok());
    let large = "9007199254740992".to_owned();
    assert_eq!(refused(&time(&large)), BadEntry::Integer(large.clone()));
    for other in ["1.0", "1e3", "-1", "\"1\"", "01", "18446744073709551616"] {
        assert!(matches!(refused(&time(other)), BadEntry::Shape(_)), "{other}");
    }
    let mut entry = Entry::parse(text.as_bytes()).expect("an entry");
    entry.time_ms = INTEGER_MAX + 1;
    assert_eq!(entry.encode(), Err(BadEntry::Integer(large)), "nor written");
    // Digits in words are no integers.
    let Body::Founding(mut founding) = entry.body else { panic!("a founding") };
    founding.coordinator.name = "north-9007199254740992".parse().expect("a name");
    let federation: Name = "north".parse().expect("a name");
    assert!(Entry::new(federation, 1, *founding).encode().is_ok());
}

#[test]
fn an_entry_that_is_too_long_is_refused() {
    let long = vec![b' '; ENTRY_BYTES_MAX + 1];
    assert_eq!(Entry::parse(&long), Err(BadEntry::Long { bytes: ENTRY_BYTES_MAX + 1 }));
    let all = each_kind();
    let (_, text) = all.iter().find(|(kind, _)| *kind == Kind::RunEnded).expect("an end");
    let mut entry = Entry::parse(text.as_bytes()).expect("an entry");
    if let Body::RunEnded(ended) = &mut entry.body {
        ended.why = "\"".repeat(ENTRY_BYTES_MAX / 2);
    }
    assert!(matches!(entry.encode(), Err(BadEntry::Long { .. })));
}

#[test]
fn every_entry_has_a_subject_of_its_own() {
    let example = example();
    let subjects: std::collections::BTreeSet<_> =
        example.book.entries().iter().map(|entry| &entry.subject).collect();
    assert_eq!(subjects.len(), example.entries.len());
}

proptest! {
    /// Whatever is read is written again as it was.
    #[test]
    fn what_is_read_is_in_the_one_form(
        kind in 0..15usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let all = each_kind_cached();
        let mut bytes = all[kind % all.len()].clone();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(entry) = Entry::parse(&bytes) {
            prop_assert_eq!(entry.encode(), Ok(bytes));
        }
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Entry::parse(&bytes).is_err());
    }
}

fn each_kind_cached() -> &'static [Vec<u8>] {
    static ALL: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    ALL.get_or_init(|| each_kind().into_iter().map(|(_, text)| text.into_bytes()).collect())
}
