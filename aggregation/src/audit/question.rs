//! What a round's audit asks: the same for all clients of the agreed set.

use crate::audit::check::Check;
use crate::audit::rows::Rows;
use crate::audit::terms::{BadTerms, Terms};
use crate::config::RoundConfig;
use crate::hash::{Digest, Domain, hash};
use crate::party::PartyId;
use crate::sum::xof::Xof;

/// Length of a salt: never two proofs of one client under one, by chance.
pub(crate) const SALT_BYTES: usize = 16;

/// The audit of one agreed set: fixed by the first certificate, and by the beacon drawn after it.
#[derive(Clone)]
pub struct Question<'a> {
    pub(crate) config: &'a RoundConfig,
    pub(crate) round_ctx: Digest,
    pub(crate) set: Digest,
    pub(crate) rows: Rows,
    pub(crate) terms: Terms,
    beacon: Digest,
}

impl<'a> Question<'a> {
    /// Of the set with digest `set`, with rows from `beacon`.
    ///
    /// # Errors
    /// [`BadTerms`] when the round cannot be audited.
    pub fn new(config: &'a RoundConfig, set: Digest, beacon: Digest) -> Result<Self, BadTerms> {
        let terms = Terms::new(config)?;
        let rows = Rows::new(&beacon, terms.rows);
        Ok(Self { config, round_ctx: config.context(), set, rows, terms, beacon })
    }

    /// The rows.
    #[must_use]
    pub const fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Lengths and bounds.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Hashes `parts` for one client's proof under one salt: whatever is derived so differs for
    /// every round, set, beacon, client and salt.
    pub(crate) fn derive(
        &self,
        domain: Domain,
        client: &PartyId,
        salt: &[u8; SALT_BYTES],
        secret: &[u8],
    ) -> Digest {
        let parts: [&[u8]; 6] =
            [&self.round_ctx.0, &self.set.0, &self.beacon.0, &client.0, salt, secret];
        hash(domain, &parts)
    }

    /// H(message 2) of `client`, which counts as `examples` and whose proof is `bytes`: what it signs,
    /// and what the list is made of.
    #[must_use]
    pub fn proof_digest(&self, client: &PartyId, examples: u32, bytes: &[u8]) -> Digest {
        let examples = examples.to_le_bytes();
        let parts: [&[u8]; 6] =
            [&self.round_ctx.0, &self.set.0, &self.beacon.0, &client.0, &examples, bytes];
        hash(Domain::AuditProof, &parts)
    }

    /// What the check of all proofs is made with, from the beacon drawn after they were fixed.
    #[must_use]
    pub fn check(&self, beacon: &Digest) -> Check {
        Check::new(self, &mut Xof::new(&beacon.0, 0), &mut Xof::new(&beacon.0, 1))
    }
}
