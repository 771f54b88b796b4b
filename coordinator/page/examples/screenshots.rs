//! Pictures of every page, in light, dark and narrow: `cargo run --release -p covey-page --example
//! screenshots -- FOLDER`. Needs node, npm and chromium.

#[path = "../tests/support/mod.rs"]
mod support;

use support::{browser, kinds, large};

#[tokio::main]
async fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "screenshots".to_owned());
    let folder = std::path::absolute(folder).expect("a folder");
    let example = large();
    let pages = serde_json::to_string(&kinds(&example.book)).expect("JSON");
    let Some(scripts) = browser::scripts() else { std::process::exit(1) };
    let (page, _) = browser::serve(example).await;
    browser::run(&scripts, "screenshots.mjs", vec![page, folder.display().to_string(), pages])
        .await;
    println!("The pictures are in {}", folder.display());
}
