//! What a client tells whoever watches it.

use std::fmt;
use std::time::Duration;

use covey_aggregation::hash::Digest;
use covey_aggregation::net::Way;
use covey_ledger::desk::words::amount;
use serde::{Serialize, Serializer};

/// A round, as far as this program knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Round {
    /// Its number; unknown for a round from before a restart.
    pub number: Option<u32>,
    /// Its context.
    #[serde(serialize_with = "digest")]
    pub context: Digest,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "round {number}"),
            None => write!(f, "round {}", self.context.short()),
        }
    }
}

fn digest<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(digest)
}

/// Something happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The client has its keys and records.
    Ready {
        /// Its name.
        name: String,
        /// Where it trains.
        device: String,
        /// Something the owner should know.
        note: Option<String>,
    },
    /// It trains on another device than it began with.
    Device {
        /// Where it trains now.
        device: String,
        /// Why.
        why: String,
    },
    /// It has a link.
    Linked {
        /// The coordinator's address.
        address: String,
        /// What carries it, and why.
        #[serde(flatten)]
        way: Way,
    },
    /// Another list of members is in force, signed by a quorum of the key holders.
    Roster {
        /// Its number.
        number: u32,
        /// Its digest.
        digest: String,
        /// Data owners in it.
        data_owners: usize,
    },
    /// It has none.
    Unlinked {
        /// Why.
        error: String,
        /// Milliseconds to the next attempt, where one failed.
        retry_ms: Option<u64>,
    },
    /// It takes part in a round.
    Joined {
        /// Which.
        round: Round,
        /// Rounds of the plan.
        rounds: u32,
        /// The plan's name.
        plan: String,
        /// The plan's purpose.
        purpose: String,
        /// What leaves this machine in the round, in words.
        sends: String,
    },
    /// It trains.
    Training {
        /// The round.
        round: Round,
        /// Steps done.
        step: u64,
        /// Steps in all.
        steps: u64,
        /// Mean loss of the step's examples.
        loss: f32,
    },
    /// The account of the data was charged with a round's cost in privacy.
    Charged {
        /// The round.
        round: Round,
        /// Epsilon of all rounds about these data so far, this one included.
        epsilon: f64,
        /// Its delta.
        delta: f64,
        /// What the owner allows, if it says.
        budget: Option<f64>,
    },
    /// It has trained and sealed an update, which is stored.
    Sealed {
        /// The round.
        round: Round,
        /// Seconds of training.
        training_seconds: f32,
        /// Seconds of quantising, encrypting and storing.
        sealing_seconds: f32,
    },
    /// It does not send the sealed update now: the owner's policy is against it.
    HeldBack {
        /// The round.
        round: Round,
        /// Why.
        why: String,
    },
    /// It sends the sealed update.
    Uploading {
        /// The round.
        round: Round,
        /// Bytes that have gone, those before a lost link included.
        sent: u64,
        /// Bytes in all.
        bytes: u64,
    },
    /// The coordinator has stored it.
    Uploaded {
        /// The round.
        round: Round,
        /// Bytes that were sent: after a lost link, those that the coordinator did not have.
        bytes: u64,
        /// Seconds it took.
        seconds: f32,
    },
    /// The coordinator has promised to count it, or to name why not.
    Promised {
        /// The round.
        round: Round,
    },
    /// It has proved, in the round's audit, that what it sealed is small.
    Proven {
        /// The round.
        round: Round,
    },
    /// It is in the sum.
    Counted {
        /// The round.
        round: Round,
    },
    /// It is not in the sum.
    NotCounted {
        /// The round.
        round: Round,
        /// Why.
        why: String,
    },
    /// The receipt of a round has come, and holds: the ledger has it, cosigned by a quorum.
    Recorded {
        /// The round.
        round: Round,
        /// The number of its entry.
        entry: u64,
    },
    /// The receipt of the credits of a run has come, and holds.
    Credited {
        /// The run.
        #[serde(serialize_with = "digest")]
        run: Digest,
        /// What this owner is paid, in micro-credits; none where the entry is too long to hold it.
        paid_micro: Option<u64>,
        /// The number of its entry.
        entry: u64,
    },
    /// This client takes no part in a round.
    Declined {
        /// The round.
        round: Round,
        /// What the coordinator is told.
        reason: String,
        /// What only the owner is told.
        why: String,
    },
    /// Something failed that does not end the program.
    Fault {
        /// What.
        what: String,
    },
    /// Its owner has paused it: nothing new is begun.
    Pausing,
    /// It is paused, and has left the coordinator.
    Paused,
    /// Its owner has ended the pause.
    Resumed,
    /// It was asked to stop.
    Draining,
}

