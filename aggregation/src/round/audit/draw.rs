//! Drawing a beacon: the rows' once the set is certified, with the fold's where there is credit; the
//! check's once the list of proofs is.

use std::collections::BTreeMap;

use crate::audit::beacon::Use;
use crate::audit::drawing::{Drawing, Drawn};
use crate::config::HolderIndex;
use crate::message::{HolderFault, Phase, Refusal};
use crate::record::RoundRecord;
use crate::time::Time;

use super::{Round, Stage, Step};

/// Values that came of one beacon, or of two that are drawn at once.
#[derive(Default)]
pub(super) struct Drawings {
    drawn: BTreeMap<HolderIndex, Drawn>,
    /// Of the fold, where there is credit.
    fold: Option<BTreeMap<HolderIndex, Drawn>>,
}

impl Drawings {
    /// Of the rows, and of the fold where there is credit.
    pub(super) fn of_rows(has_credit: bool) -> Self {
        Self { drawn: BTreeMap::new(), fold: has_credit.then(BTreeMap::new) }
    }

    pub(super) fn has_answered(&self, holder: HolderIndex) -> bool {
        let has_fold = |fold: &BTreeMap<_, _>| fold.contains_key(&holder);
        self.drawn.contains_key(&holder) && self.fold.as_ref().is_none_or(has_fold)
    }
}

impl Round {
    pub(in crate::round) fn handle_drawn(
        &mut self,
        now: Time,
        holder: HolderIndex,
        usage: Use,
        drawn: Drawn,
    ) -> Result<(), Refusal> {
        let Some(of) = self.drawn_for(usage) else { return Err(Refusal::WrongPhase) };
        let config = &self.terms.config;
        let expected = config.shape.components_of(holder).len();
        if drawn.holder != holder || drawn.values.len() != expected {
            let why = format!("{expected} values of the holder itself are expected");
            return Err(Refusal::Malformed(why));
        }
        if !drawn.is_signed(config, &self.context, (usage, &of)) {
            return Err(Refusal::BadSignature);
        }
        // Also when it comes late.
        self.committee.note_answer(holder, Phase::Audit);
        let Stage::Audit(auditing) = &mut self.stage else { return Ok(()) };
        match (&mut auditing.step, usage) {
            (Step::Rows(drawings), Use::Rows) | (Step::Check(drawings), Use::Check) => {
                drawings.drawn.entry(holder).or_insert(drawn);
            }
            (Step::Rows(drawings), Use::Fold) => {
                let Some(fold) = &mut drawings.fold else { return Err(Refusal::WrongPhase) };
                fold.entry(holder).or_insert(drawn);
            }
            // Late, and no longer needed.
            _ => return Ok(()),
        }
        self.conclude_drawing(now);
        Ok(())
    }

    fn conclude_drawing(&mut self, now: Time) {
        let Stage::Audit(auditing) = &self.stage else { return };
        let (Step::Rows(drawings) | Step::Check(drawings)) = &auditing.step else { return };
        let is_rows = matches!(auditing.step, Step::Rows(_));
        let drawing = Drawing { drawn: drawings.drawn.values().cloned().collect() };
        let Ok((_, mut liars)) = drawing.value(&self.terms.config) else { return };
        let fold = drawings.fold.as_ref();
        let fold = fold.map(|fold| Drawing { drawn: fold.values().cloned().collect() });
        match fold.as_ref().map(|fold| fold.value(&self.terms.config)) {
            None => {}
            Some(Ok((_, others))) => liars.extend(others),
            Some(Err(_)) => return,
        }
        for liar in liars {
            self.committee.add_fault(liar, HolderFault::WrongBeacon);
        }
        self.close_step(now);
        self.commit(if is_rows {
            RoundRecord::Proving { rows: drawing, fold, at: now }
        } else {
            RoundRecord::OpeningProofs { check: drawing, at: now }
        });
        if !is_rows {
            self.measure();
        }
        self.ask(now);
    }
}
