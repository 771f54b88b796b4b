//! One link to the coordinator, one request after the other.

use std::sync::Arc;
use std::time::Duration;

use covey_aggregation::limits::BULK_ANSWER_MS;
use covey_aggregation::net::{
    Dialer, Link, LinkError, Membership, Route, Transport, TransportChoice,
};
use covey_aggregation::party::Role;
use covey_aggregation::program::answer::note;
use covey_aggregation::program::renewal::renew_if_due;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::research::{FromResearcher, Refusal, ToResearcher};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio::time::timeout;

use super::Config;

/// Longest wait for an answer: a coordinator checks a plan and stores it before it answers.
const ANSWER: Duration = Duration::from_millis(BULK_ANSWER_MS);

/// A link to the coordinator.
pub(super) struct Talk {
    config: Config,
    route: Route,
    dialer: Dialer,
    link: Link,
}

impl Talk {
    /// Dials once.
    ///
    /// # Errors
    /// [`Failure`]: the files are not a researcher's, or there is no link.
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        Self::open_by(config, config.route()).await
    }

    async fn open_by(config: &Config, route: Route) -> Result<Self, Failure> {
        let (dialer, link) = match Self::dial(config, &route).await? {
            // Another roster is in force, and stored.
            Err(LinkError::Renewed { .. }) => Self::dial(config, &route).await?,
            dialled => dialled,
        }
        .map_err(|error| Failure::link(&error))?;
        if link.way.transport == Transport::Tcp && config.transport == TransportChoice::Auto {
            note(format!(
                "linked by {}; transport = \"tcp\" in researcher.toml saves the wait",
                link.way
            ));
        }
        Ok(Self { config: config.clone(), route, dialer, link })
    }

    async fn dial(
        config: &Config,
        route: &Route,
    ) -> Result<Result<(Dialer, Link), LinkError>, Failure> {
        let membership = Membership::load(&config.folder);
        let membership = Arc::new(membership.map_err(|error| Failure::identity(&error))?);
        membership.require(Role::Researcher).map_err(|error| {
            Failure::new(Exit::NoAccess, "NOT_A_RESEARCHER", error).with_help(
                "runs take a researcher's certificate: ask the operator for an invite as \
                 a researcher: covey-client join",
            )
        })?;
        if let Err(error) = renew_if_due(&membership, route).await {
            // It is good for a while yet, or the next line says that it is not.
            note(format!("the certificate was not renewed: {error}"));
        }
        let no_link = |error: LinkError| Failure::link(&error);
        let mut dialer = Dialer::new(membership, route).map_err(no_link)?;
        Ok(dialer.connect_once().await.map(|link| (dialer, link)))
    }

    /// Dials again, for as long as it takes.
    pub(super) async fn reopen(&mut self, lost: &LinkError) -> Result<(), Failure> {
        note(format!("the link is lost ({lost}); the run goes on, dialling again"));
        loop {
            let retry = |error: LinkError, wait: Duration| {
                note(format!("no link ({error}); again in {:.1} s", wait.as_secs_f32()));
            };
            match self.dialer.connect(retry).await {
                Ok(link) => {
                    self.link = link;
                    return Ok(());
                }
                Err(LinkError::Renewed { .. }) => {
                    *self =
                        Box::pin(Self::open_by(&self.config.clone(), self.route.clone())).await?;
                    return Ok(());
                }
                Err(error) if error.is_permanent() => return Err(Failure::link(&error)),
                Err(error) => note(format!("no link ({error})")),
            }
        }
    }

    /// Sends a request.
    pub(super) async fn say(&mut self, request: &FromResearcher) -> Result<(), Failure> {
        self.link.sender.send(request).await.map_err(|error| Failure::link(&error))
    }

    /// Sends a request and waits for the first answer.
    pub(super) async fn ask(&mut self, request: &FromResearcher) -> Result<ToResearcher, Failure> {
        self.say(request).await?;
        self.answer().await
    }

    /// Waits for an answer to the last request.
    pub(super) async fn answer(&mut self) -> Result<ToResearcher, Failure> {
        let answer = timeout(ANSWER, self.next()).await;
        let answer = answer.unwrap_or(Err(LinkError::Stalled));
        match answer.map_err(|error| Failure::link(&error))? {
            ToResearcher::Refused(refusal) => Err(refused(&refusal)),
            answer => Ok(answer),
        }
    }

    /// Waits for whatever the coordinator says next; cancel-safe.
    pub(super) async fn next(&mut self) -> Result<ToResearcher, LinkError> {
        self.link.receiver.receive().await?.ok_or(LinkError::Truncated)
    }
}

impl Drop for Talk {
    /// Says goodbye. Of a program that only ends the coordinator hears nothing until the silence has
    /// lasted, and some commands later all links that a member may have would be taken.
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if runtime.runtime_flavor() == RuntimeFlavor::MultiThread {
            block_in_place(|| runtime.block_on(self.dialer.close()));
        }
    }
}

/// The coordinator said no.
pub(super) fn refused(refusal: &Refusal) -> Failure {
    let (exit, help) = match refusal {
        Refusal::NotResearcher { .. } | Refusal::NotYours { .. } => (Exit::NoAccess, None),
        Refusal::Closed => (
            Exit::Failed,
            Some("ask the operator to leave out `plan` in coordinator.toml, and serve again"),
        ),
        Refusal::NoSuchRun => (Exit::BadInput, Some("covey-client run list --all")),
        Refusal::Ambiguous { .. } => (Exit::BadInput, None),
        Refusal::NameTaken { .. } => {
            (Exit::BadInput, Some("give this run another name: --name NAME"))
        }
        Refusal::NotPublished | Refusal::TooManyRounds { .. } | Refusal::NotRecorded { .. } => {
            (Exit::BadInput, None)
        }
        Refusal::TooMany { .. } | Refusal::TooManyOfYours { .. } | Refusal::Busy { .. } => {
            (Exit::TimedOut, None)
        }
        Refusal::Over { .. } | Refusal::Stopping | Refusal::Malformed => (Exit::Failed, None),
    };
    let failure = Failure::new(exit, refusal.code(), refusal);
    match help {
        Some(help) => failure.with_help(help),
        None => failure,
    }
}

/// The coordinator answered something else than what was asked.
pub(super) fn out_of_turn() -> Failure {
    Failure::new(Exit::Failed, "PROTOCOL", "the coordinator answered out of turn")
        .with_help("do both sides run the same version?")
}
