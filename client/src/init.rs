//! The keys of an owner or a researcher are born.

use covey_aggregation::net::Boxed;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::net::{Invite, Membership, TransportChoice};
use covey_aggregation::party::{Name, Role};
use covey_aggregation::program::enrol::{Enrolment, enrol};
use covey_aggregation::program::joining::{self, Joined, Joining, Progress};
use covey_aggregation::program::{Exit, Failure, renewal};

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

/// Becomes a member by an invite: an owner or a researcher, as the invite says.
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
    let (name, text) = match invite.role {
        Role::Researcher => (run::CONFIG_FILE, run::Config::template(&invite.address)),
        _ => (CONFIG_FILE, Config::template(&invite.address)),
    };
    if invite.role == Role::DataOwner {
        policy::commands::write_missing(&folder.join(POLICY_FILE))?;
    }
    let (sealing_key, config) = (None, (name, text.as_str()));
    let joining = Joining { folder, invite, sealing_key, config, transport, patience };
    joining::join(joining, watch).await
}

/// Ends a membership.
///
/// # Errors
/// [`Failure`]: it was not confirmed, or the coordinator was not reached.
pub fn leave(config: &Config, is_confirmed: bool) -> Boxed<'_, Result<String, Failure>> {
    Box::pin(leave_for_good(config, is_confirmed))
}

async fn leave_for_good(config: &Config, is_confirmed: bool) -> Result<String, Failure> {
    let membership = Membership::load(&config.folder).map_err(|error| Failure::identity(&error))?;
    let (name, federation) =
        (membership.member().name.clone(), membership.roster().federation.clone());
    if !is_confirmed {
        let what = format!("{name} would leave {federation} for good");
        return Err(Failure::new(Exit::BadInput, "NOT_CONFIRMED", what).with_help("add --yes"));
    }
    renewal::leave(&Arc::new(membership), &config.route())
        .await
        .map_err(|error| Failure::new(Exit::NoAccess, "NOT_LEFT", error))?;
    Ok(format!(
        "{name} has left {federation}: the coordinator shuts this key out; a round that counts an \
         update of {name} already keeps it"
    ))
}
