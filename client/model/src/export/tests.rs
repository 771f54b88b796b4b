//! Exported models against the program's own, and against PyTorch and onnxruntime where they are asked for.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use covey_aggregation::plan::Plan;
use covey_aggregation::shape::Shape;
use safetensors::SafeTensors;

use super::*;
use crate::data::Dataset;
use crate::device::DeviceChoice;
use crate::evaluate::Answer;
use crate::model::tests::{IMAGE, PLANS, TEXT, plan, plan_text};
use crate::task::Task;
use crate::train::Trainer;
use crate::weights;

/// How far apart answers may be; relative where they are larger than one.
const TOLERANCE: f64 = 1e-5;

/// Examples that models are asked about.
const EXAMPLES: usize = 17;

fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A task, and parameters that all differ: nothing is zero or one, so that nothing is hidden.
fn model(data: &str, layers: &str) -> (Task, Vec<f32>) {
    let task = Task::from_plan(&plan(data, layers)).expect("layers");
    let mut parameters = task.initial_parameters();
    let changes = noise(parameters.len(), 3);
    parameters.iter_mut().zip(changes).for_each(|(parameter, change)| *parameter += 0.2 * change);
    (task, parameters)
}

/// The plans of every layer kind, with batch norms that keep averages.
fn averaged() -> Vec<(Task, Vec<f32>)> {
    let plans = PLANS.iter();
    plans.map(|(data, layers)| model(data, &layers.replace("local", "average"))).collect()
}

