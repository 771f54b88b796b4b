//! Sealing on all cores. Chunks are made side by side, each by the thread that is free, and handed
//! on in order by the thread that asked, which makes chunks itself while none is ready; at most
//! [`AHEAD`] wait to be handed on, so memory stays at a few chunks, and their buffers are used again.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use covey_aggregation::audit::witness::{ChunkWitness, Witness};
use covey_aggregation::config::RoundConfig;
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::{ChunkSealer, ChunkSink, Leaf, SealError, Sealed, Sealing};
use zeroize::Zeroizing;

/// Chunks begun that are not handed on yet, at most.
const AHEAD: u32 = 16;

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
    let line = Line::new(terms.chunks());
    let Handed { leaves, kept } = thread::scope(|scope| {
        for _ in 1..threads {
            let (sealing, line) = (&sealing, &line);
            scope.spawn(move || work(sealing, line, terms.is_audited()));
        }
        // It takes as long as a few chunks; meanwhile the others begin.
        sealing.share();
        hand_on(&sealing, &line, terms.is_audited(), sink)
    })?;
    let witness = if terms.is_audited() { Some(sealing.witness(kept)?) } else { None };
    Ok((sealing.finish(&leaves)?, witness))
}

/// A sealed chunk, its leaf, and what its part of a proof is made from.
struct Made {
    bytes: Vec<u8>,
    leaf: Leaf,
    witness: Option<ChunkWitness>,
}

/// What is left of all chunks when they are handed on.
#[derive(Default)]
struct Handed {
    leaves: Vec<Leaf>,
    kept: Vec<ChunkWitness>,
}

/// Chunks between those who make them and the one who hands them on.
struct Line {
    state: Mutex<State>,
    /// Something was made, handed on, or is over.
    changed: Condvar,
}

struct State {
    chunks: u32,
    /// The next to be begun: for whoever asks next.
    next: u32,
    /// Handed on.
    handed: u32,
    ready: BTreeMap<u32, Made>,
    /// Buffers to be used again.
    free: Vec<Vec<u8>>,
    /// Somebody is gone: nobody waits for anything.
    is_over: bool,
}

impl State {
    /// A chunk to make now.
    fn begin(&mut self) -> Option<(u32, Vec<u8>)> {
        if self.is_over || self.next == self.chunks || self.next - self.handed >= AHEAD {
            return None;
        }
        self.next += 1;
        Some((self.next - 1, self.free.pop().unwrap_or_default()))
    }

    /// The next chunk to hand on.
    fn take(&mut self) -> Option<(u32, Made)> {
        let made = self.ready.remove(&self.handed)?;
        self.handed += 1;
        Some((self.handed - 1, made))
    }
}

/// What there is to do.
enum Task {
    Make(u32, Vec<u8>),
    HandOn(u32, Made),
}

impl Line {
    fn new(chunks: u32) -> Self {
        let (ready, free) = (BTreeMap::new(), Vec::new());
        let state = State { chunks, next: 0, handed: 0, ready, free, is_over: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Poisoned when another thread has panicked: then it is over, and the scope passes that on.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// A chunk to make, as soon as there is one; none when all are begun.
    fn begin(&self) -> Option<(u32, Vec<u8>)> {
        let mut state = self.lock();
        loop {
            if state.is_over || state.next == state.chunks {
                return None;
            }
            if let Some(task) = state.begin() {
                return Some(task);
            }
            state = self.wait(state);
        }
    }

    /// A chunk to hand on, or else one to make; none when all are handed on.
    fn next(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if let Some((index, made)) = state.take() {
                drop(state);
                // There is room for one more.
                self.changed.notify_one();
                return Some(Task::HandOn(index, made));
            }
            if state.is_over || state.handed == state.chunks {
                return None;
            }
            if let Some((index, buffer)) = state.begin() {
                return Some(Task::Make(index, buffer));
            }
            state = self.wait(state);
        }
    }

    fn put(&self, index: u32, made: Made) {
        let mut state = self.lock();
        let is_awaited = index == state.handed;
        state.ready.insert(index, made);
        drop(state);
        if is_awaited {
            self.changed.notify_all();
        }
    }

    fn reuse(&self, buffer: Vec<u8>) {
        self.lock().free.push(buffer);
    }
}

/// Ends the waiting of the others, however a thread ends.
struct Ending<'a>(&'a Line);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        // Whoever is done leaves nothing undone; whoever panicked or failed leaves chunks.
        let is_done = state.next == state.chunks && !thread::panicking();
        state.is_over |= !is_done;
        drop(state);
        self.0.changed.notify_all();
    }
}

fn make(sealer: &mut ChunkSealer<'_>, (index, mut buffer): (u32, Vec<u8>), is_kept: bool) -> Made {
    let (bytes, leaf, witness) = if is_kept {
        let (bytes, leaf, witness) = sealer.seal_and_keep(index);
        (bytes, leaf, Some(witness))
    } else {
        let (bytes, leaf) = sealer.seal(index);
        (bytes, leaf, None)
    };
    buffer.clear();
    buffer.extend_from_slice(bytes);
    Made { bytes: buffer, leaf, witness }
}

/// Makes chunks as long as there are any.
fn work(sealing: &Sealing<'_>, line: &Line, is_kept: bool) {
    let _ending = Ending(line);
    let mut sealer = sealing.sealer();
    while let Some((index, buffer)) = line.begin() {
        line.put(index, make(&mut sealer, (index, buffer), is_kept));
    }
}

/// Hands chunks on, and makes some.
fn hand_on<S: ChunkSink>(
    sealing: &Sealing<'_>,
    line: &Line,
    is_kept: bool,
    sink: &mut S,
) -> Result<Handed, SealError<S::Error>> {
    let _ending = Ending(line);
    let mut sealer = sealing.sealer();
    let mut handed = Handed::default();
    while let Some(task) = line.next() {
        match task {
            Task::Make(index, buffer) => {
                line.put(index, make(&mut sealer, (index, buffer), is_kept));
            }
            Task::HandOn(index, Made { bytes, leaf, witness }) => {
                sink.chunk(index, &bytes).map_err(SealError::Sink)?;
                line.reuse(bytes);
                handed.leaves.push(leaf);
                handed.kept.extend(witness);
            }
        }
    }
    Ok(handed)
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
