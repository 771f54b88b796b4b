//! What a link travels by: QUIC, or TLS over TCP where UDP does not get through.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What carries a link. Everything above is the same on both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// QUIC, over UDP.
    Quic,
    /// TLS over TCP.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quic => "QUIC",
            Self::Tcp => "TLS over TCP",
        })
    }
}

/// What a member's settings say: `transport = "auto"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportChoice {
    /// QUIC, and TLS over TCP where nothing answers over UDP.
    #[default]
    Auto,
    /// QUIC alone.
    Quic,
    /// TLS over TCP alone.
    Tcp,
}

/// A text that is no [`TransportChoice`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no transport: write auto, quic or tcp")]
pub struct NoTransport(String);

impl FromStr for TransportChoice {
    type Err = NoTransport;

    fn from_str(text: &str) -> Result<Self, NoTransport> {
        match text {
            "auto" => Ok(Self::Auto),
            "quic" => Ok(Self::Quic),
            "tcp" => Ok(Self::Tcp),
            other => Err(NoTransport(other.to_owned())),
        }
    }
}

impl fmt::Display for TransportChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Quic => "quic",
            Self::Tcp => "tcp",
        })
    }
}

/// What a link travels by, and why not by QUIC where it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// What carries it.
    pub transport: Transport,
    /// Why, where it is not the first choice.
    pub why: Option<String>,
}

impl Way {
    pub(super) const QUIC: Self = Self { transport: Transport::Quic, why: None };

    /// TLS over TCP, and why.
    pub(crate) fn tcp(why: impl Into<String>) -> Self {
        Self { transport: Transport::Tcp, why: Some(why.into()) }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Some(why) => write!(f, "{} ({why})", self.transport),
            None => write!(f, "{}", self.transport),
        }
    }
}
