//! What members sign.

use covey_aggregation::program::Exit;
use covey_ledger::payout::Address;
use covey_ledger::statement::{Remedy, Says};

use super::place::{Place, code};

const OPEN: [&str; 8] =
    ["dispute", "open", "--run", "digits-again", "--owner", "clinic-2", "--why", "x"];

fn open<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&OPEN[..], more].concat()
}

#[test]
fn a_dispute_is_signed_sent_once_and_answered_again() {
    let place = Place::new();
    let evidence = place.path("log.txt");
    std::fs::write(&evidence, b"what happened").expect("written");
    let evidence = place.text("log.txt");
    let line =
        open(&["--pay", "12.5", "--evidence", &evidence, "--number", "1900000000000", "--yes"]);
    let first = place.say("clinic-2", &line).expect("recorded");
    assert_eq!(first.exit, Exit::Done);
    assert_eq!(first.data["is_sent"], true);
    let entry = first.data["entry"].as_u64().expect("an entry");
    assert_eq!(entry + 1, place.example.borrow().book.size());
    {
        let sent = place.sent.borrow();
        let Says::Dispute(dispute) = &sent[0].statement.says else { panic!("a dispute") };
        assert_eq!(dispute.remedy, Remedy::Pay(12_500_000));
        assert_eq!(dispute.evidence[0].bytes, 13);
        assert_eq!(first.data["text"], sent[0].statement.text());
        assert_eq!(first.data["id"], sent[0].id().to_string());
    }
    // Cut off before the copy of the ledger has it: sent again, recorded once.
    let again = place.say("clinic-2", &line).expect("recorded");
    assert_eq!(again.data, first.data);
    assert_eq!(entry + 1, place.example.borrow().book.size());
    // Once it has it, nothing is sent.
    place.publish();
    let again = place.say("clinic-2", &line).expect("recorded");
    assert_eq!((&again.data["entry"], &again.data["is_sent"]), (&entry.into(), &false.into()));
    assert_eq!(again.data["id"], first.data["id"]);
    assert_eq!(place.sent.borrow().len(), 2);
    let other = open(&["--pay", "13", "--number", "1900000000000", "--yes"]);
    assert_eq!(code(place.say("clinic-2", &other)), (Exit::BadInput, "NUMBER_TAKEN"));
    let id = first.data["id"].as_str().expect("an id").to_owned();
    let shown = place.read(&["dispute", "show", &id[..8]]).expect("shown");
    assert_eq!(shown.data["state"], "open");
    assert_eq!(shown.data["owner"], "clinic-2");
    assert!(shown.text.contains("12.50 credits"), "{}", shown.text);
    let withdraw = ["dispute", "withdraw", &id[..8], "--yes"];
    assert_eq!(code(place.say("clinic-3", &withdraw)), (Exit::BadInput, "NOT_RECORDED"));
    place.say("clinic-2", &withdraw).expect("withdrawn");
    place.publish();
    let shown = place.read(&["dispute", "show", &id[..8]]).expect("shown");
    assert_eq!(shown.data["state"], "withdrawn");
}

#[test]
fn nothing_is_sent_that_nobody_agreed_to() {
    let mut place = Place::new();
    let line = open(&["--without", "1"]);
    assert_eq!(code(place.say("clinic-2", &line)), (Exit::BadInput, "NOT_CONFIRMED"));
    place.says = Some(false);
    assert_eq!(code(place.say("clinic-2", &line)), (Exit::Failed, "DECLINED"));
    let dry = place.say("clinic-2", &open(&["--without", "1", "--dry-run"])).expect("shown");
    assert!(dry.text.starts_with("{\"federation\":"), "the text alone: {}", dry.text);
    assert_eq!(dry.data["is_sent"], false);
    assert!(place.sent.borrow().is_empty());
    place.says = Some(true);
    place.say("clinic-2", &line).expect("a person said yes");
    assert_eq!(place.sent.borrow().len(), 1);
}

#[test]
fn what_the_rules_forbid_is_refused_before_it_is_sent() {
    let place = Place::new();
    let refused = (Exit::BadInput, "NOT_RECORDED");
    let say = |who: &str, line: &[&str]| code(place.say(who, &[line, &["--yes"]].concat()));
    // The window of the first run is over; a round without evidence; more than the run gives.
    let line =
        ["dispute", "open", "--run", "digits", "--owner", "clinic-2", "--why", "x", "--pay", "1"];
    assert_eq!(say("clinic-2", &line), refused);
    assert_eq!(say("clinic-2", &open(&["--without", "77"])), refused);
    assert_eq!(say("clinic-2", &open(&["--pay", "9000000"])), refused);
    let owner = ["dispute", "open", "--run", "digits-again", "--owner", "north-dao", "--why", "x"];
    assert_eq!(say("clinic-2", &[&owner[..], &["--pay", "1"]].concat()), refused, "no account");
    // Who does not review; who judges its own; who has voted.
    let id = place.example.borrow().book.disputes().last().expect("the open one").id.to_string();
    assert_eq!(say("clinic-3", &["review", "vote", &id, "yes"]), refused);
    assert_eq!(say("eth-zurich", &["review", "vote", &id, "yes"]), refused);
    assert_eq!(
        say("clinic-2", &open(&["--pay", "1", "--number", "9007199254740992"])).1,
        "BAD_STATEMENT"
    );
    let long = "y".repeat(10_000);
    let line =
        ["dispute", "open", "--run", "digits-again", "--owner", "clinic-2", "--pay", "1", "--why"];
    assert_eq!(say("clinic-2", &[&line[..], &[long.as_str()]].concat()).1, "BAD_STATEMENT");
    let none = place.text("none.txt");
    assert_eq!(say("clinic-2", &open(&["--pay", "1", "--evidence", &none])).1, "NO_EVIDENCE");
    assert_eq!(say("clinic-2", &["dispute", "withdraw", "00000000"]).1, "NO_SUCH");
    assert!(place.sent.borrow().is_empty());
}

