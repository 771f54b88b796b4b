//! Disks without room: real ones, of a few megabytes, mounted for the test.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use covey_aggregation::program::room::free_bytes;

use crate::oracle;
use crate::processes::{Federation, PATIENCE, Plan, Process, Who, Work};

const MEBIBYTE: u64 = 1 << 20;

/// A small disk, unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// None where nothing may be mounted: that is said, past what captures a test's output, and is a
    /// failure where `COVEY_REQUIRE_MOUNT` is set.
    fn mount(folder: &Path, mebibytes: u32) -> Option<Self> {
        fs::create_dir_all(folder).expect("made");
        let size = format!("size={mebibytes}m,mode=700");
        let mut command = Command::new("mount");
        let output = command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        let why = match output {
            Ok(output) if output.status.success() => return Some(Self(folder.to_owned())),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        let said = format!("NOT TESTED, full disks: a small disk cannot be mounted here ({why})\n");
        std::io::stderr().write_all(said.as_bytes()).expect("said");
        assert!(std::env::var_os("COVEY_REQUIRE_MOUNT").is_none(), "{said}");
        None
    }

    /// Fills it until so many bytes are left at most.
    fn fill(&self, left_bytes: u64) {
        let mut ballast = File::create(self.ballast()).expect("created");
        for piece_bytes in [MEBIBYTE, 4096] {
            let piece = vec![1; piece_bytes as usize];
            while free_bytes(&self.0).expect("told").expect("Linux tells")
                >= left_bytes + piece_bytes
            {
                if ballast.write_all(&piece).is_err() {
                    break;
                }
            }
        }
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there keeps it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Has the coordinator tell its health; where.
fn with_admin(federation: &Federation) -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("bound");
    let path = federation.home(Who::Coordinator).join("coordinator.toml");
    let settings = fs::read_to_string(&path).expect("read");
    fs::write(path, format!("admin = \"{address}\"\n{settings}")).expect("written");
    address
}

/// What `/readyz` answers: status line and body.
fn ready(address: SocketAddr) -> String {
    let until = Instant::now() + PATIENCE;
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        thread::sleep(Duration::from_millis(10));
    };
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

fn has_begun(line: &str) -> Option<()> {
    line.contains("\"event\":\"phase\"").then_some(())
}

#[test]
fn a_round_waits_for_room_says_so_and_begins_by_itself() {
    let federation = Federation::new(4, &Plan { rounds: 2, ..Plan::default() });
    let Some(disk) = Disk::mount(&federation.state(Who::Coordinator), 64) else { return };
    let admin = with_admin(&federation);
    disk.fill(3 * MEBIBYTE);
    let mut work = Work::start(&federation);
    let told = work
        .process(Who::Coordinator)
        .wait_for(|line| line.contains("\"event\":\"no-room\"").then(|| line.to_owned()));
    assert!(told.contains("\"free_bytes\"") && told.contains("\"wanted_bytes\""), "{told}");
    let answer = ready(admin);
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("MiB are free on the disk of the state folder"), "{answer}");
    assert_eq!(work.process(Who::Coordinator).heard(has_begun), None, "no round has begun");
    disk.make_room();
    work.process(Who::Coordinator).wait_for(has_begun);
    assert!(ready(admin).starts_with("HTTP/1.1 200"));
    let story = work.finish(&[]).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(story.finished["rounds_done"], 2, "without a restart");
    oracle::check(&federation);
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_round_loses_nothing() {
    let federation = Federation::new(4, &Plan { rounds: 3, ..Plan::default() });
    let Some(disk) = Disk::mount(&federation.state(Who::Coordinator), 32) else { return };
    let mut work = Work::start(&federation);
    work.process(Who::Coordinator)
        .wait_for(|line| (has_begun(line).is_some() && line.contains("\"Collect\"")).then_some(()));
    disk.fill(0);
    let coordinator = work.process(Who::Coordinator);
    let until = Instant::now() + Duration::from_secs(3);
    let mut status = None;
    while status.is_none() && Instant::now() < until {
        status = coordinator.ended();
        thread::sleep(Duration::from_millis(10));
    }
    // It stops once it cannot store what it is to promise, or waits: either way it says why.
    let words = coordinator.words();
    match status {
        Some(status) => {
            assert_eq!(status.code(), Some(1), "{words}");
            assert!(words.contains("\"STORAGE\"") && words.contains("full"), "{words}");
        }
        None => assert!(words.contains("cannot be stored") || words.contains("no-room"), "{words}"),
    }
    disk.make_room();
    let story = work.finish(&[Who::Coordinator]).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(story.finished["rounds"], 3);
    oracle::check(&federation);
}

#[test]
fn a_member_without_room_says_so_and_starts_once_there_is() {
    let federation = Federation::new(4, &Plan::default());
    for who in [Who::Holder(0), Who::Owner(0)] {
        let Some(disk) = Disk::mount(&federation.state(who), 2) else { return };
        disk.fill(0);
        let mut process = Process::start(who, &mut federation.command(who));
        let status = process.wait();
        let words = process.words();
        assert_eq!(status.code(), Some(1), "{who}: {words}");
        assert!(words.contains("No space left on device"), "{who}: {words}");
        assert!(words.contains("/state/") && words.contains("\"hint\""), "{who}: {words}");
        // What it has begun there does not stand in its way.
        disk.make_room();
        let mut process = federation.start(who);
        process
            .wait_for(|line| (line.contains("\"ready\"") || line.contains("seat 0")).then_some(()));
        drop(process);
        crate::processes::copy_folder(&federation.state(who), &federation.home(who).join("copy"));
        drop(disk);
        crate::processes::copy_folder(&federation.home(who).join("copy"), &federation.state(who));
    }
    let work = Work::start(&federation);
    let story = work.finish(&[]).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(story.finished["rounds_done"], 1);
    oracle::check(&federation);
}
