//! What proofs are made from, between sealing and the end of a round: in memory only, so a client
//! that is started again has lost it, says so, and is left out of that round.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use covey_aggregation::audit::list::Proven;
use covey_aggregation::audit::proof::Proof;
use covey_aggregation::audit::question::Question;
use covey_aggregation::audit::witness::Witness;
use covey_aggregation::config::RoundConfig;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::Decline;
use covey_aggregation::program::enrol::secret;
use covey_aggregation::signing::Identity;

use crate::prepare::Declined;
use crate::sketches::{Sketch, Sketches};

/// What is kept of rounds that are not over. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Provers {
    kept: Arc<Mutex<BTreeMap<Digest, Arc<Prover>>>>,
    sketches: Sketches,
}

struct Prover {
    terms: RoundConfig,
    witness: Witness,
    weight: u32,
}

impl Provers {
    /// With the folder of what is kept for comparing credits.
    pub(crate) fn new(sketches: Sketches) -> Self {
        Self { kept: Arc::default(), sketches }
    }

    /// Keeps what a contribution of this weight is proved from.
    pub(crate) fn keep(&self, terms: &RoundConfig, (witness, weight): (Witness, u32)) {
        let prover = Arc::new(Prover { terms: terms.clone(), witness, weight });
        self.lock().insert(terms.context(), prover);
    }

    pub(crate) fn forget(&self, round_ctx: &Digest) {
        self.lock().remove(round_ctx);
    }

    /// Proves that what was sealed for a round is small. With it comes what went wrong in keeping what
    /// the round's credit can be compared with: nothing of the round hangs on that.
    pub(crate) fn prove(
        &self,
        round_ctx: &Digest,
        (set, rows): (Digest, Digest),
        identity: &Identity,
    ) -> Result<(Box<Proven>, Option<String>), Declined> {
        let prover = self.lock().get(round_ctx).map(Arc::clone);
        let lost = "the client was started again after it had sealed its update";
        let prover = prover.ok_or_else(|| Declined::new(Decline::Lost, lost))?;
        let question = Question::new(&prover.terms, set, rows);
        let question = question.map_err(|bad| Declined::new(Decline::Terms, bad))?;
        let entropy = secret::<32>().map_err(|error| Declined::new(Decline::Lost, error))?;
        let proof = Proof::new(&question, &identity.id(), &prover.witness, &entropy);
        let proof = proof.map_err(|none| Declined::new(Decline::Unprovable, none))?;
        let mut unkept = None;
        if prover.terms.credit.is_some() {
            let sketch = Sketch::of(&question, set, rows, &prover.witness);
            let kept = self.sketches.put(round_ctx, &sketch);
            unkept = kept.err().map(|error| {
                format!("{error}; the credit of this round cannot be checked here afterwards")
            });
        }
        let proven = Proven::sign(&question, (&proof, prover.weight), identity);
        Ok((Box::new(proven), unkept))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Arc<Prover>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
