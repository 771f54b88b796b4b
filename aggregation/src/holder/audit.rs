//! A holder's part in an audit: it draws beacons, holds the proofs, votes for their list, and opens
//! them. What it makes of it is in `judge`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::audit::beacon::{BeaconKey, Use};
use crate::audit::deal::{Deal, SealedKey, open_keys};
use crate::audit::drawing::{Drawing, Drawn};
use crate::audit::list::{Proven, list_digest};
use crate::audit::opening::{Opening, Public, open};
use crate::audit::part::{Agreed, Part, encode};
use crate::audit::proof::Proof;
use crate::audit::question::Question;
use crate::audit::rereading::{Rereading, Signed};
use crate::audit::verdict::Verdict;
use crate::config::{CommitteeShape, Component, RoundConfig, set_digest};
use crate::hash::Digest;
use crate::limits::PROOFS_PER_MESSAGE_MAX;
use crate::message::{Certificate, FromHolder, Refusal, ToHolder, Vote};
use crate::party::PartyId;
use crate::record::HolderRecord;
use crate::signing::Statement;

use super::credit::Crediting;
use super::work::Work;
use super::{Holder, No};

/// Answers to one message.
pub(super) type Answers = Result<Vec<FromHolder>, No>;

/// An audit as a holder keeps it in memory.
pub(super) struct AuditWork {
    /// Of the components it knows, in canonical order.
    pub(super) keys: Vec<BeaconKey>,
    pub(super) asked: Option<Asked>,
}

/// The audit of a certified set.
pub(super) struct Asked {
    /// H(U).
    pub(super) set: Digest,
    /// The beacon of the rows.
    pub(super) rows: Digest,
    /// Clients of U, ascending.
    pub(super) clients: Vec<PartyId>,
    /// Proofs in all.
    pub(super) total: usize,
    pub(super) proofs: BTreeMap<PartyId, (Proof, Digest)>,
    /// What their owners declare.
    pub(super) examples: BTreeMap<PartyId, u32>,
    pub(super) opened: Option<Opened>,
    /// Where the round has credit, and its sum is open.
    pub(super) crediting: Option<Crediting>,
}

/// The proofs as this holder opened them.
pub(super) struct Opened {
    pub(super) list: Digest,
    pub(super) check: Digest,
    pub(super) rereading: Rereading,
    /// What it opened itself.
    pub(super) own: BTreeMap<Component, Vec<u8>>,
    /// What others opened.
    pub(super) others: BTreeMap<Component, Agreed>,
    pub(super) judging: Option<Judging>,
}

/// What it makes of everything that was opened.
pub(super) struct Judging {
    pub(super) public: Vec<u8>,
    pub(super) verdict: Verdict,
    /// Contributions still to be read again, by header, with their public values as they were told.
    pub(super) unread: BTreeMap<Digest, (PartyId, Signed, Public)>,
}

impl Asked {
    pub(super) fn question<'a>(&self, config: &'a RoundConfig) -> Result<Question<'a>, No> {
        let bad = |bad: crate::audit::terms::BadTerms| Refusal::Terms(bad.to_string());
        Ok(Question::new(config, self.set, self.rows).map_err(bad)?)
    }

    pub(super) fn list(&self) -> Option<Digest> {
        let digests = self.proofs.iter().map(|(client, (_, digest))| (client, digest));
        (self.proofs.len() == self.total).then(|| list_digest(&self.set, digests))
    }
}

impl AuditWork {
    pub(super) fn asked(&self) -> Result<&Asked, No> {
        self.asked.as_ref().ok_or(No::Lacking)
    }
}

impl Opened {
    /// All parts in canonical order, once they are there: its own, and those it was sent.
    pub(super) fn parts(&self, shape: CommitteeShape) -> Option<Vec<Agreed>> {
        let part = |component| match self.own.get(&component) {
            Some(openings) => {
                Some(Agreed { component, openings: openings.clone(), signatures: Vec::new() })
            }
            None => self.others.get(&component).cloned(),
        };
        shape.components().into_iter().map(part).collect()
    }
}

