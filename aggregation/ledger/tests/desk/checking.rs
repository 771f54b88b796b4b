//! What is checked offline.

use std::fs;

use covey_aggregation::program::Exit;
use covey_ledger::proof::inclusion;
use covey_ledger::receipt::{InclusionProof, Receipt};
use covey_ledger::tile::Tiles;

use super::place::{Place, code, files_below, run_of};

fn check(place: &Place, line: &[&str]) -> (Exit, serde_json::Value, String) {
    let roster = place.text("roster.json");
    let answer = place.run(&[line, &["--roster", &roster]].concat()).expect("an answer");
    (answer.exit, answer.data, answer.text)
}

#[test]
fn a_whole_ledger_holds_and_says_what_its_statements_are_worth() {
    let place = Place::new();
    for folder in [place.text("published"), place.ledger().display().to_string()] {
        let (exit, data, text) = check(&place, &["ledger", "verify", &folder]);
        assert_eq!((exit, &data["is_verified"]), (Exit::Done, &true.into()), "{text}");
        assert_eq!(data["entries"], place.example.borrow().book.size());
        assert_eq!(data["cosigned_by"].as_array().expect("a list").len(), 4);
        for standing in ["checked", "attested", "asserted"] {
            assert!(data["total"][standing].as_u64() > Some(0), "{standing}");
        }
        assert!(text.contains("the ledger of north holds"), "{text}");
    }
    let published = place.text("published");
    let (_, data, text) = check(&place, &["ledger", "verify", &published, "--statements"]);
    let statements = data["statements"].as_array().expect("a list").len();
    assert_eq!(text.matches(" (entry ").count(), statements);
}

#[test]
fn every_altered_file_is_a_doubt() {
    let place = Place::new();
    let published = place.text("published");
    let roster = place.text("roster.json");
    let files = files_below(&place.ledger());
    assert!(files.len() > 5, "{files:?}");
    for path in files {
        let bytes = fs::read(&path).expect("a file");
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            fs::write(&path, &altered).expect("written");
            let (exit, data, text) = check(&place, &["ledger", "verify", &published]);
            assert_eq!(exit, Exit::Unverified, "{}, byte {at}: {text}", path.display());
            assert_eq!(data["is_verified"], false);
            assert!(text.contains("DOUBT"), "{text}");
        }
        fs::write(&path, &bytes).expect("written");
    }
    let checkpoint = place.ledger().join("checkpoint");
    let mut bytes = fs::read(&checkpoint).expect("a file");
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    fs::write(&checkpoint, bytes).expect("written");
    let run = |line: &[&str]| place.run(&[line, &["--roster", &roster]].concat());
    let unverified = (Exit::Unverified, "UNVERIFIED");
    assert_eq!(code(run(&["ledger", "entry", &published, "0"])), unverified);
    assert_eq!(code(run(&["ledger", "credits", &published, "digits"])), unverified);
    assert_eq!(code(place.read(&["dispute", "list"])), unverified);
    assert_eq!(code(place.read(&["payout", "preview"])), unverified);
}

#[test]
fn a_missing_ledger_or_roster_is_no_doubt_but_bad_input() {
    let place = Place::new();
    let (empty, roster) = (place.text("empty"), place.text("roster.json"));
    fs::create_dir(&empty).expect("a folder");
    let line = ["ledger", "verify", &empty, "--roster", &roster];
    assert_eq!(code(place.run(&line)), (Exit::BadInput, "NO_LEDGER"));
    let line = ["ledger", "entry", &empty, "0", "--roster", &roster];
    assert_eq!(code(place.run(&line)), (Exit::BadInput, "NO_LEDGER"));
    let published = place.text("published");
    assert_eq!(code(place.run(&["ledger", "verify", &published])), (Exit::BadInput, "NO_ROSTER"));
    let line = ["ledger", "verify", &published, "--roster", &empty];
    assert_eq!(code(place.run(&line)), (Exit::BadInput, "BAD_ROSTER"));
}

#[test]
fn another_federations_ledger_is_refused() {
    let place = Place::new();
    let mut roster = place.example.borrow().roster.clone();
    roster.authority.0[0] ^= 1;
    let path = place.path("other.json");
    covey_aggregation::net::write_roster(&path, &roster).expect("written");
    let (published, path) = (place.text("published"), path.display().to_string());
    let verified = place.run(&["ledger", "verify", &published, "--roster", &path]);
    let verified = verified.expect("an answer");
    assert_eq!(verified.exit, Exit::Unverified);
    assert!(verified.text.contains("another federation"), "{}", verified.text);
    let line = ["ledger", "entry", &published, "0", "--roster", &path];
    assert_eq!(code(place.run(&line)), (Exit::Unverified, "UNVERIFIED"));
}

#[test]
fn a_ledger_must_have_grown_from_an_older_checkpoint() {
    let place = Place::new();
    let kept = place.path("kept");
    fs::copy(place.ledger().join("checkpoint"), &kept).expect("kept");
    place.say("clinic-4", &["address", "set", "--none", "--yes"]).expect("recorded");
    place.publish();
    let (published, kept) = (place.text("published"), kept.display().to_string());
    let line = ["ledger", "verify", &published, "--checkpoint", &kept];
    let (exit, data, text) = check(&place, &line);
    assert_eq!(exit, Exit::Done, "{text}");
    assert_eq!(data["grown_from"][0]["entries"], place.example.borrow().book.size() - 1);
    // The other way round it went back.
    fs::copy(place.ledger().join("checkpoint"), place.path("newer")).expect("kept");
    let last = place.example.borrow_mut().entries.pop().expect("an entry");
    place.publish();
    let newer = place.text("newer");
    let (exit, _, text) = check(&place, &["ledger", "verify", &published, "--checkpoint", &newer]);
    assert_eq!(exit, Exit::Unverified);
    assert!(text.contains("now there are"), "{text}");
    // Another last entry: forked.
    place.example.borrow_mut().entries.push(last.iter().copied().rev().collect());
    place.publish();
    let (exit, _, text) = check(&place, &["ledger", "verify", &published, "--checkpoint", &newer]);
    assert_eq!(exit, Exit::Unverified);
    assert!(text.contains("other ones than when the log signed"), "{text}");
}

