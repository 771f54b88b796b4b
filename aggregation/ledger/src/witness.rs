//! A witness: a key holder that cosigns a log's checkpoints, each only after a proof that it follows
//! from the last ([C2SP tlog-witness](https://c2sp.org/tlog-witness)).
//!
//! [`Witness::handle`] checks a request and gives the head to keep; when that is durable,
//! [`Witness::stored`] gives the cosignature. So a witness that dies in between has forgotten nothing
//! that anybody holds its word for. One request at a time: the next is refused until the head is stored
//! or [`Witness::not_stored`].
//!
//! What shows that a log has said two things that cannot both be true is kept as [`ForkEvidence`].

use std::fmt::Write as _;

use covey_aggregation::signing::Identity;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{BadCheckpoint, Checkpoint, TreeHead, decimal};
use crate::cosignature::cosign;
use crate::note::{Algorithm, KeyName, NOTE_BYTES_MAX, Note, SignatureLine, VerifierKey};
use crate::proof::{BadProof, NoProof, Nodes, PROOF_HASHES_MAX, check_consistency, consistency};
use crate::quorum::{NotFinal, Quorum};
use crate::tree::{Hash, empty_root};

/// Hashes in a request's proof at most, by the specification.
pub const REQUEST_HASHES_MAX: usize = 63;
/// Bytes of a request at most: its first line, its proof, and a note.
pub const REQUEST_BYTES_MAX: usize = 64 + (REQUEST_HASHES_MAX + 1) * 45 + NOTE_BYTES_MAX;

/// What a log asks a witness: to cosign this checkpoint, which follows from the one of `old_size`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Of the last checkpoint that the witness has cosigned, as far as the log knows.
    pub old_size: u64,
    /// From there to the checkpoint.
    pub proof: Vec<Hash>,
    /// The signed note.
    pub checkpoint: Vec<u8>,
}

/// What a witness remembers of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last checkpoint cosigned, as the log signed it.
    pub checkpoint: String,
    /// When, in seconds since 1970.
    pub time_s: u64,
}

/// Two signed checkpoints of one log, and the proof that was offered from one to the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkEvidence {
    /// The one that the witness has cosigned.
    pub ours: String,
    /// The other.
    pub theirs: String,
    /// What was offered; it does not hold.
    pub proof: Vec<Hash>,
    /// When it was offered, in seconds since 1970.
    pub time_s: u64,
}

/// A checkpoint that has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// To be made durable before [`Witness::stored`] is called.
    pub head: Head,
}

/// A checkpoint that is not cosigned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a request, or its checkpoint is none.
    #[error("the request is malformed: {0}")]
    Malformed(#[from] BadRequest),
    /// Of a log that is not witnessed here.
    #[error("the log {0} is not witnessed here")]
    UnknownLog(KeyName),
    /// Not signed by the log.
    #[error("the log's key has not signed this checkpoint")]
    Unsigned,
    /// The log's idea of what was cosigned last is wrong.
    #[error("the last checkpoint cosigned here has {size} entries")]
    OldSize {
        /// Of the last checkpoint.
        size: u64,
    },
    /// Another root at the same size. The log has signed both.
    #[error(
        "the log has signed two checkpoints of {size} entries; its operator must explain the evidence"
    )]
    Fork {
        /// Of both.
        size: u64,
        /// To keep and to publish.
        evidence: Box<ForkEvidence>,
    },
    /// The proof does not hold.
    #[error("the checkpoint does not follow from the last one: {fault}")]
    Proof {
        /// Why.
        fault: BadProof,
        /// To keep: no proof of a fork until the log fails to give a better one.
        evidence: Box<ForkEvidence>,
    },
    /// The clock was set back.
    #[error(
        "this witness's clock says {now_s}, before its last cosignature at {last_s}; set the clock"
    )]
    ClockBack {
        /// Seconds since 1970.
        now_s: u64,
        /// Of the last cosignature.
        last_s: u64,
    },
    /// The checkpoint before is not stored yet.
    #[error("this witness is storing another checkpoint; ask again")]
    Busy,
}

/// No request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The bytes are not in the specification's form.
    #[error("it is not a line with the old size, a proof, an empty line and a checkpoint")]
    Form,
    /// Too long.
    #[error("it is too long")]
    Long,
    /// No checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] BadCheckpoint),
    /// The log says that it shrank.
    #[error("its old size {old_size} is above the checkpoint's {size}")]
    OldSize {
        /// What it says.
        old_size: u64,
        /// The checkpoint's.
        size: u64,
    },
}

