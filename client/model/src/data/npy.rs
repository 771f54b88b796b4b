//! NumPy's `.npy` files (NEP 1): magic, version, a header in the syntax of a Python dictionary,
//! then the elements.

use std::io::Read;
use std::path::Path;

use covey_aggregation::plan::Data;

use crate::limits::{ARRAY_DIMENSIONS_MAX, NPY_HEADER_BYTES_MAX};

use super::Loaded;
use super::array::{self, Array, Element, unknown_element};
use super::error::{DataError, DataErrorKind, Place};
use super::source::{ReadLimits, failed, open};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

pub(super) fn read(
    features: &Path,
    labels: &Path,
    data: &Data,
    limits: ReadLimits,
) -> Result<Loaded, DataError> {
    array::read(open_array(features)?, open_array(labels)?, data, limits)
}

/// The shape of an array, for a preview.
pub(super) fn open_array(path: &Path) -> Result<Array<'_>, DataError> {
    let mut reader = open(path)?;
    let error =
        |kind, problem: String, help: &str| DataError::new(kind, path, Place::File, problem, help);
    let mut start = [0; 8];
    reader.read_exact(&mut start).map_err(|fault| failed(path, &fault))?;
    if start[..6] != *MAGIC {
        let help = "save it with numpy.save; for other formats say which with format = ";
        return Err(error(DataErrorKind::Shape, "this is no .npy file".to_owned(), help));
    }
    let length = match start[6] {
        1 => {
            let mut bytes = [0; 2];
            reader.read_exact(&mut bytes).map_err(|fault| failed(path, &fault))?;
            usize::from(u16::from_le_bytes(bytes))
        }
        2 | 3 => {
            let mut bytes = [0; 4];
            reader.read_exact(&mut bytes).map_err(|fault| failed(path, &fault))?;
            u32::from_le_bytes(bytes) as usize
        }
        version => {
            let problem = format!("version {version} of the .npy format");
            let help = "save it with a present numpy: versions 1 to 3 can be read";
            return Err(error(DataErrorKind::Shape, problem, help));
        }
    };
    if length > NPY_HEADER_BYTES_MAX {
        let problem = format!("a header of {length} bytes");
        let help = "the file is damaged, or holds records: save plain numbers";
        return Err(error(DataErrorKind::TooLarge, problem, help));
    }
    let mut header = vec![0; length];
    reader.read_exact(&mut header).map_err(|fault| failed(path, &fault))?;
    let header = std::str::from_utf8(&header).ok().and_then(parse).ok_or_else(|| {
        let problem = "a header that cannot be read".to_owned();
        let help = "the file is damaged, or holds records: save plain numbers with numpy.save";
        error(DataErrorKind::Shape, problem, help)
    })?;
    let element = match header.descr {
        "|u1" | "<u1" => Element::U8,
        "<i4" => Element::I32,
        "<i8" => Element::I64,
        "<f4" => Element::F32,
        "<f8" => Element::F64,
        other => return Err(unknown_element(path, "", other)),
    };
    if header.is_fortran && header.shape.len() > 1 {
        let help = "save numpy.ascontiguousarray(x)";
        return Err(error(DataErrorKind::Shape, "elements in Fortran order".to_owned(), help));
    }
    Ok(Array { path, name: String::new(), shape: header.shape, element, reader })
}

struct Header<'a> {
    descr: &'a str,
    is_fortran: bool,
    shape: Vec<usize>,
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
fn parse(text: &str) -> Option<Header<'_>> {
    let mut rest = text.trim().strip_prefix('{')?;
    let (mut descr, mut is_fortran, mut shape) = (None, None, None);
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            let is_end = after.trim().is_empty();
            return is_end.then_some(Header {
                descr: descr?,
                is_fortran: is_fortran?,
                shape: shape?,
            });
        }
        let (key, after) = string(rest)?;
        let value = after.trim_start().strip_prefix(':')?.trim_start();
        rest = match key {
            "descr" => {
                let (text, after) = string(value)?;
                descr = Some(text);
                after
            }
            "fortran_order" => {
                let (word, after) = value.split_at(value.find([',', '}'])?);
                is_fortran = Some(match word.trim_end() {
                    "True" => true,
                    "False" => false,
                    _ => return None,
                });
                after
            }
            "shape" => {
                let (inside, after) = value.strip_prefix('(')?.split_once(')')?;
                shape = Some(sizes(inside)?);
                after
            }
            _ => return None,
        };
        rest = rest.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// A text in single or double quotes, and what comes after it.
fn string(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
    text[1..].split_once(quote)
}

fn sizes(inside: &str) -> Option<Vec<usize>> {
    let parts: Vec<&str> = inside.split(',').map(str::trim).collect();
    let parts = match parts.split_last() {
        Some((&"", rest)) => rest,
        _ => &parts[..],
    };
    if parts.len() > ARRAY_DIMENSIONS_MAX {
        return None;
    }
    let digits = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
    parts.iter().map(|part| digits(part).then(|| part.parse().ok()).flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_numpy_writes_them_are_read() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }      \n";
        let header = parse(header).expect("a header");
        assert_eq!((header.descr, header.is_fortran, header.shape), ("<f4", false, vec![3, 4]));
        for (shape, expected) in
            [("()", Vec::new()), ("(5,)", vec![5]), ("(1, 2, 3)", vec![1, 2, 3])]
        {
            let text = format!("{{'shape': {shape}, 'fortran_order': True, \"descr\": '|u1'}}");
            let header = parse(&text).expect("a header");
            assert_eq!((header.shape, header.is_fortran), (expected, true));
        }
    }

    #[test]
    fn damaged_headers_are_none() {
        for bad in [
            "",
            "{",
            "{}",
            "{'descr': '<f4'}",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
            "'é",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
