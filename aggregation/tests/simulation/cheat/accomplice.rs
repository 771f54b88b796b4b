//! What f holders that side with the coordinator make of all that they see.

use covey_aggregation::config::{HolderIndex, RoundConfig};
use covey_aggregation::sum::share::{component_sums, open_envelope};

use crate::stage::{Cast, Offer};

/// The prime of the small profile.
const PRIME: u64 = (1 << 50) - (1 << 14) + 1;
/// Entries of a vector that are looked at: that 64 random ones are all short by chance has
/// probability 2^-2500.
const ENTRIES: usize = 64;
/// Longest entry of one key.
const GAUSS_MAX: u64 = 64;

/// The first entries of a vector over Z_q.
pub(super) type Entries = [u64; ENTRIES];

/// For every contribution under an offer, its key but for the one component that the accomplices
/// lack: correction plus all components that any of them knows.
pub(super) struct Loot {
    known: Vec<Entries>,
}

/// The holders on the coordinator's side: the last f.
pub(super) fn accomplices(config: &RoundConfig) -> std::ops::Range<usize> {
    let members = config.shape.members();
    members - config.shape.faults()..members
}

/// Where the component that all accomplices lack stands in an honest holder's release.
pub(super) fn missing_component(config: &RoundConfig, holder: usize) -> usize {
    let lacking = |component: &covey_aggregation::config::Component| {
        accomplices(config).all(|one| !component.known_to(HolderIndex(one as u8)))
    };
    let known = config.shape.components_of(HolderIndex(holder as u8));
    known.iter().position(lacking).expect("honest holders know what the accomplices lack")
}

impl Loot {
    pub(super) fn new(cast: &Cast, offer: &Offer) -> Self {
        let (config, context) = (&offer.config, &offer.context);
        let known = offer.uploads.iter().map(|upload| {
            let mut sum = entries(&upload.correction);
            let mut seen = Vec::new();
            for holder in accomplices(config) {
                let (index, secret) = (HolderIndex(holder as u8), cast.secret(holder));
                let envelope = upload.envelope(holder);
                let seeds = open_envelope(config, context, index, secret, &envelope);
                let seeds = seeds.unwrap_or_else(|_| panic!("an honest box"));
                let client = upload.header.header.client;
                let vectors =
                    component_sums(config, context, index, [(client, &seeds)].into_iter());
                for (component, vector) in config.shape.components_of(index).iter().zip(&vectors) {
                    if !seen.contains(component) {
                        seen.push(*component);
                        add(&mut sum, &entries(vector));
                    }
                }
            }
            assert_eq!(seen.len() + 1, config.shape.components().len(), "they lack one component");
            sum
        });
        Self { known: known.collect() }
    }

    /// Every set of contributions whose keys add up to something short with `released`: the sets
    /// that it opens.
    pub(super) fn opened_by(&self, released: &Entries) -> Vec<Vec<usize>> {
        let uploads = self.known.len();
        let sets = (1u32..1 << uploads)
            .map(|mask| (0..uploads).filter(|at| mask >> at & 1 == 1).collect::<Vec<_>>());
        sets.filter(|set| self.opens(set, released)).collect()
    }

    fn opens(&self, set: &[usize], released: &Entries) -> bool {
        let longest = GAUSS_MAX * set.len() as u64;
        released.iter().enumerate().all(|(at, entry)| {
            let sum =
                set.iter().fold(*entry, |sum, &upload| (sum + self.known[upload][at]) % PRIME);
            sum.min(PRIME - sum) <= longest
        })
    }
}

/// The first entries of packed residues, 50 bits each.
pub(super) fn entries(bytes: &[u8]) -> Entries {
    std::array::from_fn(|at| {
        let (byte, bit) = (at * 50 / 8, at * 50 % 8);
        let word = u64::from_le_bytes(bytes[byte..byte + 8].try_into().expect("eight"));
        (word >> bit) & ((1 << 50) - 1)
    })
}

fn add(sum: &mut Entries, other: &Entries) {
    for (sum, other) in sum.iter_mut().zip(other) {
        *sum = (*sum + other) % PRIME;
    }
}
