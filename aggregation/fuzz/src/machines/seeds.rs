//! Sequences that go all the way, as the bytes that spell them (`arbitrary`'s reading: a variant
//! is four bytes, everything else its own).

/// Bytes being written.
#[derive(Clone, Default)]
struct Seed(Vec<u8>);

impl Seed {
    fn variant(mut self, index: u64, of: u64) -> Self {
        let least = (index << 32).div_ceil(of) as u32;
        self.0.extend_from_slice(&least.to_le_bytes());
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// After each store, the program is killed or is not.
    fn stored(self, store: (u64, u64), kill: Option<(u64, u64)>) -> Self {
        let stored = self.variant(store.0, store.1).bytes(&[9]);
        match kill {
            Some((index, of)) => stored.variant(index, of),
            None => stored,
        }
    }
}

/// A round that ends with an opened sum.
pub fn round() -> Vec<Vec<u8>> {
    [None, Some((8, 10))]
        .into_iter()
        .flat_map(|kill| [0, 1].map(|lie| one_round(kill, lie)))
        .collect()
}

fn one_round(kill: Option<(u64, u64)>, lie: u8) -> Vec<u8> {
    let says = |seed: Seed, message: u64, fields: &[u8]| {
        (0..4).fold(seed, |seed, holder| {
            // Holder 3 lies.
            let mut fields = fields.to_vec();
            if holder == 3 && message == 3 {
                fields[0] = lie;
            }
            seed.variant(0, 10).bytes(&[holder]).variant(message, 6).bytes(&fields)
        })
    };
    let stored = |seed: Seed| seed.stored((7, 10), kill);
    let mut seed = stored(says(Seed::default(), 0, &[0]));
    for owner in 0..5 {
        seed = seed.variant(4, 10).bytes(&[owner, 0, 0]);
    }
    seed = stored(says(stored(seed), 1, &[0, 0]));
    seed = stored(says(seed, 2, &[0]));
    // A release is asked for again after a restart, so the sum is opened before one.
    seed = says(seed, 3, &[0, 0]).variant(5, 10).bytes(&[1]);
    stored(seed).0
}

/// A holder through two rounds of a run, killed in between or not.
pub fn holder() -> Vec<Vec<u8>> {
    let one = |kill: Option<(u64, u64)>| {
        let stored = |seed: Seed| seed.stored((3, 5), kill);
        let say = |seed: Seed, message: u64, fields: &[u8]| {
            seed.variant(0, 5).variant(message, 5).bytes(fields)
        };
        (0..2).fold(Seed::default(), |seed, round| {
            let told = |seed: Seed| say(say(seed, 0, &[round]), 1, &[round, 0x1f, 0, 0]);
            let seed = told(stored(say(seed, 0, &[round])));
            let seed = told(stored(say(seed, 2, &[round, 0x1f, 0, 0])));
            stored(say(seed, 3, &[round, 0x1f, 0, 7]))
        })
    };
    vec![one(None).0, one(Some((4, 5))).0]
}

/// An owner counted in two rounds of a run, killed in between or not.
pub fn participant() -> Vec<Vec<u8>> {
    let one = |kill: Option<(u64, u64)>| {
        let stored = |seed: Seed| seed.stored((5, 8), kill);
        let say = |seed: Seed, message: u64, fields: &[u8]| {
            seed.variant(0, 8).variant(message, 4).bytes(fields)
        };
        (0..2).fold(Seed::default(), |seed, round| {
            let seed = say(seed, 0, &[round, 7]).variant(2, 8).bytes(&[round, round, 0, 0]);
            let seed = stored(say(stored(seed), 1, &[round, 0, 0]));
            stored(say(seed, 3, &[round, 0]))
        })
    };
    vec![one(None).0, one(Some((7, 8))).0]
}