#[test]
fn without_a_ledger_whole_digests_are_asked_for() {
    let place = Place::new();
    let config = place.member("uni-nantes").display().to_string();
    let id = place.example.borrow().book.disputes().last().expect("the open one").id.to_string();
    let line = |id: &'static str| ["review", "vote", id, "yes", "--yes", "--config"];
    assert_eq!(code(place.run(&[&line("4f1c")[..], &[config.as_str()]].concat())).1, "NO_SUCH");
    let voted = place.run(&["review", "vote", &id, "no", "--yes", "--config", &config]);
    assert_eq!(voted.expect("recorded").data["kind"], "vote");
    assert_eq!(code(place.run(&line("4f1c")[..5])), (Exit::BadInput, "NO_CONFIG"));
}

#[test]
fn reviewers_see_what_is_voted_on_and_vote() {
    let place = Place::new();
    let listed = place.read(&["review", "list"]).expect("listed");
    assert_eq!(listed.data["disputes"].as_array().expect("a list").len(), 1);
    assert_eq!(listed.data["proposals"].as_array().expect("a list").len(), 1);
    let proposal = listed.data["proposals"][0]["id"].as_str().expect("an id").to_owned();
    let shown = place.read(&["review", "show", &proposal[..8]]).expect("shown");
    assert!(shown.text.contains("may be disputed for 168 h"), "{}", shown.text);
    let voted = place.say("uni-nantes", &["review", "vote", &proposal[..8], "yes", "--yes"]);
    let voted = voted.expect("recorded");
    assert!(voted.text.contains("168 h"), "says what is voted on: {}", voted.text);
    place.publish();
    let shown = place.read(&["review", "show", &proposal[..8]]).expect("shown");
    assert_eq!(shown.data["poll"]["yes"], serde_json::json!(["uni-nantes"]));
    let all = place.read(&["review", "list", "--all"]).expect("listed");
    assert!(all.data["disputes"].as_array().expect("a list").len() > 1);
    assert_eq!(code(place.read(&["review", "show", "0000"])), (Exit::BadInput, "NO_SUCH"));
}

#[test]
fn budgets_charters_and_reviewers_are_proposed() {
    let place = Place::new();
    let budget = ["review", "propose", "budget", "--run", "digits-at-night", "--credits", "8000"];
    let budget = [&budget[..], &["--why", "more", "--yes"]].concat();
    let proposed = place.say("ada", &budget).expect("recorded");
    assert!(proposed.text.contains("8000.00 credits"), "{}", proposed.text);
    let charter = ["review", "propose", "charter", "--why", "w", "--yes"];
    let longer = [&charter[..], &["--vote-window-h", "240"]].concat();
    let proposed = place.say("clinic-1", &longer).expect("recorded");
    let says = proposed.data["says"].as_array().expect("lines");
    assert_eq!(says.len(), 3, "only what differs is said: {says:?}");
    assert_eq!(code(place.say("clinic-1", &charter)).1, "BAD_CHARTER", "nothing differs");
    let split = [&charter[..], &["--quorum", "2"]].concat();
    assert_eq!(code(place.say("clinic-1", &split)).1, "BAD_CHARTER", "two of five decide nothing");
    let shown = place.read(&["review", "charter"]).expect("shown");
    let file = place.path("charter.json");
    std::fs::write(&file, shown.data["charter"].to_string()).expect("written");
    let from = place.text("charter.json");
    let whole = [&charter[..], &["--from", &from, "--budget-free", "1"]].concat();
    place.say("clinic-1", &whole).expect("recorded");
    let reviewers = ["review", "propose", "reviewers", "--why", "w", "--yes"];
    let both = [&reviewers[..], &["--add", "clinic-3", "--remove", "clinic-1"]].concat();
    place.say("ada", &both).expect("recorded");
    let stranger = [&reviewers[..], &["--add", "nobody"]].concat();
    assert_eq!(code(place.say("ada", &stranger)), (Exit::BadInput, "NO_SUCH"));
    assert_eq!(place.sent.borrow().len(), 4);
}

#[test]
fn an_address_is_set_and_taken_back() {
    let place = Place::new();
    let address = Address([7; 20]).to_string();
    let set = place.say("clinic-4", &["address", "set", &address, "--yes"]).expect("recorded");
    assert_eq!(set.data["kind"], "address");
    let owner = place.example.borrow().owners[3].id();
    let at = |place: &Place| place.example.borrow().book.member(&owner).and_then(|one| one.address);
    assert_eq!(at(&place).map(|(address, _)| address), Some(Address([7; 20])));
    place.publish();
    place.say("clinic-4", &["address", "set", "--none", "--yes"]).expect("recorded");
    assert_eq!(at(&place), None);
    let texts: Vec<_> = place.sent.borrow().iter().map(|one| one.statement.text()).collect();
    assert!(texts[1].contains("{\"address\":null}"), "{}", texts[1]);
}
