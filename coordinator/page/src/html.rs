//! Pages as HTML: the only place where text becomes markup. The templates escape whatever they write;
//! charts escape their own.

use askama::Template;

use crate::block::{Block, Page};

/// What is around every page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    pub(crate) federation: String,
    pub(crate) links: Vec<Link>,
    /// Keys that the reader's browser verifies by: JSON.
    pub(crate) keys: String,
    /// Entries of the ledger that the page was made from.
    pub(crate) size: u64,
    /// When the last of them was written.
    pub(crate) as_of: String,
    /// Where the page is for programs; empty where it is not.
    pub(crate) json: String,
    pub(crate) csv: String,
}

/// A link of the menu.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) text: &'static str,
    pub(crate) href: &'static str,
    pub(crate) is_here: bool,
}

/// The menu: text, address, and beginnings of the addresses under it.
const MENU: [(&str, &str, &[&str]); 7] = [
    ("Overview", "/", &["/"]),
    ("Runs", "/runs", &["/runs"]),
    ("Credits", "/credits", &["/credits", "/members"]),
    ("Payouts", "/payouts", &["/payouts"]),
    ("Disputes", "/disputes", &["/disputes"]),
    ("Ledger", "/ledger", &["/ledger", "/entries"]),
    ("How it works", "/how", &["/how"]),
];

impl Link {
    /// The menu, from the page at `path`.
    pub(crate) fn menu(path: &str) -> Vec<Self> {
        let is_under = |above: &str| match above {
            "/" => path == "/",
            above => path
                .strip_prefix(above)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        };
        let link = |(text, href, above): (&'static str, &'static str, &[&str])| Self {
            text,
            href,
            is_here: above.iter().any(|above| is_under(above)),
        };
        MENU.into_iter().map(link).collect()
    }
}

#[derive(Template)]
#[template(path = "page.html")]
struct Document<'a> {
    frame: &'a Frame,
    page: &'a Page,
}

/// The whole document.
///
/// # Errors
/// The template's: none for these types.
pub(crate) fn of(frame: &Frame, page: &Page) -> Result<String, askama::Error> {
    Document { frame, page }.render()
}
