//! The check of a publication.

use std::collections::BTreeSet;
use std::fmt;

use super::{Publication, RoundResult};
use crate::audit::crediting::{BadCreditRecord, Directed};
use crate::audit::record::{BadAuditRecord, CheckedAudit};
use crate::audit::rereading::Signed;
use crate::audit::weighing::declared;
use crate::config::{BadConfig, HolderIndex, cohort_digest, set_digest};
use crate::hash::{Digest, chunk_leaf, merkle_root};
use crate::message::{BadCertificate, Header, countersigned};
use crate::party::{PartyId, Role};
use crate::roster::Roster;
use crate::sum::accumulator::Accumulator;
use crate::sum::contribution::{BadContribution, check_header, correction_digest};
use crate::sum::open::{KeySum, NotShort, Spoiled, Summands, open};

/// Where the stored contributions of a round are read from, piece by piece.
pub trait ContributionSource {
    /// Why something could not be read.
    type Error: fmt::Display;

    /// The correction of the contribution named `contribution` (its header's digest).
    ///
    /// # Errors
    /// The source's own.
    fn correction(
        &mut self,
        client: &PartyId,
        contribution: &Digest,
    ) -> Result<Vec<u8>, Self::Error>;

    /// One chunk of it.
    ///
    /// # Errors
    /// The source's own.
    fn chunk(
        &mut self,
        client: &PartyId,
        contribution: &Digest,
        index: u32,
    ) -> Result<Vec<u8>, Self::Error>;
}

/// A publication that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The round.
    pub round_ctx: Digest,
    /// H(U).
    pub set: Digest,
    /// Contributions added again.
    pub count: u32,
    /// Bytes of them.
    pub bytes: u64,
    /// Digest of the key sum.
    pub key_sum: Digest,
    /// Digest of the aggregate.
    pub aggregate: Digest,
}

/// Whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Nobody of the federation: the publication is not the coordinator's, or not of this
    /// federation.
    Nobody,
    /// The coordinator, who signed a result that does not hold.
    Coordinator,
    /// The coordinator, or whoever stored the contributions since.
    Storage,
    /// This client, who signed for bytes that no honest client makes (and the coordinator, who
    /// should have refused them).
    Client(PartyId),
    /// These holders, who signed what they must not (and the coordinator, who asked them to).
    Holders(Vec<HolderIndex>),
}

/// A part of a stored contribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The correction.
    Correction,
    /// One chunk.
    Chunk(u32),
    /// The chunks as a whole, against their Merkle root.
    Chunks,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Correction => f.write_str("correction"),
            Self::Chunk(index) => write!(f, "chunk {index}"),
            Self::Chunks => f.write_str("chunks"),
        }
    }
}

