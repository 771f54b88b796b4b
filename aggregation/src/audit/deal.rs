//! Dealing beacon keys, once for a roster: every holder deals one key for each component that it
//! knows, sealed to all who know it, and for each component one holder's is taken.
//!
//! # Decision
//! A holder derives the keys and the boxes' randomness from its own signing key and the roster. So
//! it deals the same however often it is asked, and needs to remember nothing: the boxes come back
//! to it with the terms of every round. Which holder's key is taken gives nobody anything: of the
//! component that names a coalition all dealers are outside it, and their keys are unknown to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::audit::beacon::BeaconKey;
use crate::config::{CommitteeShape, Component, HolderIndex, Seat};
use crate::hash::{Digest, Domain, hash};
use crate::signing::{Identity, Signature, Statement};
use crate::sum::sealed_box::{OVERHEAD_BYTES, Place, SealingSecret, decapsulate, seal};
use crate::sum::xof::Xof;
use crate::wire;

/// Bytes of a beacon key.
const KEY_BYTES: usize = 32;

/// One component's key as somebody deals it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DealtKey {
    /// H(kappa_T).
    pub commitment: Digest,
    /// kappa_T, sealed to each holder that knows T, in the committee's order.
    #[serde(with = "crate::wire::byte_strings")]
    pub boxes: Vec<Vec<u8>>,
}

/// What one holder deals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deal {
    /// Digest of the roster.
    pub federation: Digest,
    /// The dealer.
    pub holder: HolderIndex,
    /// For each component that it knows, in canonical order.
    pub keys: Vec<DealtKey>,
    /// By the dealer, over the keys.
    pub signature: Signature,
}

/// The key that is taken for one component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentKey {
    /// Who dealt it.
    pub dealer: HolderIndex,
    /// As dealt.
    pub key: DealtKey,
}

/// One holder's box of one component's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedKey {
    /// Who dealt it.
    pub dealer: HolderIndex,
    /// The key, sealed.
    #[serde(with = "serde_bytes")]
    pub sealed: Vec<u8>,
}

/// A deal that nobody can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDeal {
    /// Of another roster, or of no seat.
    #[error("a deal of another roster or of nobody in the committee")]
    Place,
    /// Not one key for each component that the dealer knows, or boxes of another number or length.
    #[error(
        "a deal has one key for each component of its dealer, and a box for each that knows it"
    )]
    Shape,
    /// Not signed by its dealer.
    #[error("the deal is not signed by its dealer")]
    Signature,
}

/// Where the boxes of a component's key belong.
fn place(federation: &Digest, component: Component) -> Digest {
    hash(Domain::BeaconPlace, &[&federation.0, &component.0.to_le_bytes()])
}

/// Holders that know `component`, in the committee's order.
fn knowing(shape: CommitteeShape, component: Component) -> impl Iterator<Item = HolderIndex> {
    let holders = (0..shape.members() as u8).map(HolderIndex);
    holders.filter(move |holder| component.known_to(*holder))
}

impl Deal {
    /// What `holder` deals to this committee. `None` when a sealing key of the committee is none.
    #[must_use]
    pub fn new(
        federation: Digest,
        shape: CommitteeShape,
        committee: &[Seat],
        (holder, identity): (HolderIndex, &Identity),
    ) -> Option<Self> {
        let mut keys = Vec::new();
        for component in shape.components_of(holder) {
            let name = component.0.to_le_bytes();
            let secret =
                |of: &[u8]| identity.hedge(Domain::BeaconSecret, &[&federation.0, &name, of]);
            let kappa = secret(b"key");
            let mut rng = Xof::new(&secret(b"boxes"), 0);
            let round_ctx = place(&federation, component);
            let mut boxes = Vec::new();
            for to in knowing(shape, component) {
                let place = Place { round_ctx: &round_ctx, client: &identity.id(), holder: to };
                let seat = committee.get(usize::from(to.0))?;
                let (sealed, _) = seal(&seat.sealing_key, place, &kappa[..], &mut rng).ok()?;
                boxes.push(sealed);
            }
            keys.push(DealtKey { commitment: BeaconKey::new(kappa).commitment(component), boxes });
        }
        let signature = identity.sign(Statement::BeaconKeys, &federation, &wire::encode(&keys));
        Some(Self { federation, holder, keys, signature })
    }

