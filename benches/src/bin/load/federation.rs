//! The plan, the members at work, and how their round went.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use covey_aggregation::net::Membership;
use covey_aggregation::program::Stop;
use covey_benches::Process;
use covey_benches::crowd::{Crowd, HOLDERS};
use covey_committee::config::{CONFIG_FILE as HOLDER_CONFIG, Config as HolderConfig};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::ROUNDS;
use crate::owner::{Owner, Shared};

/// Uploads at once: what a coordinator takes by default.
pub(crate) const UPLOADS: usize = 64;

/// Handshakes at once.
const HANDSHAKES: usize = 32;

/// Owners that seal at once; two processors are busy then.
const SEALING: usize = 2;

/// Side of the plan's pictures.
const SIDE: usize = 16;

/// Classes of the plan's pictures.
const CLASSES: usize = 10;

/// A federation with one large round before it.
pub(crate) struct Federation {
    pub(crate) crowd: Crowd,
}

/// Members at work, in this program; gone when it is dropped.
pub(crate) struct Members {
    _tasks: JoinSet<Result<(), String>>,
    shared: Arc<Shared>,
    owners: usize,
}

/// What sealing came to.
pub(crate) struct Sealed {
    pub(crate) contribution_bytes: u64,
    pub(crate) seconds: f64,
}

/// How the round went.
pub(crate) struct RoundEnd {
    pub(crate) counted: usize,
    pub(crate) phases: Vec<(String, f64)>,
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Federation {
    /// Enrols everybody, and writes plan and settings. The model has about so many parameters.
    pub(crate) fn found(owners: usize, parameters: usize) -> Result<Self, String> {
        let address = free_port().map_err(said)?.to_string();
        let crowd = Crowd::found(owners, &address)?;
        let width = parameters.saturating_sub(CLASSES) / (SIDE * SIDE + 1 + CLASSES);
        let plan = format!(
            "schema = \"plan/1\"\nname = \"load\"\npurpose = \"One large round\"\nseed = 7\n\
             [data]\nkind = \"image\"\nheight = {SIDE}\nwidth = {SIDE}\npixel_max = 16\n\
             classes = {CLASSES}\n\
             [model]\nlayers = [{{ kind = \"flatten\" }}, {{ kind = \"linear\", out = {} }}, \
             {{ kind = \"relu\" }}, {{ kind = \"linear\", out = {CLASSES} }}]\n\
             [training]\nrounds = {ROUNDS}\nbatch_size = 4\n\
             optimizer = {{ name = \"sgd\", lr = 0.1 }}\nweighting = \"uniform\"\n\
             [cohort]\nminimum = {owners}\nmaximum = {owners}\n\
             deadlines = {{ select = \"30m\", collect = \"60m\", vote = \"30m\", release = \"30m\" }}\n\
             [secure_aggregation]\nprofile = \"A\"\nbits = 12\nrange = 0.5\nclip_norm = 20.0\n\
             audit = \"off\"\n",
            width.max(1),
        );
        let settings = format!(
            "listen = \"{address}\"\nplan = \"plan.toml\"\n\
             [start]\nwait_s = 1800\nsettle_s = 600\nowners = {owners}\n"
        );
        let dir = crowd.operator();
        fs::write(dir.join("plan.toml"), plan).map_err(said)?;
        fs::write(dir.join("coordinator.toml"), settings).map_err(said)?;
        Ok(Self { crowd })
    }

    /// Starts four holders and links all owners.
    pub(crate) async fn start(&self, address: SocketAddr) -> Result<Members, String> {
        let owners = self.crowd.owners();
        let shared = Arc::new(Shared {
            address,
            handshakes: Semaphore::new(HANDSHAKES),
            sealing: Semaphore::new(SEALING),
            uploading: Semaphore::new(UPLOADS),
            sealed: AtomicUsize::new(0),
            contribution_bytes: AtomicUsize::new(0),
            promised: AtomicUsize::new(0),
            may_send: watch::Sender::new(0),
        });
        let mut tasks = JoinSet::new();
        for index in 0..HOLDERS {
            let path = self.crowd.holder(index).join(HOLDER_CONFIG);
            let config = HolderConfig::read(&path).map_err(said)?;
            tasks.spawn(async move {
                let (_stopper, stop) = Stop::manual();
                let served = covey_committee::serve::serve(&config, stop, &mut |_| {}).await;
                served.map(|_| ()).map_err(said)
            });
        }
        for index in 0..owners {
            let membership = Membership::load(&self.crowd.owner(index)).map_err(said)?;
            let owner = Owner::new(index, Arc::new(membership), Arc::clone(&shared))?;
            tasks.spawn(owner.take_part());
        }
        Ok(Members { _tasks: tasks, shared, owners })
    }
}

impl Members {
    /// Waits until every owner has sealed its contribution to `round`.
    pub(crate) async fn sealed(&self, round: u32, patience: Duration) -> Result<Sealed, String> {
        let before = (round as usize - 1) * self.owners;
        let count = || self.shared.sealed.load(Ordering::Relaxed).saturating_sub(before);
        let until = Instant::now() + patience;
        let mut began = None;
        while count() < self.owners {
            if count() > 0 {
                began.get_or_insert_with(Instant::now);
            }
            if Instant::now() > until {
                return Err(format!("{} of {} have sealed in {patience:?}", count(), self.owners));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let contribution_bytes = self.shared.contribution_bytes.load(Ordering::Relaxed) as u64;
        let seconds = began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        Ok(Sealed { contribution_bytes, seconds })
    }

    pub(crate) const fn owners(&self) -> usize {
        self.owners
    }

    /// From now on they send to `round`.
    pub(crate) fn send(&self, round: u32) {
        self.shared.may_send.send_replace(round);
    }

    /// Receipts for `round` until now.
    pub(crate) fn promised(&self, round: u32) -> usize {
        let before = (round as usize - 1) * self.owners;
        self.shared.promised.load(Ordering::Relaxed).saturating_sub(before)
    }
}

/// Waits for the end of the round.
pub(crate) fn end_of_round(coordinator: &Process, patience: Duration) -> Result<RoundEnd, String> {
    loop {
        let line = coordinator.next_line(patience)?;
        let event: BTreeMap<String, Value> = serde_json::from_str(&line).map_err(said)?;
        if event.get("event").and_then(Value::as_str) != Some("round") {
            continue;
        }
        let counted = event.get("counted").and_then(Value::as_array).map_or(0, Vec::len);
        let phases = event.get("phases_ms").and_then(Value::as_array).into_iter().flatten();
        let phases = phases.filter_map(|phase| {
            Some((phase[0].as_str()?.to_owned(), phase[1].as_u64()? as f64 / 1e3))
        });
        if event.get("done") != Some(&Value::Bool(true)) {
            return Err(format!("the round was abandoned: {line}"));
        }
        return Ok(RoundEnd { counted, phases: phases.collect() });
    }
}

/// A port of loopback that is free for both UDP and TCP.
fn free_port() -> std::io::Result<SocketAddr> {
    loop {
        let address = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
}
