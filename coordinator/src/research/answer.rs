//! Every request but watching.

use covey_aggregation::hash::Digest;
use covey_aggregation::party::{Name, Role};
use covey_aggregation::plan::Plan;
use covey_aggregation::program::enrol::secret;
use covey_aggregation::research::{
    FromResearcher, Order, Part, PlanBytes, Refusal, RunState, StatementBytes, Text, ToResearcher,
};
use tokio::task::spawn_blocking;

use super::{RETRY_AFTER_MS, Talk, Trouble, check, published};
use crate::event::Event;
use crate::ledger::NotStated;
use crate::storage::registry::{NewRun, RunEntry};

const BUSY: Refusal = Refusal::Busy { retry_after_ms: RETRY_AFTER_MS };

impl Talk<'_> {
    pub(super) async fn answer(&mut self, request: FromResearcher) -> Result<(), Trouble> {
        match request {
            FromResearcher::State { statement } => self.state(statement).await,
            FromResearcher::List { all } => self.list(all).await,
            FromResearcher::Show { run } => self.show(&run).await,
            FromResearcher::Submit { name, plan } => self.submit(name, plan).await,
            FromResearcher::Order { run, order } => self.order(&run, order).await,
            FromResearcher::Plan { run } => self.plan(&run).await,
            FromResearcher::Fetch { run, round, part, offset } => {
                self.fetch(&run, round, part, offset).await
            }
            // Served by the caller.
            FromResearcher::Watch { .. } => Err(Refusal::Malformed.into()),
        }
    }

    async fn state(&mut self, statement: StatementBytes) -> Result<(), Trouble> {
        let stated = self.desk.ledger.state(self.member.id, statement.into_bytes()).await;
        let index = stated.map_err(|no| match no {
            NotStated::Refused(_) => Refusal::NotRecorded { why: Text::of(no) },
            NotStated::Busy(_) => BUSY,
        })?;
        Ok(self.sender.send(&ToResearcher::Stated { index }).await?)
    }

    async fn find(&self, run: &Name) -> Result<RunEntry, Trouble> {
        Ok(self.desk.registry.lock().await.find(run).await?)
    }

    async fn list(&mut self, all: bool) -> Result<(), Trouble> {
        let mut registry = self.desk.registry.lock().await;
        let open = registry.rows(false).await?;
        let rows = if all { registry.rows(true).await? } else { open.clone() };
        drop(registry);
        for entry in rows {
            let status = self.status_of(entry, &open);
            self.sender.send(&ToResearcher::Run(Box::new(status))).await?;
        }
        Ok(self.sender.send(&ToResearcher::End).await?)
    }

    async fn show(&mut self, run: &Name) -> Result<(), Trouble> {
        let run = self.find(run).await?.run;
        let status = self.status(&run).await?;
        self.sender.send(&ToResearcher::Run(Box::new(status))).await?;
        for line in self.rounds(&run, 0).await? {
            self.sender.send(&ToResearcher::Round(Box::new(line))).await?;
        }
        Ok(self.sender.send(&ToResearcher::End).await?)
    }

    async fn submit(&mut self, name: Name, plan: PlanBytes) -> Result<(), Trouble> {
        if !self.desk.is_open {
            return Err(Refusal::Closed.into());
        }
        let roster = self.desk.guests.now().certified;
        let owners = roster.roster.with_role(Role::DataOwner).count();
        let checked = spawn_blocking(move || {
            let verdict = check::check(plan.as_bytes(), owners);
            (plan.into_bytes(), verdict)
        });
        let (plan_bytes, verdict) = checked.await.map_err(|_| BUSY)?;
        let new = NewRun {
            run: Digest(*secret().map_err(|_| BUSY)?),
            name,
            plan: Plan::digest(&plan_bytes),
            plan_bytes,
            by: self.member.id,
            by_name: self.member.name.clone(),
            at: self.desk.clock.now(),
            verdict,
        };
        // On the disk when this returns.
        let (entry, is_new) = self.desk.registry.lock().await.submit(new).await?;
        if is_new {
            (self.desk.events)(&Event::Submitted {
                run: entry.run.to_string(),
                name: entry.name.clone(),
                by: self.member.name.clone(),
                is_refused: entry.state == RunState::Refused,
            });
        }
        let run = Box::new(self.status(&entry.run).await?);
        Ok(self.sender.send(&ToResearcher::Submitted { run, is_new }).await?)
    }

    async fn order(&mut self, run: &Name, order: Order) -> Result<(), Trouble> {
        let now = self.desk.clock.now();
        let mut registry = self.desk.registry.lock().await;
        // On the disk when this returns.
        let (entry, is_changed) = registry.order(run, order, &self.member, now).await?;
        drop(registry);
        if is_changed {
            self.desk.tell_state(&entry);
        }
        let run = Box::new(self.status(&entry.run).await?);
        Ok(self.sender.send(&ToResearcher::Ordered { run, is_changed }).await?)
    }

    async fn plan(&mut self, run: &Name) -> Result<(), Trouble> {
        let run = self.find(run).await?.run;
        let bytes = self.desk.registry.lock().await.plan_bytes(&run).await?;
        let plan = bytes.and_then(PlanBytes::new).ok_or(Refusal::NotPublished)?;
        Ok(self.sender.send(&ToResearcher::Plan(plan)).await?)
    }

    async fn fetch(
        &mut self,
        run: &Name,
        round: u32,
        part: Part,
        offset: u64,
    ) -> Result<(), Trouble> {
        let blobs = self.desk.depot.of_run(&self.find(run).await?.run).read();
        let read = spawn_blocking(move || published::read(&blobs, round, part, offset));
        let (total, bytes) = read.await.map_err(|_| BUSY)??;
        Ok(self.sender.send(&ToResearcher::Piece { total, bytes }).await?)
    }
}

impl super::Desk {
    /// Tells the operator where a run stands.
    pub(super) fn tell_state(&self, entry: &RunEntry) {
        (self.events)(&Event::RunState {
            run: entry.run.to_string(),
            name: entry.name.clone(),
            state: entry.state.to_string(),
            reason: entry.reason.clone(),
        });
    }
}
