//! What the holders' releases agree on.

use crate::config::{HolderIndex, RoundConfig};
use crate::sum::contribution::{correction_bytes, first_unreduced};

/// What the holders' releases agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combined {
    /// R_T for each component in canonical order; `None` where no f + 1 holders agree.
    pub components: Vec<Option<Vec<u8>>>,
    /// Holders that gave something else than the agreed value, ascending.
    pub liars: Vec<HolderIndex>,
}

/// Takes for each component the value that f + 1 holders give equally: at least one of them is
/// honest. A second release of one holder is ignored.
#[must_use]
pub fn combine(config: &RoundConfig, releases: &[(HolderIndex, &[Vec<u8>])]) -> Combined {
    let needed = config.shape.faults() + 1;
    let mut distinct: Vec<(HolderIndex, &[Vec<u8>])> = Vec::new();
    for &(holder, sums) in releases {
        let is_member = usize::from(holder.0) < config.shape.members();
        if is_member && distinct.iter().all(|(other, _)| *other != holder) {
            distinct.push((holder, sums));
        }
    }
    distinct.sort_unstable_by_key(|(holder, _)| *holder);

    let mut liars = Vec::new();
    let mut components = Vec::new();
    for component in config.shape.components() {
        let known = distinct.iter().filter(|(holder, _)| component.known_to(*holder));
        let given: Vec<(HolderIndex, Option<&Vec<u8>>)> = known
            .map(|&(holder, sums)| {
                let known = config.shape.components_of(holder);
                let position = known.iter().position(|other| *other == component);
                let sum = position.filter(|_| sums.len() == known.len()).map(|at| &sums[at]);
                (holder, sum.filter(|sum| is_vector(config, sum)))
            })
            .collect();
        let agreed = given.iter().find_map(|(_, sum)| {
            let copies = given.iter().filter(|(_, other)| other == sum).count();
            sum.filter(|_| copies >= needed)
        });
        let is_lie = |sum: &Option<&Vec<u8>>| sum.is_none() || (agreed.is_some() && *sum != agreed);
        liars.extend(given.iter().filter(|(_, sum)| is_lie(sum)).map(|(holder, _)| *holder));
        components.push(agreed.cloned());
    }
    liars.sort_unstable();
    liars.dedup();
    Combined { components, liars }
}

/// Whether these are the bytes of a vector over Z_q.
pub(super) fn is_vector(config: &RoundConfig, bytes: &[u8]) -> bool {
    bytes.len() == correction_bytes(config) && first_unreduced(config, bytes).is_none()
}
