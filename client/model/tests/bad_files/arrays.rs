//! Arrays: IDX, .npy and safetensors.

use super::*;

#[test]
fn every_bad_array_is_refused() {
    use Kind::{Empty, Header, Label, Shape, TooLarge, Unreadable, Value};
    let (folder, mut cases) = (Folder::new(), Cases::default());
    let pair = |features: &[u8], labels: &[u8]| DataSource::Npy {
        features: folder.file("x.npy", features),
        labels: folder.file("y.npy", labels),
    };
    let pixels = npy("|u1", "(2, 2, 2)", &[0; 8]);
    let labels = npy("<i8", "(2,)", &i64s(&[0, 1]));
    let header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2, 2), }";
    for (what, features, labels, kind, parts) in [
        (
            "wrong magic",
            b"NUMPY....".to_vec(),
            labels.clone(),
            Shape,
            &["x.npy", "this is no .npy file"][..],
        ),
        (
            "another version",
            b"\x93NUMPY\x09\x00\x00\x00".to_vec(),
            labels.clone(),
            Shape,
            &["version 9"],
        ),
        (
            "a header cut off",
            pixels[..20].to_vec(),
            labels.clone(),
            Unreadable,
            &["cannot be read"],
        ),
        (
            "a header of nonsense",
            npy_of_header("[1, 2]", &[]),
            labels.clone(),
            Shape,
            &["a header that cannot be read"],
        ),
        (
            "a header of a gigabyte",
            b"\x93NUMPY\x02\x00\x00\x00\x00\x40".to_vec(),
            labels.clone(),
            TooLarge,
            &["a header of 1073741824 bytes"],
        ),
        (
            "another type",
            npy("<c8", "(2, 2, 2)", &[]),
            labels.clone(),
            Shape,
            &["elements of type \"<c8\"", "f32"],
        ),
        (
            "big-endian",
            npy(">f4", "(2, 2, 2)", &[]),
            labels.clone(),
            Shape,
            &["\">f4\"", "little-endian"],
        ),
        (
            "Fortran order",
            npy_of_header(header, &[0; 32]),
            labels.clone(),
            Shape,
            &["Fortran order", "ascontiguousarray"],
        ),
        (
            "another shape",
            npy("|u1", "(2, 3, 2)", &[0; 12]),
            labels.clone(),
            Shape,
            &["shape [2, 3, 2], the plan asks for [n, 2, 2, 1] or [n, 4] or [n, 2, 2]"],
        ),
        ("no shape", npy("|u1", "()", &[0]), labels.clone(), Shape, &["shape []"]),
        (
            "no examples",
            npy("|u1", "(0, 2, 2)", &[]),
            npy("<i8", "(0,)", &[]),
            Empty,
            &["no examples"],
        ),
        (
            "elements cut off",
            pixels[..pixels.len() - 1].to_vec(),
            labels.clone(),
            Unreadable,
            &["ends within example 2 of 2"],
        ),
        (
            "elements left over",
            [pixels.clone(), vec![0]].concat(),
            labels.clone(),
            Unreadable,
            &["more bytes than the header announces"],
        ),
        (
            "too few labels",
            pixels.clone(),
            npy("<i8", "(1,)", &i64s(&[0])),
            Shape,
            &["y.npy", "1 labels, but 2 examples"],
        ),
        (
            "labels of two sizes",
            pixels.clone(),
            npy("<i8", "(2, 2)", &i64s(&[0; 4])),
            Shape,
            &["labels of shape [2, 2], expected [2]"],
        ),
        (
            "a label out of range",
            pixels.clone(),
            npy("<i8", "(2,)", &i64s(&[0, 2])),
            Label,
            &["y.npy", "example 2", "label 2 is out of range", "0 to 1"],
        ),
        (
            "a label that is no whole number",
            pixels.clone(),
            npy("<f4", "(2,)", &f32s(&[0.0, 0.5])),
            Label,
            &["label 0.5 is out of range"],
        ),
        (
            "a label that is no number",
            pixels.clone(),
            npy("<f4", "(2,)", &f32s(&[f32::NAN, 0.5])),
            Label,
            &["label NaN is out of range"],
        ),
        (
            "a pixel that is no number",
            npy("<f4", "(2, 4)", &f32s(&[f32::NAN; 8])),
            labels.clone(),
            Value,
            &["pixel value NaN"],
        ),
        (
            "2^40 rows",
            npy("|u1", "(1099511627776, 2, 2)", &[0; 8]),
            npy("<i8", "(1099511627776,)", &[]),
            TooLarge,
            &["1099511627776 examples of 4 numbers are too many"],
        ),
    ] {
        cases.add(what, GREY, &pair(&features, &labels), kind, parts);
    }
    let table = npy("<f4", "(1, 3)", &f32s(&[1.0, 2.0, 3.0]));
    cases.add(
        "columns missing",
        TABLE,
        &pair(&table, &npy("<i8", "(1,)", &i64s(&[0]))),
        Shape,
        &["the plan asks for [n, 4]"],
    );
    cases.add(
        "arrays for a text plan",
        LETTERS,
        &pair(&pixels, &labels),
        Shape,
        &["an array of numbers, the plan asks for running text"],
    );

    let file = |bytes: &[u8]| DataSource::Safetensors { path: folder.file("d.safetensors", bytes) };
    let tensors = |dtype: &str, end: usize| {
        format!(
            r#"{{"features":{{"dtype":"{dtype}","shape":[2,2,2],"data_offsets":[0,{end}]}},"labels":{{"dtype":"I64","shape":[2],"data_offsets":[{end},{}]}}}}"#,
            end + 16
        )
    };
    for (what, bytes, kind, parts) in [
        ("too short", vec![1, 2, 3], Unreadable, &["d.safetensors", "cannot be read"][..]),
        (
            "a header beyond the file",
            vec![0xff; 16],
            Shape,
            &["a header of 18446744073709551615 bytes"],
        ),
        ("a header of nonsense", safetensors("{]", &[]), Shape, &["a header that cannot be read"]),
        (
            "a tensor missing",
            safetensors(r#"{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, &[0]),
            Header,
            &["no tensor \"features\" among x"],
        ),
        (
            "a type that is not read",
            safetensors(&tensors("F16", 16), &[0; 32]),
            Shape,
            &["tensor \"features\"", "\"F16\""],
        ),
        (
            "cut off",
            safetensors(&tensors("F32", 32), &[0; 47]),
            Unreadable,
            &["the header announces"],
        ),
        (
            "sizes that do not fit",
            safetensors(&tensors("F32", 33), &[0; 49]),
            Shape,
            &["a header that cannot be read"],
        ),
    ] {
        cases.add(what, GREY, &file(&bytes), kind, parts);
    }
    cases.check(29);
}
