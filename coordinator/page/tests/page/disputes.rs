//! Disputes on the page, and the form that prepares one.

use std::sync::Arc;

use axum::http::StatusCode;
use covey_aggregation::hash::Digest;
use serde_json::Value;

use crate::support::{Served, example};
use crate::{get, words};

#[tokio::test]
async fn a_prepared_dispute_is_one_quoted_command_and_wrong_ones_are_told() {
    let example = example(1);
    let credits = example.book.settlements().next().expect("credits").clone();
    let served = Arc::new(Served { now_ms: credits.settled_ms, ..Served::of(&example) });
    let owner = example.book.name_of(&credits.settlement.accounts[0].owner);
    let entry = credits.entry;
    let form = |rest: &str| format!("/disputes/new.json?entry={entry}&owner={owner}&{rest}");
    let ask = async |path: String| -> Value {
        serde_json::from_str(&get(&served, &path).await.text).expect("JSON")
    };
    let good = ask(form("remedy=pay&value=12.5&why=it%27s+%24%28rm%29+wrong")).await;
    let key = Digest(credits.settlement.accounts[0].owner.0);
    let expected = format!(
        r"covey-client dispute open --run {} --owner {key} --pay 12.5 --why 'it'\''s $(rm) wrong'",
        credits.run
    );
    assert_eq!(good["command"], expected);
    let files = "remedy=pay&value=1&why=y&evidence=log.txt,+-p.json,,my+%24x";
    let command = ask(form(files)).await["command"].clone();
    let command = command.as_str().expect("a command");
    assert!(command.ends_with(" --why y --evidence log.txt ./-p.json 'my $x'"), "{command}");
    let rounds = ask(form("remedy=without&value=2,1,2&why=bad")).await;
    assert!(rounds["command"].as_str().expect("a command").contains("--without 1,2 "));
    for rest in [
        "remedy=pay&value=x&why=y",
        "remedy=pay&value=1&why=",
        "remedy=without&value=99&why=y",
        "remedy=pay&value=1;rm&why=y",
    ] {
        let told = ask(form(rest)).await;
        assert!(told["command"].is_null() && told["problem"].is_string(), "{told}");
    }
}

#[tokio::test]
async fn a_disputes_file_is_linked_only_where_it_is_published() {
    let example = example(1);
    let dispute = *example.book.disputes().first().expect("the story has disputes");
    let digest = dispute.dispute.evidence[0].sha256.to_string();
    let (path, link) = (format!("/disputes/{}", dispute.id), format!("/documents/{digest}"));
    let mut served = Served::of(&example);
    served.documents.remove(&digest);
    let alone = get(&Arc::new(served), &path).await.text;
    assert!(alone.contains(&digest) && !alone.contains(&link), "{alone}");
    assert!(words(&alone).contains("with whoever opened it"));
    // Other bytes of its name are not it.
    let mut served = Served::of(&example);
    served.documents.insert(digest.clone(), b"something else".to_vec());
    assert!(!get(&Arc::new(served), &path).await.text.contains(&link));
    let mut served = Served::of(&example);
    served.documents.insert(digest, dispute.dispute.why.clone().into_bytes());
    let served = Arc::new(served);
    assert!(get(&served, &path).await.text.contains(&link));
    assert_eq!(get(&served, &link).await.status, StatusCode::OK);
}
