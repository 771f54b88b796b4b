//! Values that are planted in an owner's data, and the search for them in what its client writes.

use covey_aggregation::plan::Scale;

use super::tap::Written;

/// Values that are nowhere but in the owner's data.
pub(crate) const WORD: &str = "Quincey-Morris-1897";
const X: f64 = 0.731_415_926_5;
const Y: f64 = -0.271_828_182_8;

/// A table in whose every other row the planted values are.
pub(crate) fn planted() -> String {
    let mut rows = "x,note,y,side\n".to_owned();
    for row in 0..20 {
        rows += &format!("{X},{WORD},{Y},right\n");
        rows += &format!("{:.3},none,{:.3},left\n", f64::from(row) / -20.0, f64::from(row) / 20.0);
    }
    rows
}

/// The planted values in every form in which they might leave: as text, as numbers of both widths in
/// both orders of bytes, as the file has them and as the plan scales them.
pub(crate) fn canaries() -> Vec<(String, Vec<u8>)> {
    let mut canaries = vec![("the word".to_owned(), WORD.as_bytes().to_vec())];
    canaries.push(("half of the word".to_owned(), WORD.as_bytes()[..9].to_vec()));
    let scale = Scale::MinMax { min: -1.0, max: 1.0 };
    for (name, value) in [("x", X), ("y", Y)] {
        for (how, value) in [("", value), (" scaled", scale.apply(value))] {
            let mut add = |form: &str, bytes: &[u8]| {
                canaries.push((format!("{name}{how} as {form}"), bytes.to_vec()));
            };
            let text = value.abs().to_string();
            add("text", &text.as_bytes()[2..9]);
            add("f64, little end first", &value.to_le_bytes());
            add("f64, big end first", &value.to_be_bytes());
            add("f32, little end first", &(value as f32).to_le_bytes());
            add("f32, big end first", &(value as f32).to_be_bytes());
        }
    }
    canaries
}

/// Planted values in what was written. Four bytes are found somewhere in a hundred kilobytes of
/// ciphertext once in tens of thousands of runs; so of those a stream must hold two.
pub(crate) fn found(written: &[Written]) -> Vec<String> {
    let times = |bytes: &[u8], canary: &[u8]| {
        bytes.windows(canary.len()).filter(|window| *window == canary).count()
    };
    let mut found = Vec::new();
    for stream in written {
        for (name, canary) in canaries() {
            let is_ciphertext = stream.bytes.len() > 16 * 1024;
            let enough = if canary.len() <= 4 && is_ciphertext { 2 } else { 1 };
            if times(&stream.bytes, &canary) >= enough {
                found.push(name);
            }
        }
    }
    found
}

/// What was written to a stream, as the log counts it: frames with their lengths, and the bytes that
/// follow a bulk stream's only frame.
pub(crate) fn parcels(stream: &Written) -> Vec<&[u8]> {
    let mut parcels = Vec::new();
    let mut rest = stream.bytes.as_slice();
    while let Some((length, _)) = rest.split_first_chunk::<4>() {
        let (frame, after) = rest.split_at(4 + u32::from_le_bytes(*length) as usize);
        parcels.push(frame);
        rest = after;
        if !stream.is_control {
            break;
        }
    }
    if !rest.is_empty() {
        parcels.push(rest);
    }
    parcels
}
