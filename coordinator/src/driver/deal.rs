//! The beacon keys that an audited round begins with: holders are asked for them until every
//! component has one.

use std::time::Duration;

use covey_aggregation::audit::deal::{BadDeal, ComponentKey, Deal, gather};
use covey_aggregation::config::{CommitteeShape, HolderIndex};
use covey_aggregation::message::{Refusal, ToHolder};
use covey_aggregation::party::PartyId;
use covey_aggregation::roster::Member;

use super::{Driver, Halt};
use crate::event::Event;
use crate::session::Outgoing;
use crate::storage::registry::Wish;

/// How often holders that have not dealt are asked again.
const ASK_EVERY_MS: u64 = 1_000;

impl Driver {
    /// Waits until the holders have dealt a key for each component, at most `wait_ms`. Of several
    /// dealers the first from place `first` of the committee on is taken. None if no round is to
    /// begin any more.
    ///
    /// # Errors
    /// [`Halt::Missing`] when too few have dealt in time.
    pub async fn beacons(
        &mut self,
        shape: CommitteeShape,
        first: usize,
        wait_ms: u64,
    ) -> Result<Option<Vec<ComponentKey>>, Halt> {
        let until = self.clock.now().after_ms(wait_ms);
        let mut ask_at = self.clock.now();
        loop {
            self.settle().await?;
            if self.wish() != Wish::Go {
                return Ok(None);
            }
            if let Some(keys) = gather(shape, &self.deals, first) {
                return Ok(Some(keys));
            }
            let now = self.clock.now();
            if now >= until {
                let needed = "the beacon keys that an audited round begins with".to_owned();
                let undealt = self.undealt();
                let members = self.roster.members.iter();
                let missing = members.filter(|member| undealt.contains(&member.id));
                let missing = missing.map(|member| member.name.clone()).collect();
                return Err(Halt::Missing { needed, missing, waited_s: wait_ms / 1000 });
            }
            if now >= ask_at {
                self.ask_for_deals();
                ask_at = now.after_ms(ASK_EVERY_MS);
            }
            let wake = self.clock.instant(until.min(ask_at));
            // A little late rather than early, so that the loop does not spin.
            let woken = self.wait(Some(wake + Duration::from_millis(1))).await?;
            self.absorb(woken).await?;
        }
    }

    /// Holders that have not dealt.
    fn undealt(&self) -> Vec<PartyId> {
        let seats = (0..).map(HolderIndex).zip(self.roster.committee());
        let open = seats.filter(|(place, _)| !self.deals.contains_key(place));
        open.map(|(_, seat)| seat.holder).collect()
    }

    fn ask_for_deals(&mut self) {
        let federation = self.roster.digest();
        for holder in self.undealt() {
            self.send(&holder, Outgoing::ToHolder(Box::new(ToHolder::Deal { federation })));
        }
    }

    /// A holder has dealt.
    pub(super) fn take_deal(&mut self, member: &Member, deal: Deal) {
        let committee = self.roster.committee();
        let is_own =
            committee.get(usize::from(deal.holder.0)).is_some_and(|seat| seat.holder == member.id);
        let shape = CommitteeShape::of_members(committee.len()).filter(|_| is_own);
        let checked = shape.ok_or(BadDeal::Place);
        let checked =
            checked.and_then(|shape| deal.check(&self.roster.digest(), shape, &committee));
        match checked {
            Ok(()) => {
                self.deals.insert(deal.holder, deal);
            }
            Err(bad) => {
                let why = Refusal::Malformed(bad.to_string()).to_string();
                self.tell(&Event::Refused { name: member.name.clone(), why });
            }
        }
    }
}
