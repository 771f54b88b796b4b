//! Every limit of the protocol, with its unit and its reason. Nothing is computed elsewhere.

/// Contributions a round may sum. The key layer costs each holder work and bytes in proportion;
/// 10,000 is 2 s and 17 MB (design note), beyond it another `key_layer` is due.
pub const CONTRIBUTIONS_MAX: u32 = 10_000;

/// Fewest contributions a round may be configured to open: with two, each owner could subtract
/// its own update and read the other's.
pub const CONTRIBUTIONS_FLOOR: u32 = 3;

/// Parameters of a model. Keeps every length of a contribution inside a `u32` of chunks.
pub const PARAMETERS_MAX: u64 = 1 << 32;

/// Quantisation width in bits, both ends included: one bit carries only signs, 16 fill a `u16`.
pub const QUANTISED_BITS_MIN: u8 = 2;
/// See [`QUANTISED_BITS_MIN`].
pub const QUANTISED_BITS_MAX: u8 = 16;

/// A control message of either direction, in bytes: the largest is a release of a committee of
/// seven (15 components of 51.2 kB), the rest leaves room for a set of 10,000 hashes.
pub const FRAME_BYTES_MAX: u32 = 1 << 20;

/// A roster that is sent from one to another, encoded: it fits into a frame with the signatures of a
/// committee. That is some 15,000 members with short names.
pub const ROSTER_BYTES_MAX: usize = FRAME_BYTES_MAX as usize - (64 << 10);

/// Longest wait for a TLS handshake and the greeting after it: five round trips of a very slow
/// path; a peer that takes longer is not one.
pub const HANDSHAKE_MS: u64 = 10_000;

/// Handshakes under way at one listener. Beyond it newcomers are refused and try again later, so
/// that a flood cannot fill memory.
pub const HANDSHAKES_MAX: usize = 256;

/// Handshakes under way from which on a newcomer must first prove its address (QUIC Retry,
/// RFC 9000 section 8.1.2), so that a flood with forged addresses costs no handshakes.
pub const HANDSHAKES_BEFORE_RETRY: usize = 64;

/// Handshakes under way from one address over TCP, where nothing else keeps one machine from taking
/// all places: a quarter of them. A hospital's members come from one address, but not within the
/// milliseconds that a handshake takes.
pub const HANDSHAKES_PER_ADDRESS_MAX: usize = HANDSHAKES_MAX / 4;

/// Connections over TCP at one listener, each with a descriptor and two tasks. A link takes one, and
/// one more for every transfer. Half of the 1,024 descriptors that a system usually allows a program
/// (`ulimit -n`): the rest is for its files, which nobody must be able to take away.
pub const TCP_CONNECTIONS_MAX: usize = 512;

/// Links of one member at once. Of a holder or an owner the newest counts and the others are closed; a
/// researcher has one for each command that runs.
pub const LINKS_PER_MEMBER_MAX: usize = 8;

/// Longest wait for the first frame of a bulk stream: it is sent with the stream.
pub const HEADER_MS: u64 = 5_000;

/// What somebody who has begun to send has to send in a second, in bytes, on the average: a telephone
/// line does so. Fewer hold places and memory for nothing.
pub const BODY_BYTES_PER_S_MIN: u32 = 16 * 1024;

/// How long somebody who sends may send less than [`BODY_BYTES_PER_S_MIN`]: losses and other work in
/// between are no attack.
pub const BODY_WINDOW_MS: u64 = 10_000;

/// Requests and messages of one member in a second, in the long run. A round takes some ten of each
/// member.
pub const REQUESTS_PER_S_MAX: u32 = 100;

/// Seconds' worth of requests that a member may ask at once: a holder that reads all of a thousand
/// contributions again does.
pub const REQUESTS_BURST_S: u32 = 10;

/// How long a dialer that may use both waits for an answer over UDP before it tries TCP as well: three
/// losses of a first packet are rare, and nobody likes to wait longer.
pub const QUIC_PATIENCE_MS: u64 = 3_000;

