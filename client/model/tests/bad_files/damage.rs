//! Whatever a file holds, no reader panics or takes memory for what it only claims.

use super::*;

/// The peak of this process's memory, in KiB, where the system tells.
fn memory_peak_kib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[test]
fn a_header_that_claims_a_trillion_rows_takes_no_memory() {
    let folder = Folder::new();
    let before = memory_peak_kib();
    let trillion = (1u64 << 40).to_string();
    let bytes = (1u64 << 42).to_string();
    let end = ((1u64 << 42) + (1u64 << 40)).to_string();
    let header = format!(
        r#"{{"features":{{"dtype":"U8","shape":[{trillion},2,2],"data_offsets":[0,{bytes}]}},"labels":{{"dtype":"U8","shape":[{trillion}],"data_offsets":[{bytes},{end}]}}}}"#
    );
    let sparse = folder.path("sparse.safetensors");
    let file = std::fs::File::create(&sparse).expect("made");
    std::io::Write::write_all(&mut &file, &safetensors(&header, &[])).expect("written");
    // A file of holes may be refused by the file system: then it is cut off, which is refused too.
    let _ = file.set_len(8 + header.len() as u64 + (1 << 42) + (1 << 40));
    let npy_rows = |name: &str, shape: &str| folder.file(name, npy("|u1", shape, &[0; 64]));
    for source in [
        DataSource::Safetensors { path: sparse },
        DataSource::Npy {
            features: npy_rows("x.npy", "(1099511627776, 2, 2)"),
            labels: npy_rows("y.npy", "(1099511627776,)"),
        },
        DataSource::Idx {
            images: folder.file("i", idx(8, &[u32::MAX, 2, 2], &[0])),
            labels: folder.file("l", idx(8, &[u32::MAX], &[0])),
        },
    ] {
        let error = load(&source, GREY).expect_err("a trillion rows");
        assert!(matches!(error.kind, Kind::TooLarge | Kind::Unreadable), "{error}");
    }
    if let (Some(before), Some(after)) = (before, memory_peak_kib()) {
        // Other tests of this program run beside it; a trillion bytes would be a billion KiB.
        assert!(after - before < 1 << 20, "{} KiB", after - before);
    }
}

/// Reads `bytes` as every format, by every form of plan; nothing may panic.
fn read_as_everything(folder: &Folder, bytes: &[u8]) {
    let path = folder.file("data", bytes);
    let labels = folder.file("labels", idx(8, &[1], &[1]));
    let npy_labels = folder.file("y.npy", npy("<i8", "(1,)", &i64s(&[1])));
    let pictures = folder.file("p/cat/a.png", bytes);
    let pictures = pictures.parent().and_then(Path::parent).expect("a folder").to_owned();
    for source in [
        DataSource::Csv { path: path.clone(), header: Header::Detect },
        DataSource::Csv { path: path.clone(), header: Header::Absent },
        DataSource::Parquet { path: path.clone() },
        DataSource::Images { folder: pictures },
        DataSource::Idx { images: path.clone(), labels: labels.clone() },
        DataSource::Idx { images: labels, labels: path.clone() },
        DataSource::Npy { features: path.clone(), labels: npy_labels.clone() },
        DataSource::Npy { features: npy_labels, labels: path.clone() },
        DataSource::Safetensors { path: path.clone() },
        DataSource::Text { path: path.clone() },
    ] {
        for section in [TABLE, PATIENTS, REGRESSION, GREY, LETTERS] {
            match Dataset::load_within(&source, &data(section), LIMITS) {
                Ok(set) => assert!(!set.is_empty()),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
        if let Ok(preview) = Preview::of(&source) {
            assert!(!preview.to_string().is_empty());
        }
    }
    for format in std::iter::once(None).chain(Format::ALL.map(Some)) {
        let _ = DataSource::at(&path, None, format);
    }
}

/// One good file of every format.
fn good_files() -> Vec<Vec<u8>> {
    let header = r#"{"features":{"dtype":"U8","shape":[1,2,2],"data_offsets":[0,4]},"labels":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}"#;
    vec![
        b"age,sex,visits,smoker,ill\n50,m,4,yes,yes\n1,f,2,no,no\n".to_vec(),
        patients_parquet(Compression::SNAPPY),
        patients_parquet(Compression::ZSTD(ZstdLevel::default())),
        patients_parquet(Compression::UNCOMPRESSED),
        png(2, 2, &[0, 1, 2, 3]),
        idx(8, &[1, 2, 2], &[0, 1, 2, 3]),
        npy("<f4", "(1, 2, 2)", &f32s(&[0.0, 1.0, 2.0, 3.0])),
        safetensors(header, &[0, 1, 2, 3, 1]),
        "abab\nabab\nab\u{e9}".as_bytes().to_vec(),
        gzip(b"abab\nabab\n"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever a file holds, reading it ends in a data set or an error.
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_as_everything(&Folder::new(), &bytes);
    }

    /// Good files, damaged: as random bytes, but past the first check.
    #[test]
    fn damaged_files_never_panic(
        file in 0..10usize,
        at in any::<prop::sample::Index>(),
        byte: u8,
        more in any::<prop::sample::Index>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = good_files().swap_remove(file);
        let (at, more) = (at.index(bytes.len()), more.index(bytes.len()));
        bytes[at] = byte;
        bytes[more] = bytes[more].wrapping_add(1);
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_as_everything(&Folder::new(), &bytes);
    }
}
