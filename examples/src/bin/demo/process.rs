//! The federation's processes: this same binary, started again in a role.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often the memory of all processes is added up.
const MEMORY_SAMPLE_MS: u64 = 200;

/// How long a process may take to stop after it was asked to, before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// A process of the federation that is killed when this is dropped.
pub(crate) struct Process {
    /// Where its progress and errors go.
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts this binary in `role` with `arguments`, its stderr appended to `log`. Its standard
    /// output is returned line by line when `lines` asks for it, else appended to `log` too.
    pub(crate) fn start(
        role: &str,
        arguments: &[&str],
        log: &Path,
        lines: bool,
    ) -> io::Result<(Self, Option<Receiver<String>>)> {
        let file = File::options().create(true).append(true).open(log)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("role")
            .arg(role)
            .args(arguments)
            // Many small trainings at once on few cores: threads within each only get in the way.
            .env("RAYON_NUM_THREADS", "1")
            .stdin(Stdio::null())
            .stdout(if lines { Stdio::piped() } else { file.try_clone()?.into() })
            .stderr(file)
            .spawn()?;
        let receiver = child.stdout.take().map(|stdout| {
            let (sender, receiver) = channel();
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
            receiver
        });
        Ok((Self { log: log.to_owned(), child }, receiver))
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it without warning, as a power cut would.
    pub(crate) fn kill(&mut self) {
        // Both fail only when the process is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The status, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end; kills it when that takes longer than the grace time.
    pub(crate) fn wait_or_kill(&mut self) {
        let started = Instant::now();
        while started.elapsed() < STOP_GRACE {
            if self.ended().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
    }

    /// The last lines of its log, for an error message.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n  ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs this binary in `role` to its end; its standard output.
///
/// # Errors
/// What it wrote to stderr, when it fails.
pub(crate) fn run_to_end(role: &str, arguments: &[&str]) -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .arg("role")
        .arg(role)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(stdout)
    } else {
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(format!("{role} {}: {}\n{stderr}{stdout}", arguments.join(" "), output.status))
    }
}

/// Adds up the resident memory of this process and its children, and remembers the most.
pub(crate) struct MemoryWatch {
    peak_bytes: Arc<AtomicU64>,
    children: Arc<Mutex<Vec<u32>>>,
}

impl MemoryWatch {
    /// Starts watching.
    pub(crate) fn start() -> Self {
        let peak_bytes = Arc::new(AtomicU64::new(0));
        let children = Arc::new(Mutex::new(Vec::new()));
        let watch = Self { peak_bytes: Arc::clone(&peak_bytes), children: Arc::clone(&children) };
        std::thread::spawn(move || {
            loop {
                let list: Vec<u32> = children.lock().map(|list| list.clone()).unwrap_or_default();
                let own = std::process::id();
                let total = list.iter().chain([&own]).filter_map(|id| resident_bytes(*id)).sum();
                peak_bytes.fetch_max(total, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(MEMORY_SAMPLE_MS));
            }
        });
        watch
    }

    /// Counts `process` from now on.
    pub(crate) fn add(&self, process: &Process) {
        if let Ok(mut list) = self.children.lock() {
            list.push(process.id());
        }
    }

    /// The most that all processes together held at one time; `None` where the system does not
    /// tell.
    pub(crate) fn peak_bytes(&self) -> Option<u64> {
        Some(self.peak_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }
}

/// Resident memory of a process, from Linux's `/proc` (`proc_pid_status(5)`, `VmRSS`).
fn resident_bytes(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