/// How long a dialer that reached its coordinator over TCP alone tries that first: networks change, and
/// QUIC is the better way.
pub const TCP_REMEMBERED_MS: u64 = 10 * 60 * 1000;

/// A link without any packet for this long is lost.
pub const IDLE_MS: u64 = 20_000;

/// A dialer sends something at least this often: well under [`IDLE_MS`] and the usual 30 s of
/// address translators.
pub const KEEP_ALIVE_MS: u64 = 5_000;

/// A transfer that makes no progress for this long is given up: nothing waits for ever.
pub const STALL_MS: u64 = 30_000;

/// Longest wait for the answer to a bulk request, which includes durable storage of a
/// contribution on a busy disk.
pub const BULK_ANSWER_MS: u64 = 60_000;

/// Streams that a dialer may have open at once: the control stream, and plan, model and
/// contribution, with room for one retry of each.
pub const STREAMS_MAX: u32 = 8;

/// Bytes in flight on one stream. With 20 ms of round trip, 2 MiB still fill 800 Mbit/s.
pub const STREAM_WINDOW_BYTES: u32 = 2 << 20;

/// Bytes in flight on one link: what a hostile member can make the other side hold.
pub const LINK_WINDOW_BYTES: u32 = 4 << 20;

/// A bulk request: a signed header of a committee of seven is below 2 kB.
pub const BULK_REQUEST_BYTES_MAX: u32 = 16 * 1024;

/// A bulk answer: a refusal with its text.
pub const BULK_ANSWER_BYTES_MAX: u32 = 4 * 1024;

/// First wait before dialling again.
pub const BACKOFF_MIN_MS: u64 = 250;

/// Longest wait before dialling again: a coordinator that is back is found within this time.
pub const BACKOFF_MAX_MS: u64 = 30_000;

/// A configuration file, in bytes. One is below 4 kB; its parser holds many times its bytes.
pub const CONFIG_BYTES_MAX: u64 = 64 * 1024;

/// A member's request, in bytes. A holder's is below 4 kB.
pub const REQUEST_BYTES_MAX: u64 = 16 * 1024;

/// A certificate (DER), in bytes. One of ours is below 1 kB; its parser holds many times its bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 2 * 1024;

/// A certificate's file (PEM), in bytes: as text it takes four thirds, and there may be comments.
pub const CERTIFICATE_FILE_BYTES_MAX: u64 = 8 * 1024;

/// A roster file, in bytes: one of 10,000 owners is below 3 MB.
pub const MEMBER_FILE_BYTES_MAX: u64 = 16 << 20;

/// Envelopes sent to a holder in one message: 128 of them stay below [`FRAME_BYTES_MAX`] with a
/// committee of seven (2.2 kB each).
pub const ENVELOPES_PER_MESSAGE_MAX: usize = 128;

/// A plan, in bytes. Larger ones are data in disguise.
pub const PLAN_BYTES_MAX: u32 = 256 * 1024;

/// Bytes of a plan up to which all its syntax errors are told: the parser keeps them all, some 400
/// bytes for each byte of the plan. Of a longer plan the first is told.
pub const PLAN_BYTES_ALL_SYNTAX_ERRORS: usize = 16 * 1024;

/// Bytes of a plan's purpose, which every owner is shown word for word.
pub const PURPOSE_BYTES_MAX: usize = 4096;

/// Rounds of a plan. Beyond it a plan should be renewed by its owners anyway.
pub const ROUNDS_MAX: u32 = 100_000;

/// Passes over an owner's data in one round. More is memorising, not averaging.
pub const LOCAL_EPOCHS_MAX: u32 = 1000;

/// Training steps of an owner in one round; as [`LOCAL_EPOCHS_MAX`], for owners with many examples.
pub const LOCAL_STEPS_MAX: u32 = 10_000_000;

