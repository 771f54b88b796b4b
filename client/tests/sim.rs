//! Simulations: what they are asked for, and what they tell. That their models are those of the
//! real programs is shown where all programs are at hand, in the crate of examples.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use covey_aggregation::plan::Plan;
use covey_aggregation::program::{Exit, Failure};
use covey_client::sim::{
    Event, Options, Partition, RoundSummary, Summary, simulate, simulate_model,
};
use covey_model::data::{DataSource, Header, Pool, ReadLimits};
use covey_model::device::DeviceChoice;
use covey_model::task::Task;
use serde_json::Value;
use tempfile::TempDir;

const PLAN: &str = r#"
schema = "plan/1"
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
rounds = 4
local_epochs = 3
batch_size = 8
optimizer = { name = "sgd", lr = 0.2 }
weighting = "uniform"
[cohort]
minimum = 3
maximum = 20
[secure_aggregation]
profile = "A"
bits = 12
range = 1.0
clip_norm = 2.0
audit = "off"
"#;

struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut rows = "x,y,clinic,side\n".to_owned();
        for i in 0..400u32 {
            let x = f64::from(i * 7 % 190) / 95.0 - 1.0;
            let y = f64::from(i * 31 % 130) / 65.0 - 1.0;
            let side = if x + 0.3 * y > 0.0 { "right" } else { "left" };
            rows += &format!("{x:.4},{y:.4},clinic-{},{side}\n", i % 3);
        }
        fs::write(folder.path().join("plan.toml"), PLAN).expect("written");
        fs::write(folder.path().join("rows.csv"), rows).expect("written");
        Self { folder }
    }

    fn plan(&self) -> PathBuf {
        self.folder.path().join("plan.toml")
    }

    fn rows(&self) -> DataSource {
        DataSource::Csv { path: self.folder.path().join("rows.csv"), header: Header::Present }
    }

    fn options(&self, clients: usize) -> Options {
        Options {
            plan: self.plan(),
            data: vec![self.rows()],
            test_data: Some(self.rows()),
            clients,
            partition: Partition::Iid,
            dropout: 0.0,
            attacks: Vec::new(),
            is_sealed: true,
            rounds: None,
            seed: None,
            device: DeviceChoice::Cpu,
            workers: Some(2),
            dataset_bytes_max: None,
        }
    }
}

fn run(options: &Options) -> (Vec<RoundSummary>, Result<Summary, Failure>) {
    let mut rounds = Vec::new();
    let ended = simulate(options, &mut |event| {
        if let Event::Round(summary) = event {
            rounds.push(summary.clone());
        }
    });
    (rounds, ended)
}

#[test]
fn a_federation_learns_and_nobody_is_missing() {
    let (rounds, summary) = run(&Bench::new().options(10));
    let summary = summary.expect("done");
    assert_eq!((summary.rounds_done, summary.rounds_abandoned), (4, 0));
    assert!(rounds.iter().all(|round| !round.degraded && round.counted == 10));
    assert!(rounds.iter().all(|round| round.weight == Some(10) && round.missing.is_empty()));
    assert!(summary.accuracy.is_some_and(|accuracy| accuracy > 0.8), "{summary:?}");
    let losses: Vec<_> = rounds.iter().filter_map(|round| round.training_loss).collect();
    assert!(losses.len() == 4 && losses[3] < losses[0], "{losses:?}");
}

#[test]
fn clients_that_vanish_degrade_a_round_and_it_says_so() {
    let bench = Bench::new();
    let mut options = bench.options(20);
    options.dropout = 0.4;
    let (rounds, summary) = run(&options);
    assert_eq!(summary.expect("done").rounds_done, 4);
    for round in &rounds {
        let silent = round.missing.get("no answer by the deadline").copied().unwrap_or(0);
        assert_eq!(round.degraded, silent > 0);
        assert_eq!(round.counted + silent, 20, "{round:?}");
    }
    assert!(rounds.iter().filter(|round| round.degraded).count() >= 3);
    let counted: Vec<_> = rounds.iter().map(|round| round.counted).collect();
    assert!(counted.iter().any(|count| *count != counted[0]), "{counted:?}");

    options.dropout = 1.0;
    let (rounds, ended) = run(&options);
    assert_eq!(ended.expect_err("nobody is there").code, "RUN_ABANDONED");
    let reason = rounds[0].reason.as_deref();
    assert_eq!(reason, Some("0 contributions, at least 3 needed"));
    assert!(rounds.iter().all(|round| round.model == rounds[0].model));
}

