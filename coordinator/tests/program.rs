//! The binary: bad input is answered with one clear message and the right exit code.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output};

use covey_aggregation::net::authority::AUTHORITY_FILE;
use covey_aggregation::program::StateFolder;

const PLAN: &str = "schema = \"plan/1\"\nname = \"small\"\npurpose = \"A test\"\nseed = 7\n\
    [data]\nkind = \"image\"\nheight = 2\nwidth = 2\npixel_max = 16\nclasses = 2\n\
    [model]\nlayers = [{ kind = \"flatten\" }, { kind = \"linear\", out = 2 }]\n\
    [training]\nrounds = 1\nbatch_size = 4\noptimizer = { name = \"sgd\", lr = 0.1 }\n\
    weighting = \"uniform\"\n[cohort]\nminimum = 3\nmaximum = 10\n\
    [secure_aggregation]\nprofile = \"A\"\nbits = 12\nrange = 0.5\nclip_norm = 20.0\n\
    audit = \"off\"\n";

fn program(arguments: &[&str]) -> Output {
    let path = env!("CARGO_BIN_EXE_covey-coordinator");
    Command::new(path)
        .args(arguments)
        .env_remove("COVEY_JSON")
        .env_remove("COVEY_DATABASE")
        .output()
        .expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// A federation of 4 holders with a plan, and the path of its settings.
struct Federation {
    folder: tempfile::TempDir,
}

impl Federation {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let federation = Self { folder };
        let dir = federation.dir();
        let created = program(&["init", "--dir", &dir, "--federation", name]);
        assert!(created.status.success(), "{}", text(&created.stderr));
        let mut arguments = vec!["enrol".to_owned(), "--dir".to_owned(), dir];
        for index in 0..4 {
            let holder = federation.path(&format!("holder-{index}"));
            let name = format!("holder-{index}").parse().expect("a name");
            let enrolment = covey_committee::init::init(Path::new(&holder), name, "localhost:7443");
            let request = enrolment.expect("a holder's keys").request;
            arguments.push(request.display().to_string());
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let enrolled = program(&arguments);
        assert!(enrolled.status.success(), "{}", text(&enrolled.stderr));
        assert!(text(&enrolled.stdout).contains("4 holders and 0 data owners"));
        fs::write(federation.path("operator/plan.toml"), PLAN).expect("written");
        federation.settings("listen = \"127.0.0.1:0\"\nplan = \"plan.toml\"\n");
        federation
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn dir(&self) -> String {
        self.path("operator")
    }

    fn settings(&self, text: &str) {
        fs::write(self.path("operator/coordinator.toml"), text).expect("written");
    }

    fn serve(&self) -> Output {
        program(&["serve", "--config", &self.path("operator/coordinator.toml")])
    }

    /// Serves, and expects this exit code and these words on stderr.
    fn assert_refused(&self, code: i32, words: &[&str]) {
        let served = self.serve();
        let stderr = text(&served.stderr);
        assert_eq!(served.status.code(), Some(code), "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "no {word:?} in\n{stderr}");
        }
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

#[test]
fn bad_settings_and_plans_are_input_errors_with_file_and_line() {
    let federation = Federation::new("test");
    let served = program(&["serve", "--config", "/nowhere/coordinator.toml"]);
    assert_eq!(served.status.code(), Some(2));
    assert!(text(&served.stderr).contains("/nowhere/coordinator.toml"));

    federation.settings("listen = \"127.0.0.1:0\"\nplan = \"plan.toml\"\nsped = 1\n");
    federation.assert_refused(2, &["coordinator.toml:3:1: unknown field `sped`", "BAD_CONFIG"]);
    federation.settings("listen = \"127.0.0.1:0\"\nplan = \"none.toml\"\n");
    federation.assert_refused(2, &["coordinator.toml:2:8: plan: there is no", "none.toml"]);
    federation.settings(
        "listen = \"127.0.0.1:0\"\nplan = \"plan.toml\"\n\
         test_data = { format = \"csv\", path = \"test.csv\", header = \"absent\" }\n",
    );
    federation.assert_refused(2, &["coordinator.toml:3:13: test_data: there is no"]);
    fs::write(federation.path("operator/test.csv"), "1,2,3,4,0\n1,2,3,4,9\n").expect("written");
    federation.assert_refused(2, &["test.csv, line 2", "BAD_TEST_DATA"]);

    federation.settings("listen = \"127.0.0.1:0\"\nplan = \"plan.toml\"\n");
    let plan = federation.path("operator/plan.toml");
    fs::write(&plan, PLAN.replace("rounds = 1", "rouds = 1")).expect("written");
    federation.assert_refused(2, &["plan.toml", "rouds", "BAD_PLAN"]);
    // A plan whose layers do not fit is refused before anybody trains, naming the layer.
    fs::write(&plan, PLAN.replace("out = 2", "out = 3")).expect("written");
    federation.assert_refused(2, &["plan.toml", "linear", "BAD_PLAN"]);
}

#[test]
fn more_rounds_of_no_plan_are_refused() {
    let federation = Federation::new("test");
    federation.settings("listen = \"127.0.0.1:0\"\n");
    let config = federation.path("operator/coordinator.toml");
    let served = program(&["serve", "--config", &config, "--rounds", "9"]);
    let said = text(&served.stderr);
    assert_eq!(served.status.code(), Some(2), "{said}");
    assert!(said.contains("NO_PLAN") && said.contains("coordinator.toml"), "{said}");
}

#[test]
fn a_port_in_use_is_said() {
    let federation = Federation::new("test");
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    federation.settings(&format!("listen = \"{address}\"\nplan = \"plan.toml\"\n"));
    let port = address.port().to_string();
    federation.assert_refused(4, &["PORT_IN_USE", &port, "choose another port"]);
}

#[test]
fn files_of_another_federation_are_refused() {
    let (federation, other) = (Federation::new("test"), Federation::new("other"));
    let authority = format!("operator/{AUTHORITY_FILE}");
    fs::copy(other.path(&authority), federation.path(&authority)).expect("copied");
    federation.assert_refused(4, &["authority.pem", "not the authority"]);
    fs::remove_file(federation.path(&authority)).expect("removed");
    federation.assert_refused(2, &["cannot read", "authority.pem"]);
}

#[test]
fn an_exposed_key_is_refused_with_the_remedy() {
    use std::os::unix::fs::PermissionsExt as _;
    let federation = Federation::new("test");
    let key = federation.path("operator/identity.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("changed");
    federation.assert_refused(4, &["identity.key", "chmod 600"]);
}

#[test]
fn a_second_start_on_the_same_state_is_refused() {
    let federation = Federation::new("test");
    let state = federation.path("operator/state");
    let first = StateFolder::open(Path::new(&state)).expect("free");
    federation.assert_refused(1, &["another program is running", "operator/state"]);
    drop(first);
}

#[test]
fn a_damaged_journal_is_refused_by_name() {
    let federation = Federation::new("test");
    fs::create_dir(federation.path("operator/state")).expect("created");
    let journal = federation.path("operator/state/journal.db");
    fs::write(journal, [7; 8192]).expect("written");
    federation.assert_refused(1, &["journal.db is damaged", "restore it from a backup"]);
}

#[test]
fn members_that_do_not_come_are_named_and_another_plan_needs_another_state() {
    let federation = Federation::new("test");
    let settings = "listen = \"127.0.0.1:0\"\nplan = \"plan.toml\"\n[start]\nwait_s = 1\n";
    federation.settings(settings);
    federation.assert_refused(3, &["MEMBERS_MISSING", "holder-3", "3 data owners (0 connected)"]);
    let plan = federation.path("operator/plan.toml");
    fs::write(plan, PLAN.replace("seed = 7", "seed = 8")).expect("written");
    federation.assert_refused(2, &["another plan", "OTHER_RUN"]);
    let config = federation.path("operator/coordinator.toml");
    let status = program(&["status", "--config", &config, "--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!(answer["status"], "ok");
    assert_eq!(answer["data"]["state"], "before round 1");
}

#[test]
fn the_last_line_of_a_json_stream_is_terminal_also_when_it_fails() {
    let federation = Federation::new("test");
    federation.settings("listen = \"127.0.0.1:0\"\nplan = \"plan.toml\"\n[start]\nwait_s = 1\n");
    let config = federation.path("operator/coordinator.toml");
    let served = program(&["serve", "--json", "--config", &config]);
    assert_eq!(served.status.code(), Some(3));
    let lines: Vec<serde_json::Value> = text(&served.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON on every line"))
        .collect();
    assert_eq!(lines[0]["event"], "listening");
    assert!(lines.iter().any(|line| line["event"] == "waiting"));
    let (last, before) = lines.split_last().expect("lines");
    assert_eq!(
        (&last["terminal"], &last["error"]["code"]),
        (&true.into(), &"MEMBERS_MISSING".into())
    );
    assert!(before.iter().all(|line| line.get("terminal").is_none()));
}

#[test]
fn a_request_with_a_broken_proof_enrols_nobody() {
    let federation = Federation::new("test");
    let roster = fs::read(federation.path("operator/roster.json")).expect("read");
    let request = federation.path("holder-0/request.json");
    let text_of = fs::read_to_string(&request).expect("read");
    fs::write(&request, text_of.replace("holder-0", "holder-9")).expect("written");
    let enrolled = program(&["enrol", "--dir", &federation.dir(), &request]);
    assert_eq!(enrolled.status.code(), Some(4));
    assert!(text(&enrolled.stderr).contains("request.json"), "{}", text(&enrolled.stderr));
    assert_eq!(fs::read(federation.path("operator/roster.json")).expect("read"), roster);
}

#[test]
fn arguments_that_make_no_sense_exit_with_2_and_help_with_0() {
    assert_eq!(program(&["sreve"]).status.code(), Some(2));
    assert_eq!(program(&["init", "--dir", "x", "--federation", "No Name"]).status.code(), Some(2));
    let help = program(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("covey-coordinator init --dir"));
}

#[test]
fn an_invite_is_shown_once_and_its_fate_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("fed").display().to_string();
    assert!(program(&["init", "--dir", &dir, "--federation", "test"]).status.success());
    let create = ["invite", "create", "--dir", &dir, "--role", "data-owner", "--name", "ada"];
    let unknown = program(&create);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("NO_ADDRESS"), "{}", text(&unknown.stderr));

    let made = program(&[&create[..], &["--address", "covey.example.org:7443", "--json"]].concat());
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
    let (id, line) = (made["data"]["id"].as_str(), made["data"]["invite"].as_str());
    let (id, line) = (id.expect("an id"), line.expect("an invite"));
    assert!(line.starts_with("COVEY1-"), "{line}");
    let listed = text(&program(&["invite", "list", "--dir", &dir, "--json"]).stdout);
    assert!(listed.contains("\"open\"") && listed.contains(id), "{listed}");
    let secret = line.split('-').nth(1).expect("its fields");
    assert!(!listed.contains(secret), "an invite is shown once");

    assert!(program(&["invite", "revoke", "--dir", &dir, id]).status.success());
    assert!(text(&program(&["invite", "list", "--dir", &dir]).stdout).contains("revoked"));
    let again = program(&["invite", "revoke", "--dir", &dir, id]);
    assert_eq!(again.status.code(), Some(2));
    let nobody = program(&["member", "approve", "--dir", &dir, "ada"]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(text(&nobody.stderr).contains("NO_MEMBER"));
    let seated = program(&["member", "revoke", "--dir", &dir, "coordinator"]);
    assert!(text(&seated.stderr).contains("SEATED"), "{}", text(&seated.stderr));
}

#[test]
fn a_running_coordinator_keeps_its_state_to_itself_and_drains_at_sigterm() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    let federation = Federation::new("test");
    federation.settings("listen = \"127.0.0.1:0\"\nplan = \"plan.toml\"\n");
    let config = federation.path("operator/coordinator.toml");
    let mut first = Command::new(env!("CARGO_BIN_EXE_covey-coordinator"))
        .args(["serve", "--json", "--config", &config])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(first.stdout.take().expect("piped")).lines();
    let waits = |line: &Result<String, _>| {
        line.as_ref().is_ok_and(|line| line.contains("\"event\":\"waiting\""))
    };
    assert!(lines.by_ref().any(|line| waits(&line)), "it waits for its members");
    federation.assert_refused(1, &["another program is running", "ALREADY_RUNNING"]);
    let doctor = program(&["doctor", "--config", &config]);
    assert!(text(&doctor.stdout).contains("a program is running"), "{}", text(&doctor.stdout));
    let killed = Command::new("kill").args(["-TERM", &first.id().to_string()]).status();
    assert!(killed.expect("kill").success());
    let last = lines.last().expect("lines").expect("text");
    let ended = first.wait_with_output().expect("ended");
    assert_eq!(ended.status.code(), Some(143), "{}", text(&ended.stderr));
    assert!(last.contains("STOPPED") && last.contains("\"terminal\":true"), "{last}");
    assert!(text(&ended.stderr).contains("finishing the step at hand"));
}

#[test]
fn the_doctor_tells_an_operator_what_to_put_right() {
    let federation = Federation::new("test");
    let config = federation.path("operator/coordinator.toml");
    let examine = || program(&["doctor", "--json", "--config", &config]);
    let checks = |output: &Output| -> Vec<(String, String)> {
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let checks = answer["data"]["checks"].as_array().expect("a list").clone();
        let word = |value: &serde_json::Value| value.as_str().expect("a word").to_owned();
        checks.iter().map(|check| (word(&check["name"]), word(&check["verdict"]))).collect()
    };
    let has = |output: &Output, name: &str, verdict: &str| {
        checks(output).contains(&(name.to_owned(), verdict.to_owned()))
    };
    let good = examine();
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stdout));
    // Nobody but holders is enrolled here.
    assert!(has(&good, "members", "warning") && has(&good, "plan", "ok"), "{:?}", checks(&good));

    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    federation.settings(&format!("listen = \"{address}\"\nplan = \"plan.toml\"\n"));
    fs::write(federation.path("operator/plan.toml"), "schema = 1").expect("written");
    let bad = examine();
    assert_eq!(bad.status.code(), Some(1));
    assert!(has(&bad, "port", "problem") && has(&bad, "plan", "problem"), "{:?}", checks(&bad));
    let words = text(&program(&["doctor", "--config", &config]).stdout);
    assert!(
        words.contains("plan check") && words.contains("fix: stop what listens there"),
        "{words}"
    );
}

/// Whatever goes wrong with a database, its password is in nothing that is said.
#[test]
fn a_database_that_cannot_be_used_is_told_without_its_password() {
    let federation = Federation::new("test");
    let config = federation.path("operator/coordinator.toml");
    let (listen, url) =
        ("listen = \"127.0.0.1:0\"\nplan = \"plan.toml\"\n", "ada:s3cr3t@127.0.0.1:1");
    let clean = |output: &Output| -> String {
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!said.contains("s3cr3t") && !said.contains("panicked"), "{said}");
        said
    };
    federation.settings(&format!("{listen}database = \"postgres://{url}/covey\"\n"));
    let dir = federation.dir();
    let (to, key) = (federation.path("backup"), federation.path("backup.key"));
    for arguments in [
        &["serve", "--config", &config][..],
        &["doctor", "--config", &config],
        &["status", "--config", &config],
        &["migrate", "--dry-run", "--config", &config],
        &["backup", "--config", &config, "--to", &to, "--key", &key],
        &["member", "list", "--dir", &dir],
    ] {
        let output = program(arguments);
        let said = clean(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("postgres://127.0.0.1:1/covey"), "{arguments:?}: {said}");
    }
    // Nothing of it is remembered, and settings and flag are read alike.
    federation.settings(listen);
    assert!(program(&["member", "list", "--dir", &dir]).status.success());
    for bad in ["mysql://ada:s3cr3t@host/covey", "postgres://ada:s3cr3t@host/covey?prefix=S3cr3t"] {
        let typed = program(&["status", "--config", &config, "--database", bad]);
        assert_eq!(typed.status.code(), Some(2), "{}", clean(&typed));
        federation.settings(&format!("{listen}database = \"{bad}\"\n"));
        let settings = program(&["status", "--config", &config]);
        assert!(clean(&settings).contains("coordinator.toml:3:12"), "{}", clean(&settings));
        assert_eq!(settings.status.code(), Some(2));
    }
    let help = Command::new(env!("CARGO_BIN_EXE_covey-coordinator"))
        .args(["serve", "--help"])
        .env("COVEY_DATABASE", "postgres://ada:s3cr3t@host/covey")
        .output();
    assert!(clean(&help.expect("it runs")).contains("COVEY_DATABASE"));
}

/// What an operator types around a backup.
#[test]
fn a_federation_is_backed_up_checked_and_restored_by_command() {
    let federation = Federation::new("test");
    let config = federation.path("operator/coordinator.toml");
    let invite = ["invite", "create", "--dir", &federation.dir(), "--role", "data-owner", "--name"];
    let invite = [&invite[..], &["ada", "--address", "localhost:7443"]].concat();
    assert!(program(&invite).status.success());
    let dry = program(&["migrate", "--dry-run", "--config", &config]);
    assert!(text(&dry.stdout).contains("nothing to do"), "{}", text(&dry.stdout));
    let (to, key) = (federation.path("backup"), federation.path("backup.key"));
    let made = program(&["backup", "--config", &config, "--to", &to, "--key", &key]);
    assert!(text(&made.stdout).contains("made the key"), "{}", text(&made.stderr));
    let from = ["restore", "--from", &to, "--key", &key];
    let asked = program(&from);
    assert_eq!(asked.status.code(), Some(2), "neither --verify nor --dir");
    let checked = program(&[&from[..], &["--verify"]].concat());
    assert!(text(&checked.stdout).contains("nothing was restored"), "{}", text(&checked.stderr));
    let again = federation.path("again");
    let restored = program(&[&from[..], &["--dir", &again]].concat());
    assert_eq!(restored.status.code(), Some(0), "{}", text(&restored.stderr));
    let invites = program(&["invite", "list", "--dir", &again]);
    assert!(text(&invites.stdout).contains("ada"), "{}", text(&invites.stdout));
    let doctor = program(&["doctor", "--config", &federation.path("again/coordinator.toml")]);
    assert_eq!(doctor.status.code(), Some(0), "{}", text(&doctor.stdout));
    assert!(text(&doctor.stdout).contains("its pages are whole"), "{}", text(&doctor.stdout));
}
