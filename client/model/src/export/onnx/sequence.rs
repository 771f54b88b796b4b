//! Recurrent layers and transformer blocks.

use covey_aggregation::shape::{Shape, Step};

use super::layers::Walk;
use super::proto::Attribute;
use crate::model::UNSEEN;

impl Walk {
    /// ONNX has the gates in the order input, output, forget, cell.
    pub(super) fn lstm(&mut self, x: &str, name: &str, hidden: usize, is_last: bool) -> String {
        self.recurrent("LSTM", x, name, (hidden, is_last), &[0, 3, 1, 2])
    }

    /// ONNX has the gates in the order update, reset, hidden.
    pub(super) fn gru(&mut self, x: &str, name: &str, hidden: usize, is_last: bool) -> String {
        self.recurrent("GRU", x, name, (hidden, is_last), &[1, 0, 2])
    }

    /// `gates`: where PyTorch has each of ONNX's gates.
    fn recurrent(
        &mut self,
        operator: &str,
        x: &str,
        name: &str,
        (hidden, is_last): (usize, bool),
        gates: &[usize],
    ) -> String {
        let mut reordered = |part: &str| {
            let tensor = self.graph.take(&format!("{name}.{part}_l0"));
            let gate = tensor.values.len() / gates.len();
            let values = gates.iter().flat_map(|&at| &tensor.values[at * gate..(at + 1) * gate]);
            let values: Vec<f32> = values.copied().collect();
            (tensor.name, values)
        };
        let [input_weight, hidden_weight, input_bias, hidden_bias] =
            ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map(&mut reordered);
        let rows = gates.len() * hidden;
        let mut weight = |(name, values): (String, Vec<f32>)| {
            self.graph.numbers(name, &[1, rows, values.len() / rows], &values)
        };
        let (w, r) = (weight(input_weight), weight(hidden_weight));
        let bias = [input_bias.1, hidden_bias.1].concat();
        let b = self.graph.numbers(format!("{name}.bias"), &[1, 2 * rows], &bias);
        let mut attributes = vec![Attribute::of_whole("hidden_size", hidden as i64)];
        if operator == "GRU" {
            // The reset gate comes after the hidden weights.
            attributes.push(Attribute::of_whole("linear_before_reset", 1));
        }
        let x = self.transpose(x, &[1, 0, 2]);
        let states = self.graph.name("states");
        let outputs =
            if is_last { vec![String::new(), states.clone()] } else { vec![states.clone()] };
        self.graph.nodes_of(operator, &[&x, &w, &r, &b], attributes, outputs);
        // [steps, 1, examples, hidden], or [1, examples, hidden] of the last one.
        let direction = self.graph.wholes(&[i64::from(!is_last)]);
        let y = self.graph.node("Squeeze", &[&states, &direction], Vec::new());
        if is_last { y } else { self.transpose(&y, &[1, 0, 2]) }
    }

    pub(super) fn encoder(&mut self, step: &Step, x: &str, shape: Shape, name: &str) -> String {
        let (Step::Encoder { layers, features, heads, causal, .. }, Shape::Sequence { steps, .. }) =
            (step, shape)
        else {
            unreachable!("an encoder takes a sequence");
        };
        let mask = causal.then(|| self.mask(steps as usize));
        let mut x = x.to_owned();
        for block in 0..*layers {
            let name = format!("{name}.layers.{block}");
            let y = self.layer_norm(&x, &format!("{name}.norm1"));
            let y = self.attend(&y, &format!("{name}.self_attn"), [*features, *heads], &mask);
            x = self.graph.node("Add", &[&x, &y], Vec::new());
            let y = self.layer_norm(&x, &format!("{name}.norm2"));
            let y = self.dense(&y, &format!("{name}.linear1"), true);
            let y = self.gelu(&y);
            let y = self.dense(&y, &format!("{name}.linear2"), true);
            x = self.graph.node("Add", &[&x, &y], Vec::new());
        }
        x
    }

    fn attend(
        &mut self,
        x: &str,
        name: &str,
        [features, heads]: [usize; 2],
        mask: &Option<String>,
    ) -> String {
        let weight = self.graph.transposed(&format!("{name}.in_proj_weight"));
        let bias = self.graph.weight(&format!("{name}.in_proj_bias"));
        let x = self.graph.node("MatMul", &[x, &weight], Vec::new());
        let x = self.graph.node("Add", &[&x, &bias], Vec::new());
        let parts = ["query", "key", "value"].map(|part| self.graph.name(part));
        let sizes = self.graph.wholes(&[features as i64; 3]);
        let axis = vec![Attribute::of_whole("axis", 2)];
        self.graph.nodes_of("Split", &[&x, &sizes], axis, parts.to_vec());
        let width = features / heads;
        let orders = [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]];
        let mut split = parts.iter().zip(orders).map(|(part, order)| {
            let part = self.reshape(part, &[0, 0, heads as i64, width as i64]);
            self.transpose(&part, &order)
        });
        let [query, key, value] = [(); 3].map(|()| split.next().unwrap_or_default());
        let scale = self.graph.number((width as f32).sqrt());
        let scores = self.graph.node("MatMul", &[&query, &key], Vec::new());
        let mut scores = self.graph.node("Div", &[&scores, &scale], Vec::new());
        if let Some(mask) = mask {
            scores = self.graph.node("Add", &[&scores, mask], Vec::new());
        }
        let shares = self.graph.node("Softmax", &[&scores], vec![Attribute::of_whole("axis", -1)]);
        let mixed = self.graph.node("MatMul", &[&shares, &value], Vec::new());
        let mixed = self.transpose(&mixed, &[0, 2, 1, 3]);
        let mixed = self.reshape(&mixed, &[0, 0, features as i64]);
        self.dense(&mixed, &format!("{name}.out_proj"), true)
    }

    /// `[steps, steps]`: step i sees step j up to i.
    fn mask(&mut self, steps: usize) -> String {
        let seen =
            |row: usize| (0..steps).map(move |column| if column > row { UNSEEN } else { 0.0 });
        let numbers: Vec<f32> = (0..steps).flat_map(seen).collect();
        self.graph.numbers(format!("mask_{steps}"), &[steps, steps], &numbers)
    }
}