/// A transformer for text.
const SPOKEN: &str = "{ kind = \"embedding\", out = 8 },
     { kind = \"encoder\", heads = 2, ff = 6, causal = true }, { kind = \"linear\", out = 5 }";

/// A plan with adapters for [`SPOKEN`] with the parameters of this digest.
fn adapting(digest: &str) -> Task {
    let more = format!(
        "start = {{ digest = \"{digest}\" }}\n\
         lora = {{ rank = 2, alpha = 3, targets = [\"query\", \"value\", \"linear\"] }}\n"
    );
    let text = plan_text(TEXT, SPOKEN).replace("[training]", &format!("{more}[training]"));
    let plan = Plan::parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    Task::from_plan(&plan).expect("layers")
}

/// A task with adapters, and their parameters.
fn adapted() -> (Task, Vec<f32>) {
    let (plain, base) = model(TEXT, SPOKEN);
    let task = adapting(&plain.parameters_digest(&base).to_string());
    let task = task.started(base).expect("pinned");
    let parameters = noise(task.parameters(), 5);
    (task, parameters)
}

fn dataset(task: &Task) -> Dataset {
    let features = task.features();
    match task.input() {
        Shape::Tokens { vocabulary, .. } => {
            let draws = noise(EXAMPLES * (features + 1), 9).into_iter();
            let token = |draw: f32| ((draw + 1.0) / 2.0 * vocabulary as f32) as i32;
            let tokens: Vec<i32> = draws.map(token).collect();
            let starts = (0..EXAMPLES).map(|window| window * (features + 1)).collect();
            Dataset::text(tokens.into(), starts, features, vocabulary as usize).expect("a text")
        }
        _ => {
            let labels = (0..EXAMPLES as u32).map(|row| row % task.classes() as u32).collect();
            let values = noise(EXAMPLES * features, 11);
            Dataset::new(values, labels, features, task.classes()).expect("rows")
        }
    }
}

fn outputs(task: &Task, parameters: &[f32], data: &Dataset) -> Vec<f32> {
    let trainer = Trainer::new(task, DeviceChoice::Cpu).expect("the processor is always there");
    let mut all = Vec::new();
    trainer
        .answers(parameters, data, |answer| {
            let Answer::Class { outputs, .. } = answer else { panic!("classes") };
            all.extend_from_slice(outputs);
            Ok(true)
        })
        .expect("answers");
    all
}

#[test]
fn every_tensor_has_pytorchs_name_and_sizes() {
    let mut names = BTreeMap::new();
    for (data, layers) in PLANS {
        let (task, parameters) = model(data, layers);
        let tensors = tensors(&task, &parameters).expect("they are");
        for Tensor { name, shape, values } in tensors {
            assert_eq!(values.len(), shape.iter().product::<usize>(), "{name}");
            names.insert(format!("{} {name}", names_of(data, layers)), shape);
        }
    }
    let expected: [(&str, &[usize]); 33] = [
        ("0 layers.0.weight", &[4, 2, 3, 3]),
        ("0 layers.0.bias", &[4]),
        ("0 layers.1.weight", &[4]),
        ("0 layers.1.running_mean", &[4]),
        ("0 layers.1.running_var", &[4]),
        ("0 layers.3.weight", &[4]),
        ("0 layers.5.layers.0.weight", &[4, 4, 1, 1]),
        ("0 layers.5.layers.2.bias", &[4]),
        ("0 layers.12.weight", &[16]),
        ("0 layers.17.weight", &[3, 16]),
        ("0 layers.17.bias", &[3]),
        ("1 layers.1.weight", &[8, 6, 3]),
        ("1 layers.8.weight", &[4, 8]),
        ("1 layers.9.layers.1.self_attn.in_proj_weight", &[24, 8]),
        ("1 layers.9.layers.1.self_attn.in_proj_bias", &[24]),
        ("1 layers.9.layers.1.self_attn.out_proj.weight", &[8, 8]),
        ("1 layers.9.layers.1.linear1.weight", &[12, 8]),
        ("1 layers.9.layers.1.linear2.weight", &[8, 12]),
        ("1 layers.9.layers.0.norm1.weight", &[8]),
        ("1 layers.9.layers.0.norm2.bias", &[8]),
        ("1 layers.11.weight_ih_l0", &[20, 8]),
        ("1 layers.11.weight_hh_l0", &[20, 5]),
        ("1 layers.11.bias_ih_l0", &[20]),
        ("1 layers.11.bias_hh_l0", &[20]),
        ("1 layers.12.weight_ih_l0", &[18, 5]),
        ("1 layers.12.weight_hh_l0", &[18, 6]),
        ("1 layers.12.bias_hh_l0", &[18]),
        ("1 layers.14.weight", &[3, 6]),
        ("2 layers.5.weight_ih_l0", &[9, 1]),
        ("2 layers.7.weight_hh_l0", &[12, 3]),
        ("3 layers.0.weight", &[5, 8]),
        ("3 layers.1.weight", &[7, 8]),
        ("3 layers.4.weight", &[5, 8]),
    ];
    for (name, shape) in expected {
        assert_eq!(names.get(name).map(Vec::as_slice), Some(shape), "{name} of {names:#?}");
    }
    // With averages of their own only.
    assert!(!names.contains_key("0 layers.5.layers.2.running_mean"));
}

fn names_of(data: &str, layers: &str) -> usize {
    PLANS.iter().position(|one| *one == (data, layers)).expect("one of them")
}

/// Numbers are where PyTorch looks for them.
#[test]
fn gates_and_projections_are_in_pytorchs_order() {
    let (task, parameters) = model(PLANS[1].0, PLANS[1].1);
    let all = tensors(&task, &parameters).expect("they are");
    let tensor = |name: &str| all.iter().find(|one| one.name == name).expect(name);
    let entry = |end: &str| {
        let entry = task.manifest().entries().iter().find(|one| one.name.ends_with(end));
        let entry = entry.expect(end);
        let start = entry.offset as usize;
        &parameters[start..start + entry.shape.iter().product::<u64>() as usize]
    };
    let lstm = tensor("layers.11.weight_ih_l0");
    let own = entry("lstm.input_weight");
    for (gate, feature) in [(0, 0), (3, 7), (12, 5), (19, 7)] {
        assert_eq!(lstm.values[gate * 8 + feature], own[feature * 20 + gate]);
    }
    assert_eq!(tensor("layers.11.bias_ih_l0").values, entry("lstm.bias"));
    assert!(tensor("layers.11.bias_hh_l0").values.iter().all(|number| *number == 0.0));
    assert_eq!(tensor("layers.12.bias_hh_l0").values, entry("gru.hidden_bias"));
    let projection = tensor("layers.9.layers.1.self_attn.in_proj_weight");
    for (place, part) in ["query", "key", "value"].into_iter().enumerate() {
        let own = entry(&format!("encoder.1.{part}.weight"));
        for (out, input) in [(0, 0), (2, 5), (7, 7)] {
            assert_eq!(projection.values[(place * 8 + out) * 8 + input], own[input * 8 + out]);
        }
    }
}

#[test]
fn a_run_starts_from_an_exported_model_with_the_same_bits() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    for (number, (data, layers)) in PLANS.into_iter().enumerate() {
        let (task, mut parameters) = model(data, layers);
        // What a sum with PyTorch's second offset must not turn into another zero.
        parameters.iter_mut().step_by(7).for_each(|parameter| *parameter = -0.0);
        let words = Metadata::from([("run".to_owned(), "a run".to_owned())]);
        let file = safetensors(&task, &parameters, &words).expect("a file");
        fs::write(&path, &file).expect("written");
        let (_, metadata) = SafeTensors::read_metadata(&file).expect("a file");
        let metadata = metadata.metadata().clone().expect("words");
        assert_eq!((&*metadata["format"], &*metadata["run"]), ("pt", "a run"));

        let read = weights::read_model(&path, &task).expect("it is read");
        let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read), bits(&parameters), "plan {number}");

        let digest = task.parameters_digest(&parameters);
        let start = format!("\nstart = {{ digest = \"{digest}\", file = \"model.safetensors\" }}");
        let text = plan_text(data, layers).replace("\n[training]", &format!("{start}\n[training]"));
        let plan = Plan::parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
        let next = Task::from_plan(&plan).expect("layers");
        let next = weights::started(next, &folder.path().join("plan.toml"));
        let next = next.unwrap_or_else(|error| panic!("{error}"));
        let data = dataset(&task);
        let (before, after) =
            (outputs(&task, &parameters, &data), outputs(&next, &next.initial_parameters(), &data));
        assert_eq!(before, after, "plan {number}");
    }
}

