//! What the coordinator knows of each holder in this round.

use std::collections::BTreeMap;

use crate::config::{HolderIndex, RoundConfig};
use crate::message::{Countersignature, HolderFault, Phase};
use crate::party::PartyId;
use crate::time::Time;

/// One holder's conduct.
struct Conduct {
    id: PartyId,
    countersignature: Option<Countersignature>,
    /// The last phase in which it said no for good.
    refused: Option<Phase>,
    /// The first phase in which it was waited for in vain.
    silent: Option<Phase>,
    faults: Vec<HolderFault>,
    /// It lost the round's terms or envelopes and has not caught up yet.
    is_lacking: bool,
    /// When it may be sent everything again.
    refill_at: Time,
}

pub(super) struct Committee {
    holders: BTreeMap<HolderIndex, Conduct>,
}

impl Committee {
    pub(super) fn new(config: &RoundConfig) -> Self {
        let conduct = |id| Conduct {
            id,
            countersignature: None,
            refused: None,
            silent: None,
            faults: Vec::new(),
            is_lacking: false,
            refill_at: Time(0),
        };
        let seats = (0..).map(HolderIndex).zip(&config.committee);
        Self { holders: seats.map(|(index, seat)| (index, conduct(seat.holder))).collect() }
    }

    /// Everybody, in order.
    pub(super) fn seats(&self) -> impl Iterator<Item = (HolderIndex, PartyId)> {
        self.holders.iter().map(|(&holder, conduct)| (holder, conduct.id))
    }

    /// Those that accepted the terms.
    pub(super) fn present(&self) -> impl Iterator<Item = (HolderIndex, PartyId)> {
        self.seats().filter(|(holder, _)| self.is_present(*holder))
    }

    pub(super) fn is_present(&self, holder: HolderIndex) -> bool {
        self.holders.get(&holder).is_some_and(|conduct| conduct.countersignature.is_some())
    }

    pub(super) fn id(&self, holder: HolderIndex) -> Option<PartyId> {
        self.holders.get(&holder).map(|conduct| conduct.id)
    }

    pub(super) fn countersign(&mut self, countersignature: Countersignature) {
        if let Some(conduct) = self.holders.get_mut(&countersignature.holder) {
            conduct.countersignature = Some(countersignature);
            conduct.refused = None;
        }
    }

    pub(super) fn countersignatures(&self) -> impl Iterator<Item = &Countersignature> {
        self.holders.values().filter_map(|conduct| conduct.countersignature.as_ref())
    }

    pub(super) fn refuse(&mut self, holder: HolderIndex, phase: Phase) {
        if let Some(conduct) = self.holders.get_mut(&holder) {
            conduct.refused = Some(phase);
            self.add_fault(holder, HolderFault::Refused(phase));
        }
    }

    pub(super) fn has_refused(&self, holder: HolderIndex, phase: Phase) -> bool {
        self.holders.get(&holder).is_some_and(|conduct| conduct.refused == Some(phase))
    }

    pub(super) fn refusals(&self, phase: Phase) -> usize {
        self.holders.values().filter(|conduct| conduct.refused == Some(phase)).count()
    }

    /// It was waited for in vain.
    pub(super) fn note_silent(&mut self, holder: HolderIndex, phase: Phase) {
        if let Some(conduct) = self.holders.get_mut(&holder) {
            conduct.silent.get_or_insert(phase);
        }
    }

    /// It answered after all.
    pub(super) fn note_answer(&mut self, holder: HolderIndex, phase: Phase) {
        if let Some(conduct) = self.holders.get_mut(&holder)
            && conduct.silent == Some(phase)
        {
            conduct.silent = None;
        }
    }

    pub(super) fn add_fault(&mut self, holder: HolderIndex, fault: HolderFault) {
        if let Some(conduct) = self.holders.get_mut(&holder)
            && !conduct.faults.contains(&fault)
        {
            conduct.faults.push(fault);
        }
    }

    /// A fault noted before a restart (or just now: noted once).
    pub(super) fn restore_fault(&mut self, holder: HolderIndex, fault: HolderFault) {
        match fault {
            HolderFault::Silent(phase) => self.note_silent(holder, phase),
            fault => self.add_fault(holder, fault),
        }
    }

    pub(super) fn set_lacking(&mut self, holder: HolderIndex, is_lacking: bool) {
        if let Some(conduct) = self.holders.get_mut(&holder) {
            conduct.is_lacking = is_lacking;
        }
    }

    pub(super) fn is_lacking(&self, holder: HolderIndex) -> bool {
        self.holders.get(&holder).is_some_and(|conduct| conduct.is_lacking)
    }

    /// Whether it is time to send this holder everything again; if so, not again before
    /// `pause_ms` have passed.
    pub(super) fn may_refill(&mut self, holder: HolderIndex, now: Time, pause_ms: u64) -> bool {
        let Some(conduct) = self.holders.get_mut(&holder) else { return false };
        let due = now >= conduct.refill_at;
        if due {
            conduct.refill_at = now.after_ms(pause_ms);
        }
        due
    }

    /// Everything that holders did wrong, by ascending holder.
    pub(super) fn faults(&self) -> Vec<(HolderIndex, HolderFault)> {
        let of = |conduct: &Conduct| {
            let silent = conduct.silent.map(HolderFault::Silent);
            conduct.faults.iter().copied().chain(silent).collect::<Vec<_>>()
        };
        self.holders
            .iter()
            .flat_map(|(&holder, conduct)| {
                of(conduct).into_iter().map(move |fault| (holder, fault))
            })
            .collect()
    }
}
