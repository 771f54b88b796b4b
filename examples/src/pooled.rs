//! What a federation is compared with: the same plan trained by one owner, who has everything or
//! only its own.

use std::sync::Arc;

use covey_aggregation::party::PartyId;
use covey_aggregation::plan::{Decay, Plan};
use covey_aggregation::program::Failure;
use covey_model::data::{Dataset, Inputs, Targets};
use covey_model::device::DeviceChoice;
use covey_model::task::Task;
use covey_model::train::{Cancel, FitContext, FitSeed, Trainer};

use crate::failed;

/// Hears of the model after every round: which round, and the parameters.
pub type Tell<'a> = dyn FnMut(u32, &Trainer, &[f32]) -> Result<(), Failure> + 'a;

/// Trains a plan on `data` alone, round by round as an owner does: the optimiser begins anew in
/// each. The update is the next round's beginning, whatever the plan's strategy. `tell` hears of
/// the model after every round. Gives the last parameters.
///
/// # Errors
/// [`Failure`] when the model cannot be made or trained, and what `tell` gives.
pub fn train(plan: &Plan, data: &Dataset, tell: &mut Tell<'_>) -> Result<Vec<f32>, Failure> {
    let trainer = trainer(plan)?;
    let mut parameters = trainer.task().initial_parameters();
    for round in 1..=plan.training.rounds {
        let seed = FitSeed::derive(plan.seed, round, &PartyId([0; 32]));
        let (cancel, mut progress) = (Cancel::new(), |_| ());
        let context = FitContext::new(seed, &cancel, &mut progress).in_round(round);
        let update = trainer.fit(&parameters, data, context).map_err(failed)?.update;
        parameters.iter_mut().zip(update).for_each(|(parameter, change)| *parameter += change);
        tell(round, &trainer, &parameters)?;
    }
    Ok(parameters)
}

/// What trains and measures the model of a plan on the processor.
///
/// # Errors
/// [`Failure`] when the model cannot be made.
pub fn trainer(plan: &Plan) -> Result<Trainer, Failure> {
    let task = Task::from_plan(plan).map_err(failed)?;
    Trainer::new(&task, DeviceChoice::Cpu).map_err(failed)
}

/// The plan with all its passes in one round, so that the optimiser never begins anew; the
/// schedule is stretched alike.
#[must_use]
pub fn in_one_go(mut plan: Plan) -> Plan {
    let training = &mut plan.training;
    let rounds = std::mem::replace(&mut training.rounds, 1);
    training.local_epochs *= rounds;
    training.local_steps = training.local_steps.map(|steps| steps * rounds);
    training.schedule.warmup_rounds /= f64::from(rounds);
    if let Decay::Step { every_rounds, .. } = &mut training.schedule.decay {
        *every_rounds /= f64::from(rounds);
    }
    plan
}

/// The examples of several data sets of one form in one, in their order.
///
/// # Errors
/// [`Failure`] when there are none, or they are of different forms.
pub fn join(parts: &[Dataset]) -> Result<Dataset, Failure> {
    let forms = || failed("data sets of different forms cannot be joined");
    let (first, others) = parts.split_first().ok_or_else(forms)?;
    let (mut inputs, mut targets) = (first.inputs().clone(), first.targets().clone());
    for part in others {
        match (&mut inputs, part.inputs()) {
            (
                Inputs::Rows { numbers, features },
                Inputs::Rows { numbers: more, features: same },
            ) if features == same => {
                numbers.extend_from_slice(more);
            }
            (
                Inputs::Windows { tokens, starts, length, vocabulary },
                Inputs::Windows { tokens: more, starts: begin, length: same, vocabulary: words },
            ) if length == same && vocabulary == words => {
                starts.extend(begin.iter().map(|start| start + tokens.len()));
                *tokens = tokens.iter().chain(more.iter()).copied().collect::<Arc<[i32]>>();
            }
            _ => return Err(forms()),
        }
        match (&mut targets, part.targets()) {
            (
                Targets::Classes { labels, classes },
                Targets::Classes { labels: more, classes: same },
            ) if classes == same => labels.extend_from_slice(more),
            (Targets::Numbers(values), Targets::Numbers(more)) => values.extend_from_slice(more),
            (Targets::NextToken, Targets::NextToken) => {}
            _ => return Err(forms()),
        }
    }
    Dataset::from_parts(inputs, targets).map_err(failed)
}

#[cfg(test)]
mod tests {
    use covey_client::sim::Partition;
    use covey_model::data::{DataSource, Header};

    use super::*;
    use crate::federation::Federation;
    use crate::variant::Variant;
    use crate::write;

