//! The data, divided anew by each seed into what owners train on and what the model is tested on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use covey_aggregation::plan::Data;
use covey_client::sim::AttackKind;
use covey_model::data::{DataSource, Dataset, Header};
use covey_model::random::{shuffle, stream};
use tempfile::TempDir;

use crate::plan::{Protection, Setting};

/// The four hospitals' files.
const HOSPITALS: [&str; 4] = ["cleveland", "hungarian", "switzerland", "va"];

/// Where examples come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// 1,797 digits of 8 x 8 pixels, which ship.
    Digits,
    /// 920 patients, in this folder.
    Heart(PathBuf),
}

/// One seed's division, in files as the programs read them.
pub(crate) struct Division {
    pub(crate) training: DataSource,
    pub(crate) test: DataSource,
    pub(crate) folder: TempDir,
}

impl Source {
    /// The heart disease files in `folder`, or where they are beside a checkout.
    ///
    /// # Errors
    /// The folder that is missing.
    pub(crate) fn heart(folder: Option<&Path>) -> Result<Self, PathBuf> {
        let usual =
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/heart-disease");
        let folder = folder.map_or_else(usual, Path::to_owned);
        let is_there = HOSPITALS.iter().all(|name| hospital(&folder, name).is_file());
        if is_there { Ok(Self::Heart(folder)) } else { Err(folder) }
    }

    /// Its name.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Heart(_) => "heart disease",
        }
    }

    /// Examples to train on and to test on, as many as the setting says, at random; no example is in
    /// both.
    ///
    /// # Errors
    /// When there are too few, or files cannot be read or written.
    pub(crate) fn divide(&self, setting: &Setting, seed: u64) -> io::Result<Division> {
        let folder = tempfile::tempdir()?;
        let paths = ["training.csv", "test.csv"].map(|name| folder.path().join(name));
        let parts = |examples: usize| {
            let [training, test] = setting.counts;
            if training + test > examples {
                let what = format!("{training} + {test} examples of {examples}");
                return Err(io::Error::other(what));
            }
            let mut order: Vec<usize> = (0..examples).collect();
            shuffle(&mut order, &mut stream("privacy-bench-split", &[&seed.to_le_bytes()]));
            let (training, rest) = order.split_at(training);
            Ok([training.to_vec(), rest[..test].to_vec()])
        };
        match self {
            Self::Digits => {
                let all = digits()?;
                let Data::Image(image) = Setting::digits(Protection::None).plan(seed)?.data else {
                    return Err(io::Error::other("digits are images"));
                };
                let wrong = AttackKind::LabelNoise(setting.labels_wrong);
                for (part, path) in parts(all.len())?.iter().zip(&paths) {
                    let size = part.len().to_le_bytes();
                    let part = wrong.spoil_data(all.subset(part), &[&seed.to_le_bytes(), &size]);
                    part.write_csv(path, &image)?;
                }
            }
            Self::Heart(records) => {
                let (header, rows) = patients(records)?;
                for (part, path) in parts(rows.len())?.iter().zip(&paths) {
                    let chosen: Vec<&str> = part.iter().map(|row| rows[*row].as_str()).collect();
                    fs::write(path, format!("{header}\n{}\n", chosen.join("\n")))?;
                }
            }
        }
        let [training, test] = paths.map(|path| DataSource::Csv { path, header: Header::Present });
        Ok(Division { training, test, folder })
    }
}

/// All digits.
///
/// # Errors
/// When they cannot be read.
pub(crate) fn digits() -> io::Result<Dataset> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/digits.csv.gz");
    let plan = Setting::digits(Protection::None).plan(0)?;
    let source = DataSource::Csv { path, header: Header::Absent };
    Dataset::load(&source, &plan.data).map_err(io::Error::other)
}

/// The header, and a line for every patient of all hospitals.
fn patients(folder: &Path) -> io::Result<(String, Vec<String>)> {
    let (mut header, mut rows) = (String::new(), Vec::new());
    for name in HOSPITALS {
        let text = fs::read_to_string(hospital(folder, name))?;
        let mut lines = text.lines().map(str::to_owned);
        header = lines.next().unwrap_or_default();
        rows.extend(lines.filter(|line| !line.trim().is_empty()));
    }
    Ok((header, rows))
}

fn hospital(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("processed.{name}.data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_divided_by_the_seed_and_read_back() {
        let plan = Setting::digits(Protection::None).plan(1).expect("a plan");
        let read = |source: &DataSource| Dataset::load(source, &plan.data).expect("read");
        let setting = Setting::digits(Protection::None);
        let one = Source::Digits.divide(&setting, 1).expect("divided");
        let other = Source::Digits.divide(&setting, 2).expect("divided");
        assert_eq!((read(&one.training).len(), read(&one.test).len()), (1400, 397));
        assert_ne!(read(&one.test), read(&other.test));
        let more = Setting { counts: [1400, 398], ..setting };
        assert!(Source::Digits.divide(&more, 1).is_err(), "there are 1797");
    }
}
