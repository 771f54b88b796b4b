//! What a coordinator says while it works: one line each, for people or for programs.

mod round;
mod run;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use covey_aggregation::credit::Amount;
use covey_aggregation::message::Phase;
use covey_aggregation::party::{Name, Role};
use serde::{Deserialize, Serialize};

use crate::room::Shortage;

pub use round::{Absence, RoundSummary};
pub use run::RunSummary;

/// Version of the events' JSON form.
pub const SCHEMA_VERSION: u32 = 1;

/// Something happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Members can dial in.
    Listening {
        /// Where, over UDP.
        address: SocketAddr,
        /// Where over TCP, if they may.
        #[serde(default)]
        tcp: Option<SocketAddr>,
    },
    /// The run begins, or goes on after a restart.
    Run {
        /// The run's digest.
        run: String,
        /// The plan's name.
        plan: String,
        /// The plan's rounds.
        rounds: u32,
        /// The round to begin or to go on with.
        round: u32,
        /// Parameters of the model.
        parameters: u64,
        /// Whether it goes on in the middle of a round.
        resumed: bool,
    },
    /// A member connected.
    Joined {
        /// Who.
        name: Name,
        /// As what.
        role: Role,
    },
    /// A member's connection ended.
    Left {
        /// Who.
        name: Name,
        /// As what.
        role: Role,
        /// Why.
        why: String,
    },
    /// Somebody was turned away.
    TurnedAway {
        /// From where.
        address: SocketAddr,
        /// Why.
        why: String,
    },
    /// A member was told no.
    Refused {
        /// Who.
        name: Name,
        /// Why.
        why: String,
    },
    /// A round cannot begin yet.
    Waiting {
        /// The round.
        round: u32,
        /// What it cannot do without, and has not.
        needed: String,
        /// Members that are not connected.
        missing: Vec<Name>,
        /// How long it will wait, in milliseconds.
        left_ms: u64,
    },
    /// A round is not begun before there is room on the disk.
    NoRoom {
        /// The round.
        round: u32,
        /// Bytes that are free.
        free_bytes: u64,
        /// Bytes that are wanted.
        wanted_bytes: u64,
    },
    /// A phase of a round begins.
    Phase {
        /// The round.
        round: u32,
        /// The phase.
        phase: Phase,
        /// Since the round began, in milliseconds.
        at_ms: u64,
    },
    /// Who answered in the current phase, and whom it waits for.
    Progress {
        /// The round.
        round: u32,
        /// The phase.
        phase: Phase,
        /// Who answered.
        answered: Vec<Name>,
        /// Whom it waits for.
        waiting: Vec<Name>,
        /// Until the phase's deadline, in milliseconds.
        left_ms: u64,
    },
    /// The committee is not complete yet: no round can be.
    Founding {
        /// Holders that have joined.
        holders: usize,
        /// Of so many.
        of: usize,
    },
    /// Members came or went: holders are asked to sign the next roster.
    RosterProposed {
        /// Its number.
        number: u32,
        /// Who came.
        joined: Vec<Name>,
        /// Who went.
        left: Vec<Name>,
    },
    /// The next roster cannot be made.
    RosterRefused {
        /// Its number.
        number: u32,
        /// Why.
        why: String,
    },
    /// Another roster is in force; every member dials again and takes it over.
    RosterInForce {
        /// Its number.
        number: u32,
        /// Its digest.
        digest: String,
        /// Who came.
        joined: Vec<Name>,
        /// Who went.
        left: Vec<Name>,
    },
    /// The ledger has so many entries, and a quorum of the key holders has cosigned it.
    Ledger {
        /// So many.
        size: u64,
    },
    /// Too few key holders have cosigned the ledger when the program ends; they are asked at the next
    /// start.
    LedgerOpen {
        /// Its entries.
        size: u64,
        /// Key holders that have cosigned.
        got: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The clock was set back: nothing is written to the ledger until it is past the last entry.
    LedgerClock {
        /// What it says, in milliseconds since 1970.
        now_ms: u64,
        /// The time of the last entry.
        last_ms: u64,
    },
    /// The ledger's rules forbid an entry that would follow from the records.
    NotEntered {
        /// About what.
        what: String,
        /// Why.
        why: String,
    },
    /// A payout that the operator wanted is in the ledger, or cannot be.
    Payout {
        /// Its number.
        number: u32,
        /// The number of its entry, or why there is none.
        entry: Result<u64, String>,
    },
    /// A key holder does not cosign the ledger.
    NotCosigned {
        /// Who, if it is a member.
        name: Option<Name>,
        /// Entries that it has cosigned.
        size: Option<u64>,
        /// Why, as a code of C2SP tlog-witness.
        code: u16,
    },
    /// Somebody wanted to become a member, and was told no.
    NotEnrolled {
        /// From where.
        address: SocketAddr,
        /// Why.
        why: String,
    },
    /// A researcher submitted a plan.
    Submitted {
        /// The run's digest.
        run: String,
        /// Its name.
        name: Name,
        /// Who.
        by: Name,
        /// Whether the plan was refused.
        is_refused: bool,
    },
    /// A run that was submitted stands elsewhere now.
    RunState {
        /// The run's digest.
        run: String,
        /// Its name.
        name: Name,
        /// Where it stands.
        state: String,
        /// Why.
        reason: Option<String>,
    },
    /// The run is not as its plan says.
    Changed {
        /// Who changed it.
        by: String,
        /// What, in a sentence.
        what: String,
    },
    /// Too few contributed to a round in time: collecting goes on once more, as its plan says.
    Extended {
        /// The round.
        round: u32,
        /// Who has contributed or will not.
        answered: Vec<Name>,
        /// Whom it waits for.
        waiting: Vec<Name>,
        /// Milliseconds until it is over for good.
        left_ms: u64,
    },
    /// Nobody is credited for a round, or for the run.
    Uncredited {
        /// The round; none for the whole run.
        round: Option<u32>,
        /// Why.
        why: String,
    },
    /// The examples that owners declare in a round do not add up to the weight in its sum.
    Misweighed {
        /// The round.
        round: u32,
        /// What they declare.
        declared: u64,
        /// What is in the sum.
        sealed: i64,
    },
    /// An owner sealed other check digits than all are to seal.
    CheckDigits {
        /// The round.
        round: u32,
        /// How many are off in its sum.
        wrong: usize,
    },
    /// The run's credits are settled and published.
    Settled {
        /// Where.
        folder: PathBuf,
        /// Owners with an account.
        owners: usize,
        /// Rounds with evidence.
        rounds: usize,
        /// What the run gives, in micro-credits.
        pool_micro: u64,
        /// What is paid of it.
        paid_micro: u64,
    },
    /// A round is over, and its result is durable.
    Round(Box<RoundSummary>),
    /// The run is over, or was stopped.
    Finished(RunSummary),
}

