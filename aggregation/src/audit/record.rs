//! What is published of an audit, and the check anybody can run: everything from the certified set
//! to the accepted one is computed again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::audit::beacon::Use;
use crate::audit::crediting::{BadCreditRecord, CreditRecord};
use crate::audit::drawing::{BadDrawing, Drawing};
use crate::audit::list::{BadProven, Proven, list_digest};
use crate::audit::opening::{Failure, Public};
use crate::audit::part::{Agreed, NotAgreed};
use crate::audit::proof::Proof;
use crate::audit::question::Question;
use crate::audit::rereading::Rereading;
use crate::audit::terms::BadTerms;
use crate::audit::verdict::{NoVerdict, Verdict, decode_public, judge_all, openings_digest};
use crate::config::{RoundConfig, set_digest};
use crate::hash::Digest;
use crate::limits::COMPONENTS_MAX;
use crate::message::{BadCertificate, Certificate, SignedHeader};
use crate::party::PartyId;
use crate::signing::Statement;
use crate::wire::bounded;

/// Everything public about an audit, beside the certified set and the accepted headers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Of the certified set, the contributions that are not accepted, by ascending client.
    pub rejected: Vec<SignedHeader>,
    /// The beacon of the rows.
    pub rows: Drawing,
    /// All proofs, by ascending client.
    pub proofs: Vec<Proven>,
    /// Q votes for their list.
    pub list: Certificate,
    /// The beacon of the check.
    pub check: Drawing,
    /// What was opened of each component, in canonical order.
    #[serde(deserialize_with = "bounded::<_, _, COMPONENTS_MAX>")]
    pub parts: Vec<Agreed>,
    /// Public values of all proofs ([`super::verdict::encode_public`]).
    #[serde(with = "serde_bytes")]
    pub public: Vec<u8>,
    /// Q votes for the verdict.
    pub certificate: Certificate,
    /// The round's credit, where it has one.
    pub credit: Option<Box<CreditRecord>>,
}

