//! Release: holders release their component sums of the certified set. As soon as every component
//! was given equally by f + 1 holders a worker opens the sum. The phase ends when it has, or at
//! its deadline, which starts anew when the worker begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::audit::weighing::declared;
use crate::config::{Component, HolderIndex, RoundConfig};
use crate::hash::Digest;
use crate::message::{AbandonReason, HolderFault, Outcome, Phase, Refusal, Release, ToHolder};
use crate::party::PartyId;
use crate::record::RoundRecord;
use crate::signing::Statement;
use crate::sum::open::{Summands, combine};
use crate::time::Time;

use super::{OpenFailure, Opened, Round, RoundEffect, Stage};

/// The phase.
pub(super) struct Releasing {
    since: Time,
    headers: Vec<Digest>,
    digest: Digest,
    releases: BTreeMap<HolderIndex, Release>,
    /// The worker is at it.
    is_opening: bool,
}

impl Releasing {
    pub(super) const fn new(headers: Vec<Digest>, digest: Digest, since: Time) -> Self {
        Self { since, headers, digest, releases: BTreeMap::new(), is_opening: false }
    }

    /// After a restart, the time to answer begins anew.
    pub(super) const fn restart(&mut self, now: Time) {
        self.since = now;
    }

    pub(super) fn has_answered(&self, holder: HolderIndex) -> bool {
        self.releases.contains_key(&holder)
    }

    /// Whether a release is for the certified set and has the lengths that the terms imply.
    fn check(&self, config: &RoundConfig, release: &Release) -> Result<(), Refusal> {
        if release.set != self.digest {
            return Err(Refusal::BadSet("a release for a set that is not certified".into()));
        }
        let length = config.profile.key_vector_bytes();
        let expected = config.shape.components_of(release.holder).len();
        if release.sums.len() != expected || release.sums.iter().any(|sum| sum.len() != length) {
            let why = format!("a release has {expected} sums of {length} bytes");
            return Err(Refusal::Malformed(why));
        }
        Ok(())
    }

    /// Holders that gave different values for a component of which no f + 1 gave the same.
    fn at_odds(&self, config: &RoundConfig) -> BTreeSet<HolderIndex> {
        let mut given: BTreeMap<Component, Vec<(HolderIndex, &Vec<u8>)>> = BTreeMap::new();
        for (&holder, release) in &self.releases {
            for (component, sum) in
                config.shape.components_of(holder).into_iter().zip(&release.sums)
            {
                given.entry(component).or_default().push((holder, sum));
            }
        }
        let needed = config.shape.faults() + 1;
        let is_open = |given: &&Vec<(HolderIndex, &Vec<u8>)>| {
            let agree = |sum: &Vec<u8>| given.iter().filter(|(_, other)| *other == sum).count();
            given.iter().all(|(_, sum)| agree(sum) < needed)
                && given.iter().any(|(_, sum)| agree(sum) < given.len())
        };
        let open = given.values().filter(is_open);
        open.flat_map(|given| given.iter().map(|(holder, _)| *holder)).collect()
    }
}

impl Round {
    pub(super) fn ask_release_of(&mut self, to: PartyId) {
        let Stage::Release(releasing) = &self.stage else { return };
        let set = releasing.headers.clone();
        let message = match self.audited.accepted() {
            Some((verdict, certificate)) => ToHolder::Accepted { set, verdict, certificate },
            None => {
                let Some(certificate) = self.certificate.clone() else { return };
                ToHolder::Certified { set, certificate }
            }
        };
        self.tell_holder(to, message);
    }

