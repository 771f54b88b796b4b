//! Shapes as the plan infers them, and as burn computes them, of every layer kind.

use std::collections::BTreeSet;

use burn::module::{Module as _, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use covey_aggregation::plan::{Body, Layer, LayerKind, Plan};
use covey_aggregation::shape::{Blueprint, Role, Shape};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::{Input, Model, Pass, Signal, build};

const IMAGE: &str = "kind = \"image\"\nheight = 8\nwidth = 6\nchannels = 2\nclasses = 3";

const TEXT: &str = "kind = \"text\"\ntokens = \"characters\"\nvocabulary = \"\\n abc\"\n\
                    unknown = \"skip\"\ncontext = 7";

/// Layers for a section of data; together they are of every kind.
const PLANS: [(&str, &str); 4] = [
    (
        IMAGE,
        "{ kind = \"conv2d\", out = 4, kernel = 3, pad = 1 },
         { kind = \"batchnorm\", buffers = \"average\" }, { kind = \"relu\" },
         { kind = \"groupnorm\", groups = 2 }, { kind = \"leaky_relu\" },
         { kind = \"residual\", layers = [{ kind = \"conv2d\", out = 4, kernel = 1 },
           { kind = \"silu\" }, { kind = \"batchnorm\", buffers = \"local\" }] },
         { kind = \"maxpool2d\", kernel = 3, stride = 1 },
         { kind = \"avgpool2d\", kernel = 2, stride = 1 },
         { kind = \"dropout\", p = 0.2 }, { kind = \"adaptive_avgpool2d\", out = 2 },
         { kind = \"sigmoid\" }, { kind = \"flatten\" }, { kind = \"layernorm\" },
         { kind = \"groupnorm\", groups = 4 }, { kind = \"batchnorm\", buffers = \"average\" },
         { kind = \"gelu\" }, { kind = \"softmax\" }, { kind = \"linear\", out = 3 }",
    ),
    (
        IMAGE,
        "{ kind = \"sequence\", features = 6 }, { kind = \"conv1d\", out = 8, kernel = 3, stride = 2, pad = 1 },
         { kind = \"batchnorm\", buffers = \"average\" }, { kind = \"groupnorm\", groups = 2 },
         { kind = \"maxpool1d\", kernel = 2, stride = 1 }, { kind = \"avgpool1d\", kernel = 2, stride = 1 },
         { kind = \"adaptive_avgpool1d\", out = 4 }, { kind = \"tanh\" }, { kind = \"position\" },
         { kind = \"encoder\", layers = 2, heads = 2, ff = 12, causal = false, dropout = 0.1 },
         { kind = \"softmax\" },
         { kind = \"lstm\", hidden = 5 }, { kind = \"gru\", hidden = 6 }, { kind = \"last_step\" },
         { kind = \"linear\", out = 3 }",
    ),
    (
        IMAGE,
        "{ kind = \"conv2d\", out = 6, kernel = 3, stride = 2 }, { kind = \"global_avgpool\" },
         { kind = \"sequence\", features = 2 }, { kind = \"mean_steps\" },
         { kind = \"sequence\", features = 1 }, { kind = \"gru\", hidden = 3, output = \"last\" },
         { kind = \"sequence\", features = 1 }, { kind = \"lstm\", hidden = 3, output = \"last\" }",
    ),
    (
        TEXT,
        "{ kind = \"embedding\", out = 8 }, { kind = \"position\" },
         { kind = \"encoder\", heads = 4, ff = 6, causal = true }, { kind = \"layernorm\" },
         { kind = \"linear\", out = 5 }",
    ),
];

fn plan(data: &str, layers: &str) -> Plan {
    let text = format!(
        "schema = \"plan/1\"\nname = \"test\"\npurpose = \"Test\"\nseed = 7\n[data]\n{data}\n\
         [model]\nlayers = [{layers}]\n[training]\nrounds = 1\nbatch_size = 4\n\
         optimizer = {{ name = \"sgd\", lr = 0.1 }}\nweighting = \"uniform\"\n\
         [cohort]\nminimum = 3\nmaximum = 10\n[secure_aggregation]\nprofile = \"A\"\nbits = 8\n\
         range = 1\nclip_norm = 1\naudit = \"off\"\n"
    );
    Plan::parse(&text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn blueprint(plan: &Plan) -> &Blueprint {
    plan.blueprint().expect("layers")
}

/// A model of distinct parameters, on the plain device.
fn model(blueprint: &Blueprint) -> Model {
    let parameters: Vec<f32> =
        (0..blueprint.parameters()).map(|i| 0.05 + (i % 97) as f32 * 1e-3).collect();
    build(blueprint, &parameters, &[], &Device::flex()).network
}

fn examples(shape: Shape, batch: usize) -> Input {
    let elements = shape.elements() as usize;
    let device = Device::flex();
    match shape {
        Shape::Tokens { vocabulary, .. } => {
            let tokens =
                (0..batch * elements).map(|i| (i as u64 * 7 % vocabulary) as i32).collect();
            Input::Tokens(Tensor::from_data(
                TensorData::new::<i32, _>(tokens, [batch, elements]),
                &device,
            ))
        }
        _ => {
            let rows = (0..batch * elements).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
            Input::Rows(Tensor::from_data(
                TensorData::new::<f32, _>(rows, [batch, elements]),
                &device,
            ))
        }
    }
}

fn shape_of(signal: &Signal, batch: usize, vocabulary: u64) -> Shape {
    let sizes = |dimensions: &[usize]| -> Vec<u64> {
        assert_eq!(dimensions[0], batch);
        dimensions[1..].iter().map(|size| *size as u64).collect()
    };
    match signal {
        Signal::Features(x) => Shape::Features(sizes(&x.dims())[0]),
        Signal::Image(x) => {
            let sizes = sizes(&x.dims());
            Shape::Image { channels: sizes[0], height: sizes[1], width: sizes[2] }
        }
        Signal::Sequence(x) => {
            let sizes = sizes(&x.dims());
            Shape::Sequence { steps: sizes[0], features: sizes[1] }
        }
        Signal::Tokens(x) => Shape::Tokens { steps: sizes(&x.dims())[0], vocabulary },
    }
}

fn words(layers: &[Layer], into: &mut BTreeSet<&'static str>) {
    for layer in layers {
        into.insert(layer.kind.word());
        if let LayerKind::Residual { layers } = &layer.kind {
            words(layers, into);
        }
    }
}

#[test]
fn the_plans_have_every_layer_kind() {
    let mut found = BTreeSet::new();
    for (data, layers) in PLANS {
        let plan = plan(data, layers);
        let Body::Layers(layers) = &plan.model.body else { panic!("layers are listed") };
        words(layers, &mut found);
    }
    let all: BTreeSet<_> = LayerKind::WORDS.into_iter().collect();
    assert_eq!(found, all);
}

#[test]
fn every_layer_gives_the_shape_that_was_inferred_in_both_kinds_of_pass() {
    for (data, layers) in PLANS {
        let plan = plan(data, layers);
        let blueprint = blueprint(&plan);
        let model = model(blueprint);
        assert_eq!(model.layers.len(), blueprint.shapes.len());
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for mut pass in [Pass::measuring(&[]), Pass::training(&mut rng)] {
            for batch in [1, 3] {
                let mut signal = model.signal(examples(blueprint.input, batch));
                for (layer, expected) in model.layers.iter().zip(&blueprint.shapes) {
                    signal = layer.forward(signal, &mut pass);
                    assert_eq!(shape_of(&signal, batch, 0), *expected, "{layer:?}");
                }
            }
        }
    }
}

#[derive(Default)]
struct Sizes(Vec<Vec<u64>>);

impl ModuleVisitor for Sizes {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.0.push(parameter.val().dims().iter().map(|size| *size as u64).collect());
    }
}

#[test]
fn every_tensor_has_the_sizes_and_the_place_that_were_inferred() {
    for (data, layers) in PLANS {
        let plan = plan(data, layers);
        let blueprint = blueprint(&plan);
        let model = model(blueprint);
        let mut sizes = Sizes::default();
        model.visit(&mut sizes);
        let inferred = blueprint.tensors.iter().filter(|tensor| tensor.role == Role::Trained);
        let inferred: Vec<_> = inferred.map(|tensor| tensor.dimensions.clone()).collect();
        assert_eq!(sizes.0, inferred);
        let buffers = blueprint.tensors.iter().filter(|tensor| tensor.role == Role::Buffer);
        let buffers: u64 = buffers.map(|tensor| tensor.elements()).sum();
        assert_eq!(model.num_params() as u64 + buffers, blueprint.parameters());
    }
}
