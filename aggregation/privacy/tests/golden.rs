//! Both accountants against Google's `dp-accounting`, on 200 random settings of `golden.py`.
//!
//! Where a Python with the pinned version is found, the script runs again and its file is compared;
//! else the test says that it was skipped, unless `COVEY_REQUIRE_DP_ACCOUNTING` is set. The Python
//! is `COVEY_DP_PYTHON`, or `python3`:
//!
//! ```text
//! python3 -m venv /tmp/dp && /tmp/dp/bin/pip install dp-accounting==0.4.4
//! COVEY_DP_PYTHON=/tmp/dp/bin/python COVEY_REQUIRE_DP_ACCOUNTING=1 \
//!   cargo test --release -p covey-privacy --test golden -- --nocapture
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use covey_privacy::delta::Delta;
use covey_privacy::event::{Event, Sampled};
use covey_privacy::spent::Spent;
use serde::Deserialize;

const VERSION: &str = "0.4.4";

/// How far above the reference an epsilon may be.
const ABOVE_MAX: f64 = 1.01;

/// How far below. The reference's interval adds up to a quarter of a hundredth to the variance of
/// losses, an eighth of a hundredth to epsilon (`golden.py`, `interval_of`); the rest is for settings
/// whose losses are few and far, where it costs a little more.
const BELOW_MAX: f64 = 0.995;

/// Below this, epsilons are compared by their difference.
const EPSILON_SMALL: f64 = 1e-5;

#[derive(Deserialize, PartialEq, Debug)]
struct Golden {
    dp_accounting: String,
    seed: u64,
    settings: Vec<Setting>,
}

#[derive(Deserialize, PartialEq, Debug)]
struct Setting {
    events: Vec<Step>,
    delta: f64,
    interval: f64,
    rdp: f64,
    pld: f64,
}

#[derive(Deserialize, PartialEq, Debug)]
struct Step {
    noise_multiplier: f64,
    sampling_rate: f64,
    count: u64,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn golden() -> Golden {
    let text = std::fs::read_to_string(folder().join("golden.json")).expect("golden.json");
    serde_json::from_str(&text).expect("settings")
}

/// The least and the largest ratio of ours to the reference's.
struct Ratios {
    name: &'static str,
    least: f64,
    most: f64,
}

impl Ratios {
    fn add(&mut self, ours: f64, reference: f64, setting: &Setting) {
        if reference < EPSILON_SMALL {
            assert!((ours - reference).abs() < EPSILON_SMALL, "{}: {ours}, {setting:?}", self.name);
            return;
        }
        let ratio = ours / reference;
        assert!((BELOW_MAX..=ABOVE_MAX).contains(&ratio), "{}: {ratio}, {setting:?}", self.name);
        self.least = self.least.min(ratio);
        self.most = self.most.max(ratio);
    }
}

#[test]
fn both_accountants_are_within_one_hundredth_of_the_reference_on_200_settings() {
    let golden = golden();
    assert_eq!((golden.dp_accounting.as_str(), golden.settings.len()), (VERSION, 200));
    assert!(golden.settings.iter().any(|setting| setting.events.len() > 1));
    assert!(golden.settings.iter().any(|setting| setting.events[0].sampling_rate == 1.0));
    let start = Instant::now();
    let ratios = |name| Ratios { name, least: f64::INFINITY, most: 0.0 };
    let (mut rdp, mut pld) = (ratios("Renyi"), ratios("losses"));
    for setting in &golden.settings {
        let mut spent = Spent::default();
        for step in &setting.events {
            let event = Sampled::new(step.noise_multiplier, step.sampling_rate).expect("an event");
            spent.add(Event::Sampled(event), step.count).expect("added");
        }
        let epsilon = spent.epsilon(Delta::new(setting.delta).expect("a delta"));
        rdp.add(epsilon.rdp, setting.rdp, setting);
        pld.add(epsilon.pld.expect("losses"), setting.pld, setting);
    }
    for Ratios { name, least, most } in [rdp, pld] {
        println!("{name}: {least:.6} to {most:.6} of dp-accounting {VERSION}");
    }
    println!("{} settings in {:.1} s", golden.settings.len(), start.elapsed().as_secs_f64());
}

#[test]
fn the_reference_still_says_what_the_file_says() {
    let python = std::env::var("COVEY_DP_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let version = "import importlib.metadata as m; print(m.version('dp-accounting'))";
    let found = Command::new(&python).args(["-c", version]).output();
    let found = found.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    if found.as_deref().unwrap_or_default() != VERSION {
        let is_required = std::env::var_os("COVEY_REQUIRE_DP_ACCOUNTING").is_some();
        assert!(!is_required, "dp-accounting {VERSION} is required, and not with {python}");
        println!("SKIPPED: no dp-accounting {VERSION} with {python}, the file was not made again");
        return;
    }
    let mut script = Command::new(&python);
    let output = script.arg(folder().join("golden.py")).arg("--print").output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let again: Golden = serde_json::from_slice(&output.stdout).expect("settings");
    let golden = golden();
    assert_eq!(golden.settings.len(), again.settings.len());
    for (file, again) in golden.settings.iter().zip(&again.settings) {
        assert_eq!((&file.events, file.delta), (&again.events, again.delta));
        // Other versions of SciPy may round and transform differently.
        for (file, again) in [(file.rdp, again.rdp), (file.pld, again.pld)] {
            assert!((file - again).abs() <= 1e-6 * file + 1e-9, "{file} {again}");
        }
    }
}
