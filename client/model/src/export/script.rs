//! The model as a Python script: its layers as modules of `torch.nn`, in the plan's order.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use covey_aggregation::plan::Buffers;
use covey_aggregation::shape::{Blueprint, Kernel, Shape, Step};

/// The script of a model.
pub(super) fn script(blueprint: &Blueprint) -> String {
    let mut lines = Lines { text: String::new(), helpers: BTreeSet::new() };
    lines.steps(&blueprint.steps, &blueprint.shapes, blueprint.input, 3);
    let (element, sizes) = match blueprint.input {
        Shape::Features(features) => ("float32", vec![features]),
        Shape::Image { channels, height, width } => ("float32", vec![channels, height, width]),
        Shape::Sequence { steps, features } => ("float32", vec![steps, features]),
        Shape::Tokens { steps, .. } => ("int64", vec![steps]),
    };
    let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
    let helpers: Vec<&str> = lines.helpers.iter().map(|helper| helper.code()).collect();
    let helpers: String = helpers.iter().map(|code| format!("{code}\n\n")).collect();
    include_str!("load.py")
        .replace("# HELPERS\n\n\n", &helpers)
        .replace("            # LAYERS\n", &lines.text)
        .replace("torch.ELEMENT", &format!("torch.{element}"))
        .replace("INPUT = SIZES", &format!("INPUT = ({},)", sizes.join(", ")))
}

/// Modules that `torch.nn` does not have as a plan means them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Helper {
    OverSteps,
    Sequence,
    LastStep,
    MeanSteps,
    GlobalAvgPool,
    Position,
    Lstm,
    Gru,
    Encoder,
    Residual,
}

impl Helper {
    const fn code(self) -> &'static str {
        match self {
            Self::OverSteps => include_str!("helpers/over_steps.py"),
            Self::Sequence => include_str!("helpers/sequence.py"),
            Self::LastStep => include_str!("helpers/last_step.py"),
            Self::MeanSteps => include_str!("helpers/mean_steps.py"),
            Self::GlobalAvgPool => include_str!("helpers/global_avg_pool.py"),
            Self::Position => include_str!("helpers/position.py"),
            Self::Lstm => include_str!("helpers/lstm.py"),
            Self::Gru => include_str!("helpers/gru.py"),
            Self::Encoder => include_str!("helpers/encoder.py"),
            Self::Residual => include_str!("helpers/residual.py"),
        }
    }
}

struct Lines {
    text: String,
    helpers: BTreeSet<Helper>,
}

impl Lines {
    /// `shapes`: what each of the steps produces.
    fn steps(&mut self, steps: &[Step], shapes: &[Shape], mut shape: Shape, depth: usize) {
        for (step, &next) in steps.iter().zip(shapes) {
            let indent = "    ".repeat(depth);
            if let Step::Residual { steps, shapes } = step {
                self.helpers.insert(Helper::Residual);
                let _ = writeln!(self.text, "{indent}Residual(");
                self.steps(steps, shapes, shape, depth + 1);
                let _ = writeln!(self.text, "{indent}),");
            } else {
                let module = self.module(step, shape);
                let _ = writeln!(self.text, "{indent}{module},  # {}", sizes(next));
            }
            shape = next;
        }
    }

