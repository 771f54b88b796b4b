//! A whole federation as people run it: the real programs, each a process of its own.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod fault;
pub(crate) mod network;

use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fault::Fault;
use network::Network;
use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for anything; far beyond what a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// How often it is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(5);

pub(crate) const HOLDERS: usize = 4;

/// Somebody with a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Coordinator,
    Holder(usize),
    Owner(usize),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator => f.write_str("coordinator"),
            Self::Holder(index) => write!(f, "holder-{index}"),
            Self::Owner(index) => write!(f, "owner-{index}"),
        }
    }
}

impl Who {
    const fn program(self) -> &'static str {
        match self {
            Self::Coordinator => "covey-coordinator",
            Self::Holder(_) => "covey-committee",
            Self::Owner(_) => "covey-client",
        }
    }

    const fn verb(self) -> &'static str {
        match self {
            Self::Owner(_) => "start",
            Self::Coordinator | Self::Holder(_) => "serve",
        }
    }

    const fn config(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator.toml",
            Self::Holder(_) => "holder.toml",
            Self::Owner(_) => "client.toml",
        }
    }
}

/// Where a program is: beside this package's own, where `cargo test --workspace` puts them all.
fn path_of(program: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_covey-coordinator")).with_file_name(program);
    assert!(
        path.exists(),
        "there is no {}: run the tests of the whole workspace, or build it first \
         (cargo build --release --workspace)",
        path.display()
    );
    path
}

/// Runs a program to its end.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(path_of(program));
    command.args(arguments).env_remove("COVEY_JSON").stdin(Stdio::null());
    command.output().expect("started")
}

/// Runs a program that must be done; its answer.
#[track_caller]
pub(crate) fn answer(program: &str, arguments: &[&str]) -> Value {
    let output = run(program, &[arguments, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {output:?} {said}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// What a test chooses of its plan, which is for pictures of 2 x 2 pixels in two classes, audited.
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) minimum: u32,
    /// The longest wait for a holder, in seconds.
    pub(crate) holders_s: u32,
    pub(crate) is_audited: bool,
    /// Then the minimum is 5 at least, and coordinator and holders have a pool.
    pub(crate) has_credit: bool,
    /// Whether owners add noise, and keep an account of what it costs.
    pub(crate) has_noise: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            rounds: 1,
            minimum: 3,
            holders_s: 30,
            is_audited: true,
            has_credit: false,
            has_noise: false,
        }
    }
}

/// Examples of a fold, the fewest that a plan may have.
const FOLD: u32 = 30;

impl Plan {
    fn text(&self) -> String {
        let Self { rounds, minimum, holders_s, is_audited, has_credit, has_noise } = self;
        let credit = match has_credit {
            true => format!("[credit]\nbudget = 10\nfold = {FOLD}\nsteps = 1\n"),
            false => String::new(),
        };
        // Noise needs room, and owners that count alike.
        let (weighting, bits, range, clip, privacy) = match has_noise {
            true => (
                "\"uniform\"",
                16,
                "128",
                "1.0",
                "[privacy]\nunit = \"owner\"\nnoise_multiplier = 1.0\ndelta = 1e-6\n\
                 colluding_max = 0\n",
            ),
            false => ("{ capped_examples = 500 }", 12, "0.5", "20.0", ""),
        };
        let (profile, audit) = if *is_audited { ("B", "closed") } else { ("A", "off") };
        format!(
            "schema = \"plan/1\"\nname = \"small\"\npurpose = \"A test\"\nseed = 7\n\
             [data]\nkind = \"image\"\nheight = 2\nwidth = 2\npixel_max = 16\nclasses = 2\n\
             [model]\nlayers = [{{ kind = \"flatten\" }}, {{ kind = \"linear\", out = 2 }}]\n\
             [training]\nrounds = {rounds}\nbatch_size = 4\n\
             optimizer = {{ name = \"sgd\", lr = 0.1 }}\nweighting = {weighting}\n\
             [cohort]\nminimum = {minimum}\nmaximum = 10\n\
             deadlines = {{ select = \"30s\", collect = \"30s\", vote = \"{holders_s}s\", audit = \"{holders_s}s\", \
             release = \"30s\" }}\n\
             [secure_aggregation]\nprofile = \"{profile}\"\nbits = {bits}\nrange = {range}\n\
             clip_norm = {clip}\naudit = \"{audit}\"\n{credit}{privacy}"
        )
    }

