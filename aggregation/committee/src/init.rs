//! A holder's keys are born.

use covey_aggregation::net::Boxed;
use std::path::Path;
use std::time::Duration;

use covey_aggregation::config::SealingKey;
use covey_aggregation::net::{Invite, TransportChoice, files};
use covey_aggregation::party::{Name, Role};
use covey_aggregation::program::Failure;
use covey_aggregation::program::enrol::{Enrolment, enrol, secret};
use covey_aggregation::program::joining::{self, Joined, Joining, Progress};

use crate::config::{CONFIG_FILE, Config};
use crate::sealing::{self, SEALING_FILE};

/// Makes a holder's keys, its request and a configuration in `folder`.
///
/// # Errors
/// [`Failure`], naming the file.
pub fn init(folder: &Path, name: Name, coordinator: &str) -> Result<Enrolment, Failure> {
    let sealing_key = sealing_key(folder)?;
    let config = (CONFIG_FILE, Config::template(coordinator));
    enrol(folder, name, Role::Holder, Some(sealing_key), (config.0, &config.1))
}

/// The same by an invite, up to a member's folder.
///
/// # Errors
/// [`Failure`]: a file, the link, the coordinator's no, or others that were not there in time.
pub fn join<'a>(
    invite: &'a Invite,
    folder: &'a Path,
    how: (TransportChoice, Duration),
    watch: &'a mut (dyn FnMut(Progress) + Send),
) -> Boxed<'a, Result<Joined, Failure>> {
    Box::pin(join_with(invite, folder, how, watch))
}

async fn join_with(
    invite: &Invite,
    folder: &Path,
    (transport, patience): (TransportChoice, Duration),
    watch: &mut (dyn FnMut(Progress) + Send),
) -> Result<Joined, Failure> {
    let sealing_key = Some(sealing_key(folder)?);
    let text = Config::template(&invite.address);
    let config = (CONFIG_FILE, text.as_str());
    let joining = Joining { folder, invite, sealing_key, config, transport, patience };
    joining::join(joining, watch).await
}

/// The public part of the folder's sealing key, which is made if need be.
fn sealing_key(folder: &Path) -> Result<SealingKey, Failure> {
    files::create_private_folder(folder).map_err(|error| Failure::file(&error))?;
    if !folder.join(SEALING_FILE).exists() {
        sealing::create(folder, &secret()?).map_err(|error| Failure::file(&error))?;
    }
    Ok(sealing::load(folder).map_err(|error| Failure::file(&error))?.public())
}
