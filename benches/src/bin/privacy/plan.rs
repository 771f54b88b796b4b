//! The plans that are measured.

use std::fmt::Write as _;
use std::io;

use covey_aggregation::plan::Plan;

/// Where the heart disease files' columns are described already.
const HEART_PLAN: &str = include_str!("../../../../examples/plans/heart-mlp.toml");

/// Delta of every guarantee here: far below one in as many people as there are.
pub(crate) const DELTA: f64 = 1e-5;

/// Owners of a sum that are taken to be in league with whoever looks.
pub(crate) const COLLUDING: u32 = 1;

/// What is hidden, and by how much noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Protection {
    None,
    /// Owners, with this noise multiplier.
    Owner(f64),
    /// Examples, likewise.
    Record(f64),
}

/// What is trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Digits,
    Heart,
}

/// What is trained, by whom and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Setting {
    pub(crate) form: Form,
    pub(crate) owners: u32,
    /// Examples to train on and to test on.
    pub(crate) counts: [usize; 2],
    /// Share of digits with another digit's label.
    pub(crate) labels_wrong: f64,
    /// Width of the hidden layer; without one the model is linear.
    pub(crate) hidden: Option<u32>,
    pub(crate) rounds: u32,
    /// Steps of an owner in a round.
    pub(crate) steps: u32,
    pub(crate) batch: u32,
    pub(crate) lr: f64,
    /// Longest update of an owner.
    pub(crate) clip_norm: f64,
    /// What gradients of examples are clipped to, where examples are hidden.
    pub(crate) record_clip: f64,
    pub(crate) protection: Protection,
}

impl Setting {
    /// Digits among a hundred owners, as owners are hidden among them: about 14 examples each, a
    /// linear model and few rounds, as noise grows with parameters and rounds.
    pub(crate) const fn digits(protection: Protection) -> Self {
        Self {
            form: Form::Digits,
            owners: 100,
            counts: [1400, 397],
            labels_wrong: 0.0,
            hidden: None,
            rounds: 8,
            steps: 8,
            batch: 14,
            lr: 0.5,
            clip_norm: 1.0,
            record_clip: 1.0,
            protection,
        }
    }

    /// Patients among 60 owners, likewise.
    pub(crate) const fn heart(protection: Protection) -> Self {
        Self {
            form: Form::Heart,
            owners: 60,
            counts: [690, 230],
            steps: 8,
            batch: 11,
            lr: 0.1,
            clip_norm: 0.5,
            ..Self::digits(protection)
        }
    }

    /// Digits among five owners, each of whom hides its examples by itself.
    pub(crate) const fn digits_records(protection: Protection) -> Self {
        Self {
            owners: 5,
            rounds: 10,
            steps: 10,
            batch: 32,
            lr: 2.0,
            clip_norm: 20.0,
            ..Self::digits(protection)
        }
    }

    /// Patients among five owners, likewise.
    pub(crate) const fn heart_records(protection: Protection) -> Self {
        Self {
            owners: 5,
            rounds: 10,
            steps: 5,
            batch: 16,
            lr: 0.5,
            clip_norm: 20.0,
            ..Self::heart(protection)
        }
    }

    /// Digits with too few examples for the model and too many steps: it learns them by heart, so
    /// that an attack has something to find.
    pub(crate) const fn by_heart(protection: Protection) -> Self {
        Self {
            owners: 3,
            counts: [900, 800],
            labels_wrong: 0.2,
            hidden: Some(128),
            rounds: 10,
            steps: 60,
            batch: 30,
            lr: 0.5,
            clip_norm: 50.0,
            ..Self::digits(protection)
        }
    }

    /// Examples of the owner who has fewest.
    const fn rows_min(&self) -> usize {
        self.counts[0] / self.owners as usize
    }

