//! Answers: a page in the form that the reader wants, or why there is none.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use crate::block::{Block, Cell, Page, Tone};
use crate::html::{self, Frame};
use crate::{csv, plain};

/// What there is at an address.
pub(crate) enum Answer {
    /// A page.
    Page(Arc<Body>),
    /// A file: its kind and bytes.
    File(&'static str, Vec<u8>),
    /// It is at another address.
    Elsewhere(String),
    /// Nothing: what was looked for.
    Nothing(String),
    /// Something that could not be read.
    Failed(String),
}

/// A page in all its forms.
pub(crate) struct Body {
    page: Page,
    json: Vec<u8>,
}

/// What a page is the picture of.
pub(crate) trait View: Serialize {
    /// The page.
    fn page(&self) -> Page;
}

/// How a page is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Html,
    Json,
    Csv,
}

impl Answer {
    /// The page of a view.
    pub(crate) fn of(view: &impl View) -> Self {
        match serde_json::to_vec(view) {
            Ok(json) => Self::Page(Arc::new(Body { page: view.page(), json })),
            Err(error) => Self::Failed(format!("the view cannot be written: {error}")),
        }
    }
}

impl Body {
    /// Bytes of its JSON.
    pub(crate) const fn bytes(&self) -> usize {
        self.json.len()
    }

    /// The page as a table: its own, or names and values of what it says.
    fn csv(&self) -> String {
        match self.page.table() {
            Some(table) => csv::of(table),
            None => csv::of(&plain::table(&self.page)),
        }
    }
}

/// A page in a form.
pub(crate) fn page(frame: &Frame, body: &Body, form: Form) -> Response {
    match form {
        Form::Html => document(StatusCode::OK, frame, &body.page),
        Form::Json => {
            ([(header::CONTENT_TYPE, "application/json")], body.json.clone()).into_response()
        }
        Form::Csv => text("text/csv; charset=utf-8; header=present", body.csv()),
    }
}

/// Text of a kind.
pub(crate) fn text(kind: &'static str, text: String) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// Bytes of a kind.
pub(crate) fn file(kind: &'static str, bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, kind)], bytes).into_response()
}

/// It is at another address of this server.
pub(crate) fn elsewhere(to: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

/// There is nothing at the address.
pub(crate) fn nothing(frame: &Frame, what: &str, form: Form) -> Response {
    told(StatusCode::NOT_FOUND, "Not found", frame, what, form)
}

/// It could not be read.
pub(crate) fn failed(frame: &Frame, what: &str, form: Form) -> Response {
    told(StatusCode::SERVICE_UNAVAILABLE, "Cannot be read now", frame, what, form)
}

#[derive(Serialize)]
struct Told<'a> {
    error: &'a str,
    message: &'a str,
}

fn told(code: StatusCode, title: &str, frame: &Frame, what: &str, form: Form) -> Response {
    if form != Form::Html {
        let error = if code == StatusCode::NOT_FOUND { "not-found" } else { "unavailable" };
        let told = serde_json::to_string(&Told { error, message: what }).unwrap_or_default();
        return (code, text("application/json", told)).into_response();
    }
    let mut page = Page::new(title);
    page.add(Block::Notice(Tone::Warn, vec![Cell::text(what)]));
    page.add(Block::Text(vec![
        Cell::text("Search above by a run, a member, the number of an entry, a hash or an address; or go to the "),
        Cell::link("overview", "/"),
        Cell::text("."),
    ]));
    document(code, frame, &page)
}

fn document(code: StatusCode, frame: &Frame, page: &Page) -> Response {
    match html::of(frame, page) {
        Ok(html) => {
            (code, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
        }
        Err(error) => {
            let told = format!("the page cannot be written: {error}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, told).into_response()
        }
    }
}