/// What a witness was opened with is no head of this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what this witness has kept is no checkpoint that this log has signed")]
pub struct BadHead;

/// What a witness has cosigned and does not remember: its memory is lost, or that of an older backup.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this witness has cosigned {signed} entries at {} s, and remembers {remembered}", .head.time_s)]
pub struct Behind {
    /// Entries that it has cosigned.
    pub signed: u64,
    /// Entries that it remembers to have cosigned.
    pub remembered: u64,
    /// What it would remember.
    pub head: Box<Head>,
}

/// A witness of one log.
pub struct Witness {
    name: KeyName,
    quorum: Quorum,
    head: Option<(TreeHead, Head)>,
    pending: Option<(TreeHead, Head)>,
}

impl Refusal {
    /// The code of the specification, by which a log knows what to do.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unsigned => 403,
            Self::UnknownLog(_) => 404,
            Self::OldSize { .. } | Self::Fork { .. } => 409,
            Self::Proof { .. } => 422,
            Self::ClockBack { .. } | Self::Busy => 503,
        }
    }

    /// What to keep of it.
    #[must_use]
    pub fn evidence(&self) -> Option<&ForkEvidence> {
        match self {
            Self::Fork { evidence, .. } | Self::Proof { evidence, .. } => Some(evidence),
            _ => None,
        }
    }
}

impl Witness {
    /// The witness `name` of the log of `quorum`, with what it has kept: nothing on the first day.
    ///
    /// # Errors
    /// [`BadHead`] when that is no checkpoint of this log: a witness that goes on with a false memory
    /// would vouch for a fork.
    pub fn new(name: KeyName, quorum: Quorum, kept: Option<Head>) -> Result<Self, BadHead> {
        let head = kept.map(|head| {
            let cosigned = quorum.check_signed(head.checkpoint.as_bytes()).map_err(|_| BadHead)?;
            Ok((cosigned.checkpoint.head, head))
        });
        Ok(Self { name, quorum, head: head.transpose()?, pending: None })
    }

    /// The last checkpoint that is stored.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref().map(|(_, head)| head)
    }

    /// Entries of the last checkpoint that is stored.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.head.as_ref().map_or(0, |(tree, _)| tree.size)
    }

    /// Checks that a published checkpoint has no cosignature of this witness that it does not remember. One
    /// that nobody can vouch for says nothing.
    ///
    /// # Errors
    /// [`Behind`].
    pub fn check_memory(&self, published: &[u8]) -> Result<(), Behind> {
        let Ok(cosigned) = self.quorum.check_signed(published) else { return Ok(()) };
        let (signed, remembered) = (cosigned.checkpoint.head.size, self.size());
        match cosigned.witnesses.get(&self.name) {
            Some(&time_s) if signed > remembered => {
                let checkpoint = self.by_log(cosigned.note);
                let head = Box::new(Head { checkpoint, time_s });
                Err(Behind { signed, remembered, head })
            }
            _ => Ok(()),
        }
    }

    /// Checks a request; `now_s` in seconds since 1970. The same checkpoint may be cosigned again.
    ///
    /// # Errors
    /// [`Refusal`], by the first fault.
    pub fn handle(&mut self, request: &Request, now_s: u64) -> Result<Step, Refusal> {
        let (tree, note) = self.check_signed(request)?;
        self.check_follows(request, tree, &note, now_s)?;
        if self.pending.is_some() {
            return Err(Refusal::Busy);
        }
        let last_s = self.head().map_or(0, |head| head.time_s);
        if now_s < last_s {
            return Err(Refusal::ClockBack { now_s, last_s });
        }
        let head = Head { checkpoint: self.by_log(note), time_s: now_s };
        self.pending = Some((tree, head.clone()));
        Ok(Step { head })
    }

    /// The head of the last step is durable: the cosignature, to be given away. `None` when there was no
    /// step.
    pub fn stored(&mut self, identity: &Identity) -> Option<SignatureLine> {
        let (tree, head) = self.pending.take()?;
        let (checkpoint, _) = Checkpoint::parse(head.checkpoint.as_bytes()).ok()?;
        let line =
            cosign(&checkpoint.to_string(), self.name.clone(), head.time_s, identity).ok()?;
        self.head = Some((tree, head));
        Some(line)
    }

    /// The head of the last step could not be stored: it is forgotten, and no cosignature is given.
    pub fn not_stored(&mut self) {
        self.pending = None;
    }

    fn check_signed(&self, request: &Request) -> Result<(TreeHead, Note), Refusal> {
        if request.proof.len() > REQUEST_HASHES_MAX {
            return Err(BadRequest::Long.into());
        }
        let cosigned = match self.quorum.check_signed(&request.checkpoint) {
            Ok(cosigned) => cosigned,
            Err(NotFinal::Malformed(fault)) => return Err(BadRequest::Checkpoint(fault).into()),
            Err(NotFinal::Origin { got, .. }) => return Err(Refusal::UnknownLog(got)),
            Err(_) => return Err(Refusal::Unsigned),
        };
        let (old_size, size) = (request.old_size, cosigned.checkpoint.head.size);
        if old_size > size {
            return Err(BadRequest::OldSize { old_size, size }.into());
        }
        Ok((cosigned.checkpoint.head, cosigned.note))
    }

    fn check_follows(
        &self,
        request: &Request,
        new: TreeHead,
        note: &Note,
        now_s: u64,
    ) -> Result<(), Refusal> {
        let none = TreeHead { size: 0, root: empty_root() };
        let old = self.head.as_ref().map_or(none, |(tree, _)| *tree);
        let evidence = || {
            Box::new(ForkEvidence {
                ours: self.head().map_or_else(String::new, |head| head.checkpoint.clone()),
                theirs: self.by_log(note.clone()),
                proof: request.proof.clone(),
                time_s: now_s,
            })
        };
        // Before the old size is compared: a fork shows whatever the log says of it.
        if self.head.is_some() && new.size == old.size && new.root != old.root {
            return Err(Refusal::Fork { size: new.size, evidence: evidence() });
        }
        if request.old_size != old.size {
            return Err(Refusal::OldSize { size: old.size });
        }
        check_consistency(&request.proof, (old.size, &old.root), (new.size, &new.root))
            .map_err(|fault| Refusal::Proof { fault, evidence: evidence() })
    }

    /// The note with the log's signature alone.
    fn by_log(&self, note: Note) -> String {
        note.only(|line| self.quorum.log().is_of(line)).to_string()
    }
}

