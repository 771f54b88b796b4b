//! The UCI heart disease records: four hospitals, a file each.

use std::path::{Path, PathBuf};

use covey_aggregation::plan::Data;
use covey_aggregation::program::{Exit, Failure};
use covey_model::data::{DataSource, Dataset, Header};
use covey_model::split::folds;

use crate::{failed, read_data, write};

/// The names of the hospitals in the names of the files.
pub const HOSPITALS: [&str; 4] = ["cleveland", "hungarian", "switzerland", "va"];

/// Where the files are from.
const HELP: &str = "name the folder with processed.cleveland.data, processed.hungarian.data, \
                    processed.switzerland.data and processed.va.data of the UCI heart disease \
                    data set (CC BY 4.0, https://archive.ics.uci.edu/dataset/45/heart+disease)";

/// One hospital's records.
pub struct Hospital {
    /// Its name.
    pub name: &'static str,
    lines: Vec<String>,
    data: Dataset,
}

/// One hospital's part in one fold of a cross-validation. No record is in both.
pub struct Part {
    /// The file that it trains on, as a data owner has it.
    pub file: DataSource,
    /// The same, read: a hospital without the fold's test, which can be divided again.
    pub training: Hospital,
    /// The records that nobody trains on.
    pub test: Dataset,
}

impl Hospital {
    /// Reads all four from `folder`, as the plan's data section says.
    ///
    /// # Errors
    /// [`Failure`] when a file is not there, or holds something else.
    pub fn read_all(folder: &Path, plan: &Data) -> Result<Vec<Self>, Failure> {
        let read = |name| Self::read(name, &folder.join(format!("processed.{name}.data")), plan);
        HOSPITALS.into_iter().map(read).collect()
    }

    fn read(name: &'static str, path: &Path, plan: &Data) -> Result<Self, Failure> {
        let text = read_data(path, HELP)?;
        // The files of the archive have no header, copies of them often do.
        let is_header = |line: &&str| line.starts_with(|first: char| first.is_alphabetic());
        let lines: Vec<String> = text
            .lines()
            .filter(|line| !line.trim().is_empty() && !is_header(line))
            .map(str::to_owned)
            .collect();
        let header = if text.lines().next().as_ref().is_some_and(is_header) {
            Header::Present
        } else {
            Header::Absent
        };
        let bad = |what: &dyn std::fmt::Display| {
            Failure::new(Exit::BadInput, "BAD_DATA", what).with_help(HELP)
        };
        let source = DataSource::Csv { path: path.to_owned(), header };
        let data = Dataset::load(&source, plan).map_err(|error| bad(&error))?;
        if data.len() != lines.len() {
            let (path, read, lines) = (path.display(), data.len(), lines.len());
            return Err(bad(&format!("{path}: {read} records in {lines} lines")));
        }
        Ok(Self { name, lines, data })
    }

    /// Its records.
    #[must_use]
    pub const fn data(&self) -> &Dataset {
        &self.data
    }

    /// Its part in each of `count` folds, in which ill and healthy are divided alike; files lie in
    /// `folder`.
    ///
    /// # Errors
    /// [`Failure`] when a file cannot be written, or is read as other records than were meant.
    pub fn parts(
        &self,
        count: usize,
        seed: u64,
        plan: &Data,
        folder: &Path,
    ) -> Result<Vec<Part>, Failure> {
        let part = |(fold, test): (usize, Vec<usize>)| {
            let is_test = |number: &usize| test.binary_search(number).is_ok();
            let training: Vec<usize> = (0..self.data.len()).filter(|one| !is_test(one)).collect();
            let path: PathBuf = folder.join(format!("{}-{seed}-{fold}.csv", self.name));
            let lines = training.iter().map(|&one| self.lines[one].clone()).collect::<Vec<_>>();
            write(&path, &(lines.join("\n") + "\n"))?;
            let file = DataSource::Csv { path, header: Header::Absent };
            let data = Dataset::load(&file, plan).map_err(failed)?;
            if data != self.data.subset(&training) {
                return Err(failed("a record is read otherwise from a file of its own"));
            }
            let training = Self { name: self.name, lines, data };
            Ok(Part { file, training, test: self.data.subset(&test) })
        };
        folds(self.data.labels(), count, seed).into_iter().enumerate().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::plans::HEART_MLP;
    use crate::variant::Variant;

    const COLUMNS: &str =
        "age,sex,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak,slope,ca,thal,target\n";

    /// Records that differ in age and pulse, every third ill, some with missing values.
    fn write_records(folder: &Path, header: &str) {
        for (number, name) in (0..).zip(HOSPITALS) {
            let row = |row: u32| {
                let (age, pulse, ill) = (30 + row % 50, 90 + row / 50 + 20 * number, row % 3 / 2);
                let chol = if row.is_multiple_of(4) { "?" } else { "240" };
                format!("{age}.0,1,4,,{chol},0,0,{pulse},?,.7,2,?,,{ill}\n")
            };
            let rows: String = (0..60).map(row).collect();
            write(&folder.join(format!("processed.{name}.data")), &(header.to_owned() + &rows))
                .expect("written");
        }
    }

    #[test]
    fn parts_share_no_record_and_test_every_one_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let plan = Variant::of(HEART_MLP).expect("TOML").plan().expect("a plan");
        let mut read = Vec::new();
        for header in [COLUMNS, ""] {
            write_records(folder.path(), header);
            read.push(Hospital::read_all(folder.path(), &plan.data).expect("four files"));
        }
        let with_header = read.remove(0);
        for (hospital, same) in with_header.iter().zip(&read[0]) {
            assert_eq!(hospital.data(), same.data());
            let parts = hospital.parts(5, 1, &plan.data, folder.path()).expect("five parts");
            let records = |data: &Dataset| -> BTreeSet<Vec<u32>> {
                let bits = |number| data.example(number).iter().map(|x| x.to_bits()).collect();
                (0..data.len()).map(bits).collect()
            };
            let mut tested = BTreeSet::new();
            for Part { training, test, .. } in &parts {
                assert_eq!((training.data().len(), test.len()), (48, 12));
                assert_eq!(test.class_counts(), [8, 4]);
                assert!(records(training.data()).is_disjoint(&records(test)));
                let inner = training.parts(4, 1, &plan.data, folder.path()).expect("four parts");
                for Part { training: inner, test: validation, .. } in &inner {
                    let mut both = records(inner.data());
                    both.extend(records(validation));
                    assert_eq!(both, records(training.data()));
                }
                tested.extend(records(test));
            }
            assert_eq!(tested, records(hospital.data()));
            assert_eq!(tested.len(), 60);
        }
    }

    #[test]
    fn a_missing_file_is_bad_input_and_it_says_where_to_get_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let plan = Variant::of(HEART_MLP).expect("TOML").plan().expect("a plan");
        let failure = Hospital::read_all(folder.path(), &plan.data).err().expect("no files");
        assert_eq!((failure.exit, failure.code), (Exit::BadInput, "NO_DATA"));
        assert!(failure.to_string().contains("archive.ics.uci.edu"), "{failure}");
    }
}
