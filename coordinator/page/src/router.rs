//! From addresses to answers. GET and HEAD only: nothing can be changed here.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::answer::{self, Answer, Form};
use crate::cache::{Cache, Made};
use crate::html::{Frame, Link};
use crate::page::{self, Reader};
use crate::query::{Query, decoded};
use crate::source::Source;
use crate::{live, published, text};

/// What browsers may load and do on the page. There is no inline script or style, and nothing of
/// anybody else's.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
    form-action 'self'";

/// Headers of every answer.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// What is read, and what was made of it a moment ago.
struct Served {
    source: Arc<dyn Source>,
    cache: Cache,
}

/// The page, reading from `source`.
pub fn router(source: Arc<dyn Source>) -> Router {
    let served = Arc::new(Served { source, cache: Cache::default() });
    Router::new().fallback(answer_any).with_state(served)
}

async fn answer_any(State(served): State<Arc<Served>>, request: Request) -> Response {
    // The body is not looked at, and not held.
    let (asked, _) = request.into_parts();
    let mut response = match asked.method {
        Method::GET | Method::HEAD => answer_reader(&served, &asked).await,
        _ => {
            let allow = [(header::ALLOW, "GET, HEAD")];
            (StatusCode::METHOD_NOT_ALLOWED, allow, "this page is only read: GET or HEAD\n")
                .into_response()
        }
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    let caching = HeaderValue::from_static("no-cache");
    headers.entry(header::CACHE_CONTROL).or_insert(caching);
    if asked.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

async fn answer_reader(served: &Served, asked: &Parts) -> Response {
    let source = &*served.source;
    let path = asked.uri.path();
    match path {
        "/live" => return live::events(source.live(), &asked.headers),
        "/llms.txt" => return answer::text("text/plain; charset=utf-8", page::llms(source)),
        "/openapi.json" => {
            return answer::text("application/json", crate::openapi::document());
        }
        _ => {}
    }
    if let Some(response) = published::answer(source, path).await {
        return response;
    }
    answer_page(served, asked).await
}

async fn answer_page(served: &Served, asked: &Parts) -> Response {
    let source = &*served.source;
    let (stem, form) = form_of(asked.uri.path(), &asked.headers);
    let query = asked.uri.query().unwrap_or("");
    let book = source.book();
    let reader = Reader { source, ledger: book.as_deref(), query: Query::parse(query) };
    let live = source.live().borrow().number;
    let now = Made::of(book.as_ref(), live, source.now_ms());
    let address = format!("{stem}?{query}");
    let segments: Vec<_> = stem.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    let mut frame = frame(source, &reader, stem);
    let made = match served.cache.get(&address, &now) {
        Some(body) => Answer::Page(body),
        None => {
            let made = page::answer(&reader, &segments).await;
            if let Answer::Page(body) = &made {
                served.cache.keep(address, &now, body);
            }
            made
        }
    };
    match made {
        Answer::Page(body) => {
            let after = if query.is_empty() { String::new() } else { format!("?{query}") };
            let stem = if stem == "/" { "/index" } else { stem };
            frame.json = format!("{stem}.json{after}");
            frame.csv = format!("{stem}.csv{after}");
            answer::page(&frame, &body, form)
        }
        Answer::File(kind, bytes) => answer::file(kind, bytes),
        Answer::Elsewhere(to) => answer::elsewhere(&to),
        Answer::Nothing(what) => answer::nothing(&frame, &what, form),
        Answer::Failed(what) => answer::failed(&frame, &what, form),
    }
}

fn frame(source: &dyn Source, reader: &Reader<'_>, path: &str) -> Frame {
    let federation = source.federation();
    let as_of = reader.last_time_ms();
    Frame {
        // Strings and numbers: there is nothing that JSON cannot say.
        keys: serde_json::to_string(&federation).unwrap_or_default(),
        federation: federation.origin,
        links: Link::menu(path),
        size: reader.size(),
        as_of: as_of.map_or_else(String::new, text::time),
        json: String::new(),
        csv: String::new(),
    }
}

/// The address without the ending that says the form; else the form that the reader accepts first.
fn form_of<'a>(path: &'a str, headers: &HeaderMap) -> (&'a str, Form) {
    let bare = |stem: &'a str| if stem == "/index" { "/" } else { stem };
    if let Some(stem) = path.strip_suffix(".json") {
        return (bare(stem), Form::Json);
    }
    if let Some(stem) = path.strip_suffix(".csv") {
        return (bare(stem), Form::Csv);
    }
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or("").trim());
    let form = kinds.into_iter().find_map(|kind| match kind {
        "text/html" | "application/xhtml+xml" => Some(Form::Html),
        "application/json" => Some(Form::Json),
        "text/csv" => Some(Form::Csv),
        _ => None,
    });
    (path, form.unwrap_or(Form::Html))
}
