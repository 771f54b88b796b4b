//! The way to the coordinator: the name, UDP or TCP, the handshake, and whether it takes this member.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::limits::QUIC_PATIENCE_MS;
use crate::net::error::CloseReason;
use crate::net::{Dialer, LinkError, Membership, Route, Transport, TransportChoice};

use super::Diagnosis;

/// Longest wait for an answer: what UDP is given, and as much for TCP. A handshake over half the world
/// takes well under one second.
const ANSWER: Duration = Duration::from_millis(2 * QUIC_PATIENCE_MS);

/// How long a coordinator may take to turn a member away after the handshake.
const PATIENCE: Duration = Duration::from_millis(500);

/// Dials the coordinator by `route`, says nothing, and hangs up: a running program keeps its link.
pub async fn check(diagnosis: &mut Diagnosis, membership: &Arc<Membership>, route: &Route) {
    let name = "coordinator";
    let mut dialer = match Dialer::new(Arc::clone(membership), route) {
        Ok(dialer) => dialer,
        Err(error) => return diagnosis.problem(name, error, "fetch roster.json from the operator"),
    };
    let probed = timeout(ANSWER, dialer.probe(PATIENCE)).await;
    dialer.close().await;
    match probed {
        Ok(Ok((at, way))) => {
            let found = format!("{at} answers over {way}, and is the one that the roster names");
            match way.transport {
                Transport::Tcp if route.choice() == TransportChoice::Auto => {
                    diagnosis.warn(name, found, NO_UDP);
                }
                _ => diagnosis.ok(name, found),
            }
        }
        Ok(Err(error)) => {
            let fix = fix(&error);
            diagnosis.problem(name, error, fix);
        }
        Err(_) => {
            let (address, seconds) = (route.address(), ANSWER.as_secs());
            let found = format!("nothing answered at {address} within {seconds} s");
            diagnosis.problem(name, found, UNREACHABLE);
        }
    }
}

const UNREACHABLE: &str = "ask the operator whether it runs; let UDP, or TCP, out to that port, in \
                           every firewall on the way";

const NO_UDP: &str = "let UDP out to that port if you can: it is quicker; or set transport = \"tcp\", \
                      which saves the wait";

fn fix(error: &LinkError) -> &'static str {
    match error {
        LinkError::Address { .. } => "set the coordinator's address, host:port, in the settings",
        LinkError::Unreachable { .. } | LinkError::Lost(_) | LinkError::Stalled => UNREACHABLE,
        LinkError::Stranger(_) => {
            "somebody else answers there: check the address, and compare the roster's digest"
        }
        LinkError::OtherProtocol | LinkError::Unsupported(_) => {
            "run the same version as the operator"
        }
        LinkError::NotAccepted(_) | LinkError::Closed(_) => match error {
            LinkError::Closed(CloseReason::Busy | CloseReason::ShuttingDown) => "try again later",
            _ => "ask the operator to enrol this member, and take the operator's roster",
        },
        _ => "look at the error; the operator sees the same at the other end",
    }
}
