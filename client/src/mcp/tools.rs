//! What the owner of a client and a researcher ask beside the ledger. Nothing here loosens what an owner
//! allows: `policy.toml` is written by a person, and so is every word that approves a run.

use covey_ledger::desk::mcp::{Kind, Needs, Parameter, Tool, given, may, reads, writes};

use crate::policy::POLICY_FILE;

const RUN: Parameter = given(
    "run",
    Kind::Word,
    "The run: its name, its digest, or at least four digits of the beginning of that",
);
const PLAN: Parameter = given("plan", Kind::Word, "The plan's file (TOML)");
const FOLDER: Parameter =
    given("folder", Kind::Word, "The folder with credits.json and evidence-0001.json, ...");
const ROUNDS: Parameter = given(
    "folder",
    Kind::Word,
    "The folder with round-0001, round-0002, ..., as the coordinator publishes it",
);
const SINCE: Parameter = may(
    "since",
    Kind::Text("--since"),
    "From when on: 2026-11-28, 2026-11-28T10:58:02Z, or how long ago: 7d",
);
const OF_RUN: Parameter =
    may("run", Kind::Text("--run"), "Only messages of this run: its identity, or its beginning");
const OUT: Parameter =
    given("out", Kind::Text("--out"), "What to write; never a file that is there");

