//! Versions of the protocol, negotiated as names of TLS's ALPN (RFC 7301): `covey/1` for links,
//! `covey-enrol/1` for enrolment and `covey-desk/1` for requests that have nothing to do with rounds. A dialer offers every version that it speaks, a listener takes the
//! newest that both do.
//!
//! Beside them both know [`ANY`], which names no version and never changes: where there is no common
//! one it is what is left, and the listener says on it which versions it speaks instead of ending the
//! handshake with a bare alert.
//!
//! A new version: its number goes first in [`VERSIONS`], and what differs asks
//! [`Link::version`](crate::net::Link::version).

use std::fmt;

/// Versions that this program speaks, the newest first.
pub const VERSIONS: &[u16] = &[1];

/// What everybody offers who can be told which versions the other side speaks.
pub const ANY: &[u8] = b"covey-any";

/// Most names that are kept of what somebody offers.
const NAMES_MAX: usize = 16;

/// Longest name that is kept.
const NAME_BYTES_MAX: usize = 32;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A member's link.
    Link,
    /// Enrolment.
    Enrolment,
    /// A member's requests beside its link ([`crate::research`]): it may have both at once.
    Desk,
}

impl Protocol {
    const ALL: [Self; 3] = [Self::Link, Self::Enrolment, Self::Desk];

    const fn text(self) -> &'static str {
        match self {
            Self::Link => "covey/",
            Self::Enrolment => "covey-enrol/",
            Self::Desk => "covey-desk/",
        }
    }

    /// What the names of all its versions begin with.
    pub(super) const fn prefix(self) -> &'static [u8] {
        self.text().as_bytes()
    }

    /// The name of one version.
    #[must_use]
    pub fn name(self, version: u16) -> String {
        format!("{}{version}", self.text())
    }

    /// The name of the newest version that this program speaks.
    #[must_use]
    pub fn newest(self) -> Vec<u8> {
        self.name(VERSIONS.first().copied().unwrap_or_default()).into_bytes()
    }

    fn version(self, name: &[u8]) -> Option<u16> {
        let number = std::str::from_utf8(name).ok()?.strip_prefix(self.text())?;
        let version = number.parse().ok()?;
        // One name for one version.
        (self.name(version).as_bytes() == name).then_some(version)
    }
}

/// Which versions a side speaks, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions(Vec<u16>);

impl Default for Versions {
    fn default() -> Self {
        Self(VERSIONS.to_vec())
    }
}

impl Versions {
    /// These versions, in any order.
    #[must_use]
    pub fn of(versions: &[u16]) -> Self {
        let mut versions = versions.to_vec();
        versions.sort_unstable_by(|a, b| b.cmp(a));
        versions.dedup();
        Self(versions)
    }

    fn names(&self, protocol: Protocol) -> Vec<String> {
        self.0.iter().map(|version| protocol.name(*version)).collect()
    }

    /// What a dialer offers.
    pub(super) fn offer(&self, protocol: Protocol) -> Vec<Vec<u8>> {
        let names = self.names(protocol).into_iter().map(String::into_bytes);
        names.chain([ANY.to_vec()]).collect()
    }

    /// What a listener takes, the first that is offered.
    pub(super) fn taken(&self) -> Vec<Vec<u8>> {
        let names = Protocol::ALL.map(|protocol| self.names(protocol));
        let names = names.into_iter().flatten().map(String::into_bytes);
        names.chain([ANY.to_vec()]).collect()
    }

    /// What was agreed on, if it is one of these.
    pub(super) fn agreed(&self, name: Option<&[u8]>) -> Option<(Protocol, u16)> {
        let name = name?;
        Protocol::ALL.into_iter().find_map(|protocol| {
            let version = protocol.version(name)?;
            self.0.contains(&version).then_some((protocol, version))
        })
    }

    /// What a listener says to a dialer with which it has no version in common.
    pub(super) fn said(&self) -> Vec<u8> {
        let names = Protocol::ALL.map(|protocol| self.names(protocol));
        names.concat().join(" ").into_bytes()
    }
}

/// The two sides have no version in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What the dialer offers.
    pub offered: Vec<String>,
    /// What the listener speaks.
    pub supported: Vec<String>,
    /// Whether this side is the dialer.
    pub dialled_here: bool,
}

/// Which side is to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renew {
    /// The dialer.
    Dialer,
    /// The listener.
    Listener,
    /// The dialer speaks no version at all: it is another program.
    Other,
}

impl Mismatch {
    /// As the dialer sees it, from what the listener said.
    pub(super) fn heard(versions: &Versions, protocol: Protocol, said: &[u8]) -> Self {
        let names = said.split(|byte| *byte == b' ').filter(|name| !name.is_empty());
        let supported = names.take(NAMES_MAX).map(printable).collect();
        Self { offered: versions.names(protocol), supported, dialled_here: true }
    }