/// The line that a program reads.
#[derive(Serialize)]
struct Line<'a> {
    schema_version: u32,
    #[serde(flatten)]
    event: &'a Event,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    terminal: bool,
}

impl Event {
    /// One line of JSON, without its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let terminal = matches!(self, Self::Finished(_));
        let line = Line { schema_version: SCHEMA_VERSION, event: self, terminal };
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// Names, or how many there are when they are many.
struct Names<'a>(&'a [Name]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("nobody"),
            names if names.len() > 12 => write!(f, "{} members", names.len()),
            names => {
                let names: Vec<_> = names.iter().map(Name::as_str).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening { address, tcp: None } => write!(f, "listening at {address} (UDP)"),
            Self::Listening { address, tcp: Some(tcp) } if tcp == address => {
                write!(f, "listening at {address} (UDP and TCP)")
            }
            Self::Listening { address, tcp: Some(tcp) } => {
                write!(f, "listening at {address} (UDP) and {tcp} (TCP)")
            }
            Self::Founding { holders, of } => {
                write!(f, "founding: {holders} of {of} key holders have joined")
            }
            Self::RosterProposed { number, joined, left } => write!(
                f,
                "roster {number} proposed to the holders: {} joined, {} left",
                Names(joined),
                Names(left)
            ),
            Self::RosterRefused { number, why } => {
                write!(f, "roster {number} cannot be made: {why}")
            }
            Self::RosterInForce { number, digest, joined, left } => write!(
                f,
                "roster {number} is in force ({digest}): {} joined, {} left",
                Names(joined),
                Names(left)
            ),
            Self::Ledger { size } => write!(f, "the ledger has {size} entries, cosigned"),
            Self::LedgerOpen { size, got, needed } => write!(
                f,
                "the ledger of {size} entries is cosigned by {got} key holders, {needed} are \
                 needed; they are asked again at the next start"
            ),
            Self::LedgerClock { now_ms, last_ms } => write!(
                f,
                "the clock says {now_ms} ms since 1970, the ledger's last entry is of {last_ms} ms: \
                 set the clock; nothing is written to the ledger until then"
            ),
            Self::NotEntered { what, why } => {
                write!(f, "{what} is not in the ledger: {why}")
            }
            Self::Payout { number, entry: Ok(entry) } => {
                write!(f, "payout {number} is entry {entry} of the ledger")
            }
            Self::Payout { number, entry: Err(why) } => {
                write!(f, "payout {number} is not recorded: {why}")
            }
            Self::NotCosigned { name, size, code } => {
                let name = name.as_ref().map_or("a key holder", Name::as_str);
                write!(f, "{name} does not cosign the ledger ({code})")?;
                match size {
                    Some(size) => write!(f, "; it has cosigned {size} entries"),
                    None => Ok(()),
                }
            }
            Self::NotEnrolled { address, why } => {
                write!(f, "somebody at {address} was not enrolled: {why}")
            }
            Self::Run { run, plan, rounds, round, parameters, resumed } => {
                let goes = if *resumed { "goes on with" } else { "begins at" };
                write!(
                    f,
                    "run {} of plan {plan}, {parameters} parameters, {goes} round {round} of \
                     {rounds}",
                    &run[..8.min(run.len())]
                )
            }
            Self::Joined { name, role } => write!(f, "{role} {name} connected"),
            Self::Left { name, role, why } => write!(f, "{role} {name} disconnected: {why}"),
            Self::TurnedAway { address, why } => write!(f, "turned away {address}: {why}"),
            Self::Refused { name, why } => write!(f, "refused {name}: {why}"),
            Self::NoRoom { round, free_bytes, wanted_bytes } => {
                let shortage = Shortage { free_bytes: *free_bytes, wanted_bytes: *wanted_bytes };
                write!(f, "round {round} waits for room: {shortage}; it begins once there is")
            }
            Self::Waiting { round, needed, missing, left_ms } => write!(
                f,
                "round {round} waits for {needed}, at most {} s more; not connected: {}",
                left_ms.div_ceil(1000),
                Names(missing)
            ),
            Self::Phase { round, phase, at_ms } => {
                write!(f, "round {round}: {phase:?} ({:.1} s)", seconds(*at_ms))
            }
            Self::Progress { round, phase, answered, waiting, left_ms } => write!(
                f,
                "round {round}: {phase:?}, {} answered, waiting for {}, at most {} s more",
                answered.len(),
                Names(waiting),
                left_ms.div_ceil(1000)
            ),
            Self::Submitted { run, name, by, is_refused } => {
                let what = if *is_refused { "a plan that was refused" } else { "a plan" };
                write!(f, "{by} submitted {what}: {name}, run {}", &run[..8.min(run.len())])
            }
            Self::RunState { name, state, reason, .. } => {
                write!(f, "run {name}: {state}")?;
                reason.as_ref().map_or(Ok(()), |reason| write!(f, ", {reason}"))
            }
            Self::Changed { by, what } => write!(f, "changed by {by}: {what}"),
            Self::Extended { round, answered, waiting, left_ms } => write!(
                f,
                "round {round}: too few have contributed, so it collects once more for {} s; {} have \
                 answered, it waits for {}",
                left_ms / 1000,
                answered.len(),
                Names(waiting)
            ),
            Self::Uncredited { round: Some(round), why } => {
                write!(f, "round {round}: nobody is credited: {why}")
            }
            Self::Uncredited { round: None, why } => write!(f, "nobody is credited: {why}"),
            Self::Misweighed { round, declared, sealed } => write!(
                f,
                "round {round}: owners declare {declared} examples, the sum's weight is {sealed}: one \
                 of them declares another number than it sealed; what is declared counts"
            ),
            Self::CheckDigits { round, wrong } => write!(
                f,
                "round {round}: {wrong} check digits of the sum are off: an owner sealed others; the \
                 sum is that of all that was sealed, and each passed the audit"
            ),
            Self::Settled { folder, owners, rounds, pool_micro, paid_micro } => write!(
                f,
                "credits of {owners} owners for {rounds} rounds: {} of {} are paid; {}",
                Amount::from(*paid_micro),
                Amount::from(*pool_micro),
                folder.display()
            ),
            Self::Round(summary) => summary.fmt(f),
            Self::Finished(summary) => summary.fmt(f),
        }
    }
}

fn seconds(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_event_is_terminal() {
        let phase = Event::Phase { round: 2, phase: Phase::Collect, at_ms: 1500 };
        let line: serde_json::Value = serde_json::from_str(&phase.to_json()).expect("JSON");
        assert_eq!(line["event"], "phase");
        assert_eq!(line["phase"], "Collect");
        assert_eq!(line["schema_version"], 1);
        assert!(line.get("terminal").is_none());
        let finished = Event::Finished(RunSummary {
            run: "00".into(),
            rounds: 3,
            rounds_done: 2,
            rounds_abandoned: 1,
            model: "11".into(),
            model_path: "m".into(),
            accuracy: Some(0.5),
            federated: None,
            ending: "done".into(),
            reason: "all 3 rounds were tried".into(),
            published: "p".into(),
        });
        let line: serde_json::Value = serde_json::from_str(&finished.to_json()).expect("JSON");
        assert_eq!(line["terminal"], true);
        assert_eq!(line["rounds_done"], 2);
    }
}
