//! A graph in the making.

use std::collections::{HashMap, HashSet};

use super::super::Tensor;
use super::super::layout::transpose;
use super::proto::{Attribute, Constant, FLOAT, INT64, Node};

/// Nodes and constants. Values go by name.
pub(super) struct Graph {
    weights: HashMap<String, Tensor>,
    nodes: Vec<Node>,
    constants: Vec<Constant>,
    /// Names of constants that are there already.
    known: HashSet<String>,
}

impl Graph {
    pub(super) fn new(tensors: Vec<Tensor>) -> Self {
        let weights = tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
        Self { weights, nodes: Vec::new(), constants: Vec::new(), known: HashSet::new() }
    }

    /// Adds a node with one output; its name is the result.
    pub(super) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        let output = format!("{operator}_{}", self.nodes.len());
        self.nodes_of(operator, inputs, attributes, vec![output.clone()]);
        output
    }

    /// Adds a node with these outputs; the name of one that is not needed is empty.
    pub(super) fn nodes_of(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
        outputs: Vec<String>,
    ) {
        self.nodes.push(Node {
            inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
            outputs,
            name: format!("{operator}_{}", self.nodes.len()),
            operator: operator.to_owned(),
            attributes,
        });
    }

    /// A name for a value that no other has.
    pub(super) fn name(&self, part: &str) -> String {
        format!("{part}_{}", self.nodes.len())
    }

    /// The numbers of a tensor of the model.
    pub(super) fn take(&mut self, name: &str) -> Tensor {
        let Some(tensor) = self.weights.remove(name) else {
            unreachable!("{name}: layout and graph walk through the same layers, once");
        };
        tensor
    }

    /// A tensor of the model, as PyTorch has it.
    pub(super) fn weight(&mut self, name: &str) -> String {
        let Tensor { name, shape, values } = self.take(name);
        self.numbers(name, &shape, &values)
    }

    /// A weight of `[out, in]` as `[in, out]`.
    pub(super) fn transposed(&mut self, name: &str) -> String {
        let Tensor { name, shape, values } = self.take(name);
        let mut turned = vec![0.0; values.len()];
        transpose(&values, [shape[0], shape[1]], &mut turned);
        self.numbers(name, &[shape[1], shape[0]], &turned)
    }

    /// Numbers that are always the same.
    pub(super) fn numbers(&mut self, name: String, sizes: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(name, sizes, FLOAT, bytes)
    }

    /// One number.
    pub(super) fn number(&mut self, value: f32) -> String {
        self.numbers(format!("number_{value}"), &[], &[value])
    }

    /// Whole numbers, such as sizes.
    pub(super) fn wholes(&mut self, values: &[i64]) -> String {
        let words: Vec<String> = values.iter().map(i64::to_string).collect();
        let bytes = values.iter().flat_map(|whole| whole.to_le_bytes()).collect();
        self.constant(format!("sizes_{}", words.join("_")), &[values.len()], INT64, bytes)
    }

    fn constant(&mut self, name: String, sizes: &[usize], element: i32, bytes: Vec<u8>) -> String {
        if self.known.insert(name.clone()) {
            let sizes = sizes.iter().map(|&size| size as i64).collect();
            self.constants.push(Constant { sizes, element, name: name.clone(), bytes });
        }
        name
    }

    /// Gives on the value `from` as `to`.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        self.nodes_of("Identity", &[from], Vec::new(), vec![to.to_owned()]);
    }

    pub(super) fn finish(self) -> (Vec<Node>, Vec<Constant>) {
        (self.nodes, self.constants)
    }
}