#[test]
fn a_round_has_no_more_clients_than_the_plan_says() {
    let bench = Bench::new();
    let mut options = bench.options(60);
    options.is_sealed = false;
    let (rounds, summary) = run(&options);
    summary.expect("done");
    assert_eq!(rounds.len(), 4);
    assert!(rounds.iter().all(|round| round.cohort == 20 && round.counted == 20));
}

#[test]
fn by_column_a_client_has_one_value_of_it() {
    let bench = Bench::new();
    let plan = Plan::parse(PLAN).expect("a plan");
    let (source, limits) = (bench.rows(), ReadLimits::default());
    let pool = Pool::load(&source, &plan.data, plan.seed, limits).expect("read");
    let divide = |column: &str, clients| {
        let partition = Partition::ByColumn(column.to_owned());
        partition.divide(&pool, &source, &plan, clients, 1)
    };
    for (client, part) in divide("clinic", 7).expect("divided").iter().enumerate() {
        assert!(part.len() > 40 && part.iter().all(|row| row % 3 == client % 3), "{client}");
    }
    for (client, part) in divide("side", 4).expect("divided").iter().enumerate() {
        let class = |row: &usize| pool.dataset().labels()[*row] as usize;
        assert!(part.iter().all(|row| class(row) == client % 2), "{client}");
    }
    let failure = divide("ward", 3).expect_err("no such column");
    assert!(failure.message.contains("no column named \"ward\""), "{failure}");
}

#[test]
fn by_file_clients_come_to_the_model_of_one_file_divided_alike() {
    let bench = Bench::new();
    let mut options = bench.options(3);
    options.partition = Partition::ByColumn("clinic".to_owned());
    let (_, divided) = run(&options);

    let text = fs::read_to_string(bench.folder.path().join("rows.csv")).expect("written");
    let (header, rows) = text.split_once('\n').expect("a header");
    options.data = (0..3)
        .map(|clinic| {
            let path = bench.folder.path().join(format!("clinic-{clinic}.csv"));
            let own: Vec<_> = rows.lines().skip(clinic).step_by(3).collect();
            fs::write(&path, format!("{header}\n{}\n", own.join("\n"))).expect("written");
            DataSource::Csv { path, header: Header::Present }
        })
        .collect();
    options.partition = Partition::ByFile;
    let (_, own) = run(&options);
    assert_eq!(own.expect("done").model, divided.expect("done").model);
}

#[test]
fn the_model_at_the_end_is_given_with_its_summary() {
    let bench = Bench::new();
    let (summary, parameters) = simulate_model(&bench.options(5), &mut |_| {}).expect("it is done");
    let task = Task::from_plan(&Plan::parse(PLAN).expect("a plan")).expect("a model");
    assert_eq!(task.parameters_digest(&parameters).to_string(), summary.model);
}

/// What the plan's clipping leaves of a boosted update, and what flipped labels do.
#[test]
fn attacks_do_what_they_say() {
    let bench = Bench::new();
    let attacked = |attacks: &[&str]| {
        let mut options = bench.options(10);
        options.is_sealed = false;
        options.attacks = attacks.iter().map(|text| text.parse().expect("an attack")).collect();
        let (rounds, summary) = run(&options);
        let last = rounds.last().expect("a round");
        (summary.expect("done"), last.step_norm.expect("done"), last.attackers)
    };
    let (honest, ..) = attacked(&[]);
    let (flipped, _, attackers) = attacked(&["label-flip:7"]);
    assert_eq!(attackers, 7);
    assert!(flipped.accuracy < honest.accuracy.map(|accuracy| accuracy - 0.2), "{flipped:?}");
    let (_, step, _) = attacked(&["boost:10:1000000"]);
    assert!(step <= 2.0, "clipped to 2.0, the model moved by {step}");
    let (rested, step, _) = attacked(&["free-rider:10"]);
    assert_eq!(step, 0.0, "{rested:?}");
    let (rested, step, _) = attacked(&["free-rider:10:replay"]);
    assert_eq!(step, 0.0, "nothing was ever there to be sent again: {rested:?}");
    let (mislabelled, ..) = attacked(&["label-noise:10:1"]);
    assert!(mislabelled.accuracy < Some(0.2), "of two classes the other: {mislabelled:?}");
    let (poisoned, ..) = attacked(&["poison:10:0:1"]);
    assert!(poisoned.accuracy < honest.accuracy.map(|accuracy| accuracy - 0.2), "{poisoned:?}");
    let every = [
        "noise:2:0.5",
        "sign-flip:1:3",
        "feature-noise:1",
        "duplicate:2",
        "sybil:2",
        "free-rider:1:random",
        "free-rider:1:replay",
        "free-rider:1:boosted-replay",
    ];
    for one in every {
        assert_ne!(attacked(&[one]).0.model, honest.model, "{one}");
    }
}

