//! The page: reads the ledger, and nothing else, and shows it to people and programs.
//!
//! [`router`] serves it from a [`Source`]. Every page is HTML, JSON and CSV of the same view; the
//! checkpoint, tiles and documents are served as they are published, and a verifier in plain
//! JavaScript comes with the page and checks them in the reader's browser.

mod answer;
mod block;
mod cache;
mod chart;
mod csv;
mod html;
mod live;
mod openapi;
mod page;
mod plain;
mod proof;
mod published;
mod query;
mod router;
mod source;
mod text;

pub use self::router::{CONTENT_SECURITY_POLICY, router};
pub use self::source::{Federation, Live, Reading, Source};
