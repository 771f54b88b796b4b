//! A holder's verdict in an audit: from what others opened and what it reads again, for itself; and
//! the release of the set that the committee accepts.

use std::collections::BTreeMap;

use crate::audit::opening::{Failure, Public};
use crate::audit::part::Agreed;
use crate::audit::rereading::Rereading;
use crate::audit::verdict::{Verdict, decode_public, judge_all, openings_digest};
use crate::config::{RoundConfig, set_digest};
use crate::hash::{Digest, Domain};
use crate::limits::{AUDIT_REREAD_ALL_PARAMETERS, AUDIT_REREADS_MIN, AUDIT_REREADS_PER_MILLE};
use crate::message::{Certificate, FromHolder, Refusal, Vote};
use crate::party::PartyId;
use crate::record::HolderRecord;
use crate::signing::Statement;

use super::audit::{Answers, Asked, Judging};
use super::{Holder, HolderEffect, No};

impl Holder {
    pub(super) fn part(&mut self, round_ctx: &Digest, part: Agreed) -> Answers {
        let (work, asked) = self.audited(round_ctx)?;
        let mut asked = asked.ok_or(No::Lacking)?;
        let taken = match &mut asked.opened {
            None => Err(No::Lacking),
            Some(opened) => {
                let agreed = part.verify(&work.config, round_ctx, &opened.list);
                agreed.map_err(|bad| No::Refused(Refusal::Malformed(bad.to_string()))).map(|()| {
                    opened.others.entry(part.component).or_insert(part);
                })
            }
        };
        if let Some(audit) = &mut work.audit {
            audit.asked = Some(asked);
        }
        taken.map(|()| Vec::new())
    }

    /// Judges for itself, and asks for the contributions that it wants to read again first.
    pub(super) fn judge(&mut self, round_ctx: &Digest, public: Vec<u8>) -> Answers {
        let (work, asked) = self.audited(round_ctx)?;
        let mut asked = asked.ok_or(No::Lacking)?;
        let config = work.config.clone();
        let is_known = |judging: &Judging| judging.public == public;
        let judging = match asked.opened.as_ref().and_then(|opened| opened.judging.as_ref()) {
            Some(judging) if is_known(judging) => Ok(None),
            _ => self.judging(&config, &asked, round_ctx, public).map(Some),
        };
        let judging = judging.map(|judging| {
            if let (Some(opened), Some(judging)) = (&mut asked.opened, judging) {
                opened.judging = Some(judging);
            }
        });
        if let Some(audit) = self.rounds.get_mut(round_ctx).and_then(|work| work.audit.as_mut()) {
            audit.asked = Some(asked);
        }
        judging?;
        self.conclude(round_ctx)
    }

    fn judging(
        &self,
        config: &RoundConfig,
        asked: &Asked,
        round_ctx: &Digest,
        public: Vec<u8>,
    ) -> Result<Judging, No> {
        let work = self.rounds.get(round_ctx).ok_or(No::Lacking)?;
        let opened = asked.opened.as_ref().ok_or(No::Lacking)?;
        let parts = opened.parts(config.shape).ok_or(No::Lacking)?;
        let question = asked.question(config)?;
        let check = question.check(&opened.check);
        let proofs = asked.proofs.iter().map(|(client, (proof, _))| (client, proof));
        let verdicts = judge_all(&question, &check, proofs, &parts, &public);
        let verdicts = verdicts.map_err(|bad| Refusal::Malformed(bad.to_string()))?;
        let told = decode_public(asked.proofs.len(), &public).unwrap_or_default();
        let (mut accepted, mut unread) = (Vec::new(), BTreeMap::new());
        let picked = self.picked(config, round_ctx, asked);
        for ((client, verdict), public) in asked.proofs.keys().zip(&verdicts).zip(told) {
            let (signed, _) = work.contribution(client).ok_or(No::Lacking)?;
            if verdict.is_ok() {
                accepted.push(signed.header);
            }
            // What is not in range fails whatever the public values are.
            let hangs_on_them = matches!(verdict, Err(Failure::Relation | Failure::Proof));
            if hangs_on_them || picked.contains(client) {
                unread.insert(signed.header, (*client, *signed, public));
            }
        }
        work.check_size(accepted.len())?;
        let (list, openings) = (opened.list, openings_digest(&parts, &public));
        let verdict = Verdict { list, openings, set: set_digest(round_ctx, &accepted) };
        Ok(Judging { public, verdict, unread })
    }

