//! Whether an example was trained on, told from its loss under the final model.

use std::io;

use crate::accuracy::epsilon;
use crate::auc::{Measured, auc};
use crate::crew;
use crate::data::Source;
use crate::owners::{Owners, simulate};
use crate::plan::{DELTA, Protection, Setting};
use crate::report::{Line, Report};
use crate::scale::Scale;

/// Noise multipliers that are attacked.
const MULTIPLIERS: [f64; 2] = [1.0, 3.0];

/// Attacks final models.
///
/// # Errors
/// When training fails.
pub(crate) fn measure(scale: &Scale, report: &mut Report) -> io::Result<()> {
    let Setting { owners, counts, rounds, steps, .. } = Setting::by_heart(Protection::None);
    report.section(
        "was this digit trained on? By its loss under the final model",
        &format!(
            "{owners} owners of {} digits, {rounds} rounds of {steps} steps: enough to learn them by \
             heart; delta {DELTA:e}, {} seeds. The attacker has the digit and its label, and says \
             'trained on' where the loss is small; beside it the accuracy on others. 'at most': what \
             epsilon and delta allow any attack.",
            counts[0] / owners as usize,
            scale.loss_seeds
        ),
    );
    let protections = MULTIPLIERS.map(Protection::Record);
    for protection in [Protection::None].into_iter().chain(protections) {
        let setting = Setting::by_heart(protection);
        let seeds: Vec<u64> = (1..=scale.loss_seeds).collect();
        let all = crew::map(&seeds, |seed| attack(&setting, *seed))?;
        let areas: Vec<f64> = all.iter().map(|(area, _)| *area).collect();
        let accuracies: Vec<f64> = all.iter().map(|(_, accuracy)| *accuracy).collect();
        let line = |name, what: &str, values: &[f64], unit| {
            Line::new(name, what, Measured::mean(values), unit)
        };
        let (mut area, mut accuracy) = match protection {
            Protection::Record(multiplier) => {
                let what = format!("hidden examples, noise {multiplier} clips");
                let epsilon = epsilon(&setting)?;
                let area = line("attack.loss", &what, &areas, "AUC").epsilon(Some(epsilon));
                let accuracy = line("attack.loss", &what, &accuracies, "of the test");
                (area.allowed(area_max(epsilon)), accuracy.epsilon(Some(epsilon)))
            }
            _ => {
                let what = "no noise";
                let area = line("attack.loss", what, &areas, "AUC");
                (area, line("attack.loss", what, &accuracies, "of the test"))
            }
        };
        area.verdict = "the attack".to_owned();
        accuracy.verdict = "the model's accuracy".to_owned();
        report.line(&area);
        report.line(&accuracy);
    }
    Ok(())
}

/// The attack's AUC on one federation, and the model's accuracy.
fn attack(setting: &Setting, seed: u64) -> io::Result<(f64, f64)> {
    let division = Source::Digits.divide(setting.counts, seed)?;
    let (accuracy, parameters) = simulate(setting, &division, seed)?;
    let owners = Owners::open(setting, &division, seed)?;
    let mut members = Vec::new();
    for examples in &owners.examples {
        members.extend(owners.losses(&parameters, examples)?);
    }
    let others = owners.losses(&parameters, &owners.test)?;
    let negative = |losses: &[f64]| losses.iter().map(|loss| -loss).collect::<Vec<_>>();
    Ok((auc(&negative(&members), &negative(&others)).value, accuracy))
}

/// The largest AUC under epsilon and delta: what is above the curve of misses over false alarms that
/// they allow. Each of its two lines is lowered by delta, which adds at most 2 delta.
fn area_max(epsilon: f64) -> f64 {
    (1.0 / (1.0 + (-epsilon).exp()) + 2.0 * DELTA).min(1.0)
}
