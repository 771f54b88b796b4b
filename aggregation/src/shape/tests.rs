use super::*;
use crate::plan::{Plan, PlanError, PlanErrors};

/// A plan for 8x8 images in two classes with these layers, one per line from line 12 on.
fn text(layers: &[&str]) -> String {
    let layers = layers.join(",\n");
    format!(
        r#"schema = "plan/1"
name = "shapes"
purpose = "Test shapes"
seed = 1
[data]
kind = "image"
height = 8
width = 8
classes = 2
[model]
layers = [
{layers}
]
[training]
rounds = 1
batch_size = 4
optimizer = {{ name = "sgd", lr = 0.1 }}
weighting = "uniform"
[cohort]
minimum = 3
maximum = 10
[secure_aggregation]
profile = "B"
bits = 8
range = 1
clip_norm = 1
audit = "off"
"#
    )
}

fn blueprint(layers: &[&str]) -> Result<Blueprint, PlanError> {
    only(Plan::parse(&text(layers)))
}

/// The shapes, or the only error.
fn only(parsed: Result<Plan, PlanErrors>) -> Result<Blueprint, PlanError> {
    match parsed {
        Ok(plan) => Ok(plan.blueprint().expect("layers").clone()),
        Err(errors) => {
            assert_eq!(errors.errors().len(), 1, "{errors}");
            Err(errors.errors()[0].clone())
        }
    }
}

const LINEAR: &str = "{ kind = \"linear\", out = 2 }";
const FLATTEN: &str = "{ kind = \"flatten\" }";

#[test]
fn shapes_and_names_follow_from_the_layers() {
    let blueprint = blueprint(&[
        "{ kind = \"conv2d\", out = 6, kernel = 3, pad = 1, stride = 2 }",
        "{ kind = \"groupnorm\", groups = 3 }",
        "{ kind = \"residual\", layers = [{ kind = \"conv2d\", out = 6, kernel = 3, pad = 1 }] }",
        "{ kind = \"maxpool2d\", kernel = 3, stride = 1 }",
        FLATTEN,
        "{ kind = \"layernorm\" }",
        LINEAR,
    ])
    .expect("it fits together");
    let tensors: Vec<_> =
        blueprint.tensors.iter().map(|t| (t.name.as_str(), t.dimensions.as_slice())).collect();
    assert_eq!(
        tensors,
        [
            ("layers.0.conv2d.weight", &[6, 1, 3, 3][..]),
            ("layers.0.conv2d.bias", &[6]),
            ("layers.1.groupnorm.gamma", &[6]),
            ("layers.1.groupnorm.beta", &[6]),
            ("layers.2.residual.layers.0.conv2d.weight", &[6, 6, 3, 3]),
            ("layers.2.residual.layers.0.conv2d.bias", &[6]),
            ("layers.5.layernorm.gamma", &[24]),
            ("layers.5.layernorm.beta", &[24]),
            ("layers.6.linear.weight", &[24, 2]),
            ("layers.6.linear.bias", &[2]),
        ]
    );
    assert_eq!(blueprint.tensors[0].initial, Initial::Uniform { fan_in: 9 });
}

#[test]
fn a_layer_that_does_not_fit_is_named() {
    let pool = "{ kind = \"maxpool2d\", kernel = 2 }";
    let cases: &[(&[&str], &str, u32, &str)] = &[
        (
            &[LINEAR],
            "model.layers[0] (linear): expected a row of features, got an image",
            12,
            "flatten",
        ),
        (
            &[FLATTEN, pool, LINEAR],
            "model.layers[1] (maxpool2d): expected an image, got 64",
            13,
            "before any flatten",
        ),
        (
            &[pool, pool, pool, pool, FLATTEN, LINEAR],
            "model.layers[3] (maxpool2d): expected at least 2 pixels for kernel = 2, got 1 pixels",
            15,
            "smaller kernel",
        ),
        (
            &["{ kind = \"conv2d\", out = 4, kernel = 9 }", FLATTEN, LINEAR],
            "model.layers[0] (conv2d): expected at least 9 pixels",
            12,
            "more pad",
        ),
        (
            &["{ kind = \"conv2d\", out = 5, kernel = 3 }", "{ kind = \"groupnorm\", groups = 2 }"],
            "model.layers[1] (groupnorm): expected channels that divide into 2 equal groups, got 5",
            13,
            "divisor of 5",
        ),
        (
            &[FLATTEN, "{ kind = \"groupnorm\", groups = 64 }", LINEAR],
            "model.layers[1] (groupnorm): expected at least two numbers in a group",
            13,
            "fewer",
        ),
        (
            &["{ kind = \"layernorm\" }", FLATTEN, LINEAR],
            "model.layers[0] (layernorm): expected a row of features, got an image of 1 x 8 x 8",
            12,
            "flatten",
        ),
        (
            &[
                "{ kind = \"residual\", layers = [{ kind = \"relu\" }, \
                 { kind = \"conv2d\", out = 3, kernel = 3 }] }",
                FLATTEN,
                LINEAR,
            ],
            "model.layers[0] (residual): expected its layers to give back an image of 1 x 8 x 8 \
          (channels, height, width), got an image of 3 x 6 x 6",
            12,
            "keep the shape",
        ),
        (
            &[
                "{ kind = \"residual\", layers = [{ kind = \"relu\" }, \
                 { kind = \"linear\", out = 3 }] }",
                FLATTEN,
                LINEAR,
            ],
            "model.layers[0].layers[1] (linear): expected a row of features",
            12,
            "flatten",
        ),
        (
            &[FLATTEN, "{ kind = \"linear\", out = 3 }"],
            "model.layers[1] (linear): expected 2 features as the model's output, one per class, \
             got 3",
            13,
            "out = 2",
        ),
        (
            &[FLATTEN],
            "model.layers[0] (flatten): expected 2 features as the model's output",
            12,
            "linear",
        ),
        (&["{ kind = \"conv2d\", out = 1048576, kernel = 1 }", FLATTEN, LINEAR, LINEAR], "", 0, ""),
        (
            &["{ kind = \"conv2d\", out = 1048576, kernel = 1, pad = 64 }", FLATTEN, LINEAR],
            "model.layers[0] (conv2d): expected at most 67108864 numbers per example",
            12,
            "smaller",
        ),
        (
            &[
                FLATTEN,
                "{ kind = \"linear\", out = 1048576 }",
                "{ kind = \"linear\", out = 1048576 }",
            ],
            "model.layers[2] (linear): expected at most 4294967296 parameters",
            14,
            "smaller",
        ),
    ];
    for (layers, text, line, help) in cases {
        match blueprint(layers) {
            Ok(_) => assert!(text.is_empty(), "{layers:?} was accepted"),
            Err(error) => {
                assert!(!text.is_empty(), "{error}");
                let shown = error.to_string();
                assert!(shown.contains(text), "{shown}\nwas to contain\n{text}");
                assert!(error.help.contains(help), "{shown}");
                assert_eq!(error.line, *line, "{shown}");
                assert!(shown.starts_with("error[P050] line"), "{shown}");
            }
        }
    }
}