    /// Contributions to read again whatever their verdict: all of a small model, else a few that
    /// nobody else can foresee.
    fn picked(&self, config: &RoundConfig, round_ctx: &Digest, asked: &Asked) -> Vec<PartyId> {
        let mut clients: Vec<PartyId> = asked.proofs.keys().copied().collect();
        if config.dimension > AUDIT_REREAD_ALL_PARAMETERS {
            let place = |client: &PartyId| {
                let context: [&[u8]; 3] = [b"reread", &round_ctx.0, &client.0];
                *self.identity.hedge(Domain::BeaconSecret, &context)
            };
            clients.sort_by_cached_key(place);
            let share = (clients.len() * AUDIT_REREADS_PER_MILLE).div_ceil(1000);
            clients.truncate(share.max(AUDIT_REREADS_MIN));
        }
        clients
    }

    /// What stored contributions of a round are read against; `None` when the round is not judged.
    #[must_use]
    pub fn rereading(&self, round_ctx: &Digest) -> Option<Rereading> {
        let asked = self.rounds.get(round_ctx)?.audit.as_ref()?.asked.as_ref()?;
        Some(asked.opened.as_ref()?.rereading.clone())
    }

    /// A stored contribution was read again: its public values, or `None` when its bytes are not
    /// what its client signed. An answer that nobody waits for changes nothing.
    pub fn handle_reread(&mut self, round_ctx: &Digest, header: &Digest, public: Option<Public>) {
        let audit = self.rounds.get_mut(round_ctx).and_then(|work| work.audit.as_mut());
        let opened = audit.and_then(|audit| audit.asked.as_mut()?.opened.as_mut());
        let Some(judging) = opened.and_then(|opened| opened.judging.as_mut()) else { return };
        let Some((client, _, told)) = judging.unread.get(header) else { return };
        if public != Some(*told) {
            let refusal = Refusal::Misread(*client);
            self.answer(*round_ctx, Err(refusal.into()));
            return;
        }
        judging.unread.remove(header);
        if judging.unread.is_empty() {
            let answer = self.conclude(round_ctx);
            self.answer(*round_ctx, answer);
        }
    }

    /// One verdict, ever, once everything that is to be read again has been.
    fn conclude(&mut self, round_ctx: &Digest) -> Answers {
        let (run, signed) = self.signed_round(round_ctx)?;
        let audit = self.rounds.get(round_ctx).and_then(|work| work.audit.as_ref());
        let opened = audit.ok_or(No::Lacking)?.asked()?.opened.as_ref();
        let judging = opened.and_then(|opened| opened.judging.as_ref()).ok_or(No::Lacking)?;
        let round_ctx = *round_ctx;
        if !judging.unread.is_empty() {
            let contributions = judging.unread.values().map(|(_, signed, _)| *signed).collect();
            self.outbox.push(HolderEffect::Reread { round_ctx, contributions });
            return Ok(Vec::new());
        }
        let (verdict, digest) = (judging.verdict, judging.verdict.digest());
        match signed.judged {
            Some(judged) if judged != digest => return Err(Refusal::AlreadyVoted.into()),
            Some(_) => {}
            None => self.remember(HolderRecord::Judged { run, round_ctx, verdict: digest }),
        }
        let signature = self.identity.sign(Statement::Verdict, &round_ctx, &digest.0);
        let vote = Vote { holder: self.seat, signature };
        Ok(vec![FromHolder::Judged { round_ctx, verdict, vote }])
    }

    /// A verdict is certified: the set that it accepts is released.
    pub(super) fn accepted(
        &mut self,
        set: &[Digest],
        verdict: &Verdict,
        certificate: &Certificate,
    ) -> Result<FromHolder, No> {
        let round_ctx = certificate.round_ctx;
        let work = self.rounds.get(&round_ctx).ok_or(No::Lacking)?;
        if !work.config.is_audited() {
            return Err(Refusal::WrongPhase.into());
        }
        self.check_verdict(work, set, verdict, certificate)?;
        self.release(&round_ctx, set)
    }
}
