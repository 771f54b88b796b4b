//! What holds for bulk bytes wherever they are.

use std::fs;
use std::io::Read as _;

use covey_aggregation::hash::{Digest, Domain, hash};
use covey_aggregation::party::PartyId;
use covey_coordinator::storage::blobs::{Blobs, Depot};

use crate::Place;

pub(crate) const MEMBER: PartyId = PartyId([7; 32]);

pub(crate) fn digest(text: &str) -> Digest {
    hash(Domain::Plan, &[text.as_bytes()])
}

pub(crate) fn store(blobs: &Blobs, round: u32, header: &Digest) -> bool {
    let mut writer = blobs.begin(round, &MEMBER, header).expect("begun");
    writer.correction(b"corr").expect("written");
    writer.correction(b"ection").expect("written");
    writer.boxes(b"box0box1").expect("written");
    writer.chunk(b"chunk0", &digest("0")).expect("written");
    writer.chunk(b"chunk1", &digest("1")).expect("written");
    writer.finish().expect("durable")
}

#[test]
fn a_contribution_is_read_back_piece_by_piece() {
    for place in Place::both() {
        let blobs = place.depot().open().expect("opened");
        let header = digest("header");
        assert!(store(&blobs, 1, &header), "new");
        assert!(!store(&blobs, 1, &header), "the same client after a lost receipt");
        let stored = blobs.contribution(1, &header);
        assert_eq!(stored.correction().expect("read"), b"correction");
        assert_eq!(stored.sealed_box(1, 4).expect("read"), b"box1");
        stored.sealed_box(2, 4).expect_err("there is no third");
        let mut chunks = stored.chunks(0).expect("opened");
        let mut chunk = [0; 6];
        for expected in [b"chunk0", b"chunk1"] {
            chunks.next(&mut chunk).expect("read");
            assert_eq!(&chunk, expected);
        }
        chunks.next(&mut chunk).expect_err("there is no third");
        stored.chunks(6).expect("opened").next(&mut chunk).expect("read");
        assert_eq!(&chunk, b"chunk1");
        blobs.contribution(2, &header).correction().expect_err("another round");
        blobs.discard(1, &header).expect("removed");
        stored.correction().expect_err("removed");
        assert!(store(&blobs, 1, &header), "new again");
    }
}

#[test]
fn an_upload_that_broke_off_is_there_for_the_next_try_and_nowhere_else() {
    for place in Place::both() {
        let (header, other) = (digest("a"), digest("b"));
        let blobs = place.depot().open().expect("opened");
        let mut writer = blobs.begin(1, &MEMBER, &header).expect("begun");
        writer.correction(b"correction").expect("written");
        writer.boxes(b"box0bo").expect("written");
        writer.keep().expect("kept");
        blobs.contribution(1, &header).correction().expect_err("it is not stored");
        assert!(blobs.entries().expect("listed").is_empty(), "nor for a backup");
        drop(blobs);

        // After a restart it goes on, after the first box.
        let blobs = place.depot().open().expect("opened again");
        let mut writer = blobs.begin(1, &MEMBER, &header).expect("begun");
        let correction = writer.kept_correction(10).expect("read");
        assert_eq!(correction.as_deref(), Some(b"correction".as_slice()));
        assert_eq!(writer.kept_box(0, 4).expect("read").as_deref(), Some(b"box0".as_slice()));
        assert_eq!(writer.kept_box(1, 4).expect("read"), None);
        assert_eq!(writer.kept_chunk(0, 6, 6).expect("read"), None);
        writer.go_on_after(10, 4, (0, 0)).expect("cut");
        writer.boxes(b"box1").expect("written");
        writer.chunk(b"chunk0", &digest("0")).expect("written");
        writer.keep().expect("kept");
        let mut writer = blobs.begin(1, &MEMBER, &header).expect("begun");
        let kept = writer.kept_chunk(0, 6, 6).expect("read").expect("whole");
        assert_eq!(kept, (b"chunk0".to_vec(), digest("0")));
        writer.go_on_after(10, 8, (1, 6)).expect("cut");
        writer.chunk(b"chunk1", &digest("1")).expect("written");
        assert!(writer.finish().expect("stored"));
        let stored = blobs.contribution(1, &header);
        assert_eq!(stored.sealed_box(1, 4).expect("read"), b"box1");
        let mut chunks = [0; 12];
        stored.chunks(0).expect("opened").next(&mut chunks).expect("read");
        assert_eq!(&chunks, b"chunk0chunk1");

        // Another header of the same member begins anew, in the same place.
        let mut writer = blobs.begin(1, &MEMBER, &header).expect("begun");
        writer.correction(b"correction").expect("written");
        writer.keep().expect("kept");
        let mut writer = blobs.begin(1, &MEMBER, &other).expect("begun");
        assert_eq!(writer.kept_correction(10).expect("read"), None);
        writer.keep().expect("kept");
        let round = place.state_dir().join("rounds/round-0001");
        let uploads = fs::read_dir(&round).expect("listed").map(|entry| entry.expect("one").path());
        let is_upload =
            |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "upload");
        assert_eq!(uploads.filter(is_upload).count(), 1, "one for each member");
        blobs.forget(1).expect("forgotten");
        assert!(!round.exists(), "the round takes it along");
    }
}

