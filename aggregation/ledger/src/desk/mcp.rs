//! The Model Context Protocol over stdio: a program that holds a conversation, such as an assistant, uses the
//! same commands as people do, with their JSON answers ([specification](https://modelcontextprotocol.io/specification/2025-06-18),
//! JSON-RPC 2.0, one message a line).
//!
//! Each tool is one command, carried out by this very program in a process of its own, so that no command
//! can do here what it cannot do at a command line. Which keys, ledger and roster are used is said when the
//! server is started, never by a call. What writes, signs or sends is offered only where that was allowed then.

mod tool;
mod tools;

use std::io::{BufRead, Read as _, Write};
use std::process::{Command, Stdio};

use covey_aggregation::program::{Exit, Failure};
use serde_json::{Value, json};

pub use self::tool::{Effect, Kind, Needs, Parameter, Tool, given, may, reads, signs, writes};
pub use self::tools::TOOLS;

/// Versions of the protocol that are spoken, the newest first: for tools alone they are the same.
const VERSIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// Bytes of a message at most.
const LINE_BYTES_MAX: u64 = 1 << 20;

const PARSE_ERROR: i64 = -32_700;
const INVALID_REQUEST: i64 = -32_600;
const METHOD_NOT_FOUND: i64 = -32_601;
const INVALID_PARAMS: i64 = -32_602;

/// What a command printed, and whether it ended well.
pub type Outcome = Result<(Value, bool), Failure>;

/// Carries a command line out.
pub type Runner<'a> = &'a dyn Fn(&[String]) -> Outcome;

/// A server.
pub struct Server<'a> {
    /// The program's name.
    pub name: &'a str,
    /// What it can do.
    pub tools: Vec<&'a Tool>,
    /// Whether it may write files, sign and send.
    pub may_write: bool,
    /// Where keys, ledger and roster are.
    pub places: Places,
    /// How commands are carried out.
    pub run: Runner<'a>,
}

/// Where things are, said once for all calls.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The member's configuration.
    pub config: Option<String>,
    /// The ledger's folder.
    pub ledger: Option<String>,
    /// The reader's roster.
    pub roster: Option<String>,
}

