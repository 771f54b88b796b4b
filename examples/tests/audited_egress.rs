//! What leaves an owner's machine in an audited round of real processes: all of it has an entry in
//! the owner's log, its proof too, and nothing of its data is in it.

#[path = "../../client/tests/rounds/canary.rs"]
#[allow(dead_code, reason = "the client's own test uses all of it")]
mod canary;
#[path = "../../client/tests/rounds/tap.rs"]
#[allow(dead_code, reason = "the client's own test uses all of it")]
mod tap;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use canary::{found, parcels, planted};
use covey_client::outbound::chain::{files_of, walk};
use covey_client::outbound::entry::{What, sha256};
use tap::Tap;

const OWNERS: [&str; 3] = ["owner-0", "owner-1", "owner-2"];

const PLAN: &str = r#"schema = "plan/1"
name = "halves"
purpose = "Learn which half of the plane a point lies in"
seed = 7
[data]
kind = "tabular"
target = { column = "side", classes = ["left", "right"] }
columns = [
  { name = "x", type = "float", min = -1, max = 1 },
  { name = "y", type = "float", min = -1, max = 1 },
]
[model]
layers = [{ kind = "linear", out = 8 }, { kind = "tanh" }, { kind = "linear", out = 2 }]
[training]
rounds = 1
batch_size = 8
optimizer = { name = "sgd", lr = 0.1 }
weighting = "uniform"
[cohort]
minimum = 3
maximum = 10
deadlines = { select = "60s", collect = "60s", vote = "60s", release = "60s" }
[secure_aggregation]
profile = "B"
bits = 12
range = 0.5
clip_norm = 5.0
audit = "closed"
"#;

fn program(role: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(["role", role]).args(arguments);
    command.env("RAYON_NUM_THREADS", "1").stdin(Stdio::null());
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

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn done(role: &str, arguments: &[&str]) {
    let output = program(role, arguments).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Enrols everybody, as people do it; the holders and owners are to dial what is written in their
/// configurations later.
fn enrol(root: &Path) -> Vec<(&'static str, String)> {
    let operator = root.join("operator");
    done("coordinator", &["init", "--dir", text(&operator), "--federation", "test"]);
    let holders = (0..4).map(|one| ("holder", format!("holder-{one}")));
    let owners = OWNERS.iter().map(|owner| ("client", (*owner).to_owned()));
    let members: Vec<_> = holders.chain(owners).collect();
    for (role, name) in &members {
        let dir = root.join(name);
        done(role, &["init", "--name", name, "--dir", text(&dir), "--coordinator", "unset:1"]);
        let request = dir.join("request.json");
        done("coordinator", &["enrol", "--dir", text(&operator), text(&request)]);
    }
    for (_, name) in &members {
        for file in ["member.pem", "authority.pem"] {
            let issued = operator.join("issued").join(name).join(file);
            fs::copy(issued, root.join(name).join(file)).expect("handed out");
        }
        let roster = root.join(name).join("roster.json");
        fs::copy(operator.join("roster.json"), roster).expect("handed out");
    }
    members
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audited_round_tells_nothing_of_the_data_and_has_its_proofs_in_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let members = enrol(root);
    let address = covey_examples::free_address().expect("a free port").to_string();
    let operator = root.join("operator");
    let owners = OWNERS.iter().map(|owner| ((*owner).to_owned(), root.join(owner)));
    let tap = Tap::start(&address, &operator, owners);
    let settings = format!(
        "listen = \"{address}\"\nplan = \"plan.toml\"\n\
         [start]\nwait_s = 100\nsettle_s = 60\nowners = {}\n[rounds]\nresend_ms = 300\n",
        OWNERS.len()
    );
    fs::write(operator.join("coordinator.toml"), settings).expect("written");
    fs::write(operator.join("plan.toml"), PLAN).expect("written");
    let config = operator.join("coordinator.toml");
    let serving = program("coordinator", &["serve", "--config", text(&config)])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut processes = Vec::new();
    for (role, name) in &members {
        let home = root.join(name);
        let path: PathBuf = if *role == "holder" {
            let path = home.join("holder.toml");
            let text = fs::read_to_string(&path).expect("read").replace("unset:1", &address);
            fs::write(&path, text).expect("written");
            path
        } else {
            let config = format!(
                "schema = \"client/1\"\ncoordinator = {:?}\ndevice = \"cpu\"\n\
                 data = {{ format = \"csv\", path = \"data.csv\" }}\n",
                tap.address
            );
            let policy = "schema = \"policy/1\"\n[require]\nmin_cohort = 3\n[allow]\n\
                          purposes = [\"*\"]\n";
            fs::write(home.join("policy.toml"), policy).expect("written");
            let path = home.join("client.toml");
            fs::write(&path, config).expect("written");
            fs::write(home.join("data.csv"), planted()).expect("written");
            path
        };
        let verb = if *role == "holder" { "serve" } else { "start" };
        processes.push(Process::start(role, &[verb, "--config", text(&path)]));
    }
    let served = tokio::task::spawn_blocking(move || serving.wait_with_output());
    let served = served.await.expect("no panic").expect("it ended");
    let said = String::from_utf8_lossy(&served.stderr);
    assert!(served.status.success() && said.contains("3 counted"), "{said}");
    drop(processes);

    for owner in OWNERS {
        let written = tap.written(owner);
        assert_eq!(found(&written), Vec::<String>::new(), "{owner}");
        let paths = files_of(&root.join(owner).join("state/audit")).expect("listed");
        let mut logged = Vec::new();
        walk(&paths, &mut |entry, _| {
            if let What::Sent(sent) = &entry.what {
                logged.push((sent.sha256.clone(), sent.bytes, sent.kind.clone()));
            }
        })
        .expect("a whole log");
        let mut proofs = 0;
        for parcel in written.iter().flat_map(parcels) {
            let entry = logged.iter().find(|one| one.0 == sha256(parcel));
            let (_, bytes, kind) = entry.expect("no entry for something that was written");
            assert_eq!(*bytes, parcel.len() as u64);
            proofs += usize::from(kind == "FromClient::Proven" && *bytes > 10_000);
        }
        assert!(proofs >= 1, "{owner}: {logged:?}");
    }
}
