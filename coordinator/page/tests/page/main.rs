//! The page over an example of a ledger, in process.

mod support;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use covey_aggregation::credit::Amount;
use covey_aggregation::hash::Digest;
use covey_page::{CONTENT_SECURITY_POLICY, router};
use serde_json::Value;
use support::{Served, addresses, at_hand, example};
use tower::ServiceExt as _;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

async fn ask(served: &Arc<Served>, method: &str, path: &str, accept: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header("accept", accept);
    let request = request.body(Body::empty()).expect("a request");
    let response = router(served.clone()).oneshot(request).await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = to_bytes(response.into_body(), 64 << 20).await.expect("a body");
    Answer { status, headers, text: String::from_utf8_lossy(&bytes).into_owned() }
}

async fn get(served: &Arc<Served>, path: &str) -> Answer {
    ask(served, "GET", path, "text/html").await
}

/// The page's text without its markup, white space as one space.
fn words(html: &str) -> String {
    let (mut text, mut in_tag) = (String::new(), false);
    for letter in html.chars() {
        match letter {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                text.push(' ');
            }
            letter if !in_tag => text.push(letter),
            _ => {}
        }
    }
    let decoded = text.replace("&quot;", "\"").replace("&#39;", "'").replace("&#x27;", "'");
    let decoded = decoded.replace("&#34;", "\"").replace("&amp;", "&");
    decoded.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// A twin's address.
fn twin(path: &str, ending: &str) -> String {
    let (stem, query) = path.split_once('?').map_or((path, None), |(a, b)| (a, Some(b)));
    let stem = if stem == "/" { "/index" } else { stem };
    query.map_or_else(|| format!("{stem}.{ending}"), |query| format!("{stem}.{ending}?{query}"))
}

