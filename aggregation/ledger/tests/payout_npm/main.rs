//! The files of payouts, read by the package that contracts' tools are made with. It is fetched with
//! npm; without node or npm the test says that it was skipped, unless `COVEY_REQUIRE_NODE` is set.

use std::fs;
use std::path::Path;
use std::process::Command;

use covey_ledger::payout::{Address, Payee, Tree, keccak256};

/// Every number of payees up to this one.
const PAYEES_MAX: u32 = 412;

/// Of which every payee's proof is made: a few around powers of two, and the largest.
const PROVEN: [u32; 9] = [1, 2, 3, 4, 7, 8, 9, 100, PAYEES_MAX];

fn payee(index: u32) -> Payee {
    let hash = keccak256(&index.to_le_bytes()).0;
    let mut address = [0; 20];
    address.copy_from_slice(&hash[12..]);
    // Amounts of all lengths, up to the largest that there is.
    let amount = u128::MAX >> (index % 128);
    Payee { address: Address(address), amount }
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    let (text, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{text}\n{errors}");
    text.into_owned()
}

#[test]
fn the_package_loads_and_validates_every_payout_file() {
    if !has("node") || !has("npm") {
        assert!(std::env::var_os("COVEY_REQUIRE_NODE").is_none(), "node and npm are required");
        println!("SKIPPED: node or npm is missing, no payout file was read by the package");
        return;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/payout_npm");
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["package.json", "package-lock.json", "check.mjs"] {
        fs::copy(source.join(name), folder.path().join(name)).expect("a copy");
    }
    let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    run(Command::new("npm").args(npm).current_dir(folder.path()));
    let mut expected = String::new();
    for count in 1..=PAYEES_MAX {
        let tree = Tree::new((0..count).map(payee).collect()).expect("a tree");
        let name = format!("payout-{count}.json");
        fs::write(folder.path().join(&name), tree.to_file()).expect("a file");
        let proven = if PROVEN.contains(&count) { " proven" } else { "" };
        expected += &format!("{count} 0x{}{proven}\n", tree.root());
    }
    let mut check = Command::new("node");
    check.arg("check.mjs").arg(".").arg(PAYEES_MAX.to_string());
    check.args(PROVEN.map(|count| count.to_string())).current_dir(folder.path());
    assert_eq!(run(&mut check), expected);
}
