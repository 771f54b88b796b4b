//! A pause is a file in the state folder: whoever may write there can ask for it, it outlasts
//! restarts, and a running client sees it within a second.

use std::fmt;
use std::path::{Path, PathBuf};

use covey_aggregation::net::files;
use covey_aggregation::program::clock::{now, utc};
use covey_aggregation::program::{Failure, StateFolder};
use serde::Serialize;

/// The file whose presence is the pause.
const PAUSE_FILE: &str = "paused";

/// The pause of a client.
#[derive(Clone, Debug)]
pub struct Pause(PathBuf);

/// What was asked for, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Whether the client is to take no part from now on.
    pub is_paused: bool,
    /// Whether that was so before.
    pub was_paused: bool,
    /// Whether a client is running, which now does so.
    pub is_running: bool,
}

impl Pause {
    /// Of the client with this state folder.
    #[must_use]
    pub fn of(state: &Path) -> Self {
        Self(state.join(PAUSE_FILE))
    }

    /// Whether the client is to take no part. A state folder that cannot be read pauses it: to take
    /// part against the owner's word would be the greater harm.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.try_exists().unwrap_or(true)
    }

    /// Sets or ends the pause, durably.
    ///
    /// # Errors
    /// [`Failure`], naming the file.
    pub fn ask(&self, is_paused: bool) -> Result<Asked, Failure> {
        let was_paused = self.is_set();
        let folder = self.0.parent().unwrap_or_else(|| Path::new("."));
        let asked = if is_paused {
            files::create_private_folder(folder).and_then(|()| {
                files::write_durably(&self.0, format!("since {}\n", utc(now())).as_bytes())
            })
        } else {
            files::remove_durably(&self.0)
        };
        asked.map_err(|error| Failure::file(&error))?;
        Ok(Asked { is_paused, was_paused, is_running: StateFolder::is_in_use(folder) })
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.was_paused == self.is_paused {
            write!(f, "already ")?;
        }
        match (self.is_paused, self.is_running) {
            (true, true) => f.write_str(
                "paused: what is sealed already is finished, nothing else is begun, and then the \
                 client leaves the coordinator\nto go on: covey-client resume",
            ),
            (true, false) => f.write_str(
                "paused: a client that is started takes no part until it is resumed\nto go on: \
                 covey-client resume",
            ),
            (false, true) => f.write_str("going on: the client takes part again"),
            (false, false) => f.write_str("going on, once the client is started"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_lasts_until_it_is_ended() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = folder.path().join("state");
        let pause = Pause::of(&state);
        assert!(!pause.is_set());
        let asked = pause.ask(true).expect("paused");
        assert_eq!(asked, Asked { is_paused: true, was_paused: false, is_running: false });
        assert!(Pause::of(&state).is_set());
        let _running = StateFolder::open(&state).expect("the state");
        let again = pause.ask(true).expect("paused");
        assert!(again.was_paused && again.is_running, "{again}");
        assert!(again.to_string().starts_with("already paused"), "{again}");
        pause.ask(false).expect("resumed");
        assert!(!Pause::of(&state).is_set());
        assert!(!pause.ask(false).expect("nothing to end").was_paused);
    }
}
