//! Every layer's derivative against finite differences, and layers over sequences against plain
//! arithmetic.

mod common;

use common::{DIGITS, fit, noise, plan, rows, trainer, windows};
use covey_aggregation::plan::Plan;
use covey_model::data::Dataset;
use covey_model::evaluate::Answer;
use covey_model::task::Task;
use covey_model::train::Trainer;

const ONE_STEP: &str = "rounds = 1\nbatch_size = 64\noptimizer = { name = \"sgd\", lr = 1 }";

const TEXT: &str = "kind = \"text\"\ntokens = \"characters\"\nvocabulary = \"abcde\"\n\
                    unknown = \"skip\"\ncontext = 6";

fn text_plan(layers: &str) -> Plan {
    plan(TEXT, &format!("layers = [{layers}]"), ONE_STEP)
}

/// With one step of plain SGD over the whole data set, the update is `-lr` times the gradient.
fn check_gradient(plan: &Plan, data: &Dataset) {
    let trainer = trainer(plan);
    let parameters: Vec<f32> = trainer
        .task()
        .initial_parameters()
        .iter()
        .zip(noise(trainer.task().parameters()))
        .map(|(x, noise)| x + 0.05 * noise)
        .collect();
    let update = fit(&trainer, &parameters, data, 1).expect("it trains").update;
    let loss = |index: usize, change: f32| {
        let mut moved = parameters.clone();
        moved[index] += change;
        trainer.evaluate(&moved, data).expect("it is measured").loss
    };
    let distance = 4e-3;
    let (mut dot, mut squares, mut differences) = (0.0, 0.0, 0.0);
    for (index, change) in update.iter().enumerate() {
        let slope = (loss(index, distance) - loss(index, -distance)) / (2.0 * f64::from(distance));
        let gradient = -f64::from(*change);
        dot += slope * gradient;
        squares += gradient * gradient;
        differences += slope * slope;
        let near = (slope - gradient).abs() < 0.01 + 0.05 * gradient.abs();
        assert!(near, "parameter {index}: {gradient}, slope {slope}");
    }
    let cosine = dot / (squares.sqrt() * differences.sqrt());
    assert!(cosine > 0.999, "{cosine}");
}

#[test]
fn gradients_of_image_layers_match_finite_differences() {
    let layers = r#"
        { kind = "conv2d", out = 4, kernel = 3, stride = 2, pad = 1 },
        { kind = "batchnorm", buffers = "local" }, { kind = "silu" },
        { kind = "residual", layers = [{ kind = "conv2d", out = 4, kernel = 1 },
          { kind = "batchnorm", buffers = "local" }, { kind = "sigmoid" }] },
        { kind = "avgpool2d", kernel = 2, stride = 1 }, { kind = "adaptive_avgpool2d", out = 2 },
        { kind = "flatten" }, { kind = "batchnorm", buffers = "local" },
        { kind = "linear", out = 6 }, { kind = "leaky_relu", slope = 0.3 },
        { kind = "softmax" }, { kind = "linear", out = 10 }"#;
    check_gradient(&plan(DIGITS, &format!("layers = [{layers}]"), ONE_STEP), &rows(24, 64, 10));
    let layers = r#"
        { kind = "conv2d", out = 3, kernel = 3 }, { kind = "global_avgpool" },
        { kind = "linear", out = 10 }"#;
    check_gradient(&plan(DIGITS, &format!("layers = [{layers}]"), ONE_STEP), &rows(12, 64, 10));
}

#[test]
fn gradients_of_sequence_layers_match_finite_differences() {
    let layers = r#"
        { kind = "sequence", features = 8 }, { kind = "conv1d", out = 4, kernel = 3, pad = 1 },
        { kind = "batchnorm", buffers = "local" }, { kind = "groupnorm", groups = 2 },
        { kind = "tanh" }, { kind = "avgpool1d", kernel = 2 },
        { kind = "adaptive_avgpool1d", out = 3 }, { kind = "position" },
        { kind = "encoder", heads = 2, ff = 6, causal = false },
        { kind = "lstm", hidden = 3 }, { kind = "gru", hidden = 3 }, { kind = "mean_steps" },
        { kind = "linear", out = 10 }"#;
    check_gradient(&plan(DIGITS, &format!("layers = [{layers}]"), ONE_STEP), &rows(12, 64, 10));
    let last = r#"
        { kind = "sequence", features = 16 }, { kind = "gru", hidden = 4 },
        { kind = "lstm", hidden = 4, output = "last" }, { kind = "linear", out = 10 }"#;
    check_gradient(&plan(DIGITS, &format!("layers = [{last}]"), ONE_STEP), &rows(12, 64, 10));
}

#[test]
fn gradients_of_a_language_model_match_finite_differences() {
    let layers = r#"
        { kind = "embedding", out = 4 }, { kind = "position" },
        { kind = "encoder", layers = 2, heads = 2, ff = 6, causal = true },
        { kind = "layernorm" }, { kind = "gru", hidden = 4 }, { kind = "linear", out = 5 }"#;
    check_gradient(&text_plan(layers), &windows(16, 6, 5));
}

