//! Whose turn it is: runs that are under way take turns, a round each.
//!
//! # Decisions
//! - One round is held at a time, so that an owner's machine trains one model at a time. Which run
//!   it is of goes round among researchers, and among the runs of one researcher.
//! - So many runs take turns ([`Quotas::runs_at_once`]); the others wait, and come in as these end:
//!   first those of the researcher who has fewest under way, then in the order of submission.
//! - Of the runs that give credit one is under way at a time: they open examples of one validation
//!   pool, and what its next numbers hang on goes on from one round to the next of the same run.
//! - What somebody wants of a run (to pause it, to stop it) is done first.
//! - After a start, the run whose turn it was goes first: a round of it may be open.

use std::collections::BTreeMap;

use covey_aggregation::hash::Digest;
use covey_aggregation::limits::{RUNS_AT_ONCE, RUNS_OPEN_MAX};
use covey_aggregation::party::PartyId;
use covey_aggregation::plan::Plan;
use covey_aggregation::research::RunState;

use super::{Registry, RunEntry};
use crate::storage::StorageError;

/// How much of a deployment one researcher may use, and all together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Runs that take turns.
    pub runs_at_once: u32,
    /// Runs that are not over, of all researchers.
    pub runs_open: u32,
    /// Runs that are not over, of one researcher.
    pub runs_each: u32,
    /// Rounds of a plan.
    pub rounds: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            runs_at_once: RUNS_AT_ONCE,
            runs_open: RUNS_OPEN_MAX,
            runs_each: RUNS_OPEN_MAX,
            rounds: u32::MAX,
        }
    }
}

/// Whose turn it is.
#[derive(Default)]
pub(super) struct Turns {
    /// The run whose turn it is; none before the first turn since this program began.
    pub(super) at_hand: Option<Digest>,
    /// Whether a run gives credit, of those that were looked at.
    credited: BTreeMap<Digest, bool>,
}

const fn is_under_way(entry: &RunEntry) -> bool {
    matches!(entry.state, RunState::Running | RunState::Pausing | RunState::Stopping)
}

impl Registry {
    /// Whether another run than the one at hand would have a turn.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn others_wait(&mut self) -> Result<bool, StorageError> {
        let at_hand = self.turns.at_hand;
        let able = self.able().await?;
        Ok(able.iter().any(|entry| Some(entry.run) != at_hand))
    }

    /// The next run to carry a round out of.
    pub(super) async fn next(&mut self) -> Result<Option<RunEntry>, StorageError> {
        let able = self.able().await?;
        if self.turns.at_hand.is_none() {
            let begun = able.iter().filter(|entry| is_under_way(entry) && entry.turn > 0);
            if let Some(entry) = begun.max_by_key(|entry| entry.turn) {
                return Ok(Some(entry.clone()));
            }
        }
        let wanted = |entry: &&RunEntry| entry.state != RunState::Running && is_under_way(entry);
        if let Some(entry) = able.iter().find(wanted) {
            return Ok(Some(entry.clone()));
        }
        let mut of_researcher: BTreeMap<PartyId, i64> = BTreeMap::new();
        for entry in self.rows(true).await? {
            let last = of_researcher.entry(entry.by).or_default();
            *last = entry.turn.max(*last);
        }
        let rank = |entry: &&RunEntry| {
            let researcher = of_researcher.get(&entry.by).copied().unwrap_or_default();
            (researcher, entry.turn, entry.number)
        };
        Ok(able.iter().min_by_key(rank).cloned())
    }

    /// Runs that may have a turn: those under way, and those that wait, where there is room.
    async fn able(&mut self) -> Result<Vec<RunEntry>, StorageError> {
        let open = self.rows(false).await?;
        let mut able: Vec<_> = open.iter().filter(|entry| is_under_way(entry)).cloned().collect();
        let mut waiting: Vec<_> =
            open.into_iter().filter(|entry| entry.state == RunState::Queued).collect();
        let mut credited = false;
        for entry in &able {
            credited |= self.is_credited(&entry.run).await?;
        }
        while (able.len() as u64) < u64::from(self.quotas.runs_at_once) && !waiting.is_empty() {
            let of = |by: &PartyId| able.iter().filter(|entry| entry.by == *by).count();
            let first =
                (0..waiting.len()).min_by_key(|at| (of(&waiting[*at].by), waiting[*at].number));
            let Some(first) = first else { break };
            let entry = waiting.remove(first);
            let gives_credit = self.is_credited(&entry.run).await?;
            if gives_credit && credited {
                continue;
            }
            credited |= gives_credit;
            able.push(entry);
        }
        Ok(able)
    }

    /// Whether a run's plan gives credit.
    async fn is_credited(&mut self, run: &Digest) -> Result<bool, StorageError> {
        if let Some(known) = self.turns.credited.get(run) {
            return Ok(*known);
        }
        let bytes = self.plan_bytes(run).await?.unwrap_or_default();
        // A plan that cannot be read any more fails when its turn comes.
        let plan = String::from_utf8(bytes).ok().and_then(|text| Plan::parse(&text).ok());
        let credited = plan.is_some_and(|plan| plan.credit.is_some());
        self.turns.credited.insert(*run, credited);
        Ok(credited)
    }
}

#[cfg(test)]
mod tests {
    use covey_aggregation::party::{Name, Role};
    use covey_aggregation::research::{Order, Refusal};
    use covey_aggregation::roster::Member;
    use covey_aggregation::time::Time;

    use super::super::{NewRun, NotRecorded, Wish};
    use super::*;

