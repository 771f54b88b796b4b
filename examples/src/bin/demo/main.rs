//! A whole federation on one machine: `cargo run --release --bin demo`.
//!
//! The demo starts itself again in every role (`role coordinator ...`), which runs the very same
//! code as the shipped programs. Owners run in a wrapper of the client library that also notes
//! their updates in the clear, as the reference to compare with.

mod args;
mod column;
mod credits;
mod division;
mod federation;
mod forgery;
mod ledger;
mod observed;
mod plan;
mod pool;
mod process;
mod reference;
mod report;
mod role;
mod scenario;
mod screen;
mod source;
mod story;
mod tap;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;
use covey_model::device::{Compute, DeviceChoice};

use crate::args::Args;
use crate::credits::Credits;
use crate::division::Division;
use crate::federation::Federation;
use crate::ledger::{Ledger, Page};
use crate::process::{MemoryWatch, run_to_end};
use crate::reference::Laboratory;
use crate::report::{Bytes, Report};
use crate::screen::Screen;
use crate::source::Source;
use crate::story::{Accidents, Story};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|word| word == "role") {
        return play(&arguments[2..]);
    }
    let args = Args::parse();
    match run(&args) {
        Ok(report) if report.is_good() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(6),
        Err(Stop { code, what }) => {
            if args.json {
                let error = serde_json::json!({ "code": "DEMO", "message": what });
                let line = serde_json::json!({
                    "schema_version": 1, "status": "error", "error": error, "terminal": true,
                });
                println!("{line}");
            }
            eprintln!("demo: {what}");
            ExitCode::from(code)
        }
    }
}

/// Runs one of the programs in this process.
fn play(arguments: &[OsString]) -> ExitCode {
    let Some((role, rest)) = arguments.split_first() else {
        eprintln!("demo: `role` is for the demo's own use");
        return ExitCode::from(2);
    };
    let program = |name: &str| std::iter::once(name.into()).chain(rest.iter().cloned());
    match role.to_str() {
        Some("coordinator") => covey_coordinator::main(program("covey-coordinator")),
        Some("holder") => covey_committee::main(program("covey-committee")),
        Some("client") => covey_client::main(program("covey-client")),
        Some("observed-client") => observed::main(rest),
        _ => {
            eprintln!("demo: no such role");
            ExitCode::from(2)
        }
    }
}

/// Why the demo ends early.
struct Stop {
    code: u8,
    what: String,
}

impl Stop {
    /// The input is wrong.
    fn input(what: impl ToString) -> Self {
        Self { code: 2, what: what.to_string() }
    }

    /// The run failed.
    fn failed(what: impl ToString) -> Self {
        Self { code: 1, what: what.to_string() }
    }
}

fn run(args: &Args) -> Result<Report, Stop> {
    let started = Instant::now();
    check_card(args)?;
    let source = match &args.data_dir {
        Some(folder) => Source::folder(folder),
        None => Source::digits(),
    };
    let source = source.map_err(Stop::input)?;
    let division = Division::of(args, &source).map_err(Stop::input)?;
    let is_credited = division.pool.is_some();
    let fold = division.pool.as_ref().map(|pool| pool.fold);
    let plan = plan::text(args, &source.train, args.data_dir.is_none(), fold);
    let plan = plan.map_err(Stop::input)?;
    let folder = Folder::create(args)?;
    let mut screen = Screen::new(args.json, args.rounds);
    let memory = MemoryWatch::start();

    screen.note(&format!(
        "one coordinator, {} key holders and {} data owners in {}",
        federation::HOLDERS,
        args.owners(),
        folder.path().display()
    ));
    division.notes.iter().for_each(|note| screen.note(note));
    let stores = (args.database.as_deref(), args.objects.as_ref());
    let federation = Federation::found(folder.path(), &plan, division, args.cuda_owners, stores)
        .map_err(Stop::failed)?;
    let accidents = Accidents::plan(args, is_credited);
    let ending = Story::start(&federation, &accidents, &mut screen, &memory)
        .and_then(Story::follow)
        .map_err(Stop::failed)?;
    federation.fetch_published().map_err(Stop::failed)?;
    screen.note("the same in the clear, for comparison, and every owner alone");
    let laboratory = Laboratory::open(&federation).map_err(Stop::failed)?;
    let reference = laboratory.compare(&ending.rounds).map_err(Stop::failed)?;
    screen.note("the check from outside: adding the published ciphertexts again");
    let check = check(&federation);
    let credits = is_credited.then(|| {
        screen.note("the check from outside: settling the published evidence again");
        Credits::check(&federation)
    });
    screen.note("the check from outside: the ledger, and every owner's receipts");
    let ledger = Ledger::check(&federation);
    screen.finish();

    let page = match Page::is_wanted(args) {
        true => Some(Page::open(&federation).map_err(Stop::failed)?),
        false => None,
    };
    let report = Report {
        title: source.title,
        scenario: args.scenario,
        cuda_owners: args.cuda_owners as usize,
        owners: federation.owners(),
        parameters: laboratory.parameters(),
        bytes: Bytes::published(&federation, &ending).map_err(Stop::failed)?,
        ending,
        accidents,
        reference,
        check,
        credits,
        ledger,
        page: page.as_ref().map(Page::url),
        seconds: started.elapsed().as_secs_f64(),
        peak_memory_bytes: memory.peak_bytes(),
    };
    if args.json {
        screen.emit(&report.to_json());
    } else {
        println!("{report}");
    }
    if let Some(page) = page {
        page.wait();
    }
    folder.finish(&report)?;
    Ok(report)
}

/// Whether the card is there, where owners are to train on it.
fn check_card(args: &Args) -> Result<(), Stop> {
    if args.cuda_owners > args.clients {
        return Err(Stop::input("--cuda-owners is more than --clients"));
    }
    if args.cuda_owners > 0 {
        Compute::resolve(DeviceChoice::Cuda(0)).map_err(Stop::input)?;
    }
    Ok(())
}

/// The outside check: another program, with only what is published and the roster.
fn check(federation: &Federation) -> Result<String, String> {
    let published = federation.published().display().to_string();
    let roster = federation.root.join("coordinator").join("roster.json").display().to_string();
    run_to_end("holder", &["verify", &published, "--roster", &roster])
}

/// The federation's folder: kept where asked, else gone in the end.
enum Folder {
    Kept(PathBuf),
    Passing(tempfile::TempDir),
}

impl Folder {
    fn create(args: &Args) -> Result<Self, Stop> {
        let Some(path) = &args.keep else {
            return tempfile::Builder::new()
                .prefix("covey-demo-")
                .tempdir()
                .map(Self::Passing)
                .map_err(|error| Stop::failed(format!("cannot make a folder: {error}")));
        };
        let failed = |error: std::io::Error| {
            Stop::input(match error.kind() {
                std::io::ErrorKind::AlreadyExists => format!(
                    "{} exists already: remove it, or name another folder with --keep DIR",
                    path.display()
                ),
                _ => format!("cannot make {}: {error}", path.display()),
            })
        };
        std::fs::create_dir(path).map_err(failed)?;
        path.canonicalize().map(Self::Kept).map_err(failed)
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Passing(folder) => folder.path(),
        }
    }

    fn finish(self, report: &Report) -> Result<(), Stop> {
        if let Self::Kept(path) = &self {
            report::save(report, path).map_err(Stop::failed)?;
            eprintln!("everything is in {}", path.display());
        }
        Ok(())
    }
}
