//! The beacon keys that an audited round begins with: holders are asked for them until every
//! component has one.

use std::time::Duration;

use covey_aggregation::audit::deal::{ComponentKey, Deal, gather};
use covey_aggregation::config::CommitteeShape;
use covey_aggregation::message::{Refusal, ToHolder};
use covey_aggregation::party::{Name, Role};
use covey_aggregation::roster::Member;

use super::{Driver, Halt};
use crate::event::Event;
use crate::session::Outgoing;

/// How often holders that have not dealt are asked again.
const ASK_EVERY_MS: u64 = 1_000;

impl Driver {
    /// Waits until the holders have dealt a key for each component, at most `wait_ms`. Of several
    /// dealers the first from place `first` of the committee on is taken.
    ///
    /// # Errors
    /// [`Halt::Missing`] when too few have dealt in time.
    pub async fn beacons(
        &mut self,
        shape: CommitteeShape,
        first: usize,
        wait_ms: u64,
    ) -> Result<Vec<ComponentKey>, Halt> {
        let until = self.clock.now().after_ms(wait_ms);
        let mut ask_at = self.clock.now();
        loop {
            self.settle().await?;
            if let Some(keys) = gather(shape, &self.deals, first) {
                return Ok(keys);
            }
            let now = self.clock.now();
            if now >= until {
                let needed = "the beacon keys that an audited round begins with".to_owned();
                let (missing, waited_s) = (self.not_dealt(), wait_ms / 1000);
                return Err(Halt::Missing { needed, missing, waited_s });
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

    fn ask_for_deals(&mut self) {
        let federation = self.roster.digest();
        let committee = self.roster.committee();
        let open = (0..)
            .zip(&committee)
            .filter(|(place, _)| !self.deals.keys().any(|holder| usize::from(holder.0) == *place));
        let open: Vec<_> = open.map(|(_, seat)| seat.holder).collect();
        for holder in open {
            self.send(&holder, Outgoing::ToHolder(Box::new(ToHolder::Deal { federation })));
        }
    }

    /// Holders that have not dealt.
    fn not_dealt(&self) -> Vec<Name> {
        let dealt: Vec<_> = self.deals.keys().map(|holder| usize::from(holder.0)).collect();
        let seats = self.roster.committee();
        let has_dealt = |member: &&Member| {
            seats
                .iter()
                .position(|seat| seat.holder == member.id)
                .is_some_and(|place| dealt.contains(&place))
        };
        let holders = self.roster.members.iter().filter(|member| member.role == Role::Holder);
        holders.filter(|member| !has_dealt(member)).map(|member| member.name.clone()).collect()
    }

    /// A holder has dealt.
    pub(super) fn take_deal(&mut self, member: &Member, deal: Deal) {
        let committee = self.roster.committee();
        let is_own =
            committee.get(usize::from(deal.holder.0)).is_some_and(|seat| seat.holder == member.id);
        let shape = CommitteeShape::of_members(committee.len());
        let Some(shape) = shape.filter(|_| is_own) else { return };
        match deal.check(&self.roster.digest(), shape, &committee) {
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
