//! Layers as nodes.

use covey_aggregation::plan::Buffers;
use covey_aggregation::shape::{Kernel, Shape, Step};

use super::super::ExportError;
use super::FORM;
use super::graph::Graph;
use super::proto::Attribute;
use crate::model::NORM_EPSILON;

/// Goes through the layers.
pub(super) struct Walk {
    pub(super) graph: Graph,
}

/// A value and what it is.
pub(super) type At = (String, Shape);

impl Walk {
    /// Adds layers with what each of them produces; the value after them is the result. They have
    /// two names: that of their tensors and that in the plan.
    pub(super) fn steps(
        &mut self,
        (steps, shapes): (&[Step], &[Shape]),
        mut value: String,
        mut shape: Shape,
        (name, path): (&str, &str),
    ) -> Result<At, ExportError> {
        for (index, (step, &next)) in steps.iter().zip(shapes).enumerate() {
            let place = (&*format!("{name}.{index}"), &*format!("{path}[{index}]"));
            value = self.step(step, &value, [shape, next], place)?;
            shape = next;
        }
        Ok((value, shape))
    }

    /// `[shape, next]`: of `x`, and of what the layer produces.
    fn step(
        &mut self,
        step: &Step,
        x: &str,
        [shape, next]: [Shape; 2],
        (name, path): (&str, &str),
    ) -> Result<String, ExportError> {
        let is_steps = matches!(shape, Shape::Sequence { .. });
        let axis = |axis| vec![Attribute::of_whole("axis", axis)];
        Ok(match step {
            Step::Linear { .. } => self.dense(x, name, is_steps),
            Step::Conv1d(kernel) => self.over_steps(x, |walk, x| walk.conv(x, name, kernel, 1)),
            Step::Conv2d(kernel) => self.conv(x, name, kernel, 2),
            Step::BatchNorm { buffers: Buffers::Local, .. } => {
                return Err(ExportError::NoEquivalent {
                    layer: format!("{path} (batchnorm)"),
                    form: FORM,
                    why: "with buffers = \"local\" there are no averages to normalise with; they \
                          are estimated from the examples that the model is asked about; PyTorch \
                          does so (hf-folder), and buffers = \"average\" has them",
                });
            }
            Step::BatchNorm { .. } if is_steps => {
                self.over_steps(x, |walk, x| walk.batch_norm(x, name))
            }
            Step::BatchNorm { .. } => self.batch_norm(x, name),
            Step::GroupNorm { groups, channels } if is_steps => {
                self.over_steps(x, |walk, x| walk.group_norm(x, name, [*groups, *channels], 1))
            }
            Step::GroupNorm { groups, channels } => match shape {
                Shape::Image { height, width, .. } => {
                    let x = self.group_norm(x, name, [*groups, *channels], 2);
                    let sizes = [-1, *channels as i64, height as i64, width as i64];
                    self.reshape(&x, &sizes)
                }
                _ => self.group_norm(x, name, [*groups, *channels], 0),
            },
            Step::LayerNorm { .. } => self.layer_norm(x, name),
            Step::Embedding { .. } => {
                let rows = self.graph.weight(&format!("{name}.weight"));
                self.graph.node("Gather", &[&rows, x], axis(0))
            }
            Step::Position { .. } => {
                let rows = self.graph.weight(&format!("{name}.weight"));
                self.graph.node("Add", &[x, &rows], Vec::new())
            }
            Step::Lstm { hidden, is_last, .. } => self.lstm(x, name, *hidden, *is_last),
            Step::Gru { hidden, is_last, .. } => self.gru(x, name, *hidden, *is_last),
            Step::Encoder { .. } => self.encoder(step, x, shape, name),
            Step::Residual { steps, shapes } => {
                let places = (&*format!("{name}.layers"), &*format!("{path}.layers"));
                let (y, _) = self.steps((steps, shapes), x.to_owned(), shape, places)?;
                self.graph.node("Add", &[x, &y], Vec::new())
            }
            Step::Softmax => self.graph.node("Softmax", &[x], axis(-1)),
            Step::Relu => self.graph.node("Relu", &[x], Vec::new()),
            Step::LeakyRelu { slope } => self.graph.node(
                "LeakyRelu",
                &[x],
                vec![Attribute::of_number("alpha", *slope as f32)],
            ),
            Step::Gelu => self.gelu(x),
            Step::Silu => {
                let share = self.graph.node("Sigmoid", &[x], Vec::new());
                self.graph.node("Mul", &[x, &share], Vec::new())
            }
            Step::Tanh => self.graph.node("Tanh", &[x], Vec::new()),
            Step::Sigmoid => self.graph.node("Sigmoid", &[x], Vec::new()),
            // It is for training only.
            Step::Dropout { .. } => x.to_owned(),
            step => self.fixed(step, x, [shape, next]),
        })
    }

