//! The README's references: every test and file that it names exists.

use std::fs;
use std::path::Path;

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("UTF-8"));
        }
    }
}

/// A name of three words and more in backticks is a test; one that ends in `...` is its beginning.
/// A name that ends in `.rs` or `.json` is a file under `src`, `tests`, `tests/vectors` or `ledger/src`.
#[test]
fn every_test_and_file_that_the_readme_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    sources(&root.join("src"), &mut text);
    sources(&root.join("tests"), &mut text);
    // What a researcher may do is for the coordinator and the programs to show.
    sources(&root.join("../coordinator/tests"), &mut text);
    sources(&root.join("../client/tests"), &mut text);
    sources(&root.join("../examples/tests"), &mut text);
    let readme = include_str!("../README.md");
    let (mut names, mut files) = (0, 0);
    for word in readme.split('`').skip(1).step_by(2) {
        let name = word.trim_end_matches("...");
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.chars().all(is_name) && name.matches('_').count() >= 3 {
            let cited = if name == word { format!("fn {name}(") } else { format!("fn {name}") };
            assert!(text.contains(&cited), "the README cites {word}, which does not exist");
            names += 1;
        } else if [".rs", ".json"].iter().any(|ending| word.ends_with(ending)) {
            let found = ["", "src", "tests", "tests/vectors", "ledger/src"].iter();
            assert!(found.clone().any(|at| root.join(at).join(word).exists()), "no file {word}");
            files += 1;
        }
    }
    assert!(names >= 15 && files >= 15, "{names} tests and {files} files cited");
}
