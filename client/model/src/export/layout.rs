//! Where the numbers of the flat vector lie in PyTorch's tensors.

use std::collections::HashMap;

use covey_aggregation::plan::Buffers;
use covey_aggregation::shape::{Blueprint, Kernel, Role, Step};

/// A tensor as PyTorch has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name in a `state_dict`.
    pub name: String,
    /// Its sizes, outermost first.
    pub shape: Vec<usize>,
    /// Its numbers, row by row.
    pub values: Vec<f32>,
}

/// The tensors of a model in PyTorch, and where each one of the flat vector lies in them.
pub(crate) struct Layout {
    tensors: Vec<(String, Vec<usize>)>,
    slots: Vec<Slot>,
}

/// The place of one tensor of the flat vector.
struct Slot {
    /// In which tensor.
    tensor: usize,
    /// From which of its numbers on.
    offset: usize,
    /// `[rows, columns]` in the flat vector; a plain row has one row.
    size: [usize; 2],
    /// Whether rows are columns there.
    is_transposed: bool,
    /// A tensor that PyTorch adds to it.
    added: Option<usize>,
}

impl Layout {
    /// Of a model without adapters, or with its adapters added to the weights.
    pub(crate) fn of(blueprint: &Blueprint) -> Self {
        let mut layout = Self { tensors: Vec::new(), slots: Vec::new() };
        layout.steps(&blueprint.steps, "layers");
        layout
    }

    /// The name of the first tensor.
    pub(crate) fn first(&self) -> Option<&str> {
        self.tensors.first().map(|(name, _)| name.as_str())
    }

    /// From the flat vector.
    pub(crate) fn to_pytorch(&self, flat: &[f32]) -> Vec<Tensor> {
        let tensor = |(name, shape): &(String, Vec<usize>)| Tensor {
            name: name.clone(),
            shape: shape.clone(),
            values: vec![0.0; shape.iter().product()],
        };
        let mut tensors: Vec<_> = self.tensors.iter().map(tensor).collect();
        let mut rest = flat;
        for slot in &self.slots {
            let [rows, columns] = slot.size;
            let (numbers, after) = rest.split_at(rows * columns);
            rest = after;
            let values = &mut tensors[slot.tensor].values[slot.offset..];
            if slot.is_transposed {
                transpose(numbers, [rows, columns], values);
            } else {
                values[..numbers.len()].copy_from_slice(numbers);
            }
        }
        tensors
    }

    /// To the flat vector; `read` gives the numbers of a tensor of this name and these sizes.
    pub(crate) fn to_flat<E>(
        &self,
        mut read: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, E>,
    ) -> Result<Vec<f32>, E> {
        let tensors = self.tensors.iter().map(|(name, shape)| read(name, shape));
        let tensors: Vec<_> = tensors.collect::<Result<_, _>>()?;
        let mut flat = Vec::new();
        for slot in &self.slots {
            let [rows, columns] = slot.size;
            let start = flat.len();
            let values = &tensors[slot.tensor][slot.offset..slot.offset + rows * columns];
            if slot.is_transposed {
                flat.resize(start + rows * columns, 0.0);
                transpose(values, [columns, rows], &mut flat[start..]);
            } else {
                flat.extend_from_slice(values);
            }
            let added = slot.added.map_or(&[][..], |added| &tensors[added]);
            for (number, added) in flat[start..].iter_mut().zip(added) {
                // -0 + 0 is 0, and digests are of bits.
                if *added != 0.0 {
                    *number += added;
                }
            }
        }
        Ok(flat)
    }

    fn steps(&mut self, steps: &[Step], prefix: &str) {
        for (index, step) in steps.iter().enumerate() {
            self.step(step, &format!("{prefix}.{index}"));
        }
    }

    fn step(&mut self, step: &Step, name: &str) {
        match step {
            Step::Linear { input, out } => self.dense(name, [*input, *out]),
            Step::Conv1d(Kernel { input, out, kernel, .. }) => {
                self.same(name, "weight", &[*out, *input, *kernel]);
                self.same(name, "bias", &[*out]);
            }
            Step::Conv2d(Kernel { input, out, kernel, .. }) => {
                self.same(name, "weight", &[*out, *input, *kernel, *kernel]);
                self.same(name, "bias", &[*out]);
            }
            Step::BatchNorm { channels, buffers } => {
                self.norm(name, *channels);
                if *buffers == Buffers::Average {
                    self.same(name, "running_mean", &[*channels]);
                    self.same(name, "running_var", &[*channels]);
                }
            }
            Step::GroupNorm { channels: size, .. } | Step::LayerNorm { features: size } => {
                self.norm(name, *size);
            }
            Step::Embedding { vocabulary: rows, out }
            | Step::Position { steps: rows, features: out } => {
                self.same(name, "weight", &[*rows, *out]);
            }
            Step::Lstm { input, hidden, .. } => {
                self.transposed(name, "weight_ih_l0", [*input, 4 * hidden]);
                self.transposed(name, "weight_hh_l0", [*hidden, 4 * hidden]);
                self.same(name, "bias_ih_l0", &[4 * hidden]);
                let added = self.tensor(name, "bias_hh_l0", &[4 * hidden]);
                if let Some(slot) = self.slots.last_mut() {
                    slot.added = Some(added);
                }
            }
            Step::Gru { input, hidden, .. } => {
                self.transposed(name, "weight_ih_l0", [*input, 3 * hidden]);
                self.transposed(name, "weight_hh_l0", [*hidden, 3 * hidden]);
                self.same(name, "bias_ih_l0", &[3 * hidden]);
                self.same(name, "bias_hh_l0", &[3 * hidden]);
            }
            Step::Encoder { layers, features, ff, .. } => {
                (0..*layers).for_each(|block| {
                    self.block(&format!("{name}.layers.{block}"), *features, *ff);
                });
            }
            Step::Residual { steps, .. } => self.steps(steps, &format!("{name}.layers")),
            _ => {}
        }
    }