#[test]
fn an_entry_is_shown_with_what_it_is_worth() {
    let place = Place::new();
    let published = place.text("published");
    for index in 0..place.example.borrow().book.size() {
        let number = index.to_string();
        let (exit, data, text) = check(&place, &["ledger", "entry", &published, &number]);
        assert_eq!((exit, &data["index"]), (Exit::Done, &index.into()), "{text}");
        assert!(data["statements"].as_array().expect("a list").len() > 2, "{text}");
        let kind = data["kind"].as_str().expect("a kind");
        assert_eq!(data["entry"]["kind"], kind);
        assert!(text.contains(kind), "{text}");
    }
    let roster = place.text("roster.json");
    let line = ["ledger", "entry", &published, "999999", "--roster", &roster];
    assert_eq!(code(place.run(&line)), (Exit::BadInput, "NO_SUCH"));
}

fn receipt(place: &Place, index: u64) -> Receipt {
    let ledger = place.ledger();
    let size = place.example.borrow().book.size();
    let tiles = Tiles::new(size, |path: &str| fs::read(ledger.join(path)).ok());
    let hashes = inclusion(&tiles, index, size).expect("a proof");
    let checkpoint = fs::read(ledger.join("checkpoint")).expect("a file");
    let entry = place.example.borrow().entries[index as usize].clone();
    Receipt { entry, proof: InclusionProof { index, hashes, checkpoint } }
}

#[test]
fn a_receipt_is_checked_by_the_roster_alone() {
    let place = Place::new();
    let path = place.text("one.receipt");
    let index = place.example.borrow().book.disputes()[0].entry;
    let text = receipt(&place, index).to_string();
    fs::write(&path, &text).expect("written");
    let line = ["ledger", "receipt", &path];
    let (exit, data, shown) = check(&place, &line);
    assert_eq!((exit, &data["kind"]), (Exit::Done, &"dispute-opened".into()), "{shown}");
    assert!(shown.contains("clinic-3 signed this"), "{shown}");
    for at in (0..text.len()).step_by(7) {
        let mut altered = text.clone().into_bytes();
        altered[at] ^= 1;
        fs::write(&path, &altered).expect("written");
        let (exit, data, shown) = check(&place, &line);
        assert_eq!(exit, Exit::Unverified, "byte {at}: {shown}");
        assert_eq!(data["is_verified"], false);
    }
    let roster = place.text("roster.json");
    let line = ["ledger", "receipt", "/nowhere/x", "--roster", &roster];
    assert_eq!(code(place.run(&line)), (Exit::BadInput, "NO_FILE"));
}

#[test]
fn a_round_is_shown_and_what_is_not_at_hand_is_only_asserted() {
    let place = Place::new();
    let published = place.text("published");
    let (exit, data, text) = check(&place, &["ledger", "round", &published, "digits", "2"]);
    assert_eq!((exit, &data["outcome"]), (Exit::Done, &"degraded".into()), "{text}");
    assert_eq!(data["added_again"], serde_json::Value::Null);
    assert!(text.contains("the publication is not at hand"), "{text}");
    assert!(text.contains("attested by"), "{text}");
    let roster = place.text("roster.json");
    let bad = |round: &str| {
        code(place.run(&["ledger", "round", &published, "digits", round, "--roster", &roster]))
    };
    assert_eq!(bad("9"), (Exit::BadInput, "NO_SUCH"));
}

#[test]
fn credits_are_computed_again_and_explained() {
    let place = Place::new();
    let published = place.text("published");
    let (exit, data, text) = check(&place, &["ledger", "credits", &published, "digits"]);
    assert_eq!(exit, Exit::Done, "{text}");
    let run = run_of(&place, "digits");
    {
        let example = place.example.borrow();
        let credits = example.book.run(&run).and_then(|run| run.credits.as_ref()).expect("credits");
        for (owner, key) in data["owners"]
            .as_array()
            .expect("a list")
            .iter()
            .zip(credits.settlement.accounts.iter().map(|account| account.owner))
        {
            assert_eq!(owner["paid_micro"], credits.payment_micro(&key));
            assert_eq!(owner["name"], example.book.name_of(&key));
        }
    }
    let digits = run.to_string();
    let line = ["ledger", "credits", &published, &digits[..10], "clinic-3"];
    let (exit, data, text) = check(&place, &line);
    assert_eq!(exit, Exit::Done, "{text}");
    assert_eq!(data["owners"][0]["difference_micro"], 40_000_000, "a dispute was upheld");
    assert!(text.contains("It follows from the entries"), "{text}");
    assert!(text.contains("attested by"), "the scores: {text}");
    let roster = place.text("roster.json");
    let bad = |line: &[&str]| {
        let head = ["ledger", "credits", &published];
        code(place.run(&[&head[..], line, &["--roster", &roster]].concat()))
    };
    assert_eq!(bad(&["digits-at-night"]), (Exit::BadInput, "NOT_SETTLED"));
    assert_eq!(bad(&["digits", "north-dao"]), (Exit::BadInput, "NO_SUCH"));
    assert_eq!(bad(&["none"]), (Exit::BadInput, "NO_SUCH"));
}
