//! The page in a browser: it verifies what it is shown, works by keyboard and without JavaScript, asks
//! nobody else, and has no serious fault of accessibility.

mod support;

use support::{browser, example, kinds, tamper};

fn pages_of(example: &covey_ledger::example::Example) -> String {
    serde_json::to_string(&kinds(&example.book)).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_server_is_green_and_every_way_to_cheat_turns_red() {
    let Some(folder) = browser::scripts() else { return };
    let example = example(1);
    let credits = tamper::credits(&example.book);
    let owner = covey_aggregation::hash::Digest(credits.settlement.accounts[0].owner.0);
    let why = format!("/entries/{}?owner={owner}", credits.entry);
    let (page, door) = browser::serve(example).await;
    browser::run(&folder, "verify.mjs", vec![page, door, why]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_in_light_dark_and_narrow_and_asks_nobody_else() {
    let Some(folder) = browser::scripts() else { return };
    let example = example(2);
    let pages = pages_of(&example);
    let (page, door) = browser::serve(example).await;
    browser::run(&folder, "pages.mjs", vec![page, door, pages]).await;
}