#[test]
fn publishing_shows_only_what_counted_and_survives_forgetting() {
    for place in Place::both() {
        let blobs = place.depot().open().expect("opened");
        let (counted, dropped) = (digest("counted"), digest("dropped"));
        store(&blobs, 3, &counted);
        store(&blobs, 3, &dropped);
        blobs.put_result(3, "sum", b"result").expect("stored");
        assert_eq!(blobs.result(3, "sum").expect("read"), b"result");
        assert_eq!(blobs.open_rounds().expect("listed"), [3]);
        let bundle = blobs.publish(3, b"bundle", &[counted]).expect("published");
        assert_eq!(blobs.publish(3, b"other", &[counted]).expect("again"), bundle);
        blobs.forget(3).expect("forgotten");
        blobs.forget(3).expect("forgotten twice");
        assert!(blobs.open_rounds().expect("listed").is_empty());
        blobs.result(3, "sum").expect_err("forgotten");
        let published = place.stored().join("published/round-0003");
        assert!(bundle.ends_with("published/round-0003/publication.covey"), "{}", bundle.display());
        assert_eq!(fs::read(published.join("publication.covey")).expect("read"), b"bundle");
        let shown = published.join(format!("contributions/{counted}"));
        assert_eq!(fs::read(shown.join("chunks")).expect("read"), b"chunk0chunk1");
        assert!(!shown.join("boxes").exists());
        assert_eq!(fs::read_dir(shown.parent().expect("a parent")).expect("listed").count(), 1);

        let piece = |offset, bytes| {
            let name = format!("round-0003/contributions/{counted}/chunks");
            blobs.published_piece(&name, offset, bytes).expect("read").expect("published")
        };
        assert_eq!(piece(0, 6), (12, b"chunk0".to_vec()));
        assert_eq!(piece(6, 100), (12, b"chunk1".to_vec()));
        assert_eq!((piece(12, 5), piece(u64::MAX, 5)), ((12, Vec::new()), (12, Vec::new())));
        let none = blobs.published_piece("round-0004/publication.covey", 0, 1).expect("looked");
        assert_eq!(none, None);
    }
}

#[test]
fn an_object_is_stored_once_under_its_digest() {
    for place in Place::both() {
        let blobs = place.depot().open().expect("opened");
        let name = digest("plan");
        assert_eq!(blobs.object(&name).expect("looked"), None);
        blobs.put(&name, b"bytes").expect("stored");
        blobs.put(&name, b"other").expect("stored already");
        assert_eq!(blobs.object(&name).expect("read").as_deref(), Some(b"bytes".as_slice()));
        let shared = [0, 1].map(|_| blobs.shared_object(&name).expect("read").expect("there"));
        assert!(std::sync::Arc::ptr_eq(&shared[0], &shared[1]), "one copy");
    }
}

#[test]
fn what_is_listed_for_a_backup_can_be_read_and_written_elsewhere() {
    let [folder, bucket] = Place::both();
    for (from, to) in [(&folder, &bucket), (&bucket, &Place::both()[0])] {
        let (blobs, copy) =
            (from.depot().open().expect("opened"), to.depot().open().expect("opened"));
        let (header, model) = (digest("counted"), digest("model"));
        if from.server.is_none() {
            store(&blobs, 1, &header);
            blobs.put(&model, b"model").expect("stored");
            blobs.publish(1, b"bundle", &[header]).expect("published");
            blobs.put_published("rosters/x.covey", b"roster").expect("published");
        }
        let entries = blobs.entries().expect("listed");
        assert_eq!(entries.len(), 1 + 3 + 3 + 1, "{entries:?}");
        for entry in &entries {
            let mut content = blobs.read_key(&entry.key).expect("read").expect("there");
            copy.write_key(&entry.key, entry.bytes, &mut content).expect("written");
        }
        assert_eq!(copy.entries().expect("listed"), entries);
        assert_eq!(copy.object(&model).expect("read").as_deref(), Some(b"model".as_slice()));
        assert_eq!(copy.contribution(1, &header).correction().expect("read"), b"correction");
        assert_eq!(
            copy.published_file("rosters/x.covey").expect("read").as_deref(),
            Some(b"roster".as_slice())
        );
        for key in ["objects/../../x", "/etc/x", "objects//x", "journal.db"] {
            copy.write_key(key, 1, &mut &b"x"[..]).expect_err(key);
        }
        copy.write_key("objects/x", 2, &mut &b"x"[..]).expect_err("one byte is missing");
        assert_eq!(copy.entries().expect("listed"), entries);
        assert!(copy.read_key("objects/x").expect("looked").is_none());
    }
}

