//! Parameters in files: safetensors, with the names, sizes and order of dimensions of the
//! manifest, or with PyTorch's ([`crate::export`]), or the bytes of a model as a run stores them
//! (`f32`, little-endian).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::export::Layout;
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
    let layout = task.blueprint().map(Layout::of);
    let parameters = read_as(&path, task.start_manifest(), layout.as_ref())?;
    task.started(parameters).map_err(|error| StartFileError::Other { path, error })
}

/// Reads the flat vector of `manifest` from a file. Tensors that the manifest does not have are
/// left aside.
///
/// # Errors
/// [`WeightsError`].
pub fn read(path: &Path, manifest: &Manifest) -> Result<Vec<f32>, WeightsError> {
    read_as(path, manifest, None)
}

/// Reads the flat vector of a task from a file, also one with PyTorch's names and layout.
/// Adapters are in no such file.
///
/// # Errors
/// [`WeightsError`].
pub fn read_model(path: &Path, task: &Task) -> Result<Vec<f32>, WeightsError> {
    let plain = task.blueprint().filter(|blueprint| blueprint.adapter_scale.is_none());
    read_as(path, task.manifest(), plain.map(Layout::of).as_ref())
}

fn read_as(
    path: &Path,
    manifest: &Manifest,
    layout: Option<&Layout>,
) -> Result<Vec<f32>, WeightsError> {
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
    let file = match SafeTensors::deserialize(&bytes) {
        Ok(file) => file,
        Err(error) => {
            let problem = format!("{error}, and it has not the {plain} bytes of a stored model");
            return from_bytes(&bytes, manifest.parameters() as usize)
                .ok_or_else(|| WeightsError::Format { path: path.to_owned(), problem });
        }
    };
    let tensor = |name: &str, shape: &[usize]| {
        let wrong = |got: String| WeightsError::Tensor {
            path: path.to_owned(),
            name: name.to_owned(),
            expected: format!("F32 of {shape:?}"),
            got,
        };
        let tensor = file.tensor(name).map_err(|_| wrong("no such tensor".to_owned()))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            return Err(wrong(format!("{:?} of {:?}", tensor.dtype(), tensor.shape())));
        }
        from_bytes(tensor.data(), shape.iter().product())
            .ok_or_else(|| wrong(format!("{} bytes", tensor.data().len())))
    };
    // A name tells which layout it is: none is in both.
    let is_own = manifest.entries().first().is_some_and(|one| file.tensor(&one.name).is_ok());
    if let Some(layout) = layout.filter(|_| !is_own)
        && layout.first().is_some_and(|name| file.tensor(name).is_ok())
    {
        return layout.to_flat(tensor);
    }
    let mut parameters = Vec::with_capacity(manifest.parameters() as usize);
    for entry in manifest.entries() {
        let shape: Vec<usize> = entry.shape.iter().map(|&size| size as usize).collect();
        parameters.extend(tensor(&entry.name, &shape)?);
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
    let bytes = to_bytes(parameters);
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

/// Parameters as they are stored and sent: `f32`, little-endian.
#[must_use]
pub fn to_bytes(parameters: &[f32]) -> Vec<u8> {
    parameters.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Reads what [`to_bytes`] wrote; none when there are other than `expected` numbers.
#[must_use]
pub fn from_bytes(bytes: &[u8], expected: usize) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    let fits = rest.is_empty() && numbers.len() == expected;
    fits.then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_survive_their_bytes() {
        let parameters = [0.5, -1.25, f32::MIN_POSITIVE];
        let bytes = to_bytes(&parameters);
        assert_eq!(from_bytes(&bytes, 3).as_deref(), Some(parameters.as_slice()));
        assert_eq!(from_bytes(&bytes, 2), None);
        assert_eq!(from_bytes(&bytes[..11], 3), None);
    }
}