#[test]
fn pytorchs_second_offset_of_an_lstm_counts() {
    let (task, parameters) = model(PLANS[2].0, PLANS[2].1);
    let layout = Layout::of(task.blueprint().expect("layers"));
    let mut all = layout.to_pytorch(&parameters);
    let second = all.iter_mut().find(|one| one.name == "layers.7.bias_hh_l0").expect("there");
    second.values.fill(0.5);
    let read = layout.to_flat(|name, shape| {
        let one = all.iter().find(|one| one.name == name).ok_or(())?;
        assert_eq!(one.shape, shape);
        Ok::<_, ()>(one.values.clone())
    });
    let read = read.expect("all are there");
    let bias = task.manifest().entries().iter().find(|one| one.name.ends_with("lstm.bias"));
    let start = bias.expect("there").offset as usize;
    for (at, (read, own)) in read.iter().zip(&parameters).enumerate() {
        let added = if (start..start + 12).contains(&at) { 0.5 } else { 0.0 };
        assert_eq!(*read, own + added, "number {at}");
    }
}

#[test]
fn adapters_are_added_to_their_weights() {
    let (task, parameters) = adapted();
    let whole = layout::whole(task.blueprint().expect("layers"), &parameters, task.base());
    let (plain, _) = model(TEXT, SPOKEN);
    assert_ne!(whole, task.base());
    let data = dataset(&task);
    let (adapted, merged) = (outputs(&task, &parameters, &data), outputs(&plain, &whole, &data));
    for (one, other) in adapted.iter().zip(&merged) {
        assert!((one - other).abs() < 1e-4 * one.abs().max(1.0), "{one} {other}");
    }
}