    /// Pools and changes of shape.
    fn fixed(&mut self, step: &Step, x: &str, [shape, next]: [Shape; 2]) -> String {
        match step {
            Step::MaxPool1d { kernel, stride } => {
                self.over_steps(x, |walk, x| walk.pool("MaxPool", x, [*kernel, *stride], 1))
            }
            Step::MaxPool2d { kernel, stride } => self.pool("MaxPool", x, [*kernel, *stride], 2),
            Step::AvgPool1d { kernel, stride } => {
                self.over_steps(x, |walk, x| walk.pool("AveragePool", x, [*kernel, *stride], 1))
            }
            Step::AvgPool2d { kernel, stride } => {
                self.pool("AveragePool", x, [*kernel, *stride], 2)
            }
            Step::AdaptiveAvgPool1d { out } => match shape {
                Shape::Sequence { steps, .. } => self.means(x, steps as usize, *out, true),
                _ => x.to_owned(),
            },
            Step::AdaptiveAvgPool2d { out } => match shape {
                Shape::Image { height, width, .. } => {
                    let x = self.means(x, height as usize, *out, true);
                    self.means(&x, width as usize, *out, false)
                }
                _ => x.to_owned(),
            },
            Step::GlobalAvgPool => self.mean(x, &[2, 3]),
            Step::MeanSteps => self.mean(x, &[1]),
            Step::Flatten => self.reshape(x, &[-1, shape.elements() as i64]),
            Step::Sequence { .. } => {
                let Shape::Sequence { steps, features } = next else {
                    return x.to_owned();
                };
                self.reshape(x, &[-1, steps as i64, features as i64])
            }
            Step::LastStep => {
                let Shape::Sequence { steps, .. } = shape else { return x.to_owned() };
                let last = self.graph.wholes(&[steps as i64 - 1]);
                let x =
                    self.graph.node("Gather", &[x, &last], vec![Attribute::of_whole("axis", 1)]);
                let axes = self.graph.wholes(&[1]);
                self.graph.node("Squeeze", &[&x, &axes], Vec::new())
            }
            other => unreachable!("{other:?} is a layer with a node of its own"),
        }
    }

    /// `y = x W + b`.
    pub(super) fn dense(&mut self, x: &str, name: &str, is_steps: bool) -> String {
        let bias = format!("{name}.bias");
        if is_steps {
            let weight = self.graph.transposed(&format!("{name}.weight"));
            let y = self.graph.node("MatMul", &[x, &weight], Vec::new());
            let bias = self.graph.weight(&bias);
            return self.graph.node("Add", &[&y, &bias], Vec::new());
        }
        let weight = self.graph.weight(&format!("{name}.weight"));
        let bias = self.graph.weight(&bias);
        self.graph.node("Gemm", &[x, &weight, &bias], vec![Attribute::of_whole("transB", 1)])
    }

    fn conv(&mut self, x: &str, name: &str, kernel: &Kernel, sides: usize) -> String {
        let weight = self.graph.weight(&format!("{name}.weight"));
        let bias = self.graph.weight(&format!("{name}.bias"));
        let attributes = vec![
            Attribute::of_wholes("kernel_shape", &vec![kernel.kernel; sides]),
            Attribute::of_wholes("strides", &vec![kernel.stride; sides]),
            Attribute::of_wholes("pads", &vec![kernel.pad; 2 * sides]),
        ];
        self.graph.node("Conv", &[x, &weight, &bias], attributes)
    }

    fn pool(
        &mut self,
        operator: &str,
        x: &str,
        [kernel, stride]: [usize; 2],
        sides: usize,
    ) -> String {
        let attributes = vec![
            Attribute::of_wholes("kernel_shape", &vec![kernel; sides]),
            Attribute::of_wholes("strides", &vec![stride; sides]),
        ];
        self.graph.node(operator, &[x], attributes)
    }