    /// What a coordinate holds at most: the longest update and, where it carries noise, twelve
    /// standard deviations of that.
    fn range(&self) -> f64 {
        match self.protection {
            Protection::Owner(multiplier) => {
                let relied_on = f64::from(self.owners - COLLUDING);
                self.clip_norm * (1.0 + 12.0 * multiplier / relied_on.sqrt())
            }
            _ => self.clip_norm,
        }
    }

    /// The plan's text.
    pub(crate) fn text(&self, seed: u64) -> String {
        let Self { owners, rounds, steps, batch, lr, clip_norm, .. } = self;
        let (data, range) = (self.data(), self.range());
        let mut layers = String::new();
        if self.form == Form::Digits {
            layers += "{ kind = \"flatten\" }, ";
        }
        if let Some(width) = self.hidden {
            let _ =
                write!(layers, "{{ kind = \"linear\", out = {width} }}, {{ kind = \"relu\" }}, ");
        }
        let classes = if self.form == Form::Digits { 10 } else { 2 };
        let privacy = match self.protection {
            Protection::None => String::new(),
            Protection::Owner(multiplier) => format!(
                "[privacy]\nunit = \"owner\"\nnoise_multiplier = {multiplier:?}\n\
                 delta = {DELTA:e}\ncolluding_max = {COLLUDING}\n"
            ),
            Protection::Record(multiplier) => format!(
                "[privacy]\nunit = \"record\"\nclip_norm = {:?}\n\
                 noise_multiplier = {multiplier:?}\ndelta = {DELTA:e}\n",
                self.record_clip
            ),
        };
        format!(
            r#"schema = "plan/1"
name = "privacy"
purpose = "Measure what privacy costs"
seed = {seed}
{data}
[model]
layers = [{layers}{{ kind = "linear", out = {classes} }}]
[training]
rounds = {rounds}
local_steps = {steps}
batch_size = {batch}
optimizer = {{ name = "sgd", lr = {lr:?} }}
weighting = "uniform"
[cohort]
minimum = {owners}
maximum = {owners}
[secure_aggregation]
profile = "A"
bits = 14
range = {range:?}
clip_norm = {clip_norm:?}
audit = "off"
{privacy}"#
        )
    }

    /// The `[data]` section.
    fn data(&self) -> String {
        let rows_min = self.rows_min();
        match self.form {
            Form::Digits => format!(
                "[data]\nkind = \"image\"\nheight = 8\nwidth = 8\npixel_max = 16\nclasses = 10\n\
                 min_rows = {rows_min}\n"
            ),
            Form::Heart => {
                // What owners keep for measuring is left out: the bench has data of its own.
                let from = HEART_PLAN.find("[data]").unwrap_or_default();
                let to = HEART_PLAN.find("[model]").unwrap_or_default();
                let lines =
                    HEART_PLAN[from..to].lines().filter(|line| !line.starts_with("holdout"));
                let lines = lines.map(|line| match line.starts_with("min_rows") {
                    true => format!("min_rows = {rows_min}\n"),
                    false => format!("{line}\n"),
                });
                lines.collect()
            }
        }
    }

    /// The plan.
    ///
    /// # Errors
    /// When it is none, with everything that is wrong.
    pub(crate) fn plan(&self, seed: u64) -> io::Result<Plan> {
        let bad =
            |errors: covey_aggregation::plan::PlanErrors| io::Error::other(errors.to_string());
        Plan::parse(&self.text(seed)).map_err(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_a_plan() {
        let of_owners = [Setting::digits, Setting::heart];
        let of_records = [Setting::digits_records, Setting::heart_records, Setting::by_heart];
        for multiplier in [0.5, 8.0] {
            for setting in of_owners {
                setting(Protection::None).plan(1).expect("a plan");
                setting(Protection::Owner(multiplier)).plan(1).expect("a plan");
            }
            for setting in of_records {
                setting(Protection::None).plan(1).expect("a plan");
                setting(Protection::Record(multiplier)).plan(1).expect("a plan");
            }
        }
    }
}
