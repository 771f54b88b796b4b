//! A model in the forms of other tools: safetensors as PyTorch has them, a script that is the
//! model in PyTorch, ONNX.
//!
//! # Decisions
//! - Names and layouts are those of `torch.nn`: linear weights `[out, in]`, gates of LSTM and GRU
//!   in its order, attention with one projection for query, key and value. A model of this project
//!   has one offset for the gates of an LSTM where PyTorch has two: the second one is zero.
//! - Adapters are added to the weights that they adapt; nothing of them is left.
//! - Dropout does nothing in an exported model that is asked for answers. In training, PyTorch's
//!   transformer blocks have two more places for it than a plan's.

mod layout;
mod onnx;
mod script;

use std::collections::BTreeMap;

use serde_json::json;

use crate::task::Task;

pub(crate) use layout::Layout;
pub use layout::Tensor;

/// What says in a safetensors file that it has PyTorch's layout, as other tools write it.
const PYTORCH: &str = "pt";

/// Words about a model that go into its file, such as the run that it comes from.
pub type Metadata = BTreeMap<String, String>;

/// A model that cannot be exported so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// The parameters are another model's.
    #[error("{got} parameters were given, the plan's model has {expected}")]
    Parameters {
        /// Length of the plan's vector.
        expected: u64,
        /// Length given.
        got: usize,
    },
    /// The model adapts parameters that are not here.
    #[error("the plan's model adapts parameters that are not here (model.start)")]
    NoBase,
    /// The model is code.
    #[error(
        "the model is a family of layers written in Rust, of which nothing can be said in other \
         tools; export its tensors as safetensors"
    )]
    Family,
    /// A layer says what the form cannot say.
    #[error("{layer} has no equivalent in {form}: {why}")]
    NoEquivalent {
        /// Which layer, such as `model.layers[3] (batchnorm)`.
        layer: String,
        /// Of what.
        form: &'static str,
        /// Why.
        why: &'static str,
    },
    /// The file would be longer than the form allows.
    #[error("the model has {bytes} bytes, a file of {form} has at most {limit}")]
    TooLong {
        /// Of what.
        form: &'static str,
        /// Of the model's numbers.
        bytes: u64,
        /// At most.
        limit: u64,
    },
    /// The file cannot be made.
    #[error("the file cannot be made: {0}")]
    Format(String),
}

/// The tensors of a model as PyTorch has them. Of a family, whose layers only its code knows, as
/// they are in the flat vector.
///
/// # Errors
/// [`ExportError::Parameters`], [`ExportError::NoBase`].
pub fn tensors(task: &Task, parameters: &[f32]) -> Result<Vec<Tensor>, ExportError> {
    check(task, parameters)?;
    let Some(blueprint) = task.blueprint() else {
        let tensor = |entry: &crate::manifest::Entry| {
            let shape: Vec<usize> = entry.shape.iter().map(|&size| size as usize).collect();
            let start = entry.offset as usize;
            let values = parameters[start..start + shape.iter().product::<usize>()].to_vec();
            Tensor { name: entry.name.clone(), shape, values }
        };
        return Ok(task.manifest().entries().iter().map(tensor).collect());
    };
    let whole = layout::whole(blueprint, parameters, task.base());
    Ok(Layout::of(blueprint).to_pytorch(&whole))
}

/// A safetensors file of [`tensors`].
///
/// # Errors
/// [`ExportError`].
pub fn safetensors(
    task: &Task,
    parameters: &[f32],
    metadata: &Metadata,
) -> Result<Vec<u8>, ExportError> {
    let tensors = tensors(task, parameters)?;
    let form = if task.blueprint().is_some() { PYTORCH } else { "covey" };
    let mut words = metadata.clone();
    words.insert("format".to_owned(), form.to_owned());
    // The crate's own writer puts the words in an order of chance: equal models, equal files.
    let mut header = serde_json::Map::from_iter([("__metadata__".to_owned(), json!(words))]);
    let mut end = 0;
    for Tensor { name, shape, values } in &tensors {
        let start = end;
        end += 4 * values.len();
        let place = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] });
        header.insert(name.clone(), place);
    }
    let mut header =
        serde_json::to_vec(&header).map_err(|error| ExportError::Format(error.to_string()))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = Vec::with_capacity(8 + header.len() + end);
    file.extend((header.len() as u64).to_le_bytes());
    file.extend(header);
    let numbers = tensors.iter().flat_map(|tensor| &tensor.values);
    file.extend(numbers.flat_map(|number| number.to_le_bytes()));
    Ok(file)
}

/// An ONNX file of the model: its input is `input`, its output `output`; the first dimension of
/// both is the number of examples.
///
/// # Errors
/// [`ExportError`], naming a layer that ONNX has no equivalent of.
pub fn onnx(task: &Task, parameters: &[f32], metadata: &Metadata) -> Result<Vec<u8>, ExportError> {
    let blueprint = task.blueprint().ok_or(ExportError::Family)?;
    onnx::file(blueprint, tensors(task, parameters)?, metadata)
}

/// A Python script that is the model in PyTorch: it needs `model.safetensors` beside it, and
/// nothing of this project.
///
/// # Errors
/// [`ExportError::Family`].
pub fn script(task: &Task) -> Result<String, ExportError> {
    task.blueprint().map(script::script).ok_or(ExportError::Family)
}

fn check(task: &Task, parameters: &[f32]) -> Result<(), ExportError> {
    let (expected, got) = (task.manifest().parameters(), parameters.len());
    if got as u64 != expected {
        return Err(ExportError::Parameters { expected, got });
    }
    if task.needs_start() { Err(ExportError::NoBase) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