    pub(super) fn handle_released(
        &mut self,
        now: Time,
        holder: HolderIndex,
        release: Release,
    ) -> Result<(), Refusal> {
        if matches!(self.stage, Stage::Credit(_)) {
            // Late, and no longer needed.
            self.committee.note_answer(holder, Phase::Release);
            return Ok(());
        }
        let Stage::Release(releasing) = &self.stage else { return Err(Refusal::WrongPhase) };
        if release.holder != holder {
            return Err(Refusal::Malformed("the release of another holder".into()));
        }
        let config = &self.terms.config;
        let body = Release::body(&release.set, &release.sums);
        let seat = &config.committee[usize::from(holder.0)];
        let signed =
            seat.holder.verify(Statement::Release, &self.context, &body, &release.signature);
        signed.map_err(|_| Refusal::BadSignature)?;
        // From here on the holder cannot deny it.
        if let Err(refusal) = releasing.check(config, &release) {
            self.committee.add_fault(holder, HolderFault::WrongRelease);
            return Err(refusal);
        }
        if let Some(first) = releasing.releases.get(&holder) {
            if first.sums == release.sums {
                return Ok(());
            }
            // Two signed releases that differ: one of them is wrong.
            self.committee.add_fault(holder, HolderFault::WrongRelease);
            return Err(Refusal::Conflict);
        }
        if let Stage::Release(releasing) = &mut self.stage {
            releasing.releases.insert(holder, release);
        }
        self.committee.note_answer(holder, Phase::Release);
        self.conclude_release(now);
        Ok(())
    }

    fn conclude_release(&mut self, now: Time) {
        let Stage::Release(releasing) = &mut self.stage else { return };
        let given: Vec<(HolderIndex, &[Vec<u8>])> = releasing
            .releases
            .iter()
            .map(|(&holder, release)| (holder, release.sums.as_slice()))
            .collect();
        let combined = combine(&self.terms.config, &given);
        for liar in combined.liars {
            self.committee.add_fault(liar, HolderFault::WrongRelease);
        }
        let components: Option<Vec<_>> = combined.components.into_iter().collect();
        let Some(components) = components.filter(|_| !releasing.is_opening) else { return };
        releasing.is_opening = true;
        self.deadline = now.after_ms(self.terms.timings.release_ms);
        let (set, summands) = (Arc::clone(&self.set), self.summands());
        self.outbox.push(RoundEffect::Open { set, components, summands });
    }

    /// How many contributions are in the sum, and, where they are audited, what weight their owners
    /// declare.
    fn summands(&self) -> Summands {
        let config = &self.terms.config;
        let clients = self.set.iter().map(|signed| signed.header.client);
        let count = config.multiplicities(clients.clone()).iter().sum();
        let declared = config.is_audited().then(|| {
            // Whoever is accepted has a proof.
            let examples = |client| Some((client, self.audited.proof_of(&client)?.examples));
            declared(config, &clients.filter_map(examples).collect::<Vec<_>>())
        });
        Summands { count, declared }
    }

    /// The worker that [`RoundEffect::Open`] asked for has an answer. An answer that nobody waits
    /// for changes nothing.
    pub fn handle_opened(&mut self, now: Time, result: Result<Opened, OpenFailure>) {
        self.handle_timeout(now);
        let Stage::Release(releasing) = &self.stage else { return };
        if !releasing.is_opening {
            return;
        }
        if now.since_ms(releasing.since) >= self.terms.timings.resend_ms {
            self.note_unanswered();
        }
        match result {
            Ok(opened) if self.terms.config.credit.is_some() => {
                self.commit(RoundRecord::Summed { opened, at: now });
                self.direct();
            }
            Ok(opened) => {
                let counted = self.set.iter().map(|signed| signed.header.client).collect();
                let report = self.report(now, counted);
                self.end(now, Outcome::Done(report), Some(opened));
            }
            Err(failure) => self.abandon(now, AbandonReason::Spoiled(failure.to_string())),
        }
    }

    pub(super) fn expire_release(&mut self, now: Time) {
        let Stage::Release(releasing) = &self.stage else { return };
        let got = releasing.releases.len() as u32;
        if releasing.is_opening {
            let waited_ms = self.terms.timings.release_ms;
            let why = format!("the coordinator did not open it within {waited_ms} ms");
            self.abandon(now, AbandonReason::Spoiled(why));
            return;
        }
        for holder in releasing.at_odds(&self.terms.config) {
            self.committee.add_fault(holder, HolderFault::Disagrees);
        }
        self.note_unanswered();
        let needed = self.terms.config.shape.faults() as u32 + 1;
        self.abandon(now, AbandonReason::NotReleased { got, needed });
    }
}
