//! The commands of a desk as tools.

use super::tool::{Kind, Needs, Parameter, Tool, given, may, reads, signs, writes};

const RUN: &str = "The run: its name, or at least four digits of the beginning of its digest";
const DISPUTE: &str = "At least four digits of the beginning of the digest";
const WHY: &str = "Why, in words. Everybody reads it";
const ALL: Parameter =
    may("all", Kind::Switch("--all"), "Also what is decided or withdrawn; else only what is open");
const RUNS: Parameter =
    may("run", Kind::List("--run"), "Only these runs, beside those of earlier payouts");
const AT: Parameter =
    may("at", Kind::Text("--at"), "As of this time, such as 2026-11-28T10:58:02Z; else now");
const PAYOUT_FILE: Parameter = given("file", Kind::Word, "The payout's file");
const NUMBER: Parameter = may(
    "number",
    Kind::Count("--number"),
    "Idempotency key: the same number with the same words is the same statement, recorded once. The \
     answer of the first call has it",
);
const DRY_RUN: Parameter =
    may("dry_run", Kind::Switch("--dry-run"), "Only show the text that would be signed");

/// The tools of [`super::super::DeskCommand`].
pub const TOOLS: &[Tool] = &[
    reads(
        "ledger_verify",
        (&["ledger", "verify"], Needs::Folder),
        "Check the whole ledger: signatures, quorum, every entry. Tells how many statements are checked, \
         attested by a quorum, or only asserted, and every doubt",
        &[
            may(
                "checkpoint",
                Kind::List("--checkpoint"),
                "Files with checkpoints that were kept, or that somebody else was shown: the ledger must \
                 have grown from each",
            ),
            may("statements", Kind::Switch("--statements"), "Every statement, not only how many"),
        ],
    ),
    reads(
        "ledger_entry",
        (&["ledger", "entry"], Needs::Folder),
        "An entry of the ledger, and what each of its statements is worth",
        &[given("number", Kind::Number, "The entry's number, from 0")],
    ),
    reads(
        "ledger_receipt",
        (&["ledger", "receipt"], Needs::Pinned),
        "Check a receipt, by its file and the roster alone: that its entry is in the ledger, cosigned by a \
         quorum",
        &[given("file", Kind::Word, "The receipt's file")],
    ),
    reads(
        "ledger_round",
        (&["ledger", "round"], Needs::Folder),
        "A round, checked against what was published of it",
        &[
            given("run", Kind::Word, RUN),
            given("round", Kind::Number, "The round's number, from 1"),
        ],
    ),
    reads(
        "ledger_credits",
        (&["ledger", "credits"], Needs::Folder),
        "A run's credits, computed again; of one owner with the reasons",
        &[
            given("run", Kind::Word, RUN),
            may(
                "owner",
                Kind::Word,
                "Only this owner: its name, or at least four digits of its key",
            ),
        ],
    ),
    reads(
        "ledger_payout",
        (&["ledger", "payout"], Needs::Folder),
        "Check the file of a payout: that it is the one in the ledger, or follows from it",
        &[PAYOUT_FILE],
    ),
    reads("dispute_list", (&["dispute", "list"], Needs::Reading), "Disputes of credits", &[ALL]),
    reads(
        "dispute_show",
        (&["dispute", "show"], Needs::Reading),
        "A dispute: what is doubted, what would change, the votes",
        &[given("dispute", Kind::Word, DISPUTE)],
    ),
    reads(
        "review_list",
        (&["review", "list"], Needs::Reading),
        "What reviewers vote on: disputes and proposals",
        &[ALL],
    ),
    reads(
        "review_show",
        (&["review", "show"], Needs::Reading),
        "A dispute or a proposal: what would be, why, the votes",
        &[given("id", Kind::Word, DISPUTE)],
    ),
    reads(
        "review_charter",
        (&["review", "charter"], Needs::Reading),
        "The charter in force, and who reviews",
        &[],
    ),
    reads(
        "payout_preview",
        (&["payout", "preview"], Needs::Reading),
        "Who would be paid what now, what is held back, and why",
        &[RUNS, AT],
    ),
    reads(
        "payout_csv",
        (&["payout", "csv"], Needs::Reading),
        "The same as a table: one line of each owner with something new",
        &[RUNS, AT],
    ),
    reads(
        "payout_units",
        (&["payout", "units"], Needs::Reading),
        "What each address has, as units of a distribution pool, as a table",
        &[RUNS, AT],
    ),
    reads(
        "payout_verify",
        (&["payout", "verify"], Needs::Reading),
        "Check that a payout's file is what follows from the ledger",
        &[PAYOUT_FILE, RUNS, AT],
    ),
    writes(
        "payout_build",
        (&["payout", "build"], Needs::Reading),
        "Write the file of the payout that follows from the ledger (OpenZeppelin standard-v1). Refused \
         while a dispute is open on credits in it. Nothing is signed or sent",
        &[
            given("out", Kind::Text("--out"), "The file to write; never one that is there"),
            may(
                "hold_back",
                Kind::Switch("--hold-back"),
                "Hold credits under dispute back and pay all others",
            ),
            RUNS,
            AT,
        ],
    ),
    signs(
        "dispute_open",
        &["dispute", "open"],
        "Sign and record a dispute of an owner's credit in a run, which is then held back until reviewers \
         have decided. Give either pay or without",
        &[
            given("run", Kind::Text("--run"), RUN),
            given("owner", Kind::Text("--owner"), "Whose credit: its name, or digits of its key"),
            may("pay", Kind::Text("--pay"), "What it should be paid for the run, in credits: 12.5"),
            may("without", Kind::Text("--without"), "The rounds to settle without, such as 1,3-5"),
            given("why", Kind::Text("--why"), WHY),
            may("evidence", Kind::List("--evidence"), "Files; only their digests are signed"),
            NUMBER,
            DRY_RUN,
        ],
    ),
    signs(
        "dispute_withdraw",
        &["dispute", "withdraw"],
        "Sign and record that the member's own dispute is withdrawn",
        &[given("dispute", Kind::Word, DISPUTE), NUMBER, DRY_RUN],
    ),
    signs(
        "review_vote",
        &["review", "vote"],
        "Sign and record a reviewer's vote. It stands",
        &[
            given("id", Kind::Word, DISPUTE),
            given("choice", Kind::Word, "yes or no"),
            NUMBER,
            DRY_RUN,
        ],
    ),
    signs(
        "review_propose_budget",
        &["review", "propose", "budget"],
        "Sign and record a proposal: what a run may give, where that is more than the charter leaves free. \
         Reviewers vote on it",
        &[
            given("run", Kind::Text("--run"), RUN),
            given(
                "credits",
                Kind::Text("--credits"),
                "Largest pool of all its rounds together, in credits: 8000",
            ),
            given("why", Kind::Text("--why"), WHY),
            NUMBER,
            DRY_RUN,
        ],
    ),
    signs(
        "review_propose_charter",
        &["review", "propose", "charter"],
        "Sign and record a proposal of another charter; what is not given stays as it is. Reviewers vote on it",
        &[
            may(
                "from",
                Kind::Text("--from"),
                "A file with the whole charter, as review_charter has it",
            ),
            may(
                "dispute_window_h",
                Kind::Count("--dispute-window-h"),
                "How long credits may be disputed, in hours",
            ),
            may(
                "vote_window_h",
                Kind::Count("--vote-window-h"),
                "How long reviewers have to vote, in hours",
            ),
            may("quorum", Kind::Count("--quorum"), "How many equal votes decide"),
            may(
                "budget_free",
                Kind::Text("--budget-free"),
                "What a run may give without a vote, in credits",
            ),
            may(
                "disputes_open_max",
                Kind::Count("--disputes-open-max"),
                "Disputes of one member that may be open at once",
            ),
            may(
                "proposals_open_max",
                Kind::Count("--proposals-open-max"),
                "Proposals of one member that may be open at once",
            ),
            may(
                "units_per_credit",
                Kind::Text("--units-per-credit"),
                "What one credit is paid, in the smallest units of the token",
            ),
            given("why", Kind::Text("--why"), WHY),
            NUMBER,
            DRY_RUN,
        ],
    ),
    signs(
        "review_propose_reviewers",
        &["review", "propose", "reviewers"],
        "Sign and record a proposal of who begins and who ceases to review. Reviewers vote on it",
        &[
            may("add", Kind::List("--add"), "Who begins: names"),
            may("remove", Kind::List("--remove"), "Who ceases: names"),
            given("why", Kind::Text("--why"), WHY),
            NUMBER,
            DRY_RUN,
        ],
    ),
    signs(
        "address_set",
        &["address", "set"],
        "Sign and record where the member is paid. Give either address or none",
        &[
            may("address", Kind::Word, "0x and 40 hexadecimal digits with the checksum of EIP-55"),
            may("none", Kind::Switch("--none"), "Take the address back"),
            NUMBER,
            DRY_RUN,
        ],
    ),
];
