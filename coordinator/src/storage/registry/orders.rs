//! What researchers want of their runs, and what runs have come to.

use covey_aggregation::hash::Digest;
use covey_aggregation::party::Name;
use covey_aggregation::research::{Order, Refusal, RunState};
use covey_aggregation::roster::Member;
use covey_aggregation::time::Time;

use super::{NotRecorded, Registry, RunEntry};
use crate::storage::StorageError;
use crate::storage::database::{Statement, Transaction, sql};

/// What is wanted of the run at hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// That it goes on.
    #[default]
    Go,
    /// That it begins no further round.
    Pause,
    /// That it ends.
    Stop {
        /// Who wants it.
        by: Name,
    },
}

impl Wish {
    fn of(entry: &RunEntry) -> Self {
        match entry.state {
            RunState::Pausing => Self::Pause,
            RunState::Stopping => Self::Stop { by: entry.by_name.clone() },
            _ => Self::Go,
        }
    }
}

/// What an order makes of a state; none where it changes nothing.
fn ordered(state: RunState, order: Order) -> Result<Option<RunState>, Refusal> {
    use RunState::{Held, Paused, Pausing, Queued, Running, Stopped, Stopping};
    Ok(match (order, state) {
        (Order::Stop, Stopped) => None,
        (_, state) if state.is_over() => return Err(Refusal::Over { state }),
        (Order::Stop, Stopping) => None,
        (_, Stopping) => return Err(Refusal::Stopping),
        (Order::Stop, Running | Pausing) => Some(Stopping),
        (Order::Stop, _) => Some(Stopped),
        (Order::Pause, Running) => Some(Pausing),
        // Held for a reason, and now also because somebody wants it so.
        (Order::Pause, Queued | Held) => Some(Paused),
        (Order::Pause, _) => None,
        (Order::Resume, Pausing) => Some(Running),
        (Order::Resume, Paused | Held) => Some(Queued),
        (Order::Resume, _) => None,
    })
}

impl Registry {
    /// Records an order of the researcher whose run it is. Says whether it changes anything.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub async fn order(
        &mut self,
        wanted: &Name,
        order: Order,
        by: &Member,
        at: Time,
    ) -> Result<(RunEntry, bool), NotRecorded> {
        let mut entry = self.find(wanted).await?;
        if entry.by != by.id {
            return Err(Refusal::NotYours { by: entry.by_name }.into());
        }
        let Some(state) = ordered(entry.state, order)? else { return Ok((entry, false)) };
        let reason = match state {
            RunState::Stopped => Some(format!("stopped by {}", by.name)),
            RunState::Paused | RunState::Pausing => Some(format!("paused by {}", by.name)),
            _ => None,
        };
        let word = match order {
            Order::Pause => "pause",
            Order::Resume => "resume",
            Order::Stop => "stop",
        };
        let insert = sql("INSERT INTO orders (number, run, at_ms, by_id, what)
             VALUES ((SELECT COALESCE(MAX(number), 0) + 1 FROM orders), $1, $2, $3, $4)")
        .bind(entry.run)
        .bind(at)
        .bind(by.id.0.as_slice())
        .bind(word);
        let set = set(&entry.run, state, reason.as_deref());
        let recorded = async |transaction: &mut Transaction<'_>| {
            transaction.execute(insert).await?;
            transaction.execute(set).await.map(|_| ())
        };
        self.database.write::<_, StorageError>(recorded).await?;
        let was_going = entry.state != state
            && matches!(state, RunState::Running | RunState::Pausing | RunState::Stopping);
        (entry.state, entry.reason) = (state, reason);
        // Of another run it is done when its turn comes.
        if was_going && self.turns.at_hand == Some(entry.run) {
            self.wish.send_replace(Wish::of(&entry));
        }
        self.changed();
        Ok((entry, true))
    }

    /// Begins the turn of the next run, which is the one at hand from now on. Choosing and recording are one step, so that no order comes between them and is
    /// lost.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn begin_next(&mut self) -> Result<Option<RunEntry>, StorageError> {
        let Some(mut entry) = self.next().await? else { return Ok(None) };
        if entry.state == RunState::Queued {
            (entry.state, entry.reason) = (RunState::Running, None);
        }
        let set = set(&entry.run, entry.state, entry.reason.as_deref());
        let turn = sql("UPDATE runs SET turn = (SELECT MAX(turn) + 1 FROM runs) WHERE run = $1");
        let turn = turn.bind(entry.run);
        let begun = async |transaction: &mut Transaction<'_>| {
            transaction.execute(set).await?;
            transaction.execute(turn).await.map(|_| ())
        };
        self.database.write::<_, StorageError>(begun).await?;
        self.changed();
        self.turns.at_hand = Some(entry.run);
        self.wish.send_replace(Wish::of(&entry));
        Ok(Some(entry))
    }

    /// The run at hand begins no round: it is paused, unless somebody wanted otherwise meanwhile.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn pause(&mut self, run: &Digest) -> Result<(), StorageError> {
        match self.entry(run).await? {
            Some(entry) if entry.state == RunState::Pausing => {
                self.set(run, RunState::Paused, entry.reason.as_deref()).await
            }
            _ => Ok(()),
        }
    }

    /// The run at hand cannot go on before a person does something. It is held, or stopped if that
    /// was wanted.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn hold(&mut self, run: &Digest, reason: &str) -> Result<RunState, StorageError> {
        let state = match self.entry(run).await?.map(|entry| entry.state) {
            Some(RunState::Stopping) => RunState::Stopped,
            _ => RunState::Held,
        };
        self.set(run, state, Some(reason)).await?;
        Ok(state)
    }

    /// The run is over.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn end(
        &mut self,
        run: &Digest,
        state: RunState,
        reason: &str,
    ) -> Result<(), StorageError> {
        self.set(run, state, Some(reason)).await
    }

    async fn set(
        &mut self,
        run: &Digest,
        state: RunState,
        reason: Option<&str>,
    ) -> Result<(), StorageError> {
        let set = set(run, state, reason);
        let stored = async |transaction: &mut Transaction<'_>| transaction.execute(set).await;
        self.database.write(stored).await?;
        self.changed();
        Ok(())
    }
}

