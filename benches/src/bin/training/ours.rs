//! The worker that trains with `covey-model`: a plan's own fit, timed from step to step.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use covey_benches::process_ns;
use covey_model::device::{Compute, DeviceChoice, DeviceRules};
use covey_model::task::Task;
use covey_model::train::{Cancel, FitContext, FitSeed, Progress, Trainer};

use crate::case::Case;
use crate::worker::{Hello, Taken};

/// Argument of a process that only trains when it is asked to.
pub(crate) const ARGUMENT: &str = "--worker";

/// Answers until nobody asks any more. `device` is `cpu` or `cuda:N`.
pub(crate) fn run(device: Option<&str>) -> ExitCode {
    let device = match device.unwrap_or("cpu").parse::<DeviceChoice>() {
        Ok(device) => device,
        Err(error) => {
            eprintln!("training: {error}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = Compute::resolve(DeviceRules::from(device)) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| writeln!(out, "{line}").and_then(|()| out.flush());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    if say(serde_json::to_string(&Hello { version }).expect("plain data")).is_err() {
        return ExitCode::FAILURE;
    }
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let case: Case = match serde_json::from_str(&line) {
            Ok(case) => case,
            Err(error) => {
                eprintln!("training: {line:?} is no measurement: {error}");
                return ExitCode::from(2);
            }
        };
        if say(serde_json::to_string(&train(&case, device)).expect("plain data")).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Trains as an owner does, and times the steps after the first few.
pub(crate) fn train(case: &Case, device: DeviceChoice) -> Taken {
    let task = Task::from_plan(&case.plan()).expect("a model");
    let trainer = Trainer::new(&task, device).expect("a device that was found");
    let data = case.model.dataset();
    let (mut began, mut ended) = (None, None);
    let mut loss = f64::NAN;
    let mut progress = |progress: Progress| {
        let now = || Some((Instant::now(), process_ns()));
        if progress.step == u64::from(case.warmup) {
            began = now();
        }
        if progress.step == progress.steps {
            ended = now();
            loss = f64::from(progress.loss);
        }
    };
    let cancel = Cancel::new();
    let context = FitContext::new(FitSeed([1; 32]), &cancel, &mut progress);
    let report = trainer.fit(&task.initial_parameters(), &data, context).expect("it trains");
    assert_eq!(report.steps, u64::from(case.warmup + case.steps));
    let ((began, cpu_began), (ended, cpu_ended)) = began.zip(ended).expect("both were seen");
    Taken {
        seconds: (ended - began).as_secs_f64(),
        cpu_seconds: (cpu_ended - cpu_began) as f64 / 1e9,
        parameters: task.parameters(),
        loss,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Model;

    #[test]
    fn the_steps_asked_for_are_timed() {
        let case = Case { model: Model::Mlp, batch: 16, steps: 5, warmup: 2 };
        let Taken { seconds, cpu_seconds, loss, parameters } = train(&case, DeviceChoice::Cpu);
        assert!(seconds > 0.0 && cpu_seconds > 0.0, "{seconds} {cpu_seconds}");
        assert!((1.0..4.0).contains(&loss), "{loss} of ten classes drawn at random");
        assert_eq!(parameters, 203_530);
    }
}