/// Attackers draw from seeds, remember the last step, and claim: all alike with and without
/// encryption, and however often.
#[test]
fn mixed_attackers_come_to_the_same_models_with_and_without_encryption() {
    let bench = Bench::new();
    let weighted = PLAN.replace("\"uniform\"", "{ capped_examples = 1000 }");
    fs::write(bench.plan(), weighted.replace("profile = \"A\"", "profile = \"B\""))
        .expect("written");
    let mixed = |is_sealed| {
        let mut options = bench.options(10);
        options.is_sealed = is_sealed;
        options.attacks = ["free-rider:2:replay", "free-rider:1:random", "sybil:2", "claim:1:5"]
            .map(|text| text.parse().expect("an attack"))
            .to_vec();
        let (rounds, summary) = run(&options);
        (summary.expect("done").model, rounds.iter().map(|one| one.weight).collect::<Vec<_>>())
    };
    let (model, weights) = mixed(false);
    // Seven with 40 examples, one of whom says 200, and two with half of what one has.
    assert_eq!(weights, [Some(7 * 40 + 200 + 40); 4]);
    assert_eq!((model, weights), mixed(true));
}

#[test]
fn audited_rounds_count_everybody_and_come_to_the_models_of_the_clear() {
    let bench = Bench::new();
    let plan = PLAN.replace("profile = \"A\"", "profile = \"B\"");
    fs::write(bench.plan(), plan.replace("\"off\"", "\"closed\"")).expect("written");
    let models = [true, false].map(|is_sealed| {
        let (rounds, summary) = run(&Options { is_sealed, ..bench.options(6) });
        summary.expect("done");
        assert_eq!(rounds.len(), 4);
        for round in &rounds {
            assert_eq!((round.counted, round.degraded), (6, false), "{round:?}");
        }
        rounds.into_iter().map(|round| round.model).collect::<Vec<_>>()
    });
    assert_eq!(models[0], models[1]);
}

/// The plan with little noise and a clip that follows half of the updates.
fn following(clip_norm: f32, audit: &str) -> String {
    let protection = format!(
        "profile = \"B\"\nbits = 16\nrange = {}\nclip_norm = {clip_norm}\naudit = \"{audit}\"\n\
         [privacy]\nunit = \"owner\"\nnoise_multiplier = 0.1\ndelta = 1e-5\n\
         clip_quantile = 0.5\nclip_rate = 0.7\n",
        2.0 * clip_norm
    );
    let at = PLAN.find("profile").expect("there");
    PLAN[..at].replace("minimum = 3", "minimum = 6") + &protection
}

#[test]
fn a_clip_that_is_far_off_comes_to_where_half_of_the_updates_are_within_it() {
    let bench = Bench::new();
    let mut ends = Vec::new();
    for clip_norm in [50.0, 0.02] {
        fs::write(bench.plan(), following(clip_norm, "off")).expect("written");
        let options = Options { is_sealed: false, rounds: Some(30), ..bench.options(20) };
        let (rounds, summary) = run(&options);
        summary.expect("done");
        let clips: Vec<_> = rounds.iter().filter_map(|round| round.clip).collect();
        assert_eq!((clips.len(), clips[0].clip_norm), (30, clip_norm));
        assert_eq!(clips[0].within.round(), if clip_norm > 1.0 { 1.0 } else { 0.0 });
        let last: f64 = clips[20..].iter().map(|clip| clip.within).sum::<f64>() / 10.0;
        assert!((0.3..0.7).contains(&last), "{clips:?}");
        ends.push(f64::from(clips[29].clip_norm));
    }
    assert!((ends[0] / ends[1] - 1.0).abs() < 0.5, "{ends:?}");
}