impl Event {
    /// Whether it only tells how far something is.
    #[must_use]
    pub const fn is_progress(&self) -> bool {
        matches!(self, Self::Training { .. } | Self::Uploading { .. })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { name, device, note } => {
                write!(f, "{name}, training on {device}")?;
                note.as_ref().map_or(Ok(()), |note| write!(f, "\nnote: {note}"))
            }
            Self::Device { device, why } => write!(f, "training on {device}: {why}"),
            Self::Roster { number, digest, data_owners } => write!(
                f,
                "roster {number} is in force, signed by a quorum of the key holders: {data_owners} \
                 data owners, digest {digest}"
            ),
            Self::Linked { address, way } => {
                write!(f, "linked to the coordinator at {address} by {way}")
            }
            Self::Unlinked { error, retry_ms: Some(ms) } => {
                let wait = Duration::from_millis(*ms).as_secs_f32();
                write!(f, "no link: {error}; again in {wait:.1} s")
            }
            Self::Unlinked { error, retry_ms: None } => write!(f, "the link ended: {error}"),
            Self::Joined { round, rounds, plan, purpose, sends } => {
                write!(f, "{round} of {rounds} of plan {plan} ({purpose}); it sends by {sends}")
            }
            Self::Training { round, step, steps, loss } => {
                write!(f, "{round}: training, step {step} of {steps}, loss {loss:.3}")
            }
            Self::Charged { round, epsilon, delta, budget } => {
                write!(
                    f,
                    "{round}: epsilon {epsilon:.3} at delta {delta:e} of these data is spent"
                )?;
                budget.map_or(Ok(()), |budget| write!(f, ", of {budget}"))
            }
            Self::Sealed { round, training_seconds, sealing_seconds } => write!(
                f,
                "{round}: trained in {training_seconds:.1} s, sealed in {sealing_seconds:.2} s"
            ),
            Self::HeldBack { round, why } => write!(f, "{round}: not sent: {why}"),
            Self::Uploading { round, sent, bytes } => {
                write!(f, "{round}: sending, {sent} of {bytes} bytes")
            }
            Self::Uploaded { round, bytes, seconds } => {
                write!(f, "{round}: sent {bytes} bytes in {seconds:.2} s")
            }
            Self::Promised { round } => {
                write!(f, "{round}: receipt; it will be counted, or named with the reason")
            }
            Self::Proven { round } => write!(f, "{round}: proved that the update is within bounds"),
            Self::Counted { round } => write!(f, "{round}: counted in the sum"),
            Self::NotCounted { round, why } => write!(f, "{round}: not counted: {why}"),
            Self::Recorded { round, entry } => {
                write!(f, "{round}: entry {entry} of the ledger, cosigned by the key holders")
            }
            Self::Credited { run, paid_micro, entry } => {
                write!(f, "run {}: ", run.short())?;
                match paid_micro {
                    Some(micro) => write!(f, "{} to this owner", amount(*micro))?,
                    None => f.write_str("credits")?,
                }
                write!(f, ", entry {entry} of the ledger, cosigned by the key holders")
            }
            Self::Declined { round, reason, why } => {
                write!(f, "{round}: declined ({reason}): {why}")
            }
            Self::Fault { what } => write!(f, "fault: {what}"),
            Self::Pausing => {
                f.write_str("pausing: nothing new is begun, what is sealed already is finished")
            }
            Self::Paused => f.write_str(
                "paused: no part is taken and nothing is sent until: covey-client resume",
            ),
            Self::Resumed => f.write_str("resumed: taking part again"),
            Self::Draining => f.write_str(
                "stopping: nothing new is begun, what is being sent is sent; ask again to stop \
                 at once",
            ),
        }
    }
}
