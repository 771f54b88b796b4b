//! The program as an assistant uses it: messages of the Model Context Protocol at stdin and stdout.

mod common;

use std::io::Write as _;
use std::process::{Command, Stdio};

use common::Folder;
use serde_json::{Value, json};

/// Sends these messages, each on a line; the answers.
fn talk(arguments: &[&str], messages: &[Value]) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_covey-client"));
    let command = command.arg("mcp").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut program = command.spawn().expect("started");
    let mut input = program.stdin.take().expect("a pipe");
    for message in messages {
        writeln!(input, "{message}").expect("sent");
    }
    drop(input);
    let output = program.wait_with_output().expect("ended");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("one message a line")).collect()
}

fn request(id: u32, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn names(answer: &Value) -> Vec<&str> {
    let tools = answer["result"]["tools"].as_array().expect("a list");
    tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect()
}

#[test]
fn an_assistant_is_answered_by_the_programs_own_commands() {
    let folder = Folder::new();
    folder.text(&["policy", "init", "policy.toml"], 0);
    let config = folder.path("client.toml");
    let call = |name: &str| json!({ "name": name, "arguments": {} });
    let answers = talk(
        &["--config", &config, "--ledger", &folder.path("none")],
        &[
            request(1, "initialize", &json!({ "protocolVersion": "2025-06-18" })),
            json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
            request(2, "tools/list", &json!({})),
            request(3, "tools/call", &call("policy_show")),
            request(4, "tools/call", &call("ledger_verify")),
            request(5, "tools/call", &call("address_set")),
        ],
    );
    assert_eq!(answers.len(), 5, "a notification has no answer: {answers:?}");
    assert_eq!(answers[0]["result"]["serverInfo"]["name"], "covey-client");
    let offered = names(&answers[1]);
    for name in [
        "ledger_verify",
        "ledger_receipt",
        "review_show",
        "payout_preview",
        "policy_test",
        "runs_list",
        "receipts",
        "audit",
        "credits_explain",
        "run_compare",
    ] {
        assert!(offered.contains(&name), "{name} in {offered:?}");
    }
    for name in ["address_set", "payout_build", "run_submit", "credits_prove", "pause"] {
        assert!(!offered.contains(&name), "{name} signs, writes or asks for something");
    }
    let shown = &answers[2]["result"];
    assert_eq!(shown["isError"], false, "{shown}");
    assert!(shown["structuredContent"]["data"]["limits"].is_object(), "{shown}");
    assert_eq!(answers[3]["result"]["isError"], true, "there is no roster, and no ledger");
    assert_eq!(answers[4]["error"]["code"], -32_602, "not allowed");
}

#[test]
fn what_signs_is_offered_where_it_was_allowed() {
    let answers = talk(&["--allow-write"], &[request(1, "tools/list", &json!({}))]);
    let offered = names(&answers[0]);
    for name in [
        "dispute_open",
        "dispute_withdraw",
        "review_vote",
        "review_propose_budget",
        "address_set",
        "payout_build",
        "run_submit",
    ] {
        assert!(offered.contains(&name), "{name} in {offered:?}");
    }
    // What an owner allows is loosened by no tool.
    for name in ["runs_approve", "resume", "policy_init", "data_add"] {
        assert!(!offered.contains(&name), "{name} in {offered:?}");
    }
}

#[test]
fn a_plan_is_checked_and_its_answer_is_the_commands_own() {
    let folder = Folder::new();
    let plan = folder.path("digits.toml");
    folder.text(&["plan", "new", "digits", "--template", "image", "--output", &plan], 0);
    let call = |name: &str, plan: &str| json!({ "name": name, "arguments": { "plan": plan } });
    let answers = talk(
        &[],
        &[
            request(1, "tools/call", &call("plan_check", &plan)),
            request(2, "tools/call", &call("plan_check", "--help")),
            request(
                3,
                "tools/call",
                &json!({ "name": "credits_list", "arguments": { "folder": "x" } }),
            ),
        ],
    );
    let (checked, none, no_roster) = (&answers[0]["result"], &answers[1]["result"], &answers[2]);
    assert_eq!(
        (&checked["isError"], &checked["structuredContent"]["status"]),
        (&false.into(), &"ok".into())
    );
    assert_eq!(none["isError"], true, "no file of that name, and no help: {none}");
    assert_eq!(no_roster["error"]["code"], -32_602, "it was started without a roster: {no_roster}");
}
