use super::*;

use crate::time::Time;

const DAY_MS: u64 = 86_400_000;

fn verdicts(diagnosis: &Diagnosis) -> Vec<(&'static str, Verdict)> {
    diagnosis.checks.iter().map(|check| (check.name, check.verdict)).collect()
}

#[test]
fn a_certificate_is_judged_by_the_clock_and_the_clock_by_the_certificate() {
    let validity = (Time(100 * DAY_MS), Time(465 * DAY_MS));
    let at = |day| {
        let mut diagnosis = Diagnosis::default();
        member::judge(&mut diagnosis, validity, Time(day * DAY_MS));
        verdicts(&diagnosis)
    };
    use Verdict::{Ok, Problem, Warning};
    assert_eq!(at(99), [("clock", Problem)]);
    assert_eq!(at(100), [("clock", Ok), ("certificate", Ok)]);
    assert_eq!(at(452), [("clock", Ok), ("certificate", Warning)]);
    assert_eq!(at(465), [("clock", Ok), ("certificate", Problem)]);
}

#[test]
fn room_and_folders_are_told_apart() {
    for (free_bytes, verdict) in
        [(1, Verdict::Problem), (100 << 20, Verdict::Warning), (2 << 30, Verdict::Ok)]
    {
        let mut diagnosis = Diagnosis::default();
        place::judge_room(&mut diagnosis, free_bytes);
        assert_eq!(verdicts(&diagnosis), [("room", verdict)]);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut diagnosis = Diagnosis::default();
    assert!(!place::check(&mut diagnosis, &folder.path().join("new/state")));
    assert_eq!(diagnosis.checks[0].verdict, Verdict::Ok, "{diagnosis}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 0, "nothing is left");
    // A file where a folder should be, which no user can write into.
    let file = folder.path().join("file");
    std::fs::write(&file, "x").expect("written");
    let mut diagnosis = Diagnosis::default();
    place::check(&mut diagnosis, &file.join("state"));
    assert_eq!((diagnosis.checks[0].name, diagnosis.problems), ("state", 1), "{diagnosis}");
    assert_eq!(diagnosis.exit(), Exit::Failed);
    assert!(diagnosis.to_string().contains("fix: "), "{diagnosis}");
}