    /// Checks everything but what is in the boxes.
    ///
    /// # Errors
    /// [`BadDeal`], by the first fault.
    pub fn check(
        &self,
        federation: &Digest,
        shape: CommitteeShape,
        committee: &[Seat],
    ) -> Result<(), BadDeal> {
        let seat = committee.get(usize::from(self.holder.0)).ok_or(BadDeal::Place)?;
        if self.federation != *federation {
            return Err(BadDeal::Place);
        }
        let components = shape.components_of(self.holder);
        let is_whole = |(key, component): (&DealtKey, Component)| key.fits(shape, component);
        if self.keys.len() != components.len() || !self.keys.iter().zip(components).all(is_whole) {
            return Err(BadDeal::Shape);
        }
        let body = wire::encode(&self.keys);
        let signed = seat.holder.verify(Statement::BeaconKeys, federation, &body, &self.signature);
        signed.map_err(|_| BadDeal::Signature)
    }
}

impl DealtKey {
    /// Whether it has a box of the right length for each holder that knows `component`.
    pub(crate) fn fits(&self, shape: CommitteeShape, component: Component) -> bool {
        self.boxes.len() == knowing(shape, component).count()
            && self.boxes.iter().all(|sealed| sealed.len() == OVERHEAD_BYTES + KEY_BYTES)
    }
}

/// The keys of all components, in canonical order, from deals that were checked; `None` while some
/// component has none. Of several dealers the first from `first` on is taken, so that another can
/// be tried where one dealt what does not open.
#[must_use]
pub fn gather(
    shape: CommitteeShape,
    deals: &BTreeMap<HolderIndex, Deal>,
    first: usize,
) -> Option<Vec<ComponentKey>> {
    let members = shape.members();
    let key = |component: Component| {
        let dealers = (0..members).map(|i| HolderIndex(((first + i) % members) as u8));
        let mut dealers = dealers.filter(|dealer| component.known_to(*dealer));
        dealers.find_map(|dealer| {
            let own = shape.components_of(dealer);
            let at = own.iter().position(|known| *known == component)?;
            let key = deals.get(&dealer)?.keys.get(at)?.clone();
            Some(ComponentKey { dealer, key })
        })
    };
    shape.components().into_iter().map(key).collect()
}

/// The boxes that `holder` can open, in canonical order of its components.
#[must_use]
pub fn sealed_to(
    shape: CommitteeShape,
    keys: &[ComponentKey],
    holder: HolderIndex,
) -> Vec<SealedKey> {
    let own = shape.components().into_iter().zip(keys);
    let own = own.filter(|(component, _)| component.known_to(holder));
    let own = own.filter_map(|(component, ComponentKey { dealer, key })| {
        let at = knowing(shape, component).position(|other| other == holder)?;
        Some(SealedKey { dealer: *dealer, sealed: key.boxes.get(at)?.clone() })
    });
    own.collect()
}

/// A beacon key that is not the one in the terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the beacon key that holder {} dealt does not open to what the terms say", .dealer.0)]
pub struct BadKey {
    /// Who dealt it.
    pub dealer: HolderIndex,
}