#[test]
fn rounds_whose_clip_follows_are_the_same_with_encryption_and_audit() {
    let bench = Bench::new();
    fs::write(bench.plan(), following(5.0, "closed")).expect("written");
    let models = [true, false].map(|is_sealed| {
        let (rounds, summary) = run(&Options { is_sealed, ..bench.options(6) });
        summary.expect("done");
        assert!(rounds.iter().all(|round| round.counted == 6), "{rounds:?}");
        rounds.into_iter().map(|round| (round.model, round.clip)).collect::<Vec<_>>()
    });
    assert_eq!(models[0], models[1]);
    assert!(models[0][3].1.expect("a clip").clip_norm < 4.0, "{models:?}");
}

#[test]
fn what_makes_no_simulation_is_refused() {
    let bench = Bench::new();
    type Change = fn(&mut Options);
    let cases: [(&str, Change); 12] = [
        ("0 clients", |options| options.clients = 0),
        ("opens no sum of fewer than 3", |options| options.clients = 2),
        ("a dropout of 1.5", |options| options.dropout = 1.5),
        ("a dropout of NaN", |options| options.dropout = f64::NAN),
        ("0 rounds", |options| options.rounds = Some(0)),
        ("11 attackers among 10 clients", |options| {
            options.attacks = vec!["noise:11".parse().expect("an attack")];
        }),
        ("in this plan all count alike", |options| {
            options.attacks = vec!["claim:1".parse().expect("an attack")];
        }),
        ("the plan's classes are 0 to 1", |options| {
            options.attacks = vec!["poison:1:0:2".parse().expect("an attack")];
        }),
        ("cannot be divided among 5000", |options| options.clients = 5000),
        ("no column named \"ward\"", |options| {
            options.partition = Partition::ByColumn("ward".to_owned());
        }),
        ("2 data sets to divide", |options| options.data.extend(options.data.clone())),
        ("1 files for 10 clients", |options| options.partition = Partition::ByFile),
    ];
    for (expected, change) in cases {
        let mut options = bench.options(10);
        change(&mut options);
        let failure = simulate(&options, &mut |_| {}).expect_err(expected);
        assert_eq!(failure.exit, Exit::BadInput, "{failure}");
        assert!(failure.message.contains(expected), "{failure}");
    }
}

/// The program: JSON lines, and the loud word where nothing is encrypted or real.
#[test]
fn the_program_tells_a_line_a_round_and_what_is_not_real() {
    let bench = Bench::new();
    let sim = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_covey-client"));
        command.arg("sim").arg(bench.plan()).args(["--clients", "5", "--rounds", "2"]).args(more);
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let rows = bench.folder.path().join("rows.csv").display().to_string();
    let sealed = sim(&["--data", &rows, "--test-data", &rows, "--json"]);
    let lines: Vec<Value> =
        sealed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().expect("text")).collect();
    assert_eq!(events, ["simulation", "round", "round", "finished"]);
    assert!(lines.iter().all(|line| line["encrypted"] == true && line["warning"].is_null()));
    assert_eq!(lines[0]["synthetic"], false);
    assert_eq!((&lines[3]["terminal"], &lines[3]["model"]), (&true.into(), &lines[2]["model"]));
    for field in ["seconds", "peak_memory_bytes", "accuracy", "training_loss", "counted"] {
        assert!(lines[1][field].is_number(), "{field}: {}", lines[1]);
    }

    let clear = sim(&["--no-crypto", "--json"]);
    let lines: Vec<Value> =
        clear.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 4);
    for line in lines {
        assert_eq!(line["encrypted"], false);
        assert!(line["warning"].as_str().is_some_and(|text| text.starts_with("NO ENCRYPTION")));
    }
    let text = sim(&["--no-crypto", "--dropout", "0.2"]);
    let marked = text.lines().filter(|line| line.contains("NO ENCRYPTION")).count();
    assert!(marked >= 4 && text.contains("SYNTHETIC DATA"), "{text}");
}