#[tokio::test]
async fn every_page_is_there_with_its_twins_and_strict_headers() {
    for seed in [1, 2] {
        let example = example(seed);
        let served = Arc::new(Served::of(&example));
        served.live.send_replace(at_hand(&example));
        for path in addresses(&example.book) {
            let page = get(&served, &path).await;
            if page.status == StatusCode::SEE_OTHER {
                assert!(path.starts_with("/search"), "{path}");
                continue;
            }
            assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
            assert!(
                page.text.starts_with("<!doctype html>") && page.text.contains("</html>"),
                "{path}"
            );
            assert_eq!(page.headers["content-security-policy"], CONTENT_SECURITY_POLICY);
            assert_eq!(page.headers["x-content-type-options"], "nosniff");
            assert_eq!(page.headers["referrer-policy"], "no-referrer");
            assert!(!page.text.contains(" style=") && !page.text.contains("<style"), "{path}");
            let json = get(&served, &twin(&path, "json")).await;
            assert_eq!(json.status, StatusCode::OK, "{path}");
            let value: Value = serde_json::from_str(&json.text).expect("JSON");
            assert!(value.is_object());
            let accepted = ask(&served, "GET", &path, "application/json").await;
            assert_eq!(accepted.text, json.text, "{path}");
            if page.text.contains(">CSV</a>") {
                let csv = get(&served, &twin(&path, "csv")).await;
                assert_eq!(csv.status, StatusCode::OK, "{path}");
                assert!(
                    csv.headers["content-type"].to_str().expect("text").starts_with("text/csv")
                );
                let columns = csv.text.lines().next().expect("a head").split(',').count();
                assert!(columns >= 2, "{path}: {}", csv.text);
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_and_nothing_can_be_changed() {
    let served = Arc::new(Served::of(&example(1)));
    for path in [
        "/nothing",
        "/runs/abc",
        "/members/nobody",
        "/entries/99999",
        "/entries/-1",
        "/entries/01",
        "/payouts/7",
        "/disputes/x",
        "/proposals/x",
        "/credits?epoch=99",
        "/tile/0/999",
        "/tile/0/../x",
        "/documents/00",
        "/assets/none.js",
        "/entries/0/proof/more",
        "/runs/%00",
        "/entries/18446744073709551616",
    ] {
        let answer = get(&served, path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.headers["content-security-policy"], CONTENT_SECURITY_POLICY);
    }
    let json = ask(&served, "GET", "/runs/abc", "application/json").await;
    let told: Value = serde_json::from_str(&json.text).expect("JSON");
    assert_eq!(told["error"], "not-found");
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = ask(&served, method, "/", "*/*").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers["allow"], "GET, HEAD");
    }
    let head = ask(&served, "HEAD", "/", "*/*").await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
}

#[tokio::test]
async fn an_empty_ledger_and_one_without_rounds_have_every_page() {
    let full = example(1);
    let empty = Arc::new(Served::of_nothing(&full));
    for path in ["/credits", "/ledger", "/search?q=x", "/how", "/api", "/disputes/new", "/llms.txt"]
    {
        assert_eq!(get(&empty, path).await.status, StatusCode::OK, "{path}");
    }
    for path in ["/", "/runs", "/members", "/entries/0", "/payouts", "/disputes"] {
        assert_eq!(get(&empty, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    // After each entry of the story: runs without rounds, abandoned rounds, open disputes, and so on.
    let mut book: Option<covey_ledger::book::Book> = None;
    for (at, bytes) in full.entries.iter().enumerate() {
        let entry = covey_ledger::entry::Entry::parse(bytes).expect("an entry");
        match &mut book {
            None => book = Some(covey_ledger::book::Book::found(&entry).expect("a founding")),
            Some(book) => drop(book.apply(&entry, &full.documents).expect("the next entry")),
        }
        let now = book.clone().expect("a book");
        let served = Arc::new(Served {
            entries: full.entries[..=at].to_vec(),
            book: Some(Arc::new(now.clone())),
            ..Served::of(&full)
        });
        let is_last = |path: &String| {
            !path.starts_with("/entries/") || path.starts_with(&format!("/entries/{at}"))
        };
        for path in addresses(&now).into_iter().filter(is_last) {
            let status = get(&served, &path).await.status;
            assert!(
                status.is_success() || status == StatusCode::SEE_OTHER,
                "{path} after entry {at}"
            );
        }
    }
}

/// A person who never saw the project: how many credits, why, how sure, what it could be disputed on. The
/// expected answers come from the book, not from the page.
#[tokio::test]
async fn for_every_owner_the_page_answers_how_much_why_how_sure_and_what_to_dispute() {
    for seed in [1, 2] {
        let example = example(seed);
        let served = Arc::new(Served::of(&example));
        let exact = |micro: i64| Amount::from(micro).to_string();
        let mut owners = 0;
        for credits in example.book.settlements() {
            for account in &credits.settlement.accounts {
                owners += 1;
                let key = Digest(account.owner.0);
                let path = format!("/entries/{}?owner={key}", credits.entry);
                let text = words(&get(&served, &path).await.text);
                let name = example.book.name_of(&account.owner);
                let told = |what: &str| {
                    assert!(text.contains(what), "{name}, {path}: no {what:?} in {text}")
                };
                // How many.
                let paid = credits.payment_micro(&account.owner);
                let hundredths = format!("{:.2}", Amount::from(paid));
                let (whole, rest) = hundredths.split_once('.').expect("a point");
                let grouped = whole.len().checked_sub(3).filter(|at| *at > 0).map_or_else(
                    || whole.to_owned(),
                    |at| format!("{}\u{202f}{}", &whole[..at], &whole[at..]),
                );
                told(&format!("Why {name} is paid {grouped}.{rest}"));
                // Why: the formula with its numbers, and each round's evidence.
                told(&exact(account.credit_micro));
                told(&exact(account.payable_micro as i64));
                told(&exact(account.payment_micro as i64));
                told(&exact(credits.settlement.pool_micro as i64));
                for input in example.book.inputs(&credits.run, &account.owner) {
                    told(&format!("#{input}"));
                }
                let explanation = example.book.explain(&credits.run, &account.owner).expect("one");
                assert_eq!(explanation.rounds.len() as u32, account.rounds);
                let names = |id: &covey_aggregation::party::PartyId| example.book.name_of(id);
                for line in explanation.words(&names).to_string().lines() {
                    told(line.trim_start_matches("- ").trim());
                }
                // How sure.
                told(&format!("{} to {}", exact(account.low_micro), exact(account.high_micro)));
                let is_told = account.low_micro > 0;
                told(if is_told {
                    "this credit is told from nothing"
                } else {
                    "this credit is not told from nothing"
                });
                for other in &credits.settlement.accounts {
                    let overlaps = other.low_micro <= account.high_micro
                        && account.low_micro <= other.high_micro;
                    if overlaps && other.owner != account.owner {
                        told("No clear difference from");
                        told(&example.book.name_of(&other.owner));
                    }
                }
                // What it could be disputed on, until when, and how.
                told("What it can be disputed on");
                told("Rounds that should not count");
                if served.now_ms <= credits.window_end_ms {
                    told(&format!("covey-client dispute open --run {} --owner {key}", credits.run));
                } else {
                    told("The window is closed since");
                }
                // What is proven, and what is not.
                told("That the data behind an update are genuine");
            }
        }
        assert!(owners >= 6, "the example has credits");
    }
}

#[tokio::test]
async fn overlapping_owners_are_of_one_group_and_are_not_ranked() {
    let example = example(1);
    let served = Arc::new(Served::of(&example));
    for credits in example.book.settlements() {
        let path = format!("/credits.json?epoch={}", credits.epoch);
        let view: Value = serde_json::from_str(&get(&served, &path).await.text).expect("JSON");
        let owners = view["epoch"]["owners"].as_array().expect("owners");
        for one in owners {
            for other in owners {
                let ends = |who: &Value| {
                    (
                        who["low_micro"].as_i64().expect("low"),
                        who["high_micro"].as_i64().expect("high"),
                    )
                };
                let ((low, high), (other_low, other_high)) = (ends(one), ends(other));
                if low <= other_high && other_low <= high {
                    assert_eq!(one["group"], other["group"], "{one} {other}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_description_names_every_field_that_views_have() {
    let example = example(1);
    let served = Arc::new(Served::of(&example));
    served.live.send_replace(at_hand(&example));
    let document: Value =
        serde_json::from_str(&get(&served, "/openapi.json").await.text).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    let mut checked = 0;
    for path in addresses(&example.book) {
        let answer = get(&served, &twin(&path, "json")).await;
        if answer.status != StatusCode::OK {
            continue;
        }
        let value: Value = serde_json::from_str(&answer.text).expect("JSON");
        let stem = path.split('?').next().expect("a path");
        let parts: Vec<_> = stem.split('/').skip(1).collect();
        let described =
            document["paths"].as_object().expect("paths").iter().find(|(template, _)| {
                let template: Vec<_> = template.split('/').skip(1).collect();
                let exact = if stem == "/" { vec!["index"] } else { parts.clone() };
                template == exact
            });
        let described = described.or_else(|| {
            document["paths"].as_object().expect("paths").iter().find(|(template, _)| {
                let template: Vec<_> = template.split('/').skip(1).collect();
                template.len() == parts.len()
                    && template
                        .iter()
                        .zip(&parts)
                        .all(|(one, part)| one == part || one.starts_with('{'))
            })
        });
        let (_, path_item) = described.unwrap_or_else(|| panic!("{path} is not described"));
        let schema = &path_item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        check(&document, schema, &value, &path);
        checked += 1;
    }
    assert!(checked > 30);
}

/// Every field of a value is in its schema, and every required one in the value.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    let mut schema = schema;
    while let Some(name) = schema["$ref"].as_str() {
        schema = document.pointer(&name[1..]).unwrap_or_else(|| panic!("{at}: no {name}"));
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(all) = schema[choice].as_array() {
            let of_value = all.iter().find(|one| one["type"] != "null");
            if !value.is_null() {
                return check(document, of_value.expect("a choice"), value, at);
            }
            return;
        }
    }
    match value {
        Value::Object(fields) if schema["properties"].is_object() => {
            let known = schema["properties"].as_object().expect("properties");
            for (name, inner) in fields {
                let inner_schema =
                    known.get(name).unwrap_or_else(|| panic!("{at}: {name} is not described"));
                check(document, inner_schema, inner, &format!("{at}.{name}"));
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(
                    fields.contains_key(name.as_str().expect("a name")),
                    "{at}: {name} is missing"
                );
            }
        }
        Value::Array(all) => all.iter().for_each(|one| check(document, &schema["items"], one, at)),
        _ => {}
    }
}

#[tokio::test]
async fn live_events_begin_with_the_state_unless_the_reader_has_it() {
    use tokio_stream::StreamExt as _;
    let example = example(1);
    let served = Arc::new(Served::of(&example));
    served.live.send_replace(at_hand(&example));
    let open = async |last: Option<&str>| {
        let mut request = Request::builder().uri("/live");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = router(served.clone()).oneshot(request).await.expect("an answer");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        response.into_body().into_data_stream()
    };
    let mut first = open(None).await;
    let event = first.next().await.expect("an event").expect("bytes");
    let event = String::from_utf8(event.to_vec()).expect("text");
    assert!(event.contains("id: 7") && event.contains("waiting for owners: 4 of 6"), "{event}");
    let mut again = open(Some("7")).await;
    let nothing = tokio::time::timeout(std::time::Duration::from_millis(50), again.next()).await;
    assert!(nothing.is_err(), "the reader has it already");
    served.live.send_modify(|live| (live.number, live.have) = (8, 5));
    let event = again.next().await.expect("an event").expect("bytes");
    let event = String::from_utf8(event.to_vec()).expect("text");
    assert!(event.contains("id: 8") && event.contains("5 of 6"), "{event}");
}

#[tokio::test]
async fn receipts_of_all_entries_hold_under_the_federations_keys() {
    use covey_ledger::quorum::Quorum;
    use covey_ledger::receipt::Receipt;
    let example = example(1);
    let served = Arc::new(Served::of(&example));
    let quorum = Quorum::of_roster(&example.roster).expect("a committee");
    for (index, entry) in example.entries.iter().enumerate() {
        let answer = get(&served, &format!("/entries/{index}/proof")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let receipt: Receipt = answer.text.parse().expect("a receipt");
        assert_eq!(&receipt.entry, entry);
        receipt.check(&quorum).expect("it holds");
    }
}

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
