//! How many members one coordinator holds, and in how much memory.
//! `cargo run --release --bin crowd`; `-- --clients 10000` takes three minutes, and `ulimit -n 12000`.
//!
//! A coordinator without a plan runs as a process of its own. Data owners, each with a key, a
//! certificate and a socket of its own, dial it over QUIC (TLS 1.3, both sides with certificates), are
//! greeted, and stay. Then nobody may be lost for `--hold` seconds (30 if not given: longer than a
//! silent link lives). Beside it stands a plain process that holds as many TCP connections.
//!
//! `--json`: one object per figure.

mod links;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use covey_benches::crowd::{Crowd, coordinate};
use covey_benches::{Conditions, Figure, Process, Report, number};
use serde::Serialize;

use links::Links;

/// Argument of a coordinator's process; its settings follow.
const COORDINATOR: &str = "--coordinator";

/// Argument of a plain process.
const PLAIN: &str = "--plain";

/// Nobody dials by this: members are only held.
const NOWHERE: &str = "127.0.0.1:1";

const CLIENTS: usize = 2_000;

const HOLD_S: usize = 30;

/// Under which terms a figure was taken.
#[derive(Clone, Serialize)]
struct Terms {
    #[serde(skip)]
    text: String,
    clients: usize,
    cores: usize,
}

impl Conditions for Terms {
    fn text(&self) -> &str {
        &self.text
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some(COORDINATOR) => coordinate(arguments.get(1)),
        Some(PLAIN) => hold_plainly(),
        _ => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("crowd: {what}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[String]) -> Result<(), String> {
    let report = Report::from_arguments();
    let clients = number(arguments, "--clients")?.unwrap_or(CLIENTS);
    let hold = Duration::from_secs(number(arguments, "--hold")?.unwrap_or(HOLD_S) as u64);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let terms = Terms { text: format!("{clients} clients"), clients, cores };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let plain = runtime.block_on(plain_bytes(clients))?;

    report.note(&format!("{clients} data owners are enrolled, dial, and stay for {hold:?}"));
    let crowd = Crowd::found(clients, NOWHERE)?;
    let coordinator = Process::start(&[COORDINATOR, &crowd.config()])?;
    let alone = coordinator.resident_bytes()?;
    let began = Instant::now();
    let links = runtime.block_on(Links::dial(&crowd, coordinator.address))?;
    let seconds = began.elapsed().as_secs_f64();
    let lost = runtime.block_on(links.lost_within(hold));
    let bytes = coordinator.resident_bytes()?;
    let per = |bytes: u64, alone: u64| bytes.saturating_sub(alone) as f64 / clients as f64 / 1024.0;
    let (secured, bare) = (per(bytes, alone), per(plain.0, plain.1));
    report.figure(&Figure::new("coordinator.alone", &terms, alone as f64 / 1e6, "MB resident"));
    let all = Figure::new("coordinator.crowded", &terms, bytes as f64 / 1e6, "MB resident");
    report.figure(&all.beside("plain TCP", plain.0 as f64 / 1e6));
    let each = Figure::new("coordinator.member", &terms, secured, "KiB resident");
    report.figure(&each.beside("a plain TCP connection", bare));
    let rate = clients as f64 / seconds;
    report.figure(&Figure::new("coordinator.handshakes", &terms, rate, "members/s"));
    report.figure(&Figure::new("coordinator.lost", &terms, lost as f64, "links"));
    if lost > 0 {
        return Err(format!("{lost} of {clients} links were lost within {hold:?}"));
    }
    Ok(())
}

/// Resident bytes of a process that holds so many TCP connections, and of one that holds none.
async fn plain_bytes(clients: usize) -> Result<(u64, u64), String> {
    let plain = Process::start(&[PLAIN])?;
    let alone = plain.resident_bytes()?;
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        let connection = tokio::net::TcpStream::connect::<SocketAddr>(plain.address).await;
        connections.push(connection.map_err(|error| error.to_string())?);
    }
    Ok((plain.resident_bytes()?, alone))
}

/// Accepts TCP connections and keeps them, until it is killed.
fn hold_plainly() -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let held: std::io::Result<()> = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await?);
        }
    });
    held.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use covey_aggregation::program::Stop;
    use covey_coordinator::Coordinator;
    use covey_coordinator::config::Config;

    use super::*;

    #[test]
    fn a_few_members_are_held_and_none_is_lost() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let crowd = Crowd::found(6, NOWHERE).expect("enrolled");
        let config = Config::load(Path::new(&crowd.config())).expect("valid");
        let (_stopper, stop) = Stop::manual();
        let running = runtime.block_on(Coordinator::start(config, stop)).expect("it serves");
        let address = running.address();
        runtime.spawn(running.finished());
        let links = runtime.block_on(Links::dial(&crowd, address)).expect("linked");
        assert_eq!(links.len(), 6);
        assert_eq!(runtime.block_on(links.lost_within(Duration::from_millis(300))), 0);
    }
}
