//! What happens in the example.

use covey_aggregation::credit::MICRO;
use covey_aggregation::hash::Digest;
use covey_aggregation::party::Role;
use covey_aggregation::roster::Member;
use covey_aggregation::signing::Identity;

use super::{Example, identity, owner_name, plain};
use crate::book::Refused;
use crate::document::Document;
use crate::payout::{build, payable_runs, preview};
use crate::statement::{
    Budget, Change, Choice, Dispute, Proposal, Remedy, Says, SetAddress, Vote, Withdraw,
};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

impl Example {
    pub(super) fn tell(&mut self) -> Result<(), Refused> {
        let first = self.first_run()?;
        self.addresses()?;
        self.disputes(&first)?;
        self.newcomer()?;
        self.pay()?;
        self.second_run()
    }

    /// The first run, settled.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn first_run(&mut self) -> Result<Digest, Refused> {
        let run = self.begin("digits")?;
        for round in 1..=self.shape.rounds {
            match round {
                2 => self.close(&run, round, Some(3))?,
                3 if self.shape.rounds > 3 => self.abandon(&run, round)?,
                _ => self.close(&run, round, None)?,
            }
        }
        self.settle(&run)?;
        Ok(run)
    }

    /// All but the fourth owner say where they are paid.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn addresses(&mut self) -> Result<(), Refused> {
        self.wait_ms(HOUR_MS);
        for at in (0..self.owners.len()).filter(|at| *at != 3) {
            let address = Some(self.address_of(&self.owners[at].id()));
            let signed = self.say(&self.owners[at], Says::Address(SetAddress { address }));
            self.write(signed.into_body())?;
        }
        Ok(())
    }

    /// A dispute by one owner about another's credit in a run (by their places).
    ///
    /// # Errors
    /// [`Refused`].
    pub fn dispute(
        &mut self,
        (run, by, owner): (&Digest, usize, usize),
        remedy: Remedy,
        why: &str,
    ) -> Result<Digest, Refused> {
        let dispute = Dispute {
            run: *run,
            owner: self.owners[owner].id(),
            remedy,
            why: why.to_owned(),
            evidence: vec![Document::of(why.as_bytes())],
        };
        let signed = self.say(&self.owners[by], Says::Dispute(dispute));
        let id = signed.id();
        self.write(signed.into_body())?;
        Ok(id)
    }

    /// A vote.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn vote(&mut self, by: Voter, on: Digest, choice: Choice) -> Result<(), Refused> {
        let identity = match by {
            Voter::Holder(at) => &self.holders[at],
            Voter::Owner(at) => &self.owners[at],
            Voter::Researcher => &self.researcher,
        };
        let signed = self.say(identity, Says::Vote(Vote { on, choice }));
        self.write(signed.into_body()).map(|_| ())
    }

    /// One dispute is upheld, one rejected, one withdrawn.
    fn disputes(&mut self, run: &Digest) -> Result<(), Refused> {
        use Voter::{Holder, Owner, Researcher};
        let paid = |example: &Self, at: usize| {
            let credits = example.book.run(run).and_then(|run| run.credits.as_ref());
            credits.map_or(0, |credits| credits.payment_micro(&example.owners[at].id()))
        };
        let more = paid(self, 2) + 40 * MICRO;
        let why = "in round 2 our client sent the update of an older model; the log is attached";
        let upheld = self.dispute((run, 2, 2), Remedy::Pay(more), why)?;
        self.wait_ms(HOUR_MS);
        let less = paid(self, 0) / 2;
        let why = "clinic-1 shares its records with clinic-2, and is credited for both";
        let rejected = self.dispute((run, 4, 0), Remedy::Pay(less), why)?;
        let why = "we were not told of round 1";
        let withdrawn = self.dispute((run, 5, 5), Remedy::Without(vec![1]), why)?;
        for voter in [Holder(0), Holder(1), Owner(1)] {
            self.wait_ms(HOUR_MS);
            self.vote(voter, upheld, Choice::Yes)?;
        }
        self.write_due()?;
        for voter in [Holder(0), Researcher, Owner(1)] {
            self.vote(voter, rejected, Choice::No)?;
        }
        self.write_due()?;
        let signed = self.say(&self.owners[5], Says::Withdraw(Withdraw { dispute: withdrawn }));
        self.write(signed.into_body()).map(|_| ())
    }

    /// Another owner joins.
    fn newcomer(&mut self) -> Result<(), Refused> {
        self.wait_ms(HOUR_MS);
        let name = owner_name(self.owners.len() + 1);
        let key = identity(self.shape.seed, &name);
        let mut members = self.roster.members.clone();
        let (id, role) = (key.id(), Role::DataOwner);
        members.push(Member { name: plain(&name), id, role, sealing_key: None });
        self.owners.push(key);
        self.change_members(members)
    }

    /// Makes the next payout of everything that can be paid.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn pay(&mut self) -> Result<(), Refused> {
        self.wait_ms(4 * DAY_MS);
        let (runs, _) = payable_runs(&self.book, self.now_ms);
        let amounts = preview(&self.book, &runs, self.now_ms)?;
        let built = build(&amounts, &self.book)?;
        let documents = [Some(built.file), built.held_back].into_iter().flatten();
        for bytes in documents {
            self.documents.insert(Document::of(&bytes).sha256, bytes);
        }
        self.write(built.entry).map(|_| ())
    }

    /// A second run, whose budget is approved and whose credits are under dispute; and a third that
    /// goes on.
    fn second_run(&mut self) -> Result<(), Refused> {
        use Voter::{Holder, Owner};
        let run = self.begin("digits-again")?;
        let pool_micro = u64::from(super::BUDGET) * u64::from(self.shape.rounds) * MICRO;
        let why = "twice the rounds of the first, for the same credits".to_owned();
        let budget = Change::Budget(Budget { run, pool_micro });
        let proposal = Says::Proposal(Proposal { change: budget, why });
        let signed = self.say(&self.researcher, proposal);
        let id = signed.id();
        self.write(signed.into_body())?;
        for voter in [Holder(0), Owner(0), Owner(1)] {
            self.vote(voter, id, Choice::Yes)?;
        }
        self.write_due()?;
        for round in 1..=self.shape.rounds {
            self.close(&run, round, (round % 2 == 0).then_some(1))?;
        }
        self.settle(&run)?;
        let why = "round 1 began before our update of the client was through";
        let open = self.dispute((&run, 3, 3), Remedy::Without(vec![1]), why)?;
        self.vote(Holder(0), open, Choice::Yes)?;
        let mut charter = self.book.charter().clone();
        charter.dispute_window_ms = 7 * DAY_MS;
        let why = "three days are too few over holidays".to_owned();
        let proposal = Says::Proposal(Proposal { change: Change::Charter(charter), why });
        let signed = self.say(&self.owners[1], proposal);
        self.write(signed.into_body())?;
        let live = self.begin("digits-at-night")?;
        self.close(&live, 1, None)?;
        self.close(&live, 2, Some(0))
    }
}

/// A reviewer of the example.
#[derive(Clone, Copy, Debug)]
pub enum Voter {
    /// A holder, by its seat.
    Holder(usize),
    /// An owner, by its place.
    Owner(usize),
    /// The researcher.
    Researcher,
}

/// Nobody's key, for tests of strangers.
#[must_use]
pub fn stranger(seed: u64) -> Identity {
    identity(seed, "stranger")
}
