//! What an attack does to data, to the number of examples and to the update.

use covey_model::data::{Dataset, Inputs, Targets};
use covey_model::random::{normal, stream, unit_f64};

use super::{AttackKind, FreeRide};

/// What every client knows when it answers.
pub struct Memory<'a> {
    /// The longest that an update may be.
    pub clip_norm: f32,
    /// How the last round moved the model; nothing in the first.
    pub step: Option<&'a [f32]>,
}

impl AttackKind {
    /// What is trained on instead. `seed` is that of the simulation and the client: what it has is
    /// the same in every round.
    #[must_use]
    pub fn spoil_data(self, data: Dataset, seed: &[&[u8]]) -> Dataset {
        let (inputs, targets) = match (self, data.inputs(), data.targets()) {
            (Self::FeatureNoise(deviation), Inputs::Rows { numbers, features }, targets) => {
                let mut rng = stream("simulated-feature-noise", seed);
                let noisy = |x: &f32| finite(deviation.mul_add(normal(&mut rng), f64::from(*x)));
                let numbers = numbers.iter().map(noisy).collect();
                (Inputs::Rows { numbers, features: *features }, targets.clone())
            }
            (_, inputs, Targets::Classes { labels, classes }) => {
                let Some(labels) = self.spoil_labels(labels, *classes, seed) else { return data };
                (inputs.clone(), Targets::Classes { labels, classes: *classes })
            }
            _ => return data,
        };
        Dataset::from_parts(inputs, targets).unwrap_or(data)
    }

    fn spoil_labels(self, labels: &[u32], classes: usize, seed: &[&[u8]]) -> Option<Vec<u32>> {
        let last = u32::try_from(classes.saturating_sub(1)).unwrap_or(u32::MAX);
        let spoilt = match self {
            Self::LabelFlip => labels.iter().map(|label| last.saturating_sub(*label)).collect(),
            Self::LabelNoise(share) => {
                let mut rng = stream("simulated-label-noise", seed);
                let mut draw = |label: &u32| {
                    if unit_f64(&mut rng) > share || last == 0 {
                        return *label;
                    }
                    // One of the others, all alike.
                    let drawn = (unit_f64(&mut rng) * f64::from(last)).ceil() as u32;
                    (*label + drawn) % (last + 1)
                };
                labels.iter().map(&mut draw).collect()
            }
            Self::Poison { from, to } => {
                labels.iter().map(|label| if *label == from { to } else { *label }).collect()
            }
            _ => return None,
        };
        Some(spoilt)
    }

    /// How many examples it says it has.
    #[must_use]
    pub fn spoil_examples(self, examples: u32) -> u32 {
        match self {
            Self::Claim(factor) => (f64::from(examples) * factor).round() as u32,
            _ => examples,
        }
    }

    /// What is sent instead. `seed` is that of the simulation, the round and the client.
    pub fn spoil_update(self, update: &mut [f32], memory: &Memory<'_>, seed: &[&[u8]]) {
        match self {
            Self::LabelFlip
            | Self::LabelNoise(_)
            | Self::FeatureNoise(_)
            | Self::Poison { .. }
            | Self::Duplicate
            | Self::Sybil
            | Self::Claim(_) => {}
            Self::SignFlip(factor) => scale(update, -factor),
            Self::Boost(factor) => scale(update, factor),
            Self::Noise(deviation) => {
                let mut rng = stream("simulated-noise", seed);
                for x in update {
                    *x = finite(deviation.mul_add(normal(&mut rng), f64::from(*x)));
                }
            }
            Self::FreeRider(FreeRide::Zero) => update.fill(0.0),
            Self::FreeRider(FreeRide::Random) => {
                let mut rng = stream("simulated-noise", seed);
                update.fill_with(|| normal(&mut rng) as f32);
                stretch(update, memory.clip_norm);
            }
            Self::FreeRider(ride @ (FreeRide::Replay | FreeRide::BoostedReplay)) => {
                match memory.step.filter(|step| step.len() == update.len()) {
                    Some(step) => update.copy_from_slice(step),
                    None => update.fill(0.0),
                }
                if ride == FreeRide::BoostedReplay {
                    stretch(update, memory.clip_norm);
                }
            }
        }
    }
}

fn scale(update: &mut [f32], factor: f64) {
    update.iter_mut().for_each(|x| *x = finite(f64::from(*x) * factor));
}

/// Makes an update as long as `norm`, unless it is zero.
fn stretch(update: &mut [f32], norm: f32) {
    let own = update.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if own > 0.0 {
        scale(update, f64::from(norm) / own);
    }
}

