//! Stopping: the first signal drains, the second stops at once.

use std::fmt;

use tokio::sync::watch;

use crate::failure::Exit;

/// What the operator said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signal {
    /// What the program exits with.
    #[must_use]
    pub const fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "Ctrl-C",
            Self::Terminate => "SIGTERM",
        })
    }
}

/// Passes the first signal on, and ends the process at the second. Never returns otherwise.
pub async fn listen(stop: watch::Sender<Option<Signal>>) {
    let mut stopping = false;
    loop {
        let signal = next().await;
        if stopping {
            // What was promised is in the journal; nothing else needs to be put in order.
            std::process::exit(signal.exit() as i32);
        }
        stopping = true;
        eprintln!("{signal}: finishing the step at hand; once more stops at once");
        // Nobody listens any more only when the program is ending anyway.
        let _ = stop.send(Some(signal));
    }
}

#[cfg(unix)]
async fn next() -> Signal {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => Signal::Interrupt,
        _ = terminate.recv() => Signal::Terminate,
    }
}

#[cfg(not(unix))]
async fn next() -> Signal {
    match tokio::signal::ctrl_c().await {
        Ok(()) => Signal::Interrupt,
        Err(_) => std::future::pending().await,
    }
}
