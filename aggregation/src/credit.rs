//! Credits: what each owner's data were worth, from three released scores per owner and round. Pure
//! arithmetic in integers; there is no float in here, so that everybody gets the same.
//!
//! Notation of the design note on credits (section 5): in a round, `c = sqrt(min(count, 4 medians)) s`
//! and `q = B c / sum |c|`, in micro-credits, by largest remainder. Over an epoch of E rounds with
//! evidence, `Q = sum q` (absent: 0), `se = sqrt(E) sd(q)`; the pool `B E` is divided by
//! `max(Q - debt - lambda se, 0)`, by largest remainder. What is below 0 pays nothing and is owed in
//! the next epoch, at most one epoch's average credit.
//!
//! - [`CreditTerms`]: budget, epoch and constants, fixed before the epoch
//! - [`Evidence`], [`RoundEvidence`]: what a round says about its owners
//! - [`pool`]: the validation pool, and the fold that each round draws from it
//! - [`CreditConfig`], [`CreditState`], [`Attestation`]: a round's terms of credit, what rounds leave
//!   for the next, and what holders sign of it
//! - [`settle`]: the rules; [`Settlement`], [`Account`], [`Debt`]: what comes of them
//! - [`Flag`], [`Duplicate`]: for review; they never change a payment
//! - [`explain`]: why an owner is credited what it is
//! - [`weights`]: how much each owner's next update counts, by the study's rule
//! - [`Training`], [`Standings`], [`multiplicities`]: the same in live rounds, where a plan asks for
//!   it: what rounds leave of each owner's evidence, and how often its next update counts
//!
//! # Decisions
//! - A round without evidence (abandoned, or voided because its scores do not add up) gives nothing:
//!   the pool is the budget of the rounds with evidence.
//! - The pay rule counts a round without an owner as 0 for it, spread included. Flags are judged by
//!   the rounds an owner took part in: otherwise whoever is there now and then would be flagged for
//!   that alone.
//! - Roots of counts have [`ROOT_FRACTION_BITS`] bits after the point; every other step is exact, or
//!   rounded as it says. That no step overflows follows from the limits and is checked by the
//!   compiler where it is not plain (`share.rs`, `spread.rs`).
//! - Nobody checks here where evidence comes from: that is the audit's.

mod amount;
mod duplicate;
mod evidence;
mod explain;
mod flag;
pub(crate) mod form;
mod multiplicity;
pub mod pool;
mod settle;
mod settlement;
mod share;
mod spread;
mod standing;
mod state;
mod terms;
mod weights;

pub use self::amount::{Amount, MICRO, Percent};
pub use self::duplicate::Duplicate;
pub use self::evidence::{BadEvidence, Evidence, RoundEvidence, Score};
pub use self::explain::{Case, Change, Explanation, RoundCredit, explain};
pub use self::flag::{
    DUPLICATE_ROUNDS_MIN, FLAG_ROUNDS_MIN, Flag, FlagKind, SHARE_UNITS, Statistic, Statistics,
};
pub use self::multiplicity::{CountedOnce, multiplicities};
pub use self::settle::settle;
pub use self::settlement::{Account, Debt, Settlement};
pub use self::share::ROOT_FRACTION_BITS;
pub use self::standing::{BadStandings, Standing, Standings};
pub use self::state::{
    Attestation, Attested, BadAttested, BadCredit, CreditConfig, CreditState, ModelStep, Training,
    evidence_digest,
};
pub use self::terms::{BadTerms, CreditTerms, Ratio, TermsDraft};
pub use self::weights::{
    BadCandidates, Candidate, FLOOR_MILLIONTHS, FLOORS_MAX, WEIGHT_MILLIONTHS, WEIGHT_ROUNDS_MIN,
    Weight, weights,
};
