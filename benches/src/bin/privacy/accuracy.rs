//! Accuracy beside epsilon.

use std::io;

use crate::auc::Measured;
use crate::central;
use crate::crew;
use crate::data::Source;
use crate::normal::student;
use crate::owners::{Owners, simulate};
use crate::plan::{DELTA, Protection, Setting};
use crate::report::{Line, Report};
use crate::scale::Scale;

/// Noise multipliers where owners are hidden.
const OF_OWNERS: [f64; 4] = [1.0, 2.0, 4.0, 8.0];

/// Noise multipliers where examples are hidden.
const OF_RECORDS: [f64; 3] = [0.7, 1.0, 2.0];

/// What accuracies are given in.
const UNIT: &str = "of the test";

/// A way to train.
#[derive(Clone, Copy)]
enum Arm {
    /// By the simulation.
    Ours(Protection),
    /// By the reference, with this noise multiplier.
    Central(f64),
}

/// Measures one source.
///
/// # Errors
/// When training fails or data are missing.
pub(crate) fn measure(source: &Source, scale: &Scale, report: &mut Report) -> io::Result<()> {
    owners(source, scale, report)?;
    records(source, scale, report)
}

fn owners(source: &Source, scale: &Scale, report: &mut Report) -> io::Result<()> {
    let setting = match source {
        Source::Digits => Setting::digits,
        Source::Heart(_) => Setting::heart,
    };
    let plain = setting(Protection::None);
    let Setting { owners, rounds, .. } = plain;
    report.section(
        &format!("{}: accuracy where whole owners are hidden", source.word()),
        &format!(
            "{owners} owners, {rounds} rounds, delta {DELTA:e}, {} seeds; mean and standard error. \
             'ours': each owner adds a share of integer noise before sealing. 'central': whoever adds \
             the updates is trusted, and adds one continuous Gaussian of the same epsilon. The \
             difference is of the same seeds; 'no worse' if it is at most {:.1} standard errors below \
             0 (Student's 97.5 %).",
            scale.seeds,
            student(scale.seeds - 1)
        ),
    );
    let mut arms = vec![Arm::Ours(Protection::None)];
    let (mut epsilons, mut multipliers) = (Vec::new(), Vec::new());
    for multiplier in OF_OWNERS {
        let protection = Protection::Owner(multiplier);
        let epsilon = epsilon(&setting(protection))?;
        let central = central::multiplier(epsilon, rounds, multiplier)?;
        arms.extend([Arm::Ours(protection), Arm::Central(central)]);
        epsilons.push(epsilon);
        multipliers.push([multiplier, central]);
    }
    let all = run(source, setting, &arms, scale.seeds)?;
    let (plain, pairs) = all.split_first().ok_or_else(|| io::Error::other("nothing was run"))?;
    let line = |what: String, values: &[f64]| {
        Line::new("accuracy.owner", what, Measured::mean(values), UNIT)
    };
    report.line(&line("no noise".to_owned(), plain));
    for ((pair, epsilon), [ours, central]) in pairs.chunks_exact(2).zip(epsilons).zip(multipliers) {
        let epsilon = Some(epsilon);
        report.line(&line(format!("ours, noise {ours} clips"), &pair[0]).epsilon(epsilon));
        report.line(&line(format!("central, noise {central:.3} clips"), &pair[1]).epsilon(epsilon));
        let apart: Vec<f64> = pair[0].iter().zip(&pair[1]).map(|(a, b)| a - b).collect();
        let apart = Measured::mean(&apart);
        let is_worse = apart.value < -student(scale.seeds - 1) * apart.error;
        let verdict = if is_worse { "WORSE than central" } else { "no worse than central" };
        let line = Line::new("accuracy.owner", "ours less central", apart, UNIT);
        report.line(&line.epsilon(epsilon).verdict(verdict));
    }
    Ok(())
}

fn records(source: &Source, scale: &Scale, report: &mut Report) -> io::Result<()> {
    let setting = match source {
        Source::Digits => Setting::digits_records,
        Source::Heart(_) => Setting::heart_records,
    };
    let Setting { owners, rounds, steps, batch, counts, .. } = setting(Protection::None);
    report.section(
        &format!("{}: accuracy where single examples are hidden", source.word()),
        &format!(
            "{owners} owners of {} examples, {rounds} rounds of {steps} steps of {batch} examples, \
             delta {DELTA:e}, {} seeds; each owner trains with clipped and noisy gradients (DP-SGD), \
             'no noise' with plain ones.",
            counts[0] / owners as usize,
            scale.seeds
        ),
    );
    let protections = OF_RECORDS.map(Protection::Record);
    let mut arms = vec![Arm::Ours(Protection::None)];
    arms.extend(protections.map(Arm::Ours));
    let all = run(source, setting, &arms, scale.seeds)?;
    for (arm, values) in arms.iter().zip(&all) {
        let (what, epsilon) = match arm {
            Arm::Ours(Protection::Record(multiplier)) => {
                let epsilon = epsilon(&setting(Protection::Record(*multiplier)))?;
                (format!("noise {multiplier} clips"), Some(epsilon))
            }
            _ => ("no noise".to_owned(), None),
        };
        let line = Line::new("accuracy.record", what, Measured::mean(values), UNIT);
        report.line(&line.epsilon(epsilon));
    }
    Ok(())
}

/// The accuracies of every arm, seed by seed.
fn run(
    source: &Source,
    setting: fn(Protection) -> Setting,
    arms: &[Arm],
    seeds: u64,
) -> io::Result<Vec<Vec<f64>>> {
    let seeds: Vec<u64> = (1..=seeds).collect();
    let by_seed = crew::map(&seeds, |seed| {
        let plain = setting(Protection::None);
        let division = source.divide(&plain, *seed)?;
        let owners = Owners::open(&plain, &division, *seed)?;
        let accuracy = |arm: &Arm| match arm {
            Arm::Ours(protection) => {
                simulate(&setting(*protection), &division, *seed).map(|(accuracy, _)| accuracy)
            }
            Arm::Central(multiplier) => central::train(&owners, *multiplier, *seed),
        };
        arms.iter().map(accuracy).collect::<io::Result<Vec<_>>>()
    })?;
    Ok((0..arms.len()).map(|arm| by_seed.iter().map(|seed| seed[arm]).collect()).collect())
}

/// What the whole run costs, as its plan says.
///
/// # Errors
/// When nothing bounds it.
pub(crate) fn epsilon(setting: &Setting) -> io::Result<f64> {
    of_rounds(setting, setting.rounds)
}

/// The same of so many rounds.
///
/// # Errors
/// When nothing bounds it.
pub(crate) fn of_rounds(setting: &Setting, rounds: u32) -> io::Result<f64> {
    let plan = setting.plan(0)?;
    let task = covey_model::task::Task::from_plan(&plan).map_err(io::Error::other)?;
    let epsilon = plan.epsilon(task.parameters() as u64, rounds);
    epsilon.ok_or_else(|| io::Error::other("the accountant gives no epsilon"))
}
