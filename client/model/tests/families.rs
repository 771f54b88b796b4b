//! Models that are compiled in.

mod common;

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use common::{DIGITS, applied, digits_parts, fit, plan, trainer};
use covey_model::family::{self, Family, Form, Input, Network, Pass};
use covey_model::task::Task;

#[derive(Module, Debug)]
struct Wide {
    hidden: Linear,
    direct: Linear,
    head: Linear,
    unused: Dropout,
}

impl Network for Wide {
    fn forward(&self, input: Input, pass: &mut Pass<'_>) -> Tensor<2> {
        let Input::Rows(x) = input else { panic!("rows of numbers only") };
        let hidden = pass.dropout(relu(self.hidden.forward(x.clone())), 0.1);
        self.head.forward(hidden) + self.direct.forward(x)
    }
}

struct WideFamily;

impl Family for WideFamily {
    type Network = Wide;

    fn name(&self) -> &str {
        "wide"
    }

    fn build(&self, form: &Form, device: &Device) -> Result<Wide, String> {
        let (inputs, outputs) = (form.input.elements() as usize, form.goal.outputs() as usize);
        let width = form.whole("width")?;
        Ok(Wide {
            hidden: LinearConfig::new(inputs, width).init(device),
            direct: LinearConfig::new(inputs, outputs).init(device),
            head: LinearConfig::new(width, outputs).init(device),
            unused: DropoutConfig::new(0.5).init(),
        })
    }
}

fn wide(args: &str) -> covey_aggregation::plan::Plan {
    let model = format!("family = \"wide\"\nargs = {{ {args} }}");
    plan(
        DIGITS,
        &model,
        "rounds = 1\nlocal_epochs = 4\nbatch_size = 32\noptimizer = { name = \"adam\", lr = 0.003 }",
    )
}

#[test]
fn a_family_trains_like_layers_do() {
    family::register(WideFamily);
    let plan = wide("width = 32");
    let trainer = trainer(&plan);
    let task = trainer.task();
    assert_eq!(task.parameters(), 64 * 32 + 32 + 64 * 10 + 10 + 32 * 10 + 10);
    let names: Vec<_> = task.manifest().entries().iter().map(|e| e.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "hidden.weight",
            "hidden.bias",
            "direct.weight",
            "direct.bias",
            "head.weight",
            "head.bias"
        ]
    );
    let parameters = task.initial_parameters();
    // The plan's seed alone decides, whatever burn draws.
    assert_eq!(parameters, Task::from_plan(&plan).expect("a model").initial_parameters());
    let (train, test) = digits_parts(&plan);
    let update = fit(&trainer, &parameters, &train, 1).expect("it trains").update;
    assert_eq!(update, fit(&trainer, &parameters, &train, 1).expect("it trains").update);
    let after = trainer.evaluate(&applied(&parameters, &update), &test).expect("measured");
    assert!(after.accuracy() > Some(0.9), "{after:?}");
}

#[test]
fn an_unknown_family_and_bad_arguments_are_told_with_their_place() {
    family::register(WideFamily);
    let error = Task::from_plan(&wide("widht = 32")).expect_err("no width");
    assert!(error.to_string().contains("args.width is missing"), "{error}");
    assert_eq!(error.line, 12);
    let text = plan(
        DIGITS,
        "family = \"deep\"",
        "rounds = 1\nbatch_size = 1\noptimizer = { name = \"adam\", lr = 1 }",
    );
    let error = Task::from_plan(&text).expect_err("no such family");
    assert!(error.to_string().contains("no such family") && error.help.contains("wide"), "{error}");
}
