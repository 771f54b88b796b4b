//! The vectors of entries: the example up to its first payout, what follows from it, and what is no
//! entry. Other implementations are tested by the same file. `COVEY_BLESS=1` writes it anew.

use std::path::Path;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::*;
use crate::entry::Kind;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/entries.json");

fn leaf(bytes: &[u8]) -> String {
    sha256(&[&[0], bytes].concat()).to_string()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// Texts that are no entry, each with the reason in a word.
fn bad(entries: &[Vec<u8>]) -> Vec<Value> {
    let first = text(&entries[0]);
    let plan = text(&entries[1]);
    let one = |name: &str, text: String| {
        let refused = Entry::parse(text.as_bytes()).expect_err(name);
        json!({ "name": name, "why": refused.to_string(), "text": text })
    };
    let sorted: Value = serde_json::from_str(first).expect("JSON");
    vec![
        one("white space", first.replacen(':', ": ", 1)),
        one("a line break at the end", format!("{first}\n")),
        one("fields in another order", sorted.to_string()),
        one("an unknown field", first.replacen("\"body\":{", "\"body\":{\"more\":1,", 1)),
        one("a field twice", first.replacen("{\"schema\"", "{\"time_ms\":1,\"schema\"", 1)),
        one("another schema", first.replacen("entry/1", "entry/2", 1)),
        one("an escape that is not needed", first.replacen("\"north\"", "\"\\u006eorth\"", 1)),
        one("capitals in a digest", {
            let at = plan.find("\"run\":\"").expect("a run") + 7;
            format!("{}{}{}", &plan[..at], plan[at..at + 64].to_uppercase(), &plan[at + 64..])
        }),
        one("a number that is not whole", plan.replacen("\"rounds\":4", "\"rounds\":4.0", 1)),
        one("an integer beyond 2^53 - 1", {
            plan.replacen("\"parameters\":2410", "\"parameters\":9007199254740992", 1)
        }),
        one("a kind that there is not", plan.replacen("plan-accepted", "plan-refused", 1)),
    ]
}

fn vectors() -> Value {
    let example = Example::new(Shape::default()).expect("an example");
    let payout = example.book.entries().iter().find(|entry| entry.kind == Kind::PayoutMade);
    let size = payout.expect("a payout").index as usize + 1;
    let entries = &example.entries[..size];
    let book = Book::read(entries.iter().map(Vec::as_slice), &example.documents).expect("a book");
    let listed = book.entries().iter().zip(entries).map(|(record, bytes)| {
        json!({
            "index": record.index,
            "kind": record.kind,
            "subject": record.subject,
            "sha256": sha256(bytes).to_string(),
            "leaf": leaf(bytes),
            "text": text(bytes),
        })
    });
    let all: String = entries.iter().map(|bytes| text(bytes)).collect();
    let documents =
        example.documents.iter().filter(|(digest, _)| all.contains(&digest.to_string()));
    let documents = documents.map(
        |(digest, bytes)| json!({ "sha256": digest.to_string(), "bytes": HEXLOWER.encode(bytes) }),
    );
    let credits = book.settlements().flat_map(|credits| {
        credits.settlement.accounts.iter().map(|account| {
            json!({
                "run": credits.run.to_string(),
                "owner": Digest(account.owner.0).to_string(),
                "credit_micro": account.credit_micro,
                "settled_micro": account.payment_micro,
                "difference_micro": credits.difference_micro(&account.owner),
                "payment_micro": credits.payment_micro(&account.owner),
                "debt_micro": account.debt_micro,
            })
        })
    });
    let payouts = book.payouts().iter().map(|payout| {
        let amounts = payout.amounts.iter().map(|(address, amount)| json!([address, amount]));
        json!({
            "number": payout.payout.number,
            "root": payout.payout.root.to_string(),
            "file": payout.payout.file.sha256.to_string(),
            "amounts": amounts.collect::<Vec<_>>(),
        })
    });
    json!({
        "schema": "covey-entry-vectors/1",
        "entries": listed.collect::<Vec<_>>(),
        "documents": documents.collect::<Vec<_>>(),
        "credits": credits.collect::<Vec<_>>(),
        "payouts": payouts.collect::<Vec<_>>(),
        "bad": bad(entries),
    })
}

#[test]
fn the_vectors_are_those_of_the_example() {
    let path = Path::new(VECTORS);
    let vectors = vectors();
    if std::env::var_os("COVEY_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&vectors).expect("JSON") + "\n";
        std::fs::write(path, text).expect("a file");
    }
    let kept = std::fs::read_to_string(path).expect("the vectors");
    let kept: Value = serde_json::from_str(&kept).expect("JSON");
    assert!(kept == vectors, "the form of entries changed: old ledgers would not be read any more");
}

#[test]
fn the_vectors_are_read_from_their_file_alone() {
    let kept = std::fs::read_to_string(VECTORS).expect("the vectors");
    let kept: Value = serde_json::from_str(&kept).expect("JSON");
    let list = |name: &str| kept[name].as_array().expect("a list").clone();
    let of = |value: &Value, name: &str| value[name].as_str().expect("a text").to_owned();
    let mut documents = BTreeMap::new();
    for one in list("documents") {
        let bytes = HEXLOWER.decode(of(&one, "bytes").as_bytes()).expect("bytes");
        assert_eq!(sha256(&bytes).to_string(), of(&one, "sha256"));
        documents.insert(sha256(&bytes), bytes);
    }
    let entries: Vec<_> = list("entries").iter().map(|one| of(one, "text").into_bytes()).collect();
    let book = Book::read(entries.iter().map(Vec::as_slice), &documents).expect("a book");
    for (one, record) in list("entries").iter().zip(book.entries()) {
        assert_eq!(of(one, "subject"), record.subject);
        assert_eq!(of(one, "leaf"), leaf(&entries[record.index as usize]));
    }
    let [one] = book.payouts() else { panic!("one payout") };
    assert_eq!(of(&list("payouts")[0], "root"), one.payout.root.to_string());
    for one in list("bad") {
        let refused = Entry::parse(of(&one, "text").as_bytes()).expect_err("no entry");
        assert_eq!(refused.to_string(), of(&one, "why"));
    }
}
