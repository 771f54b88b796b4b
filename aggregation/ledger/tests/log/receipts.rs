//! Receipts, kept and checked offline.

use covey_ledger::note::VerifierKey;
use covey_ledger::proof::{BadProof, inclusion};
use covey_ledger::quorum::{NotFinal, Quorum};
use covey_ledger::receipt::{BadReceipt, InclusionProof, Receipt};
use covey_ledger::tile::Tiles;

use crate::support::{Store, entry, published, quorum, witness_key};

const SIZE: u64 = 600;

fn log() -> Store {
    published(&(0..SIZE).map(entry).collect::<Vec<_>>(), 250)
}

fn receipt(store: &Store, index: u64) -> Receipt {
    let tiles = Tiles::new(SIZE, |path: &str| store.read(path));
    let hashes = inclusion(&tiles, index, SIZE).expect("in the log");
    let proof = InclusionProof { index, hashes, checkpoint: store.files["checkpoint"].clone() };
    Receipt { entry: entry(index), proof }
}

#[test]
fn every_receipt_is_kept_as_text_and_checked_offline() {
    let store = log();
    for index in 0..SIZE {
        let receipt = receipt(&store, index);
        let text = receipt.to_string();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra "));
        assert_eq!(text.parse(), Ok(receipt.clone()));
        let included = receipt.check(&quorum()).expect("in the log");
        assert_eq!((included.index, included.cosigned.witnesses.len()), (index, 4));
        // The proof without the entry is a file of the specification, too.
        let proof = receipt.proof.to_string();
        assert_eq!(proof.parse(), Ok(receipt.proof.clone()));
        assert_eq!(proof.parse::<Receipt>(), Err(BadReceipt::NoEntry));
        assert!(receipt.proof.check(&entry(index), &quorum()).is_ok());
    }
}

#[test]
fn a_receipt_for_something_else_is_refused() {
    let store = log();
    let good = receipt(&store, 300);
    let refused = |receipt: &Receipt| receipt.check(&quorum()).expect_err("not in the log");
    let root = BadReceipt::Proof(BadProof::Root);
    assert_eq!(refused(&Receipt { entry: entry(301), ..good.clone() }), root);
    let at = |index| {
        let proof = InclusionProof { index, ..good.proof.clone() };
        Receipt { proof, ..good.clone() }
    };
    assert_eq!(refused(&at(301)), root);
    let out = BadProof::OutOfRange { index: SIZE, size: SIZE };
    assert_eq!(refused(&at(SIZE)), BadReceipt::Proof(out));
    let mut longer = good.clone();
    longer.proof.hashes.push(longer.proof.hashes[0]);
    assert!(matches!(refused(&longer), BadReceipt::Proof(BadProof::Length { .. })));
}

#[test]
fn a_receipt_without_a_quorum_or_of_another_federation_is_refused() {
    let store = log();
    let mut receipt = receipt(&store, 300);
    let text = String::from_utf8(receipt.proof.checkpoint.clone()).expect("text");
    let lines: Vec<_> = text.lines().collect();
    receipt.proof.checkpoint = format!("{}\n", lines[..lines.len() - 2].join("\n")).into_bytes();
    let few = BadReceipt::Checkpoint(NotFinal::TooFew { got: 2, needed: 3 });
    assert_eq!(receipt.check(&quorum()), Err(few));

    receipt.proof.checkpoint = text.into_bytes();
    let log = VerifierKey { key: witness_key(9).key, ..quorum().log().clone() };
    let other = Quorum::new(log, quorum().witnesses().to_vec(), 3).expect("a quorum");
    let refused = receipt.check(&other).expect_err("another log");
    assert!(matches!(refused, BadReceipt::Checkpoint(NotFinal::Unsigned { .. })), "{refused}");
}

#[test]
fn texts_that_are_no_receipts_are_refused_with_the_line() {
    let store = log();
    let text = receipt(&store, 300).to_string();
    let bad = |text: &str| text.parse::<Receipt>().expect_err("no receipt");
    let form = |line| BadReceipt::Form { line };
    assert_eq!(bad(""), form(1));
    assert_eq!(bad(&text.replace("@v1", "@v2")), form(1));
    assert_eq!(bad(&text.replace("extra ", "extra !")), form(2));
    assert_eq!(bad(&text.replace("index 300", "index 0300")), form(3));
    assert_eq!(bad(&text.replace("index 300", "300")), form(3));
    assert_eq!(bad(&text.replace("index 300\n", "index 300\nA\n")), form(4));
    assert_eq!(bad(&text.replace("\n\n", "\n")), form(1));
    assert!(matches!(bad(&"x".repeat(1 << 20)), BadReceipt::Long { .. }));
}

#[test]
fn no_changed_byte_of_a_receipt_makes_it_one_for_something_else() {
    let store = log();
    let good = receipt(&store, 300);
    let text = good.to_string();
    for place in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[place] ^= 1;
        let Some(changed) = String::from_utf8(bytes).ok().and_then(|text| text.parse().ok()) else {
            continue;
        };
        let changed: Receipt = changed;
        // What still passes is the name of one witness, whose line is then of an unknown key.
        if let Ok(included) = changed.check(&quorum()) {
            assert_eq!((changed.entry, included.index), (good.entry.clone(), 300));
            assert_eq!((included.cosigned.witnesses.len(), included.cosigned.unknown), (3, 1));
        }
    }
}