    /// A pool with a fold for each round, half of it of either class.
    fn pool(&self) -> Option<String> {
        let rows = || (0..(self.rounds + 1) * FOLD).map(|row| example(row as usize, 0)).collect();
        self.has_credit.then(rows)
    }
}

/// A picture with its class.
fn example(row: usize, shift: usize) -> String {
    let pixel = |k: usize| (row * (7 + 4 * k) + 3 * k + shift) % 17;
    format!("{},{},{},{},{}\n", pixel(0), pixel(1), pixel(2), pixel(3), row % 2)
}

/// Folders of a coordinator, four holders and some owners, enrolled by the programs themselves.
pub(crate) struct Federation {
    folder: TempDir,
    pub(crate) owners: usize,
    /// Whether its plan asks for noise.
    pub(crate) has_noise: bool,
    /// Where programs run; none for where the test does.
    network: Option<Network>,
}

/// Ports below those that the system gives to whoever asks for any (Linux: from 32768 on): nobody takes
/// one while its coordinator is dead. No federation of this program has that of another one.
const PORTS: Range<u16> = 20_000..32_000;

/// A port of loopback that is free for both UDP and TCP.
fn free_port() -> String {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        // Somewhere else in every program.
        let shift = std::process::id() % u32::from(PORTS.end - PORTS.start);
        AtomicU16::new(u16::try_from(shift).expect("within the range"))
    });
    loop {
        let place = NEXT.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start);
        let address = (Ipv4Addr::LOCALHOST, PORTS.start + place);
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return format!("{}:{}", address.0, address.1);
        }
    }
}

impl Federation {
    /// Enrolled, with their settings, and their data.
    pub(crate) fn new(owners: usize, plan: &Plan) -> Self {
        Self::found(owners, plan, free_port(), None)
    }

    /// The coordinator in one network, everybody else in another.
    pub(crate) fn in_network(owners: usize, plan: &Plan, network: Network) -> Self {
        Self::found(owners, plan, network.coordinator_address(), Some(network))
    }

    fn found(owners: usize, plan: &Plan, address: String, network: Option<Network>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let this = Self { folder, owners, has_noise: plan.has_noise, network };
        let home = this.text(Who::Coordinator);
        answer("covey-coordinator", &["init", "--dir", &home, "--federation", "test"]);
        let mut enrol = vec!["enrol".to_owned(), "--dir".to_owned(), home.clone()];
        for who in this.members() {
            let (name, dir) = (who.to_string(), this.text(who));
            let init = ["init", "--name", &name, "--dir", &dir, "--coordinator", &address];
            answer(who.program(), &init);
            enrol.push(format!("{dir}/request.json"));
        }
        answer("covey-coordinator", &enrol.iter().map(String::as_str).collect::<Vec<_>>());
        let operator = this.home(Who::Coordinator);
        for who in this.members() {
            let (issued, home) = (operator.join("issued").join(who.to_string()), this.home(who));
            for file in ["member.pem", "authority.pem"] {
                fs::copy(issued.join(file), home.join(file)).expect("handed out");
            }
            fs::copy(operator.join("roster.json"), home.join("roster.json")).expect("handed out");
        }
        this.settle(&address, plan);
        this
    }

    fn settle(&self, address: &str, plan: &Plan) {
        let operator = self.home(Who::Coordinator);
        let write = |path: PathBuf, text: &str| fs::write(path, text).expect("written");
        write(operator.join("plan.toml"), &plan.text());
        let owners = self.owners;
        let mut pool_setting = "";
        if let Some(pool) = plan.pool() {
            pool_setting = "validation_data = { format = \"csv\", path = \"pool.csv\", \
                            header = \"absent\" }\n";
            write(operator.join("pool.csv"), &pool);
            for home in (0..HOLDERS).map(|index| self.home(Who::Holder(index))) {
                write(home.join("pool.csv"), &pool);
                let path = home.join("holder.toml");
                let settings = fs::read_to_string(&path).expect("read");
                write(path, &(pool_setting.to_owned() + &settings));
            }
        }
        let settings = format!(
            "listen = \"{address}\"\nplan = \"plan.toml\"\n{pool_setting}\
             [start]\nwait_s = 60\nsettle_s = 20\nowners = {owners}\n\
             [rounds]\nresend_ms = 300\nabandons_in_a_row_max = 9\n"
        );
        write(operator.join("coordinator.toml"), &settings);
        for index in 0..owners {
            let home = self.home(Who::Owner(index));
            let settings = format!(
                "schema = \"client/1\"\ncoordinator = \"{address}\"\ndevice = \"cpu\"\n\
                 data = {{ format = \"csv\", path = \"data.csv\", header = \"absent\" }}\n"
            );
            write(home.join("client.toml"), &settings);
            let policy = "schema = \"policy/1\"\n[require]\nmin_cohort = 3\n[allow]\n\
                          purposes = [\"*\"]\n";
            write(home.join("policy.toml"), policy);
            let rows = (0..8).map(|row| example(row, index));
            write(home.join("data.csv"), &rows.collect::<String>());
        }
    }