impl Server<'_> {
    /// Answers messages until there are no more.
    ///
    /// # Errors
    /// [`Failure`]: stdin or stdout are broken.
    pub fn serve(&self, mut input: impl BufRead, mut output: impl Write) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::new(Exit::Failed, "STDIO", error);
        loop {
            let mut line = Vec::new();
            let mut limited = input.by_ref().take(LINE_BYTES_MAX);
            let got = limited.read_until(b'\n', &mut line).map_err(failed)?;
            if got == 0 {
                return Ok(());
            }
            if got as u64 == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
                let message = format!("a message of more than {LINE_BYTES_MAX} bytes");
                return Err(Failure::new(Exit::BadInput, "TOO_LONG", message));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            if let Some(answer) = self.handle(&line) {
                writeln!(output, "{answer}").map_err(failed)?;
                output.flush().map_err(failed)?;
            }
        }
    }

    /// The answer to a message; none to a notification.
    #[must_use]
    pub fn handle(&self, message: &[u8]) -> Option<Value> {
        let Ok(message) = serde_json::from_slice::<Value>(message) else {
            return Some(error(&Value::Null, PARSE_ERROR, "this is no JSON"));
        };
        let id = message.get("id").cloned();
        let method = message.get("method").and_then(Value::as_str);
        let is_request = message.get("jsonrpc").and_then(Value::as_str) == Some("2.0");
        let (Some(method), true) = (method, is_request) else {
            let id = id.unwrap_or_default();
            return Some(error(&id, INVALID_REQUEST, "this is no request of JSON-RPC 2.0"));
        };
        // A notification has no identifier, and is never answered.
        let id = id.filter(|id| id.is_string() || id.is_number())?;
        let none = json!({});
        let params = message.get("params").unwrap_or(&none);
        let answer = match method {
            "initialize" => Ok(self.initialize(params)),
            "ping" => Ok(json!({})),
            "tools/list" => Ok(self.list()),
            "tools/call" => self.call(params),
            _ => Err((METHOD_NOT_FOUND, format!("no method {method:?}"))),
        };
        Some(match answer {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err((code, message)) => error(&id, code, &message),
        })
    }

    fn initialize(&self, params: &Value) -> Value {
        let asked = params.get("protocolVersion").and_then(Value::as_str);
        let version = asked.filter(|asked| VERSIONS.contains(asked)).unwrap_or(VERSIONS[0]);
        let how = if self.may_write {
            "Tools that sign publish what they say for good, under the member's name: ask a person first, \
             and look at it with dry_run."
        } else {
            "Nothing here writes, signs or sends anything."
        };
        json!({
            "protocolVersion": version,
            "capabilities": { "tools": {} },
            "serverInfo": { "name": self.name, "version": env!("CARGO_PKG_VERSION") },
            "instructions": format!(
                "The ledger of a federation that learns together: credits, disputes, payouts, each \
                 checked here. {how}"
            ),
        })
    }

    fn offered(&self) -> impl Iterator<Item = &Tool> {
        self.tools.iter().copied().filter(|tool| self.may_write || tool.effect == Effect::Reads)
    }

    fn list(&self) -> Value {
        json!({ "tools": self.offered().map(Tool::describe).collect::<Vec<_>>() })
    }

    fn call(&self, params: &Value) -> Result<Value, (i64, String)> {
        let name = params.get("name").and_then(Value::as_str).unwrap_or_default();
        let tool = self.offered().find(|tool| tool.name == name);
        let tool = tool.ok_or_else(|| (INVALID_PARAMS, format!("no tool {name:?}")))?;
        let none = json!({});
        let given = params.get("arguments").filter(|given| !given.is_null()).unwrap_or(&none);
        let line = tool.command_line(given, &self.places);
        let line = line.map_err(|what| (INVALID_PARAMS, what))?;
        let (data, is_well) = match (self.run)(&line) {
            Ok(outcome) => outcome,
            Err(failure) => (json!({ "error": failure.to_string() }), false),
        };
        Ok(json!({
            "content": [{ "type": "text", "text": data.to_string() }],
            "structuredContent": data,
            "isError": !is_well,
        }))
    }
}

