//! The keys of an owner or a researcher are born.

use std::path::Path;

use covey_aggregation::party::{Name, Role};
use covey_aggregation::program::Failure;
use covey_aggregation::program::enrol::{Enrolment, enrol};

use crate::config::{CONFIG_FILE, Config};
use crate::policy::{self, POLICY_FILE};
use crate::run;

/// Makes an owner's keys, its request, a configuration and a policy in `folder`. The policy allows
/// nothing yet: that is for the owner to say.
///
/// # Errors
/// [`Failure`], naming the file.
pub fn init(folder: &Path, name: Name, coordinator: &str) -> Result<Enrolment, Failure> {
    let config = Config::template(coordinator);
    // First, as what a request stands beside is whole.
    policy::commands::write_missing(&folder.join(POLICY_FILE))?;
    enrol(folder, name, Role::DataOwner, None, (CONFIG_FILE, &config))
}

/// Makes a researcher's keys, its request and a configuration in `folder`.
///
/// # Errors
/// [`Failure`], naming the file.
pub fn init_researcher(folder: &Path, name: Name, coordinator: &str) -> Result<Enrolment, Failure> {
    let config = run::Config::template(coordinator);
    enrol(folder, name, Role::Researcher, None, (run::CONFIG_FILE, &config))
}
