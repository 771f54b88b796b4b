//! Adapters: which weights get them, and what is fixed then.

use crate::plan::Lora;

use super::{Blueprint, Initial, Role, Tensor};

/// An adapter's target is the name of no weight that can be adapted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("model.lora.targets names {target:?}, which is no weight that can be adapted")]
pub struct NoSuchWeight {
    /// The name.
    pub target: String,
    /// The names of all weights that can be adapted.
    pub known: Vec<String>,
}

impl Blueprint {
    /// The same model with adapters `A` of `[in, rank]` and `B` of `[rank, out]` beside the
    /// weights that are named; everything else is fixed. B begins at zero, so that the model
    /// begins as its base.
    ///
    /// # Errors
    /// [`NoSuchWeight`] with the first target that fits nothing.
    pub fn adapted(&self, lora: &Lora) -> Result<Self, NoSuchWeight> {
        let known: Vec<&str> = self.tensors.iter().filter_map(adaptable).collect();
        let fits = |name: &str, target: &str| {
            name == target || name.strip_suffix(target).is_some_and(|rest| rest.ends_with('.'))
        };
        let stray = |target: &&String| !known.iter().any(|name| fits(name, target));
        if let Some(target) = lora.targets.iter().find(stray) {
            let known = known.iter().map(|&name| name.to_owned()).collect();
            return Err(NoSuchWeight { target: target.clone(), known });
        }
        let mut tensors = Vec::with_capacity(self.tensors.len());
        // An adapter comes after the offset of its weight.
        let mut waiting: Vec<Tensor> = Vec::new();
        for tensor in &self.tensors {
            tensors.push(Tensor { role: Role::Fixed, ..tensor.clone() });
            tensors.append(&mut waiting);
            let name = adaptable(tensor);
            if let Some(name) = name.filter(|name| lora.targets.iter().any(|one| fits(name, one))) {
                waiting = adapter(name, tensor, lora.rank);
            }
        }
        tensors.append(&mut waiting);
        let adapter_scale = Some(lora.alpha / lora.rank as f64);
        Ok(Self { tensors, adapter_scale, ..self.clone() })
    }
}

/// The name of a weight that can be adapted: of `y = x W + b`, which has an offset after it.
fn adaptable(tensor: &Tensor) -> Option<&str> {
    const KINDS: [&str; 7] = ["linear", "query", "key", "value", "output", "expand", "contract"];
    let name = tensor.name.strip_suffix(".weight")?;
    let kind = name.rsplit('.').next()?;
    KINDS.contains(&kind).then_some(name)
}

fn adapter(name: &str, weight: &Tensor, rank: u64) -> Vec<Tensor> {
    let [input, out] = [weight.dimensions[0], weight.dimensions[1]];
    let tensor = |part: &str, dimensions: [u64; 2], initial| Tensor {
        name: format!("{name}.lora.{part}"),
        dimensions: dimensions.to_vec(),
        initial,
        role: Role::Trained,
    };
    let a = tensor("a", [input, rank], Initial::Uniform { fan_in: input });
    vec![a, tensor("b", [rank, out], Initial::Zeros)]
}
