//! Stopping: the first signal asks a program to bring what it does to an end (drain), the second
//! to stop at once.

use std::io;

use tokio::sync::watch;

/// What asked a program to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C (SIGINT).
    Interrupt,
    /// SIGTERM.
    Terminate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Run,
    Drain(Signal),
    Halt(Signal),
}

/// Tells a program when to stop. Clones hear of the same signals.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Level>);

/// Asks a program to stop, in the place of a signal. When it is dropped, nobody can ask any more.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Level>);

impl Stopper {
    /// Asks: the first time to drain, the second time to stop at once.
    pub fn ask(&self, signal: Signal) {
        self.0.send_modify(|level| {
            *level = match *level {
                Level::Run => Level::Drain(signal),
                Level::Drain(_) | Level::Halt(_) => Level::Halt(signal),
            };
        });
    }
}

impl Stop {
    /// Without signals, for programs that embed one of these: they ask through the [`Stopper`].
    #[must_use]
    pub fn manual() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(Level::Run);
        (Stopper(sender), Self(receiver))
    }

    /// Listens to the signals of this process. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The system's, when it does not let signals be caught.
    #[cfg(unix)]
    pub fn on_signals() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (stopper, stop) = Self::manual();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => stopper.ask(Signal::Interrupt),
                    _ = terminate.recv() => stopper.ask(Signal::Terminate),
                }
            }
        });
        Ok(stop)
    }

    /// Listens to Ctrl-C. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The system's, when it does not let signals be caught.
    #[cfg(not(unix))]
    pub fn on_signals() -> io::Result<Self> {
        let (stopper, stop) = Self::manual();
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                stopper.ask(Signal::Interrupt);
            }
        });
        Ok(stop)
    }

    /// Waits until the program should drain (or stop at once).
    pub async fn draining(&mut self) -> Signal {
        self.reach(|level| match level {
            Level::Run => None,
            Level::Drain(signal) | Level::Halt(signal) => Some(signal),
        })
        .await
    }

    /// Waits until the program should stop at once.
    pub async fn halted(&mut self) -> Signal {
        self.reach(|level| match level {
            Level::Run | Level::Drain(_) => None,
            Level::Halt(signal) => Some(signal),
        })
        .await
    }

    async fn reach(&mut self, is_reached: impl Fn(Level) -> Option<Signal>) -> Signal {
        if let Ok(level) = self.0.wait_for(|level| is_reached(*level).is_some()).await
            && let Some(signal) = is_reached(*level)
        {
            return signal;
        }
        // Nobody can ask any more.
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn once_drains_and_twice_stops() {
        let (stopper, mut stop) = Stop::manual();
        stopper.ask(Signal::Terminate);
        assert_eq!(stop.draining().await, Signal::Terminate);
        let mut other = stop.clone();
        tokio::select! {
            biased;
            _ = other.halted() => panic!("asked only once"),
            () = std::future::ready(()) => {}
        }
        stopper.ask(Signal::Interrupt);
        assert_eq!(other.halted().await, Signal::Interrupt);
    }
}