/// Rank of low-rank adapters. Beyond it they are no smaller than the weights of common layers.
pub const ADAPTER_RANK_MAX: u64 = 1024;

/// Names of weights that adapters are for; as many as there may be layers.
pub const ADAPTER_TARGETS_MAX: usize = LAYERS_MAX;

/// Examples in one training step; bounds the memory of a step.
pub const BATCH_EXAMPLES_MAX: u32 = 65_536;

/// Layers of a model, those inside residual layers included.
pub const LAYERS_MAX: usize = 1024;

/// Residual layers inside residual layers. Bounds recursion.
pub const LAYER_DEPTH_MAX: usize = 16;

/// Tensors of a model: some for every layer, more for every block of an encoder.
pub const TENSORS_MAX: usize = 64 * LAYERS_MAX;

/// Any size of a layer (outputs, channels, kernel side). Keeps products inside a `u64`.
pub const LAYER_SIZE_MAX: u64 = 1 << 20;

/// Numbers that one layer may produce for one example; bounds what a plan can make an owner
/// allocate (256 MiB of `f32` per example at most).
pub const ACTIVATIONS_MAX: u64 = 1 << 26;

/// Height or width of an image in pixels.
pub const IMAGE_SIDE_MAX: u32 = 16_384;

/// Channels of an image.
pub const IMAGE_CHANNELS_MAX: u32 = 1024;

/// Columns that a plan reads of a table.
pub const COLUMNS_MAX: usize = 10_000;

/// Classes that a model tells apart, and values of a category column.
pub const CLASSES_MAX: usize = 10_000;

/// Bytes of a column's, category's or class's name.
pub const LABEL_BYTES_MAX: usize = 256;

/// Tokens of a window of text. Bounds what one example may make an owner allocate.
pub const CONTEXT_TOKENS_MAX: u32 = 65_536;

/// Characters of a vocabulary: more than any one script has, and below what a plan may hold.
pub const VOCABULARY_MAX: usize = 65_536;

/// Longest deadline of a phase, in milliseconds: 30 days.
pub const DEADLINE_MS_MAX: u64 = 30 * 24 * 3600 * 1000;

/// Errors told about one plan; a file with more of them is something else than a plan.
pub const PLAN_ERRORS_MAX: usize = 100;

/// Bytes of a member's name.
pub const NAME_BYTES_MAX: usize = 64;

/// Length of a message or reason in plain words that a peer may be told, in bytes.
pub const TEXT_BYTES_MAX: usize = 512;

/// Coordinates of value one at the end of every contribution; their opened sum must be the
/// number of contributions, which tells that a round was spoiled.
pub const SENTINELS: usize = 64;

/// Coordinates that carry an owner's example weight, little-endian digits of `bits` bits each.
pub const WEIGHT_DIGITS: usize = 4;

/// Coordinates that carry one counter of an owner, as a weight is carried.
pub const COUNTER_DIGITS: usize = WEIGHT_DIGITS;

/// Largest counter of one owner. 10,000 of them stay below 2^62, so a sum fits a `u64`.
pub const COUNTER_MAX: u64 = (1 << 48) - 1;

/// Counters of a contribution. So many are 16,384 coordinates (42 kB with w = 8 and n = 1000):
/// evaluation stays cheaper than the key layer.
pub const COUNTERS_MAX: u16 = 4096;

/// Largest example weight: fits four digits of the narrowest useful quantiser (2^(4*4)-1) and
/// keeps one owner from counting for everything.
pub const WEIGHT_MAX: u32 = 65_535;

/// Rounds whose envelopes a holder keeps in memory at once. Ten thousand contributions cost some
/// 3 MB each round; beyond this the oldest is forgotten and asked for again if it still lives.
pub const HOLDER_ROUNDS_MAX: usize = 16;

/// Rounds a client takes part in at once: each keeps a sealed update on its disk. An offer beyond
/// this is left unanswered, so that it is made again later.
pub const PARTICIPANT_ROUNDS_MAX: usize = 16;

