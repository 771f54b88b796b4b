//! What is published as it is: the checkpoint, tiles and bundles by the paths of C2SP tlog-tiles,
//! documents by their digests, and the page's own files.

use std::io;

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use covey_ledger::tile::Tile;

use crate::source::Source;

/// The page's own files: path, kind and bytes.
const ASSETS: [(&str, &str, &[u8]); 12] = [
    ("page.css", "text/css; charset=utf-8", include_bytes!("../assets/page.css")),
    ("icon.svg", "image/svg+xml", include_bytes!("../assets/icon.svg")),
    ("live.js", SCRIPT, include_bytes!("../assets/live.js")),
    ("verify.js", SCRIPT, include_bytes!("../assets/verify.js")),
    ("verify/blake3.js", SCRIPT, include_bytes!("../assets/verify/blake3.js")),
    ("verify/bytes.js", SCRIPT, include_bytes!("../assets/verify/bytes.js")),
    ("verify/credit.js", SCRIPT, include_bytes!("../assets/verify/credit.js")),
    ("verify/evidence.js", SCRIPT, include_bytes!("../assets/verify/evidence.js")),
    ("verify/ledger.js", SCRIPT, include_bytes!("../assets/verify/ledger.js")),
    ("verify/note.js", SCRIPT, include_bytes!("../assets/verify/note.js")),
    ("verify/payout.js", SCRIPT, include_bytes!("../assets/verify/payout.js")),
    ("verify/tree.js", SCRIPT, include_bytes!("../assets/verify/tree.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// For what never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// For what changes with the ledger.
const NEVER: &str = "no-store";

/// For what changes with the program.
const SHORTLY: &str = "public, max-age=300";

/// What is published at `path`; `None` where the path is not one of these.
pub(crate) async fn answer(source: &dyn Source, path: &str) -> Option<Response> {
    let path = path.strip_prefix('/')?;
    if let Some(name) = path.strip_prefix("assets/") {
        let asset = ASSETS.iter().find(|(one, ..)| *one == name);
        return Some(asset.map_or_else(
            || absent("no such file\n"),
            |(_, kind, bytes)| file(kind, SHORTLY, bytes.to_vec()),
        ));
    }
    if path == "checkpoint" {
        let read = source.published(path).await;
        return Some(read_file(read, "text/plain; charset=utf-8", NEVER));
    }
    if path.starts_with("tile/") {
        let read =
            if path.parse::<Tile>().is_ok() { source.published(path).await } else { Ok(None) };
        return Some(read_file(read, "application/octet-stream", FOR_EVER));
    }
    let digest = path.strip_prefix("documents/")?;
    let is_digest =
        digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let read = if is_digest { source.document(digest).await } else { Ok(None) };
    // Somebody else's bytes: shown as nothing but bytes.
    Some(read_file(read, "application/octet-stream", FOR_EVER))
}

fn read_file(
    read: io::Result<Option<Vec<u8>>>,
    kind: &'static str,
    caching: &'static str,
) -> Response {
    match read {
        Ok(Some(bytes)) => file(kind, caching, bytes),
        Ok(None) => absent("nothing is published there\n"),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("cannot be read now: {error}\n"))
            .into_response(),
    }
}

fn file(kind: &'static str, caching: &'static str, bytes: Vec<u8>) -> Response {
    // Anybody's verifier may read what is published, from wherever it is.
    let open = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ];
    let kind = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, caching)];
    (kind, open, bytes).into_response()
}

fn absent(what: &'static str) -> Response {
    (StatusCode::NOT_FOUND, what).into_response()
}