fn set(run: &Digest, state: RunState, reason: Option<&str>) -> Statement {
    let set = sql("UPDATE runs SET state = $1, reason = $2 WHERE run = $3");
    set.bind(state.word()).bind(reason).bind(*run)
}

#[cfg(test)]
mod tests {
    use covey_aggregation::party::{PartyId, Role};

    use super::super::NewRun;
    use super::*;

    #[tokio::test]
    async fn a_run_is_begun_only_as_it_stands_when_it_is_begun() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut registry = Registry::open(folder.path()).await.expect("a registry");
        let name = |text: &str| text.parse::<Name>().expect("a name");
        let by = Member {
            name: name("alice"),
            id: PartyId([1; 32]),
            role: Role::Researcher,
            sealing_key: None,
        };
        for number in 1..=2 {
            let new = NewRun {
                run: Digest([number; 32]),
                name: name(&format!("run-{number}")),
                plan: Digest([10 + number; 32]),
                plan_bytes: Vec::new(),
                by: by.id,
                by_name: by.name.clone(),
                at: Time(0),
                verdict: Ok(1),
            };
            registry.submit(new).await.expect("recorded");
        }
        let wish = registry.wish();
        registry.order(&name("run-1"), Order::Stop, &by, Time(1)).await.expect("stopped");
        let begun = registry.begin_next().await.expect("read").expect("the second");
        assert_eq!((begun.run, begun.state), (Digest([2; 32]), RunState::Running));
        assert_eq!(*wish.borrow(), Wish::Go);
        registry.order(&name("run-2"), Order::Stop, &by, Time(2)).await.expect("stopping");
        // Taken up again, as after a restart: the order stands.
        let again = registry.begin_next().await.expect("read").expect("the same");
        assert_eq!((again.run, again.state), (Digest([2; 32]), RunState::Stopping));
        assert_eq!(*wish.borrow(), Wish::Stop { by: name("alice") });
        registry.end(&again.run, RunState::Stopped, "stopped").await.expect("recorded");
        assert_eq!(registry.begin_next().await.expect("read"), None);
    }

    #[test]
    fn an_order_means_the_same_in_every_state_and_none_undoes_a_stop() {
        use RunState::{Done, Held, Paused, Pausing, Queued, Running, Stopped, Stopping};
        let over = |state| Err(Refusal::Over { state });
        let table = [
            (Queued, Ok(Some(Paused)), Ok(None), Ok(Some(Stopped))),
            (Running, Ok(Some(Pausing)), Ok(None), Ok(Some(Stopping))),
            (Pausing, Ok(None), Ok(Some(Running)), Ok(Some(Stopping))),
            (Paused, Ok(None), Ok(Some(Queued)), Ok(Some(Stopped))),
            (Held, Ok(Some(Paused)), Ok(Some(Queued)), Ok(Some(Stopped))),
            (Stopping, Err(Refusal::Stopping), Err(Refusal::Stopping), Ok(None)),
            (Stopped, over(Stopped), over(Stopped), Ok(None)),
            (Done, over(Done), over(Done), over(Done)),
        ];
        for (state, pause, resume, stop) in table {
            assert_eq!(ordered(state, Order::Pause), pause, "{state}");
            assert_eq!(ordered(state, Order::Resume), resume, "{state}");
            assert_eq!(ordered(state, Order::Stop), stop, "{state}");
        }
    }
}
