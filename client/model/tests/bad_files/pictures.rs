//! Folders of pictures.

use super::*;

/// What it is, its path, its bytes, the error, and what the message holds.
type BadFile<'a> = (&'static str, &'a str, Vec<u8>, Kind, &'a [&'static str]);

#[test]
fn every_bad_folder_of_pictures_is_refused() {
    use Kind::{Empty, Label, Shape, TooLarge, Unreadable, Value};
    let mut cases = Cases::default();
    let good = png(2, 2, &[0, 1, 2, 3]);
    let claims = |side: u32, color: u8| {
        // The header of a PNG: its sizes from the 16th byte, its checksum from the 29th.
        let mut png = good.clone();
        png[16..20].copy_from_slice(&side.to_be_bytes());
        png[20..24].copy_from_slice(&side.to_be_bytes());
        png[25] = color;
        let mut checksum = flate2::Crc::new();
        checksum.update(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
        png
    };
    let wide = png(16_000, 1, &vec![0; 16_000]);
    let files: [BadFile<'_>; 11] = [
        (
            "a class that the plan does not know",
            "cow/a.png",
            good.clone(),
            Label,
            &["cow", "none of the plan's classes", "cat, dog"],
        ),
        (
            "a file beside the classes",
            "a.png",
            good.clone(),
            Shape,
            &["a.png", "where class folders are expected"],
        ),
        (
            "another kind of file",
            "cat/a.gif",
            good.clone(),
            Shape,
            &["a.gif", "neither a .png nor"],
        ),
        (
            "a folder in a class",
            "cat/more/a.png",
            good.clone(),
            Shape,
            &["more", "neither a .png nor"],
        ),
        (
            "no picture inside",
            "cat/a.png",
            b"hello".to_vec(),
            Unreadable,
            &["a.png", "neither PNG nor JPEG inside"],
        ),
        (
            "cut off",
            "cat/b.png",
            good[..good.len() - 20].to_vec(),
            Unreadable,
            &["b.png", "cannot be decoded"],
        ),
        (
            "a picture that claims to be huge",
            "cat/c.png",
            claims(60_000, 0),
            TooLarge,
            &["c.png", "too large a picture"],
        ),
        (
            "a picture of three quarters of a gigabyte",
            "cat/g.png",
            claims(16_384, 2),
            TooLarge,
            &["g.png", "too large a picture"],
        ),
        (
            "another size",
            "cat/d.png",
            wide,
            Shape,
            &["1 x 16000 pixels, the plan asks for 2 x 2", "resize = true"],
        ),
        (
            "colours",
            "cat/e.png",
            png(2, 2, &[0; 12]),
            Shape,
            &["colours Rgb8, the plan asks for 1", "convert = true"],
        ),
        (
            "a GIF named PNG",
            "cat/f.png",
            b"GIF89a\x01\0\x01\0".to_vec(),
            Unreadable,
            &["f.png", "neither PNG nor JPEG"],
        ),
    ];
    for (what, name, bytes, kind, parts) in files {
        let folder = Folder::new();
        folder.file(&format!("p/{name}"), bytes);
        cases.add(what, GREY, &DataSource::Images { folder: folder.path("p") }, kind, parts);
    }
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path("empty/cat")).expect("made");
    cases.add(
        "no pictures",
        GREY,
        &DataSource::Images { folder: folder.path("empty") },
        Empty,
        &["no examples"],
    );
    cases.add(
        "no folder",
        GREY,
        &DataSource::Images { folder: folder.path("nowhere") },
        Unreadable,
        &["nowhere", "check the path"],
    );
    folder.file("p/cat/a.png", png(2, 2, &[0, 1, 2, 30]));
    let dim = format!("{GREY}\npixel_max = 16");
    cases.add(
        "too bright",
        &dim,
        &DataSource::Images { folder: folder.path("p") },
        Value,
        &["pixel value 30 is not in 0..=16"],
    );
    cases.add(
        "a folder for a table",
        TABLE,
        &DataSource::Images { folder: folder.path("p") },
        Shape,
        &["a folder of pictures, the plan asks for something else"],
    );
    cases.check(14);
}
