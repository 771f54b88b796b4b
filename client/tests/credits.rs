//! `credits`, as a reader of published evidence uses it.

mod common;

use std::fs;
use std::path::Path;

use common::{Folder, holds};
use covey_aggregation::credit::{CreditTerms, Debt, Evidence, RoundEvidence, TermsDraft};
use covey_aggregation::hash::Digest;
use covey_aggregation::net::roster_file::write_roster;
use covey_aggregation::party::{PartyId, Role};
use covey_aggregation::program::credits::publish;
use covey_aggregation::roster::{Member, Roster};

const ROUNDS: u32 = 6;

fn owner(index: u8) -> PartyId {
    PartyId([16 * index + 10; 32])
}

/// Four honest owners, a free-rider and one that works against them; the first misses a round.
fn rounds() -> Vec<RoundEvidence> {
    let one = |round: u32, index: u8| {
        let noise = i64::from((round * 37 + u32::from(index) * 101) % 29);
        let s = match index {
            5 => 0,
            6 => -1000 - noise,
            _ => 1000 + noise,
        };
        Evidence { owner: owner(index), count: 100, s, novelty: s, harm: s }
    };
    let round = |round: u32| {
        let there = (1..=6).filter(|index| (round, *index) != (3, 1));
        let contributions = there.map(|index| one(round, index)).collect();
        RoundEvidence::new(round, Digest([round as u8; 32]), contributions)
    };
    (1..=ROUNDS).map(|number| round(number).expect("good evidence")).collect()
}

fn published(folder: &Path, carried: &[Debt]) -> Vec<Debt> {
    let terms = CreditTerms::check(TermsDraft::usual(1_000_000_000, ROUNDS)).expect("good terms");
    publish(folder, &terms, &rounds(), carried).expect("published").debts()
}

fn roster(path: &Path) {
    let member = |index: u8| Member {
        name: format!("clinic-{index}").parse().expect("a name"),
        id: owner(index),
        role: Role::DataOwner,
        sealing_key: None,
    };
    let federation = "tested".parse().expect("a name");
    let members = (1..=6).map(member).collect();
    write_roster(path, &Roster::founding(federation, Digest([9; 32]), members)).expect("written");
}

#[test]
fn credits_are_listed_and_explained_by_name_or_key() {
    let folder = Folder::new();
    let (epoch, names) = (folder.path("epoch"), folder.path("roster.json"));
    published(Path::new(&epoch), &[]);
    roster(Path::new(&names));
    let list = folder.text(&["credits", "list", &epoch, "--roster", &names], 0);
    let parts = ["6000.00 of 6000.00 credits paid for 6 rounds", "clinic-1", "5/6", "found equal"];
    holds(&list, &parts);
    let line = |name: &str| list.lines().find(|line| line.starts_with(name)).expect("a line");
    holds(line("clinic-2"), &["6/6", "none"]);
    holds(line("clinic-5"), &["0.00", "novelty"]);
    holds(line("clinic-6"), &["-", "1000.00", "novelty, harm"]);
    folder.check(&["credits", "list", &epoch], 0, &["1a1a1a1a"]);

    let answer = folder.json(&["credits", "list", &epoch, "--roster", &names], 0);
    let owners = answer["data"]["owners"].as_array().expect("a list");
    let paid: u64 = owners.iter().filter_map(|one| one["payment_micro"].as_u64()).sum();
    assert_eq!((owners.len(), paid), (6, 6_000_000_000));
    assert_eq!(owners[5]["name"], "clinic-6");
    assert_eq!(owners[5]["flags"], serde_json::json!(["novelty", "harm"]));
    for owner in owners {
        let bounds = ["low_micro", "credit_micro", "high_micro"].map(|name| owner[name].as_i64());
        assert!(bounds.is_sorted(), "{owner}");
    }

    let explain = ["credits", "explain", "clinic-1", &epoch, "--roster", &names];
    let parts = ["clinic-1 is paid", "5 of 6 rounds", "in every round", "Flags", "found equal"];
    folder.check(&explain, 0, &parts);
    let told = folder.json(&["credits", "explain", "1a1a", &epoch], 0);
    assert_eq!(told["data"]["rounds"].as_array().map(Vec::len), Some(5));
    assert_eq!(told["data"]["account"]["rounds"], 5);
    assert!(told["data"]["text"].as_str().expect("text").contains("1a1a1a1a is paid"));
    folder.check(&["credits", "explain", "1a", &epoch], 2, &["NO_OWNER", "credits list"]);
    folder.check(&["credits", "explain", "clinic-1", &epoch], 2, &["NO_OWNER"]);
}

