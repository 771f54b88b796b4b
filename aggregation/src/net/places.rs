//! How many places somebody has taken: links of one member, handshakes from one address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::party::PartyId;

/// Places, counted by who has taken them.
pub(super) struct Places<K: Eq + Hash> {
    taken: Mutex<HashMap<K, usize>>,
    each_max: usize,
}

/// A place, until it is dropped.
pub(super) struct Place<K: Eq + Hash> {
    places: Arc<Places<K>>,
    who: K,
}

/// A member's link.
pub(super) type MemberPlace = Place<PartyId>;

/// A handshake from one address.
pub(super) type AddressPlaces = Places<IpAddr>;

impl<K: Eq + Hash + Clone> Places<K> {
    /// So many for each.
    pub(super) fn new(each_max: usize) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), each_max })
    }

    /// A place, unless `who` has as many as there are for each.
    pub(super) fn take(self: &Arc<Self>, who: K) -> Option<Place<K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(who.clone()).or_default();
        if *count >= self.each_max {
            return None;
        }
        *count += 1;
        Some(Place { places: Arc::clone(self), who })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_places_and_gets_them_back() {
        let places = Places::new(2);
        let (first, second) = (places.take(1).expect("one"), places.take(1).expect("two"));
        assert!(places.take(1).is_none());
        let other = places.take(2).expect("of somebody else");
        drop(first);
        let third = places.take(1).expect("given back");
        drop((second, third, other));
        assert!(places.taken.lock().expect("unharmed").is_empty());
    }
}
