//! Parameters in files: safetensors, with the names, sizes and order of dimensions of the
//! manifest, or the bytes of a model as a run stores them (`f32`, little-endian).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::limits::SAFETENSORS_HEADER_BYTES_MAX;
use crate::manifest::Manifest;
use crate::task::{StartError, Task};

/// A file of parameters that cannot be used or written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is longer than any file of this model.
    #[error("{} has more than {limit} bytes: it is no file of this model", path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
        /// Longest file of the model, in bytes.
        limit: u64,
    },
    /// It is neither.
    #[error("{}: {problem}; give a safetensors file of this model, or a model that a run stored", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A tensor of the model is missing, or has another size or type.
    #[error("{}: tensor {name}: expected {expected}, got {got}; it is another model's file", path.display())]
    Tensor {
        /// Which file.
        path: PathBuf,
        /// Which tensor.
        name: String,
        /// What the model has.
        expected: String,
        /// What the file has.
        got: String,
    },
}

/// The parameters that a plan starts from cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StartFileError {
    /// The plan names no file.
    #[error(
        "the plan starts from a model but names no file: add `file = \"model.safetensors\"` to \
         model.start, beside the digest"
    )]
    NoFile,
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] WeightsError),
    /// It is another model.
    #[error("{}: {error}", path.display())]
    Other {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: StartError,
    },
}

/// The task with the parameters that its plan starts from, read from the file that the plan
/// names, beside the plan itself. A plan that starts from fresh parameters needs none.
///
/// # Errors
/// [`StartFileError`].
pub fn started(task: Task, plan: &Path) -> Result<Task, StartFileError> {
    let Some(start) = task.start() else { return Ok(task) };
    let file = start.file.as_ref().ok_or(StartFileError::NoFile)?;
    let path = plan.parent().unwrap_or_else(|| Path::new("")).join(file);
    let parameters = read(&path, task.start_manifest())?;
    task.started(parameters).map_err(|error| StartFileError::Other { path, error })
}

/// Reads the flat vector of `manifest` from a file. Tensors that the manifest does not have are
/// left aside.
///
/// # Errors
/// [`WeightsError`].
pub fn read(path: &Path, manifest: &Manifest) -> Result<Vec<f32>, WeightsError> {
    let plain = 4 * manifest.parameters();
    // Room for a header, and for as many numbers again that are not asked for.
    let limit = 2 * plain + SAFETENSORS_HEADER_BYTES_MAX;
    let failed = |error| WeightsError::File { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(WeightsError::TooLong { path: path.to_owned(), limit });
    }
    if bytes.len() as u64 == plain && SafeTensors::deserialize(&bytes).is_err() {
        return Ok(numbers(&bytes));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|error| WeightsError::Format {
        path: path.to_owned(),
        problem: format!("{error}, and it has not the {plain} bytes of a stored model"),
    })?;
    let mut parameters = Vec::with_capacity(manifest.parameters() as usize);
    for entry in manifest.entries() {
        let wrong = |got: String| WeightsError::Tensor {
            path: path.to_owned(),
            name: entry.name.clone(),
            expected: format!("F32 of {:?}", entry.shape),
            got,
        };
        let tensor = file.tensor(&entry.name).map_err(|_| wrong("no such tensor".to_owned()))?;
        let is_shape = tensor.shape().iter().map(|&size| size as u64).eq(entry.shape.clone());
        if tensor.dtype() != Dtype::F32 || !is_shape {
            return Err(wrong(format!("{:?} of {:?}", tensor.dtype(), tensor.shape())));
        }
        parameters.extend(numbers(tensor.data()));
    }
    Ok(parameters)
}

/// Writes a flat vector of `manifest` as a safetensors file, in place of what is there.
///
/// # Errors
/// [`WeightsError`]; also when the vector is another model's.
pub fn write(path: &Path, manifest: &Manifest, parameters: &[f32]) -> Result<(), WeightsError> {
    let format = |problem| WeightsError::Format { path: path.to_owned(), problem };
    if parameters.len() as u64 != manifest.parameters() {
        let (got, expected) = (parameters.len(), manifest.parameters());
        return Err(format(format!("{got} parameters for a model of {expected}")));
    }
    let bytes: Vec<u8> = parameters.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut views = Vec::with_capacity(manifest.entries().len());
    for entry in manifest.entries() {
        let shape: Vec<usize> = entry.shape.iter().map(|&size| size as usize).collect();
        let start = 4 * entry.offset as usize;
        let end = start + 4 * shape.iter().product::<usize>();
        let view = TensorView::new(Dtype::F32, shape, &bytes[start..end]);
        views.push((&entry.name, view.map_err(|error| format(error.to_string()))?));
    }
    let metadata = HashMap::from([("format".to_owned(), "covey".to_owned())]);
    let file = safetensors::serialize(views, Some(metadata));
    let file = file.map_err(|error| format(error.to_string()))?;
    let failed = |error| WeightsError::File { path: path.to_owned(), error };
    let mut out = File::create(path).map_err(failed)?;
    out.write_all(&file).and_then(|()| out.sync_all()).map_err(failed)
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