    /// Two numbers and the half of the plane that they lie in. A batch holds all that an owner
    /// has and nothing is dropped, so a step does not hang on what is drawn.
    const PLAN: &str = r#"
schema = "plan/1"
name = "halves"
purpose = "Learn which half of the plane a point lies in"
seed = 7
[data]
kind = "tabular"
target = { column = "side", classes = ["left", "right"] }
columns = [
  { name = "x", type = "float", min = -1, max = 1 },
  { name = "y", type = "float", min = -1, max = 1 },
]
[model]
layers = [{ kind = "linear", out = 4 }, { kind = "tanh" }, { kind = "linear", out = 2 }]
[training]
rounds = 5
local_epochs = 3
batch_size = 64
optimizer = { name = "sgd", lr = 0.2 }
weighting = "uniform"
[cohort]
minimum = 3
maximum = 3
[secure_aggregation]
profile = "A"
bits = 16
range = 1.0
clip_norm = 10.0
audit = "off"
"#;

    fn rows() -> String {
        let row = |i: u32| {
            let (x, y) = (f64::from(i * 7 % 19) / 9.5 - 1.0, f64::from(i * 5 % 13) / 6.5 - 1.0);
            format!("{x:.4},{y:.4},{}\n", if x + 0.3 * y > 0.0 { "right" } else { "left" })
        };
        (0..40).map(row).collect()
    }

    #[test]
    fn a_federation_of_owners_with_the_same_data_is_pooled_training() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.csv");
        write(&path, &rows()).expect("written");
        let source = DataSource::Csv { path, header: Header::Absent };
        let variant = Variant::of(PLAN).expect("TOML");
        let plan = variant.plan().expect("a plan");
        let data = Dataset::load(&source, &plan.data).expect("read");
        let alone = train(&plan, &data, &mut |_, _, _| Ok(())).expect("trained");

        let federation = Federation {
            plan: variant,
            data: vec![source; 3],
            test_data: None,
            owners: 3,
            partition: Partition::ByFile,
            seed: 1,
        };
        let together = federation.train(&mut |_| {}).expect("trained").parameters;
        let first = trainer(&plan).expect("a model").task().initial_parameters();
        let far = |one: &[f32], other: &[f32]| {
            one.iter().zip(other).map(|(x, y)| (x - y).abs()).fold(0f32, f32::max)
        };
        // 16 bits over 1.0 on either side, in five rounds, and the order of a sum.
        assert!(far(&alone, &together) < 1e-3, "{}", far(&alone, &together));
        assert!(far(&alone, &first) > 0.1, "{}", far(&alone, &first));
    }

    #[test]
    fn without_a_state_of_the_optimizer_one_go_is_the_same_as_rounds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.csv");
        write(&path, &rows()).expect("written");
        let text = Variant::of(PLAN).expect("TOML");
        let schedule = |plan: Plan| {
            let factor = |step| plan.training.schedule.factor(1, 1, step, 15);
            (1..=15).map(factor).collect::<Vec<_>>()
        };
        let plan = text.plan().expect("a plan");
        let data = Dataset::load(&DataSource::Csv { path, header: Header::Absent }, &plan.data);
        let data = data.expect("read");
        let end = |plan: &Plan| train(plan, &data, &mut |_, _, _| Ok(())).expect("trained");
        let (rounds, whole) = (end(&plan), end(&in_one_go(plan.clone())));
        let near = rounds.iter().zip(&whole).all(|(x, y)| (x - y).abs() < 1e-5);
        assert!(near, "{rounds:?} {whole:?}");

        let cosine = text
            .with("training.schedule.kind", "cosine")
            .with("training.schedule.warmup", 1)
            .plan()
            .expect("a plan");
        let by_round: Vec<f64> = (1..=5)
            .flat_map(|round| (1..=3).map(move |step| (round, step)))
            .map(|(round, step)| cosine.training.schedule.factor(round, 5, step, 3))
            .collect();
        let stretched = schedule(in_one_go(cosine));
        let near = by_round.iter().zip(&stretched).all(|(x, y)| (x - y).abs() < 1e-9);
        assert!(near, "{by_round:?} {stretched:?}");
    }

    #[test]
    fn joined_windows_show_the_same_texts_and_never_two() {
        let text = |tokens: &[i32], starts: &[usize]| {
            Dataset::text(tokens.to_vec().into(), starts.to_vec(), 2, 5).expect("a data set")
        };
        let (one, two) = (text(&[0, 1, 2, 1, 0], &[0, 2]), text(&[3, 4, 3], &[0]));
        let joined = join(&[one.clone(), two.clone()]).expect("one form");
        let windows: Vec<_> = (0..joined.len()).map(|number| joined.window(number)).collect();
        assert_eq!(windows, [one.window(0), one.window(1), two.window(0)]);
        let rows = Dataset::new(vec![1.0, 2.0], vec![0, 1], 1, 2).expect("a data set");
        assert!(join(&[one, rows.clone()]).is_err() && join(&[]).is_err());
        let joined = join(&[rows.clone(), rows]).expect("one form");
        assert_eq!((joined.len(), joined.example(3)), (4, &[2.0][..]));
    }
}