impl Request {
    /// For a witness whose last checkpoint has `old_size` entries: the checkpoint of `size`, with the proof
    /// made from the log's nodes.
    ///
    /// # Errors
    /// [`NoProof`] when the witness is ahead of the log, or a node cannot be read.
    pub fn new<N: Nodes>(
        old_size: u64,
        size: u64,
        checkpoint: Vec<u8>,
        nodes: &N,
    ) -> Result<Self, NoProof<N::Error>> {
        Ok(Self { old_size, proof: consistency(nodes, old_size, size)?, checkpoint })
    }

    /// The bytes of the specification's `add-checkpoint`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("old {}\n", self.old_size);
        for hash in &self.proof {
            // Writing to text does not fail.
            let _ = writeln!(text, "{hash}");
        }
        text.push('\n');
        [text.as_bytes(), &self.checkpoint].concat()
    }

    /// Parses them. The checkpoint is not looked into.
    ///
    /// # Errors
    /// [`BadRequest`] when they have another form.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadRequest> {
        if bytes.len() > REQUEST_BYTES_MAX {
            return Err(BadRequest::Long);
        }
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").ok_or(BadRequest::Form)?;
        let (header, checkpoint) = (&bytes[..end], &bytes[end + 2..]);
        let header = std::str::from_utf8(header).map_err(|_| BadRequest::Form)?;
        let (first, proof) = header.split_once('\n').unwrap_or((header, ""));
        let old_size = first.strip_prefix("old ").and_then(decimal).ok_or(BadRequest::Form)?;
        let lines = if proof.is_empty() { Vec::new() } else { proof.split('\n').collect() };
        if lines.len() > REQUEST_HASHES_MAX {
            return Err(BadRequest::Long);
        }
        let proof = lines.into_iter().map(|line| line.parse().map_err(|_| BadRequest::Form));
        let proof = proof.collect::<Result<_, _>>()?;
        Ok(Self { old_size, proof, checkpoint: checkpoint.to_vec() })
    }
}