/// A publication that does not hold.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PublicationFault {
    /// For another roster than the one given.
    #[error("of another federation, or of another version of its roster")]
    OtherFederation,
    /// Not signed by the roster's coordinator.
    #[error("not signed by the federation's coordinator")]
    NotSigned,
    /// Terms that nobody should accept.
    #[error("the round's terms: {0}")]
    Terms(BadConfig),
    /// The terms seat other holders than the roster.
    #[error("the committee is not the roster's")]
    Committee,
    /// Too few holders countersigned the terms.
    #[error("the terms are not countersigned by a quorum")]
    NotCountersigned,
    /// The cohort is not the one in the terms, not ascending, or has others than data owners.
    #[error("the cohort is not the one countersigned, or not one of data owners")]
    Cohort,
    /// A contribution by somebody outside the cohort.
    #[error("contribution of {client}: not admitted to the round")]
    NotAdmitted {
        /// Who.
        client: PartyId,
    },
    /// Contributions not by ascending client, or one client twice.
    #[error("contribution of {client}: out of order, or a second one")]
    Order {
        /// Who.
        client: PartyId,
    },
    /// A header that does not hold.
    #[error("contribution of {client}: {fault}")]
    Header {
        /// Whose.
        client: PartyId,
        /// What.
        fault: BadContribution,
    },
    /// Fewer or more contributions than the terms allow, certified nevertheless.
    #[error("{got} contributions were certified, the terms say {min}..={max}")]
    SetSize {
        /// In the set.
        got: usize,
        /// n_min.
        min: u32,
        /// n_max.
        max: u32,
        /// Who voted for it.
        voters: Vec<HolderIndex>,
    },
    /// The certificate is for another set than the headers published.
    #[error("the certificate is for another set")]
    OtherSet,
    /// The certificate does not hold.
    #[error("the certificate: {0}")]
    Certificate(BadCertificate),
    /// The audit does not hold.
    #[error("the audit: {0}")]
    Audit(BadAuditRecord),
    /// There is no audit though the terms ask for one, or one that they do not ask for.
    #[error("an audit is published though the round has none, or none though it has one")]
    AuditMissing,
    /// The report does not tell of every admitted client what became of it.
    #[error("the report does not match cohort and set")]
    Report,
    /// The sums are not as many as the parameters.
    #[error("{got} sums for {expected} parameters")]
    Length {
        /// Published.
        got: usize,
        /// By the terms.
        expected: u64,
    },
    /// The control's sums are not as many as the terms say.
    #[error("{got} sums of the control, {expected} by the terms")]
    Control {
        /// Published.
        got: u64,
        /// By the terms.
        expected: u64,
    },
    /// The counters are not as many as the terms say.
    #[error("{got} counters, {expected} by the terms")]
    Counters {
        /// Published.
        got: usize,
        /// By the terms.
        expected: u16,
    },
    /// The key sum is none.
    #[error("the key sum: {0}")]
    KeySum(NotShort),
    /// A stored part could not be read.
    #[error("contribution of {client}: {part} cannot be read: {reason}")]
    Unreadable {
        /// Whose.
        client: PartyId,
        /// What.
        part: Part,
        /// In the source's words.
        reason: String,
    },
    /// A stored part is not what its client signed for.
    #[error("contribution of {client}: {part} is not what its client signed for")]
    Altered {
        /// Whose.
        client: PartyId,
        /// What.
        part: Part,
    },
    /// A part that its client signed for is malformed.
    #[error("contribution of {client}: {fault}")]
    Contribution {
        /// Whose.
        client: PartyId,
        /// What.
        fault: BadContribution,
    },
    /// The contributions do not open with the key sum.
    #[error("the sum does not open with the published key sum: {0}")]
    Spoiled(Spoiled),
    /// The contributions open to another aggregate.
    #[error("the contributions open to another aggregate{}",
        .parameter.map(|at| format!(" (first at parameter {at})")).unwrap_or_default())]
    Aggregate {
        /// The first sum that differs; `None` when only count, weight, counters or control do.
        parameter: Option<usize>,
    },
}

impl PublicationFault {
    /// Whose fault it is.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::OtherFederation | Self::NotSigned => Blame::Nobody,
            Self::Unreadable { .. } | Self::Altered { .. } => Blame::Storage,
            Self::Contribution { client, .. } => Blame::Client(*client),
            Self::SetSize { voters, .. } => Blame::Holders(voters.clone()),
            _ => Blame::Coordinator,
        }
    }
}

/// Checks a publication from beginning to end. `roster` is the checker's own copy. Holds one
/// accumulator and one chunk at a time.
///
/// # Errors
/// [`PublicationFault`], by the first fault found.
pub fn verify(
    publication: &Publication,
    roster: &Roster,
    source: &mut impl ContributionSource,
) -> Result<Verified, PublicationFault> {
    let audit = verify_but_sum(publication, roster)?;
    let check = Check { result: &publication.result, round_ctx: &publication.round_ctx() };
    check.sum(audit.as_ref(), source)
}

/// The same without adding the contributions again, which takes their bytes: terms, set, audit, credit
/// and report, with every signature of them.
///
/// # Errors
/// [`PublicationFault`], by the first fault found.
pub fn verify_but_sum(
    publication: &Publication,
    roster: &Roster,
) -> Result<Option<CheckedAudit>, PublicationFault> {
    let (result, round_ctx) = (&publication.result, publication.round_ctx());
    if roster.digest() != result.config.federation {
        return Err(PublicationFault::OtherFederation);
    }
    let coordinator = roster.coordinator().ok_or(PublicationFault::OtherFederation)?;
    publication.verify_signature(&coordinator).map_err(|_| PublicationFault::NotSigned)?;
    let check = Check { result, round_ctx: &round_ctx };
    check.terms(roster)?;
    check.set()?;
    let audit = check.audit()?;
    check.report()?;
    Ok(audit)
}

/// One check in progress.
struct Check<'a> {
    result: &'a RoundResult,
    round_ctx: &'a Digest,
}

