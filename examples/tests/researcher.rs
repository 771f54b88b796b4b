//! A researcher's commands against a live coordinator: real processes of all programs over QUIC,
//! owners that really train, and everything typed as people type it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const OWNERS: usize = 3;

/// Longest wait; far beyond what a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(120);

const PLAN: &str = r#"schema = "plan/1"
name = "halves"
purpose = "Learn which half of the plane a point lies in"
seed = 7
[data]
kind = "tabular"
holdout = 0.25
target = { column = "side", classes = ["left", "right"] }
columns = [
  { name = "x", type = "float", min = -1, max = 1 },
  { name = "y", type = "float", min = -1, max = 1 },
]
[model]
layers = [{ kind = "linear", out = 8 }, { kind = "tanh" }, { kind = "linear", out = 2 }]
[training]
rounds = 3
batch_size = 8
optimizer = { name = "sgd", lr = 0.1 }
weighting = "uniform"
[evaluation]
metrics = ["accuracy", "loss"]
[cohort]
minimum = 3
maximum = 10
deadlines = { select = "60s", collect = "60s", vote = "60s", release = "60s" }
[secure_aggregation]
profile = "A"
bits = 12
range = 0.5
clip_norm = 5.0
audit = "off"
"#;

fn program(role: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(["role", role]).args(arguments);
    command.env("RAYON_NUM_THREADS", "1").env_remove("COVEY_RESEARCHER").stdin(Stdio::null());
    command
}

/// A process that is killed when this is dropped.
struct Process(Child);

