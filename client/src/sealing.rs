//! Sealing on all cores. Chunks are made side by side and handed on in order; a thread is at most
//! [`AHEAD`] chunks ahead, so memory stays at a few chunks.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use covey_aggregation::config::RoundConfig;
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::{ChunkSink, Leaf, SealError, Sealed, Sealing};
use zeroize::Zeroizing;

/// Chunks that wait to be taken from one thread, at most.
const AHEAD: usize = 8;

/// A sealed chunk and its leaf.
type Made = (Vec<u8>, Leaf);

/// Seals as [`covey_aggregation::sum::seal::seal`] does, to the same bytes, on `threads` threads.
///
/// # Errors
/// [`SealError`].
pub(crate) fn seal<S: ChunkSink>(
    terms: &RoundConfig,
    identity: &Identity,
    quantised: &Quantised,
    entropy: &Zeroizing<[u8; 32]>,
    threads: usize,
    sink: &mut S,
) -> Result<Sealed, SealError<S::Error>> {
    let sealing = Sealing::new(terms, identity, quantised, entropy)?;
    let threads = threads.clamp(1, terms.chunks() as usize);
    let leaves = thread::scope(|scope| {
        let made: Vec<Receiver<Made>> = (0..threads as u32)
            .map(|first| {
                let (sender, receiver) = sync_channel(AHEAD);
                let sealing = &sealing;
                scope.spawn(move || {
                    let mut sealer = sealing.sealer();
                    for index in (first..terms.chunks()).step_by(threads) {
                        let (bytes, leaf) = sealer.seal(index);
                        if sender.send((bytes.to_vec(), leaf)).is_err() {
                            return; // the sink failed
                        }
                    }
                });
                receiver
            })
            .collect();
        // Meanwhile; it takes as long as some eight chunks.
        sealing.share();
        let mut leaves = Vec::new();
        for index in 0..terms.chunks() {
            // A thread that is gone has panicked; the scope passes that on.
            let Ok((bytes, leaf)) = made[index as usize % threads].recv() else { break };
            sink.chunk(index, &bytes).map_err(SealError::Sink)?;
            leaves.push(leaf);
        }
        Ok(leaves)
    })?;
    sealing.finish(&leaves)
}

#[cfg(test)]
pub(crate) mod tests {
    use covey_aggregation::config::{
        Audit, CommitteeShape, KeyLayer, Packing, Profile, Quantiser, Seat, Weighting,
    };
    use covey_aggregation::hash::Digest;
    use covey_aggregation::sum::sealed_box::SealingSecret;

    use super::*;

    pub(crate) fn terms(dimension: u64) -> RoundConfig {
        let seat = |h: u8| Seat {
            holder: Identity::from_seed(&Zeroizing::new([100 + h; 32])).id(),
            sealing_key: SealingSecret::from_seed(&Zeroizing::new([h; 96])).public(),
        };
        let weighting = Weighting::Uniform;
        RoundConfig {
            federation: Digest([1; 32]),
            run: Digest([2; 32]),
            round: 1,
            plan: Digest([3; 32]),
            manifest: Digest([4; 32]),
            model: Digest([5; 32]),
            dimension,
            profile: Profile::A,
            key_layer: KeyLayer::ReplicatedSeeds,
            quantiser: Quantiser { bits: 8, range: 1.0, clip_norm: 1e4, weighting },
            counters: 0,
            control: None,
            packing: Packing::derive(Profile::A, 8, 100).expect("a packing"),
            contributions_min: 3,
            contributions_max: 100,
            shape: CommitteeShape::Four,
            committee: (0..4).map(seat).collect(),
            cohort: Digest([6; 32]),
            beacon_commitments: Vec::new(),
            audit: Audit::Off,
            collect_ms: 1000,
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bytes() {
        let terms = terms(30_000);
        let identity = Identity::from_seed(&Zeroizing::new([9; 32]));
        let units: Vec<i32> = (0..30_000).map(|i| i % 200 - 100).collect();
        let update = Quantised::from_units(&units, 1, &terms.quantiser).expect("in range");
        let entropy = Zeroizing::new([8; 32]);
        let mut expected = Vec::new();
        let whole =
            covey_aggregation::sum::seal::seal(&terms, &identity, &update, &entropy, &mut expected)
                .expect("sealed");
        for threads in [1, 2, 3, 100] {
            let mut chunks: Vec<Vec<u8>> = Vec::new();
            let sealed = seal(&terms, &identity, &update, &entropy, threads, &mut chunks);
            let sealed = sealed.expect("sealed");
            assert_eq!(chunks, expected);
            assert_eq!(sealed.header, whole.header);
            assert_eq!(
                (sealed.correction, sealed.boxes),
                (whole.correction.clone(), whole.boxes.clone())
            );
        }
    }

    /// Takes some chunks and then no more.
    struct Full(u32);

    impl ChunkSink for Full {
        type Error = &'static str;

        fn chunk(&mut self, index: u32, _bytes: &[u8]) -> Result<(), Self::Error> {
            if index < self.0 { Ok(()) } else { Err("full") }
        }
    }

    #[test]
    fn a_sink_that_fails_ends_the_sealing() {
        let terms = terms(60_000);
        let identity = Identity::from_seed(&Zeroizing::new([9; 32]));
        let update = Quantised::from_units(&[0; 60_000], 1, &terms.quantiser).expect("in range");
        let sealed = seal(&terms, &identity, &update, &Zeroizing::new([8; 32]), 2, &mut Full(3));
        assert!(matches!(sealed, Err(SealError::Sink("full"))));
    }
}
