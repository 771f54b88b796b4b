//! The page over an example of a ledger, in process.

#[path = "../support/mod.rs"]
mod support;

mod description;
mod disputes;
mod owners;
mod runs;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use covey_ledger::book::Book;
use covey_page::{CONTENT_SECURITY_POLICY, Federation, Live, Reading, Source, router};
use serde_json::Value;
use support::{Served, addresses, at_hand, example};
use tokio::sync::watch;
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
            assert!(page.text.contains(">JSON</a>") && page.text.contains(">CSV</a>"), "{path}");
            let csv = get(&served, &twin(&path, "csv")).await;
            assert_eq!(csv.status, StatusCode::OK, "{path}");
            let kind = csv.headers["content-type"].to_str().expect("text");
            assert!(kind.starts_with("text/csv"), "{path}: {kind}");
            let columns = csv.text.lines().next().expect("a head").split(',').count();
            assert!(columns >= 2, "{path}: {}", csv.text);
            let accepted = ask(&served, "GET", &path, "text/csv").await;
            assert_eq!(accepted.text, csv.text, "{path}");
        }
    }
}

/// Pages without a table of their own: what they say is there as names and values.
#[tokio::test]
async fn pages_without_a_table_are_csv_of_names_and_values() {
    let example = example(1);
    let served = Arc::new(Served::of(&example));
    let credits = example.book.settlements().next().expect("credits");
    let owner = example.book.name_of(&credits.settlement.accounts[0].owner);
    let form = format!("/disputes/new.csv?entry={}&owner={owner}&remedy=x", credits.entry);
    let first = example.book.entries().first().expect("a founding");
    for (path, rows) in [
        ("/how.csv", vec!["title,\"How it works", "Data never leave."]),
        (&form, vec!["title,Prepare a dispute", &format!("owner,{owner}"), "notice,"]),
        ("/entries/0.csv", vec!["title,", &format!("What,{}", first.kind.word()), "covey-entry/1"]),
    ] {
        let csv = get(&served, path).await.text;
        assert!(csv.starts_with("field,value\r\n"), "{path}: {csv}");
        for row in rows {
            assert!(csv.contains(row), "{path}: no {row:?} in {csv}");
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
    let mut book: Option<Book> = None;
    for (at, bytes) in full.entries.iter().enumerate() {
        let entry = covey_ledger::entry::Entry::parse(bytes).expect("an entry");
        match &mut book {
            None => book = Some(Book::found(&entry).expect("a founding")),
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

/// A page is made once for all who ask within a second, and anew as soon as the ledger grows, the run at hand
/// goes on or the time is another.
#[tokio::test]
async fn a_page_is_given_again_only_while_nothing_that_it_is_made_from_has_changed() {
    let example = example(1);
    let served = Arc::new(Changing::of(Served::of(&example)));
    let router = router(served.clone());
    let ask = async |path: &str| {
        let request = Request::builder().uri(path).body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("an answer");
        let bytes = to_bytes(response.into_body(), 64 << 20).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (text, served.read.swap(0, Ordering::Relaxed))
    };
    let (first, reads) = ask("/entries/0").await;
    assert_eq!(reads, 1);
    assert_eq!(ask("/entries/0").await, (first.clone(), 0), "as it was");
    // All forms are of the same page; another address is another one.
    let (json, reads) = ask("/entries/0.json").await;
    assert!(json.contains("covey-entry/1") && reads == 0, "{json}");
    assert_eq!(ask("/entries/1").await.1, 1);
    served.now_ms.fetch_add(999, Ordering::Relaxed);
    assert_eq!(ask("/entries/0").await.1, 0);
    served.now_ms.fetch_add(1, Ordering::Relaxed);
    assert_eq!(ask("/entries/0").await.1, 1, "a second later");
    served.now_ms.fetch_sub(500, Ordering::Relaxed);
    assert_eq!(ask("/entries/0").await.1, 1, "the clock was set back");
    served.served.live.send_modify(|live| live.number += 1);
    assert_eq!(ask("/entries/0").await.1, 1, "the run goes on");
    let grown = Arc::new(example.book.clone());
    *served.book.lock().expect("nobody panicked") = Some(grown);
    assert_eq!(ask("/entries/0").await.1, 1, "another book");
    assert_eq!(ask("/entries/0").await.1, 0);
    // Many addresses are not kept without end, and each is still what it is.
    for number in 0..600 {
        let (text, _) = ask(&format!("/search?q=x{number}")).await;
        assert!(text.contains(&format!("x{number}")), "{text}");
    }
    assert_eq!(ask("/entries/0").await.1, 1, "forgotten");
}

/// A source that goes on, and counts what is read of it.
struct Changing {
    served: Served,
    book: Mutex<Option<Arc<Book>>>,
    now_ms: AtomicU64,
    read: AtomicU64,
}

impl Changing {
    fn of(served: Served) -> Self {
        let (book, now_ms) = (Mutex::new(served.book.clone()), AtomicU64::new(served.now_ms));
        Self { served, book, now_ms, read: AtomicU64::new(0) }
    }
}

impl Source for Changing {
    fn federation(&self) -> Federation {
        self.served.federation()
    }
    fn book(&self) -> Option<Arc<Book>> {
        self.book.lock().expect("nobody panicked").clone()
    }
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }
    fn entry(&self, index: u64) -> Reading<'_> {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.served.entry(index)
    }
    fn published<'a>(&'a self, path: &'a str) -> Reading<'a> {
        self.served.published(path)
    }
    fn document<'a>(&'a self, sha256: &'a str) -> Reading<'a> {
        self.served.document(sha256)
    }
    fn live(&self) -> watch::Receiver<Live> {
        self.served.live()
    }
}
