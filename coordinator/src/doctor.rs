//! Before a coordinator serves: everything that its operator would have to put right.

mod database;

use std::net::{TcpListener, UdpSocket};
use std::path::Path;

use covey_aggregation::limits::{CONTRIBUTIONS_FLOOR, PLAN_BYTES_MAX};
use covey_aggregation::net::{TcpDoor, files};
use covey_aggregation::party::Role;
use covey_aggregation::plan::Plan;
use covey_aggregation::program::doctor::{Diagnosis, member, place};
use covey_aggregation::roster::Roster;
use covey_model::data::DataSource;

use crate::config::{Config, Positive};
use crate::storage::blobs::Depot;
use crate::storage::place::Databases;

/// A request to the bucket that fails is tried again for so many seconds.
const PROBE_RETRY_S: u32 = 5;

/// Looks at everything that the configuration at `config` names. Nobody is dialled: whether members
/// reach this machine only their `doctor` can tell.
#[must_use]
pub fn examine(config: &Path) -> Diagnosis {
    examine_with(config, None)
}

/// As [`examine`], with this database instead of the one that the configuration names.
#[must_use]
pub fn examine_with(config: &Path, asked: Option<Databases>) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    let config = match Config::load(config) {
        Ok(mut found) => {
            if let Some(databases) = asked {
                found.databases = databases;
            }
            diagnosis.ok("config", config.display());
            found
        }
        Err(error) => {
            diagnosis.problem("config", error, "correct the line; `init` writes one with comments");
            return diagnosis;
        }
    };
    if let Some(membership) = member::check(&mut diagnosis, &config.member_dir, Role::Coordinator) {
        check_roster(&mut diagnosis, membership.roster());
    }
    let is_running = place::check(&mut diagnosis, &config.state_dir);
    database::check(&mut diagnosis, &config);
    check_objects(&mut diagnosis, &config);
    check_port(&mut diagnosis, &config, is_running);
    check_tcp_port(&mut diagnosis, &config, is_running);
    check_plan(&mut diagnosis, config.plan.as_deref());
    for (name, data) in
        [("test data", config.test_data.as_ref()), ("pool", config.validation_data.as_ref())]
    {
        check_data(&mut diagnosis, name, data);
    }
    diagnosis
}

fn check_roster(diagnosis: &mut Diagnosis, roster: &Roster) {
    let count = |role| roster.with_role(role).count();
    let owners = count(Role::DataOwner);
    let found = format!("{} holders, {owners} data owners", count(Role::Holder));
    if owners < CONTRIBUTIONS_FLOOR as usize {
        let fix =
            format!("enrol {CONTRIBUTIONS_FLOOR} data owners at least: no sum of fewer is opened");
        diagnosis.warn("members", found, fix);
    } else {
        diagnosis.ok("members", found);
    }
}

/// Whether the bucket takes an object, gives it back, lists it and removes it.
fn check_objects(diagnosis: &mut Diagnosis, config: &Config) {
    let Some(mut objects) = config.objects.clone() else { return };
    // Whoever asks waits for the answer; serving is more patient.
    let patience = objects.s3.retry_s.value().min(PROBE_RETRY_S);
    objects.s3.retry_s = Positive::of(patience);
    let probed = Depot::new(&config.state_dir, Some(&objects)).and_then(|depot| depot.probe());
    match probed {
        Ok(()) => {
            diagnosis.ok("objects", format!("{}: written, read, listed, removed", objects.url));
        }
        Err(error) => {
            let fix = "check the server, the bucket, and the keys: in [s3] credentials, or in the \
                       environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)";
            diagnosis.problem("objects", error, fix);
        }
    }
}

/// Whether the port can be taken. While the program runs it has it.
fn check_port(diagnosis: &mut Diagnosis, config: &Config, is_running: bool) {
    let at = config.listen;
    match UdpSocket::bind(at) {
        Ok(_) => diagnosis.ok("port", format!("{at} (UDP) is free; members must reach it")),
        Err(error) if is_running && error.kind() == std::io::ErrorKind::AddrInUse => {
            diagnosis.ok("port", format!("{at} (UDP) is in use, as by the running program"));
        }
        Err(error) => {
            let found = format!("cannot listen at {at} (UDP): {error}");
            let fix = "stop what listens there, or set another `listen` in coordinator.toml";
            diagnosis.problem("port", found, fix);
        }
    }
}

/// The same for TCP.
fn check_tcp_port(diagnosis: &mut Diagnosis, config: &Config, is_running: bool) {
    let at = match config.listen_tcp {
        TcpDoor::Same => config.listen,
        TcpDoor::At(address) => address,
        TcpDoor::Off => {
            let found = "listen_tcp is off: members whose UDP does not get through stay out";
            return diagnosis.ok("tcp port", found);
        }
    };
    match TcpListener::bind(at) {
        Ok(_) => diagnosis.ok("tcp port", format!("{at} (TCP) is free")),
        Err(error) if is_running && error.kind() == std::io::ErrorKind::AddrInUse => {
            diagnosis.ok("tcp port", format!("{at} (TCP) is in use, as by the running program"));
        }
        Err(error) => {
            let found = format!("cannot listen at {at} (TCP): {error}");
            let fix = "stop what listens there, or set listen_tcp in coordinator.toml";
            diagnosis.problem("tcp port", found, fix);
        }
    }
}

fn check_plan(diagnosis: &mut Diagnosis, plan: Option<&Path>) {
    let Some(path) = plan else {
        return diagnosis.ok("plan", "none: plans are taken from researchers");
    };
    let fix = "covey-client plan check tells every error with its line";
    let bytes = match files::read(path, PLAN_BYTES_MAX.into()) {
        Ok(bytes) => bytes,
        Err(error) => return diagnosis.problem("plan", error, fix),
    };
    match Plan::from_bytes(&bytes) {
        Ok(plan) => diagnosis.ok("plan", format!("{} ({})", plan.name, path.display())),
        Err(error) => diagnosis.problem("plan", format!("{}: {error}", path.display()), fix),
    }
}

fn check_data(diagnosis: &mut Diagnosis, name: &'static str, data: Option<&DataSource>) {
    for path in data.into_iter().flat_map(DataSource::paths) {
        match std::fs::File::open(path) {
            Ok(_) => diagnosis.ok(name, path.display()),
            Err(error) => {
                let found = format!("cannot read {}: {error}", path.display());
                diagnosis.problem(name, found, "let the program's user read it");
            }
        }
    }
}
