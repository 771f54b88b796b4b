//! `note.json`, `cosignature.json`, `checkpoint.json`.

use covey_ledger::checkpoint::{Checkpoint, TreeHead};
use covey_ledger::cosignature;
use covey_ledger::note::{Algorithm, BadNote, Note, SignatureLine, VerifierKey};
use covey_ledger::quorum::{NotFinal, Quorum};
use covey_ledger::tree::{Hash, leaf_hash};
use serde_json::{Value, json};

use crate::support::{identity, log_identity, name, quorum, witness_key};

use super::{File, NAME, REFUSED, WRONG, base64, bytes, invalid, text, texts};

const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
const PETER_LINE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE: &str = "\u{2014} EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

/// When the first witness cosigns.
const TIME_S: u64 = 1_800_000_000;

pub(super) fn notes() -> File {
    let case = |name: &str, key: &str, text: &str, note: &str| json!({ "name": name, "key": key, "text": base64(text), "note": base64(note) });
    let both = format!("{TEXT}\n{PETER_LINE}{ENOCH_LINE}");
    let poem = "a text\n\nwith an empty line\n".to_owned();
    let ours = Note::sign(poem.clone(), name("fed"), &log_identity()).expect("a text").to_string();
    let peter = case("Go's first signer", PETER, TEXT, &format!("{TEXT}\n{PETER_LINE}"));
    let with = |name: &str, wrong: &str, refused: &str, note: &[u8]| {
        invalid(&peter, name, wrong, refused, &[("note", base64(note))])
    };
    let edited = |name: &str, wrong: &str, refused: &str, note: &str| {
        with(name, wrong, refused, note.as_bytes())
    };
    let loose = PETER_LINE.replace("AM=\n", "AN=\n");
    let base = format!("{TEXT}\n{PETER_LINE}");
    File {
        about: "signed notes (c2sp.org/signed-note) with Ed25519 keys: two of golang.org/x/mod/sumdb/note, \
                one of this library",
        fields: vec![
            NAME,
            WRONG,
            REFUSED,
            ("key", "the verifier key; its signature must be there and hold"),
            ("text", "what is signed"),
            ("note", "the note"),
        ],
        valid: vec![
            peter.clone(),
            case("the first of two signers", PETER, TEXT, &both),
            case("the second of two signers", ENOCH, TEXT, &both),
            case("empty line in the text", &quorum().log().to_string(), &poem, &ours),
        ],
        invalid: vec![
            edited(
                "no signature",
                "nothing follows the empty line",
                "unsigned",
                &format!("{TEXT}\n"),
            ),
            edited("no empty line", "only a text", "unsigned", TEXT),
            edited("cut off", "no newline at the end", "text", base.trim_end()),
            edited("control character", "a byte 1 in the text", "text", &format!("\u{1}{base}")),
            edited("carriage return", "lines end in CR LF", "text", &base.replace('\n', "\r\n")),
            with("no UTF-8", "a byte ff", "encoding", &[b"\xff", base.as_bytes()].concat()),
            edited(
                "a space in a name",
                "a key's name with a space",
                "line",
                &base.replace("\u{2014} PeterNeumann", "\u{2014} Peter Neumann"),
            ),
            edited("a hyphen", "a hyphen for the em dash", "line", &base.replace('\u{2014}', "-")),
            edited("a stray line", "a line that is no signature", "line", &format!("{base}more\n")),
            edited("loose base64", "unused bits are set", "line", &format!("{TEXT}\n{loose}")),
            edited(
                "too many signatures",
                "65 lines",
                "signatures",
                &format!("{TEXT}\n{}", PETER_LINE.repeat(65)),
            ),
            edited(
                "another text",
                "a letter changed",
                "not-signed",
                &base.replace("think", "thank"),
            ),
            edited(
                "another signer",
                "only Enoch's",
                "not-signed",
                &format!("{TEXT}\n{ENOCH_LINE}"),
            ),
            edited(
                "a false line beside",
                "the key's signature twice, one of them changed",
                "not-signed",
                &format!("{base}{}", PETER_LINE.replace("BwJnAM", "BwJnQM")),
            ),
        ],
    }
}

pub(super) fn check_note(case: &Value) -> Result<(), String> {
    let note = Note::parse(&bytes(case, "note")).map_err(|bad| {
        let name = match bad {
            BadNote::Long { .. } => "long",
            BadNote::Text(_) => "text",
            BadNote::Encoding => "encoding",
            BadNote::Unsigned => "unsigned",
            BadNote::Line(_) => "line",
            BadNote::Signatures => "signatures",
        };
        name.to_owned()
    })?;
    let key: VerifierKey = text(case, "key").parse().expect("a key");
    if !note.is_signed_by(&key) {
        return Err("not-signed".to_owned());
    }
    assert_eq!(note.text().as_bytes(), bytes(case, "text"));
    Ok(())
}

fn head() -> TreeHead {
    TreeHead { size: 1, root: leaf_hash(b"entry") }
}

