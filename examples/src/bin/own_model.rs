//! A model of one's own: any burn module, compiled into the programs of those who take part. The
//! plan only names it and gives it arguments. Here several owners train it in the clear, each on
//! its own digits, and average what they learned.
//!
//! ```text
//! cargo run --release --bin own_model
//! ```

use std::error::Error;
use std::path::Path;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};
use covey_aggregation::party::PartyId;
use covey_aggregation::plan::Plan;
use covey_model::data::{DataSource, Dataset, Header};
use covey_model::device::DeviceChoice;
use covey_model::family::{self, Family, Form, Input, Network, Pass};
use covey_model::split::{dirichlet_by_label, train_test};
use covey_model::task::Task;
use covey_model::train::{Cancel, FitContext, FitSeed, Trainer};

/// A hidden layer beside a direct way to the outputs.
#[derive(Module, Debug)]
struct Wide {
    hidden: Linear,
    direct: Linear,
    head: Linear,
}

impl Network for Wide {
    fn forward(&self, input: Input, pass: &mut Pass<'_>) -> Tensor<2> {
        let Input::Rows(x) = input else { unreachable!("the family refuses text") };
        // Not burn's dropout: this one draws from the fit's own seed.
        let hidden = pass.dropout(gelu(self.hidden.forward(x.clone())), 0.1);
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
        if form.is_text() {
            return Err("it takes rows of numbers or images, not text".to_owned());
        }
        let (inputs, outputs) = (form.input.elements() as usize, form.goal.outputs() as usize);
        let width = form.whole("width")?;
        Ok(Wide {
            hidden: LinearConfig::new(inputs, width).init(device),
            direct: LinearConfig::new(inputs, outputs).init(device),
            head: LinearConfig::new(width, outputs).init(device),
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    family::register(WideFamily);
    let plan = Plan::parse(include_str!("../../plans/digits-wide.toml"))?;
    let task = Task::from_plan(&plan)?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits.csv.gz");
    let all = Dataset::load(&DataSource::Csv { path, header: Header::Absent }, &plan.data)?;
    let (train, test) = train_test(all.labels(), 0.2, 1);
    let (train, test) = (all.subset(&train), all.subset(&test));
    let parts = dirichlet_by_label(train.labels(), 5, 0.5, 20, 1)?;
    let owners: Vec<Dataset> = parts.iter().map(|part| train.subset(part)).collect();

    let trainer = Trainer::new(&task, DeviceChoice::Cpu)?;
    let mut parameters = task.initial_parameters();
    println!("{} parameters, {} owners", parameters.len(), owners.len());
    for round in 1..=plan.training.rounds {
        let mut mean = vec![0.0; parameters.len()];
        for (owner, data) in (0..).zip(&owners) {
            let seed = FitSeed::derive(plan.seed, round, &PartyId([owner; 32]));
            let (cancel, mut progress) = (Cancel::new(), |_| ());
            let context = FitContext::new(seed, &cancel, &mut progress).in_round(round);
            let update = trainer.fit(&parameters, data, context)?.update;
            let share = data.len() as f32 / train.len() as f32;
            mean.iter_mut().zip(update).for_each(|(mean, change)| *mean += share * change);
        }
        parameters.iter_mut().zip(mean).for_each(|(parameter, change)| *parameter += change);
        let metrics = trainer.evaluate(&parameters, &test)?;
        let accuracy = metrics.accuracy().unwrap_or_default();
        println!("round {round}: loss {:.4}, accuracy {accuracy:.4}", metrics.loss);
    }
    Ok(())
}
