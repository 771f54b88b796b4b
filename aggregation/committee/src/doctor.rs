//! Before a holder serves: everything that a person would have to put right.

use std::path::Path;

use covey_aggregation::party::Role;
use covey_aggregation::program::doctor::{Diagnosis, member, path, place};
use covey_aggregation::program::{Exit, Failure};
use covey_model::data::DataSource;

use crate::config::Config;
use crate::sealing::{self, SEALING_FILE};

/// Looks at everything that the configuration at `config` names.
///
/// # Errors
/// [`Failure`] when there are no threads to dial with. What is wrong is in the diagnosis.
pub fn examine(config: &Path) -> Result<Diagnosis, Failure> {
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
    member::check_secret(&mut diagnosis, "sealing key", &config.folder.join(SEALING_FILE));
    let membership = member::check(&mut diagnosis, &config.folder, Role::Holder);
    if let Some(membership) = &membership {
        let listed = membership.member().sealing_key.clone();
        match sealing::load(&config.folder) {
            Ok(secret) if listed == Some(secret.public()) => {}
            Ok(_) => {
                let found = "the roster has another sealing key than this folder";
                let fix = "restore this holder's own sealing.key, or enrol again";
                diagnosis.problem("sealing key", found, fix);
            }
            // Told above.
            Err(_) => {}
        }
    }
    place::check(&mut diagnosis, &config.state);
    check_pool(&mut diagnosis, config.validation_data.as_ref());
    if let Some(membership) = membership {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(Exit::Failed, "RUNTIME", error))?;
        runtime.block_on(path::check(&mut diagnosis, &membership, &config.route()));
    }
    Ok(diagnosis)
}

fn check_pool(diagnosis: &mut Diagnosis, pool: Option<&DataSource>) {
    let Some(pool) = pool else {
        let found = "validation_data is not set: no plan with credit can be carried out";
        return diagnosis.ok("pool", found);
    };
    for path in pool.paths() {
        match std::fs::File::open(path) {
            Ok(_) => diagnosis.ok("pool", path.display()),
            Err(error) => {
                let found = format!("cannot read {}: {error}", path.display());
                let fix = "put the coordinator's file of the validation pool there";
                diagnosis.problem("pool", found, fix);
            }
        }
    }
}