#[test]
fn what_was_published_is_fetched_into_a_folder_and_again_only_what_is_new() {
    for place in Place::both() {
        let blobs = place.depot().open().expect("opened");
        let to = tempfile::tempdir().expect("a folder");
        store(&blobs, 1, &digest("a"));
        blobs.publish(1, b"bundle", &[digest("a")]).expect("published");
        let copied = blobs.copy_published(to.path()).expect("copied");
        assert_eq!((copied.files, copied.bytes, copied.kept), (3, 10 + 12 + 6, 0));
        blobs.put_published("credits/credits.json", b"{}").expect("published");
        let copied = blobs.copy_published(to.path()).expect("copied");
        assert_eq!((copied.files, copied.bytes, copied.kept), (1, 2, 3));
        let round = to.path().join("round-0001");
        assert_eq!(fs::read(round.join("publication.covey")).expect("read"), b"bundle");
        let chunks = round.join(format!("contributions/{}/chunks", digest("a")));
        assert_eq!(fs::read(chunks).expect("read"), b"chunk0chunk1");
    }
}

#[test]
fn a_damaged_or_missing_part_is_an_error_that_names_it() {
    for place in Place::both() {
        let blobs = place.depot().open().expect("opened");
        let header = digest("a");
        store(&blobs, 1, &header);
        let parts = place.stored().join(format!("rounds/round-0001/{header}"));
        fs::write(parts.join("chunks"), b"chunk0chu").expect("cut");
        let mut chunk = [0; 6];
        let mut chunks = blobs.contribution(1, &header).chunks(0).expect("opened");
        chunks.next(&mut chunk).expect("whole");
        let error = chunks.next(&mut chunk).expect_err("cut").to_string();
        assert!(error.contains(&format!("{header}/chunks")), "{error}");
        fs::remove_file(parts.join("correction")).expect("removed");
        let error = blobs.contribution(1, &header).correction().expect_err("gone").to_string();
        assert!(error.contains(&format!("{header}/correction")), "{error}");
    }
}

#[test]
fn a_state_folder_says_where_its_bytes_are_and_is_not_taken_for_another_one() {
    let [folder, bucket] = Place::both();
    let in_bucket = bucket.settings();
    folder.depot().open().expect("opened").put(&digest("m"), b"m").expect("stored");
    let elsewhere = Depot::new(folder.state_dir(), in_bucket.as_ref()).expect("settings");
    let error = elsewhere.open().expect_err("its bytes are in the folder").to_string();
    assert!(error.contains("in the folder itself"), "{error}");

    bucket.depot().open().expect("opened").put(&digest("m"), b"m").expect("stored");
    bucket.depot().open().expect("the same again");
    let error = Blobs::open(bucket.state_dir()).expect_err("its bytes are in the bucket");
    assert!(error.to_string().contains("s3://federation/a/b/"), "{error}");
    let failure = covey_aggregation::program::Failure::from(error);
    assert_eq!(failure.code, "OTHER_OBJECTS");

    // A new folder does not begin where another one's bytes are.
    let new = tempfile::tempdir().expect("a folder");
    let taken = Depot::new(new.path(), in_bucket.as_ref()).expect("settings").open();
    let failure = covey_aggregation::program::Failure::from(taken.expect_err("taken"));
    assert!(
        failure.code == "OTHER_OBJECTS" && failure.message.contains("is not empty"),
        "{failure}"
    );

    // Whoever reads another folder follows what that says.
    let read = bucket.depot().elsewhere(folder.state_dir()).expect("a folder").read();
    assert_eq!(read.object(&digest("m")).expect("read").as_deref(), Some(b"m".as_slice()));
    let other = Depot::new(folder.state_dir(), in_bucket.as_ref()).expect("settings");
    let read = other.elsewhere(bucket.state_dir()).expect("a bucket").read();
    assert_eq!(read.object(&digest("m")).expect("read").as_deref(), Some(b"m".as_slice()));

    // Every run that was submitted has its own place.
    let run = digest("run");
    let blobs = bucket.depot().of_run(&run).open().expect("opened");
    assert_eq!(blobs.object(&digest("m")).expect("looked"), None);
    blobs.put(&digest("n"), b"n").expect("stored");
    let half = &run.to_string()[..32];
    assert!(bucket.stored().join(format!("runs/{half}/objects/{}", digest("n"))).exists());
    let mut content = String::new();
    let read = blobs.read_key(&format!("objects/{}", digest("n"))).expect("read").expect("there");
    read.take(9).read_to_string(&mut content).expect("read");
    assert_eq!(content, "n");
}