    /// Holders and owners.
    pub(crate) fn members(&self) -> impl Iterator<Item = Who> + use<> {
        (0..HOLDERS).map(Who::Holder).chain((0..self.owners).map(Who::Owner))
    }

    pub(crate) fn home(&self, who: Who) -> PathBuf {
        self.folder.path().join(who.to_string())
    }

    fn text(&self, who: Who) -> String {
        self.home(who).to_str().expect("text").to_owned()
    }

    pub(crate) fn state(&self, who: Who) -> PathBuf {
        self.home(who).join("state")
    }

    pub(crate) fn published(&self) -> PathBuf {
        self.state(Who::Coordinator).join("published")
    }

    /// The file that names the calls of somebody's last start.
    pub(crate) fn calls_file(&self, who: Who) -> PathBuf {
        self.folder.path().join(format!("{who}.calls"))
    }

    pub(crate) fn command(&self, who: Who) -> Command {
        let program = path_of(who.program());
        let mut command = match &self.network {
            Some(network) => network.command(who, &program),
            None => Command::new(program),
        };
        command.args(["--json", who.verb(), "--config"]).arg(self.home(who).join(who.config()));
        command.env_remove("COVEY_JSON").env("RAYON_NUM_THREADS", "1").stdin(Stdio::null());
        command
    }

    /// See [`Network::block_udp`].
    pub(crate) fn block_udp(&self) {
        self.network.as_ref().expect("networks of their own").block_udp();
    }

    /// Starts somebody's program.
    pub(crate) fn start(&self, who: Who) -> Process {
        Process::start(who, &mut self.command(who))
    }

    /// Starts somebody's program with its calls counted, and something happening at one of them.
    pub(crate) fn start_watched(&self, who: Who, fault: Option<Fault>) -> Process {
        let (mut command, log) = (self.command(who), self.calls_file(who));
        let _ = fs::remove_file(&log);
        fault::watch(&mut command, &self.home(who), &log, fault);
        Process::start(who, &mut command)
    }
}

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
    fn said(&self) -> MutexGuard<'_, Vec<(Instant, String)>> {
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

/// How a run went in which something happened to somebody.
pub(crate) struct Story {
    /// Those that it happened to, as they were named.
    pub(crate) lives: Vec<Lives>,
    /// The coordinator's last line.
    pub(crate) finished: Value,
    /// The rounds' events, of the coordinator's lives in order.
    pub(crate) rounds: Vec<Value>,
    pub(crate) took: Duration,
}

/// The lives of somebody that something happened to.
#[derive(Default)]
pub(crate) struct Lives {
    /// How often it ended before its time, and with which status.
    pub(crate) ends: Vec<ExitStatus>,
    /// From each start after that until it served again.
    pub(crate) back: Vec<Duration>,
    /// What it said in each life.
    pub(crate) words: Vec<String>,
}

/// All programs at work.
pub(crate) struct Work<'a> {
    pub(crate) federation: &'a Federation,
    pub(crate) processes: Vec<Process>,
    ended_before: Vec<Process>,
}

impl<'a> Work<'a> {
    /// Starts everybody.
    pub(crate) fn start(federation: &'a Federation) -> Self {
        Self::start_with(federation, &[])
    }