/// Rounds of which a client remembers, until it restarts, that they ended before it had sealed: a
/// late offer of one of them is not taken up again.
pub const PARTICIPANT_ROUNDS_OVER_MAX: usize = 64;

/// Complaints a holder sends in one message, 162 bytes each: below [`FRAME_BYTES_MAX`]. Where
/// more boxes are bad, the holder votes for no set that holds one of the rest.
pub const COMPLAINTS_PER_MESSAGE_MAX: usize = 4096;

/// What a strategy keeps, in bytes: two numbers of eight bytes for each of 200 million parameters.
pub const STATE_BYTES_MAX: usize = 4 << 30;

/// A publication, in bytes: 10,000 headers of a committee of seven (1.4 kB each) and the sums of
/// 200 million parameters (four bytes each) stay below it.
pub const PUBLICATION_BYTES_MAX: usize = 1 << 30;

/// Byte strings in one list: the component sums of a holder of a committee of seven are 15. Each
/// takes 24 bytes of memory beside its own, and may be a single byte on the wire.
pub const BYTE_STRINGS_MAX: usize = 15;

/// Names told in one message to a researcher, of those a run waits for: more are counted.
pub const NAMES_TOLD_MAX: usize = 32;

/// Bytes of what a round published in one message: a quarter of [`FRAME_BYTES_MAX`], so that a
/// round trip of 20 ms still carries 100 Mbit/s and a researcher's link holds little.
pub const PIECE_BYTES_MAX: usize = 256 * 1024;

/// Runs that a coordinator takes before some are over: each is a plan on its disk.
pub const RUNS_OPEN_MAX: u32 = 1000;

/// Runs that take turns at a coordinator, unless its settings say otherwise: each waits for a round of
/// all others between two of its own.
pub const RUNS_AT_ONCE: u32 = 4;

/// Refused plans that a coordinator remembers; the oldest are forgotten, so that nobody can fill
/// its disk with nonsense.
pub const RUNS_REFUSED_MAX: u32 = 1000;

/// A signed note, in bytes: a checkpoint with the signatures of a log and of a committee of seven, with
/// the longest names, has some 3 kB.
pub const NOTE_BYTES_MAX: usize = 8 << 10;

/// Hashes of a proof that a log of less than 2^63 entries has only grown.
pub const CONSISTENCY_HASHES_MAX: usize = 64;

/// An entry of the ledger, in bytes: its length has 16 bits in the bundles of C2SP tlog-tiles.
pub const ENTRY_BYTES_MAX: usize = 0xffff;

/// An entry in base64, its proof of inclusion and the checkpoint, in bytes.
pub const RECORD_PROOF_BYTES_MAX: usize = 2 * ENTRY_BYTES_MAX + NOTE_BYTES_MAX;

/// A signed statement of a member, in bytes.
pub const STATEMENT_BYTES_MAX: usize = 32 << 10;

/// Links of researchers at one coordinator: each may hold a message of [`PIECE_BYTES_MAX`].
pub const RESEARCH_LINKS_MAX: usize = 64;

/// Faults of holders in one report: seven holders, each silent or refusing in each of seven phases,
/// or one of a few other faults. Each takes three bytes of memory and two on the wire.
pub const HOLDER_FAULTS_MAX: usize = 7 * (2 * 7 + 7);

/// Most contributions of an audited round: one component's openings of all of them, 615 bytes each
/// at most, are one message.
pub const AUDITED_CONTRIBUTIONS_MAX: u32 = 1000;

/// Components of a key shared among seven, the largest committee: 7 choose 2.
pub const COMPONENTS_MAX: usize = 21;

/// Most proofs in one message to a holder: 19 kB each at most ([`AUDIT_ROWS_MAX`]).
pub const PROOFS_PER_MESSAGE_MAX: usize = 32;