impl ForkEvidence {
    /// Whether the log has signed both checkpoints, and they are of one size with different roots: then
    /// it has forked, and no explanation is left.
    #[must_use]
    pub fn proves_fork(&self, log: &VerifierKey) -> bool {
        let head = |bytes: &str| {
            let (checkpoint, note) = Checkpoint::parse(bytes.as_bytes()).ok()?;
            let by_log = checkpoint.origin == log.name && log.algorithm == Algorithm::Ed25519;
            (by_log && note.is_signed_by(log)).then_some(checkpoint.head)
        };
        match (head(&self.ours), head(&self.theirs)) {
            (Some(ours), Some(theirs)) => ours.size == theirs.size && ours.root != theirs.root,
            _ => false,
        }
    }
}

const _: () = assert!(REQUEST_HASHES_MAX < PROOF_HASHES_MAX);

#[cfg(test)]
mod tests {
    use covey_aggregation::party::PartyId;
    use zeroize::Zeroizing;

    use crate::cosignature;
    use crate::tile::{Kind, Tile, Tiles, encode_hashes};
    use crate::tree::{Frontier, leaf_hash};

    use super::*;

    const NOW_S: u64 = 1_800_000_000;

    fn identity(seed: u8) -> Identity {
        Identity::from_seed(&Zeroizing::new([seed; 32]))
    }

    fn name(text: &str) -> KeyName {
        text.parse().expect("a name")
    }

    fn key(text: &str, algorithm: Algorithm, id: PartyId) -> VerifierKey {
        VerifierKey::new(name(text), algorithm, id)
    }

    fn quorum() -> Quorum {
        let log = key("fed", Algorithm::Ed25519, identity(1).id());
        let witness = key("fed/ada", Algorithm::Cosignature, identity(2).id());
        Quorum::new(log, vec![witness], 1).expect("a quorum")
    }

    fn witness() -> Witness {
        Witness::new(name("fed/ada"), quorum(), None).expect("nothing kept")
    }

    /// A log whose entries begin to differ at `fork`.
    struct History {
        leaves: Vec<Hash>,
    }

    impl History {
        fn new(fork: u64) -> Self {
            let entry = |index: u64| format!("{} {index}", index >= fork);
            Self { leaves: (0..200).map(|index| leaf_hash(entry(index).as_bytes())).collect() }
        }

        fn checkpoint(&self, size: u64) -> Vec<u8> {
            let mut tree = Frontier::default();
            self.leaves.iter().take(size as usize).for_each(|leaf| tree.push(*leaf));
            let head = TreeHead { size, root: tree.root() };
            let note = Checkpoint::new(name("fed"), head).sign(&identity(1)).expect("a text");
            note.to_string().into_bytes()
        }

        fn request(&self, old_size: u64, size: u64) -> Request {
            let tile = Tile::at(Kind::Hashes(0), 0, size).map(|tile| tile.to_string());
            let hashes = encode_hashes(&self.leaves[..size as usize]);
            let read = |path: &str| (Some(path) == tile.as_deref()).then(|| hashes.clone());
            let tiles = Tiles::new(size, read);
            Request::new(old_size, size, self.checkpoint(size), &tiles).expect("it follows")
        }
    }

    fn cosigned(witness: &mut Witness, request: &Request, now_s: u64) -> SignatureLine {
        witness.handle(request, now_s).expect("it follows");
        witness.stored(&identity(2)).expect("a step")
    }

    #[test]
    fn a_witness_that_has_forgotten_what_it_cosigned_is_told_by_its_own_signature() {
        let (history, identity) = (History::new(200), identity(2));
        let mut witness = witness();
        let mut published = Vec::new();
        for (old, size) in [(0, 5), (5, 9)] {
            witness.handle(&history.request(old, size), NOW_S).expect("it follows");
            let line = witness.stored(&identity).expect("a step");
            let mut note = Note::parse(&history.checkpoint(size)).expect("a note");
            note.push(line).expect("room");
            published.push(note.to_string().into_bytes());
        }
        assert!(published.iter().all(|one| witness.check_memory(one).is_ok()), "it remembers both");
        // As from a backup that was made after the first, and as one that has nothing left.
        let mut older = self::witness();
        let behind = older.check_memory(&published[0]).expect_err("it has cosigned this");
        assert_eq!((behind.signed, behind.remembered), (5, 0));
        older.handle(&history.request(0, 5), NOW_S).expect("it follows");
        older.stored(&identity).expect("a step");
        older.check_memory(&published[0]).expect("it remembers");
        let behind = older.check_memory(&published[1]).expect_err("it has cosigned this");
        assert_eq!((behind.signed, behind.remembered, behind.head.time_s), (9, 5, NOW_S));
        // With what is taken over it goes on.
        let quorum = quorum();
        let mut again = Witness::new(name("fed/ada"), quorum, Some(*behind.head)).expect("a head");
        again.check_memory(&published[1]).expect("it remembers");
        again.handle(&history.request(9, 12), NOW_S).expect("it follows");
        // What the log alone has signed, or somebody altered, says nothing.
        older.check_memory(&history.checkpoint(9)).expect("no signature of its own");
        let mut altered = published[1].clone();
        let last = altered.len() - 10;
        altered[last] ^= 1;
        older.check_memory(&altered).expect("no signature that holds");
    }

