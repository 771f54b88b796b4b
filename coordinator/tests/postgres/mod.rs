//! A PostgreSQL server of the test's own, from the programs that are installed: one for each test
//! binary, in a temporary folder, reached by a socket in it. It ends with the test's process.
//!
//! Where none is installed the tests that need one say so, and do nothing; with
//! `COVEY_REQUIRE_POSTGRES=1` they fail.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use covey_coordinator::storage::place::Databases;

/// Longest wait for the server to let somebody in.
const START_WAIT: Duration = Duration::from_secs(60);

/// What a server needs.
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_isready"];

/// A server that runs.
struct Running {
    socket: PathBuf,
    /// Its input stays open as long as this process lives; the end of it ends the server.
    _guard: Child,
}

static SERVER: OnceLock<Option<Running>> = OnceLock::new();
static PREFIXES: AtomicU32 = AtomicU32::new(0);

/// The URL of a server, with a prefix that nobody had before; none where there is no PostgreSQL.
pub(crate) fn url() -> Option<String> {
    let server = SERVER.get_or_init(start).as_ref()?;
    let number = PREFIXES.fetch_add(1, Ordering::Relaxed);
    let socket = server.socket.to_str().expect("a plain path").replace('/', "%2F");
    Some(format!("postgres://covey@{socket}/postgres?port=5432&prefix=test{number}"))
}

/// The database of a test of its own.
pub(crate) fn databases() -> Option<Databases> {
    url().map(|url| url.parse().expect("a good URL"))
}

/// Where Debian and others put the programs.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .chain([PathBuf::from("/usr/bin"), PathBuf::from("/usr/local/bin")])
        .filter(|bin| PROGRAMS.iter().all(|program| bin.join(program).exists()))
        .collect();
    found.sort();
    found.pop()
}

fn start() -> Option<Running> {
    let Some(programs) = programs() else {
        let what =
            "no PostgreSQL is installed: WHAT NEEDS IT IS NOT TESTED (apt install postgresql)";
        assert!(std::env::var_os("COVEY_REQUIRE_POSTGRES").is_none(), "{what}");
        // Past the harness, which would keep it to itself.
        let _ = writeln!(std::io::stderr(), "\n!!! {what}\n");
        return None;
    };
    let folder = tempfile::tempdir().expect("a folder").keep();
    let data = folder.join("data");
    own(&folder);
    let mut init = as_other(&programs.join("initdb"));
    init.args(["--auth=trust", "--username=covey", "--encoding=UTF8", "--locale=C", "--no-sync"])
        .arg(&data)
        .current_dir(&folder);
    let made = init.output().expect("initdb starts");
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    // The shell waits for the end of its input, which comes however this process ends.
    let script = r#""$0" -D "$1" -k "$2" -c listen_addresses= -c port=5432 >"$2/log" 2>&1 &
        server=$!; read -r _; kill -INT $server; wait $server; rm -rf "$2""#;
    let mut shell = as_other(Path::new("/bin/sh"));
    shell.arg("-c").arg(script).arg(programs.join("postgres")).arg(&data).arg(&folder);
    let guard = shell
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell starts");
    let until = Instant::now() + START_WAIT;
    while !is_ready(&programs, &folder) {
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(Instant::now() < until, "the server does not start: {}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(Running { socket: folder, _guard: guard })
}

fn is_ready(programs: &Path, socket: &Path) -> bool {
    let mut ask = Command::new(programs.join("pg_isready"));
    ask.args(["-q", "-p", "5432", "-h"]).arg(socket);
    ask.status().is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// PostgreSQL refuses to run as root.
fn as_other(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]).arg(program);
    command
}

fn own(folder: &Path) {
    if is_root() {
        let given = Command::new("chown").arg("nobody:nogroup").arg(folder).status();
        assert!(given.expect("chown starts").success(), "the folder is given away");
    }
}
