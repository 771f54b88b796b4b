//! safetensors files: the length of a JSON header, the header, then the tensors one after the
//! other. The tensors `features` and `labels` are read, the others ignored.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use covey_aggregation::plan::Data;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::limits::{ARRAY_DIMENSIONS_MAX, SAFETENSORS_HEADER_BYTES_MAX};

use super::Loaded;
use super::array::{self, Array, Element, unknown_element};
use super::error::{DataError, DataErrorKind, Place, shown};
use super::source::{ReadLimits, failed};

/// The tensor that holds the numbers of the examples.
pub(super) const FEATURES: &str = "features";

/// The tensor that holds their labels.
pub(super) const LABELS: &str = "labels";

pub(super) fn read(path: &Path, data: &Data, limits: ReadLimits) -> Result<Loaded, DataError> {
    let header = Header::read(path)?;
    array::read(header.array(FEATURES)?, header.array(LABELS)?, data, limits)
}

/// The header of a file, and where the tensors begin.
pub(super) struct Header<'a> {
    path: &'a Path,
    metadata: Metadata,
    start: u64,
}

impl<'a> Header<'a> {
    pub(super) fn read(path: &'a Path) -> Result<Self, DataError> {
        let error = |kind, problem: String, help: &str| {
            DataError::new(kind, path, Place::File, problem, help)
        };
        let mut file = File::open(path).map_err(|fault| failed(path, &fault))?;
        let bytes_on_disk = file.metadata().map_err(|fault| failed(path, &fault))?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|fault| failed(path, &fault))?;
        let length = u64::from_le_bytes(length);
        if length > SAFETENSORS_HEADER_BYTES_MAX || length > bytes_on_disk {
            let problem = format!("a header of {length} bytes");
            let help = "this is no safetensors file, or it is damaged; it cannot be compressed";
            return Err(error(DataErrorKind::Shape, problem, help));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(|fault| failed(path, &fault))?;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|fault| {
            let problem = format!("a header that cannot be read: {fault}");
            error(DataErrorKind::Shape, problem, "write the file with the safetensors library")
        })?;
        let start = 8 + length;
        let expected = start.saturating_add(metadata.data_len() as u64);
        if expected != bytes_on_disk {
            let problem = format!("{bytes_on_disk} bytes, the header announces {expected}");
            let help = "the file is cut off or damaged; copy it again";
            return Err(error(DataErrorKind::Unreadable, problem, help));
        }
        Ok(Self { path, metadata, start })
    }

    pub(super) fn array(&self, name: &str) -> Result<Array<'a>, DataError> {
        let path = self.path;
        let error = |kind, problem: String, help: String| {
            DataError::new(kind, path, Place::File, problem, help)
        };
        let Some(info) = self.metadata.info(name) else {
            let mut names = self.metadata.offset_keys();
            names.sort_unstable();
            let problem = format!("no tensor {name:?} among {}", shown(&names));
            let help = format!("name the tensors {FEATURES:?} and {LABELS:?}");
            return Err(error(DataErrorKind::Header, problem, help));
        };
        let name = format!("tensor {name:?}");
        if info.shape.len() > ARRAY_DIMENSIONS_MAX {
            let problem = format!("{name}: {} sizes", info.shape.len());
            let help = format!("use at most {ARRAY_DIMENSIONS_MAX} sizes");
            return Err(error(DataErrorKind::Shape, problem, help));
        }
        let element = match info.dtype {
            Dtype::U8 => Element::U8,
            Dtype::I32 => Element::I32,
            Dtype::I64 => Element::I64,
            Dtype::F32 => Element::F32,
            Dtype::F64 => Element::F64,
            other => return Err(unknown_element(path, &name, &format!("{other:?}"))),
        };
        let (begin, end) = info.data_offsets;
        let mut file = File::open(path).map_err(|fault| failed(path, &fault))?;
        let seek = SeekFrom::Start(self.start.saturating_add(begin as u64));
        file.seek(seek).map_err(|fault| failed(path, &fault))?;
        let reader = Box::new(BufReader::new(file).take((end - begin) as u64));
        Ok(Array { path, name, shape: info.shape.clone(), element, reader })
    }
}