/// Contributions that a holder reads again in every audited round, besides those that failed: at
/// least so many (a vector of so few parameters is read whole, see the next), else so many in a
/// thousand.
pub const AUDIT_REREADS_MIN: usize = 3;
/// See [`AUDIT_REREADS_MIN`].
pub const AUDIT_REREADS_PER_MILLE: usize = 40;
/// Parameters up to which a holder reads every contribution of an audited round again.
pub const AUDIT_REREAD_ALL_PARAMETERS: u64 = 100_000;

/// Fewest examples of each class in a fold: with fewer, whoever alone has a class is credited nothing
/// for it (design note `credits`, section 4.6).
pub const FOLD_CLASS_MIN: usize = 3;

/// Steps of the past that novelty leaves out (same note, section 5).
pub const HISTORY_STEPS: usize = 3;

/// Examples of a validation pool: the places of all of them, three bytes each, fit into one message
/// beside the fold's, the accepted set and the functions.
pub const POOL_EXAMPLES_MAX: usize = 200_000;

const _: () = {
    let places = 3 * (POOL_EXAMPLES_MAX + CREDIT_FOLD_MAX as usize);
    let set = 32 * AUDITED_CONTRIBUTIONS_MAX as usize;
    // Three functions of a row for each lane, with room for everything small.
    let rest = 3 * 8 * 8 * AUDIT_ROWS_MAX as usize + (64 << 10);
    assert!(POOL_EXAMPLES_MAX < 1 << 21 && places + set + rest < FRAME_BYTES_MAX as usize);
};

/// Audit rows, both ends included: with 64 a coefficient off the grid passes with 2^-41 (design
/// note `closed-audit`, section 5); beyond 256 rows cost and add nothing.
pub const AUDIT_ROWS_MIN: u16 = 64;
/// See [`AUDIT_ROWS_MIN`].
pub const AUDIT_ROWS_MAX: u16 = 256;

/// Audit rows of a plan that does not say how many: a coefficient off the grid passes with 2^-80, an
/// update of 2.2 times the norm with 2^-40.
pub const AUDIT_ROWS_DEFAULT: u16 = 128;

/// Range rows of an audit: an entry out of range passes each with probability 1/2 at most, and a
/// cheater can try again by itself, so as many as are beyond anybody's work.
pub const AUDIT_RANGE_ROWS: usize = 96;

/// Squared norm of an owner's coordinates that an audit bounds, in quantised units: 2^32
/// parameters of 16 bits at their largest are beyond it, everything that is trained is not. Beyond, what
/// lanes' factors are rounded by would leave no packing whose squares cannot wrap.
pub const AUDIT_NORM_SQUARED_MAX: u64 = 1 << 54;

/// Absolute value of a released score (s, novelty, harm): every reader of JSON holds it exactly. By
/// Cauchy-Schwarz an inner product of an update and a direction is at most the product of their
/// lengths: 2^22 units (the clip of an audited update of 2^26 raw values, `2^L >= 16 C`) times 2^21
/// (a direction of six bits for 2^32 parameters) is 2^43; from a sketch, with weights of 24 bits for
/// 512 rows and lanes, 2^54 in the same extreme and 2^47 for the 2^15 units of a million parameters,
/// so that an audit of more than that scales its weights down.
pub const SCORE_MAX: i64 = (1 << 53) - 1;

/// Budget of a round in micro-credits: a million credits. An epoch of [`EPOCH_ROUNDS_MAX`] such
/// rounds is 2^50 micro-credits, which every reader of JSON holds exactly.
pub const BUDGET_MICRO_MAX: u64 = 1_000_000_000_000;

/// Rounds of an epoch of credits, both ends included: a spread takes two, and owners wait for their
/// payment until the last.
pub const EPOCH_ROUNDS_MIN: u32 = 2;
/// See [`EPOCH_ROUNDS_MIN`].
pub const EPOCH_ROUNDS_MAX: u32 = 1024;

/// k_min: fewest contributions of a round with credit. The design note's study has none of fewer.
pub const CREDIT_CONTRIBUTIONS_MIN: u32 = 5;

