//! What a listener lets somebody who dials take of it: the defaults are in [`crate::limits`].

use std::time::Duration;

use crate::limits::{
    BODY_BYTES_PER_S_MIN, BODY_WINDOW_MS, HANDSHAKE_MS, HANDSHAKES_BEFORE_RETRY, HANDSHAKES_MAX,
    HANDSHAKES_PER_ADDRESS_MAX, HEADER_MS, IDLE_MS, LINKS_PER_MEMBER_MAX, STREAMS_MAX,
    TCP_CONNECTIONS_MAX,
};

/// A listener's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Longest wait for a handshake, and for the greeting after it.
    pub handshake: Duration,
    /// Longest wait for the first frame of a bulk stream.
    pub header: Duration,
    /// A link from which nothing came for so long is lost.
    pub idle: Duration,
    /// What somebody who has begun to send has to send in a second, on the average.
    pub body_bytes_per_s: u32,
    /// How long they may send less.
    pub body_window: Duration,
    /// Streams of one link at once.
    pub streams: u32,
    /// Links of one member at once.
    pub links_per_member: usize,
    /// Handshakes under way, over QUIC and over TCP each.
    pub handshakes: usize,
    /// Handshakes under way from which on a newcomer has to prove its address (QUIC), which TCP
    /// does by itself.
    pub handshakes_before_retry: usize,
    /// Handshakes under way from one address, over TCP.
    pub handshakes_per_address: usize,
    /// Connections over TCP.
    pub tcp_connections: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            handshake: Duration::from_millis(HANDSHAKE_MS),
            header: Duration::from_millis(HEADER_MS),
            idle: Duration::from_millis(IDLE_MS),
            body_bytes_per_s: BODY_BYTES_PER_S_MIN,
            body_window: Duration::from_millis(BODY_WINDOW_MS),
            streams: STREAMS_MAX,
            links_per_member: LINKS_PER_MEMBER_MAX,
            handshakes: HANDSHAKES_MAX,
            handshakes_before_retry: HANDSHAKES_BEFORE_RETRY,
            handshakes_per_address: HANDSHAKES_PER_ADDRESS_MAX,
            tcp_connections: TCP_CONNECTIONS_MAX,
        }
    }
}

impl Bounds {
    /// How long somebody may have been waited for who has sent `bytes` since they began.
    pub(super) fn patience(&self, bytes: u64) -> Duration {
        self.body_window + Duration::from_secs(bytes) / self.body_bytes_per_s.max(1)
    }
}

/// Measures how long somebody was waited for, and what came. Only waiting counts: a disk that is slow
/// on this side is nobody else's fault, and a dialer that has been told from where on to send first reads
/// all of that once, for its log.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// How much longer to wait for the next bytes; nothing is said of the first ones.
    pub(super) fn left(&self, bounds: &Bounds) -> Duration {
        if self.bytes == 0 {
            return Duration::MAX;
        }
        bounds.patience(self.bytes).saturating_sub(self.waited)
    }

    /// `bytes` came after a wait of `waited`.
    pub(super) fn count(&mut self, waited: Duration, bytes: usize) {
        if self.bytes > 0 {
            self.waited += waited;
        }
        self.bytes += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sends_too_little_runs_out_of_time_and_whoever_sends_enough_never_does() {
        let bounds = Bounds {
            body_bytes_per_s: 1000,
            body_window: Duration::from_secs(10),
            ..Bounds::default()
        };
        let (mut slow, mut steady) = (Pace::default(), Pace::default());
        assert_eq!(slow.left(&bounds), Duration::MAX);
        for _ in 0..12 {
            slow.count(Duration::from_secs(1), 1);
            steady.count(Duration::from_secs(1), 1000);
        }
        assert_eq!(slow.left(&bounds), Duration::ZERO);
        assert_eq!(steady.left(&bounds), Duration::from_secs(11));
    }
}
