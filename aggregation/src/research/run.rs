//! What is told of a run: to researchers, and nothing that its publications and the roster do not
//! tell, but for who is awaited at the moment.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Text;
use crate::evaluation::Scores;
use crate::hash::Digest;
use crate::limits::{NAMES_TOLD_MAX, PLAN_ERRORS_MAX};
use crate::message::Phase;
use crate::party::Name;
use crate::time::Time;
use crate::wire::bounded;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RunState {
    /// It waits until those before it are over.
    Queued,
    /// It is being carried out.
    Running,
    /// It finishes its round, and then pauses.
    Pausing,
    /// Its round is being ended, and then the run.
    Stopping,
    /// It begins no round until it is resumed.
    Paused,
    /// As paused, but the coordinator did it: something needs a person.
    Held,
    /// Over as its plan says: after its last round, or by one of its rules.
    Done,
    /// Over: the next model would have been of no use.
    Diverged,
    /// Over: a researcher stopped it.
    Stopped,
    /// Over: it could not be carried out.
    Failed,
    /// Never begun: the plan was refused.
    Refused,
}

impl RunState {
    /// All of them, with their words.
    pub const NAMED: [(&'static str, Self); 11] = [
        ("queued", Self::Queued),
        ("running", Self::Running),
        ("pausing", Self::Pausing),
        ("stopping", Self::Stopping),
        ("paused", Self::Paused),
        ("held", Self::Held),
        ("done", Self::Done),
        ("diverged", Self::Diverged),
        ("stopped", Self::Stopped),
        ("failed", Self::Failed),
        ("refused", Self::Refused),
    ];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::NAMED.iter().find(|(_, state)| *state == self).map_or("", |(word, _)| word)
    }

    /// The state of this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, _)| *known == word).map(|(_, state)| *state)
    }

    /// Whether nothing will change any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Diverged | Self::Stopped | Self::Failed | Self::Refused)
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A run, as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStatus {
    /// Drawn when the plan was submitted; rounds name it.
    pub run: Digest,
    /// Unique among runs; a refused plan does not take it.
    pub name: Name,
    /// Digest of the plan's bytes.
    pub plan: Digest,
    /// Who submitted it.
    pub by: Name,
    /// When, by the coordinator's clock.
    pub submitted: Time,
    /// Where it stands.
    pub state: RunState,
    /// Why it stands there, where there is more to say.
    pub reason: Option<Text>,
    /// Rounds of the plan; 0 of a refused one.
    pub rounds: u32,
    /// Rounds that are over.
    pub rounds_over: u32,
    /// Of these, rounds whose sum was opened.
    pub rounds_done: u32,
    /// Runs that are to be carried out before it.
    pub ahead: u32,
    /// What goes on in it.
    pub now: Option<Now>,
    /// Of a refused plan: everything that is wrong with it.
    #[serde(deserialize_with = "bounded::<_, _, PLAN_ERRORS_MAX>")]
    pub faults: Vec<PlanFault>,
}

/// What goes on in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Now {
    /// A round cannot begin yet.
    Gathering {
        /// Which.
        round: u32,
        /// What it cannot do without, and has not.
        needed: Text,
        /// Members that are not connected.
        missing: Few,
        /// How long it will wait, in milliseconds.
        left_ms: u64,
    },
    /// A round goes on.
    Round {
        /// Which.
        round: u32,
        /// Its phase.
        phase: Phase,
        /// How many have answered in it.
        answered: u32,
        /// Whom it waits for.
        waiting: Few,
        /// Until the phase's deadline, in milliseconds.
        left_ms: u64,
    },
}

/// Some names, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Few {
    /// The first.
    #[serde(deserialize_with = "bounded::<_, _, NAMES_TOLD_MAX>")]
    pub names: Vec<Name>,
    /// How many are not told.
    pub more: u32,
}

impl Few {
    /// Of all these names.
    #[must_use]
    pub fn of(mut names: Vec<Name>) -> Self {
        let more = names.len().saturating_sub(NAMES_TOLD_MAX);
        names.truncate(NAMES_TOLD_MAX);
        Self { names, more: u32::try_from(more).unwrap_or(u32::MAX) }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.names.len()).unwrap_or(u32::MAX).saturating_add(self.more)
    }
}

impl fmt::Display for Few {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names.iter().map(Name::as_str).collect();
        match (names.is_empty(), self.more) {
            (true, 0) => f.write_str("nobody"),
            (_, 0) => f.write_str(&names.join(", ")),
            (_, more) => write!(f, "{} and {more} more", names.join(", ")),
        }
    }
}

/// One thing that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFault {
    /// A stable code, such as `P020`.
    pub code: Text,
    /// Line in the file, from 1.
    pub line: u32,
    /// Character within the line, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: Text,
    /// What to do.
    pub help: Text,
}

/// How a round was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundLine {
    /// Which.
    pub round: u32,
    /// Why nothing was opened; none where the sum was.
    pub abandoned: Option<Text>,
    /// Owners in the sum.
    pub counted: u32,
    /// Admitted owners that are not in it, and why.
    #[serde(deserialize_with = "bounded::<_, _, NAMES_TOLD_MAX>")]
    pub missing: Vec<Absence>,
    /// How many of them are not told.
    pub missing_more: u32,
    /// Holders that failed, and how.
    #[serde(deserialize_with = "bounded::<_, _, NAMES_TOLD_MAX>")]
    pub faults: Vec<Absence>,
    /// Digest of the parameters after it.
    pub model: Digest,
    /// Digest of the opened aggregate.
    pub aggregate: Option<Digest>,
    /// What owners measured together, of the model that the round began with.
    pub scores: Option<Scores>,
    /// Share of right answers on the coordinator's test data, of the model after it.
    pub accuracy: Option<f64>,
    /// Mean loss there.
    pub loss: Option<f64>,
    /// When it ended, by the coordinator's clock.
    pub ended: Time,
}

/// Somebody, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Who.
    pub name: Name,
    /// Why.
    pub why: Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_word_of_its_own() {
        for (word, state) in RunState::NAMED {
            assert_eq!((state.word(), RunState::of_word(word)), (word, Some(state)));
        }
        assert_eq!(RunState::of_word("gone"), None);
    }

    #[test]
    fn many_names_are_told_by_the_first_of_them() {
        let name = |i: usize| format!("owner-{i}").parse().expect("a name");
        let few = Few::of((0..NAMES_TOLD_MAX + 3).map(name).collect());
        assert_eq!((few.names.len(), few.more), (NAMES_TOLD_MAX, 3));
        assert!(few.to_string().ends_with("and 3 more"));
        assert_eq!(Few::default().to_string(), "nobody");
        assert_eq!(Few::of(vec![name(1), name(2)]).to_string(), "owner-1, owner-2");
    }
}
