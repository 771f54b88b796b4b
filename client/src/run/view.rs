//! How runs and rounds are shown, to people and to programs.

use std::fmt;

use covey_aggregation::evaluation::Scores;
use covey_aggregation::party::Name;
use covey_aggregation::research::{Absence, Few, Now, PlanFault, RoundLine, RunState, RunStatus};
use serde::Serialize;

/// A run as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunView {
    /// Its digest.
    pub run: String,
    /// Its name.
    pub name: Name,
    /// Digest of its plan's bytes.
    pub plan: String,
    /// Who submitted it.
    pub by: Name,
    /// When, in milliseconds since 1970.
    pub submitted_ms: u64,
    /// Where it stands, in a word.
    #[serde(serialize_with = "word")]
    pub state: RunState,
    /// Whether nothing will change any more.
    pub is_over: bool,
    /// Why it stands there.
    pub reason: Option<String>,
    /// Rounds of its plan.
    pub rounds: u32,
    /// Rounds that are over.
    pub rounds_over: u32,
    /// Of these, rounds whose sum was opened.
    pub rounds_done: u32,
    /// Runs before it in the queue.
    pub ahead: u32,
    /// What goes on in it.
    pub now: Option<NowView>,
    /// What is wrong with a refused plan.
    pub faults: Vec<FaultView>,
}

/// What goes on in a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NowView {
    /// The round.
    pub round: u32,
    /// Its phase in a word; `gathering` before it can begin.
    pub phase: String,
    /// What it cannot begin without.
    pub needed: Option<String>,
    /// How many have answered in the phase.
    pub answered: u32,
    /// Whom it waits for: the first of them.
    pub waiting: Vec<Name>,
    /// How many more it waits for.
    pub waiting_more: u32,
    /// How long it waits at most, in milliseconds.
    pub left_ms: u64,
}

/// Something that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultView {
    /// A stable code.
    pub code: String,
    /// Line in the file, from 1; 0 where it is about all of it.
    pub line: u32,
    /// Character within the line.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// How a round was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoundView {
    /// Which.
    pub round: u32,
    /// Whether its sum was opened.
    pub done: bool,
    /// Why it was not.
    pub reason: Option<String>,
    /// Owners in the sum.
    pub counted: u32,
    /// Admitted owners that are not in it: the first of them.
    pub missing: Vec<AbsenceView>,
    /// How many more.
    pub missing_more: u32,
    /// Holders that failed.
    pub faults: Vec<AbsenceView>,
    /// Digest of the parameters after it.
    pub model: String,
    /// Digest of the opened aggregate.
    pub aggregate: Option<String>,
    /// What owners measured together, of the model that the round began with.
    pub federated: Option<Scores>,
    /// Share of right answers on the coordinator's test data.
    pub accuracy: Option<f64>,
    /// Mean loss there.
    pub loss: Option<f64>,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: u64,
}

/// Somebody, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AbsenceView {
    /// Who.
    pub name: Name,
    /// Why.
    pub why: String,
}

fn word<S: serde::Serializer>(state: &RunState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.word())
}

impl RunView {
    /// Of what the coordinator tells.
    #[must_use]
    pub fn of(status: RunStatus) -> Self {
        Self {
            run: status.run.to_string(),
            name: status.name,
            plan: status.plan.to_string(),
            by: status.by,
            submitted_ms: status.submitted.0,
            state: status.state,
            is_over: status.state.is_over(),
            reason: status.reason.map(String::from),
            rounds: status.rounds,
            rounds_over: status.rounds_over,
            rounds_done: status.rounds_done,
            ahead: status.ahead,
            now: status.now.map(NowView::of),
            faults: status.faults.into_iter().map(FaultView::of).collect(),
        }
    }