    /// As the listener sees it, from what the dialer offered.
    pub(super) fn seen(versions: &Versions, offered: &[Vec<u8>]) -> Self {
        let names = offered.iter().filter(|name| *name != ANY);
        let offered: Vec<_> = names.take(NAMES_MAX).map(printable).collect();
        let is_of =
            |protocol: &Protocol| offered.iter().any(|name| name.starts_with(protocol.text()));
        let others = [Protocol::Enrolment, Protocol::Desk];
        let protocol = others.into_iter().find(is_of).unwrap_or(Protocol::Link);
        Self { offered, supported: versions.names(protocol), dialled_here: false }
    }

    /// Which side is to be renewed: the one whose newest version is the older.
    #[must_use]
    pub fn renew(&self) -> Renew {
        let newest = |names: &[String], protocol: Protocol| {
            names.iter().filter_map(|name| protocol.version(name.as_bytes())).max()
        };
        for protocol in Protocol::ALL {
            if let Some(offered) = newest(&self.offered, protocol) {
                let supported = newest(&self.supported, protocol);
                let is_newer = supported.is_none_or(|supported| offered > supported);
                return if is_newer { Renew::Listener } else { Renew::Dialer };
            }
        }
        Renew::Other
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[String]| match names {
            [] => "nothing".to_owned(),
            names => names.join(", "),
        };
        let (offered, supported) = (list(&self.offered), list(&self.supported));
        if self.dialled_here {
            write!(
                f,
                "no version in common: {offered} offered, the coordinator speaks {supported}; "
            )?;
        } else {
            write!(f, "no version in common: it offers {offered}, {supported} is spoken here; ")?;
        }
        f.write_str(match (self.renew(), self.dialled_here) {
            (Renew::Dialer, true) => "install a newer version of this program",
            (Renew::Listener, true) => "the coordinator's operator has to install a newer version",
            (Renew::Dialer, false) => "its program has to be renewed",
            (Renew::Listener, false) => "install a newer version of this coordinator",
            (Renew::Other, _) => "is it a Covey program at all?",
        })
    }
}

/// A name as text, whatever it holds.
fn printable(name: impl AsRef<[u8]>) -> String {
    let name = name.as_ref();
    let name = &name[..name.len().min(NAME_BYTES_MAX)];
    let safe = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' };
    name.iter().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a listener of TLS takes: the first of its own list that is offered.
    fn takes(listener: &Versions, offered: &[Vec<u8>]) -> Option<Vec<u8>> {
        listener.taken().into_iter().find(|name| offered.contains(name))
    }

    #[test]
    fn the_newest_common_version_is_taken() {
        let cases: [(&[u16], &[u16], Option<u16>); 5] = [
            (&[1], &[1], Some(1)),
            (&[2, 1], &[1], Some(1)),
            (&[1], &[1, 2], Some(1)),
            (&[1, 2, 3], &[2, 1], Some(2)),
            (&[3], &[1, 2], None),
        ];
        for (dialer, listener, expected) in cases {
            let (dialer, listener) = (Versions::of(dialer), Versions::of(listener));
            for protocol in Protocol::ALL {
                let taken = takes(&listener, &dialer.offer(protocol)).expect("or any");
                let agreed = listener.agreed(Some(&taken));
                assert_eq!(agreed, expected.map(|version| (protocol, version)));
                assert_eq!(taken == ANY, expected.is_none());
            }
        }
    }

    #[test]
    fn who_has_the_older_version_is_told_to_renew_it() {
        let (old, new) = (Versions::of(&[1]), Versions::of(&[2, 3]));
        for (dialer, listener, renew) in
            [(&old, &new, Renew::Dialer), (&new, &old, Renew::Listener)]
        {
            for protocol in Protocol::ALL {
                let seen = Mismatch::seen(listener, &dialer.offer(protocol));
                let heard = Mismatch::heard(dialer, protocol, &listener.said());
                assert_eq!((seen.renew(), heard.renew()), (renew, renew), "{seen} {heard}");
                assert_eq!(seen.offered, heard.offered);
                assert!(seen.supported.iter().all(|name| heard.supported.contains(name)));
            }
        }
        let other = Mismatch::seen(&old, &[b"h3".to_vec(), vec![0xff, b'\n'], vec![b'x'; 100]]);
        assert_eq!(other.renew(), Renew::Other);
        assert_eq!(other.offered[1], "??");
        assert_eq!(other.offered[2].len(), NAME_BYTES_MAX);
        assert_eq!(Mismatch::seen(&old, &[]).renew(), Renew::Other);
        for name in ["covey/01", "covey/+1", "covey/", "covey/65536", "covey/1 "] {
            assert_eq!(Protocol::Link.version(name.as_bytes()), None, "{name}");
        }
    }
}
