//! One round as a holder keeps it in memory: terms, checked contributions, seeds.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::rereading::Signed;
use crate::config::{HolderIndex, RoundConfig};
use crate::hash::Digest;
use crate::limits::COMPLAINTS_PER_MESSAGE_MAX;
use crate::message::{Complaint, ComplaintKind, Envelope, FromHolder, Refusal, Release};
use crate::party::PartyId;
use crate::signing::{Identity, Statement};
use crate::sum::contribution::BadContribution;
use crate::sum::sealed_box::SealingSecret;
use crate::sum::share::{BadBox, Seeds, check_envelope, open_envelope, weighed_component_sums};

use super::No;
use super::audit::AuditWork;

/// A contribution that came.
struct Checked {
    signed: Signed,
    /// The seeds, or what is wrong with the box.
    box_: Result<Seeds, Box<Complaint>>,
}

pub(super) struct Work {
    pub(super) config: RoundConfig,
    pub(super) context: Digest,
    /// How many rounds were taken up before it.
    pub(super) arrival: u64,
    /// Once released, this is all there is to say of it.
    pub(super) release: Option<Box<Release>>,
    seat: HolderIndex,
    cohort: BTreeSet<PartyId>,
    /// Contributions announced.
    total: Option<u32>,
    contributions: BTreeMap<PartyId, Checked>,
    clients: BTreeMap<Digest, PartyId>,
    /// Where the round is audited.
    pub(super) audit: Option<AuditWork>,
}

impl Work {
    pub(super) fn new(
        config: RoundConfig,
        cohort: &[PartyId],
        context: Digest,
        seat: HolderIndex,
    ) -> Self {
        Self {
            config,
            context,
            arrival: 0,
            release: None,
            seat,
            cohort: cohort.iter().copied().collect(),
            total: None,
            contributions: BTreeMap::new(),
            clients: BTreeMap::new(),
            audit: None,
        }
    }

    /// The coordinator says how many contributions there are; it may say so only once.
    pub(super) fn expect_total(&mut self, total: u32) -> Result<(), Refusal> {
        if self.total.is_some_and(|expected| expected != total) {
            return Err(Refusal::Conflict);
        }
        self.check_size(total as usize)?;
        if total as usize > self.cohort.len() {
            return Err(Refusal::Malformed("more contributions than admitted clients".into()));
        }
        self.total = Some(total);
        Ok(())
    }

    pub(super) fn check_size(&self, size: usize) -> Result<(), Refusal> {
        let (min, max) = (self.config.contributions_min, self.config.contributions_max);
        let got = u32::try_from(size).unwrap_or(u32::MAX);
        if (min..=max).contains(&got) { Ok(()) } else { Err(Refusal::SetSize { got, min, max }) }
    }

    /// Checks one contribution and opens its box. The same one again changes nothing.
    pub(super) fn take_envelope(
        &mut self,
        envelope: &Envelope,
        identity: &Identity,
        secret: &SealingSecret,
    ) -> Result<(), Refusal> {
        let client = envelope.client;
        if !self.cohort.contains(&client) {
            return Err(Refusal::NotAdmitted);
        }
        let malformed = |bad: BadContribution| Refusal::Malformed(bad.to_string());
        let header = envelope.digest(&self.context, self.config.shape, self.seat);
        let header = header.ok_or_else(|| malformed(BadContribution::Vectors))?;
        match self.contributions.get(&client) {
            Some(known) if known.signed.header == header => return Ok(()),
            Some(_) => return Err(Refusal::Conflict),
            None => {}
        }
        if self.total.is_some_and(|total| self.contributions.len() >= total as usize) {
            return Err(Refusal::Malformed("more contributions than announced".into()));
        }
        check_envelope(&self.config, &self.context, self.seat, envelope).map_err(
            |bad| match bad {
                BadContribution::Signature => Refusal::BadSignature,
                other => malformed(other),
            },
        )?;
        let box_ = match open_envelope(&self.config, &self.context, self.seat, secret, envelope) {
            Ok(seeds) => Ok(seeds),
            Err(BadBox::Complaint(kind)) => Err(Box::new(self.complain(header, kind, identity))),
            Err(bad @ BadBox::Components) => return Err(Refusal::Malformed(bad.to_string())),
        };
        let (correction, chunks_root) = (envelope.correction, envelope.chunks_root);
        let signed = Signed { header, correction, chunks_root };
        self.contributions.insert(client, Checked { signed, box_ });
        self.clients.insert(header, client);
        Ok(())
    }

