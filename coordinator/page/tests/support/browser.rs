//! Serves the page over TCP, with a second door by which a test makes the server cheat, and runs scripts
//! that drive a browser. Where there is no browser, node or npm, tests say so and pass, unless
//! `COVEY_REQUIRE_BROWSER` is 1.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::Response;
use covey_ledger::example::Example;
use tokio::net::TcpListener;

use super::tamper::Cheat;

/// Where the scripts and their packages are, ready to run; none where that cannot be.
///
/// # Panics
/// Where it cannot be and must.
pub(crate) fn scripts() -> Option<PathBuf> {
    let found = ["node", "npm", "chromium"].into_iter().find(|program| !is_there(program));
    if let Some(program) = found {
        return skipped(&format!("no {program} here"));
    }
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let to = cache();
    std::fs::create_dir_all(&to).expect("a folder for the scripts");
    for file in std::fs::read_dir(from).expect("the scripts") {
        let file = file.expect("a file");
        if file.file_type().expect("a kind").is_file() {
            std::fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
        }
    }
    let lock = std::fs::read(to.join("package-lock.json")).expect("the lock file");
    let done = to.join("node_modules/.covey-lock");
    if std::fs::read(&done).is_ok_and(|bytes| bytes == lock) {
        return Some(to);
    }
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
        .current_dir(&to)
        .stdout(Stdio::null())
        .status();
    if !npm.is_ok_and(|status| status.success()) {
        return skipped("npm cannot fetch the packages");
    }
    std::fs::write(done, lock).expect("a mark that the packages are there");
    Some(to)
}

/// Under the folder of builds, whatever asks: a test or an example.
fn cache() -> PathBuf {
    let program = std::env::current_exe().expect("this program");
    let folders = program.ancestors();
    let target = folders.skip(1).find(|folder| folder.join("deps").is_dir());
    target.expect("the folder of builds").join("covey-page-browser")
}

fn is_there(program: &str) -> bool {
    let quiet =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

fn skipped(why: &str) -> Option<PathBuf> {
    let is_required = std::env::var("COVEY_REQUIRE_BROWSER").is_ok_and(|value| value == "1");
    assert!(!is_required, "the browser tests must run (COVEY_REQUIRE_BROWSER=1): {why}");
    eprintln!("SKIPPED: {why}; no browser was driven");
    None
}

/// Runs a script to its end.
///
/// # Panics
/// Where it fails.
pub(crate) async fn run(folder: &Path, script: &str, arguments: Vec<String>) {
    let (folder, script) = (folder.to_owned(), script.to_owned());
    let running = tokio::task::spawn_blocking(move || {
        Command::new("node").arg(&script).args(arguments).current_dir(folder).status()
    });
    let status = running.await.expect("it ran").expect("node starts");
    assert!(status.success(), "the script failed; what it said is above");
}

/// Serves the page of an example; gives its address and that of the second door.
pub(crate) async fn serve(example: Example) -> (String, String) {
    let cheat = Arc::new(Cheat::new(example));
    let page = covey_page::router(cheat.clone());
    let page = page.layer(axum::middleware::map_response_with_state(cheat.clone(), alter));
    let door = Router::new().fallback(tamper).with_state(cheat);
    (listen(page).await, listen(door).await)
}

async fn listen(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// `/NAME`: the server cheats in this way from now on.
async fn tamper(State(cheat): State<Arc<Cheat>>, uri: Uri) -> (StatusCode, String) {
    let name = uri.path().trim_start_matches('/').to_owned();
    if cheat.begin(&name) { (StatusCode::OK, name) } else { (StatusCode::NOT_FOUND, name) }
}

/// Changes pages on their way, where the cheat is one of the page alone.
async fn alter(State(cheat): State<Arc<Cheat>>, response: Response) -> Response {
    let Some((from, to)) = cheat.alteration() else { return response };
    let (mut parts, body) = response.into_parts();
    let is_page = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !is_page {
        return Response::from_parts(parts, body);
    }
    let bytes = to_bytes(body, 64 << 20).await.expect("a page");
    let text = String::from_utf8(bytes.to_vec()).expect("text").replace(&from, &to);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(text))
}
