//! What a researcher and a coordinator say to each other: plans that are submitted, and the runs
//! that come of them. No part of any round: nothing here can change what a round opens, and who
//! takes part in rounds reads none of it.
//!
//! A researcher's link has one control stream and nothing else. The coordinator answers one
//! request after the other, in order:
//!
//! ```text
//! List                  -> Run...            End
//! Show                  -> Run, Round...     End
//! Watch                 -> Round..., Run ... End   whenever something changes, until the run is over
//! Submit                -> Submitted
//! Order                 -> Ordered
//! Plan                  -> Plan
//! Fetch                 -> Piece
//! State                 -> Stated
//! anything              -> Refused
//! ```
//! A request that comes while a run is watched ends the watching. Everything has a limit, and
//! words for people hold no control characters: neither side trusts the other with its terminal.
//!
//! - [`run`](self): what is told of a run
//! - [`refusal`](self): a coded "no"
//! - [`text`](self): words for people

mod refusal;
mod run;
mod text;

use serde::{Deserialize, Serialize};

use crate::hash::Digest;
use crate::limits::{PIECE_BYTES_MAX, PLAN_BYTES_MAX, STATEMENT_BYTES_MAX};
use crate::party::Name;
use crate::wire::BoundedBytes;

pub use refusal::Refusal;
pub use run::{Absence, Few, Now, PlanFault, RoundLine, RunState, RunStatus};
pub use text::{NotPlain, Text};

/// Researcher to coordinator. A run is named by its name, or by its digest or a beginning of that;
/// both have the form of a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromResearcher {
    /// Which runs are there?
    List {
        /// Also those that are over, and plans that were refused.
        all: bool,
    },
    /// How is this run, and how were its rounds?
    Show {
        /// Which run.
        run: Name,
    },
    /// Please carry out this plan. The same plan under the same name is the same run.
    Submit {
        /// The run's name; no other run may have it.
        name: Name,
        /// The plan's file.
        plan: PlanBytes,
    },
    /// Tell me how this run goes on, until it is over.
    Watch {
        /// Which run.
        run: Name,
        /// Rounds up to this one are known already.
        after: u32,
    },
    /// Please do this to the run.
    Order {
        /// Which run.
        run: Name,
        /// What.
        order: Order,
    },
    /// The plan of this run, please.
    Plan {
        /// Which run.
        run: Name,
    },
    /// Please send me bytes of what a round of this run published.
    Fetch {
        /// Which run.
        run: Name,
        /// Which round.
        round: u32,
        /// Which part of it.
        part: Part,
        /// From which byte on.
        offset: u64,
    },
    /// Please record this statement in the ledger. Every member may ask this, of a statement of its own;
    /// all the rest is for researchers.
    State {
        /// What is signed, with the signature.
        statement: StatementBytes,
    },
}

/// What a researcher may have done to its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Finish the round at hand and begin none.
    Pause,
    /// Go on after a pause.
    Resume,
    /// End the run. A round whose key is not being released yet is abandoned: nothing of it is
    /// opened. One that is being released is finished.
    Stop,
}

/// A part of what is published of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// The signed result.
    Publication,
    /// The correction of the contribution whose header has this digest.
    Correction(Digest),
    /// Its chunks, one after the other.
    Chunks(Digest),
}

/// Coordinator to researcher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToResearcher {
    /// No.
    Refused(Refusal),
    /// How a run is.
    Run(Box<RunStatus>),
    /// How a round was.
    Round(Box<RoundLine>),
    /// That was all.
    End,
    /// The plan is recorded: as a run, or as refused.
    Submitted {
        /// The run as it is now.
        run: Box<RunStatus>,
        /// Whether it was not there before.
        is_new: bool,
    },
    /// The order is recorded.
    Ordered {
        /// The run as it is now.
        run: Box<RunStatus>,
        /// Whether the order changed anything.
        is_changed: bool,
    },
    /// The plan's file.
    Plan(PlanBytes),
    /// Bytes of what was asked for, as many as fit a message.
    Piece {
        /// Bytes of the whole part.
        total: u64,
        /// From the offset on.
        bytes: Piece,
    },
    /// The statement is in the ledger, also where it was before.
    Stated {
        /// The number of its entry.
        index: u64,
    },
}

/// A member's signed statement, not checked but for its length.
pub type StatementBytes = BoundedBytes<STATEMENT_BYTES_MAX>;

/// The bytes of a plan's file, not checked but for their number.
pub type PlanBytes = BoundedBytes<{ PLAN_BYTES_MAX as usize }>;

/// A piece of something longer.
pub type Piece = BoundedBytes<PIECE_BYTES_MAX>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::FRAME_BYTES_MAX;
    use crate::wire;

    fn message(plan: PlanBytes) -> FromResearcher {
        FromResearcher::Submit { name: "a".parse().expect("a name"), plan }
    }

    #[test]
    fn a_plan_over_its_limit_is_neither_made_nor_decoded() {
        let most = PLAN_BYTES_MAX as usize;
        assert_eq!(PlanBytes::new(vec![0; most + 1]), None);
        for (bytes, is_taken) in [(most, true), (most + 1, false)] {
            let bytes = wire::encode(&message(BoundedBytes(vec![0; bytes])));
            let decoded = wire::decode::<FromResearcher>(&bytes, FRAME_BYTES_MAX as usize);
            assert_eq!(decoded.is_ok(), is_taken);
        }
        let piece = |bytes| ToResearcher::Piece { total: 9, bytes: BoundedBytes(vec![0; bytes]) };
        for (bytes, is_taken) in [(PIECE_BYTES_MAX, true), (PIECE_BYTES_MAX + 1, false)] {
            let bytes = wire::encode(&piece(bytes));
            let decoded = wire::decode::<ToResearcher>(&bytes, FRAME_BYTES_MAX as usize);
            assert_eq!(decoded.is_ok(), is_taken);
        }
    }

    #[test]
    fn what_a_researcher_asks_is_never_taken_for_what_a_client_says() {
        use crate::message::FromClient;
        let name = || "a".parse().expect("a name");
        let plan = PlanBytes::new(b"schema = \"plan/1\"".to_vec()).expect("short");
        let asked = [
            FromResearcher::List { all: true },
            FromResearcher::Show { run: name() },
            message(plan),
            FromResearcher::Order { run: name(), order: Order::Stop },
        ];
        for request in asked {
            let bytes = wire::encode(&request);
            assert!(wire::decode::<FromClient>(&bytes, 1024).is_err(), "{request:?}");
        }
    }
}
