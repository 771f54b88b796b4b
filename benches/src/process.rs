//! Processes that hold connections: a coordinator, and one that does nothing else.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use covey_aggregation::program::Stop;
use covey_coordinator::Coordinator;
use covey_coordinator::config::Config;

/// Argument of a coordinator's process; its settings follow.
pub(crate) const COORDINATOR: &str = "--coordinator";

/// Argument of a plain process.
pub(crate) const PLAIN: &str = "--plain";

/// This program again, ended when this is dropped.
pub(crate) struct Holding {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Holding {
    /// Starts it and waits for the line that says where it listens.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self, String> {
        let said = |error: std::io::Error| error.to_string();
        let mut command = Command::new(std::env::current_exe().map_err(said)?);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().map_err(said)?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(said)?;
        }
        let address = line.trim().parse();
        let address = address.map_err(|_| format!("{arguments:?} does not listen: {line:?}"))?;
        Ok(Self { address, child })
    }

    /// What it takes of the machine's memory now.
    pub(crate) fn resident_bytes(&self) -> Result<u64, String> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        let kibibytes: u64 = kibibytes.ok_or_else(|| format!("{path} has no VmRSS"))?;
        Ok(kibibytes * 1024)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        // Fails only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves as a coordinator until it is killed.
pub(crate) fn coordinate(config: Option<&String>) -> Result<(), String> {
    let config = Path::new(config.ok_or("no settings")?);
    let config = Config::load(config).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let (_stopper, stop) = Stop::manual();
        let running = Coordinator::start(config, stop).await.map_err(|error| error.to_string())?;
        println!("{}", running.address());
        running.finished().await.map(|_| ()).map_err(|error| error.to_string())
    })
}

/// Accepts TCP connections and keeps them, until it is killed.
pub(crate) fn hold_plainly() -> Result<(), String> {
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

/// A coordinator in this process.
#[cfg(test)]
pub(crate) struct Here {
    pub(crate) address: SocketAddr,
    _stopper: covey_aggregation::program::stop::Stopper,
}

#[cfg(test)]
pub(crate) fn coordinate_here(
    runtime: &tokio::runtime::Runtime,
    config: &str,
) -> Result<Here, String> {
    let config = Config::load(Path::new(config)).map_err(|error| error.to_string())?;
    let (stopper, stop) = Stop::manual();
    let running = runtime.block_on(Coordinator::start(config, stop));
    let running = running.map_err(|error| error.to_string())?;
    let address = running.address();
    runtime.spawn(running.finished());
    Ok(Here { address, _stopper: stopper })
}
