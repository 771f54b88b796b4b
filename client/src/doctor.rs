//! Before a client starts: everything that its owner would have to put right.

use std::path::{Path, PathBuf};

use covey_aggregation::party::Role;
use covey_aggregation::program::doctor::{Diagnosis, member, path, place};
use covey_aggregation::program::{Exit, Failure};
use covey_model::device::{Compute, DeviceChoice};

use crate::check;
use crate::config::Config;
use crate::outbound;
use crate::outbound::chain::{files_of, walk};
use crate::pause::Pause;
use crate::privacy::Account;

/// Looks at everything that the configuration at `config` names. Says nothing to anybody but that
/// it dials the coordinator; with a `plan` also reads the data as the plan asks.
///
/// # Errors
/// [`Failure`] when there are no threads to dial with. What is wrong is in the diagnosis.
pub fn examine(config: &Path, plan: Option<&PathBuf>) -> Result<Diagnosis, Failure> {
    let mut diagnosis = Diagnosis::default();
    let config = match Config::read(config) {
        Ok(found) => {
            diagnosis.ok("config", config.display());
            found
        }
        Err(error) => {
            diagnosis.problem("config", error, "correct the line; `init` writes one with comments");
            return Ok(diagnosis);
        }
    };
    let purposes = &config.policy.allow.purposes;
    if purposes.is_empty() {
        let found = "allow.purposes of the policy is empty, so no plan is joined by itself";
        diagnosis.warn("policy", found, "say in policy.toml what the data may be used for");
    } else {
        diagnosis.ok("policy", format!("purposes {}", purposes.join(", ")));
    }
    let membership = member::check(&mut diagnosis, &config.folder, Role::DataOwner);
    place::check(&mut diagnosis, &config.state);
    check_log(&mut diagnosis, &config.state.join(outbound::FOLDER));
    if Pause::of(&config.state).is_set() {
        diagnosis.warn("pause", "the client is paused", "covey-client resume");
    }
    check_data(&mut diagnosis, &config, plan);
    check_account(&mut diagnosis, &config);
    check_device(&mut diagnosis, &config);
    if let Some(membership) = membership {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(Exit::Failed, "RUNTIME", error))?;
        runtime.block_on(path::check(&mut diagnosis, &membership, &config.route()));
    }
    Ok(diagnosis)
}

fn check_log(diagnosis: &mut Diagnosis, folder: &Path) {
    let walked =
        files_of(folder).map_err(Into::into).and_then(|paths| walk(&paths, &mut |_, _| {}));
    match walked {
        Ok(walked) => diagnosis.ok("log", format!("{} messages sent so far", walked.end.next)),
        Err(error) => diagnosis.failed("log", &error.into(), "covey-client audit verify"),
    }
}

fn check_data(diagnosis: &mut Diagnosis, config: &Config, plan: Option<&PathBuf>) {
    let unreadable = config.data.paths().into_iter().find_map(|path| {
        let opened = std::fs::File::open(path);
        opened.err().map(|error| format!("cannot read {}: {error}", path.display()))
    });
    if let Some(found) = unreadable {
        let fix = "name the owner's files in the section [data] of client.toml";
        return diagnosis.problem("data", found, fix);
    }
    let Some(plan) = plan else {
        return diagnosis.ok("data", "can be read; --plan FILE tells whether they fit a plan");
    };
    match check::data(&config.data, plan, config.policy.limits.dataset_bytes_max) {
        Ok(summary) => diagnosis.ok("data", format!("fit the plan: {} examples", summary.examples)),
        Err(failure) => diagnosis.failed("data", &failure, "covey-client data check"),
    }
}

/// What was told about the data, and whether more can be written down.
fn check_account(diagnosis: &mut Diagnosis, config: &Config) {
    let account = Account::of(config);
    let place = account.path().display();
    let fix = "name a file that can be written as privacy_account in client.toml";
    match account.charges() {
        Err(error) => diagnosis.problem("privacy", error, "restore the file from a copy"),
        Ok(_) if !account.is_writable() => {
            let found = format!("{place} cannot be written, so no plan with noise is joined");
            diagnosis.warn("privacy", found, fix);
        }
        Ok(charges) => {
            let rounds = charges.len();
            diagnosis.ok("privacy", format!("{rounds} rounds with noise are charged in {place}"));
        }
    }
}

fn check_device(diagnosis: &mut Diagnosis, config: &Config) {
    match Compute::resolve(config.device) {
        Ok(compute) => match compute.note() {
            Some(note) if config.device.choice != DeviceChoice::Cpu => {
                let fix = "device = \"cpu\" in client.toml, if that is what is wanted";
                diagnosis.warn("device", format!("{compute}: {note}"), fix);
            }
            _ => diagnosis.ok("device", format!("trains on {compute}")),
        },
        Err(error) => {
            let fix =
                "mend it, or set device = \"cpu\" or device_fallback = \"cpu\" in client.toml";
            diagnosis.problem("device", error, fix);
        }
    }
}