/// Within what an update may hold: an attacker that sends infinities would only keep itself out.
fn finite(x: f64) -> f32 {
    x.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Dataset {
        Dataset::new(vec![1.0, 2.0, 3.0], vec![0, 1, 2], 1, 3).expect("three examples")
    }

    fn sent(kind: AttackKind, step: Option<&[f32]>) -> Vec<f32> {
        let mut update = vec![0.5, -0.25];
        kind.spoil_update(&mut update, &Memory { clip_norm: 5.0, step }, &[b"seed"]);
        update
    }

    #[test]
    fn labels_are_spoilt_as_the_name_says() {
        let labels = |kind: AttackKind| kind.spoil_data(data(), &[b"seed"]).labels().to_vec();
        let cases = [
            (AttackKind::LabelFlip, [2, 1, 0]),
            (AttackKind::Poison { from: 1, to: 2 }, [0, 2, 2]),
            (AttackKind::LabelNoise(0.0), [0, 1, 2]),
            (AttackKind::SignFlip(1.0), [0, 1, 2]),
            (AttackKind::Claim(3.0), [0, 1, 2]),
        ];
        for (kind, expected) in cases {
            assert_eq!(labels(kind), expected, "{kind:?}");
        }
        let all = labels(AttackKind::LabelNoise(1.0));
        assert!(all.iter().zip([0, 1, 2]).all(|(drawn, label)| *drawn < 3 && *drawn != label));
    }

    #[test]
    fn so_many_labels_are_wrong_as_was_asked_and_the_wrong_ones_are_alike() {
        let many = Dataset::new(vec![0.0; 9000], vec![3; 9000], 1, 10).expect("examples");
        let spoilt = AttackKind::LabelNoise(0.3).spoil_data(many.clone(), &[b"seed"]);
        let count = |class| spoilt.labels().iter().filter(|label| **label == class).count();
        assert!((6150..6450).contains(&count(3)), "{}", count(3));
        for class in (0..10).filter(|class| *class != 3) {
            assert!((230..370).contains(&count(class)), "{class}: {}", count(class));
        }
        assert_eq!(spoilt, AttackKind::LabelNoise(0.3).spoil_data(many.clone(), &[b"seed"]));
        assert_ne!(spoilt, AttackKind::LabelNoise(0.3).spoil_data(many, &[b"other"]));
    }

    #[test]
    fn noise_on_inputs_has_its_deviation_and_leaves_labels() {
        let many = Dataset::new(vec![0.5; 10_000], vec![0; 10_000], 1, 3).expect("examples");
        let noisy = AttackKind::FeatureNoise(0.5).spoil_data(many, &[b"seed"]);
        let square = |row| f64::from(noisy.example(row)[0] - 0.5).powi(2);
        let variance = (0..10_000).map(square).sum::<f64>() / 1e4;
        assert!((variance - 0.25).abs() < 0.02, "{variance}");
        assert!(noisy.labels().iter().all(|label| *label == 0));
    }

    #[test]
    fn updates_are_spoilt_as_the_name_says() {
        let cases = [
            (AttackKind::LabelFlip, [0.5, -0.25]),
            (AttackKind::SignFlip(1.0), [-0.5, 0.25]),
            (AttackKind::SignFlip(3.0), [-1.5, 0.75]),
            (AttackKind::Boost(4.0), [2.0, -1.0]),
            (AttackKind::FreeRider(FreeRide::Zero), [0.0, 0.0]),
            (AttackKind::Duplicate, [0.5, -0.25]),
            (AttackKind::Sybil, [0.5, -0.25]),
            (AttackKind::Claim(5.0), [0.5, -0.25]),
        ];
        for (kind, expected) in cases {
            assert_eq!(sent(kind, None), expected, "{kind:?}");
        }
        let mut update = vec![0.0; 10_000];
        let memory = Memory { clip_norm: 5.0, step: None };
        AttackKind::Noise(0.5).spoil_update(&mut update, &memory, &[b"seed"]);
        let variance = update.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / 1e4;
        assert!((variance - 0.25).abs() < 0.02, "{variance}");
        assert_eq!(finite(f64::INFINITY), f32::MAX);
    }

    #[test]
    fn free_riders_send_no_work_of_their_own() {
        let replay = AttackKind::FreeRider(FreeRide::Replay);
        assert_eq!(sent(replay, None), [0.0, 0.0]);
        assert_eq!(sent(replay, Some(&[0.3, -0.4])), [0.3, -0.4]);
        let replay = AttackKind::FreeRider(FreeRide::BoostedReplay);
        assert_eq!(sent(replay, None), [0.0, 0.0]);
        assert_eq!(sent(replay, Some(&[0.0, 0.0])), [0.0, 0.0]);
        assert_eq!(sent(replay, Some(&[0.3, -0.4])), [3.0, -4.0]);
        let random = sent(AttackKind::FreeRider(FreeRide::Random), None);
        let norm = random.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        assert!((norm - 5.0).abs() < 1e-5, "{norm}");
        assert_ne!(random, sent(replay, Some(&[0.5, -0.25])));
    }

    #[test]
    fn a_claim_multiplies_the_number_of_examples() {
        assert_eq!(AttackKind::Claim(5.0).spoil_examples(40), 200);
        assert_eq!(AttackKind::Claim(1e30).spoil_examples(40), u32::MAX);
        assert_eq!(AttackKind::SignFlip(5.0).spoil_examples(40), 40);
    }
}