    #[test]
    fn a_log_that_only_grows_is_cosigned() {
        let (mut witness, log) = (witness(), History::new(u64::MAX));
        for (old, new) in [(0, 1), (1, 1), (1, 2), (2, 70), (70, 199), (199, 199)] {
            let request = log.request(old, new);
            let line = cosigned(&mut witness, &request, NOW_S + new);
            let (_, note) = Checkpoint::parse(&request.checkpoint).expect("a checkpoint");
            let key = &quorum().witnesses()[0].clone();
            assert_eq!(cosignature::check(note.text(), key, &line), Ok(NOW_S + new));
            assert_eq!(witness.size(), new);
        }
    }

    #[test]
    fn the_head_is_given_out_to_be_kept_before_the_cosignature_is() {
        let (mut witness, log) = (witness(), History::new(u64::MAX));
        assert_eq!(witness.stored(&identity(2)), None, "nothing asked");
        let step = witness.handle(&log.request(0, 5), NOW_S).expect("the first");
        assert_eq!((witness.head(), witness.size()), (None, 0), "not stored yet");
        assert_eq!(witness.handle(&log.request(0, 6), NOW_S), Err(Refusal::Busy));
        witness.not_stored();
        assert_eq!(witness.stored(&identity(2)), None, "nothing is signed that is not stored");
        let again = witness.handle(&log.request(0, 5), NOW_S).expect("the first");
        assert_eq!(again, step);
        assert!(witness.stored(&identity(2)).is_some());
        assert_eq!(witness.head(), Some(&step.head));
    }

    #[test]
    fn a_witness_goes_on_from_what_it_has_kept() {
        let (mut witness, log) = (witness(), History::new(u64::MAX));
        cosigned(&mut witness, &log.request(0, 5), NOW_S);
        let kept = serde_json::to_string(witness.head().expect("a head")).expect("JSON");
        let kept = serde_json::from_str(&kept).expect("a head");
        let mut again = Witness::new(name("fed/ada"), quorum(), Some(kept)).expect("its own head");
        let refusal =
            again.handle(&log.request(0, 9), NOW_S).expect_err("it has forgotten nothing");
        assert_eq!((&refusal, refusal.code()), (&Refusal::OldSize { size: 5 }, 409));
        cosigned(&mut again, &log.request(5, 9), NOW_S);
        let forged = Head { checkpoint: "nothing".to_owned(), time_s: 0 };
        assert!(Witness::new(name("fed/ada"), quorum(), Some(forged)).is_err());
    }

    #[test]
    fn a_forked_log_is_refused_and_the_evidence_kept() {
        let (mut witness, log) = (witness(), History::new(u64::MAX));
        cosigned(&mut witness, &log.request(0, 70), NOW_S);
        let fork = History::new(50);

        // The same size with another root, whatever the old size.
        for old in [0, 70] {
            let request = Request { old_size: old, ..fork.request(0, 70) };
            let refusal = witness.handle(&request, NOW_S).expect_err("a fork");
            assert_eq!(refusal.code(), 409);
            let evidence = refusal.evidence().expect("kept");
            assert!(evidence.proves_fork(quorum().log()));
            let other = key("fed", Algorithm::Ed25519, identity(3).id());
            assert!(!evidence.proves_fork(&other));
        }

        // A larger one, by its own proof, which does not start where the witness is.
        let refusal = witness.handle(&fork.request(70, 90), NOW_S).expect_err("a fork");
        assert_eq!(refusal.code(), 422);
        let evidence = refusal.evidence().expect("kept");
        assert!(!evidence.proves_fork(quorum().log()), "two sizes alone prove nothing");
        let json = serde_json::to_string(evidence).expect("JSON");
        assert_eq!(serde_json::from_str::<ForkEvidence>(&json).expect("evidence"), *evidence);
        assert_eq!(witness.size(), 70);
        cosigned(&mut witness, &log.request(70, 90), NOW_S);
    }

