//! Waiting until a round can begin: it needs the committee's quorum and enough owners. It says
//! whom it waits for, and it does not wait for ever.

use std::time::Duration;

use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::research::{Few, Now, Text};

use super::{Driver, Halt};
use crate::event::Event;
use crate::storage::registry::Wish;

/// How often it says whom it waits for.
const SAY_EVERY_MS: u64 = 10_000;

/// How long a run waits for members that a round cannot do without before it gives its turn up.
const TURN_MS: u64 = 2000;

/// Whom a round needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The round.
    pub round: u32,
    /// Holders that it cannot do without.
    pub holders: usize,
    /// Owners that it cannot do without.
    pub owners: usize,
    /// Longest wait for those, in milliseconds.
    pub wait_ms: u64,
    /// Once they are there, longest wait for everybody else, in milliseconds.
    pub settle_ms: u64,
    /// Whether the run gives its turn to another one while it waits.
    pub gives_way: bool,
}

/// What waiting came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gathered {
    /// The owners that are connected, ascending.
    Owners(Vec<PartyId>),
    /// No round of the run is to begin any more.
    Wish,
    /// Another run goes on meanwhile.
    Turn {
        /// How long this one has waited.
        waited_ms: u64,
    },
}

impl Driver {
    /// Waits for whom a round needs.
    ///
    /// # Errors
    /// [`Halt::Missing`] when they do not come in time.
    pub async fn gather(&mut self, needs: Needs) -> Result<Gathered, Halt> {
        let began = self.clock.now();
        let mut say_at = began;
        let mut enough_since = None;
        loop {
            self.renew_roster().await?;
            self.settle().await?;
            if self.wish() != Wish::Go {
                self.watched(None);
                return Ok(Gathered::Wish);
            }
            let now = self.clock.now();
            let missing = self.missing();
            let returning = self.returning_until();
            let shortfall = self.shortfall(&needs);
            match &shortfall {
                None => {
                    let since = *enough_since.get_or_insert(now);
                    let settled = now.since_ms(since) >= needs.settle_ms;
                    if missing.is_empty() || settled && returning.is_none() {
                        self.watched(None);
                        return Ok(Gathered::Owners(self.connected_with(Role::DataOwner)));
                    }
                }
                Some(needed) => {
                    enough_since = None;
                    if now.since_ms(began) >= needs.wait_ms {
                        self.watched(None);
                        let (needed, waited_s) = (needed.clone(), needs.wait_ms / 1000);
                        return Err(Halt::Missing { needed, missing, waited_s });
                    }
                    let waited_ms = now.since_ms(began);
                    if needs.gives_way
                        && waited_ms >= TURN_MS
                        && self.registry.lock().await.others_wait().await?
                    {
                        self.watched(None);
                        return Ok(Gathered::Turn { waited_ms });
                    }
                }
            }
            let until = match enough_since {
                Some(since) => since.after_ms(needs.settle_ms).max(returning.unwrap_or(since)),
                None => began.after_ms(needs.wait_ms),
            };
            let needed = shortfall.unwrap_or_else(|| "the others".to_owned());
            let gathering = Now::Gathering {
                round: needs.round,
                needed: Text::of(&needed),
                missing: Few::of(missing.clone()),
                left_ms: 0,
            };
            self.watched(Some((gathering, until)));
            if now >= say_at {
                let left_ms = until.since_ms(now);
                self.tell(&Event::Waiting { round: needs.round, needed, missing, left_ms });
                say_at = now.after_ms(SAY_EVERY_MS);
            }
            let mut wake = until.min(say_at);
            if needs.gives_way && enough_since.is_none() {
                wake = wake.min(now.after_ms(TURN_MS));
            }
            let wake = self.clock.instant(wake);
            // A little late rather than early, so that the loop does not spin.
            let woken = self.wait(Some(wake + Duration::from_millis(1))).await?;
            self.absorb(woken).await?;
        }
    }

    /// What a round cannot do without and has not; none when it can begin.
    fn shortfall(&self, needs: &Needs) -> Option<String> {
        let holders = self.connected_with(Role::Holder).len();
        let owners = self.connected_with(Role::DataOwner).len();
        let mut parts = Vec::new();
        if holders < needs.holders {
            parts.push(format!("{} holders ({holders} connected)", needs.holders));
        }
        if owners < needs.owners {
            parts.push(format!("{} data owners ({owners} connected)", needs.owners));
        }
        (!parts.is_empty()).then(|| parts.join(" and "))
    }

    fn connected_with(&self, role: Role) -> Vec<PartyId> {
        let with_role = self.peers.iter().filter(|(_, peer)| peer.member.role == role);
        with_role.map(|(id, _)| *id).collect()
    }

    /// Holders and owners of the roster that are not connected.
    fn missing(&self) -> Vec<Name> {
        let takes_part = |role| matches!(role, Role::Holder | Role::DataOwner);
        let wanted = self.roster.members.iter().filter(|member| takes_part(member.role));
        wanted
            .filter(|member| !self.peers.contains_key(&member.id))
            .map(|member| member.name.clone())
            .collect()
    }
}