pub(super) fn cosignatures() -> File {
    let text = Checkpoint::new(name("fed"), head()).to_string();
    let line =
        cosignature::cosign(&text, witness_key(0).name, TIME_S, &identity(0)).expect("a text");
    let case = json!({
        "name": "a witness", "key": witness_key(0).to_string(), "text": base64(&text),
        "line": line.to_string(), "time_s": TIME_S.to_string(),
    });
    let with = |name: &str, wrong: &str, change: fn(&mut SignatureLine)| {
        let mut line = line.clone();
        change(&mut line);
        invalid(&case, name, wrong, "cosignature", &[("line", json!(line.to_string()))])
    };
    let beyond = cosignature::cosign(&text, witness_key(0).name, u64::MAX, &identity(0));
    let plain = Note::sign(text.clone(), witness_key(0).name, &identity(0)).expect("a text");
    let small = VerifierKey::new(name("small"), Algorithm::Cosignature, neutral());
    let mut forged =
        SignatureLine { name: small.name.clone(), id: small.id(), signature: vec![0; 72] };
    forged.signature[8] = 1;
    File {
        about: "cosignatures (c2sp.org/tlog-cosignature, cosignature/v1, Ed25519)",
        fields: vec![
            NAME,
            WRONG,
            REFUSED,
            ("key", "the witness's verifier key"),
            ("text", "the text of the checkpoint"),
            ("line", "the signature line, without its newline"),
            ("time_s", "when it was cosigned, in seconds since 1970"),
        ],
        valid: vec![case.clone()],
        invalid: vec![
            with("another time", "a second later", |line| line.signature[7] ^= 1),
            with("another signature", "a bit changed", |line| line.signature[8] ^= 1),
            with("the last byte changed", "a bit changed", |line| line.signature[71] ^= 1),
            with("cut off", "a byte is missing", |line| line.signature.truncate(71)),
            with("another id", "a bit of the key's id", |line| line.id[3] ^= 1),
            with("another name", "the next witness's", |line| line.name = witness_key(1).name),
            invalid(
                &case,
                "another text",
                "of size 2",
                "cosignature",
                &[("text", base64(text.replace("\n1\n", "\n2\n")))],
            ),
            invalid(
                &case,
                "another witness",
                "another key",
                "cosignature",
                &[("key", json!(witness_key(1).to_string()))],
            ),
            invalid(
                &case,
                "a plain signature",
                "of type 1",
                "cosignature",
                &[("line", json!(plain.signatures()[0].to_string()))],
            ),
            invalid(
                &case,
                "a time beyond 2^63",
                "the greatest number",
                "cosignature",
                &[("line", json!(beyond.expect("a text").to_string()))],
            ),
            invalid(
                &case,
                "a key of small order",
                "the neutral element",
                "cosignature",
                &[("key", json!(small.to_string())), ("line", json!(forged.to_string()))],
            ),
        ],
    }
}

/// The neutral element as a public key: everything would verify under it.
fn neutral() -> covey_aggregation::party::PartyId {
    let mut key = [0; 32];
    key[0] = 1;
    covey_aggregation::party::PartyId(key)
}

pub(super) fn check_cosignature(case: &Value) -> Result<(), String> {
    let key: VerifierKey = text(case, "key").parse().expect("a key");
    let line = SignatureLine::parse(text(case, "line")).expect("a line");
    let signed = String::from_utf8(bytes(case, "text")).expect("text");
    let time_s = cosignature::check(&signed, &key, &line).map_err(|_| "cosignature".to_owned())?;
    assert_eq!(time_s.to_string(), text(case, "time_s"));
    Ok(())
}

/// A checkpoint of the log, cosigned by these witnesses.
pub(super) fn cosigned(head: TreeHead, witnesses: &[u8]) -> Note {
    let mut note = Checkpoint::new(name("fed"), head).sign(&log_identity()).expect("a text");
    for number in witnesses {
        let time_s = TIME_S + u64::from(*number);
        let key = witness_key(*number);
        let line = cosignature::cosign(note.text(), key.name, time_s, &identity(*number));
        note.push(line.expect("a text")).expect("room");
    }
    note
}

/// The fields of a quorum, for cases that need one.
pub(super) const QUORUM: [(&str, &str); 3] = [
    ("log", "the log's verifier key; its name is the origin"),
    ("witnesses", "the witnesses' verifier keys"),
    ("needed", "how many witnesses must have cosigned"),
];

/// `case` with the fields of the federation's quorum.
pub(super) fn with_quorum(mut case: Value) -> Value {
    let witnesses: Vec<_> = quorum().witnesses().iter().map(VerifierKey::to_string).collect();
    case["log"] = json!(quorum().log().to_string());
    case["witnesses"] = json!(witnesses);
    case["needed"] = json!(quorum().needed());
    case
}

/// The quorum of a case.
pub(super) fn quorum_of(case: &Value) -> Quorum {
    let witnesses =
        texts(case, "witnesses").iter().map(|key| key.parse().expect("a key")).collect();
    let needed = case["needed"].as_u64().expect("a number") as usize;
    Quorum::new(text(case, "log").parse().expect("a key"), witnesses, needed).expect("a quorum")
}