/// A record of an audit that does not hold.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadAuditRecord {
    /// The round cannot be audited.
    #[error("the audit: {0}")]
    Terms(#[from] BadTerms),
    /// A beacon.
    #[error("a beacon of the audit: {0}")]
    Beacon(#[from] BadDrawing),
    /// A proof.
    #[error("{client}: {bad}")]
    Proof {
        /// Whose.
        client: PartyId,
        /// What is wrong with it.
        bad: BadProven,
    },
    /// Proofs that are not by ascending client, or of somebody outside the certified set.
    #[error("the proofs are not of clients of the certified set, in ascending order")]
    Proofs,
    /// The certificate of the list, or of the verdict.
    #[error("the certificate of the audit's {what}: {bad}")]
    Certificate {
        /// Of what.
        what: &'static str,
        /// What is wrong with it.
        bad: BadCertificate,
    },
    /// The certificate of the list, or of the verdict, is for another one than is published.
    #[error("the certificate is for another {0} of the audit than is published")]
    Other(&'static str),
    /// Openings that no f + 1 holders signed.
    #[error(transparent)]
    Part(#[from] NotAgreed),
    /// Openings or public values that are not those of the list.
    #[error(transparent)]
    Verdict(#[from] NoVerdict),
    /// The accepted set is not the one that the verdict leaves.
    #[error("the accepted set is not the one that the audit leaves")]
    Accepted,
    /// The credit.
    #[error("the credit: {0}")]
    Credit(#[from] BadCreditRecord),
    /// There is a credit, though the terms have none.
    #[error("a credit is published though the round's terms have none")]
    NoCredit,
    /// The public values of a contribution are not those of its bytes.
    #[error("the public values of the contribution of {0} are not those of its bytes")]
    Misread(PartyId),
}

/// A contribution's public values, and whether it passed.
pub type Fared = (Public, Result<(), Failure>);

/// An audit that holds.
pub struct CheckedAudit {
    /// To read stored contributions against.
    pub rereading: Rereading,
    /// For each client of the certified set, ascending: its public values and how it fared; `None`
    /// when it has no proof.
    pub clients: Vec<(PartyId, Option<Fared>)>,
}

impl CheckedAudit {
    /// The public values of a client's contribution, as published; none when it has no proof.
    #[must_use]
    pub fn public(&self, client: &PartyId) -> Option<&Public> {
        let at = self.clients.binary_search_by_key(client, |(other, _)| *other).ok()?;
        self.clients[at].1.as_ref().map(|(public, _)| public)
    }
}

impl AuditRecord {
    /// Headers of the certified set in order, from the accepted ones.
    #[must_use]
    pub fn certified(&self, accepted: &[SignedHeader]) -> Vec<SignedHeader> {
        let mut all: Vec<_> = accepted.iter().chain(&self.rejected).cloned().collect();
        all.sort_by_key(|signed| signed.header.client);
        all
    }

    /// A client with the examples that it declares; none when it has no proof.
    #[must_use]
    pub fn declared(&self, client: &PartyId) -> Option<(PartyId, u32)> {
        let at = self.proofs.binary_search_by_key(client, |proven| proven.client).ok()?;
        Some((*client, self.proofs[at].examples))
    }

    /// Checks everything but the public values, for which the contributions are needed. The
    /// signatures of headers and the certificate of the set are checked by the caller. `sums` are the
    /// published ones of the parameters.
    ///
    /// # Errors
    /// [`BadAuditRecord`], by the first fault.
    pub fn verify(
        &self,
        (config, round_ctx): (&RoundConfig, &Digest),
        set: &Digest,
        (accepted, sums): (&[SignedHeader], &[i32]),
    ) -> Result<CheckedAudit, BadAuditRecord> {
        let (rows, _) = self.rows.beacon(config, round_ctx, (Use::Rows, set))?;
        let question = Question::new(config, *set, rows)?;
        let certified = self.certified(accepted);
        let proofs = self.check_proofs(&question, &certified)?;
        let digests = proofs.iter().map(|(client, _, digest)| (client, digest));
        let list = list_digest(set, digests);
        self.check_certificate("list", Statement::ProofList, (config, round_ctx), &list)?;
        let (beacon, _) = self.check.beacon(config, round_ctx, (Use::Check, &list))?;
        for part in &self.parts {
            part.verify(config, round_ctx, &list)?;
        }
        let check = question.check(&beacon);
        let about = proofs.iter().map(|(client, proof, _)| (client, proof));
        let verdicts = judge_all(&question, &check, about, &self.parts, &self.public)?;
        let public = decode_public(proofs.len(), &self.public).ok_or(NoVerdict::Public)?;
        let fared = public.into_iter().zip(verdicts);
        let mut fared = proofs.iter().map(|(client, ..)| *client).zip(fared).peekable();
        let mut clients = Vec::new();
        for signed in &certified {
            let client = signed.header.client;
            let how = fared.next_if(|(other, _)| *other == client).map(|(_, how)| how);
            clients.push((client, how));
        }
        let passed = clients.iter().filter(|(_, how)| matches!(how, Some((_, Ok(())))));
        let passed = passed.map(|(client, _)| *client);
        if !accepted.iter().map(|signed| signed.header.client).eq(passed) {
            return Err(BadAuditRecord::Accepted);
        }
        let headers: Vec<_> = accepted.iter().map(|signed| signed.header.digest()).collect();
        let openings = openings_digest(&self.parts, &self.public);
        let verdict = Verdict { list, openings, set: set_digest(round_ctx, &headers) };
        let digest = verdict.digest();
        self.check_certificate("verdict", Statement::Verdict, (config, round_ctx), &digest)?;
        self.check_credit(&question, &verdict.set, &proofs, (accepted, sums))?;
        let rereading = Rereading::new(Arc::new(config.clone()), *set, rows, &beacon)?;
        Ok(CheckedAudit { rereading, clients })
    }

    fn check_credit(
        &self,
        question: &Question<'_>,
        set: &Digest,
        proofs: &[(PartyId, Proof, Digest)],
        (accepted, sums): (&[SignedHeader], &[i32]),
    ) -> Result<(), BadAuditRecord> {
        let Some(credit) = &self.credit else { return Ok(()) };
        if question.config.credit.is_none() {
            return Err(BadAuditRecord::NoCredit);
        }
        let of = |signed: &SignedHeader| {
            let client = signed.header.client;
            let at = proofs.binary_search_by_key(&client, |(other, ..)| *other).ok()?;
            Some((client, self.proofs[at].examples, &proofs[at].1))
        };
        // All of them passed, so all have a proof.
        let accepted: Vec<_> = accepted.iter().filter_map(of).collect();
        Ok(credit.verify(question, set, &accepted, sums)?)
    }

    /// The proofs with their digests, each of a client of the certified set.
    fn check_proofs(
        &self,
        question: &Question<'_>,
        certified: &[SignedHeader],
    ) -> Result<Vec<(PartyId, Proof, Digest)>, BadAuditRecord> {
        let is_in = |client: &PartyId| {
            certified.binary_search_by_key(client, |signed| signed.header.client).is_ok()
        };
        let ascending = self.proofs.is_sorted_by(|one, next| one.client < next.client);
        if !ascending || !self.proofs.iter().all(|proven| is_in(&proven.client)) {
            return Err(BadAuditRecord::Proofs);
        }
        let check = |proven: &Proven| {
            let client = proven.client;
            let checked = proven.check(question);
            let checked = checked.map_err(|bad| BadAuditRecord::Proof { client, bad });
            checked.map(|(proof, digest)| (client, proof, digest))
        };
        self.proofs.iter().map(check).collect()
    }

    fn check_certificate(
        &self,
        what: &'static str,
        statement: Statement,
        (config, round_ctx): (&RoundConfig, &Digest),
        digest: &Digest,
    ) -> Result<(), BadAuditRecord> {
        let certificate =
            if statement == Statement::Verdict { &self.certificate } else { &self.list };
        let holds = certificate.verify_as(statement, config, round_ctx);
        holds.map_err(|bad| BadAuditRecord::Certificate { what, bad })?;
        let is_this = certificate.set == *digest;
        is_this.then_some(()).ok_or(BadAuditRecord::Other(what))
    }
}