#[test]
fn what_cannot_be_exported_is_refused_by_name() {
    let (task, parameters) = model(PLANS[0].0, PLANS[0].1);
    let error = onnx(&task, &parameters, &Metadata::new()).expect_err("local averages");
    let text = error.to_string();
    assert!(
        text.contains("model.layers[5].layers[2] (batchnorm) has no equivalent in ONNX"),
        "{text}"
    );
    assert!(text.contains("buffers = \"average\""), "{text}");
    let error = tensors(&task, &parameters[1..]).expect_err("one is missing");
    let (expected, got) = (parameters.len() as u64, parameters.len() - 1);
    assert_eq!(error, ExportError::Parameters { expected, got });
    let (task, parameters) = adapted();
    let without = adapting(&task.start().expect("it has one").digest.to_string());
    let error = tensors(&without, &parameters).expect_err("what it adapts is not here");
    assert_eq!(error, ExportError::NoBase);
}

fn npy(path: &Path, kind: &str, sizes: &[usize], bytes: &[u8]) {
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    let header = format!(
        "{{'descr': '{kind}', 'fortran_order': False, 'shape': ({},), }}",
        sizes.join(", ")
    );
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((length as u16).to_le_bytes());
    file.extend(format!("{header:<width$}\n", width = length - 1).as_bytes());
    file.extend(bytes);
    fs::write(path, file).expect("written");
}

/// By how much one output differs between examples, of the one that differs most.
fn spread(answers: &[f32], width: usize) -> f32 {
    let spread = |column: usize| {
        let all = || answers.iter().skip(column).step_by(width).copied();
        all().fold(f32::MIN, f32::max) - all().fold(f32::MAX, f32::min)
    };
    (0..width).map(spread).fold(0.0, f32::max)
}

/// Everything that the comparison reads.
fn put(folder: &Path, task: &Task, parameters: &[f32]) {
    fs::create_dir(folder).expect("made");
    let data = dataset(task);
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("written");
    write("load.py", script(task).expect("a script").as_bytes());
    let words = Metadata::new();
    write("model.safetensors", &safetensors(task, parameters, &words).expect("a file"));
    match onnx(task, parameters, &words) {
        Ok(file) => write("model.onnx", &file),
        Err(error) => assert!(matches!(error, ExportError::NoEquivalent { .. }), "{error}"),
    }
    let (inputs, features) = (folder.join("inputs.npy"), task.features());
    if let Shape::Tokens { .. } = task.input() {
        let tokens = (0..data.len()).flat_map(|window| &data.window(window)[..features]);
        let bytes: Vec<u8> = tokens.flat_map(|token| i64::from(*token).to_le_bytes()).collect();
        npy(&inputs, "<i8", &[EXAMPLES, features], &bytes);
    } else {
        let values = (0..data.len()).flat_map(|row| data.example(row));
        let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
        npy(&inputs, "<f4", &[EXAMPLES, features], &bytes);
    }
    let answers = outputs(task, parameters, &data);
    let bytes: Vec<u8> = answers.iter().flat_map(|output| output.to_le_bytes()).collect();
    npy(&folder.join("outputs.npy"), "<f4", &[answers.len()], &bytes);
}

