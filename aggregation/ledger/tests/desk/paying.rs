//! What is computed to be paid.

use covey_aggregation::program::Exit;
use covey_ledger::document::Document;
use covey_ledger::payout::Tree;

use super::place::{Place, code};

const DAY_MS: u64 = 24 * 3_600_000;

/// A time after all windows, and after the votes on what is open.
fn later(place: &Place, days: u64) -> String {
    let now_ms = place.example.borrow().now_ms;
    let time = covey_aggregation::time::Time(now_ms + days * DAY_MS);
    covey_aggregation::program::clock::utc(time)
}

#[test]
fn a_preview_says_who_is_paid_what_is_held_back_and_why() {
    let place = Place::new();
    let now = place.read(&["payout", "preview"]).expect("a preview");
    assert_eq!(
        now.data["not_payable"][0]["run"].as_str().map(|run| &run[..12]),
        Some("digits-again")
    );
    assert!(now.text.contains("can be disputed until"), "{}", now.text);
    let at = later(&place, 8);
    let later = place.read(&["payout", "preview", "--at", &at]).expect("a preview");
    assert_eq!(later.data["number"], 2);
    let held = later.data["held"].as_array().expect("a list");
    let disputed = held.iter().filter(|one| one["why"] == "disputed").count();
    assert_eq!(disputed, 1, "{held:?}");
    assert!(held.iter().any(|one| one["why"] == "no-address"), "{held:?}");
    assert_eq!(later.data["disputes"][0]["by"], "clinic-4");
    assert!(!later.data["owners"].as_array().expect("a list").is_empty());
    let run = ["payout", "preview", "--run", "digits-at-night"];
    assert_eq!(code(place.read(&run)), (Exit::BadInput, "NO_PAYOUT"), "not settled");
    assert_eq!(code(place.read(&["payout", "preview", "--run", "none"])).1, "NO_SUCH");
}

#[test]
fn a_file_is_refused_while_a_dispute_is_open_and_holds_back_when_told_to() {
    let place = Place::new();
    let (at, out) = (later(&place, 8), place.text("payout.json"));
    let build = ["payout", "build", "--at", &at, "--out", &out];
    let failure = place.read(&build).expect_err("a dispute is open");
    assert_eq!((failure.exit, failure.code), (Exit::BadInput, "DISPUTED"));
    let why = "round 1 began before our update of the client was through";
    assert!(failure.message.contains("clinic-4") && failure.message.contains(why), "{failure}");
    assert_eq!(failure.details.expect("details")["disputes"][0]["why"], why);
    assert!(!place.path("payout.json").exists());
    let built = place.read(&[&build[..], &["--hold-back"]].concat()).expect("a file");
    let bytes = std::fs::read(&out).expect("written");
    let tree = Tree::from_file(&bytes).expect("a tree");
    assert_eq!(built.data["root"], format!("0x{}", tree.root()));
    assert_eq!(built.data["document"]["sha256"], Document::of(&bytes).sha256.to_string());
    let again = place.read(&[&build[..], &["--hold-back"]].concat());
    assert_eq!(code(again), (Exit::BadInput, "EXISTS"));
    let verify = ["payout", "verify", &out, "--at", &at];
    let verified = place.read(&verify).expect("checked");
    assert_eq!((verified.exit, &verified.data["is_verified"]), (Exit::Done, &true.into()));
    let first = ["payout", "build", "--run", "digits", "--out", &place.text("first.json")];
    let first = place.read(&first);
    assert_eq!(code(first), (Exit::BadInput, "NO_PAYOUT"), "not disputed, but paid already");
}

#[test]
fn another_file_is_told_by_what_differs() {
    let place = Place::new();
    let (at, out) = (later(&place, 8), place.text("payout.json"));
    place.read(&["payout", "build", "--at", &at, "--out", &out, "--hold-back"]).expect("a file");
    let tree = Tree::from_file(&std::fs::read(&out).expect("a file")).expect("a tree");
    let mut payees: Vec<_> = tree.payees().copied().collect();
    payees[0].amount += 1;
    let other = Tree::new(payees.clone()).expect("a tree");
    std::fs::write(&out, other.to_file()).expect("written");
    let verify = ["payout", "verify", &out, "--at", &at];
    let verified = place.read(&verify).expect("checked");
    assert_eq!(verified.exit, Exit::Unverified);
    let doubt = verified.data["doubts"][0].as_str().expect("a doubt");
    assert!(doubt.starts_with(&payees[0].address.to_string()), "{doubt}");
    std::fs::write(&out, b"{}").expect("written");
    assert_eq!(place.read(&verify).expect("checked").exit, Exit::Unverified);
    assert_eq!(code(place.read(&["payout", "verify", "/nowhere/x"])).1, "NO_FILE");
}

#[test]
fn the_ledgers_own_payout_is_found_again() {
    let place = Place::new();
    let file = place.example.borrow().book.payouts()[0].payout.file;
    let path = place.ledger().join("documents").join(file.sha256.to_string());
    let (ledger, roster) = (place.text("published"), place.text("roster.json"));
    let line = ["ledger", "payout", &ledger, &path.display().to_string(), "--roster", &roster];
    let verified = place.run(&line).expect("checked");
    assert_eq!((verified.exit, &verified.data["number"]), (Exit::Done, &1.into()));
}

#[test]
fn tables_have_a_line_of_each_payee() {
    let place = Place::new();
    let at = later(&place, 8);
    let preview = place.read(&["payout", "preview", "--at", &at]).expect("a preview");
    let owners = preview.data["owners"].as_array().expect("a list").len();
    let csv = place.read(&["payout", "csv", "--at", &at]).expect("a table");
    assert_eq!(csv.text.lines().count(), 1 + owners);
    assert!(csv.text.starts_with("name,owner,address,"), "{}", csv.text);
    let units = place.read(&["payout", "units", "--at", &at]).expect("a table");
    assert!(units.text.starts_with("address,units\r\n0x"), "{}", units.text);
    assert_eq!(units.data["csv"], units.text);
}