impl Holder {
    /// Deals beacon keys, for the roster it has pinned.
    pub(super) fn deal(&self, federation: &Digest) -> Answers {
        if *federation != self.roster {
            return Err(Refusal::Terms("of another roster than the one pinned".into()).into());
        }
        let shape = CommitteeShape::of_members(self.committee.len());
        let by = (self.seat, &*self.identity);
        let deal = shape.and_then(|shape| Deal::new(self.roster, shape, &self.committee, by));
        let bad = || Refusal::Terms("a sealing key of the committee is none".into());
        Ok(vec![FromHolder::Dealt(Box::new(deal.ok_or_else(bad)?))])
    }

    /// What an audited round begins with: its beacon keys, opened.
    pub(super) fn begin_audit(
        &self,
        config: &RoundConfig,
        beacons: &[SealedKey],
    ) -> Result<Option<AuditWork>, Refusal> {
        if !config.is_audited() {
            return Ok(None);
        }
        let of = (&self.roster, config.shape, &self.committee[..]);
        let by = (self.seat, &*self.secret);
        let keys = open_keys(of, by, &config.beacon_commitments, beacons);
        let keys = keys.map_err(|bad| Refusal::Terms(bad.to_string()))?;
        Ok(Some(AuditWork { keys, asked: None }))
    }

    /// Everything else that it is asked in an audit; with the round that it is about.
    pub(super) fn audit(&mut self, message: ToHolder) -> (Digest, Answers) {
        match message {
            ToHolder::List { set, certificate, rows, total } => {
                let round_ctx = certificate.round_ctx;
                (round_ctx, self.list(&set, &certificate, &rows, total as usize))
            }
            ToHolder::Proofs { round_ctx, batch } => (round_ctx, self.proofs(&round_ctx, &batch)),
            ToHolder::Listed { certificate } => {
                (certificate.round_ctx, self.listed(&certificate).map(|answer| vec![answer]))
            }
            ToHolder::OpenProofs { certificate, check } => {
                (certificate.round_ctx, self.open_proofs(&certificate, &check))
            }
            ToHolder::Part { round_ctx, part } => (round_ctx, self.part(&round_ctx, *part)),
            ToHolder::Judge { round_ctx, public } => (round_ctx, self.judge(&round_ctx, public)),
            ToHolder::Accepted { set, verdict, certificate } => {
                let answer = self.accepted(&set, &verdict, &certificate);
                (certificate.round_ctx, answer.map(|answer| vec![answer]))
            }
            ToHolder::Credit(question) => (question.certificate.round_ctx, self.credit(*question)),
            ToHolder::CreditPart { round_ctx, part } => {
                (round_ctx, self.credit_part(&round_ctx, *part))
            }
            ToHolder::Attest { round_ctx } => (round_ctx, self.attest(&round_ctx)),
            // Not of an audit: the caller has taken those out.
            _ => (Digest::ZERO, Ok(Vec::new())),
        }
    }

    pub(super) fn audited(&mut self, round_ctx: &Digest) -> Result<(&mut Work, Option<Asked>), No> {
        let work = self.rounds.get_mut(round_ctx).ok_or(No::Lacking)?;
        if !work.config.is_audited() {
            return Err(Refusal::WrongPhase.into());
        }
        // After the release nothing is left to be audited.
        let asked = work.audit.as_mut().ok_or(Refusal::WrongPhase)?.asked.take();
        Ok((work, asked))
    }

