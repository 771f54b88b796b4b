//! A beacon as it is drawn: the holders' signed values, and what they come to. Anybody can check it
//! with the terms alone.

use serde::{Deserialize, Serialize};

use crate::audit::beacon::{BeaconKey, Use, beacon};
use crate::audit::opening::{Opened, Undecided, agree};
use crate::config::{HolderIndex, RoundConfig};
use crate::hash::{Digest, Domain, hash};
use crate::limits::BYTE_STRINGS_MAX;
use crate::signing::{Identity, Signature, Statement};
use crate::wire::bounded;

/// What one holder says of one beacon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    /// Who.
    pub holder: HolderIndex,
    /// Its keys' values, in canonical order of its components.
    #[serde(deserialize_with = "bounded::<_, _, BYTE_STRINGS_MAX>")]
    pub values: Vec<Digest>,
    /// Over [`Drawn::body`].
    pub signature: Signature,
}

impl Drawn {
    /// The values of `keys`, those of `holder`'s components, for `of` in the round `round_ctx`.
    #[must_use]
    pub fn new(
        round_ctx: &Digest,
        (usage, of): (Use, &Digest),
        keys: &[BeaconKey],
        (holder, identity): (HolderIndex, &Identity),
    ) -> Self {
        let values: Vec<_> = keys.iter().map(|key| key.value(round_ctx, usage, of)).collect();
        let body = Self::body((usage, of), &values);
        let signature = identity.sign(Statement::Beacon, round_ctx, &body);
        Self { holder, values, signature }
    }

    /// The bytes the signature covers.
    #[must_use]
    pub fn body((usage, of): (Use, &Digest), values: &[Digest]) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = vec![usage.label(), &of.0];
        parts.extend(values.iter().map(|value| value.0.as_slice()));
        hash(Domain::BeaconValues, &parts).0.to_vec()
    }

    /// Whether its holder signed it.
    #[must_use]
    pub fn is_signed(&self, config: &RoundConfig, round_ctx: &Digest, of: (Use, &Digest)) -> bool {
        let body = Self::body(of, &self.values);
        config.committee.get(usize::from(self.holder.0)).is_some_and(|seat| {
            seat.holder.verify(Statement::Beacon, round_ctx, &body, &self.signature).is_ok()
        })
    }
}

/// Enough holders' values to tell a beacon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawing {
    /// By ascending holder.
    #[serde(deserialize_with = "bounded::<_, _, 7>")]
    pub drawn: Vec<Drawn>,
}

/// A drawing that tells nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDrawing {
    /// Not by ascending holder.
    #[error("the holders are not in ascending order, each once")]
    Order,
    /// Not signed.
    #[error("the values of holder {0} are not signed by it")]
    Signature(u8),
    /// Too few agree.
    #[error(transparent)]
    Undecided(#[from] Undecided),
}

impl Drawing {
    /// The beacon of `of`, and the holders that said something else.
    ///
    /// # Errors
    /// [`BadDrawing`].
    pub fn beacon(
        &self,
        config: &RoundConfig,
        round_ctx: &Digest,
        of: (Use, &Digest),
    ) -> Result<(Digest, Vec<HolderIndex>), BadDrawing> {
        if !self.drawn.is_sorted_by(|one, next| one.holder < next.holder) {
            return Err(BadDrawing::Order);
        }
        for drawn in &self.drawn {
            if !drawn.is_signed(config, round_ctx, of) {
                return Err(BadDrawing::Signature(drawn.holder.0));
            }
        }
        Ok(self.value(config)?)
    }

    /// The same, when every signature was checked before.
    pub(crate) fn value(
        &self,
        config: &RoundConfig,
    ) -> Result<(Digest, Vec<HolderIndex>), Undecided> {
        let mut answers = vec![None; config.shape.members()];
        for drawn in &self.drawn {
            if let Some(answer) = answers.get_mut(usize::from(drawn.holder.0)) {
                *answer = Some(drawn.values.clone());
            }
        }
        let Opened { parts, liars } = agree(config.shape, &answers)?;
        Ok((beacon(&parts), liars))
    }
}