impl Process {
    fn start(role: &str, arguments: &[&str]) -> Self {
        let mut command = program(role, arguments);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// A federation in a folder, with a researcher "alice".
struct Federation {
    folder: tempfile::TempDir,
}

impl Federation {
    fn new() -> Self {
        let this = Self { folder: tempfile::tempdir().expect("a folder") };
        let address = covey_examples::free_address().expect("a free port").to_string();
        let done = |role: &str, arguments: &[&str]| {
            let output = program(role, arguments).output().expect("it runs");
            assert!(output.status.success(), "{}", text(&output.stderr));
        };
        let operator = this.path("operator");
        done("coordinator", &["init", "--dir", &operator, "--federation", "test"]);
        let mut enrol = vec!["enrol".to_owned(), "--dir".to_owned(), operator.clone()];
        let holders = (0..4).map(|one| ("holder", format!("holder-{one}"), None));
        let owners = (0..OWNERS).map(|one| ("client", format!("owner-{one}"), None));
        let alice = ("client", "alice".to_owned(), Some("researcher"));
        let members: Vec<_> = holders.chain(owners).chain([alice]).collect();
        for (program, name, role) in &members {
            let dir = this.path(name);
            let mut init = vec!["init", "--name", name, "--dir", &dir, "--coordinator", &address];
            init.extend(role.iter().flat_map(|role| ["--role", role]));
            done(program, &init);
            enrol.push(this.path(&format!("{name}/request.json")));
        }
        done("coordinator", &enrol.iter().map(String::as_str).collect::<Vec<_>>());
        for (_, name, _) in &members {
            for file in ["member.pem", "authority.pem"] {
                let issued = this.path(&format!("operator/issued/{name}/{file}"));
                fs::copy(issued, this.path(&format!("{name}/{file}"))).expect("handed out");
            }
            let roster = this.path(&format!("{name}/roster.json"));
            fs::copy(this.path("operator/roster.json"), roster).expect("handed out");
        }
        this.settle(&address);
        this
    }

    /// Writes the operator's settings, which name no plan, and every owner's.
    fn settle(&self, address: &str) {
        let settings = format!(
            "listen = \"{address}\"\n[start]\nwait_s = 100\nsettle_s = 60\nowners = {OWNERS}\n\
             [rounds]\nresend_ms = 300\n"
        );
        self.write("operator/coordinator.toml", &settings);
        for owner in 0..OWNERS as u32 {
            let row = |i: u32| {
                let x = f64::from((i * 7 + owner * 3) % 190) / 95.0 - 1.0;
                let y = f64::from(i * 31 % 130) / 65.0 - 1.0;
                let side = if x + 0.3 * y > 0.0 { "right" } else { "left" };
                format!("{x:.4},{y:.4},{side}\n")
            };
            let rows: String = (0..80).map(row).collect();
            self.write(&format!("owner-{owner}/data.csv"), &format!("x,y,side\n{rows}"));
            let config = format!(
                "schema = \"client/1\"\ncoordinator = {address:?}\ndevice = \"cpu\"\n\
                 data = {{ format = \"csv\", path = \"data.csv\" }}\n"
            );
            let policy = "schema = \"policy/1\"\nallow = { purposes = [\"*\"] }\n\
                          limits = { max_rounds = 2000 }\n";
            self.write(&format!("owner-{owner}/policy.toml"), policy);
            self.write(&format!("owner-{owner}/client.toml"), &config);
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).expect("written");
        self.path(name)
    }

    fn coordinator(&self) -> Process {
        let config = self.path("operator/coordinator.toml");
        Process::start("coordinator", &["serve", "--config", &config])
    }

    fn members(&self) -> Vec<Process> {
        let holders = (0..4).map(|one| {
            let config = self.path(&format!("holder-{one}/holder.toml"));
            Process::start("holder", &["serve", "--config", &config])
        });
        let owners = (0..OWNERS).map(|one| {
            let config = self.path(&format!("owner-{one}/client.toml"));
            Process::start("client", &["start", "--config", &config])
        });
        holders.chain(owners).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let config = self.path("alice/researcher.toml");
        let mut command = program("client", &["run"]);
        command.args(arguments).args(["--config", &config]);
        command
    }

    /// Runs one of alice's commands for people.
    fn say(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("it runs");
        self.check(code, &output)
    }

    fn check(&self, code: i32, output: &Output) -> String {
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{stdout}\n{stderr}");
        stdout + &stderr
    }

    /// Runs one of alice's commands for programs; its lines.
    fn lines(&self, code: i32, arguments: &[&str]) -> Vec<Value> {
        let output = self.command(arguments).arg("--json").output().expect("it runs");
        let lines = text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{lines}\n{}", text(&output.stderr));
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Likewise, exactly one.
    fn ask(&self, code: i32, arguments: &[&str]) -> Value {
        let mut lines = self.lines(code, arguments);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["status"], if code == 0 { "ok" } else { "error" });
        lines.remove(0)
    }

    /// Waits until there is a coordinator.
    fn connect(&self) {
        let began = Instant::now();
        while !self.command(&["list"]).output().expect("it runs").status.success() {
            assert!(began.elapsed() < PATIENCE, "no coordinator");
        }
    }

    /// Waits until a run is in this state.
    fn until(&self, run: &str, state: &str) -> Value {
        let began = Instant::now();
        loop {
            let shown = self.ask(0, &["show", run]);
            if shown["data"]["run"]["state"] == state {
                return shown;
            }
            assert!(began.elapsed() < PATIENCE, "{shown}");
        }
    }
}

fn with(from: &str, to: &str) -> String {
    assert_eq!(PLAN.matches(from).count(), 1, "{from}");
    PLAN.replace(from, to)
}

#[test]
fn a_researcher_submits_watches_waits_compares_and_exports() {
    let federation = Federation::new();
    let _coordinator = federation.coordinator();
    federation.connect();
    let plan = federation.write("plan.toml", PLAN);

    // Recorded before anybody is there; the same again is the same run.
    let first = federation.ask(0, &["submit", &plan]);
    let again = federation.ask(0, &["submit", &plan]);
    assert_eq!((&first["data"]["new"], &again["data"]["new"]), (&true.into(), &false.into()));
    assert_eq!(first["data"]["run"]["run"], again["data"]["run"]["run"]);
    assert!(federation.say(0, &["submit", &plan]).contains("this is the same run"));
    let other = federation.write("other.toml", &with("lr = 0.1", "lr = 0.02"));
    assert_eq!(federation.ask(2, &["submit", &other])["error"]["code"], "NAME_TAKEN");

    // Refused as `plan check` would, with what only the federation knows; and recorded.
    let bad = with("minimum = 3", "minimum = 2").replace("name = \"halves\"", "name = \"bad\"");
    let bad = federation.write("bad.toml", &bad);
    let refused = federation.ask(2, &["submit", &bad]);
    assert_eq!(refused["error"]["code"], "PLAN_REFUSED");
    assert_eq!(refused["error"]["details"]["run"]["faults"][0]["code"], "P020");
    let shown = federation.say(2, &["submit", &bad]);
    assert!(shown.contains("bad.toml:23:11: error[P020]"), "{shown}");
    assert!(federation.say(0, &["show", "bad"]).contains("error[P020] line 23"));
    let listed = federation.ask(0, &["list"]);
    assert_eq!(listed["data"]["runs"].as_array().map(Vec::len), Some(1));
    let listed = federation.say(0, &["list", "--all"]);
    assert!(listed.contains("halves") && listed.contains("refused"), "{listed}");
    // It waits for members, and says so; who waits for it may have enough.
    let shown = federation.until("halves", "running");
    assert_eq!(shown["data"]["run"]["now"]["phase"], "gathering", "{shown}");
    let impatient = federation.ask(3, &["wait", "halves", "--timeout", "200ms"]);
    assert_eq!(impatient["error"]["code"], "TIMED_OUT");

    let _members = federation.members();
    let done = federation.ask(0, &["wait", "halves", "--timeout", "120s"]);
    assert_eq!((&done["data"]["state"], &done["data"]["rounds_done"]), (&"done".into(), &3.into()));
    let lines = federation.lines(0, &["submit", &other, "--name", "slow", "--watch"]);
    let (last, before) = lines.split_last().expect("lines");
    assert_eq!((&last["terminal"], &last["data"]["state"]), (&true.into(), &"done".into()));
    assert_eq!(before[0]["event"], "submitted");
    let rounds = before.iter().filter(|line| line["event"] == "round").map(|line| &line["data"]);
    let rounds: Vec<_> = rounds.map(|round| round["round"].as_u64().expect("a number")).collect();
    assert_eq!(rounds, [1, 2, 3]);
    assert!(before.iter().all(|line| line.get("terminal").is_none()));

    compare(&federation);
    export(&federation, &plan);

    assert_eq!(federation.ask(2, &["show", "nothing"])["error"]["code"], "RUN_NOT_FOUND");
    let lines = federation.lines(2, &["watch", "nothing"]);
    assert_eq!((lines.len(), &lines[0]["terminal"]), (1, &true.into()));
    // Nobody but a researcher gets in.
    let settings = fs::read_to_string(federation.path("alice/researcher.toml")).expect("read");
    let settings = settings.replace("folder = \".\"", "folder = \"../owner-0\"");
    let posing = federation.write("alice/owner.toml", &settings);
    let arguments = ["run", "list", "--json", "--config", &posing];
    let output = program("client", &arguments).output().expect("it runs");
    let said = federation.check(4, &output);
    assert!(said.contains("NOT_A_RESEARCHER"), "{said}");
}

fn compare(federation: &Federation) {
    let compared = federation.ask(0, &["compare", "halves", "slow"]);
    let data = &compared["data"];
    let changes = data["plan"]["changes"].as_array().expect("a list");
    assert!(changes.iter().any(|one| one["field"] == "training.optimizer.lr"), "{data}");
    let metrics = data["metrics"].as_array().expect("a list");
    let named = |name: &str| metrics.iter().find(|one| one["metric"] == name).expect("measured");
    for metric in ["accuracy", "loss"] {
        let rounds = named(metric)["rounds"].as_array().expect("a list");
        assert_eq!(rounds.len(), 3);
        // Both began with the same model, and differ from then on.
        assert_eq!(rounds[0]["before"], rounds[0]["after"]);
    }
    let loss = &named("loss")["rounds"][2];
    assert_ne!(loss["before"], loss["after"]);
    let said = federation.say(0, &["compare", "halves", "slow"]);
    assert!(said.contains("training.optimizer.lr: 0.1 -> 0.02"), "{said}");
    assert!(said.contains("difference") && said.contains('█'), "{said}");
}

fn export(federation: &Federation, plan: &str) {
    let shown = federation.ask(0, &["show", "halves"]);
    let models: Vec<_> = shown["data"]["rounds"].as_array().expect("a list").clone();
    let out = federation.path("model");
    let export = ["export", "halves", "--format", "safetensors", "--out"];
    let exported = federation.ask(0, &[&export[..], &[&out]].concat());
    let data = &exported["data"];
    assert_eq!((&data["model"], &data["round"]), (&models[2]["model"], &3.into()));
    assert_eq!(data["run"], shown["data"]["run"]["run"]);
    let checked = data["checked"].to_string();
    assert!(checked.contains("every ciphertext of these rounds, against the roster"), "{checked}");
    assert!(Path::new(&out).join("model.safetensors").exists());
    let early = federation.path("early");
    let exported = federation
        .ask(0, &[&export[..], &[&early, "--round", "1", "--sums-only", "--plan", plan]].concat());
    assert_eq!(exported["data"]["model"], models[0]["model"]);
    let checked = exported["data"]["checked"].to_string();
    assert!(checked.contains("round 2 began with the exported model"), "{checked}");
    assert!(checked.contains("not checked: signatures and ciphertexts"), "{checked}");
    let other = federation.path("other.toml");
    let elsewhere = federation.path("elsewhere");
    let refused = federation.ask(2, &[&export[..], &[&elsewhere, "--plan", &other]].concat());
    assert_eq!(refused["error"]["code"], "OTHER_PLAN");

    // The coordinator is not trusted for it: one changed number in what it sends is found.
    let run = shown["data"]["run"]["run"].as_str().expect("a digest").to_owned();
    let round = federation.path(&format!("operator/state/runs/{run}/published/round-0002"));
    let contributions = PathBuf::from(round).join("contributions");
    let first = fs::read_dir(contributions).expect("listed").next().expect("one").expect("one");
    let chunks = first.path().join("chunks");
    let mut bytes = fs::read(&chunks).expect("read");
    bytes[100] ^= 1;
    fs::write(&chunks, bytes).expect("written");
    let refused = federation.ask(6, &[&export[..], &[&elsewhere]].concat());
    assert_eq!(refused["error"]["code"], "NOT_VERIFIED");
    assert!(!Path::new(&elsewhere).join("model.safetensors").exists());
}

#[test]
fn a_researcher_pauses_resumes_and_stops_and_waits_across_a_restart() {
    let federation = Federation::new();
    let coordinator = federation.coordinator();
    federation.connect();
    let long = federation.write("long.toml", &with("rounds = 3", "rounds = 1000"));
    federation.ask(0, &["submit", &long]);
    let paused = federation.ask(0, &["pause", "halves"]);
    assert_eq!(paused["data"]["changed"], true, "{paused}");
    let shown = federation.until("halves", "paused");
    assert_eq!(shown["data"]["run"]["reason"], "paused by alice", "{shown}");

    // Somebody waits, over the end of one coordinator and the beginning of the next.
    let mut waiting = federation.command(&["wait", "halves", "--json"]);
    let waiting = waiting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    drop(coordinator);
    let _coordinator = federation.coordinator();
    federation.connect();
    assert_eq!(federation.ask(0, &["show", "halves"])["data"]["run"]["state"], "paused");
    let _members = federation.members();
    assert!(federation.say(0, &["resume", "halves"]).contains("run halves ("));
    let began = Instant::now();
    while federation.ask(0, &["show", "halves"])["data"]["run"]["rounds_done"] == 0 {
        assert!(began.elapsed() < PATIENCE, "no round is done");
    }
    let stopping = federation.ask(0, &["stop", "halves"]);
    assert_eq!(stopping["data"]["run"]["state"], "stopping", "{stopping}");
    let output = waiting.wait_with_output().expect("it ends");
    let said = federation.check(1, &output);
    assert!(said.contains("RUN_STOPPED") && said.contains("stopped by alice"), "{said}");
    let lines = federation.lines(1, &["watch", "halves"]);
    let last = lines.last().expect("lines");
    assert_eq!((&last["terminal"], &last["data"]["state"]), (&true.into(), &"stopped".into()));
    assert_eq!(federation.ask(1, &["resume", "halves"])["error"]["code"], "RUN_OVER");
    assert_eq!(federation.ask(0, &["stop", "halves"])["data"]["changed"], false);
}