    /// Its values of a beacon. What they are drawn for was certified.
    pub(super) fn draw(
        &self,
        round_ctx: &Digest,
        (usage, of): (Use, &Digest),
    ) -> Result<FromHolder, No> {
        let work = self.rounds.get(round_ctx).ok_or(No::Lacking)?;
        let audit = work.audit.as_ref().ok_or(Refusal::WrongPhase)?;
        let by = (self.seat, &*self.identity);
        let drawn = Drawn::new(round_ctx, (usage, of), &audit.keys, by);
        Ok(FromHolder::Drawn { round_ctx: *round_ctx, usage, drawn })
    }

    fn list(
        &mut self,
        set: &[Digest],
        certificate: &Certificate,
        rows: &Drawing,
        total: usize,
    ) -> Answers {
        let round_ctx = certificate.round_ctx;
        let work = self.rounds.get(&round_ctx).ok_or(No::Lacking)?;
        let audit = work.audit.as_ref().ok_or(Refusal::WrongPhase)?;
        if let Some(asked) = &audit.asked {
            return self.complete(&round_ctx, asked.list().ok_or(No::Lacking)?);
        }
        if set_digest(&round_ctx, set) != certificate.set {
            return Err(Refusal::BadSet("not the set that the certificate names".into()).into());
        }
        if certificate.verify(&work.config, &round_ctx).is_err() {
            return Err(Refusal::BadCertificate.into());
        }
        work.check_set(set)?;
        if total > set.len() {
            return Err(Refusal::Malformed("more proofs than contributions".into()).into());
        }
        work.check_size(total)?;
        let drawn = rows.beacon(&work.config, &round_ctx, (Use::Rows, &certificate.set));
        let (rows, _) = drawn.map_err(|bad| Refusal::BadBeacon(bad.to_string()))?;
        let clients = set.iter().filter_map(|header| work.client_of(header)).collect();
        let (set, proofs) = (certificate.set, BTreeMap::new());
        let examples = BTreeMap::new();
        let (opened, crediting) = (None, None);
        let asked = Asked { set, rows, clients, total, proofs, examples, opened, crediting };
        let (work, _) = self.audited(&round_ctx)?;
        if let Some(audit) = &mut work.audit {
            audit.asked = Some(asked);
        }
        Ok(Vec::new())
    }

    fn proofs(&mut self, round_ctx: &Digest, batch: &[Proven]) -> Answers {
        if batch.len() > PROOFS_PER_MESSAGE_MAX {
            return Err(Refusal::Malformed("too many proofs in one message".into()).into());
        }
        let (work, asked) = self.audited(round_ctx)?;
        let mut asked = asked.ok_or(No::Lacking)?;
        let taken = Self::take_proofs(&work.config, &mut asked, batch);
        let list = asked.list();
        if let Some(audit) = &mut work.audit {
            audit.asked = Some(asked);
        }
        taken?;
        list.map_or(Ok(Vec::new()), |list| self.complete(round_ctx, list))
    }

    fn take_proofs(config: &RoundConfig, asked: &mut Asked, batch: &[Proven]) -> Result<(), No> {
        let question = asked.question(config)?;
        for proven in batch {
            if asked.clients.binary_search(&proven.client).is_err() {
                return Err(Refusal::NotAdmitted.into());
            }
            let malformed =
                |bad: crate::audit::list::BadProven| Refusal::Malformed(bad.to_string());
            let (proof, digest) = proven.check(&question).map_err(malformed)?;
            match asked.proofs.get(&proven.client) {
                Some((_, known)) if *known == digest => {}
                Some(_) => return Err(Refusal::Conflict.into()),
                None if asked.proofs.len() >= asked.total => {
                    return Err(Refusal::Malformed("more proofs than announced".into()).into());
                }
                None => {
                    asked.proofs.insert(proven.client, (proof, digest));
                    asked.examples.insert(proven.client, proven.examples);
                }
            }
        }
        Ok(())
    }

