use std::fs;

use covey_aggregation::message::FromClient;
use covey_aggregation::net::Parcel;
use covey_aggregation::party::Name;
use covey_aggregation::wire;

use super::super::chain::walk;
use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Sends the message that round `number` is awaited.
fn send(log: &OutboundLog, number: u8) -> io::Result<()> {
    let body = wire::encode(&FromClient::Pending { round_ctx: Digest([number; 32]) });
    let frame = [&(body.len() as u32).to_le_bytes()[..], &body].concat();
    let peer: Name = "c".parse().expect("a name");
    let address = "127.0.0.1:7443".parse().expect("an address");
    log.leave(&Leaving { peer: &peer, address, parcel: Parcel::Message(&frame) })
}

fn entries(folder: &Path) -> Result<Vec<Entry>, LogError> {
    let mut all = Vec::new();
    walk(&files_of(folder)?, &mut |entry, _| all.push(entry.clone())).map(|_| all)
}

fn texts(folder: &Path) -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).expect("read"));
    files_of(folder).expect("listed").into_iter().map(read).collect()
}

#[test]
fn a_log_goes_on_over_restarts_and_files() {
    let folder = folder();
    let bounds = (1500, 100);
    for start in 0..3 {
        let (log, cut) = OutboundLog::open_bounded(folder.path(), bounds).expect("opened");
        assert_eq!(cut, 0);
        log.know(Digest([1; 32]), Digest([8; 32]), 4);
        (0..10).try_for_each(|number| send(&log, number)).expect("logged");
        let entries = entries(folder.path()).expect("whole");
        assert_eq!(entries.len(), (start + 1) * 10);
        let What::Sent(sent) = &entries[start * 10 + 1].what else { panic!("nothing sent") };
        assert_eq!((sent.round, sent.run.as_deref()), (Some(4), Some("08".repeat(32).as_str())));
        assert_eq!(sent.kind, "FromClient::Pending");
    }
    assert!(texts(folder.path()).len() > 5);
}

#[test]
fn the_oldest_files_are_removed_and_the_log_says_so() {
    let folder = folder();
    let (log, _) = OutboundLog::open_bounded(folder.path(), (1500, 3)).expect("opened");
    (0..60).try_for_each(|number| send(&log, number)).expect("logged");
    let files = texts(folder.path());
    assert_eq!(files.len(), 3);
    let kept = entries(folder.path()).expect("whole, as far as it is kept");
    assert!(kept[0].entry > 40 && kept.last().expect("one").entry >= 59, "{kept:?}");
    // Without the entry that says it, a log that lacks its beginning is broken.
    let last = std::slice::from_ref(&files[2].0);
    let is_said = kept.iter().any(|one| {
        matches!(&one.what, What::Removed(gone)
        if gone.removed_to + 1 == kept[0].entry)
    });
    assert!(is_said);
    let error = walk(last, &mut |_, _| {}).expect_err("two files are missing").to_string();
    assert!(error.contains("missing"), "{error}");
}

#[test]
fn a_torn_last_entry_is_cut_whatever_the_crash_left_of_it() {
    let folder = folder();
    let (log, _) = OutboundLog::open(folder.path()).expect("opened");
    (0..3).try_for_each(|number| send(&log, number)).expect("logged");
    drop(log);
    let (path, text) = texts(folder.path()).remove(0);
    let last = text[..text.len() - 1].rfind('\n').expect("three lines") + 1;
    let mut zeroed = text.clone().into_bytes();
    zeroed[last + 20..text.len() - 40].fill(0);
    let mut torn: Vec<Vec<u8>> =
        (last + 1..text.len()).map(|at| text.as_bytes()[..at].to_vec()).collect();
    torn.extend([zeroed, [&text.as_bytes()[..last], &[0; 100]].concat()]);
    for torn in torn {
        fs::write(&path, &torn).expect("written");
        let (log, cut) = OutboundLog::open(folder.path()).expect("opened");
        assert_eq!(cut, (torn.len() - last) as u64);
        assert_eq!(fs::read_to_string(&path).expect("read"), text[..last]);
        send(&log, 9).expect("goes on");
        assert_eq!(entries(folder.path()).expect("whole").len(), 3);
    }
}

#[test]
fn every_other_change_is_found_and_named() {
    let folder = folder();
    let (log, _) = OutboundLog::open_bounded(folder.path(), (1500, 100)).expect("opened");
    (0..12).try_for_each(|number| send(&log, number)).expect("logged");
    drop(log);
    let files = texts(folder.path());
    let (path, text) = &files[1];
    let lines: Vec<&str> = text.lines().collect();
    let forged = {
        let (mut entry, _) = Entry::read(lines[1]).expect("an entry");
        entry.time = "2020-01-01T00:00:00.000Z".to_owned();
        entry.line().0
    };
    let join = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let mut swapped = lines.clone();
    swapped.swap(0, 1);
    let number = |line: &str| Entry::read(line).expect("an entry").0.entry;
    for (changed, expected) in [
        (
            text.replacen("Pending", "Pendinh", 1),
            format!("entry {}: it was changed", number(lines[0])),
        ),
        (
            join(&[&lines[..1], &lines[2..]].concat()),
            format!("entry {} should be here", number(lines[1])),
        ),
        (join(&swapped), format!("entry {} should be here", number(lines[0]))),
        (
            join(&[lines[0], &forged, lines[2]]),
            format!("entry {}: it does not follow", number(lines[2])),
        ),
        (join(&lines[..2]), format!("entry {} should be here", number(lines[2]))),
        (text[..text.len() - 1].to_owned(), "torn, and another file follows".to_owned()),
        (format!("{text}\n"), "it is no entry".to_owned()),
    ] {
        fs::write(path, changed).expect("written");
        let error = entries(folder.path()).expect_err(&expected).to_string();
        assert!(error.contains(&expected), "{error}\nexpected {expected}");
        assert!(error.contains("line "), "{error}");
        fs::write(path, text).expect("written");
    }
    fs::remove_file(path).expect("removed");
    assert!(entries(folder.path()).is_err(), "a whole file is missing");
    // A damaged end is found at the next start, too, and nothing is written after it.
    fs::write(path, text).expect("written");
    let (last, text) = files.last().expect("files");
    fs::write(last, text.replacen("Pending", "Pendinh", 1)).expect("written");
    assert!(matches!(OutboundLog::open(folder.path()), Err(LogError::Broken(_))));
}

#[test]
fn what_cannot_be_logged_does_not_leave_and_nothing_does_after_it() {
    let folder = folder();
    let (log, _) = OutboundLog::open_bounded(folder.path(), (1500, 100)).expect("opened");
    (0..4).try_for_each(|number| send(&log, number)).expect("logged");
    // Where the next file should be is something else: a fault of the disk that root feels, too.
    let next = file_of(folder.path(), 4);
    fs::create_dir(&next).expect("a folder");
    let error = send(&log, 4).expect_err("no file");
    assert!(error.to_string().contains("000000000004.jsonl"), "{error}");
    fs::remove_dir(&next).expect("removed");
    assert_eq!(send(&log, 5).expect_err("poisoned").to_string(), error.to_string());
    let (log, _) = OutboundLog::open_bounded(folder.path(), (1500, 100)).expect("started again");
    send(&log, 6).expect("logged");
    assert_eq!(entries(folder.path()).expect("whole").len(), 5);
}
