//! A member's requests beside its link: one connection, one request, one answer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::limits::BULK_ANSWER_MS;
use crate::net::{Boxed, Dialer, LinkError, Membership, Route};
use crate::program::{Exit, Failure};
use crate::research::{FromResearcher, Refusal, StatementBytes, ToResearcher};

/// Longest wait for an answer: what is asked for is on the coordinator's disk before it answers.
const ANSWER: Duration = Duration::from_millis(BULK_ANSWER_MS);

/// Has a statement recorded in the ledger, as the member whose folder this is. Returns the number of its
/// entry. Asked again with the same statement, the answer is the same.
///
/// # Errors
/// [`Failure`]: the member's files, the link, or the ledger's rules.
pub fn state<'a>(
    folder: &'a Path,
    route: &'a Route,
    statement: StatementBytes,
) -> Boxed<'a, Result<u64, Failure>> {
    Box::pin(async move {
        match ask(folder, route, &FromResearcher::State { statement }).await? {
            ToResearcher::Stated { index } => Ok(index),
            ToResearcher::Refused(refusal) => Err(refused(&refusal)),
            _ => {
                Err(Failure::new(Exit::Failed, "PROTOCOL", "the coordinator answered out of turn")
                    .with_help("do both sides run the same version?"))
            }
        }
    })
}

async fn ask(
    folder: &Path,
    route: &Route,
    request: &FromResearcher,
) -> Result<ToResearcher, Failure> {
    let no_link = |error: LinkError| Failure::link(&error);
    let answer = match ask_once(folder, route, request).await? {
        // Another roster is in force, and stored.
        Err(LinkError::Renewed { .. }) => ask_once(folder, route, request).await?,
        answer => answer,
    };
    answer.map_err(no_link)
}

async fn ask_once(
    folder: &Path,
    route: &Route,
    request: &FromResearcher,
) -> Result<Result<ToResearcher, LinkError>, Failure> {
    let membership = Membership::load(folder).map_err(|error| Failure::identity(&error))?;
    let dialer = Dialer::new(Arc::new(membership), route.clone());
    let mut dialer = dialer.map_err(|error| Failure::link(&error))?.to_desk();
    let answer = async {
        let mut link = dialer.connect_once().await?;
        link.sender.send(request).await?;
        link.receiver.receive().await?.ok_or(LinkError::Truncated)
    };
    let answer = timeout(ANSWER, answer).await.unwrap_or(Err(LinkError::Stalled));
    dialer.close().await;
    Ok(answer)
}

fn refused(refusal: &Refusal) -> Failure {
    let exit = match refusal {
        Refusal::NotResearcher { .. } => Exit::NoAccess,
        Refusal::NotRecorded { .. } => Exit::BadInput,
        Refusal::Busy { .. } => Exit::TimedOut,
        _ => Exit::Failed,
    };
    Failure::new(exit, refusal.code(), refusal)
}
