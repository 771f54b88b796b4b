//! The state folder, and the room that there is.

use std::fs;
use std::path::Path;

use crate::program::StateFolder;
use crate::program::room::free_bytes;

use super::Diagnosis;

/// With less no program can go on: a journal alone may want to grow by that.
const FREE_BYTES_MIN: u64 = 64 << 20;

/// With less it is time to look.
const FREE_BYTES_LOW: u64 = 1 << 30;

/// Looks at a state folder, and leaves nothing behind in it. Whether a program is running with it.
pub fn check(diagnosis: &mut Diagnosis, state: &Path) -> bool {
    // A folder that is not there yet is made where its nearest parent is.
    let existing = state.ancestors().find(|path| path.as_os_str().is_empty() || path.exists());
    let existing =
        existing.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let fix = "give the program's user a folder of its own (chown, chmod 700), or name another";
    match tempfile_in(existing) {
        Ok(()) if existing == state => diagnosis.ok("state", format!("{}", state.display())),
        Ok(()) => diagnosis.ok("state", format!("{} will be made", state.display())),
        Err(error) => {
            let found = format!("nothing can be written in {}: {error}", existing.display());
            diagnosis.problem("state", found, fix);
        }
    }
    let is_running = StateFolder::is_in_use(state);
    if is_running {
        diagnosis.ok("running", "a program is running with this state");
    }
    check_room(diagnosis, existing);
    is_running
}

/// Whether a file can be made, flushed and removed.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let file = fs::File::create_new(&path)?;
    let flushed = file.sync_all();
    fs::remove_file(&path)?;
    flushed
}

fn check_room(diagnosis: &mut Diagnosis, folder: &Path) {
    match free_bytes(folder) {
        Ok(free) => free.into_iter().for_each(|free| judge_room(diagnosis, free)),
        Err(error) => {
            let found = format!("cannot tell how much room there is: {error}");
            diagnosis.warn("room", found, "look with df");
        }
    }
}

pub(super) fn judge_room(diagnosis: &mut Diagnosis, free_bytes: u64) {
    let found = format!("{} MiB free", free_bytes >> 20);
    let fix = "make room on the disk of the state folder";
    if free_bytes < FREE_BYTES_MIN {
        diagnosis.problem("room", found, fix);
    } else if free_bytes < FREE_BYTES_LOW {
        diagnosis.warn("room", found, fix);
    } else {
        diagnosis.ok("room", found);
    }
}
