//! What researchers and coordinators say to each other.

use covey_aggregation::evaluation::{Metric, Scores};
use covey_aggregation::limits::NAMES_TOLD_MAX;
use covey_aggregation::message::Phase;
use covey_aggregation::party::{Name, Role};
use covey_aggregation::research::{
    Absence, Few, FromResearcher, Now, Order, Part, Piece, PlanBytes, PlanFault, Refusal,
    RoundLine, RunState, RunStatus, StatementBytes, Text, ToResearcher,
};
use covey_aggregation::time::Time;
use covey_aggregation::wire::encode;

use super::digest;
use super::seeds::Seeds;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn plan() -> PlanBytes {
    PlanBytes::new(b"schema = \"plan/1\"\nname = \"a\"\n".to_vec()).expect("short")
}

fn status(state: RunState, now: Option<Now>) -> RunStatus {
    RunStatus {
        run: digest(1),
        name: name("digits"),
        plan: digest(2),
        by: name("alice"),
        submitted: Time(1_000),
        state,
        reason: Some(Text::of("waited 600 s for 3 holders")),
        rounds: 300,
        rounds_over: 7,
        rounds_done: 6,
        ahead: 1,
        now,
        faults: Vec::new(),
    }
}

fn round() -> RoundLine {
    let absence = Absence { name: name("b"), why: Text::of("no answer by the deadline") };
    RoundLine {
        round: 3,
        abandoned: Some(Text::of("stopped by the operator")),
        counted: 5,
        missing: vec![absence.clone(); NAMES_TOLD_MAX],
        missing_more: 2,
        faults: vec![absence],
        model: digest(3),
        aggregate: Some(digest(4)),
        scores: Some(Scores {
            examples: 40,
            metrics: [(Metric::Accuracy, 0.5), (Metric::Loss, 1.25)].into(),
        }),
        accuracy: Some(0.75),
        loss: None,
        ended: Time(2_000),
    }
}

fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::NotResearcher { role: Role::DataOwner },
        Refusal::Closed,
        Refusal::Ambiguous { matches: 300 },
        Refusal::NameTaken { run: digest(1), by: name("bob") },
        Refusal::NotYours { by: name("bob") },
        Refusal::Over { state: RunState::Stopped },
        Refusal::TooMany { runs_max: 1000 },
        Refusal::TooManyOfYours { runs_max: 10 },
        Refusal::TooManyRounds { rounds: 1001, rounds_max: 1000 },
        Refusal::NotPublished,
        Refusal::Busy { retry_after_ms: 2000 },
        Refusal::NotRecorded { why: Text::of("the window is over") },
    ]
}

impl Seeds {
    pub fn researcher_says(&self) -> Vec<Vec<u8>> {
        let run = || name("digits");
        let fetch = |part| FromResearcher::Fetch { run: run(), round: 2, part, offset: 1 << 40 };
        let messages = [
            FromResearcher::List { all: true },
            FromResearcher::Show { run: name("01ab") },
            FromResearcher::Submit { name: run(), plan: plan() },
            FromResearcher::Watch { run: run(), after: 300 },
            FromResearcher::Order { run: run(), order: Order::Pause },
            FromResearcher::Order { run: run(), order: Order::Stop },
            FromResearcher::Plan { run: run() },
            fetch(Part::Publication),
            fetch(Part::Correction(digest(5))),
            fetch(Part::Chunks(digest(6))),
            FromResearcher::State {
                statement: StatementBytes::new(b"{}".to_vec()).expect("short"),
            },
        ];
        messages.iter().map(encode).collect()
    }

    pub fn to_researcher(&self) -> Vec<Vec<u8>> {
        let names: Vec<_> = (0..NAMES_TOLD_MAX + 3).map(|i| name(&format!("o{i}"))).collect();
        let gathering = Now::Gathering {
            round: 1,
            needed: Text::of("3 holders (1 connected)"),
            missing: Few::of(names.clone()),
            left_ms: 9_000,
        };
        let going = Now::Round {
            round: 8,
            phase: Phase::Collect,
            answered: 4,
            waiting: Few::of(names[..2].to_vec()),
            left_ms: 60_000,
        };
        let fault = PlanFault {
            code: Text::of("P020"),
            line: 17,
            column: 300,
            message: Text::of("two owners"),
            help: Text::of("three"),
        };
        let refused = RunStatus { faults: vec![fault; 3], ..status(RunState::Refused, None) };
        let run = Box::new(status(RunState::Running, Some(going)));
        let bytes = Piece::new(vec![7; 300]).expect("short");
        let mut messages = vec![
            ToResearcher::Run(Box::new(status(RunState::Held, Some(gathering)))),
            ToResearcher::Run(Box::new(refused)),
            ToResearcher::Round(Box::new(round())),
            ToResearcher::End,
            ToResearcher::Submitted { run: run.clone(), is_new: true },
            ToResearcher::Ordered { run, is_changed: false },
            ToResearcher::Plan(plan()),
            ToResearcher::Piece { total: 300, bytes },
            ToResearcher::Stated { index: 300 },
        ];
        messages.extend(refusals().into_iter().map(ToResearcher::Refused));
        messages.iter().map(encode).collect()
    }
}