    #[test]
    fn a_log_that_is_rolled_back_is_refused() {
        let (mut witness, log) = (witness(), History::new(u64::MAX));
        cosigned(&mut witness, &log.request(0, 70), NOW_S);
        let refusal = witness.handle(&log.request(0, 60), NOW_S).expect_err("smaller");
        assert_eq!(refusal, Refusal::OldSize { size: 70 });
        let request = Request { old_size: 70, ..log.request(0, 60) };
        let refusal = witness.handle(&request, NOW_S).expect_err("smaller");
        assert_eq!(refusal.code(), 400);
    }

    #[test]
    fn every_other_fault_has_its_code() {
        let (mut witness, log) = (witness(), History::new(u64::MAX));
        cosigned(&mut witness, &log.request(0, 70), NOW_S);
        let good = log.request(70, 90);
        let mut code = |request: &Request| witness.handle(request, NOW_S).expect_err("bad").code();
        let mut proof = good.proof.clone();
        proof[0].0[0] ^= 1;
        assert_eq!(code(&Request { proof, ..good.clone() }), 422);
        assert_eq!(code(&Request { proof: Vec::new(), ..good.clone() }), 422);
        assert_eq!(code(&Request { proof: vec![empty_root(); 64], ..good.clone() }), 400);
        let text = String::from_utf8(good.checkpoint.clone()).expect("text");
        let checkpoint = |text: String| Request { checkpoint: text.into_bytes(), ..good.clone() };
        assert_eq!(code(&checkpoint(text.replace("fed\n90", "fed\n91"))), 403);
        assert_eq!(code(&checkpoint(text.replace("fed\n90", "den\n90"))), 404);
        assert_eq!(code(&checkpoint("fed\n90\n".to_owned())), 400);
        let (_, note) = Checkpoint::parse(&good.checkpoint).expect("a checkpoint");
        let stranger = Note::sign(note.text().to_owned(), name("fed"), &identity(4));
        assert_eq!(code(&checkpoint(stranger.expect("a text").to_string())), 403);
        let refusal = witness.handle(&good, NOW_S - 1).expect_err("the clock was set back");
        assert_eq!(refusal, Refusal::ClockBack { now_s: NOW_S - 1, last_s: NOW_S });
        assert_eq!(refusal.code(), 503);
        assert!(witness.handle(&good, NOW_S).is_ok());
    }

    #[test]
    fn cosignatures_that_a_checkpoint_came_with_are_not_kept() {
        let (mut witness, log) = (witness(), History::new(u64::MAX));
        let mut request = log.request(0, 70);
        let (_, mut note) = Checkpoint::parse(&request.checkpoint).expect("a checkpoint");
        let line = cosignature::cosign(note.text(), name("fed/eve"), 1, &identity(5));
        note.push(line.expect("a text")).expect("room");
        request.checkpoint = note.to_string().into_bytes();
        let step = witness.handle(&request, NOW_S).expect("the first");
        assert_eq!(step.head.checkpoint.into_bytes(), log.checkpoint(70));
    }

    #[test]
    fn requests_are_parsed_as_they_are_written() {
        let log = History::new(u64::MAX);
        for request in [log.request(0, 1), log.request(70, 90), log.request(64, 199)] {
            assert_eq!(Request::parse(&request.encode()), Ok(request));
        }
        let text = String::from_utf8(log.request(70, 90).encode()).expect("text");
        let hash = format!("{}\n", empty_root());
        let bad = [
            text.replace("old 70", "old 070"),
            text.replace("old 70", "new 70"),
            text.replace("old 70\n", ""),
            text.replace("old 70\n", "old 70\nA\n"),
            "old 70\n".to_owned(),
        ];
        for text in bad {
            assert_eq!(Request::parse(text.as_bytes()), Err(BadRequest::Form), "{text}");
        }
        let long = text.replace("old 70\n", &format!("old 70\n{}", hash.repeat(64)));
        assert_eq!(Request::parse(long.as_bytes()), Err(BadRequest::Long));
        assert_eq!(Request::parse(&vec![b'x'; REQUEST_BYTES_MAX + 1]), Err(BadRequest::Long));
    }
}