    fn complain(&self, header: Digest, kind: ComplaintKind, identity: &Identity) -> Complaint {
        let body = Complaint::body(&header, self.seat, &kind);
        let signature = identity.sign(Statement::Complaint, &self.context, &body);
        Complaint { round_ctx: self.context, header, holder: self.seat, kind, signature }
    }

    fn is_complete(&self) -> bool {
        self.total.is_some_and(|total| self.contributions.len() == total as usize)
    }

    /// The answer to the envelopes, once all have come.
    pub(super) fn checked(&self) -> Option<FromHolder> {
        let total = self.total.filter(|_| self.is_complete())?;
        let complaints = self.contributions.values().filter_map(|one| one.box_.as_ref().err());
        let complaints = complaints.take(COMPLAINTS_PER_MESSAGE_MAX).map(|one| (**one).clone());
        let complaints = complaints.collect();
        Some(FromHolder::Checked { round_ctx: self.context, total, complaints })
    }

    /// Whether this set may be opened, as far as this holder knows: its size is within the terms,
    /// and every contribution came, is good, and stands in the order of clients (so that no
    /// client counts twice).
    pub(super) fn check_set(&self, set: &[Digest]) -> Result<(), No> {
        self.check_size(set.len())?;
        let bad = |why: &str| No::Refused(Refusal::BadSet(why.to_owned()));
        let mut last: Option<&PartyId> = None;
        for header in set {
            let Some(client) = self.clients.get(header) else {
                return Err(if self.is_complete() {
                    bad("it names a contribution that was never sent")
                } else {
                    No::Lacking
                });
            };
            if last.is_some_and(|last| last >= client) {
                return Err(bad("its clients are not in ascending order, each once"));
            }
            last = Some(client);
            if self.contributions.get(client).is_none_or(|one| one.box_.is_err()) {
                return Err(bad("it names a contribution whose box is bad"));
            }
        }
        Ok(())
    }

    /// What is held of a client of the set, if its box is good.
    pub(super) fn contribution(&self, client: &PartyId) -> Option<(&Signed, &Seeds)> {
        let checked = self.contributions.get(client)?;
        checked.box_.as_ref().ok().map(|seeds| (&checked.signed, seeds))
    }

    /// The client of a contribution that came.
    pub(super) fn client_of(&self, header: &Digest) -> Option<PartyId> {
        self.clients.get(header).copied()
    }

    /// R_T over a set that [`Self::check_set`] accepted, each contribution as often as the terms that
    /// this holder countersigned say.
    pub(super) fn component_sums(&self, set: &[Digest]) -> Vec<Vec<u8>> {
        let seeds = set.iter().filter_map(|header| {
            let client = self.clients.get(header)?;
            let seeds = self.contributions.get(client)?.box_.as_ref().ok()?;
            Some((*client, seeds))
        });
        let seeds: Vec<_> = seeds.collect();
        let times = self.config.multiplicities(seeds.iter().map(|(client, _)| *client));
        let seeds = seeds.into_iter().zip(times);
        weighed_component_sums(&self.config, &self.context, self.seat, seeds)
    }

    /// From now on there is only `release` to repeat, and every seed is forgotten; where there is
    /// credit, only once its numbers are open.
    pub(super) fn keep_only(&mut self, release: Box<Release>) {
        if self.config.credit.is_none() {
            self.forget_seeds();
            self.clients.clear();
            self.audit = None;
        }
        self.release = Some(release);
    }

    /// Forgets every seed.
    pub(super) fn forget_seeds(&mut self) {
        self.contributions.clear();
    }
}