impl Check<'_> {
    fn terms(&self, roster: &Roster) -> Result<(), PublicationFault> {
        let RoundResult { config, cohort, countersignatures, .. } = self.result;
        config.validate().map_err(PublicationFault::Terms)?;
        if config.committee != roster.committee() {
            return Err(PublicationFault::Committee);
        }
        if !countersigned(config, self.round_ctx, countersignatures) {
            return Err(PublicationFault::NotCountersigned);
        }
        let owners: BTreeSet<_> = roster.with_role(Role::DataOwner).map(|owner| owner.id).collect();
        let are_owners = cohort.iter().all(|client| owners.contains(client));
        let ascending = cohort.is_sorted_by(|a, b| a < b);
        if !are_owners || !ascending || cohort_digest(cohort) != config.cohort {
            return Err(PublicationFault::Cohort);
        }
        Ok(())
    }

    fn set(&self) -> Result<(), PublicationFault> {
        let RoundResult { config, cohort, headers, certificate, audit, .. } = self.result;
        let mut last = None;
        let ascending = headers.is_sorted_by(|one, next| one.header.client < next.header.client);
        let certified = match audit {
            Some(audit) if ascending => audit.certified(headers),
            _ => headers.clone(),
        };
        for signed in &certified {
            let client = signed.header.client;
            if last >= Some(client) {
                return Err(PublicationFault::Order { client });
            }
            last = Some(client);
            if cohort.binary_search(&client).is_err() {
                return Err(PublicationFault::NotAdmitted { client });
            }
            check_header(config, self.round_ctx, signed)
                .map_err(|fault| PublicationFault::Header { client, fault })?;
        }
        certificate.verify(config, self.round_ctx).map_err(PublicationFault::Certificate)?;
        let digests: Vec<_> = certified.iter().map(|signed| signed.header.digest()).collect();
        if set_digest(self.round_ctx, &digests) != certificate.set {
            return Err(PublicationFault::OtherSet);
        }
        let (got, min, max) = (headers.len(), config.contributions_min, config.contributions_max);
        if got < min as usize || got > max as usize {
            let voters = certificate.votes.iter().map(|vote| vote.holder).collect();
            return Err(PublicationFault::SetSize { got, min, max, voters });
        }
        Ok(())
    }

    /// The way from the certified set to the accepted one, where the round is audited.
    fn audit(&self) -> Result<Option<CheckedAudit>, PublicationFault> {
        let RoundResult { config, headers, certificate, audit, aggregate, .. } = self.result;
        match audit {
            None if config.is_audited() => Err(PublicationFault::AuditMissing),
            Some(_) if !config.is_audited() => Err(PublicationFault::AuditMissing),
            None => Ok(None),
            Some(audit) => {
                if let Some(credit) = &audit.credit {
                    self.credit_sum(&credit.directed).map_err(PublicationFault::Audit)?;
                }
                let of = (config, self.round_ctx);
                let checked = audit.verify(of, &certificate.set, (headers, &aggregate.sums));
                let checked = checked.map_err(PublicationFault::Audit)?;
                if audit.credit.is_some() {
                    self.credit_weight().map_err(PublicationFault::Audit)?;
                }
                Ok(Some(checked))
            }
        }
    }

    /// The sum that a credit comes of is the published one.
    fn credit_sum(&self, directed: &Directed) -> Result<(), BadAuditRecord> {
        let is_it = directed.aggregate == self.result.aggregate.digest();
        is_it.then_some(()).ok_or_else(|| BadCreditRecord::OtherSum.into())
    }

    /// The weight of the sum that a credit comes of is what owners declare.
    fn credit_weight(&self) -> Result<(), BadAuditRecord> {
        let RoundResult { config, headers, aggregate, .. } = self.result;
        let times = config.multiplicities(headers.iter().map(|signed| signed.header.client));
        let is_it = self.summands(&times).declared == Some(aggregate.weight);
        is_it.then_some(()).ok_or_else(|| BadCreditRecord::OtherWeights.into())
    }

    /// How many contributions are in the sum, and what weight their owners declare.
    fn summands(&self, times: &[u32]) -> Summands {
        let RoundResult { config, headers, audit, .. } = self.result;
        let declared = audit.as_ref().map(|audit| {
            // The audit was checked: all of them have a proof.
            let owners: Vec<_> = (headers.iter())
                .filter_map(|signed| audit.declared(&signed.header.client))
                .collect();
            declared(config, &owners)
        });
        Summands { count: times.iter().sum(), declared }
    }

    /// The report names every admitted client once, and those in the set as counted.
    fn report(&self) -> Result<(), PublicationFault> {
        let RoundResult { cohort, headers, report, .. } = self.result;
        let counted = headers.iter().map(|signed| signed.header.client);
        let missing: Vec<_> = report.missing.iter().map(|(client, _)| *client).collect();
        let mut everybody: Vec<_> = report.counted.iter().chain(&missing).copied().collect();
        everybody.sort_unstable();
        let holds = report.counted.iter().copied().eq(counted)
            && missing.is_sorted_by(|a, b| a < b)
            && everybody == *cohort;
        if holds { Ok(()) } else { Err(PublicationFault::Report) }
    }

    fn sum(
        &self,
        audit: Option<&CheckedAudit>,
        source: &mut impl ContributionSource,
    ) -> Result<Verified, PublicationFault> {
        let RoundResult { config, headers, certificate, key_sum, aggregate, .. } = self.result;
        // Before anything of the configured dimension is allocated.
        let (got, expected) = (aggregate.sums.len(), config.dimension);
        if got as u64 != expected {
            return Err(PublicationFault::Length { got, expected });
        }
        let (got, expected) = (aggregate.control.len() as u64, config.vector_coordinates());
        if got != expected - config.dimension {
            return Err(PublicationFault::Control { got, expected: expected - config.dimension });
        }
        let (got, expected) = (aggregate.counters.len(), config.counters);
        if got != usize::from(expected) {
            return Err(PublicationFault::Counters { got, expected });
        }
        let key_sum = KeySum::from_bytes(config, key_sum).map_err(PublicationFault::KeySum)?;
        let mut accumulator = Accumulator::new(config).map_err(PublicationFault::Terms)?;
        let times = config.multiplicities(headers.iter().map(|signed| signed.header.client));
        for (signed, times) in headers.iter().zip(&times) {
            self.add((&mut accumulator, *times), &signed.header, audit, source)?;
        }
        let summands = self.summands(&times);
        let opened = open(config, self.round_ctx, &accumulator, &key_sum, summands)
            .map_err(PublicationFault::Spoiled)?;
        if opened != *aggregate {
            let parameter = opened.sums.iter().zip(&aggregate.sums).position(|(a, b)| a != b);
            return Err(PublicationFault::Aggregate { parameter });
        }
        let count = headers.len() as u32;
        let each = config.payload_bytes() + config.profile.key_vector_bytes() as u64;
        Ok(Verified {
            round_ctx: *self.round_ctx,
            set: certificate.set,
            count,
            bytes: each * u64::from(count),
            key_sum: key_sum.digest(),
            aggregate: opened.digest(),
        })
    }

    /// Adds one stored contribution again, as often as it counts, against its header.
    fn add(
        &self,
        (accumulator, times): (&mut Accumulator, u32),
        header: &Header,
        audit: Option<&CheckedAudit>,
        source: &mut impl ContributionSource,
    ) -> Result<(), PublicationFault> {
        let (client, name) = (header.client, header.digest());
        let unreadable =
            |part, reason: String| PublicationFault::Unreadable { client, part, reason };
        let refused = |fault| PublicationFault::Contribution { client, fault };
        let correction = source
            .correction(&client, &name)
            .map_err(|error| unreadable(Part::Correction, error.to_string()))?;
        if correction_digest(&correction) != header.correction {
            return Err(PublicationFault::Altered { client, part: Part::Correction });
        }
        // What the client signed for is malformed: its own fault.
        accumulator.add_correction_times(&correction, times).map_err(refused)?;
        let signed =
            Signed { header: name, correction: header.correction, chunks_root: header.chunks_root };
        let reading = audit.map(|audit| audit.rereading.begin(signed, &correction));
        let mut reading = reading.transpose().map_err(refused)?;
        let mut leaves = Vec::new();
        for index in 0..self.result.config.chunks() {
            let part = Part::Chunk(index);
            let chunk = source
                .chunk(&client, &name, index)
                .map_err(|error| unreadable(part, error.to_string()))?;
            leaves.push(chunk_leaf(index, &chunk));
            // A wrong length cannot be told from an altered file before the root is known.
            accumulator
                .add_chunk_times(index, &chunk, times)
                .map_err(|_| PublicationFault::Altered { client, part })?;
            if let Some(reading) = &mut reading {
                let read = reading.chunk(&chunk);
                read.map_err(|_| PublicationFault::Altered { client, part })?;
            }
        }
        if merkle_root(&leaves) != header.chunks_root {
            return Err(PublicationFault::Altered { client, part: Part::Chunks });
        }
        if let Some((audit, reading)) = audit.zip(reading) {
            let public = reading.finish().map_err(refused)?;
            if audit.public(&client) != Some(&public) {
                return Err(PublicationFault::Audit(BadAuditRecord::Misread(client)));
            }
        }
        Ok(())
    }
}