    /// A transformer block.
    fn block(&mut self, name: &str, features: usize, ff: usize) {
        self.norm(&format!("{name}.norm1"), features);
        let attention = format!("{name}.self_attn");
        let weight = self.tensor(&attention, "in_proj_weight", &[3 * features, features]);
        let bias = self.tensor(&attention, "in_proj_bias", &[3 * features]);
        for place in 0..3 {
            self.slots.push(Slot {
                tensor: weight,
                offset: place * features * features,
                size: [features, features],
                is_transposed: true,
                added: None,
            });
            self.slots.push(Slot {
                tensor: bias,
                offset: place * features,
                size: [1, features],
                is_transposed: false,
                added: None,
            });
        }
        self.dense(&format!("{attention}.out_proj"), [features, features]);
        self.norm(&format!("{name}.norm2"), features);
        self.dense(&format!("{name}.linear1"), [features, ff]);
        self.dense(&format!("{name}.linear2"), [ff, features]);
    }

    fn dense(&mut self, name: &str, [input, out]: [usize; 2]) {
        self.transposed(name, "weight", [input, out]);
        self.same(name, "bias", &[out]);
    }

    fn norm(&mut self, name: &str, size: usize) {
        self.same(name, "weight", &[size]);
        self.same(name, "bias", &[size]);
    }

    fn tensor(&mut self, name: &str, part: &str, shape: &[usize]) -> usize {
        self.tensors.push((format!("{name}.{part}"), shape.to_vec()));
        self.tensors.len() - 1
    }

    fn same(&mut self, name: &str, part: &str, shape: &[usize]) {
        let tensor = self.tensor(name, part, shape);
        let size = [1, shape.iter().product()];
        self.slots.push(Slot { tensor, offset: 0, size, is_transposed: false, added: None });
    }

    /// `size`: in the flat vector.
    fn transposed(&mut self, name: &str, part: &str, size: [usize; 2]) {
        let tensor = self.tensor(name, part, &[size[1], size[0]]);
        self.slots.push(Slot { tensor, offset: 0, size, is_transposed: true, added: None });
    }
}

/// Writes `[rows, columns]` as `[columns, rows]`.
pub(super) fn transpose(from: &[f32], [rows, columns]: [usize; 2], to: &mut [f32]) {
    for row in 0..rows {
        for column in 0..columns {
            to[column * rows + row] = from[row * columns + column];
        }
    }
}

/// The flat vector of the model without adapters: what they change is added to the weights.
pub(super) fn whole(blueprint: &Blueprint, parameters: &[f32], base: &[f32]) -> Vec<f32> {
    let Some(scale) = blueprint.adapter_scale else { return parameters.to_vec() };
    let (mut trained, mut fixed) = (parameters, base);
    let mut flat = Vec::with_capacity(base.len());
    // Where the weights lie, by their names.
    let mut weights: HashMap<&str, usize> = HashMap::new();
    let mut first: (&[f32], usize) = (&[], 1);
    for tensor in &blueprint.tensors {
        let from = if tensor.role == Role::Fixed { &mut fixed } else { &mut trained };
        let (numbers, rest) = from.split_at(tensor.elements() as usize);
        *from = rest;
        if tensor.role == Role::Fixed {
            if let Some(layer) = tensor.name.strip_suffix(".weight") {
                weights.insert(layer, flat.len());
            }
            flat.extend_from_slice(numbers);
        } else if tensor.name.ends_with(".lora.a") {
            first = (numbers, tensor.dimensions[1] as usize);
        } else if let Some(layer) = tensor.name.strip_suffix(".lora.b")
            && let Some(start) = weights.get(layer)
        {
            let (a, rank) = first;
            let out = tensor.dimensions[1] as usize;
            let weight = &mut flat[*start..start + a.len() / rank * out];
            for (row, a) in weight.chunks_mut(out).zip(a.chunks(rank)) {
                for (column, number) in row.iter_mut().enumerate() {
                    let sum: f64 = (0..rank)
                        .map(|k| f64::from(a[k]) * f64::from(numbers[k * out + column]))
                        .sum();
                    *number = (f64::from(*number) + scale * sum) as f32;
                }
            }
        }
    }
    flat
}
