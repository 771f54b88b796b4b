//! Runs on the page.

use std::sync::Arc;

use covey_ledger::book::Book;
use covey_ledger::entry::{Body, Entry};
use covey_ledger::example::Example;
use serde_json::Value;

use crate::support::{Served, example};
use crate::{get, words};

/// The book of the same story, with plans that are too long for their entries.
fn with_plans_as_documents(example: &Example) -> Book {
    let mut book: Option<Book> = None;
    for bytes in &example.entries {
        let mut entry = Entry::parse(bytes).expect("an entry");
        if let Body::PlanAccepted(plan) = &mut entry.body {
            plan.text = None;
        }
        match &mut book {
            None => book = Some(Book::found(&entry).expect("a founding")),
            Some(book) => drop(book.apply(&entry, &example.documents).expect("the next entry")),
        }
    }
    book.expect("a book")
}

#[tokio::test]
async fn plans_that_are_documents_are_shown_and_compared_like_those_in_entries() {
    let example = example(1);
    let runs = example.book.runs();
    let ids: Vec<_> = runs.iter().map(|run| run.plan.run.to_string()).collect();
    let (held, compare) = (Arc::new(Served::of(&example)), format!("ids={}", ids.join(",")));
    let book = Some(Arc::new(with_plans_as_documents(&example)));
    let named = Arc::new(Served { book: book.clone(), ..Served::of(&example) });
    let run = format!("/runs/{}", ids[1]);
    for path in [&format!("/runs/compare?{compare}"), &run] {
        assert_eq!(words(&get(&named, path).await.text), words(&get(&held, path).await.text));
    }
    let differences = async |served: &Arc<Served>| -> Value {
        let text = get(served, &format!("/runs/compare.json?{compare}")).await.text;
        let view: Value = serde_json::from_str(&text).expect("JSON");
        view["plan_differences"].clone()
    };
    let told = differences(&named).await;
    assert_eq!(told[0]["lines"], serde_json::json!(["name = \"digits\""]));
    assert_eq!(told[1]["is_at_hand"], true);
    // One of them is lost: the others are compared without it.
    let mut lost = Served { book, ..Served::of(&example) };
    lost.documents.remove(&runs[1].plan.document.sha256.to_string());
    let lost = Arc::new(lost);
    let told = differences(&lost).await;
    assert_eq!((&told[1]["is_at_hand"], &told[1]["lines"]), (&false.into(), &Value::Array(vec![])));
    assert_eq!(told[0]["lines"], serde_json::json!(["name = \"digits\""]));
    let page = words(&get(&lost, &format!("/runs/compare?{compare}")).await.text);
    assert!(page.contains("its text is not at hand"), "{page}");
    assert!(words(&get(&lost, &run).await.text).contains("Its text is not at hand"));
}
