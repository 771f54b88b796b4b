//! Messages and records of audited rounds. Their signatures are of the right form only.

use covey_aggregation::audit::beacon::Use;
use covey_aggregation::audit::deal::{Deal, DealtKey, SealedKey};
use covey_aggregation::audit::drawing::{Drawing, Drawn};
use covey_aggregation::audit::list::Proven;
use covey_aggregation::audit::part::{Agreed, Part};
use covey_aggregation::audit::record::AuditRecord;
use covey_aggregation::audit::verdict::Verdict;
use covey_aggregation::config::{Component, HolderIndex};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Decline, FromHolder, HolderFault, MissingReason, ToHolder};
use covey_aggregation::record::RoundRecord;
use covey_aggregation::time::Time;

use super::digest;
use super::seeds::Seeds;

impl Seeds {
    pub(super) fn drawing(&self) -> Drawing {
        let signature = self.publication.signature;
        let drawn = |holder| Drawn {
            holder: HolderIndex(holder),
            values: vec![digest(holder); 3],
            signature,
        };
        Drawing { drawn: vec![drawn(0), drawn(2), drawn(3)] }
    }

    pub(super) fn proven(&self) -> Proven {
        let proof = self.audit_proof().swap_remove(1);
        Proven { client: self.result.cohort[0], proof, signature: self.publication.signature }
    }

    fn deal(&self) -> Deal {
        let key = DealtKey { commitment: digest(5), boxes: vec![vec![9; 1168]; 3] };
        Deal {
            federation: digest(1),
            holder: HolderIndex(1),
            keys: vec![key; 3],
            signature: self.publication.signature,
        }
    }

    fn agreed(&self) -> Agreed {
        let signature = self.publication.signature;
        Agreed {
            component: Component(4),
            openings: vec![6; 1425],
            signatures: vec![(HolderIndex(0), signature), (HolderIndex(1), signature)],
        }
    }

    const fn verdict() -> Verdict {
        Verdict { list: Digest([1; 32]), openings: Digest([2; 32]), set: Digest([3; 32]) }
    }

    /// What is published of an audit.
    pub(super) fn audit_record(&self) -> AuditRecord {
        AuditRecord {
            rejected: vec![self.uploads[0].header.clone()],
            rows: self.drawing(),
            proofs: vec![self.proven(); 2],
            list: self.result.certificate.clone(),
            check: self.drawing(),
            parts: vec![self.agreed(); 4],
            public: vec![7; 100],
            certificate: self.result.certificate.clone(),
        }
    }

    pub(super) fn audit_to_holder(&self) -> Vec<ToHolder> {
        let (round_ctx, certificate) = (self.round_ctx, self.result.certificate.clone());
        let set = vec![digest(1), digest(2)];
        let beacons = vec![SealedKey { dealer: HolderIndex(1), sealed: vec![8; 1168] }; 3];
        vec![
            ToHolder::Propose {
                config: Box::new(self.config.clone()),
                cohort: self.result.cohort.clone(),
                beacons,
            },
            ToHolder::Deal { federation: digest(1) },
            ToHolder::List {
                set: set.clone(),
                certificate: certificate.clone(),
                rows: self.drawing(),
                total: 300,
            },
            ToHolder::Proofs { round_ctx, batch: vec![self.proven(); 2] },
            ToHolder::Listed { certificate: certificate.clone() },
            ToHolder::OpenProofs { certificate: certificate.clone(), check: self.drawing() },
            ToHolder::Part { round_ctx, part: Box::new(self.agreed()) },
            ToHolder::Judge { round_ctx, public: vec![7; 100] },
            ToHolder::Accepted { set, verdict: Self::verdict(), certificate },
        ]
    }

    pub(super) fn audit_holder_says(&self) -> Vec<FromHolder> {
        let (round_ctx, vote) = (self.round_ctx, self.result.certificate.votes[0].clone());
        let part = Part {
            round_ctx,
            list: digest(2),
            holder: HolderIndex(2),
            component: Component(1),
            openings: vec![5; 1425],
            signature: self.publication.signature,
        };
        let drawn = self.drawing().drawn.swap_remove(0);
        vec![
            FromHolder::Dealt(Box::new(self.deal())),
            FromHolder::Drawn { round_ctx, usage: Use::Check, drawn },
            FromHolder::Listed { round_ctx, list: digest(1), vote: vote.clone() },
            FromHolder::Opened(Box::new(part)),
            FromHolder::Judged { round_ctx, verdict: Self::verdict(), vote },
        ]
    }

    pub(super) fn audit_records(&self, at: Time) -> Vec<RoundRecord> {
        let (certificate, client) = (self.result.certificate.clone(), self.result.cohort[1]);
        vec![
            RoundRecord::Proving { rows: self.drawing(), at },
            RoundRecord::Proven { proven: Box::new(self.proven()) },
            RoundRecord::Unproven { client, reason: Decline::Lost },
            RoundRecord::Listing { at },
            RoundRecord::Listed { certificate: certificate.clone(), at },
            RoundRecord::OpeningProofs { check: self.drawing(), at },
            RoundRecord::Judging {
                parts: vec![self.agreed(); 4],
                public: vec![7; 100],
                failed: vec![(client, MissingReason::Unproven(None))],
                faults: vec![(HolderIndex(2), HolderFault::WrongOpening)],
                at,
            },
            RoundRecord::Accepted { certificate, at },
        ]
    }
}
