//! Entries: what a ledger says, one thing each. An entry is compact JSON in one form only, so that
//! its bytes, and with them its leaf in the log, follow from what it says; and so that a page or a
//! script can read it without us.
//!
//! ```json
//! {"schema":"covey-entry/1","federation":"north","time_ms":1796000000000,"kind":"run-ended","body":{}}
//! ```
//!
//! - Fields stand in the order of their type, none is left out; there is no white space.
//! - Digests, keys and signatures are in lower-case hexadecimal. Integers are at most 2^53 - 1 in
//!   absolute value, so that JavaScript reads them exactly; what may be larger is a string of decimal
//!   digits. There is no other number: metrics are in millionths.
//! - What would make an entry longer than [`ENTRY_BYTES_MAX`] is a document ([`crate::document`]).
//! - Every entry has a [subject](Body::subject) that no other entry of the ledger has: writing an
//!   entry again after a crash adds nothing twice.

mod compute;
mod credit;
mod founding;
mod member;
mod payout;
mod plan;
mod review;
mod round;

use std::fmt;

use covey_aggregation::party::Name;
use serde::{Deserialize, Serialize};

pub use self::compute::ComputeReported;
pub use self::credit::{Attested, CreditsSettled, EvidenceGiven, FoldOpened};
pub use self::founding::{Founder, Founding, Seated};
pub use self::member::{Leaving, MemberJoined, MemberLeft, RosterProof, SeatVote};
pub use self::payout::{AddressSet, HeldBack, PayoutMade, WhyHeld};
pub use self::plan::{Ended, PlanAccepted, RunEnded, RunExtended};
pub use self::review::{
    Difference, DisputeOpened, DisputeWithdrawn, ProposalDecided, ProposalOpened, Resolution,
    Verdict, VoteCast,
};
pub use self::round::{
    MeasuredBy, Metric, Missing, MissingCode, Participation, PhaseSpan, Published, ROUND_DELTA,
    RoundClosed, RoundOutcome, SeatFault, Traffic,
};

/// Most bytes of an entry: bundles of entries have lengths of 16 bits (C2SP tlog-tiles).
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Most bytes of a value that an entry holds itself where it could be a document: three of them, and
/// all else, fit into an entry.
pub const HELD_BYTES_MAX: usize = 16_384;

/// Largest integer that JavaScript reads exactly.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// An entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    schema: Schema,
    /// The federation's name: the origin of its log.
    pub federation: Name,
    /// When it was written, in milliseconds since the Unix epoch, by the coordinator's clock.
    pub time_ms: u64,
    /// What it says.
    #[serde(flatten)]
    pub body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Schema {
    #[serde(rename = "covey-entry/1")]
    Entry1,
}

macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident($body:ident) = $text:literal;)*) => {
        /// What an entry says.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", content = "body", rename_all = "kebab-case")]
        pub enum Body { $($(#[$doc])* $name(Box<$body>),)* }

        /// What an entry is about.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "kebab-case")]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As entries have it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        impl Body {
            /// What it is about.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$name(_) => Kind::$name,)* }
            }

            /// What names it: no other entry of the ledger has the same.
            #[must_use]
            pub fn subject(&self) -> String {
                match self { $(Self::$name(body) => body.subject(),)* }
            }
        }

        $(impl From<$body> for Body {
            fn from(body: $body) -> Self {
                Self::$name(Box::new(body))
            }
        })*
    };
}

