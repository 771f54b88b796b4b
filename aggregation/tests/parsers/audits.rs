//! Messages and records of audited rounds. Their signatures are of the right form only.

use covey_aggregation::audit::beacon::Use;
use covey_aggregation::audit::carry::Carry;
use covey_aggregation::audit::crediting::{CreditRecord, Directed};
use covey_aggregation::audit::deal::{Deal, DealtKey, SealedKey};
use covey_aggregation::audit::drawing::{Drawing, Drawn};
use covey_aggregation::audit::functions::Directions;
use covey_aggregation::audit::list::Proven;
use covey_aggregation::audit::part::{Agreed, Part};
use covey_aggregation::audit::record::AuditRecord;
use covey_aggregation::audit::verdict::Verdict;
use covey_aggregation::audit::weighing::Weights;
use covey_aggregation::config::{Component, HolderIndex};
use covey_aggregation::credit::{
    Attestation, Attested, CreditState, Evidence, ModelStep, RoundEvidence,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{
    CreditQuestion, Decline, FromHolder, HolderFault, MissingReason, ToHolder,
};
use covey_aggregation::record::RoundRecord;
use covey_aggregation::round::Opened;
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
        let (client, signature) = (self.result.cohort[0], self.publication.signature);
        Proven { client, examples: 300, proof, signature }
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
            credit: Some(Box::new(self.credit())),
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
                attested: Some(Box::new(self.attested())),
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
            ToHolder::Accepted {
                set: set.clone(),
                verdict: Self::verdict(),
                certificate: certificate.clone(),
            },
            ToHolder::Credit(Box::new(CreditQuestion {
                set,
                verdict: Self::verdict(),
                certificate,
                fold: self.drawing(),
                retired: vec![1, 2, 300],
                directed: Self::directed(),
            })),
            ToHolder::CreditPart { round_ctx, part: Box::new(self.agreed()) },
            ToHolder::Attest { round_ctx },
        ]
    }

    pub(super) fn directed() -> Directed {
        Directed {
            examples: (0..30).collect(),
            aggregate: digest(5),
            after: digest(3),
            directions: digest(4),
            functions: vec![3; 3 * 640 * 8],
            rest: vec![-2048, 300, 0, -1],
        }
    }

    pub(super) fn attested(&self) -> Attested {
        let step = ModelStep { before: digest(5), after: digest(6) };
        let mut state = CreditState::first(digest(7)).next(&[1, 2, 300], step);
        state.standings = state.standings.after(&self.round_evidence());
        let attestation = Attestation { run: digest(8), round: 3, evidence: digest(9), state };
        Attested { attestation, certificate: self.result.certificate.clone() }
    }

    fn round_evidence(&self) -> RoundEvidence {
        let one = |owner| Evidence { owner, count: 200, s: 1 << 40, novelty: -7, harm: 0 };
        let owners = self.result.cohort.iter().copied().map(one).collect();
        RoundEvidence::new(1, self.round_ctx, owners).expect("in range")
    }

    fn credit(&self) -> CreditRecord {
        let directions =
            Directions::new(&[0.5, -1.0, 0.25], &[1.0, 0.0, 0.5], &vec![vec![0.1; 3]; 3]);
        CreditRecord {
            fold: self.drawing(),
            retired: vec![1, 2, 300],
            directed: Self::directed(),
            directions: directions.expect("finite numbers"),
            parts: vec![self.agreed(); 4],
            carries: vec![Carry { coordinate: 300, by: -1 }; 3],
            weights: Weights { declared: 900, sealed: -1 },
            evidence: self.round_evidence(),
            attested: self.attested(),
        }
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
            FromHolder::Opened(Box::new(part.clone())),
            FromHolder::Judged { round_ctx, verdict: Self::verdict(), vote: vote.clone() },
            FromHolder::Credited(Box::new(part)),
            FromHolder::Attested { round_ctx, attestation: digest(1), vote },
        ]
    }

    pub(super) fn audit_records(&self, at: Time) -> Vec<RoundRecord> {
        let (certificate, client) = (self.result.certificate.clone(), self.result.cohort[1]);
        vec![
            RoundRecord::Proving { rows: self.drawing(), fold: None, at },
            RoundRecord::Proving { rows: self.drawing(), fold: Some(self.drawing()), at },
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
            RoundRecord::Accepted { certificate: certificate.clone(), at },
            RoundRecord::Summed {
                opened: Opened { aggregate: digest(1), key_sum: digest(2), count: 3, weight: 3 },
                at,
            },
            RoundRecord::Directed {
                directed: Box::new(Self::directed()),
                projections: vec![-5; 640],
                at,
            },
            RoundRecord::Numbered { parts: vec![self.agreed(); 4], at },
            RoundRecord::Credited { certificate, at },
        ]
    }
}