#[test]
fn gradients_of_the_losses_of_numbers_match_finite_differences() {
    let data = "kind = \"tabular\"\ncolumns = [{ name = \"a\", type = \"float\", min = 0, max = 1 }, \
                { name = \"b\", type = \"float\", min = 0, max = 1 }]\n\
                target = { column = \"y\", type = \"float\" }";
    let set = Dataset::regression(noise(40), noise(60)[40..].to_vec(), 2).expect("a data set");
    let model = "layers = [{ kind = \"linear\", out = 4 }, { kind = \"tanh\" }, \
                 { kind = \"linear\", out = 1 }]";
    for loss in ["\"mse\"", "{ name = \"huber\", delta = 0.5 }"] {
        check_gradient(&plan(data, model, &format!("{ONE_STEP}\nloss = {loss}")), &set);
    }
}

/// The outputs for one window, token by token.
fn outputs(trainer: &Trainer, parameters: &[f32], tokens: &[i32]) -> Vec<Vec<f64>> {
    let mut tokens = tokens.to_vec();
    tokens.push(0);
    let length = tokens.len() - 1;
    let data = Dataset::text(tokens.into(), vec![0], length, 5).expect("a text");
    let mut all = Vec::new();
    let answered = trainer.answers(parameters, &data, |answer| {
        let Answer::Class { outputs, .. } = answer else { panic!("tokens are classes") };
        all.push(outputs.iter().map(|x| f64::from(*x)).collect());
        Ok(true)
    });
    answered.expect("it answers");
    all
}

/// The numbers of a tensor.
fn tensor<'a>(task: &Task, parameters: &'a [f32], name: &str) -> &'a [f32] {
    let entry = task.manifest().entries().iter().find(|entry| entry.name == name);
    let entry = entry.unwrap_or_else(|| panic!("no {name}"));
    let start = entry.offset as usize;
    &parameters[start..start + entry.shape.iter().product::<u64>() as usize]
}

/// `x W + b` in binary64; W lies row by row.
fn affine(x: &[f64], weight: &[f32], bias: &[f32]) -> Vec<f64> {
    let out = weight.len() / x.len();
    let mut y: Vec<f64> =
        if bias.is_empty() { vec![0.0; out] } else { bias.iter().map(|b| f64::from(*b)).collect() };
    for (row, x) in weight.chunks(out).zip(x) {
        y.iter_mut().zip(row).for_each(|(y, w)| *y += x * f64::from(*w));
    }
    y
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn add(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x + y).collect()
}

const TOKENS: [i32; 6] = [0, 3, 1, 4, 4, 2];

/// Compares a model `embedding, LAYER, linear` with `reference`, which turns the embedded steps
/// into those after the layer. It is given the layer's tensors by name.
fn check(layer: &str, reference: impl Fn(&dyn Fn(&str) -> Vec<f32>, &[Vec<f64>]) -> Vec<Vec<f64>>) {
    let layers = format!(
        "{{ kind = \"embedding\", out = 4 }}, {{ {layer} }}, {{ kind = \"linear\", out = 5 }}"
    );
    let trainer = trainer(&text_plan(&layers));
    let task = trainer.task();
    // Offsets are not zero, and scales are not one.
    let parameters: Vec<f32> = noise(task.parameters());
    let named = |name: &str| tensor(task, &parameters, name);
    let embedding = named("layers.0.embedding.weight");
    let embedded: Vec<Vec<f64>> = TOKENS
        .iter()
        .map(|token| embedding[4 * *token as usize..][..4].iter().map(|x| f64::from(*x)).collect())
        .collect();
    let kind = layer.split('"').nth(1).expect("a kind");
    let inner = |name: &str| named(&format!("layers.1.{kind}.{name}")).to_vec();
    let (weight, bias) = (named("layers.2.linear.weight"), named("layers.2.linear.bias"));
    let expected = reference(&inner, &embedded);
    let expected: Vec<_> = expected.iter().map(|step| affine(step, weight, bias)).collect();
    let found = outputs(&trainer, &parameters, &TOKENS);
    assert_eq!(found.len(), TOKENS.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < 1e-5, "{layer}: {found}, expected {expected}");
    }
}

#[test]
fn an_lstm_is_the_textbooks() {
    check("kind = \"lstm\", hidden = 3", |tensor, steps| {
        let (mut state, mut cell) = (vec![0.0; 3], vec![0.0; 3]);
        let (input, hidden, bias) =
            (tensor("input_weight"), tensor("hidden_weight"), tensor("bias"));
        let step = |x: &Vec<f64>| {
            let gates = add(&affine(x, &input, &bias), &affine(&state, &hidden, &[]));
            for unit in 0..3 {
                let [i, f, g, o] = [0, 1, 2, 3].map(|gate| gates[3 * gate + unit]);
                cell[unit] = sigmoid(f) * cell[unit] + sigmoid(i) * g.tanh();
                state[unit] = sigmoid(o) * cell[unit].tanh();
            }
            state.clone()
        };
        steps.iter().map(step).collect()
    });
}

