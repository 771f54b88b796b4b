//! What a holder has signed, as a fold of its records.

use crate::hash::Digest;
use crate::record::HolderRecord;

use super::Holder;
use super::credit::Opened;

/// What was signed for the latest round of a run. Earlier rounds can never be signed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) round: u32,
    pub(super) round_ctx: Digest,
    pub(super) voted: Option<Digest>,
    pub(super) listed: Option<Digest>,
    pub(super) judged: Option<Digest>,
    pub(super) released: Option<Digest>,
    /// The functions whose numbers were opened.
    pub(super) numbered: Option<Digest>,
    pub(super) attested: Option<Digest>,
}

impl Signed {
    const fn new(round: u32, round_ctx: Digest) -> Self {
        Self {
            round,
            round_ctx,
            voted: None,
            listed: None,
            judged: None,
            released: None,
            numbered: None,
            attested: None,
        }
    }
}

impl Holder {
    /// Whether an honest run can have written `record` next.
    pub(super) fn follows(&self, record: &HolderRecord) -> bool {
        match *record {
            HolderRecord::Countersigned { run, round, .. } => {
                self.signed.get(&run).is_none_or(|signed| signed.round < round)
            }
            HolderRecord::Voted { run, round_ctx, .. } => {
                self.is_open(&run, &round_ctx, |signed| signed.voted)
            }
            HolderRecord::Listed { run, round_ctx, .. } => {
                self.is_open(&run, &round_ctx, |signed| signed.listed)
            }
            HolderRecord::Judged { run, round_ctx, .. } => {
                self.is_open(&run, &round_ctx, |signed| signed.judged)
            }
            HolderRecord::Released { run, round_ctx, .. } => {
                self.is_open(&run, &round_ctx, |signed| signed.released)
            }
            HolderRecord::Numbered { run, round_ctx, .. } => {
                self.is_open(&run, &round_ctx, |signed| signed.numbered)
            }
            HolderRecord::Attested { run, round_ctx, .. } => {
                self.is_open(&run, &round_ctx, |signed| signed.attested)
            }
            HolderRecord::Approved { number, .. } => self.follows_roster(number),
        }
    }

    /// Whether this is the run's latest round, and `what` is not signed in it yet.
    fn is_open(
        &self,
        run: &Digest,
        round_ctx: &Digest,
        what: impl Fn(&Signed) -> Option<Digest>,
    ) -> bool {
        let signed = self.signed.get(run);
        signed.is_some_and(|signed| signed.round_ctx == *round_ctx && what(signed).is_none())
    }

    pub(super) fn apply(&mut self, record: HolderRecord) {
        match record {
            HolderRecord::Countersigned { run, round, round_ctx } => {
                self.signed.insert(run, Signed::new(round, round_ctx));
            }
            HolderRecord::Voted { run, set, .. } => {
                self.note(&run, |signed| signed.voted = Some(set));
            }
            HolderRecord::Listed { run, list, .. } => {
                self.note(&run, |signed| signed.listed = Some(list));
            }
            HolderRecord::Judged { run, verdict, .. } => {
                self.note(&run, |signed| signed.judged = Some(verdict));
            }
            HolderRecord::Released { run, set, .. } => {
                self.note(&run, |signed| signed.released = Some(set));
            }
            HolderRecord::Numbered { run, functions, .. } => {
                self.note(&run, |signed| signed.numbered = Some(functions));
            }
            HolderRecord::Attested { run, attestation, pool, opened, retired, .. } => {
                self.note(&run, |signed| signed.attested = Some(attestation));
                self.pools.insert(pool, Opened { folds: opened, retired });
            }
            HolderRecord::Approved { number, roster } => self.apply_roster(number, roster),
        }
    }

    fn note(&mut self, run: &Digest, what: impl FnOnce(&mut Signed)) {
        if let Some(signed) = self.signed.get_mut(run) {
            what(signed);
        }
    }
}