    /// First digits of the digest, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.run[..8.min(self.run.len())]
    }

    /// On one line.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { name, state, rounds, rounds_over, .. } = self;
        let note = self.note();
        let note = if note.is_empty() { note } else { format!(": {note}") };
        format!("run {name} ({}): {state}, {rounds_over} of {rounds} rounds{note}", self.short())
    }

    /// What more there is to say.
    #[must_use]
    pub fn note(&self) -> String {
        let ahead = match self.ahead {
            0 => None,
            1 => Some("1 run is before it".to_owned()),
            more => Some(format!("{more} runs are before it")),
        };
        let faults = match self.faults.len() {
            0 => None,
            1 => Some("1 error in the plan".to_owned()),
            more => Some(format!("{more} errors in the plan")),
        };
        let now = self.now.as_ref().map(ToString::to_string);
        let parts = [self.reason.clone(), ahead, faults, now];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

impl NowView {
    fn of(now: Now) -> Self {
        let view = |round, phase: String, needed, answered, waiting: Few, left_ms| Self {
            round,
            phase,
            needed,
            answered,
            waiting: waiting.names,
            waiting_more: waiting.more,
            left_ms,
        };
        match now {
            Now::Gathering { round, needed, missing, left_ms } => {
                let needed = Some(needed.to_string());
                view(round, "gathering".to_owned(), needed, 0, missing, left_ms)
            }
            Now::Round { round, phase, answered, waiting, left_ms } => {
                let phase = format!("{phase:?}").to_lowercase();
                view(round, phase, None, answered, waiting, left_ms)
            }
        }
    }
}

impl FaultView {
    fn of(fault: PlanFault) -> Self {
        Self {
            code: fault.code.into(),
            line: fault.line,
            column: fault.column,
            message: fault.message.into(),
            help: fault.help.into(),
        }
    }
}

impl RoundView {
    /// Of what the coordinator tells.
    #[must_use]
    pub fn of(line: RoundLine) -> Self {
        let absences = |absences: Vec<Absence>| {
            let view = |one: Absence| AbsenceView { name: one.name, why: one.why.into() };
            absences.into_iter().map(view).collect()
        };
        Self {
            round: line.round,
            done: line.abandoned.is_none(),
            reason: line.abandoned.map(String::from),
            counted: line.counted,
            missing: absences(line.missing),
            missing_more: line.missing_more,
            faults: absences(line.faults),
            model: line.model.to_string(),
            aggregate: line.aggregate.map(|digest| digest.to_string()),
            federated: line.scores,
            accuracy: line.accuracy,
            loss: line.loss,
            ended_ms: line.ended.0,
        }
    }
}

impl fmt::Display for RunView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line())?;
        write!(f, "\n  run {}\n  plan {}, submitted by {}", self.run, self.plan, self.by)?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl fmt::Display for FaultView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, line, column, message, help } = self;
        write!(f, "error[{code}]")?;
        if *line > 0 {
            write!(f, " line {line}, column {column}")?;
        }
        write!(f, ": {message}\n    help: {help}")
    }
}

impl fmt::Display for NowView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { round, phase, needed, answered, waiting, waiting_more, left_ms } = self;
        let whom = Few { names: waiting.clone(), more: *waiting_more };
        let left_s = left_ms.div_ceil(1000);
        match needed {
            Some(needed) => write!(
                f,
                "round {round} waits for {needed}, at most {left_s} s more; not connected: {whom}"
            ),
            None => write!(
                f,
                "round {round} in {phase}, {answered} answered, waiting for {whom}, at most \
                 {left_s} s more"
            ),
        }
    }
}

impl fmt::Display for RoundView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {}: ", self.round)?;
        match &self.reason {
            None => write!(f, "done, {} counted", self.counted)?,
            Some(reason) => write!(f, "abandoned, nothing was opened: {reason}")?,
        }
        if let Some(accuracy) = self.accuracy {
            write!(f, ", accuracy {:.2} %", accuracy * 100.0)?;
        }
        if let Some(scores) = &self.federated {
            write!(f, "\n  the owners, of the model it began with: {scores}")?;
        }
        for AbsenceView { name, why } in &self.missing {
            write!(f, "\n  {name} is not in the sum: {why}")?;
        }
        if self.missing_more > 0 {
            write!(f, "\n  {} more are not in the sum", self.missing_more)?;
        }
        self.faults
            .iter()
            .try_for_each(|AbsenceView { name, why }| write!(f, "\n  holder {name}: {why}"))
    }
}