#[test]
fn what_does_not_follow_from_the_evidence_is_found_with_exit_code_6() {
    let folder = Folder::new();
    let (first, second) = (folder.path("1"), folder.path("2"));
    let debts = published(Path::new(&first), &[]);
    assert_eq!(debts.len(), 1);
    published(Path::new(&second), &debts);
    let named = ["6 rounds, 6 owners", "not checked: that the epoch before left no debts"];
    folder.check(&["credits", "recompute", &first], 0, &named);
    folder.check(&["credits", "recompute", &second], 0, &["where the debts come from"]);
    let chained = ["credits", "recompute", &second, "--before", &first];
    folder.check(&chained, 0, &["the debts are those that"]);
    let answer = folder.json(&["credits", "recompute", &first], 0);
    assert_eq!(answer["data"]["settlement"].as_str().map(str::len), Some(64));

    // The wrong epoch before.
    let swapped = ["credits", "recompute", &first, "--before", &second];
    folder.check(&swapped, 6, &["DEBTS_DIFFER", "carried[0]"]);

    let changes = [
        ("evidence-0002.json", "\"count\": 100", "\"count\": 101"),
        ("evidence-0005.json", "\"s\": 10", "\"s\": 20"),
        ("credits.json", "\"budget_micro\": 1", "\"budget_micro\": 2"),
        ("credits.json", "\"payment_micro\": 1", "\"payment_micro\": 2"),
    ];
    for (file, old, new) in changes {
        let path = Path::new(&first).join(file);
        let text = fs::read_to_string(&path).expect("read");
        assert!(text.contains(old), "no {old} in {file}");
        fs::write(&path, text.replacen(old, new, 1)).expect("written");
        folder.check(&["credits", "recompute", &first], 6, &["error[", "help"]);
        folder.check(&["credits", "list", &first], 6, &["error["]);
        let answer = folder.json(&["credits", "recompute", &first], 6);
        if answer["error"]["code"] == "CREDITS_DIFFER" {
            assert!(answer["error"]["details"]["at"].is_string(), "{answer}");
        }
        fs::write(&path, text).expect("written");
    }
    folder.check(&["credits", "recompute", &first], 0, &["ok"]);

    fs::remove_file(Path::new(&first).join("credits.json")).expect("removed");
    folder.check(&["credits", "recompute", &first], 2, &["BAD_FOLDER", "credits.json"]);
    folder.check(&["credits", "list", &folder.path("nowhere")], 2, &["BAD_FOLDER", "nowhere"]);
}

#[test]
fn help_says_where_evidence_comes_from() {
    let folder = Folder::new();
    folder.check(
        &["credits", "--help"],
        0,
        &["which the key holders open", "into `credits` beside its"],
    );
}

#[test]
fn plan_and_pool_are_given_together() {
    let folder = Folder::new();
    let (epoch, names) = (folder.path("epoch"), folder.path("roster.json"));
    for (one, other) in [("--plan", "--pool"), ("--pool", "--plan")] {
        let arguments = ["credits", "verify", &epoch, "--roster", &names, one, "a.toml"];
        folder.check(&arguments, 2, &[other]);
    }
    folder.check(
        &["credits", "verify", "--help"],
        0,
        &["trained on, as holders did", "attested only"],
    );
}
