//! What goes wrong with a program's storage: at which of its calls, and how.

use std::fmt;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use super::Who;

/// One of each role: the others of it are alike.
pub(crate) const ROLES: [Who; 3] = [Who::Coordinator, Who::Owner(0), Who::Holder(0)];

/// Owners and holders of a federation whose every call is tried: something happens to each in turn.
const ALIKE: usize = 4;

/// Runs at once for each processor: members wait five seconds until they notice that a coordinator is
/// another one, and a run takes a second of a processor's time in all.
const RUNS_AT_ONCE: usize = 8;

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// The process is killed; the call is not done.
    KilledBefore,
    /// The process is killed; the call is done.
    KilledAfter,
    /// The call is told as failed, and is not done.
    FailsUndone(Errno),
    /// The call is told as failed, and is done.
    FailsDone(Errno),
    /// So are it and all that follow, and none is done.
    FailsFromOn(Errno),
}

/// What a failing call is told, by Linux's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errno {
    Io = 5,
    NoSpace = 28,
}

/// Something that happens at the `at`th call of a process, from 1, of those whose line begins with `of`. Threads
/// make which call comes when another one in every run: a certain one is found by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) of: &'static str,
    pub(crate) at: usize,
    pub(crate) happening: Happening,
}

impl Happening {
    pub(crate) const fn kills(self) -> bool {
        matches!(self, Self::KilledBefore | Self::KilledAfter)
    }

    const fn words(self) -> (&'static str, Errno) {
        match self {
            Self::KilledBefore => ("kill-before", Errno::Io),
            Self::KilledAfter => ("kill-after", Errno::Io),
            Self::FailsUndone(errno) => ("fail-before", errno),
            Self::FailsDone(errno) => ("fail-after", errno),
            Self::FailsFromOn(errno) => ("fail-on", errno),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, at, happening } = self;
        let of = if of.is_empty() { String::new() } else { format!(" of {}", of.trim_end()) };
        write!(f, "{happening:?} at call {at}{of}")
    }
}

/// Has the calls of `command` below `root` counted into `log`, and `fault` happen.
pub(crate) fn watch(command: &mut Command, root: &Path, log: &Path, fault: Option<Fault>) {
    command
        .env("LD_PRELOAD", interposer())
        .env("COVEY_FAULT_ROOT", root)
        .env("COVEY_FAULT_LOG", log);
    if let Some(Fault { of, at, happening }) = fault {
        let (what, errno) = happening.words();
        if !of.is_empty() {
            command.env("COVEY_FAULT_OF", of);
        }
        command
            .env("COVEY_FAULT_AT", at.to_string())
            .env("COVEY_FAULT_DO", what)
            .env("COVEY_FAULT_ERRNO", (errno as i32).to_string());
    }
}

impl Fault {
    /// The call at which it happened, as it was logged.
    pub(crate) fn call(&self, log: &Path) -> String {
        let is_one = |call: &String| format!("{call}\n").starts_with(self.of);
        let mut those = calls(log).into_iter().filter(is_one);
        those.nth(self.at - 1).unwrap_or_default()
    }
}

/// Runs in which every call of every role has each of its happenings once, or the part of them that is
/// asked for. To shorten it something happens in one run to one of each role, at calls that are far from
/// one another.
pub(crate) fn every_call<const N: usize>(
    counts: &[(Who, usize)],
    happenings: impl Fn(usize) -> [Happening; N],
) -> Vec<Vec<(Who, Fault)>> {
    let points = |count: usize| {
        let faults = |at| happenings(at).map(|happening| Fault { of: "", at, happening });
        (1..=count).flat_map(faults)
    };
    let longest = counts.iter().map(|(_, count)| count * N).max().unwrap_or(0);
    let mut runs = vec![Vec::new(); longest];
    for (role, (who, count)) in counts.iter().enumerate() {
        for (number, fault) in points(*count).enumerate() {
            let run = (number + role * longest / counts.len()) % longest;
            let who = match who {
                Who::Coordinator => Who::Coordinator,
                Who::Owner(_) => Who::Owner(number % ALIKE),
                Who::Holder(_) => Who::Holder(number % ALIKE),
            };
            runs[run].push((who, fault));
        }
    }
    let (every, first) = part();
    runs.into_iter().skip(first).step_by(every).collect()
}

/// Every how many of the runs are to be done, and from which on: all, unless `COVEY_PART` says `1/4` to
/// `4/4`, or another part.
fn part() -> (usize, usize) {
    let Ok(text) = std::env::var("COVEY_PART") else { return (1, 0) };
    let numbers = text.split_once('/').and_then(|(part, of)| {
        let (part, of): (usize, usize) = (part.parse().ok()?, of.parse().ok()?);
        (1..=of).contains(&part).then_some((of, part - 1))
    });
    numbers.unwrap_or_else(|| panic!("COVEY_PART={text}: write 1/4, or another part"))
}

/// Does runs, some at once, and says from time to time how far it is.
pub(crate) fn side_by_side(runs: Vec<Vec<(Who, Fault)>>, run: impl Fn(&[(Who, Fault)]) + Sync) {
    let (all, began) = (runs.len(), Instant::now());
    let runs = Mutex::new(runs.into_iter().enumerate());
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..RUNS_AT_ONCE * processors {
            scope.spawn(|| {
                loop {
                    let next = runs.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((number, faults)) = next else { break };
                    run(&faults);
                    if number % 50 == 0 {
                        println!("run {number} of {all}, {:.0?}", began.elapsed());
                    }
                }
            });
        }
    });
}

/// The calls that were counted, in order: name and path.
pub(crate) fn calls(log: &Path) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let without_number =
        |line: &str| line.split_once(' ').map_or(line, |(_, rest)| rest).to_owned();
    text.lines().map(without_number).collect()
}

/// The library that does it, compiled once by the compiler that the workspace needs anyway.
fn interposer() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processes/interpose.c");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let library = folder.join(format!("interpose-{}.so", std::process::id()));
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .expect("a C compiler, which building the workspace needs as well");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        library
    })
}
