//! The way to the coordinator: the name, UDP, the handshake, and whether it takes this member.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::net::error::CloseReason;
use crate::net::{Dialer, LinkError, Membership};

use super::Diagnosis;

/// Longest wait for an answer. A handshake over half the world takes well under one second.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a coordinator may take to turn a member away after the handshake.
const PATIENCE: Duration = Duration::from_millis(500);

/// Dials the coordinator at `address`, says nothing, and hangs up: a running program keeps its link.
pub async fn check(diagnosis: &mut Diagnosis, membership: &Arc<Membership>, address: &str) {
    let name = "coordinator";
    let mut dialer = match Dialer::new(Arc::clone(membership), address.to_owned()) {
        Ok(dialer) => dialer,
        Err(error) => return diagnosis.problem(name, error, "fetch roster.json from the operator"),
    };
    let probed = timeout(ANSWER, dialer.probe(PATIENCE)).await;
    dialer.close().await;
    match probed {
        Ok(Ok(at)) => {
            let found = format!("{at} answers over UDP, and is the one that the roster names");
            diagnosis.ok(name, found);
        }
        Ok(Err(error)) => {
            let fix = fix(&error);
            diagnosis.problem(name, error, fix);
        }
        Err(_) => {
            let found = format!("nothing answered at {address} within {} s", ANSWER.as_secs());
            diagnosis.problem(name, found, UNREACHABLE);
        }
    }
}

const UNREACHABLE: &str = "ask the operator whether it runs; let UDP out to that port, in every \
                           firewall on the way";

fn fix(error: &LinkError) -> &'static str {
    match error {
        LinkError::Address { .. } => "set the coordinator's address, host:port, in the settings",
        LinkError::Unreachable { .. } | LinkError::Lost(_) | LinkError::Stalled => UNREACHABLE,
        LinkError::Stranger(_) => {
            "somebody else answers there: check the address, and compare the roster's digest"
        }
        LinkError::OtherProtocol => "run the same version as the operator",
        LinkError::NotAccepted(_) | LinkError::Closed(_) => match error {
            LinkError::Closed(CloseReason::Busy | CloseReason::ShuttingDown) => "try again later",
            _ => "ask the operator to enrol this member, and take the operator's roster",
        },
        _ => "look at the error; the operator sees the same at the other end",
    }
}