pub(super) fn checkpoints() -> File {
    let case = |name: &str, note: &str, witnesses: &[u8], unknown: u64| {
        let times = witnesses.iter().map(|number| {
            (witness_key(*number).name.to_string(), json!(TIME_S + u64::from(*number)))
        });
        with_quorum(json!({
            "name": name, "checkpoint": base64(note), "size": "1",
            "root": head().root.to_string(), "unknown": unknown,
            "cosigned": times.collect::<serde_json::Map<_, _>>(),
        }))
    };
    let all = cosigned(head(), &[0, 1, 2, 3]).to_string();
    let stranger = all.replace("fed/holder-3", "fed/holder-4");
    let good = case("all witnesses", &all, &[0, 1, 2, 3], 0);
    let with = |name: &str, wrong: &str, refused: &str, note: &str| {
        invalid(&good, name, wrong, refused, &[("checkpoint", base64(note))])
    };
    let lines: Vec<_> = all.lines().collect();
    let without = |line: usize| {
        let kept = lines.iter().enumerate().filter(|(place, _)| *place != line);
        kept.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    let two = cosigned(head(), &[0, 1]).to_string();
    let twice = format!("{two}{}\n", two.lines().last().expect("a line"));
    let other_root = all.replace(&head().root.to_string(), &leaf_hash(b"other").to_string());
    let forged = all.replace(lines[7], &flipped(lines[7]));
    let extended = {
        let head = head();
        let checkpoint = Checkpoint {
            extensions: vec!["more".to_owned()],
            ..Checkpoint::new(name("fed"), head)
        };
        let mut note = checkpoint.sign(&log_identity()).expect("a text");
        for number in 0..3 {
            let time_s = TIME_S + u64::from(number);
            let key = witness_key(number);
            let line = cosignature::cosign(note.text(), key.name, time_s, &identity(number));
            note.push(line.expect("a text")).expect("room");
        }
        note.to_string()
    };
    let mut fields = vec![
        NAME,
        WRONG,
        REFUSED,
        ("checkpoint", "the signed note"),
        ("size", "entries"),
        ("root", "over all entries"),
        ("cosigned", "witnesses, and when each cosigned, in seconds since 1970"),
        ("unknown", "signature lines of keys that are not known; an audit refuses them"),
    ];
    fields.extend(QUORUM);
    File {
        about: "checkpoints (c2sp.org/tlog-checkpoint) that are final: the log has signed, and a quorum of \
                its witnesses cosigned",
        fields,
        valid: vec![
            good.clone(),
            case("three witnesses", &cosigned(head(), &[0, 1, 3]).to_string(), &[0, 1, 3], 0),
            case("an unknown line", &stranger, &[0, 1, 2], 1),
            case("an extension line", &extended, &[0, 1, 2], 0),
        ],
        invalid: vec![
            with("two witnesses", "two cosignatures", "too-few", &two),
            with("one of them twice", "a cosignature is there twice", "too-few", &twice),
            with("without the log", "the log's line is missing", "unsigned", &without(4)),
            with("another root", "the root changed after signing", "unsigned", &other_root),
            with(
                "another size",
                "the size changed",
                "unsigned",
                &all.replace("fed\n1\n", "fed\n2\n"),
            ),
            with(
                "another origin",
                "the origin changed",
                "origin",
                &all.replace("fed\n1\n", "den\n1\n"),
            ),
            with("a false cosignature", "a bit of it changed", "cosignature", &forged),
            with("a size with a zero", "01", "malformed", &all.replace("fed\n1\n", "fed\n01\n")),
            with("no root", "the third line is missing", "malformed", &without(2)),
            with("no note", "the text alone", "malformed", "fed\n1\n"),
        ],
    }
}

/// A signature line with a bit of its signature changed.
fn flipped(line: &str) -> String {
    let mut line = SignatureLine::parse(line).expect("a line");
    line.signature[40] ^= 1;
    line.to_string()
}

pub(super) fn fault(not_final: &NotFinal) -> String {
    let name = match not_final {
        NotFinal::Malformed(_) => "malformed",
        NotFinal::Origin { .. } => "origin",
        NotFinal::Unsigned { .. } => "unsigned",
        NotFinal::Cosignature(_) => "cosignature",
        NotFinal::TooFew { .. } => "too-few",
    };
    name.to_owned()
}

pub(super) fn check_checkpoint(case: &Value) -> Result<(), String> {
    let cosigned = quorum_of(case).check(&bytes(case, "checkpoint"));
    let cosigned = cosigned.map_err(|not_final| fault(&not_final))?;
    let root: Hash = text(case, "root").parse().expect("a hash");
    assert_eq!(
        (cosigned.checkpoint.head.size.to_string().as_str(), cosigned.checkpoint.head.root),
        (text(case, "size"), root)
    );
    assert_eq!(json!(cosigned.witnesses), case["cosigned"]);
    assert_eq!(json!(cosigned.unknown), case["unknown"]);
    Ok(())
}
