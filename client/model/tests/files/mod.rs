//! Owners' files made up for tests, in every format.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use covey_aggregation::plan::{Data, Plan};
use covey_model::data::{DataError, DataSource, Dataset, ReadLimits};
use parquet::basic::Compression;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use tempfile::TempDir;

/// 16 MiB: enough for every file here, and little enough that a bomb is one.
pub(crate) const LIMITS: ReadLimits = ReadLimits { dataset_bytes_max: 16 << 20 };

/// The plan's data section, read as part of a whole plan.
pub(crate) fn data(section: &str) -> Data {
    let text = format!(
        r#"schema = "plan/1"
name = "readers"
purpose = "Test readers"
seed = 1
model = {{ family = "any" }}
training.rounds = 1
training.batch_size = 1
training.optimizer = {{ name = "sgd", lr = 1 }}
training.weighting = "uniform"
cohort = {{ minimum = 3, maximum = 3 }}
secure_aggregation = {{ profile = "A", bits = 8, range = 1, clip_norm = 1, audit = "off" }}
[data]
{section}
"#
    );
    Plan::parse(&text).unwrap_or_else(|errors| panic!("{errors}")).data
}

pub(crate) fn load(source: &DataSource, section: &str) -> Result<Dataset, DataError> {
    Dataset::load_within(source, &data(section), LIMITS)
}

/// A folder with files.
pub(crate) struct Folder(pub(crate) TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a temporary folder");
        fs::write(&path, bytes).expect("a temporary file");
        path
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// An IDX file with these sizes and elements.
pub(crate) fn idx(kind: u8, sizes: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, sizes.len() as u8];
    sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

/// A `.npy` file of version 1 with this header and these elements.
pub(crate) fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    npy_of_header(
        &format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"),
        elements,
    )
}

pub(crate) fn npy_of_header(header: &str, elements: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(elements);
    bytes
}

pub(crate) fn f32s(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

pub(crate) fn i64s(numbers: &[i64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A safetensors file of this header and these tensors.
pub(crate) fn safetensors(header: &str, tensors: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(tensors);
    bytes
}

/// A picture in PNG, of grey or colour by the number of bytes.
pub(crate) fn png(width: u32, height: u32, bytes: &[u8]) -> Vec<u8> {
    let color = match bytes.len() as u32 / (width * height) {
        1 => image::ExtendedColorType::L8,
        3 => image::ExtendedColorType::Rgb8,
        _ => image::ExtendedColorType::Rgba8,
    };
    let mut file = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut file);
    image::ImageEncoder::write_image(encoder, bytes, width, height, color).expect("encoded");
    file
}

/// A Parquet file of this schema; `write` writes the columns of its one group of rows.
pub(crate) fn parquet(
    schema: &str,
    compression: Compression,
    write: impl FnOnce(&mut SerializedRowGroupWriter<'_, &mut Vec<u8>>),
) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut file = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut file, schema, Arc::new(properties)).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    write(&mut group);
    group.close().expect("closed");
    writer.close().expect("closed");
    file
}

/// Writes the next column of a group; nothing where the level is 0.
pub(crate) fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    values: &[T::T],
    levels: Option<&[i16]>,
) {
    let mut writer = group.next_column().expect("a column").expect("one more");
    writer.typed::<T>().write_batch(values, levels, None).expect("written");
    writer.close().expect("closed");
}

/// The schema of [`patients_parquet`].
pub(crate) const PATIENTS_SCHEMA: &str = "message patients {
  optional double age;
  required binary sex (utf8);
  required int32 visits;
  required boolean smoker;
  required int64 ill;
}";

/// Three patients, the second of unknown age.
pub(crate) fn patients_parquet(compression: Compression) -> Vec<u8> {
    parquet(PATIENTS_SCHEMA, compression, |group| {
        column::<DoubleType>(group, &[50.0, 25.0], Some(&[1, 0, 1]));
        let words = ["m", "f", "f"].map(ByteArray::from);
        column::<ByteArrayType>(group, &words, None);
        column::<Int32Type>(group, &[4, 0, 2], None);
        column::<BoolType>(group, &[true, false, false], None);
        column::<Int64Type>(group, &[1, 0, 0], None);
    })
}

/// The plan of [`patients_parquet`].
pub(crate) const PATIENTS: &str = r#"kind = "tabular"
columns = [
  { name = "age", type = "float", min = 0, max = 100, missing = "indicator" },
  { name = "sex", type = "category", values = ["f", "m"] },
  { name = "visits", type = "integer", min = 0, max = 4 },
  { name = "smoker", type = "boolean" },
]
target = { column = "ill", classes = [{ name = "no", values = [0] }, { name = "yes", values = [1, 2] }] }"#;
