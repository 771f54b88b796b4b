//! The owner's keys are born.

use std::path::Path;

use covey_aggregation::party::{Name, Role};
use covey_aggregation::program::Failure;
use covey_aggregation::program::enrol::{Enrolment, enrol};

use crate::config::{CONFIG_FILE, Config};

/// Makes an owner's keys, its request and a configuration in `folder`.
///
/// # Errors
/// [`Failure`], naming the file.
pub fn init(folder: &Path, name: Name, coordinator: &str) -> Result<Enrolment, Failure> {
    let config = Config::template(coordinator);
    enrol(folder, name, Role::DataOwner, None, (CONFIG_FILE, &config))
}
