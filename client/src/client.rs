//! A client: its parts put together, and its end.

mod desk;
mod sending;

pub(crate) use desk::SKETCHES_FOLDER;

use covey_aggregation::net::Boxed;
use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::net::{Dialer, Membership};
use covey_aggregation::party::Role;
use covey_aggregation::program::line::{Line, LineEvent};
use covey_aggregation::program::renewal::Renewal;
use covey_aggregation::program::{Exit, Failure, Signal, Stop};
use covey_model::data::DataSource;
use covey_model::device::Compute;
use tokio::time::timeout;

use crate::config::Config;
use crate::event::Event;
use crate::observer::Observer;

use desk::{Desk, End};

/// How long what was said last has to leave when the client stops.
const FLUSH: Duration = Duration::from_secs(2);

/// A client, not started yet.
pub struct Client {
    config: Config,
    observer: Option<Arc<dyn Observer>>,
}

impl Client {
    /// A client with this configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, observer: None }
    }

    /// Lets the embedding program see updates before they are sealed.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Takes part in rounds until asked to stop; returns what asked. `watch` hears what happens.
    ///
    /// # Errors
    /// [`Failure`] when this client cannot work: its files, its state, its device, or a
    /// coordinator that a person has to do something about before there ever was a link.
    pub fn run<'a>(
        self,
        stop: Stop,
        watch: &'a mut (dyn FnMut(Event) + Send),
    ) -> Boxed<'a, Result<Signal, Failure>> {
        Box::pin(self.take_part(stop, watch))
    }

    async fn take_part(
        self,
        mut stop: Stop,
        watch: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Signal, Failure> {
        let Self { config, observer } = self;
        let mut membership = membership_of(&config)?;
        check_data(&config.data)?;
        let compute = Compute::resolve(config.device)
            .map_err(|error| Failure::new(Exit::BadInput, "DEVICE", error))?;
        let nothing_allowed = config.policy.allow.purposes.is_empty().then(|| {
            "allow.purposes of the policy is empty, so no plan is joined by itself: say what your \
             data may be used for, or approve runs one by one (covey-client runs list)"
                .to_owned()
        });
        watch(Event::Ready {
            name: membership.member().name.to_string(),
            device: compute.to_string(),
            note: nothing_allowed.or_else(|| compute.note().map(ToOwned::to_owned)),
        });
        let open =
            |membership: &Membership| Desk::open(&config, &compute, membership, observer.clone());
        let (mut desk, mut events) = open(&membership)?;
        let route = config.route();
        loop {
            if desk.is_at_rest() {
                watch(Event::Paused);
                tokio::select! {
                    signal = stop.draining() => return Ok(signal),
                    () = desk.resumed() => watch(Event::Resumed),
                }
            }
            if desk.is_paused() {
                watch(Event::Pausing);
            }
            let dialer = Dialer::new(Arc::clone(&membership), &route);
            // Whatever this program sends, by this dialer's links or to renew, is logged first.
            let dialer =
                dialer.map_err(|error| Failure::link(&error))?.with_egress(desk.outbound());
            let (by, outbound) = (route.clone(), Some(desk.outbound()));
            let _renewal = Renewal::begin(Arc::clone(&membership), by, outbound);
            let mut line = Line::open(dialer);
            let end = desk.work(&mut line, &mut events, &mut stop, watch).await?;
            if desk.hang_up() {
                let ended = |event| matches!(event, None | Some(LineEvent::Lost(_)));
                let rest = async { while !ended(line.event().await) {} };
                // What does not leave in time is sent when there is a link again.
                let _ = timeout(FLUSH, rest).await;
            }
            line.close().await;
            match end {
                End::Asked(signal) => return Ok(signal),
                End::Paused => {}
                End::Renewed => {
                    // As after a start: everything that matters is on the disk.
                    drop(desk);
                    membership = membership_of(&config)?;
                    (desk, events) = open(&membership)?;
                    let roster = membership.roster();
                    watch(Event::Roster {
                        number: roster.number,
                        digest: roster.digest().to_string(),
                        data_owners: roster.with_role(Role::DataOwner).count(),
                    });
                }
            }
        }
    }
}

fn membership_of(config: &Config) -> Result<Arc<Membership>, Failure> {
    let membership = Membership::load(&config.folder);
    let membership = membership.map_err(|error| Failure::identity(&error))?;
    membership
        .require(Role::DataOwner)
        .map_err(|error| Failure::new(Exit::NoAccess, "IDENTITY", error))?;
    Ok(Arc::new(membership))
}

/// Whether the files are there; whether they fit is known once there is a plan.
fn check_data(data: &DataSource) -> Result<(), Failure> {
    data.paths().into_iter().try_for_each(|path| match std::fs::File::open(path) {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            Err(Failure::new(Exit::BadInput, "DATA", message)
                .with_help("set the section [data] of client.toml to the owner's files"))
        }
    })
}
