//! Folders of everybody, enrolled by the programs themselves, and how their programs are started.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

use super::fault::{self, Fault};
use super::network::Network;
use super::plan::example;
use super::{HOLDERS, Plan, Process, Who, answer, path_of};

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
