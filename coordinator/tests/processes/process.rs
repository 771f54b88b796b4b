//! A program at work, and what it says.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use super::{LOOK, PATIENCE, Who};

/// A program at work; killed when dropped.
pub(crate) struct Process {
    pub(crate) who: Who,
    pub(crate) began: Instant,
    child: Child,
    said: Arc<Mutex<Vec<(Instant, String)>>>,
    listening: Vec<thread::JoinHandle<()>>,
}

impl Process {
    pub(crate) fn start(who: Who, command: &mut Command) -> Self {
        let began = Instant::now();
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.expect("started");
        let said: Arc<Mutex<Vec<_>>> = Arc::default();
        let stdout = listen(child.stdout.take().expect("piped"), &said);
        let stderr = listen(child.stderr.take().expect("piped"), &said);
        Self { who, began, child, said, listening: vec![stdout, stderr] }
    }

    /// Everything that it has said, line by line.
    pub(super) fn said(&self) -> MutexGuard<'_, Vec<(Instant, String)>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it as one text.
    pub(crate) fn words(&self) -> String {
        self.said().iter().map(|(_, line)| format!("    {line}\n")).collect()
    }

    /// When it said something that `wanted` picks, and what.
    pub(crate) fn heard<T>(&self, wanted: impl Fn(&str) -> Option<T>) -> Option<(Instant, T)> {
        self.said().iter().find_map(|(at, line)| Some((*at, wanted(line)?)))
    }

    /// An event of the coordinator that `wanted` picks.
    pub(crate) fn event<T>(&self, wanted: impl Fn(&Value) -> Option<T>) -> Option<(Instant, T)> {
        self.heard(|line| wanted(&serde_json::from_str(line).ok()?))
    }

    /// When it was there for others: the coordinator when it could be dialled, the others when they
    /// had a link.
    pub(crate) fn serving_since(&self) -> Option<Instant> {
        let word = if self.who == Who::Coordinator { "\"listening\"" } else { "linked" };
        self.heard(|line| line.contains(word).then_some(())).map(|(at, ())| at)
    }

    /// Waits until it has said something.
    #[track_caller]
    pub(crate) fn wait_for<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let ended = self.ended();
            if let Some((_, found)) = self.heard(&wanted) {
                return found;
            }
            let who = self.who;
            assert!(ended.is_none(), "{who} ended ({ended:?}) without it:\n{}", self.words());
            assert!(Instant::now() < until, "{who} did not say it in time:\n{}", self.words());
            thread::sleep(LOOK);
        }
    }

    /// The status, if it has ended; then all that it has said was heard.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.child.try_wait().expect("its parent may ask");
        if ended.is_some() {
            for listener in self.listening.drain(..) {
                listener.join().expect("a listener does not panic");
            }
        }
        ended
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < until, "{} does not end:\n{}", self.who, self.words());
            thread::sleep(LOOK);
        }
    }

    /// Kills it as a power cut does.
    pub(crate) fn kill(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal: `-TERM`, `-STOP`, `-CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        // It may have ended.
        let _ = Command::new("kill").args([signal, &id]).stderr(Stdio::null()).status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn listen(
    pipe: impl Read + Send + 'static,
    said: &Arc<Mutex<Vec<(Instant, String)>>>,
) -> thread::JoinHandle<()> {
    let said = Arc::clone(said);
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            said.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), line));
        }
    })
}
