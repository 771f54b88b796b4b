//! Whether a plan may be submitted: what every reader of plans checks, and what this federation
//! and this way of sending a plan add to it.

use covey_aggregation::plan::{Code, Plan};
use covey_aggregation::research::{PlanFault, Text};
use covey_model::task::Task;

/// The rounds of a plan, or everything that is wrong with it. `owners`: data owners of the
/// federation. Slow for a large plan.
pub(super) fn check(bytes: &[u8], owners: usize) -> Result<u32, Vec<PlanFault>> {
    let plan = Plan::from_bytes(bytes).map_err(|errors| {
        let fault = |error: &covey_aggregation::plan::PlanError| PlanFault {
            code: Text::of(error.code),
            line: error.line,
            column: error.column,
            message: Text::of(&error.message),
            help: Text::of(&error.help),
        };
        errors.errors().iter().map(fault).collect::<Vec<_>>()
    })?;
    let task = Task::from_plan(&plan).map_err(|error| {
        vec![PlanFault {
            code: Text::of(Code::Family),
            line: error.line,
            column: error.column,
            message: Text::of(&error.problem),
            help: Text::of(&error.help),
        }]
    })?;
    let mut faults = Vec::new();
    let mut fault = |code: &str, message: String, help: &str| {
        let (message, help) = (Text::of(message), Text::of(help));
        faults.push(PlanFault { code: Text::of(code), line: 0, column: 0, message, help });
    };
    if plan.cohort.minimum as usize > owners {
        let minimum = plan.cohort.minimum;
        fault(
            "TOO_FEW_OWNERS",
            format!("cohort.minimum is {minimum}, the federation has {owners} data owners"),
            "lower it, or have more data owners enrolled",
        );
    }
    if task.start().is_some() {
        fault(
            "START_FILE",
            "the plan starts from a model's file, and a submission carries none".to_owned(),
            "have the operator run it: the file beside the plan that coordinator.toml names",
        );
    }
    if faults.is_empty() { Ok(plan.training.rounds) } else { Err(faults) }
}
