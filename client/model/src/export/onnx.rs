//! ONNX, operator set 17 (<https://onnx.ai/onnx/operators>).

mod graph;
mod layers;
mod proto;
mod sequence;

use covey_aggregation::shape::{Blueprint, Shape};
use prost::Message as _;

use super::{ExportError, Metadata, Tensor};

use graph::Graph;
use layers::Walk;

/// The operator set: the first one that normalises layers.
const OPERATOR_SET: i64 = 17;

/// The file format that came with it.
const IR_VERSION: i64 = 8;

/// Bytes of a protocol buffer message, without the room for the graph itself.
const FILE_BYTES_MAX: u64 = (1 << 31) - (1 << 24);

/// The input's name.
pub(super) const INPUT: &str = "input";

/// The output's name.
pub(super) const OUTPUT: &str = "output";

/// How errors name the form.
pub(super) const FORM: &str = "ONNX";

/// The file of a model with these tensors.
pub(super) fn file(
    blueprint: &Blueprint,
    tensors: Vec<Tensor>,
    metadata: &Metadata,
) -> Result<Vec<u8>, ExportError> {
    let bytes = 4 * tensors.iter().map(|tensor| tensor.values.len() as u64).sum::<u64>();
    if bytes > FILE_BYTES_MAX {
        return Err(ExportError::TooLong { form: FORM, bytes, limit: FILE_BYTES_MAX });
    }
    let mut walk = Walk { graph: Graph::new(tensors) };
    let place = ("layers", "model.layers");
    let steps = (&blueprint.steps[..], &blueprint.shapes[..]);
    let (last, shape) = walk.steps(steps, INPUT.to_owned(), blueprint.input, place)?;
    walk.graph.rename(&last, OUTPUT);
    let (nodes, initializers) = walk.graph.finish();
    let graph = proto::Graph {
        nodes,
        name: "model".to_owned(),
        initializers,
        inputs: vec![value(INPUT, blueprint.input)],
        outputs: vec![value(OUTPUT, shape)],
    };
    let words = metadata.iter().map(|(key, value)| (key.clone(), value.clone()));
    let model = proto::Model {
        ir_version: IR_VERSION,
        producer_name: "covey".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        operator_sets: vec![proto::OperatorSet { domain: String::new(), version: OPERATOR_SET }],
        metadata: words.map(|(key, value)| proto::Word { key, value }).collect(),
    };
    Ok(model.encode_to_vec())
}

/// A value at the edge of the graph, of any number of examples.
fn value(name: &str, shape: Shape) -> proto::Value {
    let number = |size: u64| proto::dimension::Size::Number(size as i64);
    let (element, sizes) = match shape {
        Shape::Features(features) => (proto::FLOAT, vec![features]),
        Shape::Image { channels, height, width } => (proto::FLOAT, vec![channels, height, width]),
        Shape::Sequence { steps, features } => (proto::FLOAT, vec![steps, features]),
        Shape::Tokens { steps, .. } => (proto::INT64, vec![steps]),
    };
    let examples = proto::dimension::Size::Name("examples".to_owned());
    let sizes = std::iter::once(examples).chain(sizes.into_iter().map(number));
    let dimensions = sizes.map(|size| proto::Dimension { size: Some(size) }).collect();
    let tensor = proto::TensorType { element, shape: Some(proto::Sizes { dimensions }) };
    proto::Value { name: name.to_owned(), kind: Some(proto::Type { tensor: Some(tensor) }) }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What a reader checks first.
    pub(in super::super) fn check(file: &[u8]) {
        let model = proto::Model::decode(file).expect("a message");
        assert_eq!((model.ir_version, model.operator_sets[0].version), (IR_VERSION, OPERATOR_SET));
        assert_eq!(model.metadata[0].key, "round");
        let graph = model.graph.expect("a graph");
        let mut known = BTreeSet::from([INPUT.to_owned()]);
        for constant in &graph.initializers {
            let each = if constant.element == proto::INT64 { 8 } else { 4 };
            let numbers = constant.sizes.iter().product::<i64>() as usize;
            assert_eq!(constant.bytes.len(), each * numbers, "{}", constant.name);
            assert!(known.insert(constant.name.clone()), "{} is there twice", constant.name);
        }
        for node in &graph.nodes {
            for input in &node.inputs {
                assert!(known.contains(input), "{}: no {input}", node.name);
            }
            for output in node.outputs.iter().filter(|output| !output.is_empty()) {
                assert!(known.insert(output.clone()), "{output} is there twice");
            }
        }
        assert!(known.contains(OUTPUT));
        let used: BTreeSet<_> = graph.nodes.iter().flat_map(|node| &node.inputs).collect();
        let unused = graph.initializers.iter().find(|one| !used.contains(&one.name));
        assert_eq!(unused.map(|one| &one.name), None, "a tensor of the model is used by no node");
    }
}