/// Most times that an update counts in a sum that past evidence weighs. A sum of weighed updates is
/// a sum of so many times as many, and every bound of it is the one for these.
pub const MULTIPLICITY_MAX: u32 = 4;
/// Fewest times that one counts that counts at all. Half of the most: the sum of the keys tells of
/// an owner's key the more, the more often it counts than the others (`credit/multiplicity.rs`).
pub const MULTIPLICITY_MIN: u32 = 2;

// A weighed sum is within the bounds of a plain one.
const _: () = assert!(MULTIPLICITY_MAX * AUDITED_CONTRIBUTIONS_MAX <= CONTRIBUTIONS_MAX);

/// Owners whose evidence is remembered from round to round of a run: four times as many as a round
/// has. At 45 bytes each at most, terms and the attestation that they go on from fit into a frame.
pub const STANDINGS_MAX: usize = 4 * AUDITED_CONTRIBUTIONS_MAX as usize;

/// Examples of a round's fold, both ends included. 30 are three of each of ten classes, the
/// study's; 10,000 are three of each of 3,333, and as many as a holder trains on within seconds.
pub const CREDIT_FOLD_MIN: u16 = 30;
/// See [`CREDIT_FOLD_MIN`].
pub const CREDIT_FOLD_MAX: u16 = 10_000;
/// Examples of a fold where a plan does not say how many: the study's.
pub const CREDIT_FOLD_DEFAULT: u16 = 30;

/// Most steps on a fold. Everybody who checks a round repeats them; beyond it the direction learns
/// the fold by heart.
pub const CREDIT_STEPS_MAX: u16 = 1000;
/// Steps where a plan does not say how many: the study's.
pub const CREDIT_STEPS_DEFAULT: u16 = 20;

/// Numerator and denominator of a ratio in the terms of credits: six decimal places.
pub const RATIO_MAX: u32 = 1_000_000;

/// Owners whose debts are carried from one epoch into the next: every member that a round of
/// [`CONTRIBUTIONS_MAX`] may have had, and as many that have left.
pub const DEBTS_MAX: usize = 2 * CONTRIBUTIONS_MAX as usize;

/// A round's evidence as JSON, in bytes: 10,000 owners take 250 each.
pub const EVIDENCE_FILE_BYTES_MAX: u64 = 4 << 20;

/// An epoch's credits as JSON, in bytes: 10,000 owners take 1,400 each, with room for those that
/// came and went within the epoch.
pub const CREDITS_FILE_BYTES_MAX: u64 = 64 << 20;

/// Ratio of noise to what one owner moves a sum by. Below, one round has an epsilon of hundreds;
/// above, nothing is learnt from any number of owners that a round may have.
pub const NOISE_MULTIPLIER_MIN: f64 = 0.05;
/// See [`NOISE_MULTIPLIER_MIN`].
pub const NOISE_MULTIPLIER_MAX: f64 = 1000.0;

/// Smallest delta of a plan or a budget: noise is drawn anew beyond bounds that it passes with a
/// probability far below this in any run (`covey_privacy::bound`).
pub const PRIVACY_DELTA_MIN: f64 = 1e-12;

/// Farthest that a clip that follows owners' lengths goes from the plan's, either way, in 64ths of a
/// doubling: a thousand times. What is farther is no clip but a model that diverges.
pub const CLIP_STEPS_MAX: i32 = 640;

/// How fast such a clip may follow: a round in which nobody is within it makes it e times as large at
/// most.
pub const CLIP_RATE_MAX: f64 = 1.0;

/// What an example's gradient is clipped to, where examples are hidden: gradients are rounded to a
/// grid of 2^-26 of it in 32 bits of floating point.
pub const RECORD_CLIP_MIN: f64 = 1e-6;
/// See [`RECORD_CLIP_MIN`].
pub const RECORD_CLIP_MAX: f64 = 1e6;