    fn module(&mut self, step: &Step, shape: Shape) -> String {
        let is_steps = matches!(shape, Shape::Sequence { .. });
        match step {
            Step::Linear { input, out } => format!("nn.Linear({input}, {out})"),
            Step::Conv1d(kernel) => self.over_steps(&conv("Conv1d", kernel)),
            Step::Conv2d(kernel) => format!("nn.{}", conv("Conv2d", kernel)),
            Step::BatchNorm { channels, buffers } => {
                let tracks = match buffers {
                    Buffers::Average => "",
                    // It normalises with the batch's own averages, also when asked for answers.
                    Buffers::Local => ", track_running_stats=False",
                };
                match shape {
                    Shape::Image { .. } => format!("nn.BatchNorm2d({channels}{tracks})"),
                    _ if is_steps => self.over_steps(&format!("BatchNorm1d({channels}{tracks})")),
                    _ => format!("nn.BatchNorm1d({channels}{tracks})"),
                }
            }
            Step::GroupNorm { groups, channels } => {
                let norm = format!("GroupNorm({groups}, {channels})");
                if is_steps { self.over_steps(&norm) } else { format!("nn.{norm}") }
            }
            Step::LayerNorm { features } => format!("nn.LayerNorm({features})"),
            Step::Embedding { vocabulary, out } => format!("nn.Embedding({vocabulary}, {out})"),
            Step::Position { steps, features } => {
                self.helper(Helper::Position, format!("Position({steps}, {features})"))
            }
            Step::Lstm { input, hidden, is_last } => {
                let last = if *is_last { "True" } else { "False" };
                self.helper(Helper::Lstm, format!("LSTM({input}, {hidden}, last={last})"))
            }
            Step::Gru { input, hidden, is_last } => {
                let last = if *is_last { "True" } else { "False" };
                self.helper(Helper::Gru, format!("GRU({input}, {hidden}, last={last})"))
            }
            Step::Encoder { layers, features, heads, ff, causal, dropout } => {
                let causal = if *causal { "True" } else { "False" };
                let sizes = format!("{layers}, {features}, {heads}, {ff}");
                let code = format!("Encoder({sizes}, causal={causal}, dropout={dropout})");
                self.helper(Helper::Encoder, code)
            }
            Step::MaxPool1d { kernel, stride } => {
                self.over_steps(&format!("MaxPool1d({kernel}, {stride})"))
            }
            Step::AvgPool1d { kernel, stride } => {
                self.over_steps(&format!("AvgPool1d({kernel}, {stride})"))
            }
            Step::AdaptiveAvgPool1d { out } => {
                self.over_steps(&format!("AdaptiveAvgPool1d({out})"))
            }
            step => self.plain(step),
        }
    }

    fn plain(&mut self, step: &Step) -> String {
        match step {
            Step::MaxPool2d { kernel, stride } => format!("nn.MaxPool2d({kernel}, {stride})"),
            Step::AvgPool2d { kernel, stride } => format!("nn.AvgPool2d({kernel}, {stride})"),
            Step::AdaptiveAvgPool2d { out } => format!("nn.AdaptiveAvgPool2d({out})"),
            Step::GlobalAvgPool => self.helper(Helper::GlobalAvgPool, "GlobalAvgPool()".to_owned()),
            Step::Relu => "nn.ReLU()".to_owned(),
            Step::LeakyRelu { slope } => format!("nn.LeakyReLU({slope})"),
            Step::Gelu => "nn.GELU()".to_owned(),
            Step::Silu => "nn.SiLU()".to_owned(),
            Step::Tanh => "nn.Tanh()".to_owned(),
            Step::Sigmoid => "nn.Sigmoid()".to_owned(),
            Step::Softmax => "nn.Softmax(dim=-1)".to_owned(),
            Step::Flatten => "nn.Flatten()".to_owned(),
            Step::Sequence { features } => {
                self.helper(Helper::Sequence, format!("Sequence({features})"))
            }
            Step::LastStep => self.helper(Helper::LastStep, "LastStep()".to_owned()),
            Step::MeanSteps => self.helper(Helper::MeanSteps, "MeanSteps()".to_owned()),
            Step::Dropout { p } => format!("nn.Dropout({p})"),
            other => unreachable!("{other:?} is a layer with a line of its own"),
        }
    }

    fn helper(&mut self, helper: Helper, code: String) -> String {
        self.helpers.insert(helper);
        code
    }

    /// A module that takes `[examples, features, steps]`.
    fn over_steps(&mut self, module: &str) -> String {
        let (class, arguments) = module.split_once('(').unwrap_or((module, ")"));
        self.helper(Helper::OverSteps, format!("over_steps(nn.{class})({arguments}"))
    }
}

fn conv(class: &str, kernel: &Kernel) -> String {
    let Kernel { input, out, kernel, stride, pad } = kernel;
    format!("{class}({input}, {out}, {kernel}, stride={stride}, padding={pad})")
}

fn sizes(shape: Shape) -> String {
    match shape {
        Shape::Features(features) => features.to_string(),
        Shape::Image { channels, height, width } => format!("{channels} x {height} x {width}"),
        Shape::Sequence { steps, features } => format!("{steps} x {features}"),
        Shape::Tokens { steps, .. } => steps.to_string(),
    }
}
