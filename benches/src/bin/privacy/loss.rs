//! Whether an example was trained on, told from its loss under the final model.
//!
//! A fifth of all digits have a wrong label, among those that are trained on and among others: their
//! loss is small only where the model has learnt them by heart, so they are what an attack finds first.

use std::collections::BTreeMap;
use std::io;

use covey_model::data::Dataset;

use crate::accuracy::epsilon;
use crate::auc::{Measured, auc};
use crate::crew;
use crate::data::{Source, digits};
use crate::owners::{Owners, simulate};
use crate::plan::{DELTA, Protection, Setting};
use crate::report::{Line, Report};
use crate::scale::Scale;

/// Noise multipliers that are attacked.
const MULTIPLIERS: [f64; 2] = [1.0, 2.0];

/// Every digit's right label, by the bits of its pixels: no digit is there twice.
struct Truth(BTreeMap<Vec<u32>, u32>);

/// What came of one federation.
struct Found {
    /// AUC on all examples.
    all: f64,
    /// The same on wrongly labelled ones alone.
    wrong: f64,
    /// The model's accuracy on rightly labelled digits that it was not trained on.
    accuracy: f64,
}

/// Attacks final models.
///
/// # Errors
/// When training fails.
pub(crate) fn measure(scale: &Scale, report: &mut Report) -> io::Result<()> {
    let Setting { owners, counts, rounds, steps, labels_wrong, .. } =
        Setting::by_heart(Protection::None);
    report.section(
        "was this digit trained on? By its loss under the final model",
        &format!(
            "{owners} owners of {} digits, {:.0} % of them with a wrong label, {rounds} rounds of \
             {steps} steps: enough to learn some by heart; delta {DELTA:e}, {} seeds. The attacker has \
             the digit and its label, and says 'trained on' where the loss is small: of all digits, \
             and of wrongly labelled ones alone, which a model gets right by heart only. Last the \
             model's accuracy on rightly labelled digits that it has not seen. 'at most': what epsilon \
             and delta allow any attack.",
            counts[0] / owners as usize,
            100.0 * labels_wrong,
            scale.loss_seeds
        ),
    );
    let truth = Truth::new()?;
    let protections = MULTIPLIERS.map(Protection::Record);
    for protection in [Protection::None].into_iter().chain(protections) {
        let setting = Setting::by_heart(protection);
        let seeds: Vec<u64> = (1..=scale.loss_seeds).collect();
        let found = crew::map(&seeds, |seed| attack(&setting, &truth, *seed))?;
        let (what, epsilon) = match protection {
            Protection::Record(multiplier) => {
                let what = format!("hidden examples, noise {multiplier} clips");
                (what, Some(epsilon(&setting)?))
            }
            _ => ("no noise".to_owned(), None),
        };
        type Value = fn(&Found) -> f64;
        let values: [(&str, &str, Value); 3] = [
            ("attack, all digits", "AUC", |found| found.all),
            ("attack, wrong labels", "AUC", |found| found.wrong),
            ("accuracy", "of the test", |found| found.accuracy),
        ];
        for (of, unit, value) in values {
            let values: Vec<f64> = found.iter().map(value).collect();
            let measured = Measured::mean(&values);
            let line = Line::new("attack.loss", format!("{what}: {of}"), measured, unit);
            let line = line.epsilon(epsilon);
            report.line(&match epsilon.filter(|_| unit == "AUC") {
                Some(epsilon) => line.allowed(area_max(epsilon)),
                None => line,
            });
        }
    }
    Ok(())
}

/// One federation, and the attack on its final model.
fn attack(setting: &Setting, truth: &Truth, seed: u64) -> io::Result<Found> {
    let division = Source::Digits.divide(setting, seed)?;
    let (_, parameters) = simulate(setting, &division, seed)?;
    let owners = Owners::open(setting, &division, seed)?;
    // The less the loss, the more likely trained on.
    let likely = |data: &Dataset| {
        let losses = owners.losses(&parameters, data)?;
        Ok::<_, io::Error>(losses.into_iter().map(|loss| -loss).collect::<Vec<_>>())
    };
    let (mut members, mut wrong_members) = (Vec::new(), Vec::new());
    for examples in &owners.examples {
        members.extend(likely(examples)?);
        wrong_members.extend(likely(&examples.subset(&truth.numbers(examples, false)))?);
    }
    let others = &owners.test;
    let [right, wrong] =
        [true, false].map(|is_right| others.subset(&truth.numbers(others, is_right)));
    Ok(Found {
        all: auc(&members, &likely(others)?).value,
        wrong: auc(&wrong_members, &likely(&wrong)?).value,
        accuracy: owners.accuracy(&parameters, &right)?,
    })
}

impl Truth {
    fn new() -> io::Result<Self> {
        let all = digits()?;
        let of = |(number, label): (usize, &u32)| (bits(&all, number), *label);
        Ok(Self(all.labels().iter().enumerate().map(of).collect()))
    }

    /// The examples whose label is right, or those whose label is not.
    fn numbers(&self, data: &Dataset, is_right: bool) -> Vec<usize> {
        let is_asked = |(number, label): &(usize, &u32)| {
            (self.0.get(&bits(data, *number)) == Some(*label)) == is_right
        };
        data.labels().iter().enumerate().filter(is_asked).map(|(number, _)| number).collect()
    }
}

fn bits(data: &Dataset, number: usize) -> Vec<u32> {
    data.example(number).iter().map(|x| x.to_bits()).collect()
}

/// The largest AUC under epsilon and delta: what is above the curve of misses over false alarms that
/// they allow. Each of its two lines is lowered by delta, which adds at most 2 delta.
fn area_max(epsilon: f64) -> f64 {
    (1.0 / (1.0 + (-epsilon).exp()) + 2.0 * DELTA).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_labels_are_wrong_as_the_setting_says() {
        let setting = Setting::by_heart(Protection::None);
        let division = Source::Digits.divide(&setting, 1).expect("divided");
        let owners = Owners::open(&setting, &division, 1).expect("opened");
        let wrong = Truth::new().expect("read").numbers(&owners.test, false).len();
        let share = wrong as f64 / owners.test.len() as f64;
        assert!((share - setting.labels_wrong).abs() < 0.06, "{share}");
    }
}
