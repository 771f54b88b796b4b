//! What only a bucket does: fail, refuse, and take an object in parts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use covey_aggregation::program::{Exit, Failure};
use covey_coordinator::config::Config;
use covey_coordinator::doctor;
use covey_coordinator::storage::StorageError;
use covey_coordinator::storage::blobs::Depot;

use crate::Place;
use crate::server::{KEYS, Server};
use crate::stores::{MEMBER, digest, store};

/// More than one request may carry.
const LARGE_BYTES: usize = (8 << 20) + (1 << 20) + 17;

fn large() -> Vec<u8> {
    (0..LARGE_BYTES).map(|at| (at * 31 % 251) as u8).collect()
}

/// Nothing that people see shows a key.
fn assert_hidden(text: &str) {
    for secret in [KEYS.0, KEYS.1] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn what_is_large_travels_in_parts_and_is_read_by_ranges() {
    let place = Place::bucket();
    let blobs = place.depot().open().expect("opened");
    let (name, content) = (digest("large"), large());
    blobs.put(&name, &content).expect("stored");
    assert!(blobs.object(&name).expect("read").as_deref() == Some(content.as_slice()));
    let mut writer = blobs.begin(1, &MEMBER, &name).expect("begun");
    writer.correction(b"correction").expect("written");
    for (index, chunk) in content.chunks(50_000).enumerate() {
        writer.chunk(chunk, &digest(&index.to_string())).expect("written");
    }
    assert!(writer.finish().expect("stored"));
    // Two readers side by side, one from the middle on.
    let stored = blobs.contribution(1, &name);
    for start in [0, 20] {
        let mut chunks = stored.chunks(start * 50_000).expect("opened");
        for expected in content.chunks(50_000).skip(usize::try_from(start).expect("small")) {
            let mut chunk = vec![0; expected.len()];
            chunks.next(&mut chunk).expect("read");
            assert!(chunk == expected);
        }
    }
    let round = fs::read_dir(place.state_dir().join("rounds/round-0001")).expect("listed");
    assert_eq!(round.count(), 0, "nothing is left on this machine");
}

#[test]
fn a_failing_server_is_asked_again_and_then_named_without_the_keys() {
    let place = Place::bucket();
    let server = place.server.as_ref().expect("a server");
    let blobs = place.depot().open().expect("opened");
    server.fail(2);
    blobs.put(&digest("a"), b"a").expect("stored at the third try");
    assert!(server.has_failed());
    server.fail_always();
    let error = blobs.put(&digest("b"), b"b").expect_err("it never answers");
    assert!(matches!(error, StorageError::Object { .. }), "{error}");
    let text = format!("{error} {error:?} {blobs:?} {:?}", place.depot());
    assert!(text.contains(&format!("s3://federation/a/b/objects/{}", digest("b"))), "{text}");
    assert_hidden(&text);
    let failure = Failure::from(error);
    assert_eq!((failure.exit, failure.code), (Exit::Failed, "STORAGE"));
    server.recover();
    assert_eq!(blobs.object(&digest("b")).expect("looked"), None);
}

#[test]
fn a_contribution_that_cannot_be_put_is_not_stored_and_is_put_at_the_next_try() {
    let place = Place::bucket();
    let server = place.server.as_ref().expect("a server");
    let blobs = place.depot().open().expect("opened");
    let header = digest("a");
    let mut writer = blobs.begin(1, &MEMBER, &header).expect("begun");
    writer.correction(b"correction").expect("written");
    writer.boxes(b"box0").expect("written");
    writer.chunk(b"chunk0", &digest("0")).expect("written");
    server.fail_always();
    writer.finish().expect_err("nothing is acknowledged");
    server.recover();
    assert!(!place.stored().join(format!("rounds/round-0001/{header}/correction")).exists());
    let mut writer = blobs.begin(1, &MEMBER, &header).expect("begun");
    assert!(writer.kept_chunk(0, 6, 6).expect("read").is_some(), "it came already");
    writer.go_on_after(10, 4, (1, 6)).expect("cut");
    assert!(writer.finish().expect("stored"));
    assert_eq!(blobs.contribution(1, &header).correction().expect("read"), b"correction");
}

#[test]
fn a_contribution_that_was_stored_in_part_is_removed_at_start() {
    let place = Place::bucket();
    let blobs = place.depot().open().expect("opened");
    let (whole, half) = (digest("whole"), digest("half"));
    store(&blobs, 1, &whole);
    store(&blobs, 1, &half);
    blobs.put_result(1, "sum", b"sum").expect("stored");
    let rounds = place.stored().join("rounds/round-0001");
    // As a program leaves it that is killed before the last part.
    fs::remove_file(rounds.join(format!("{half}/correction"))).expect("removed");
    let blobs = place.depot().open().expect("opened again");
    let keys: Vec<_> = blobs.entries().expect("listed").into_iter().map(|one| one.key).collect();
    assert_eq!(keys.len(), 4, "{keys:?}");
    assert!(keys.iter().all(|key| !key.contains(&half.to_string())), "{keys:?}");
    assert!(store(&blobs, 1, &half), "it is new");
}

/// Settings in a file, as an operator writes them.
fn config(folder: &std::path::Path, lines: &str) -> PathBuf {
    let path = folder.join("coordinator.toml");
    fs::write(&path, format!("listen = \"127.0.0.1:0\"\n{lines}")).expect("written");
    path
}

fn lines(server: &Server, bucket: &str) -> String {
    format!(
        "objects = \"s3://{bucket}/x\"\n[s3]\nendpoint = \"http://{}\"\nallow_http = true\n\
         region = \"eu-north-1\"\ncredentials = \"{}\"\nretry_s = 1\n",
        server.address,
        server.credentials().display(),
    )
}

#[test]
fn settings_of_a_bucket_are_read_and_wrong_ones_named_with_their_line() {
    let place = Place::bucket();
    let server = place.server.as_ref().expect("a server");
    let folder = place.state_dir();
    let path = config(folder, &lines(server, "federation"));
    let read = Config::load(&path).expect("valid");
    let objects = read.objects.clone().expect("a bucket");
    assert_eq!(objects.url.to_string(), "s3://federation/x/");
    assert_hidden(&format!("{read:?}"));
    Depot::new(folder, Some(&objects)).expect("settings").probe().expect("it works");

    let plain = lines(server, "federation").replace("allow_http = true\n", "");
    let missing = lines(server, "federation").replace("keys.toml", "no.toml");
    for (text, line, what) in [
        ("objects = \"file:///x\"\n", 2, "s3://BUCKET/PREFIX"),
        ("objects = \"s3://k:s@b/x\"\n", 2, "a bucket has"),
        ("[s3]\nregion = \"x\"\n", 2, "`objects` names none"),
        (plain.as_str(), 3, "allow_http = true"),
        (missing.as_str(), 3, "there is no"),
        ("objects = \"s3://abc\"\n[s3]\nsecret_access_key = \"x\"\n", 4, "unknown field"),
    ] {
        let error = Config::load(&config(folder, text)).expect_err(text);
        assert_eq!(error.at.map(|at| at.0), Some(line), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    // Keys that everybody can read are not taken.
    let keys = server.credentials();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).expect("set");
    let error = Depot::new(folder, Some(&objects)).expect_err("exposed").to_string();
    assert!(error.contains("keys.toml"), "{error}");
    assert_hidden(&error);
}

#[test]
fn doctor_says_whether_the_bucket_does_what_it_must() {
    let place = Place::bucket();
    let server = place.server.as_ref().expect("a server");
    let folder = place.state_dir();
    let objects = |lines: &str| {
        let diagnosis = doctor::examine(&config(folder, lines)).to_string();
        assert_hidden(&diagnosis);
        let line = diagnosis.lines().find(|line| line.contains("objects")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{diagnosis}"))
    };
    let good = objects(&lines(server, "federation"));
    assert!(good.contains("ok") && good.contains("written, read, listed, removed"), "{good}");
    assert_eq!(fs::read_dir(server.stored().join("x")).map_or(0, Iterator::count), 0, "all gone");
    let bad = objects(&lines(server, "elsewhere"));
    assert!(bad.contains("s3://elsewhere/x/"), "{bad}");
    let other = server.keys("other.toml", ("SOMEBODY", "else"));
    let wrong = lines(server, "federation")
        .replace(&server.credentials().display().to_string(), &other.display().to_string());
    let bad = objects(&wrong);
    assert!(!bad.contains("SOMEBODY"), "{bad}");
    assert!(bad.contains("cannot write"), "{bad}");
}