fn error(id: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

/// Carries a command out by this very program, in a process of its own that has no terminal.
///
/// # Errors
/// [`Failure`]: it cannot be started, or printed no JSON.
pub fn run_self(line: &[String]) -> Outcome {
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, "PROCESS", error);
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.arg("--json").args(line).stdin(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().map_err(failed)?;
    let is_well = output.status.success();
    serde_json::from_slice(&output.stdout).map(|data| (data, is_well)).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        Failure::new(Exit::Failed, "NO_ANSWER", format!("{}: {}", output.status, said.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(line: &[String]) -> Outcome {
        Ok((json!({ "line": line }), !line.iter().any(|word| word == "9")))
    }

    fn server(may_write: bool) -> Server<'static> {
        let places = Places {
            config: Some("c.toml".to_owned()),
            ledger: Some("published".to_owned()),
            roster: Some("r.json".to_owned()),
        };
        Server { name: "test", tools: TOOLS.iter().collect(), may_write, places, run: &echo }
    }

    fn ask(server: &Server<'_>, method: &str, params: Value) -> Value {
        let message =
            json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
        let answer = server.handle(message.as_bytes()).expect("an answer");
        assert_eq!(answer["id"], 7);
        answer
    }

    fn line_of(answer: &Value) -> Vec<String> {
        let line = answer["result"]["structuredContent"]["line"].as_array().expect("a line");
        line.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
    }

    #[test]
    fn a_conversation_begins_as_the_specification_says() {
        let server = server(false);
        let answer = ask(&server, "initialize", json!({ "protocolVersion": "2025-06-18" }));
        assert_eq!(answer["result"]["protocolVersion"], "2025-06-18");
        let answer = ask(&server, "initialize", json!({ "protocolVersion": "1999-01-01" }));
        assert_eq!(answer["result"]["protocolVersion"], VERSIONS[0]);
        assert!(answer["result"]["capabilities"]["tools"].is_object());
        assert_eq!(ask(&server, "ping", json!({}))["result"], json!({}));
        let notification = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(server.handle(notification), None);
    }

    #[test]
    fn what_is_no_request_is_told_so() {
        let server = server(false);
        let code =
            |message: &[u8]| server.handle(message).expect("an answer")["error"]["code"].clone();
        assert_eq!(code(b"{"), PARSE_ERROR);
        assert_eq!(code(b"[]"), INVALID_REQUEST);
        assert_eq!(code(br#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#), INVALID_REQUEST);
        assert_eq!(ask(&server, "resources/list", json!({}))["error"]["code"], METHOD_NOT_FOUND);
        let params = json!({ "name": "no_such_tool" });
        assert_eq!(ask(&server, "tools/call", params)["error"]["code"], INVALID_PARAMS);
    }

    #[test]
    fn what_signs_is_neither_offered_nor_carried_out_unless_that_was_allowed() {
        let names = |server: &Server<'_>| {
            let answer = ask(server, "tools/list", json!({}));
            let tools = answer["result"]["tools"].as_array().expect("tools").clone();
            tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
        };
        let (reads, writes): (Vec<String>, Vec<String>) =
            (names(&server(false)), names(&server(true)));
        assert!(reads.contains(&"ledger_verify".to_owned()));
        assert!(!reads.contains(&"dispute_open".to_owned()));
        assert!(writes.contains(&"dispute_open".to_owned()));
        let vote = json!({ "name": "review_vote", "arguments": { "id": "4f1c", "choice": "yes" } });
        let refused = ask(&server(false), "tools/call", vote.clone());
        assert_eq!(refused["error"]["code"], INVALID_PARAMS);
        let line = line_of(&ask(&server(true), "tools/call", vote));
        assert!(line.contains(&"--yes".to_owned()), "{line:?}");
        // A file is written without a word of yes, since nobody would be asked.
        let build = json!({ "name": "payout_build", "arguments": { "out": "payout.json" } });
        assert_eq!(
            ask(&server(false), "tools/call", build.clone())["error"]["code"],
            INVALID_PARAMS
        );
        let line = line_of(&ask(&server(true), "tools/call", build));
        assert!(!line.contains(&"--yes".to_owned()), "{line:?}");
    }

    #[test]
    fn arguments_are_never_taken_for_options() {
        let call = |arguments: Value| {
            let params = json!({ "name": "dispute_show", "arguments": arguments });
            ask(&server(false), "tools/call", params)
        };
        let line = line_of(&call(json!({ "dispute": "--config=/etc/other" })));
        assert_eq!(
            line,
            [
                "dispute",
                "show",
                "--config=c.toml",
                "--ledger=published",
                "--roster=r.json",
                "--",
                "--config=/etc/other"
            ]
        );
        assert_eq!(call(json!({}))["error"]["code"], INVALID_PARAMS, "it needs one");
        assert_eq!(call(json!({ "dispute": 4 }))["error"]["code"], INVALID_PARAMS);
        let other = json!({ "dispute": "4f1c", "config": "x" });
        assert_eq!(call(other)["error"]["code"], INVALID_PARAMS, "unknown arguments are refused");
    }

    #[test]
    fn a_command_that_ends_badly_is_an_error_of_the_tool() {
        let params = json!({ "name": "ledger_entry", "arguments": { "number": 9 } });
        let answer = ask(&server(false), "tools/call", params);
        assert_eq!(answer["result"]["isError"], true);
        let params = json!({ "name": "ledger_entry", "arguments": { "number": 8 } });
        assert_eq!(ask(&server(false), "tools/call", params)["result"]["isError"], false);
    }

    #[test]
    fn a_stream_of_messages_is_answered_line_by_line() {
        let input = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n\n\
                      {\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n\
                      {\"jsonrpc\":\"2.0\",\"id\":\"b\",\"method\":\"ping\"}";
        let mut output = Vec::new();
        server(false).serve(&input[..], &mut output).expect("served");
        let text = String::from_utf8(output).expect("text");
        assert_eq!(text.lines().count(), 2, "{text}");
        let long = vec![b'x'; usize::try_from(LINE_BYTES_MAX).expect("a size") + 1];
        let failure = server(false).serve(&long[..], Vec::new()).expect_err("too long");
        assert_eq!(failure.code, "TOO_LONG");
    }
}
