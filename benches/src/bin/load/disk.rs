//! What stands beside it: the same bytes over plain TCP into files, and into files alone. A file counts
//! once it is synced to the disk, as a contribution does.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use covey_benches::Process;

use crate::PLAIN;
use crate::federation::UPLOADS;

/// What the plain process came to.
pub(crate) struct Plain {
    pub(crate) megabytes_per_s: f64,
    /// Its memory at the end.
    pub(crate) resident: u64,
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Takes connections, a thread for each, until it is killed: a name, a length, and so many bytes into a
/// file of that name.
pub(crate) fn take_plainly(folder: Option<&String>) -> Result<(), String> {
    let folder = Path::new(folder.ok_or("no folder")?);
    let listener = TcpListener::bind("127.0.0.1:0").map_err(said)?;
    println!("{}", listener.local_addr().map_err(said)?);
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            let mut stream = stream.map_err(said)?;
            scope
                .spawn(move || take_one(folder, &mut stream).inspect_err(|why| eprintln!("{why}")));
        }
        Ok(())
    })
}

fn take_one(folder: &Path, stream: &mut TcpStream) -> std::io::Result<()> {
    let mut numbers = [[0; 8]; 2];
    for number in &mut numbers {
        stream.read_exact(number)?;
    }
    let [index, bytes] = numbers.map(u64::from_le_bytes);
    let mut file = File::create(folder.join(index.to_string()))?;
    let mut piece = vec![0; 50_000];
    let mut left = bytes;
    while left > 0 {
        let length = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        stream.read_exact(&mut piece[..length])?;
        file.write_all(&piece[..length])?;
        left -= length as u64;
    }
    file.sync_all()?;
    stream.write_all(&[1])
}

/// The best of some tries each: megabytes in a second of files alone, and the plain process.
pub(crate) fn best_of(
    tries: usize,
    folder: &Path,
    files: usize,
    bytes: u64,
) -> Result<(f64, Plain), String> {
    let (mut limit, mut best) = (0.0_f64, Plain { megabytes_per_s: 0.0, resident: 0 });
    for _ in 0..tries {
        limit = limit.max(alone(folder, files, bytes)?);
        let plain = plainly(folder, files, bytes)?;
        if plain.megabytes_per_s > best.megabytes_per_s {
            best = plain;
        }
    }
    Ok((limit, best))
}

/// Sends as many bytes as a round did, as many files at once.
fn plainly(folder: &Path, files: usize, bytes: u64) -> Result<Plain, String> {
    let folder = folder.join("plain");
    fs::create_dir_all(&folder).map_err(said)?;
    let plain = Process::start(&[PLAIN, &folder.to_string_lossy()])?;
    settle()?;
    let (address, next, began) = (plain.address, AtomicUsize::new(0), Instant::now());
    let content = vec![0x5a; usize::try_from(bytes).map_err(said)?];
    side_by_side(UPLOADS, || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= files {
                return Ok(());
            }
            send_one(address, index, &content).map_err(said)?;
        }
    })?;
    let megabytes_per_s = files as f64 * bytes as f64 / 1e6 / began.elapsed().as_secs_f64();
    let resident = plain.resident_bytes()?;
    fs::remove_dir_all(&folder).map_err(said)?;
    Ok(Plain { megabytes_per_s, resident })
}

fn send_one(address: SocketAddr, index: usize, content: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&(index as u64).to_le_bytes())?;
    stream.write_all(&(content.len() as u64).to_le_bytes())?;
    stream.write_all(content)?;
    stream.read_exact(&mut [0])
}

/// Writes the same files from here; megabytes in a second.
fn alone(folder: &Path, files: usize, bytes: u64) -> Result<f64, String> {
    let folder = folder.join("alone");
    fs::create_dir_all(&folder).map_err(said)?;
    settle()?;
    let (next, began) = (AtomicUsize::new(0), Instant::now());
    let content = vec![0x5a; usize::try_from(bytes).map_err(said)?];
    side_by_side(UPLOADS, || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= files {
                return Ok(());
            }
            let mut file = File::create(folder.join(index.to_string())).map_err(said)?;
            file.write_all(&content).and_then(|()| file.sync_all()).map_err(said)?;
        }
    })?;
    let rate = files as f64 * bytes as f64 / 1e6 / began.elapsed().as_secs_f64();
    fs::remove_dir_all(&folder).map_err(said)?;
    Ok(rate)
}

/// Has everything on the disk that was written before, so that it is not counted.
fn settle() -> Result<(), String> {
    std::process::Command::new("sync").status().map(|_| ()).map_err(said)
}

fn side_by_side(
    threads: usize,
    work: impl Fn() -> Result<(), String> + Sync,
) -> Result<(), String> {
    std::thread::scope(|scope| {
        let working: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        // All of them are waited for, also after one has failed.
        let ended: Vec<_> = working.into_iter().map(|thread| thread.join()).collect();
        let died = |_| Err("a thread died".to_owned());
        ended.into_iter().try_for_each(|ended| ended.unwrap_or_else(died))
    })
}