#[test]
fn a_gru_is_the_usual_one() {
    check("kind = \"gru\", hidden = 3", |tensor, steps| {
        let mut state = vec![0.0; 3];
        let [input, hidden, input_bias, hidden_bias] =
            ["input_weight", "hidden_weight", "input_bias", "hidden_bias"].map(tensor);
        let step = |x: &Vec<f64>| {
            let from_input = affine(x, &input, &input_bias);
            let from_state = affine(&state, &hidden, &hidden_bias);
            for unit in 0..3 {
                let gate = |gate: usize| {
                    sigmoid(from_input[3 * gate + unit] + from_state[3 * gate + unit])
                };
                let (reset, update) = (gate(0), gate(1));
                let new = (from_input[6 + unit] + reset * from_state[6 + unit]).tanh();
                state[unit] = (1.0 - update) * new + update * state[unit];
            }
            state.clone()
        };
        steps.iter().map(step).collect()
    });
}

fn layer_norm(x: &[f64], gamma: &[f32], beta: &[f32]) -> Vec<f64> {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    let scaled = x.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt());
    scaled
        .zip(gamma.iter().zip(beta))
        .map(|(x, (g, b))| x * f64::from(*g) + f64::from(*b))
        .collect()
}

/// By the error function (Abramowitz & Stegun, 7.1.26: off by 1.5e-7 at most).
fn gelu(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let sum = series.iter().fold(0.0, |sum, a| (sum + a) * t);
    let erf = (1.0 - sum * (-z * z).exp()) * x.signum();
    0.5 * x * (1.0 + erf)
}

/// A block for every step, each of which sees `seen(step)` steps.
fn block(
    tensor: &dyn Fn(&str) -> Vec<f32>,
    steps: &[Vec<f64>],
    seen: impl Fn(usize) -> usize,
) -> Vec<Vec<f64>> {
    let of = |part: &str| tensor(&format!("0.{part}"));
    let dense = |name: &str, x: &[f64]| {
        affine(x, &of(&format!("{name}.weight")), &of(&format!("{name}.bias")))
    };
    let norm = |name: &str, x: &[f64]| {
        layer_norm(x, &of(&format!("{name}.gamma")), &of(&format!("{name}.beta")))
    };
    let normed: Vec<_> = steps.iter().map(|x| norm("attention_norm", x)).collect();
    let project = |name: &str| normed.iter().map(|x| dense(name, x)).collect::<Vec<_>>();
    let [queries, keys, values] = ["query", "key", "value"].map(project);
    let attended = |step: usize| {
        let mut mixed = vec![0.0; 4];
        for head in [0..2, 2..4] {
            let score = |other: usize| {
                let parts = head.clone().map(|i| queries[step][i] * keys[other][i]);
                (parts.sum::<f64>() / 2f64.sqrt()).exp()
            };
            let shares: Vec<f64> = (0..seen(step)).map(score).collect();
            let sum: f64 = shares.iter().sum();
            for (share, value) in shares.iter().zip(&values) {
                head.clone().for_each(|i| mixed[i] += share / sum * value[i]);
            }
        }
        dense("output", &mixed)
    };
    let after = |(step, x): (usize, &Vec<f64>)| {
        let x = add(x, &attended(step));
        let inner: Vec<f64> = dense("expand", &norm("ff_norm", &x)).into_iter().map(gelu).collect();
        add(&x, &dense("contract", &inner))
    };
    steps.iter().enumerate().map(after).collect()
}

#[test]
fn an_encoder_is_attention_and_a_feed_forward_part_normalised_before() {
    let kind = "kind = \"encoder\", heads = 2, ff = 6, causal = true";
    check(kind, |tensor, steps| block(tensor, steps, |step| step + 1));
}

/// What a causal model answers after a token does not depend on later ones.
#[test]
fn a_causal_model_does_not_see_later_tokens() {
    let layers = r#"
        { kind = "embedding", out = 4 }, { kind = "position" },
        { kind = "encoder", layers = 2, heads = 2, ff = 6, causal = true },
        { kind = "lstm", hidden = 4 }, { kind = "gru", hidden = 4 },
        { kind = "linear", out = 5 }"#;
    let trainer = trainer(&text_plan(layers));
    let parameters = noise(trainer.task().parameters());
    let before = outputs(&trainer, &parameters, &TOKENS);
    let mut changed = TOKENS;
    changed[4] = 0;
    let after = outputs(&trainer, &parameters, &changed);
    assert_eq!(before[..4], after[..4]);
    assert!(before[4] != after[4] && before[5] != after[5]);
}