    /// Likewise, with something happening to some.
    pub(crate) fn start_with(federation: &'a Federation, faults: &[(Who, Fault)]) -> Self {
        let everybody = [Who::Coordinator].into_iter().chain(federation.members());
        let processes = everybody.map(|who| match faults.iter().find(|(one, _)| *one == who) {
            Some((_, fault)) => federation.start_watched(who, Some(*fault)),
            None => federation.start(who),
        });
        Self { federation, processes: processes.collect(), ended_before: Vec::new() }
    }

    /// Starts everybody else beside a coordinator that is at work.
    pub(crate) fn around(federation: &'a Federation, coordinator: Process) -> Self {
        let members = federation.members().map(|who| federation.start(who));
        let processes = [coordinator].into_iter().chain(members).collect();
        Self { federation, processes, ended_before: Vec::new() }
    }

    /// Starts everybody with their calls counted.
    pub(crate) fn start_all_watched(federation: &'a Federation) -> Self {
        let everybody = [Who::Coordinator].into_iter().chain(federation.members());
        let processes = everybody.map(|who| federation.start_watched(who, None)).collect();
        Self { federation, processes, ended_before: Vec::new() }
    }

    pub(crate) fn process(&mut self, who: Who) -> &mut Process {
        self.processes.iter_mut().find(|one| one.who == who).expect("started")
    }

    /// Starts somebody again with the same command, after it has ended or is killed now.
    pub(crate) fn restart(&mut self, who: Who) {
        let place = self.processes.iter().position(|one| one.who == who).expect("started");
        self.processes[place].kill();
        let again = self.federation.start(who);
        self.ended_before.push(std::mem::replace(&mut self.processes[place], again));
    }

    /// Waits for the run's end. Whoever ends before it is started again with the same command: that
    /// may only be one of `victims`.
    pub(crate) fn finish(mut self, victims: &[Who]) -> Result<Story, String> {
        let began = Instant::now();
        let mut lives: Vec<Lives> = victims.iter().map(|_| Lives::default()).collect();
        loop {
            if began.elapsed() > PATIENCE {
                return Err(format!("not over in {PATIENCE:?}:\n{}", self.words()));
            }
            let mut ended =
                self.processes.iter_mut().filter_map(|one| Some((one.who, one.ended()?)));
            match ended.next() {
                Some((Who::Coordinator, status)) if status.success() => break,
                Some((who, status)) => {
                    let place = victims.iter().position(|victim| *victim == who);
                    let Some(place) = place.filter(|place| lives[*place].ends.len() < 5) else {
                        return Err(format!("{who} ended with {status}:\n{}", self.words()));
                    };
                    lives[place].ends.push(status);
                    self.restart(who);
                }
                None => thread::sleep(LOOK),
            }
        }
        let took = began.elapsed();
        self.processes.iter().for_each(|one| one.signal("-TERM"));
        for one in &mut self.processes {
            one.wait();
        }
        for (who, lives) in victims.iter().zip(&mut lives) {
            self.recall(*who, lives);
        }
        Ok(self.story(lives, took))
    }

    fn lives(&self, who: Who) -> impl Iterator<Item = &Process> {
        self.ended_before.iter().chain(&self.processes).filter(move |one| one.who == who)
    }

    fn recall(&self, victim: Who, lives: &mut Lives) {
        let again = self.lives(victim).skip(1);
        let back = again.filter_map(|one| Some(one.serving_since()?.duration_since(one.began)));
        lives.back = back.collect();
        lives.words = self.lives(victim).map(Process::words).collect();
    }

    fn story(&self, lives: Vec<Lives>, took: Duration) -> Story {
        let named = |name: &str, one: &Process| -> Vec<Value> {
            let said = one.said();
            let events = said.iter().filter_map(|(_, line)| serde_json::from_str(line).ok());
            events.filter(|event: &Value| event["event"] == name).collect()
        };
        let told = |name| self.lives(Who::Coordinator).flat_map(move |one| named(name, one));
        let finished = told("finished").last().unwrap_or_default();
        Story { lives, finished, rounds: told("round").collect(), took }
    }

    /// What everybody said, in every life.
    pub(crate) fn words(&self) -> String {
        let all = self.ended_before.iter().chain(&self.processes);
        all.map(|one| format!("  {}:\n{}", one.who, one.words())).collect()
    }
}

/// Copies a folder with everything in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).expect("an entry");
        if path.is_dir() {
            copy_folder(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("copied");
        }
    }
}
