//! Sealing on all cores. Chunks are made side by side, each by the thread that is free, and handed
//! on in order; at most [`AHEAD`] wait to be handed on, so memory stays at a few chunks.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use covey_aggregation::audit::witness::{ChunkWitness, Witness};
use covey_aggregation::config::RoundConfig;
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::{ChunkSink, Leaf, SealError, Sealed, Sealing};
use zeroize::Zeroizing;

/// Chunks begun that are not handed on yet, at most.
const AHEAD: usize = 16;

/// A sealed chunk, its leaf, and what its part of a proof is made from.
type Made = (Vec<u8>, Leaf, Option<ChunkWitness>);

/// Seals as [`covey_aggregation::sum::seal::seal`] does, to the same bytes, on `threads` threads.
/// Where the round is audited, also returns what a proof is made from.
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
) -> Result<(Sealed, Option<Witness>), SealError<S::Error>> {
    let sealing = Sealing::new(terms, identity, quantised, entropy)?;
    let threads = threads.clamp(1, terms.chunks() as usize);
    let (leaves, kept) = thread::scope(|scope| {
        let (begun, in_order) = sync_channel(AHEAD);
        let order = Arc::new(Mutex::new(Order { next: 0, chunks: terms.chunks(), begun }));
        for thread in 0..threads {
            let (sealing, order) = (&sealing, Arc::clone(&order));
            scope.spawn(move || {
                if thread == 0 {
                    // It takes as long as a few chunks; meanwhile the others begin.
                    sealing.share();
                }
                work(sealing, &order, terms.is_audited());
            });
        }
        drop(order); // When all threads are gone, nothing is waited for.
        let (mut leaves, mut kept) = (Vec::new(), Vec::new());
        for index in 0..terms.chunks() {
            // A thread that is gone has panicked; the scope passes that on.
            let Ok((bytes, leaf, witness)) =
                in_order.recv().and_then(|made: Receiver<Made>| made.recv())
            else {
                break;
            };
            sink.chunk(index, &bytes).map_err(SealError::Sink)?;
            leaves.push(leaf);
            kept.extend(witness);
        }
        Ok((leaves, kept))
    })?;
    let witness = if terms.is_audited() { Some(sealing.witness(kept)?) } else { None };
    Ok((sealing.finish(&leaves)?, witness))
}

/// Who makes which chunk: the next one is for whoever asks next.
struct Order {
    next: u32,
    chunks: u32,
    /// Where each chunk begun will be, in their order.
    begun: SyncSender<Receiver<Made>>,
}

impl Order {
    /// The next chunk and where to put it; none when all are begun or nobody takes them any more.
    /// Waits while [`AHEAD`] are begun.
    fn begin(&mut self) -> Option<(u32, SyncSender<Made>)> {
        if self.next == self.chunks {
            return None;
        }
        let index = self.next;
        let (put, made) = sync_channel(1);
        self.begun.send(made).ok()?;
        self.next += 1;
        Some((index, put))
    }
}

/// Makes chunks as long as there are any.
fn work(sealing: &Sealing<'_>, order: &Mutex<Order>, is_kept: bool) {
    let mut sealer = sealing.sealer();
    loop {
        // Poisoned when another thread has panicked: the scope passes that on.
        let Some((index, put)) = order.lock().ok().and_then(|mut order| order.begin()) else {
            return;
        };
        let made = if is_kept {
            let (bytes, leaf, witness) = sealer.seal_and_keep(index);
            (bytes.to_vec(), leaf, Some(witness))
        } else {
            let (bytes, leaf) = sealer.seal(index);
            (bytes.to_vec(), leaf, None)
        };
        if put.send(made).is_err() {
            return; // the sink failed
        }
    }
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
            noise: None,
            packing: Packing::derive(Profile::A, 8, 100).expect("a packing"),
            contributions_min: 3,
            contributions_max: 100,
            shape: CommitteeShape::Four,
            committee: (0..4).map(seat).collect(),
            cohort: Digest([6; 32]),
            beacon_commitments: Vec::new(),
            audit: Audit::Off,
            credit: None,
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
            let (sealed, witness) = sealed.expect("sealed");
            assert!(witness.is_none(), "the round is not audited");
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
