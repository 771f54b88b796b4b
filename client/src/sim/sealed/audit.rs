//! Audited rounds: clients' proofs, and what is public of each contribution, which stays in memory
//! until the round has an end.

use std::sync::Arc;
use std::thread;

use covey_aggregation::audit::list::Proven;
use covey_aggregation::audit::opening::Public;
use covey_aggregation::audit::proof::Proof;
use covey_aggregation::audit::question::Question;
use covey_aggregation::audit::rereading::{Rereading, Signed};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Decline, SignedHeader};
use covey_aggregation::program::Failure;
use covey_aggregation::program::enrol::secret;

use super::Play;
use crate::sim::run::bug;

/// A stored contribution.
pub(super) struct Kept {
    pub(super) correction: Vec<u8>,
    pub(super) chunks: Vec<Vec<u8>>,
}

impl Kept {
    pub(super) fn measure(&self, rereading: &Rereading, signed: Signed) -> Option<Public> {
        let mut reading = rereading.begin(signed, &self.correction).ok()?;
        self.chunks.iter().try_for_each(|chunk| reading.chunk(chunk)).ok()?;
        reading.finish().ok()
    }
}

impl Play<'_> {
    /// Those who are asked to prove do, on as many threads as there are.
    pub(super) fn prove(&mut self) -> Result<(), Failure> {
        let asked = std::mem::take(&mut self.to_prove);
        let (laboratory, config, witnesses) = (self.laboratory, &*self.config, &self.witnesses);
        let prove = |&(client, set, rows): &(usize, Digest, Digest)| {
            let question = Question::new(config, set, rows).map_err(|error| bug(&error))?;
            let identity = &laboratory.identities[client];
            let witness = witnesses.get(&client).ok_or_else(|| bug("nothing to prove from"))?;
            let proof = Proof::new(&question, &identity.id(), witness, &secret()?);
            let proven =
                proof.map(|proof| Box::new(Proven::sign(&question, (&proof, 1), identity)));
            Ok((client, proven.map_err(|_| Decline::Unprovable)))
        };
        let each = asked.len().div_ceil(self.workers).max(1);
        let all: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> = (asked.chunks(each))
                .map(|some| {
                    scope.spawn(move || some.iter().map(prove).collect::<Result<Vec<_>, Failure>>())
                })
                .collect();
            running.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        for some in all {
            for (client, result) in some.map_err(|_| bug("a client's thread died"))?? {
                let now = self.machines.now;
                self.machines.owners[client].handle_proven(now, &self.context, result);
                self.follow(client)?;
            }
        }
        Ok(())
    }

    /// What is public of each contribution.
    pub(super) fn measure(
        &mut self,
        headers: &[SignedHeader],
        (set, rows, check): (Digest, Digest, Digest),
    ) -> Result<(), Failure> {
        let config = Arc::clone(&self.config);
        let rereading = Rereading::new(config, set, rows, &check).map_err(|error| bug(&error))?;
        let measure = |signed: &SignedHeader| {
            let header = &signed.header;
            let (correction, chunks_root) = (header.correction, header.chunks_root);
            let signed = Signed { header: header.digest(), correction, chunks_root };
            self.kept.get(&signed.header)?.measure(&rereading, signed)
        };
        let all: Option<Vec<_>> = headers.iter().map(measure).collect();
        let all = all.ok_or_else(|| bug("a contribution is not what it was"))?;
        self.round.handle_measured(self.machines.now, Ok(all));
        Ok(())
    }
}
