//! Runs on the page.

use std::sync::Arc;

use covey_ledger::book::Book;
use covey_ledger::entry::{Body, Entry, MeasuredBy};
use covey_ledger::example::Example;
use covey_ledger::statement::Says;
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

#[tokio::test]
async fn what_each_round_took_is_a_table_of_owners_and_rounds() {
    let example = example(1);
    let served = Arc::new(Served::of(&example));
    let run = &example.book.runs()[0];
    let path = format!("/runs/{}/compute", run.plan.run);
    // Every report that the ledger's entries have, read from their bytes.
    let mut expected = Vec::new();
    for (bytes, index) in example.entries.iter().zip(0..) {
        let Body::ComputeReported(body) = Entry::parse(bytes).expect("an entry").body else {
            continue;
        };
        let statement = body.signed.statement;
        let Says::Compute(said) = statement.says else { panic!("a report") };
        if said.run == run.plan.run {
            expected.push((said.round, statement.member, said, index));
        }
    }
    expected.sort_by_key(|(round, member, ..)| (*round, *member));
    assert!(expected.len() > 10);
    let each = run.plan.flops_per_example.expect("an estimate");
    let lines = expected.iter().map(|(round, member, said, index)| {
        format!(
            "{round},{},{},{},{},{},{},{},{},{index}\r\n",
            example.book.name_of(member),
            said.examples,
            said.device_ms,
            said.bytes_up,
            said.bytes_down,
            said.benchmark_mflops,
            u128::from(said.benchmark_mflops) * 1000 * u128::from(said.device_ms),
            each * said.examples,
        )
    });
    let csv = get(&served, &format!("{path}.csv")).await.text;
    let (head, rest) = csv.split_once("\r\n").expect("a head");
    assert!(head.starts_with("round,owner,asserted_examples,asserted_device_ms,"), "{head}");
    assert!(head.ends_with(",asserted_benchmark_flops,computed_flops,entry"), "{head}");
    assert_eq!(rest, lines.collect::<String>());
    let view = get(&served, &format!("{path}.json")).await.text;
    let view: Value = serde_json::from_str(&view).expect("JSON");
    assert_eq!(view["reports"].as_array().map(Vec::len), Some(expected.len()));
    let quality = run.quality("accuracy", MeasuredBy::Coordinator, true).expect("a metric");
    let price = quality.price.expect("a gain");
    let told = view["quality"].as_array().expect("metrics").iter();
    let told = told.clone().find(|one| one["metric"] == "accuracy").expect("the metric");
    assert_eq!(told["asserted_benchmark_flops_per_hundredth"], Value::from(price.benchmark_flops));
    assert_eq!(told["computed_flops_per_hundredth"], Value::from(price.flops));
    // The page of the run has the last of them, and says what each is worth.
    let page = words(&get(&served, &format!("/runs/{}", run.plan.run)).await.text);
    for part in [
        "What each round took, as its owners say",
        "At benchmark speed for each 0.01 (asserted)",
        "Operations for each 0.01 (computed)",
        &format!("{} in all", expected.len()),
    ] {
        assert!(page.contains(part), "no {part:?} in {page}");
    }
}

#[tokio::test]
async fn a_run_says_what_its_noise_guarantees_or_that_there_is_none() {
    let example = example(1);
    let served = Arc::new(Served::of(&example));
    for run in example.book.runs() {
        let page = get(&served, &format!("/runs/{}", run.plan.run)).await;
        let none = "This plan adds no noise: nothing bounds what its sums tell about one owner.";
        assert!(page.text.contains(none), "{}", page.text);
        let json = get(&served, &format!("/runs/{}.json", run.plan.run)).await;
        let value: Value = serde_json::from_str(&json.text).expect("JSON");
        assert_eq!(value["privacy"].as_array().map(Vec::len), Some(1), "{value}");
    }
}
