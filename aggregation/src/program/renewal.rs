//! A member's certificate is renewed while it is good, and nobody has to think of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rand::RngExt as _;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::net::Boxed;
use crate::net::enrolment::{Answer, Application, Desk};
use crate::net::{Egress, LinkError, Membership, Route};
use crate::program::answer::note;

/// Longest sleep: the clock may be set meanwhile, and the machine may sleep.
const LOOK_EVERY: Duration = Duration::from_secs(600);

/// Wait after a renewal that failed: there is a third of the certificate's life for it.
const AGAIN: Duration = Duration::from_secs(600);

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Why a certificate was not renewed.
#[derive(Debug, thiserror::Error)]
pub enum NotRenewed {
    /// The coordinator was not reached.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// It said no, or something else.
    #[error("the coordinator did not renew the certificate: {0}")]
    Refused(String),
    /// What came cannot be stored, or is not this member's.
    #[error("{0}")]
    Certificate(String),
}

/// Renews the certificate once; `egress` is shown what leaves, if there is one.
///
/// # Errors
/// [`NotRenewed`].
pub async fn renew(
    membership: &Arc<Membership>,
    route: &Route,
    egress: Option<Arc<dyn Egress>>,
) -> Result<(), NotRenewed> {
    let mut desk = Desk::dial_member(route, membership, egress).await?;
    desk.ask(&Application::Renew).await?;
    let answer = timeout(ANSWER, desk.answer()).await.unwrap_or(Err(LinkError::Stalled))?;
    desk.close().await;
    match answer {
        Some(Answer::Certificate { member, .. }) => {
            membership.renew(&member).map_err(|error| NotRenewed::Certificate(error.to_string()))
        }
        Some(Answer::Refused(refusal)) => Err(NotRenewed::Refused(refusal.to_string())),
        _ => Err(NotRenewed::Refused("it answered out of turn".to_owned())),
    }
}

/// Renews the certificate once two thirds of its life are over; for programs that run for a moment.
///
/// # Errors
/// [`NotRenewed`].
pub fn renew_if_due<'a>(
    membership: &'a Arc<Membership>,
    route: &'a Route,
) -> Boxed<'a, Result<(), NotRenewed>> {
    Box::pin(renew_late(membership, route))
}

async fn renew_late(membership: &Arc<Membership>, route: &Route) -> Result<(), NotRenewed> {
    let (from, until) = membership.validity();
    let life = until.duration_since(from).unwrap_or_default();
    if SystemTime::now() < from + life.mul_f64(2.0 / 3.0) {
        return Ok(());
    }
    renew(membership, route, None).await
}

/// Ends a membership: asked by the member itself.
///
/// # Errors
/// [`NotRenewed`].
pub async fn leave(membership: &Arc<Membership>, route: &Route) -> Result<(), NotRenewed> {
    let mut desk = Desk::dial_member(route, membership, None).await?;
    desk.ask(&Application::Leave).await?;
    let answer = timeout(ANSWER, desk.answer()).await.unwrap_or(Err(LinkError::Stalled))?;
    desk.close().await;
    match answer {
        Some(Answer::Left) => Ok(()),
        Some(Answer::Refused(refusal)) => Err(NotRenewed::Refused(refusal.to_string())),
        _ => Err(NotRenewed::Refused("it answered out of turn".to_owned())),
    }
}

/// A task that renews; it ends with this value.
pub struct Renewal(JoinHandle<()>);

impl Renewal {
    /// Renews once two thirds of the certificate's life are over, and a little later at random, so that
    /// members who joined together do not come together. Must be called within a tokio runtime.
    #[must_use]
    pub fn begin(
        membership: Arc<Membership>,
        route: Route,
        egress: Option<Arc<dyn Egress>>,
    ) -> Self {
        Self(tokio::spawn(async move {
            loop {
                let (from, until) = membership.validity();
                let life = until.duration_since(from).unwrap_or_default();
                let late = rand::rng().random_range(0.0..1.0 / 12.0);
                let due = from + life.mul_f64(2.0 / 3.0 + late);
                while let Ok(left) = due.duration_since(SystemTime::now()) {
                    sleep(left.min(LOOK_EVERY).max(Duration::from_secs(1))).await;
                }
                if let Err(error) = renew(&membership, &route, egress.clone()).await {
                    let left = until.duration_since(SystemTime::now()).unwrap_or_default();
                    let hours = left.as_secs() / 3600;
                    note(format!(
                        "the certificate was not renewed: {error}; it is good for {hours} h more"
                    ));
                    sleep(AGAIN).await;
                }
            }
        }))
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}
