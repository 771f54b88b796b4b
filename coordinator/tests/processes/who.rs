//! Somebody with a program.

use std::fmt;

/// Somebody with a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Coordinator,
    Holder(usize),
    Owner(usize),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator => f.write_str("coordinator"),
            Self::Holder(index) => write!(f, "holder-{index}"),
            Self::Owner(index) => write!(f, "owner-{index}"),
        }
    }
}

impl Who {
    pub(super) const fn program(self) -> &'static str {
        match self {
            Self::Coordinator => "covey-coordinator",
            Self::Holder(_) => "covey-committee",
            Self::Owner(_) => "covey-client",
        }
    }

    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Owner(_) => "start",
            Self::Coordinator | Self::Holder(_) => "serve",
        }
    }

    pub(super) const fn config(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator.toml",
            Self::Holder(_) => "holder.toml",
            Self::Owner(_) => "client.toml",
        }
    }
}
