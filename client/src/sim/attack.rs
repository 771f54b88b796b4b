//! What dishonest clients do to their data or updates before they are clipped and sealed. They
//! keep to the protocol: one that does not is found and named, which other tests show.

use std::fmt;
use std::str::FromStr;

use covey_model::data::{Dataset, Inputs, Targets};
use covey_model::random::{normal, shuffle, stream};

/// What an attacker does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AttackKind {
    /// Trains on labels turned around: class c of n becomes n - 1 - c.
    LabelFlip,
    /// Sends the update with its sign changed.
    SignFlip,
    /// Sends the update times this.
    Boost(f64),
    /// Adds normal noise of this deviation to every number of the update.
    Noise(f64),
    /// Sends nothing new: zeros.
    FreeRider,
}

/// So many clients attack, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attack {
    /// What they do.
    pub kind: AttackKind,
    /// How many.
    pub clients: usize,
}

/// Factor of a boost, if not given.
const BOOST: f64 = 10.0;

/// Deviation of the noise, if not given.
const NOISE: f64 = 0.1;

impl FromStr for Attack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let word = parts.next().unwrap_or_default();
        let clients = parts.next().and_then(|part| part.parse().ok());
        let clients = clients.ok_or_else(|| format!("{text:?}: write {word}:CLIENTS"))?;
        let strength = match parts.next().map(str::parse::<f64>) {
            None => None,
            Some(Ok(strength)) if strength.is_finite() => Some(strength),
            Some(_) => return Err(format!("{text:?}: the last part is no number")),
        };
        if parts.next().is_some() {
            return Err(format!("{text:?} has too many parts"));
        }
        let kind = match (word, strength) {
            ("label-flip", None) => AttackKind::LabelFlip,
            ("sign-flip", None) => AttackKind::SignFlip,
            ("free-rider", None) => AttackKind::FreeRider,
            ("boost", factor) => AttackKind::Boost(factor.unwrap_or(BOOST)),
            ("noise", deviation) => AttackKind::Noise(deviation.unwrap_or(NOISE)),
            _ => {
                return Err(format!(
                    "{text:?}: use label-flip:N, sign-flip:N, free-rider:N, boost:N:FACTOR or \
                     noise:N:DEVIATION"
                ));
            }
        };
        Ok(Self { kind, clients })
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = self.clients;
        match self.kind {
            AttackKind::LabelFlip => write!(f, "label-flip:{clients}"),
            AttackKind::SignFlip => write!(f, "sign-flip:{clients}"),
            AttackKind::Boost(factor) => write!(f, "boost:{clients}:{factor}"),
            AttackKind::Noise(deviation) => write!(f, "noise:{clients}:{deviation}"),
            AttackKind::FreeRider => write!(f, "free-rider:{clients}"),
        }
    }
}

/// What each client does; nothing where it is honest.
pub(super) fn assign(attacks: &[Attack], clients: usize, seed: u64) -> Vec<Option<AttackKind>> {
    let mut order: Vec<usize> = (0..clients).collect();
    shuffle(&mut order, &mut stream("simulated-attackers", &[&seed.to_le_bytes()]));
    let mut kinds = vec![None; clients];
    let drawn = attacks.iter().flat_map(|attack| std::iter::repeat_n(attack.kind, attack.clients));
    for (client, kind) in order.into_iter().zip(drawn) {
        kinds[client] = Some(kind);
    }
    kinds
}

impl AttackKind {
    /// What is trained on instead.
    pub(super) fn spoil_data(self, data: Dataset) -> Dataset {
        let (Self::LabelFlip, Targets::Classes { labels, classes }) = (self, data.targets()) else {
            return data;
        };
        let last = u32::try_from(classes.saturating_sub(1)).unwrap_or(u32::MAX);
        let labels = labels.iter().map(|label| last.saturating_sub(*label)).collect();
        let inputs: Inputs = data.inputs().clone();
        let targets = Targets::Classes { labels, classes: *classes };
        Dataset::from_parts(inputs, targets).unwrap_or(data)
    }

    /// What is sent instead. `seed` is that of the simulation, the round and the client.
    pub(super) fn spoil_update(self, update: &mut [f32], seed: &[&[u8]]) {
        match self {
            Self::LabelFlip => {}
            Self::SignFlip => update.iter_mut().for_each(|x| *x = -*x),
            Self::Boost(factor) => {
                update.iter_mut().for_each(|x| *x = finite(f64::from(*x) * factor));
            }
            Self::Noise(deviation) => {
                let mut rng = stream("simulated-noise", seed);
                for x in update {
                    *x = finite(deviation.mul_add(normal(&mut rng), f64::from(*x)));
                }
            }
            Self::FreeRider => update.fill(0.0),
        }
    }
}

/// Within what an update may hold: an attacker that sends infinities would only keep itself out.
fn finite(x: f64) -> f32 {
    x.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_are_read_as_they_are_written() {
        for text in ["label-flip:3", "sign-flip:1", "boost:2:10", "noise:4:0.5", "free-rider:9"] {
            let attack: Attack = text.parse().expect("an attack");
            assert_eq!(attack.to_string(), text);
        }
        assert_eq!("boost:2".parse::<Attack>().expect("read").kind, AttackKind::Boost(10.0));
        for text in ["", "boost", "boost:x", "boost:1:x", "boost:1:2:3", "label-flip:1:2", "y:1"] {
            assert!(text.parse::<Attack>().is_err(), "{text}");
        }
    }

    #[test]
    fn so_many_clients_attack_as_was_asked_and_the_seed_says_who() {
        let read = |text: &str| text.parse::<Attack>().expect("an attack");
        let attacks = [read("label-flip:3"), read("noise:2")];
        let kinds = assign(&attacks, 50, 1);
        let count = |kind| kinds.iter().filter(|one| **one == Some(kind)).count();
        assert_eq!((count(AttackKind::LabelFlip), count(AttackKind::Noise(0.1))), (3, 2));
        assert_eq!(kinds, assign(&attacks, 50, 1));
        assert_ne!(kinds, assign(&attacks, 50, 2));
    }

    #[test]
    fn each_attack_does_what_its_name_says() {
        let data = Dataset::new(vec![1.0, 2.0, 3.0], vec![0, 1, 2], 1, 3).expect("three examples");
        assert_eq!(AttackKind::LabelFlip.spoil_data(data.clone()).labels(), [2, 1, 0]);
        assert_eq!(AttackKind::SignFlip.spoil_data(data.clone()), data);
        let sent = |kind: AttackKind| {
            let mut update = [0.5, -0.25];
            kind.spoil_update(&mut update, &[b"seed"]);
            update
        };
        assert_eq!(sent(AttackKind::LabelFlip), [0.5, -0.25]);
        assert_eq!(sent(AttackKind::SignFlip), [-0.5, 0.25]);
        assert_eq!(sent(AttackKind::Boost(4.0)), [2.0, -1.0]);
        assert_eq!(sent(AttackKind::FreeRider), [0.0, 0.0]);
        let mut update = vec![0.0; 10_000];
        AttackKind::Noise(0.5).spoil_update(&mut update, &[b"seed"]);
        let variance = update.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / 1e4;
        assert!((variance - 0.25).abs() < 0.02, "{variance}");
        assert_eq!(finite(f64::INFINITY), f32::MAX);
    }
}