/// Opens the keys that `holder` was sent, in canonical order of its components, and compares them
/// with the terms' commitments for all components.
///
/// # Errors
/// [`BadKey`]: the first that is missing, does not open, or is another.
pub fn open_keys(
    (federation, shape, committee): (&Digest, CommitteeShape, &[Seat]),
    (holder, secret): (HolderIndex, &SealingSecret),
    commitments: &[Digest],
    sealed: &[SealedKey],
) -> Result<Vec<BeaconKey>, BadKey> {
    let components = shape.components().into_iter().zip(commitments);
    let own: Vec<_> = components.filter(|(component, _)| component.known_to(holder)).collect();
    if own.len() != sealed.len() {
        return Err(BadKey { dealer: holder });
    }
    let open = |((component, commitment), key): ((Component, &Digest), &SealedKey)| {
        let bad = BadKey { dealer: key.dealer };
        let dealer = committee.get(usize::from(key.dealer.0)).ok_or(bad)?;
        let round_ctx = place(federation, component);
        let place = Place { round_ctx: &round_ctx, client: &dealer.holder, holder };
        let opened = decapsulate(secret, place, &key.sealed)
            .and_then(|key_of_box| key_of_box.open(&key.sealed));
        let opened: Zeroizing<Vec<u8>> = opened.ok_or(bad)?;
        let bytes: [u8; KEY_BYTES] = opened.as_slice().try_into().map_err(|_| bad)?;
        let opened = BeaconKey::new(Zeroizing::new(bytes));
        opened.commitment(component).equals(commitment).then_some(opened).ok_or(bad)
    };
    own.into_iter().zip(sealed).map(open).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Federation;

    const SHAPE: CommitteeShape = CommitteeShape::Four;

    fn deals(federation: &Federation) -> BTreeMap<HolderIndex, Deal> {
        let committee = federation.roster.committee();
        let deal = |index: usize| {
            let holder = HolderIndex(index as u8);
            let by = (holder, &*federation.holders[index]);
            (holder, Deal::new(federation.roster.digest(), SHAPE, &committee, by).expect("dealt"))
        };
        (0..4).map(deal).collect()
    }

    #[test]
    fn every_holder_opens_the_keys_of_its_components_and_of_no_other() {
        let federation = Federation::new();
        let (roster, committee) = (federation.roster.digest(), federation.roster.committee());
        let mut deals = deals(&federation);
        assert!(deals.values().all(|deal| deal.check(&roster, SHAPE, &committee).is_ok()));
        for first in 0..4 {
            let keys = gather(SHAPE, &deals, first).expect("all dealt");
            let commitments: Vec<_> = keys.iter().map(|key| key.key.commitment).collect();
            for h in 0..4 {
                let holder = HolderIndex(h as u8);
                let sealed = sealed_to(SHAPE, &keys, holder);
                let by = (holder, &*federation.secrets[h]);
                let of = (&roster, SHAPE, &committee[..]);
                let opened = open_keys(of, by, &commitments, &sealed).expect("they open");
                assert_eq!(opened.len(), 3);
                let other = (holder, &*federation.secrets[(h + 1) % 4]);
                assert!(open_keys(of, other, &commitments, &sealed).is_err());
                let mut spoiled = sealed.clone();
                spoiled[1].sealed[1150] ^= 1;
                let dealer = spoiled[1].dealer;
                let bad = open_keys(of, by, &commitments, &spoiled);
                assert_eq!(bad.err(), Some(BadKey { dealer }));
                let mut others = commitments.clone();
                others.rotate_left(1);
                assert!(open_keys(of, by, &others, &sealed).is_err());
            }
        }
        // Any two holders are enough, one is not: it lacks the component that names it.
        deals.remove(&HolderIndex(0));
        deals.remove(&HolderIndex(2));
        assert!(gather(SHAPE, &deals, 0).is_some());
        deals.remove(&HolderIndex(1));
        assert!(gather(SHAPE, &deals, 0).is_none());
    }

    #[test]
    fn a_holder_deals_the_same_again_and_a_changed_deal_is_refused() {
        let federation = Federation::new();
        let (roster, committee) = (federation.roster.digest(), federation.roster.committee());
        let (first, again) = (deals(&federation), deals(&federation));
        assert_eq!(first, again);
        let deal = &first[&HolderIndex(1)];
        let change = |change: fn(&mut Deal)| {
            let mut deal = deal.clone();
            change(&mut deal);
            deal.check(&roster, SHAPE, &committee)
        };
        assert_eq!(change(|deal| deal.federation = Digest::ZERO), Err(BadDeal::Place));
        assert_eq!(change(|deal| deal.holder = HolderIndex(4)), Err(BadDeal::Place));
        assert_eq!(change(|deal| deal.holder = HolderIndex(2)), Err(BadDeal::Signature));
        assert_eq!(change(|deal| deal.keys.truncate(2)), Err(BadDeal::Shape));
        assert_eq!(change(|deal| deal.keys[0].boxes.truncate(2)), Err(BadDeal::Shape));
        assert_eq!(change(|deal| deal.keys[0].boxes[0].truncate(9)), Err(BadDeal::Shape));
        assert_eq!(change(|deal| deal.keys[0].boxes[0][7] ^= 1), Err(BadDeal::Signature));
    }
}