    /// All proofs have come: one vote for their list, ever.
    fn complete(&mut self, round_ctx: &Digest, list: Digest) -> Answers {
        let (run, signed) = self.signed_round(round_ctx)?;
        let round_ctx = *round_ctx;
        match signed.listed {
            Some(listed) if listed != list => return Err(Refusal::AlreadyVoted.into()),
            Some(_) => {}
            None => self.remember(HolderRecord::Listed { run, round_ctx, list }),
        }
        let signature = self.identity.sign(Statement::ProofList, &round_ctx, &list.0);
        let vote = Vote { holder: self.seat, signature };
        Ok(vec![FromHolder::Listed { round_ctx, list, vote }])
    }

    /// A list is certified: the beacon of its check may be drawn, for this list and no other.
    fn listed(&self, certificate: &Certificate) -> Result<FromHolder, No> {
        let round_ctx = certificate.round_ctx;
        let work = self.rounds.get(&round_ctx).ok_or(No::Lacking)?;
        if certificate.verify_as(Statement::ProofList, &work.config, &round_ctx).is_err() {
            return Err(Refusal::BadCertificate.into());
        }
        self.draw(&round_ctx, (Use::Check, &certificate.set))
    }

    fn open_proofs(&mut self, certificate: &Certificate, check: &Drawing) -> Answers {
        let round_ctx = certificate.round_ctx;
        let work = self.rounds.get(&round_ctx).ok_or(No::Lacking)?;
        let asked = work.audit.as_ref().ok_or(Refusal::WrongPhase)?.asked()?;
        let list = asked.list().ok_or(No::Lacking)?;
        if certificate.verify_as(Statement::ProofList, &work.config, &round_ctx).is_err() {
            return Err(Refusal::BadCertificate.into());
        }
        if certificate.set != list {
            return Err(Refusal::BadSet("the certified list is another one".into()).into());
        }
        let drawn = check.beacon(&work.config, &round_ctx, (Use::Check, &list));
        let (check, _) = drawn.map_err(|bad| Refusal::BadBeacon(bad.to_string()))?;
        if asked.opened.is_none() {
            let opened = self.opened(work, asked, list, check)?;
            let (work, asked) = self.audited(&round_ctx)?;
            if let (Some(audit), Some(asked)) = (&mut work.audit, asked) {
                audit.asked = Some(Asked { opened: Some(opened), ..asked });
            }
        }
        let audit = self.rounds.get(&round_ctx).and_then(|work| work.audit.as_ref());
        let opened = audit.ok_or(No::Lacking)?.asked()?.opened.as_ref().ok_or(No::Lacking)?;
        let part = |(&component, openings): (&Component, &Vec<u8>)| {
            let by = (self.seat, &*self.identity);
            let part = Part::sign((round_ctx, list), component, openings.clone(), by);
            FromHolder::Opened(Box::new(part))
        };
        Ok(opened.own.iter().map(part).collect())
    }

    /// Opens the components it knows, of all proofs.
    fn opened(
        &self,
        work: &Work,
        asked: &Asked,
        list: Digest,
        beacon: Digest,
    ) -> Result<Opened, No> {
        let question = asked.question(&work.config)?;
        let check = question.check(&beacon);
        let config = Arc::new(work.config.clone());
        let bad = |bad: crate::audit::terms::BadTerms| Refusal::Terms(bad.to_string());
        let rereading = Rereading::new(config, asked.set, asked.rows, &beacon).map_err(bad)?;
        let components = work.config.shape.components_of(self.seat);
        let mut all: Vec<Vec<Opening>> = vec![Vec::new(); components.len()];
        for (client, (proof, _)) in &asked.proofs {
            let (_, seeds) = work.contribution(client).ok_or(No::Lacking)?;
            let openings = open(&question, &check, &rereading.batch, (client, proof), seeds);
            all.iter_mut().zip(openings).for_each(|(all, opening)| all.push(opening));
        }
        let own = components.into_iter().zip(all.iter().map(|openings| encode(openings)));
        let own = own.collect();
        let (others, judging) = (BTreeMap::new(), None);
        Ok(Opened { list, check: beacon, rereading, own, others, judging })
    }
}
