//! How a model comes about: by whom, and with which setting.

use std::fmt;

use covey_aggregation::program::Failure;
use covey_client::sim::Partition;
use covey_examples::federation::Federation;
use covey_examples::hospitals::{HOSPITALS, Hospital, Part};
use covey_examples::variant::Variant;
use covey_examples::{failed, pooled};
use covey_model::data::Dataset;
use toml::{Table, Value};

use crate::table::Score;

/// Passes over an owner's records, those of the plan that ships. Everybody makes as many.
const PASSES: u32 = 40;

/// Parts that the records to train on are divided into to choose a setting, and how many of them
/// are measured.
const CHOOSING_PARTS: usize = 4;
const CHOOSING_MEASURED: usize = 2;

/// Who trains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    Federated,
    Pooled,
    /// The hospital of this number.
    Alone(usize),
}

/// What is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Setting {
    pub(crate) lr: f64,
    pub(crate) course: Course,
}

/// How the passes are divided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Course {
    /// Rounds of one pass each, after which owners count by their records or all alike.
    Rounds { is_uniform: bool },
    /// One owner, whose optimiser never begins anew.
    OneGo,
}

impl Way {
    pub(crate) fn all() -> Vec<Self> {
        let alone = (0..HOSPITALS.len()).map(Self::Alone);
        [Self::Federated, Self::Pooled].into_iter().chain(alone).collect()
    }

    /// What it may choose from: six settings. Where owners count alike, the mean update is the sum
    /// of their gradients, as if pooled: who has more records makes more steps. Where they count by
    /// records, large hospitals count twice.
    pub(crate) fn settings(self) -> Vec<Setting> {
        match self {
            Self::Federated => {
                let rates = [0.005, 0.01, 0.02].into_iter();
                let both = |lr| [false, true].map(|is_uniform| (lr, is_uniform));
                rates
                    .flat_map(both)
                    .map(|(lr, is_uniform)| Setting { lr, course: Course::Rounds { is_uniform } })
                    .collect()
            }
            Self::Pooled | Self::Alone(_) => {
                let rates = [0.00125, 0.0025, 0.005, 0.01, 0.02, 0.04];
                rates.map(|lr| Setting { lr, course: Course::OneGo }).to_vec()
            }
        }
    }

    /// The model of a setting, or of the plan as it ships.
    pub(crate) fn train(
        self,
        plan: &Variant,
        setting: Option<Setting>,
        parts: &[&Part],
    ) -> Result<Vec<f32>, Failure> {
        let plan = setting.map_or_else(|| plan.clone(), |setting| setting.of(plan));
        let own = |part: &&Part| part.training.data().clone();
        let data: Vec<Dataset> = match self {
            Self::Federated => {
                let federation = Federation {
                    data: parts.iter().map(|part| part.file.clone()).collect(),
                    test_data: None,
                    owners: parts.len(),
                    partition: Partition::ByFile,
                    seed: plan.plan()?.seed,
                    plan,
                };
                return Ok(federation.train(&mut |_| {})?.parameters);
            }
            Self::Pooled => parts.iter().map(own).collect(),
            Self::Alone(place) => parts[place..].iter().take(1).map(own).collect(),
        };
        let plan = match setting.map(|setting| setting.course) {
            Some(Course::OneGo) => pooled::in_one_go(plan.plan()?),
            _ => plan.plan()?,
        };
        pooled::train(&plan, &pooled::join(&data)?, &mut |_, _, _| Ok(()))
    }

    /// The setting that does best on records set aside of those to train on. A hospital alone sets
    /// aside its own.
    pub(crate) fn choose(
        self,
        plan: &Variant,
        seed: u64,
        parts: &[&Part],
    ) -> Result<Setting, Failure> {
        let parsed = plan.plan()?;
        let (trainer, folder) = (pooled::trainer(&parsed)?, tempfile::tempdir().map_err(failed)?);
        let divide = |part: &&Part| {
            let hospital: &Hospital = &part.training;
            hospital.parts(CHOOSING_PARTS, seed, &parsed.data, folder.path())
        };
        let inner: Vec<Vec<Part>> = parts.iter().map(divide).collect::<Result<_, _>>()?;
        let mut best: Option<(f64, Setting)> = None;
        for setting in self.settings() {
            let mut sum = 0.0;
            for fold in 0..CHOOSING_MEASURED {
                let parts: Vec<&Part> = inner.iter().map(|parts| &parts[fold]).collect();
                let model = self.train(plan, Some(setting), &parts)?;
                let score = Score::of(&trainer, &model, &parts)?;
                sum += match self {
                    Self::Alone(place) => score.hospital(place),
                    Self::Federated | Self::Pooled => score.all(),
                };
            }
            if best.is_none_or(|(highest, _)| sum > highest) {
                best = Some((sum, setting));
            }
        }
        best.map(|(_, setting)| setting).ok_or_else(|| failed("there is no setting"))
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Federated => f.write_str("federated"),
            Self::Pooled => f.write_str("pooled"),
            Self::Alone(place) => write!(f, "{} alone", HOSPITALS[*place]),
        }
    }
}

impl Setting {
    /// The plan with it.
    fn of(self, plan: &Variant) -> Variant {
        let plan = plan.clone().with("training.optimizer.lr", self.lr);
        let Course::Rounds { is_uniform } = self.course else { return plan };
        let weighting: Value = if is_uniform {
            "uniform".into()
        } else {
            // More than a hospital has.
            Table::from_iter([("capped_examples".to_owned(), Value::Integer(500))]).into()
        };
        plan.with("training.local_epochs", 1)
            .with("training.rounds", i64::from(PASSES))
            .with("training.weighting", weighting)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lr {}, ", self.lr)?;
        match self.course {
            Course::OneGo => f.write_str("in one go"),
            Course::Rounds { is_uniform: true } => f.write_str("owners count alike"),
            Course::Rounds { is_uniform: false } => f.write_str("owners count by records"),
        }
    }
}

#[cfg(test)]
mod tests {
    use covey_examples::plans::HEART_MLP;

    use super::*;

    #[test]
    fn everybody_chooses_from_as_many_settings_and_makes_as_many_passes() {
        let plan = Variant::of(HEART_MLP).expect("TOML");
        for way in Way::all() {
            let settings = way.settings();
            assert_eq!(settings.len(), 6, "{way}");
            for setting in settings {
                let made = setting.of(&plan).plan();
                let made = made.unwrap_or_else(|failure| panic!("{way}, {setting}: {failure}"));
                let training = &made.training;
                assert_eq!(training.rounds * training.local_epochs, PASSES, "{way}, {setting}");
                assert_eq!(training.optimizer.lr(), setting.lr);
            }
        }
    }
}