    fn researcher(number: u8) -> Member {
        let name = format!("researcher-{number}").parse().expect("a name");
        let id = PartyId([number; 32]);
        Member { name, id, role: Role::Researcher, sealing_key: None }
    }

    fn run(number: u8, by: &Member) -> NewRun {
        NewRun {
            run: Digest([number; 32]),
            name: format!("run-{number}").parse().expect("a name"),
            plan: Digest([number; 32]),
            plan_bytes: b"not read here".to_vec(),
            by: by.id,
            by_name: by.name.clone(),
            at: Time(u64::from(number)),
            verdict: Ok(5),
        }
    }

    async fn registry(quotas: Quotas, runs: &[(u8, &Member)]) -> (tempfile::TempDir, Registry) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut registry = Registry::open(folder.path()).await.expect("a registry");
        registry.set_quotas(quotas);
        for (number, by) in runs {
            registry.submit(run(*number, by)).await.expect("a new run");
        }
        (folder, registry)
    }

    async fn turns(registry: &mut Registry, count: usize) -> Vec<u8> {
        let mut order = Vec::new();
        for _ in 0..count {
            let entry = registry.begin_next().await.expect("readable").expect("a run");
            order.push(entry.run.0[0]);
        }
        order
    }

    #[tokio::test]
    async fn runs_take_turns_a_round_each_and_so_do_researchers() {
        let (alice, bob) = (researcher(1), researcher(2));
        let quotas = Quotas { runs_at_once: 3, ..Quotas::default() };
        let (_folder, mut registry) =
            registry(quotas, &[(1, &alice), (2, &alice), (3, &alice), (4, &bob)]).await;
        // Alice's third run waits until one of three is over.
        assert_eq!(turns(&mut registry, 8).await, [1, 4, 2, 4, 1, 4, 2, 4]);
        assert!(registry.others_wait().await.expect("readable"));
        registry.end(&Digest([4; 32]), RunState::Done, "done").await.expect("recorded");
        assert_eq!(turns(&mut registry, 3).await, [3, 1, 2]);
    }

    #[tokio::test]
    async fn one_at_once_is_one_after_another() {
        let (alice, bob) = (researcher(1), researcher(2));
        let quotas = Quotas { runs_at_once: 1, ..Quotas::default() };
        let (_folder, mut registry) = registry(quotas, &[(1, &alice), (2, &bob)]).await;
        assert_eq!(turns(&mut registry, 3).await, [1, 1, 1]);
        assert!(!registry.others_wait().await.expect("readable"));
    }

    #[tokio::test]
    async fn of_runs_that_give_credit_one_is_under_way() {
        let alice = researcher(1);
        let (_folder, mut registry) =
            registry(Quotas::default(), &[(1, &alice), (2, &alice), (3, &alice)]).await;
        for (number, credited) in [(1, true), (2, true), (3, false)] {
            registry.turns.credited.insert(Digest([number; 32]), credited);
        }
        assert_eq!(turns(&mut registry, 4).await, [1, 3, 1, 3]);
        registry.end(&Digest([1; 32]), RunState::Done, "done").await.expect("recorded");
        assert_eq!(turns(&mut registry, 2).await, [2, 3]);
    }

    #[tokio::test]
    async fn what_is_wanted_of_a_run_is_done_at_its_next_turn_which_comes_first() {
        let alice = researcher(1);
        let (_folder, mut registry) =
            registry(Quotas::default(), &[(1, &alice), (2, &alice), (3, &alice)]).await;
        assert_eq!(turns(&mut registry, 3).await, [1, 2, 3]);
        let wish = registry.wish();
        let second: Name = "run-2".parse().expect("a name");
        registry.order(&second, Order::Pause, &alice, Time(9)).await.expect("recorded");
        assert_eq!(*wish.borrow(), Wish::Go, "it is the turn of another run");
        assert_eq!(turns(&mut registry, 1).await, [2]);
        assert_eq!(*wish.borrow(), Wish::Pause);
        registry.pause(&Digest([2; 32])).await.expect("recorded");
        assert_eq!(turns(&mut registry, 2).await, [1, 3]);
    }

    #[tokio::test]
    async fn after_a_start_the_run_whose_turn_it_was_goes_first() {
        let alice = researcher(1);
        let (folder, mut registry) =
            registry(Quotas::default(), &[(1, &alice), (2, &alice), (3, &alice)]).await;
        assert_eq!(turns(&mut registry, 5).await, [1, 2, 3, 1, 2]);
        registry.close().await.expect("closed");
        let mut registry = Registry::open(folder.path()).await.expect("a registry");
        assert_eq!(turns(&mut registry, 3).await, [2, 3, 1]);
    }

    #[tokio::test]
    async fn quotas_are_of_each_researcher_and_of_plans() {
        let (alice, bob) = (researcher(1), researcher(2));
        let quotas = Quotas { runs_each: 2, rounds: 5, ..Quotas::default() };
        let (_folder, mut registry) = registry(quotas, &[(1, &alice), (2, &alice)]).await;
        let refused = registry.submit(run(3, &alice)).await;
        let is_quota = |refused: &Result<_, NotRecorded>| {
            matches!(refused, Err(NotRecorded::Refused(Refusal::TooManyOfYours { runs_max: 2 })))
        };
        assert!(is_quota(&refused));
        registry.submit(run(4, &bob)).await.expect("of another researcher");
        let long = NewRun { verdict: Ok(6), ..run(5, &bob) };
        let refused = registry.submit(long).await.map(|_| ());
        assert!(
            matches!(
                refused,
                Err(NotRecorded::Refused(Refusal::TooManyRounds { rounds: 6, rounds_max: 5 }))
            ),
            "{refused:?}"
        );
    }
}
