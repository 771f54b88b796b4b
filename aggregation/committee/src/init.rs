//! A holder's keys are born.

use std::path::Path;

use covey_aggregation::net::files;
use covey_aggregation::party::{Name, Role};
use covey_aggregation::program::Failure;
use covey_aggregation::program::enrol::{Enrolment, enrol, secret};

use crate::config::{CONFIG_FILE, Config};
use crate::sealing::{self, SEALING_FILE};

/// Makes a holder's keys, its request and a configuration in `folder`.
///
/// # Errors
/// [`Failure`], naming the file.
pub fn init(folder: &Path, name: Name, coordinator: &str) -> Result<Enrolment, Failure> {
    files::create_private_folder(folder).map_err(|error| Failure::file(&error))?;
    if !folder.join(SEALING_FILE).exists() {
        sealing::create(folder, &secret()?).map_err(|error| Failure::file(&error))?;
    }
    let sealing_key = sealing::load(folder).map_err(|error| Failure::file(&error))?.public();
    let config = (CONFIG_FILE, Config::template(coordinator));
    enrol(folder, name, Role::Holder, Some(sealing_key), (config.0, &config.1))
}
