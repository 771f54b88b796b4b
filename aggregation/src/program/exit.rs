//! Exit codes. They are a contract with scripts: a code never changes its meaning.

use std::process::ExitCode;

use crate::program::stop::Signal;

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The operation failed.
    Failed,
    /// Bad arguments, plan, policy or configuration: change the input.
    BadInput,
    /// Timed out: try again later.
    TimedOut,
    /// Cannot connect, TLS, or not authorised: fix network or identity.
    NoAccess,
    /// Refused by an owner's rule: do not try again, ask a person.
    Policy,
    /// Verification failed: stop, raise an alarm.
    Unverified,
    /// Stopped by Ctrl-C.
    Interrupted,
    /// Stopped by SIGTERM.
    Terminated,
}

impl Exit {
    /// The process's exit status.
    #[must_use]
    pub const fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::BadInput => 2,
            Self::TimedOut => 3,
            Self::NoAccess => 4,
            Self::Policy => 5,
            Self::Unverified => 6,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

impl From<Signal> for Exit {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::Interrupted,
            Signal::Terminate => Self::Terminated,
        }
    }
}