#[test]
#[ignore = "needs Python with torch, numpy, safetensors and onnxruntime; COVEY_PYTHON names it"]
fn pytorch_and_onnxruntime_give_the_same_answers() {
    let python = std::env::var_os("COVEY_PYTHON").expect("COVEY_PYTHON names a Python");
    let folder = tempfile::tempdir().expect("a folder");
    let mut folders = Vec::new();
    let mut add = |name: String, (task, parameters): (Task, Vec<f32>)| {
        let path = folder.path().join(name);
        put(&path, &task, &parameters);
        folders.push(path);
    };
    for (number, one) in averaged().into_iter().enumerate() {
        add(format!("plan-{number}"), one);
    }
    add("local-averages".to_owned(), model(PLANS[0].0, PLANS[0].1));
    add("adapted".to_owned(), adapted());
    let uneven =
        "{ kind = \"adaptive_avgpool2d\", out = 5 }, { kind = \"sequence\", features = 5 },
        { kind = \"adaptive_avgpool1d\", out = 3 }, { kind = \"linear\", out = 4 },
        { kind = \"flatten\" }, { kind = \"linear\", out = 3 }";
    add("uneven-windows".to_owned(), model(IMAGE, uneven));
    // Answers that hardly differ would hide what is wrong, and those of the long plans may: short
    // ones with the layers over steps, whose answers hang on their inputs.
    let mut add_short = |name: &str, layers: &str| {
        let (task, parameters) = model(IMAGE, layers);
        let spread = spread(&outputs(&task, &parameters, &dataset(&task)), 3);
        assert!(spread > 0.01, "{name}: answers differ by {spread} only");
        add(name.to_owned(), (task, parameters));
    };
    let steps = "{ kind = \"sequence\", features = 6 },
        { kind = \"conv1d\", out = 8, kernel = 3, stride = 2, pad = 1 },
        { kind = \"batchnorm\", buffers = \"average\" }, { kind = \"groupnorm\", groups = 2 },
        { kind = \"maxpool1d\", kernel = 2, stride = 1 },
        { kind = \"avgpool1d\", kernel = 2, stride = 1 }, { kind = \"last_step\" },
        { kind = \"linear\", out = 3 }";
    add_short("steps", steps);
    let means = "{ kind = \"conv2d\", out = 6, kernel = 3, stride = 2 },
        { kind = \"silu\" }, { kind = \"global_avgpool\" }, { kind = \"linear\", out = 3 }";
    add_short("means", means);
    let memory = "{ kind = \"sequence\", features = 6 },
        { kind = \"gru\", hidden = 6 }, { kind = \"lstm\", hidden = 5, output = \"last\" },
        { kind = \"linear\", out = 3 }";
    add_short("memory", memory);
    let recurrent = "{ kind = \"sequence\", features = 6 }, { kind = \"lstm\", hidden = 5 },
        { kind = \"gru\", hidden = 6, output = \"last\" }, { kind = \"linear\", out = 3 }";
    add_short("recurrent", recurrent);
    let attention = "{ kind = \"sequence\", features = 6 }, { kind = \"position\" },
        { kind = \"encoder\", layers = 2, heads = 3, ff = 12, causal = false },
        { kind = \"mean_steps\" }, { kind = \"linear\", out = 3 }";
    add_short("attention", attention);
    let checked = Command::new(python)
        .args(["-c", include_str!("check.py")])
        .args(&folders)
        .output()
        .expect("the Python that COVEY_PYTHON names");
    let text = String::from_utf8_lossy(&checked.stdout);
    let errors = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{text}{errors}");
    let mut compared = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, tool, difference] = words[..] else { continue };
        let difference: f64 = difference.parse().expect("a number");
        assert!(difference <= TOLERANCE, "{line}");
        println!("{line}");
        *compared.entry(tool).or_insert(0) += usize::from(!name.is_empty());
    }
    assert_eq!(compared["torch"], folders.len(), "{text}");
    // All but the one with local averages.
    assert_eq!(compared["onnx"], folders.len() - 1, "{text}");
}

/// What a reader of ONNX checks first: every input of a node is there before it, once, and every
/// constant has as many bytes as its sizes say.
#[test]
fn graphs_hold_together() {
    for (task, parameters) in averaged().into_iter().chain([adapted()]) {
        let words = Metadata::from([("round".to_owned(), "7".to_owned())]);
        let file = onnx(&task, &parameters, &words).expect("a file");
        onnx::tests::check(&file);
    }
}
