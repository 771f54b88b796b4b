//! This program again, as a process of its own: what is measured of it is its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// What a tick of [`Process::cpu_s`] is; Linux tells programs no other.
const TICKS_PER_S: f64 = 100.0;

/// This program again, ended when this is dropped. The first line that it prints says where it listens.
pub struct Process {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    said: Receiver<String>,
}

impl Process {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// Why it does not.
    pub fn start(arguments: &[&str]) -> Result<Self, String> {
        let failed = |error: std::io::Error| error.to_string();
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let (sender, said) = channel();
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    // Nobody has to listen.
                    let _ = sender.send(line);
                }
            });
        }
        let line = said.recv().unwrap_or_default();
        match line.trim().parse() {
            Ok(address) => Ok(Self { address, child, said }),
            Err(_) => {
                let _ = child.wait();
                Err(format!("{arguments:?} does not listen: {line:?}"))
            }
        }
    }

    /// The next line that it prints.
    ///
    /// # Errors
    /// There is none within `patience`, or any more.
    pub fn next_line(&self, patience: Duration) -> Result<String, String> {
        self.said.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("it said nothing for {patience:?}"),
            RecvTimeoutError::Disconnected => "it has ended".to_owned(),
        })
    }

    /// What it takes of the machine's memory now.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn resident_bytes(&self) -> Result<u64, String> {
        self.memory("VmRSS:")
    }

    /// The most that it ever took.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn peak_bytes(&self) -> Result<u64, String> {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> Result<u64, String> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        let kibibytes: u64 = kibibytes.ok_or_else(|| format!("{path} has no {field}"))?;
        Ok(kibibytes * 1024)
    }

    /// The processor time of all its threads, in seconds.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn cpu_s(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        // The second field is the program's name, which may have anything in it.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace());
        let times: Vec<f64> = fields
            .into_iter()
            .flat_map(|fields| fields.skip(11).take(2))
            .filter_map(|field| field.parse().ok())
            .collect();
        match times[..] {
            [user, system] => Ok((user + system) / TICKS_PER_S),
            _ => Err(format!("{path} has no times")),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_listen_is_told_with_what_it_said() {
        // The tests' own list.
        let refused = Process::start(&["--list"]).err().expect("no address");
        assert!(refused.contains("does not listen"), "{refused}");
    }
}