/// The tools.
pub(super) const OWN: &[Tool] = &[
    // An owner's.
    reads(
        "policy_show",
        (&["policy", "show"], Needs::Beside(POLICY_FILE)),
        "The owner's policy, with every setting",
        &[],
    ),
    reads(
        "policy_check",
        (&["policy", "check"], Needs::Beside(POLICY_FILE)),
        "Everything that is wrong with the owner's policy",
        &[],
    ),
    reads(
        "policy_test",
        (&["policy", "test"], Needs::Config),
        "Try a plan on the owner's policy: every rule with pass, fail or asks, and what would leave",
        &[PLAN],
    ),
    reads(
        "privacy_budget",
        (&["privacy", "budget"], Needs::Config),
        "What rounds with noise have told about the owner's data, beside what it allows",
        &[],
    ),
    reads(
        "privacy_explain",
        (&["privacy", "explain"], Needs::Nothing),
        "What epsilon and delta mean, and what a plan's guarantee covers and what not",
        &[may("plan", Kind::Word, "The plan's file (TOML)")],
    ),
    reads(
        "runs_list",
        (&["runs", "list"], Needs::Config),
        "Runs that were offered to this owner",
        &[],
    ),
    reads(
        "runs_show",
        (&["runs", "show"], Needs::Config),
        "A run that was offered to this owner: its plan, and what the policy says to it, rule by rule",
        &[RUN],
    ),
    reads(
        "runs_leaves",
        (&["runs", "leaves"], Needs::Config),
        "What leaves this machine in a run: bytes, numbers, who sees what, what is not sent",
        &[RUN],
    ),
    writes(
        "runs_deny",
        (&["runs", "deny"], Needs::Config),
        "Take no part in a run, even if its purpose is allowed. What was sent before cannot be taken back",
        &[RUN, may("reason", Kind::Text("--reason"), "Why, for the owner's own records")],
    ),
    writes(
        "pause",
        (&["pause"], Needs::Config),
        "Take no part in any round until a person ends the pause",
        &[],
    ),
    reads(
        "status",
        (&["status"], Needs::Config),
        "Who this owner is, what it has contributed, and whether the program is running",
        &[],
    ),
    reads(
        "doctor",
        (&["doctor"], Needs::Config),
        "What the owner would have to put right: configuration, keys, clock, data, the way to the coordinator",
        &[may("plan", Kind::Text("--plan"), "Also whether the data fit this plan")],
    ),
    reads(
        "receipts",
        (&["receipts"], Needs::Config),
        "This owner's receipts: the rounds that counted it and its credits, each checked in the ledger",
        &[],
    ),
    reads(
        "audit",
        (&["audit"], Needs::Config),
        "Everything that this client has sent: when, what kind, how many bytes, to whom",
        &[OF_RUN, SINCE],
    ),
    reads(
        "audit_verify",
        (&["audit", "verify"], Needs::Config),
        "Check the log of what was sent: every entry by its hash and by the one before",
        &[
            may(
                "file",
                Kind::Text("--file"),
                "A file that audit_export wrote, in place of the log",
            ),
            may("head", Kind::Text("--head"), "The hash of an entry that must be in the log"),
        ],
    ),
    writes(
        "audit_export",
        (&["audit", "export"], Needs::Config),
        "Write what this client has sent to a file",
        &[OUT, may("format", Kind::Text("--format"), "jsonl or csv"), OF_RUN, SINCE],
    ),
    // What evidence comes to.
    reads(
        "credits_list",
        (&["credits", "list"], Needs::Roster),
        "What each owner is credited of published evidence, with its interval and what is flagged",
        &[FOLDER],
    ),
    reads(
        "credits_explain",
        (&["credits", "explain"], Needs::Roster),
        "Why an owner is credited what it is, and what would have changed it",
        &[given("owner", Kind::Word, "Its name, or at least four digits of its key"), FOLDER],
    ),
    reads(
        "credits_recompute",
        (&["credits", "recompute"], Needs::Nothing),
        "Settle published evidence again and compare with what was published, byte for byte",
        &[FOLDER, may("before", Kind::Text("--before"), "The folder of the epoch before")],
    ),
    reads(
        "credits_verify",
        (&["credits", "verify"], Needs::Pinned),
        "Check credits against the rounds that they come of; with plan and pool, that the evidence was \
         opened for the right fold and directions, which trains again and takes long",
        &[
            ROUNDS,
            may("credits", Kind::Text("--credits"), "The folder with the settled credits"),
            may("plan", Kind::Text("--plan"), "The run's plan; with pool"),
            may("pool", Kind::Text("--pool"), "The validation pool; with plan"),
            may("labels", Kind::Text("--labels"), "The labels of a pool that is a pair of files"),
            may("format", Kind::Text("--format"), "What the pool is, where its name does not tell"),
        ],
    ),
    reads(
        "credits_judge",
        (&["credits", "judge"], Needs::Roster),
        "Check the proof of somebody's own numbers: whether they are those that are published",
        &[given("file", Kind::Word, "The proof"), ROUNDS],
    ),
    writes(
        "credits_prove",
        (&["credits", "prove"], Needs::Pinned),
        "Write the proof of this owner's own numbers in a round, as evidence for a dispute. Whoever has the \
         file knows more of its update than what is published: for reviewers only",
        &[ROUNDS, given("round", Kind::Count("--round"), "The round's number, from 1"), OUT],
    ),
    // Plans.
    reads(
        "plan_check",
        (&["plan", "check"], Needs::Nothing),
        "Everything that is wrong with a plan, and what it would cost an owner",
        &[PLAN],
    ),
    reads(
        "plan_explain",
        (&["plan", "explain"], Needs::Nothing),
        "What a plan does, in plain words: what is trained, what leaves each machine, what protects it",
        &[
            PLAN,
            may(
                "privacy",
                Kind::Switch("--privacy"),
                "What more and less noise would cost and bring",
            ),
        ],
    ),
    reads(
        "plan_diff",
        (&["plan", "diff"], Needs::Nothing),
        "What differs between two plans, and what of it changes what leaves an owner's machine",
        &[
            given("before", Kind::Word, "The first plan's file"),
            given("after", Kind::Word, "The second plan's file"),
        ],
    ),
    reads("plan_schema", (&["plan", "schema"], Needs::Nothing), "The JSON Schema of plans", &[]),
    writes(
        "plan_new",
        (&["plan", "new"], Needs::Nothing),
        "Write a plan to begin with, complete and with comments",
        &[
            given("name", Kind::Word, "Its name"),
            given(
                "template",
                Kind::Text("--template"),
                "What it is for: tabular, image, image-mlp or text",
            ),
            may("output", Kind::Text("--output"), "The file to write, never one that is there"),
        ],
    ),
    // A researcher's.
    reads(
        "run_list",
        (&["run", "list"], Needs::Config),
        "The runs of the coordinator that are not over, in the order of the queue",
        &[may(
            "all",
            Kind::Switch("--all"),
            "Also those that are over, and plans that were refused",
        )],
    ),
    reads(
        "run_show",
        (&["run", "show"], Needs::Config),
        "How a run is, what it waits for, and how each of its rounds was",
        &[RUN],
    ),
    reads(
        "run_wait",
        (&["run", "wait"], Needs::Config),
        "Wait until a run is over, and say how it ended",
        &[RUN, given("timeout", Kind::Text("--timeout"), "Longest wait, such as 90s, 10m or 2h")],
    ),
    reads(
        "run_compare",
        (&["run", "compare"], Needs::Config),
        "Two runs side by side: what differs in their plans, and their metrics by round",
        &[
            given("before", Kind::Word, "The first run"),
            given("after", Kind::Word, "The second run"),
        ],
    ),
    writes(
        "run_submit",
        (&["run", "submit"], Needs::Config),
        "Send a plan to the coordinator, which checks it, records it and carries it out. The same plan under \
         the same name is the same run",
        &[PLAN, may("name", Kind::Text("--name"), "The run's name; the plan's if not given")],
    ),
    writes(
        "run_pause",
        (&["run", "pause"], Needs::Config),
        "Have the researcher's run finish the round at hand and begin no further one",
        &[RUN],
    ),
    writes(
        "run_resume",
        (&["run", "resume"], Needs::Config),
        "Have the researcher's run go on after a pause",
        &[RUN],
    ),
    writes(
        "run_stop",
        (&["run", "stop"], Needs::Config),
        "End the researcher's run for good. Its round is abandoned; earlier rounds stay",
        &[RUN],
    ),
    writes(
        "run_export",
        (&["run", "export"], Needs::Config),
        "Write the model of a run in the form of other tools, computed again from what the run published",
        &[
            RUN,
            given("format", Kind::Text("--format"), "safetensors, hf-folder or onnx"),
            given("out", Kind::Text("--out"), "The folder to write to"),
            may("round", Kind::Count("--round"), "The model after this round; else the last"),
            may("plan", Kind::Text("--plan"), "The run's plan; else the coordinator's"),
            may(
                "sums_only",
                Kind::Switch("--sums-only"),
                "Fetch the opened sums only: less is checked",
            ),
        ],
    ),
];