bodies! {
    /// The federation begins: always the first entry.
    Founding(Founding) = "founding";
    /// Somebody became a member, approved by a quorum of the committee.
    MemberJoined(MemberJoined) = "member-joined";
    /// Somebody is no longer a member.
    MemberLeft(MemberLeft) = "member-left";
    /// A plan will be carried out: a run begins.
    PlanAccepted(PlanAccepted) = "plan-accepted";
    /// A run has more rounds than its plan says.
    RunExtended(RunExtended) = "run-extended";
    /// A round is over.
    RoundClosed(RoundClosed) = "round-closed";
    /// A round opened examples of the validation pool.
    FoldOpened(FoldOpened) = "fold-opened";
    /// What a round says about its owners.
    EvidenceGiven(EvidenceGiven) = "evidence-given";
    /// A run is over.
    RunEnded(RunEnded) = "run-ended";
    /// What a run's owners are credited.
    CreditsSettled(CreditsSettled) = "credits-settled";
    /// What an owner says that a round took.
    ComputeReported(ComputeReported) = "compute-reported";
    /// A member doubts a credit.
    DisputeOpened(DisputeOpened) = "dispute-opened";
    /// It does so no longer.
    DisputeWithdrawn(DisputeWithdrawn) = "dispute-withdrawn";
    /// A reviewer votes on a dispute or a proposal.
    VoteCast(VoteCast) = "vote-cast";
    /// A dispute is decided.
    Resolution(Resolution) = "resolution";
    /// A member proposes something.
    ProposalOpened(ProposalOpened) = "proposal-opened";
    /// A proposal is decided.
    ProposalDecided(ProposalDecided) = "proposal-decided";
    /// A member says where it is paid.
    AddressSet(AddressSet) = "address-set";
    /// What everybody has been paid, all in all.
    PayoutMade(PayoutMade) = "payout-made";
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Bytes that are no entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// Too long.
    #[error("an entry of {bytes} bytes, at most {ENTRY_BYTES_MAX} are allowed")]
    Long {
        /// So many.
        bytes: usize,
    },
    /// No entry, by its JSON.
    #[error("not an entry: {0}")]
    Shape(String),
    /// Readable, but written in another form than the one that entries have.
    #[error("an entry in another form: byte {at} differs")]
    NotCanonical {
        /// The first byte that differs from the one form.
        at: usize,
    },
    /// An integer that JavaScript would round.
    #[error("the integer {0} is beyond 2^53 - 1")]
    Integer(String),
}

impl Entry {
    /// An entry of a federation.
    #[must_use]
    pub fn new(federation: Name, time_ms: u64, body: impl Into<Body>) -> Self {
        Self { schema: Schema::Entry1, federation, time_ms, body: body.into() }
    }

    /// The bytes of the entry: the leaf of the log.
    ///
    /// # Errors
    /// [`BadEntry::Long`], [`BadEntry::Integer`].
    pub fn encode(&self) -> Result<Vec<u8>, BadEntry> {
        let text = self.text();
        if text.len() > ENTRY_BYTES_MAX {
            return Err(BadEntry::Long { bytes: text.len() });
        }
        match inexact_integer(&text) {
            Some(digits) => Err(BadEntry::Integer(digits.to_owned())),
            None => Ok(text.into_bytes()),
        }
    }

    /// From the bytes of an entry.
    ///
    /// # Errors
    /// [`BadEntry`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadEntry> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(BadEntry::Long { bytes: bytes.len() });
        }
        let entry: Self =
            serde_json::from_slice(bytes).map_err(|error| BadEntry::Shape(error.to_string()))?;
        let text = entry.text();
        if text.as_bytes() != bytes {
            let same = text.bytes().zip(bytes).take_while(|(one, other)| one == *other);
            return Err(BadEntry::NotCanonical { at: same.count() });
        }
        match inexact_integer(&text) {
            Some(digits) => Err(BadEntry::Integer(digits.to_owned())),
            None => Ok(entry),
        }
    }

    fn text(&self) -> String {
        // Structures with names, strings, integers and lists: there is nothing that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The first integer outside of strings that is beyond [`INTEGER_MAX`].
fn inexact_integer(json: &str) -> Option<&str> {
    let bytes = json.as_bytes();
    let (mut at, mut in_string) = (0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'0'..=b'9' if !in_string => {
                let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let text = &json[at..at + digits];
                if text.parse::<u64>().map_or(true, |value| value > INTEGER_MAX) {
                    return Some(text);
                }
                at += digits - 1;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests;
