//! A researcher at the wire: asks and hears, as the client's commands do.

use covey_aggregation::message::{Phase, ToClient, ToHolder};
use covey_aggregation::net::link::Among;
use covey_aggregation::net::{Dialer, Link};
use covey_aggregation::party::Name;
use covey_aggregation::program::{Exit, Signal};
use covey_aggregation::research::{
    FromResearcher, Now, Order, PlanBytes, Refusal, RoundLine, RunState, RunStatus, ToResearcher,
};
use covey_coordinator::config::Config;
use covey_coordinator::storage::registry::run_folder;
use tokio::time::timeout;

use super::{Federation, Operator, PATIENCE, PlanOptions, name};

/// A researcher's link.
pub(crate) struct Researcher {
    /// Its drop ends the link.
    _dialer: Dialer,
    pub(crate) link: Link,
}

impl Researcher {
    /// Dials as a member of the federation, until there is a link.
    pub(crate) async fn dial(federation: &Federation, member: &str) -> Self {
        let membership = federation.membership(&federation.path(member));
        let mut dialer = Dialer::new(membership, federation.address.to_string()).expect("a dialer");
        let link = dialer.connect(|_, _| {}).await.expect("a link");
        Self { _dialer: dialer, link }
    }

    pub(crate) async fn say(&mut self, request: &FromResearcher) {
        self.link.sender.send(request).await.expect("sent");
    }

    pub(crate) async fn next(&mut self) -> ToResearcher {
        loop {
            // A key holder is asked to cosign, whatever it says.
            let heard = self.link.receiver.receive_among::<_, ToHolder, ToClient>();
            let heard = timeout(PATIENCE, heard).await.expect("in time").expect("linked");
            if let Among::First(answer) = heard.expect("linked") {
                return answer;
            }
        }
    }

    pub(crate) async fn ask(&mut self, request: &FromResearcher) -> ToResearcher {
        self.say(request).await;
        self.next().await
    }

    pub(crate) async fn submit(
        &mut self,
        run: &str,
        plan: &str,
    ) -> Result<(RunStatus, bool), Refusal> {
        let plan = PlanBytes::new(plan.as_bytes().to_vec()).expect("short");
        match self.ask(&FromResearcher::Submit { name: name(run), plan }).await {
            ToResearcher::Submitted { run, is_new } => Ok((*run, is_new)),
            ToResearcher::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn order(
        &mut self,
        run: &str,
        order: Order,
    ) -> Result<(RunState, bool), Refusal> {
        match self.ask(&FromResearcher::Order { run: name(run), order }).await {
            ToResearcher::Ordered { run, is_changed } => Ok((run.state, is_changed)),
            ToResearcher::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn list(&mut self, all: bool) -> Vec<(String, RunState)> {
        self.say(&FromResearcher::List { all }).await;
        let mut runs = Vec::new();
        loop {
            match self.next().await {
                ToResearcher::Run(run) => runs.push((run.name.to_string(), run.state)),
                ToResearcher::End => return runs,
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn show(&mut self, run: &str) -> (RunStatus, Vec<RoundLine>) {
        let ToResearcher::Run(status) = self.ask(&FromResearcher::Show { run: name(run) }).await
        else {
            panic!("no run");
        };
        let mut rounds = Vec::new();
        loop {
            match self.next().await {
                ToResearcher::Round(line) => rounds.push(*line),
                ToResearcher::End => return (*status, rounds),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Watches a run until `wanted`; its status then, and the rounds that were told before.
    pub(crate) async fn watch(
        &mut self,
        run: &str,
        mut wanted: impl FnMut(&RunStatus) -> bool,
    ) -> (RunStatus, Vec<RoundLine>) {
        self.say(&FromResearcher::Watch { run: name(run), after: 0 }).await;
        let (mut rounds, mut found) = (Vec::new(), None);
        loop {
            match self.next().await {
                ToResearcher::Round(line) => rounds.push(*line),
                ToResearcher::Run(status) if wanted(&status) => {
                    let is_over = status.state.is_over();
                    found = Some(*status);
                    if !is_over {
                        break;
                    }
                }
                ToResearcher::Run(status) => {
                    assert!(!status.state.is_over(), "{status:?}");
                }
                ToResearcher::End => break,
                other => panic!("{other:?}"),
            }
        }
        if found.as_ref().is_some_and(|status| !status.state.is_over()) {
            // Another request ends the watching; what was on its way comes before its answer.
            self.say(&FromResearcher::Plan { run: name(run) }).await;
            while !matches!(self.next().await, ToResearcher::Plan(_)) {}
        }
        (found.expect("seen"), rounds)
    }

    /// Watches a run until it is in this state.
    pub(crate) async fn until(&mut self, run: &str, state: RunState) -> RunStatus {
        self.watch(run, |status| status.state == state).await.0
    }
}

/// A plan of so many rounds, unlike that of any other seed.
pub(crate) fn plan(rounds: u32, seed: u32) -> String {
    let options = PlanOptions { rounds, ..PlanOptions::default() };
    options.text().replace("seed = 7", &format!("seed = {seed}"))
}

/// A federation with two researchers.
pub(crate) fn open() -> Federation {
    Federation::with_researchers(4, &PlanOptions::default(), &["alice", "bob"])
}

/// Stops a coordinator as Ctrl-C does.
pub(crate) async fn stop(mut operator: Operator) {
    operator.stopper.ask(Signal::Interrupt);
    let failure = operator.finished().await.expect_err("it serves until it is stopped");
    assert_eq!((failure.exit, failure.code), (Exit::Interrupted, "STOPPED"));
}

/// Everything that a run published holds.
pub(crate) fn assert_verified(federation: &Federation, config: &Config, run: &RunStatus) {
    let published = run_folder(&config.state_dir, &run.run).join("published");
    let roster = federation.dir().join("roster.json");
    let report = covey_committee::verify::verify_folder(&published, &roster, |_| {});
    assert!(report.expect("readable").is_verified);
}

/// Whom a round waits for in Collect.
pub(crate) fn awaited(status: &RunStatus) -> Option<Vec<String>> {
    match &status.now {
        Some(Now::Round { phase: Phase::Collect, waiting, .. }) => {
            Some(waiting.names.iter().map(Name::to_string).collect())
        }
        _ => None,
    }
}

/// Whether the round waits for owner 0 alone, whose gate a test keeps shut.
pub(crate) fn waits_for_the_first(status: &RunStatus) -> bool {
    awaited(status).is_some_and(|names| names == ["owner-0"])
}