    /// Means of `out` windows over the last side of `from`, or the one before it: window i goes
    /// from `floor(i from / out)` to `ceil((i + 1) from / out)`, as in PyTorch. Windows of
    /// different sizes are no pool of ONNX, so it is a product with a matrix of shares.
    fn means(&mut self, x: &str, from: usize, out: usize, is_first: bool) -> String {
        let mut shares = vec![0.0; out * from];
        for window in 0..out {
            let (start, end) = (window * from / out, ((window + 1) * from).div_ceil(out));
            for place in start..end {
                let at = if is_first { window * from + place } else { place * out + window };
                shares[at] = 1.0 / (end - start) as f32;
            }
        }
        let sizes = if is_first { [out, from] } else { [from, out] };
        let name = format!("shares_{}_{}", sizes[0], sizes[1]);
        let name = if is_first { name } else { format!("{name}_columns") };
        let shares = self.graph.numbers(name, &sizes, &shares);
        let inputs = if is_first { [&*shares, x] } else { [x, &*shares] };
        self.graph.node("MatMul", &inputs, Vec::new())
    }

    fn mean(&mut self, x: &str, axes: &[usize]) -> String {
        let attributes =
            vec![Attribute::of_wholes("axes", axes), Attribute::of_whole("keepdims", 0)];
        self.graph.node("ReduceMean", &[x], attributes)
    }

    fn batch_norm(&mut self, x: &str, name: &str) -> String {
        let parts = ["weight", "bias", "running_mean", "running_var"];
        let [scale, offset, mean, variance] =
            parts.map(|part| self.graph.weight(&format!("{name}.{part}")));
        let attributes = vec![Attribute::of_number("epsilon", NORM_EPSILON as f32)];
        let inputs = [x, &*scale, &*offset, &*mean, &*variance];
        self.graph.node("BatchNormalization", &inputs, attributes)
    }

    /// Channels come second, and `sides` more dimensions after them. For two, the result is
    /// `[examples, channels, height * width]`.
    fn group_norm(
        &mut self,
        x: &str,
        name: &str,
        [groups, channels]: [usize; 2],
        sides: usize,
    ) -> String {
        let x = self.reshape(x, &[0, groups as i64, -1]);
        let ones = self.graph.numbers(format!("ones_{groups}"), &[groups], &vec![1.0; groups]);
        let zeros = self.graph.numbers(format!("zeros_{groups}"), &[groups], &vec![0.0; groups]);
        let attributes = vec![Attribute::of_number("epsilon", NORM_EPSILON as f32)];
        let x = self.graph.node("InstanceNormalization", &[&x, &ones, &zeros], attributes);
        let (sizes, each): (&[i64], &[usize]) = match sides {
            0 => (&[-1, channels as i64], &[channels]),
            _ => (&[0, channels as i64, -1], &[channels, 1]),
        };
        let x = self.reshape(&x, sizes);
        let [scale, offset] = ["weight", "bias"].map(|part| {
            let tensor = self.graph.take(&format!("{name}.{part}"));
            self.graph.numbers(tensor.name, each, &tensor.values)
        });
        let x = self.graph.node("Mul", &[&x, &scale], Vec::new());
        self.graph.node("Add", &[&x, &offset], Vec::new())
    }

    pub(super) fn layer_norm(&mut self, x: &str, name: &str) -> String {
        let [scale, offset] =
            ["weight", "bias"].map(|part| self.graph.weight(&format!("{name}.{part}")));
        let attributes = vec![
            Attribute::of_whole("axis", -1),
            Attribute::of_number("epsilon", NORM_EPSILON as f32),
        ];
        self.graph.node("LayerNormalization", &[x, &scale, &offset], attributes)
    }

    /// `x / 2 (1 + erf(x / sqrt 2))`.
    pub(super) fn gelu(&mut self, x: &str) -> String {
        let root = self.graph.number(std::f32::consts::SQRT_2);
        let [one, half] = [1.0, 0.5].map(|number| self.graph.number(number));
        let y = self.graph.node("Div", &[x, &root], Vec::new());
        let y = self.graph.node("Erf", &[&y], Vec::new());
        let y = self.graph.node("Add", &[&y, &one], Vec::new());
        let y = self.graph.node("Mul", &[x, &y], Vec::new());
        self.graph.node("Mul", &[&y, &half], Vec::new())
    }

    pub(super) fn reshape(&mut self, x: &str, sizes: &[i64]) -> String {
        let sizes = self.graph.wholes(sizes);
        self.graph.node("Reshape", &[x, &sizes], Vec::new())
    }

    pub(super) fn transpose(&mut self, x: &str, order: &[usize]) -> String {
        self.graph.node("Transpose", &[x], vec![Attribute::of_wholes("perm", order)])
    }

    /// Layers over steps take `[examples, features, steps]`.
    fn over_steps(&mut self, x: &str, layer: impl FnOnce(&mut Self, &str) -> String) -> String {
        let x = self.transpose(x, &[0, 2, 1]);
        let x = layer(self, &x);
        self.transpose(&x, &[0, 2, 1])
    }
}
