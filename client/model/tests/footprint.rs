//! The estimate of the memory that training takes, beside the memory that it really takes on the
//! processor. The estimate decides whether a model is begun on a graphics card, so it must not be
//! far below, and not so far above that models are refused for nothing.

mod common;

use covey_model::data::Dataset;
use covey_model::task::Task;
use peak_alloc::PeakAlloc;

use common::{fit, plan, rows, trainer, windows};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// How far the truth may be from the estimate, as a share of it.
const LEAST: f64 = 0.6;
const MOST: f64 = 1.0;

struct Case {
    name: &'static str,
    data: String,
    layers: &'static str,
    batch_size: usize,
    optimizer: &'static str,
}

const SGD: &str = "{ name = \"sgd\", lr = 0.01 }";

fn image(side: usize) -> String {
    format!("kind = \"image\"\nheight = {side}\nwidth = {side}\npixel_max = 255\nclasses = 10")
}

fn text(context: usize) -> String {
    format!(
        "kind = \"text\"\ntokens = \"characters\"\nvocabulary = \"abcdefghijklmnop\"\n\
         unknown = \"skip\"\ncontext = {context}"
    )
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "two linear layers, parameters above all",
            data: image(28),
            layers: "{ kind = \"flatten\" }, { kind = \"linear\", out = 1024 },
                { kind = \"relu\" }, { kind = \"linear\", out = 10 }",
            batch_size: 32,
            optimizer: "{ name = \"adam\", lr = 0.001 }",
        },
        Case {
            name: "a convolutional network",
            data: image(28),
            layers: "{ kind = \"conv2d\", out = 16, kernel = 3, pad = 1 }, { kind = \"relu\" },
                { kind = \"maxpool2d\", kernel = 2 },
                { kind = \"conv2d\", out = 32, kernel = 3, pad = 1 }, { kind = \"relu\" },
                { kind = \"maxpool2d\", kernel = 2 }, { kind = \"flatten\" },
                { kind = \"linear\", out = 128 }, { kind = \"relu\" },
                { kind = \"linear\", out = 10 }",
            batch_size: 512,
            optimizer: SGD,
        },
        Case {
            name: "normalised convolutions around a shortcut",
            data: image(16),
            layers: "{ kind = \"conv2d\", out = 16, kernel = 3, pad = 1 },
                { kind = \"groupnorm\", groups = 4 }, { kind = \"relu\" },
                { kind = \"residual\", layers = [
                  { kind = \"conv2d\", out = 16, kernel = 3, pad = 1 },
                  { kind = \"batchnorm\", buffers = \"local\" }, { kind = \"gelu\" }] },
                { kind = \"global_avgpool\" }, { kind = \"dropout\", p = 0.1 },
                { kind = \"linear\", out = 10 }",
            batch_size: 512,
            optimizer: SGD,
        },
        Case {
            name: "a transformer",
            data: text(64),
            layers: "{ kind = \"embedding\", out = 64 }, { kind = \"position\" },
                { kind = \"encoder\", layers = 2, heads = 4, ff = 256, causal = true, dropout = 0.1 },
                { kind = \"layernorm\" }, { kind = \"linear\", out = 16 }",
            batch_size: 64,
            optimizer: "{ name = \"adamw\", lr = 0.001 }",
        },
        Case {
            name: "an LSTM",
            data: text(48),
            layers: "{ kind = \"embedding\", out = 32 }, { kind = \"lstm\", hidden = 64 },
                { kind = \"linear\", out = 16 }",
            batch_size: 128,
            optimizer: SGD,
        },
        Case {
            name: "a GRU",
            data: text(48),
            layers: "{ kind = \"embedding\", out = 32 }, { kind = \"gru\", hidden = 64 },
                { kind = \"linear\", out = 16 }",
            batch_size: 128,
            optimizer: SGD,
        },
    ]
}

/// One test alone in its process: the allocator counts for all threads.
#[test]
fn the_estimate_is_near_what_training_really_takes() {
    let mut bad = Vec::new();
    for Case { name, data, layers, batch_size, optimizer } in cases() {
        let training = format!("rounds = 1\nbatch_size = {batch_size}\noptimizer = {optimizer}");
        let plan = plan(&data, &format!("layers = [{layers}]"), &training);
        let task = Task::from_plan(&plan).expect("a model");
        let estimate = task.footprint().bytes() as f64;
        let dataset: Dataset = if data.contains("text") {
            windows(2 * batch_size, task.features(), 16)
        } else {
            rows(2 * batch_size, task.features(), 10)
        };
        let (trainer, parameters) = (trainer(&plan), task.initial_parameters());
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        fit(&trainer, &parameters, &dataset, 1).unwrap_or_else(|error| panic!("{name}: {error}"));
        let taken = (ALLOCATOR.peak_usage() - before) as f64;
        let share = taken / estimate;
        println!("{name}: {:.1} MB, estimated {:.1} MB, {share:.2}", taken / 1e6, estimate / 1e6);
        if !(LEAST..=MOST).contains(&share) {
            bad.push(format!("{name}: {taken} bytes, estimated {estimate}"));
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}
