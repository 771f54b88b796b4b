//! What runs on the machine of a data owner: trains on its data, under its own limits, and sends
//! sealed updates of which only the sum with others can be opened. And what runs on the machine of
//! a researcher, who writes plans and has them carried out.
//!
//! - [`init`]: the owner's keys are born
//! - [`config`], [`policy`]: `client.toml`, and `policy.toml`, what the owner allows
//! - [`runs`]: what was offered, and what the owner said to it
//! - [`client`]: the program at work, with [`prepare`] (train and seal) and [`stored`] (what was
//!   sealed, on disk)
//! - [`event`], [`screen`]: what it tells, and how
//! - [`observer`]: what a program that embeds a [`Client`] may see
//! - [`outbound`]: the log of everything that leaves, [`pause`]: the owner's word to take no part
//! - [`datasets`]: names of an owner's data
//! - [`plan`]: plans to begin with, in plain words, compared
//! - [`export`]: a trained model in the forms of other tools
//! - [`sim`]: a whole federation in one process, for trying plans
//! - [`run`]: runs on a live coordinator, for researchers
//! - [`credits`]: what published evidence comes to
//! - `mcp`: what an assistant may use of this program
//! - [`check`], [`doctor`], [`status`]: plans, data and machine before anything runs; what is stored
//!
//! The program is [`main`]; the binary only calls it. An embedding program uses [`Client`].

mod arguments;
pub mod check;
pub mod client;
pub mod config;
pub mod credits;
pub mod datasets;
pub mod doctor;
mod effort;
pub mod event;
pub mod export;
mod gate;
pub mod init;
mod mcp;
mod noise;
pub mod observer;
pub mod outbound;
pub mod pause;
pub mod plan;
pub mod policy;
pub mod prepare;
pub mod privacy;
mod provers;
mod receipts;
mod replay;
pub mod run;
pub mod runs;
pub mod screen;
mod sealing;
mod sent;
pub mod sim;
mod sketches;
pub mod status;
pub mod stored;
mod update;
mod variates;
pub mod volume;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use covey_aggregation::program::answer::{note, print_line};
use covey_aggregation::program::joining::read_invite_of;
use covey_aggregation::program::service::{Place, Program};
use covey_aggregation::program::{Exit, Failure, Format, Stop};

use covey_aggregation::party::{Name, Role};
use covey_ledger::desk::{Desk, carry_out};
use covey_model::data::{DataSource, Preview};
use covey_model::device::DeviceChoice;

use arguments::{
    Arguments, Audit, AuditCommand, AuditLog, Command, CreditsCommand, DataCommand, DataFolder,
    DataKind, Epoch, ExportFormat, PlanCommand, PolicyCommand, PrivacyCommand, RunsCommand,
    Simulation,
};
use datasets::Datasets;
use outbound::report::{Exported, List, Verified};
use pause::Pause;
use screen::Screen;

pub use client::Client;
pub use config::Config;
pub use event::Event;
pub use observer::Observer;

/// Runs the program with these arguments (the first is its own name).
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(message) => {
            // Help and version come this way too, and go to stdout. Nowhere to print is no error.
            let _ = message.print();
            let exit = if message.use_stderr() { Exit::BadInput } else { Exit::Done };
            return exit.into();
        }
    };
    let format = Format::json(arguments.json);
    run(arguments.command, format).unwrap_or_else(|failure| format.fail(&failure)).into()
}

fn run(command: Command, format: Format) -> Result<Exit, Failure> {
    match command {
        Command::Init { name, role, dir, coordinator } => {
            let enrolment = match role.into() {
                Role::Researcher => init::init_researcher(&dir, name, &coordinator)?,
                _ => init::init(&dir, name, &coordinator)?,
            };
            format.answer(&enrolment, &enrolment);
        }
        Command::Join { invite, dir, transport, timeout_s } => {
            let roles = [Role::DataOwner, Role::Researcher];
            let invite = read_invite_of(&invite, &roles, "covey-committee")?;
            let how = (transport, Duration::from_secs(timeout_s));
            let mut tell = |progress| note(progress);
            let joined = init::join(&invite, &dir, how, &mut tell);
            let joined = runtime()?.block_on(joined)?;
            format.answer(&joined, &joined);
        }
        Command::Leave { config, yes } => {
            let left = runtime()?.block_on(init::leave(&Config::read(&config)?, yes))?;
            format.answer(&left, &serde_json::json!({ "left": left }));
        }
        Command::Start { config, device } => return start(&config, device, format),
        Command::Policy(command) => return policy(command, format),
        Command::Privacy(command) => privacy(command, format)?,
        Command::Runs(command) => runs(command, format)?,
        Command::Plan(command) => plan(command, format)?,
        Command::Data(command) => data(command, format)?,
        Command::Sim(simulation) => simulate(*simulation, format)?,
        Command::Run(command) => return run::carry_out(command, format),
        Command::Credits(command) => return credits(command, format),
        Command::Pause { config } => pause(&config, true, format)?,
        Command::Resume { config } => pause(&config, false, format)?,
        Command::Doctor { config, plan } => {
            let diagnosis = doctor::examine(&config, plan.as_ref())?;
            format.answer(&diagnosis, &diagnosis);
            return Ok(diagnosis.exit());
        }
        Command::Service(command) => {
            let installed = command.carry_out(&PROGRAM, place)?;
            format.answer(&installed, &installed);
        }
        Command::Audit(command) => audit(command, format)?,
        Command::Receipts { config } => {
            let list = receipts::list(&config)?;
            format.answer(&list, &list);
            return Ok(list.exit());
        }
        Command::Status { config } => {
            let status = status::Status::read(&Config::read(&config)?)?;
            format.answer(&status, &status);
        }
        Command::Desk(command) => {
            let desk = Desk::new(&[config::CONFIG_FILE, run::CONFIG_FILE]);
            return carry_out(&command, &desk, format);
        }
        Command::Mcp(arguments) => mcp::serve(arguments)?,
    }
    Ok(Exit::Done)
}

/// For systemd. Draining takes a minute at most.
const PROGRAM: Program<'_> = Program {
    name: "covey-client",
    verb: "start",
    description: "Covey: takes part in federated learning with data that stay here",
    config: config::CONFIG_FILE,
    drain_seconds: 90,
};

fn place(config: &Path) -> Result<Place, Failure> {
    let Config { folder, state, device, .. } = Config::read(config)?;
    Ok(Place { folder, state, uses_gpu: device.choice != DeviceChoice::Cpu })
}

fn pause(config: &Path, is_paused: bool, format: Format) -> Result<(), Failure> {
    let asked = Pause::of(&Config::read(config)?.state).ask(is_paused)?;
    format.answer(&asked, &asked);
    Ok(())
}

fn audit(Audit { command, chosen }: Audit, format: Format) -> Result<(), Failure> {
    let folder =
        |log: &AuditLog| Ok::<_, Failure>(Config::read(&log.config)?.state.join(outbound::FOLDER));
    match command {
        None => {
            let list = List::read(&folder(&chosen.log)?, &chosen.filter())?;
            format.answer(&list, &list);
        }
        Some(AuditCommand::Verify { log, file, head }) => {
            let path = file.map_or_else(|| folder(&log), Ok)?;
            let verified = Verified::of(&path, head.as_deref())?;
            format.answer(&verified, &verified);
        }
        Some(AuditCommand::Export { chosen, format: form, out }) => {
            let list = List::read(&folder(&chosen.log)?, &chosen.filter())?;
            let text = match form {
                ExportFormat::Jsonl => list.to_lines(),
                ExportFormat::Csv => list.to_csv(),
            };
            match out {
                Some(out) => {
                    let exported = Exported::write(&out, &text, &list)?;
                    format.answer(&exported, &exported);
                }
                None => print_line(text.trim_end()),
            }
        }
    }
    Ok(())
}

fn policy(command: PolicyCommand, format: Format) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Init { file } => {
            let written = policy::commands::init(&file)?;
            format.answer(&written, &written);
        }
        PolicyCommand::Show { file } => {
            let checked = policy::commands::check(&file)?;
            format.answer(&checked.policy, &checked.policy);
        }
        PolicyCommand::Check { file } => {
            let checked = policy::commands::check(&file)?;
            format.answer(&checked, &checked);
        }
        PolicyCommand::Test { plan, owner } => {
            let trial = policy::commands::test(&owner.config, &plan)?;
            format.answer(&trial, &trial);
            let is_refused = trial.outcome == policy::Outcome::Fail;
            return Ok(if is_refused { Exit::Policy } else { Exit::Done });
        }
    }
    Ok(Exit::Done)
}

fn privacy(command: PrivacyCommand, format: Format) -> Result<(), Failure> {
    match command {
        PrivacyCommand::Budget { owner } => {
            let statement = privacy::commands::budget(&owner.config)?;
            format.answer(&statement, &statement);
        }
        PrivacyCommand::Explain { plan } => {
            let explanation = privacy::commands::explain(plan.as_deref())?;
            format.answer(&explanation, &explanation);
        }
    }
    Ok(())
}

fn runs(command: RunsCommand, format: Format) -> Result<(), Failure> {
    match command {
        RunsCommand::List { owner } => {
            let list = runs::commands::list(&owner.config)?;
            format.answer(&list, &list);
        }
        RunsCommand::Show { run, owner } => {
            let shown = runs::commands::show(&owner.config, &run)?;
            format.answer(&shown, &shown);
        }
        RunsCommand::Leaves { run, owner } => {
            let leaves = runs::commands::leaves(&owner.config, &run)?;
            format.answer(&leaves, &leaves);
        }
        RunsCommand::Approve { run, owner } => {
            let said = runs::commands::approve(&owner.config, &run)?;
            format.answer(&said, &said);
        }
        RunsCommand::Deny { run, reason, owner } => {
            let said = runs::commands::deny(&owner.config, &run, reason)?;
            format.answer(&said, &said);
        }
    }
    Ok(())
}

fn plan(command: PlanCommand, format: Format) -> Result<(), Failure> {
    match command {
        PlanCommand::New { name, template, output } => {
            let new = plan::create(&name, template, output.as_deref())?;
            format.answer(&new, &new);
        }
        PlanCommand::Check { file } => {
            let summary = check::plan(&file)?;
            format.answer(&summary, &summary);
        }
        PlanCommand::Explain { file, privacy: true, data, test_data, clients } => {
            let (kind, folder) = (DataKind::default(), DataFolder { dir: PathBuf::from(".") });
            let source = |path: &PathBuf| source_of(path, &kind, &folder);
            let trial = match (&data, &test_data) {
                (Some(data), Some(test_data)) => {
                    let (data, test_data) = (source(data)?, source(test_data)?);
                    Some(plan::Trial { data, test_data, clients })
                }
                _ => None,
            };
            let tradeoff = plan::tradeoff(&file, trial.as_ref())?;
            format.answer(&tradeoff, &tradeoff);
        }
        PlanCommand::Explain { file, .. } => {
            let explanation = plan::explain(&file)?;
            format.answer(&explanation, &explanation);
        }
        PlanCommand::Schema => {
            let schema = plan::json_schema();
            format.answer(&schema, &schema);
        }
        PlanCommand::Diff { before, after } => {
            let comparison = plan::compare(&before, &after)?;
            format.answer(&comparison, &comparison);
        }
    }
    Ok(())
}

fn data(command: DataCommand, format: Format) -> Result<(), Failure> {
    match command {
        DataCommand::Add { name, path, kind, folder } => {
            let added = datasets::add(&folder.dir, name, &source_at(&path, &kind)?)?;
            format.answer(&added, &added);
        }
        DataCommand::List { folder } => {
            let datasets = Datasets::read(&folder.dir)?;
            format.answer(&datasets, &datasets);
        }
        DataCommand::Remove { name, folder } => {
            let removed = datasets::remove(&folder.dir, &name)?;
            format.answer(&removed, &removed);
        }
        DataCommand::Preview { data, kind, folder } => {
            let source = source_of(&data, &kind, &folder)?;
            let preview = Preview::of(&source).map_err(|error| check::data_failure(&error))?;
            format.answer(&preview, &preview);
        }
        DataCommand::Check { data, kind, folder, plan, dataset_bytes_max } => {
            let source = source_of(&data, &kind, &folder)?;
            let summary = check::data(&source, &plan, dataset_bytes_max)?;
            format.answer(&summary, &summary);
        }
        DataCommand::Mock { plan, rows, seed, output } => {
            let mock = check::mock(&plan, rows, seed, &output)?;
            format.answer(&mock, &mock);
        }
    }
    Ok(())
}

fn credits(command: CreditsCommand, format: Format) -> Result<Exit, Failure> {
    match command {
        CreditsCommand::List { epoch: Epoch { folder, roster } } => {
            let list = credits::list(&folder, roster.as_deref())?;
            format.answer(&list, &list);
        }
        CreditsCommand::Explain { owner, epoch: Epoch { folder, roster } } => {
            let told = credits::tell(&owner, &folder, roster.as_deref())?;
            format.answer(&told, &told);
        }
        CreditsCommand::Verify { folder, credits: settled, roster, config, plan, pool, kind } => {
            let settled = settled.unwrap_or_else(|| folder.join("credits"));
            let pool = pool.map(|pool| source_at(&pool, &kind)).transpose()?;
            let verified = credits::verify(&credits::Sources {
                folder: &folder,
                credits: &settled,
                roster: &roster,
                config: config.as_deref(),
                training: plan.as_deref().zip(pool.as_ref()),
            })?;
            format.answer(&verified, &verified);
        }
        CreditsCommand::Prove { folder, roster, config, round, out } => {
            let proven = credits::prove(&folder, &config, &roster, (round, &out))?;
            format.answer(&proven, &proven);
        }
        CreditsCommand::Judge { file, folder, roster } => {
            let shown = credits::judge(&file, &folder, &roster)?;
            format.answer(&shown, &shown);
            return Ok(shown.exit());
        }
        CreditsCommand::Recompute { folder, before } => {
            let recomputed = credits::recompute(&folder, before.as_deref())?;
            format.answer(&recomputed, &recomputed);
        }
    }
    Ok(Exit::Done)
}

fn simulate(simulation: Simulation, format: Format) -> Result<(), Failure> {
    let Simulation { plan, data, kind, folder, test_data, attacks, no_crypto, .. } = simulation;
    let data: Vec<DataSource> =
        data.iter().map(|data| source_of(data, &kind, &folder)).collect::<Result<_, _>>()?;
    let clients = match simulation.partition {
        sim::Partition::ByFile => data.len(),
        _ => sim::CLIENTS,
    };
    let test_data = test_data.map(|data| source_of(&data, &DataKind::default(), &folder));
    let options = sim::Options {
        plan,
        data,
        test_data: test_data.transpose()?,
        clients: simulation.clients.unwrap_or(clients),
        partition: simulation.partition,
        dropout: simulation.dropout,
        attacks,
        is_sealed: !no_crypto,
        rounds: simulation.rounds,
        seed: simulation.seed,
        device: simulation.device,
        workers: simulation.workers,
        dataset_bytes_max: simulation.dataset_bytes_max,
    };
    sim::simulate(&options, &mut |event| match format {
        Format::Json => print_line(&event.to_json()),
        Format::Text => print_line(&event.to_string()),
    })?;
    Ok(())
}

/// The data of a name, or at a path.
fn source_of(data: &Path, kind: &DataKind, folder: &DataFolder) -> Result<DataSource, Failure> {
    let is_plain = kind.labels.is_none() && kind.format.is_none();
    match data.to_str().and_then(|text| text.parse::<Name>().ok()) {
        Some(name) if is_plain => match Datasets::read(&folder.dir)?.get(&name) {
            Some(source) => Ok(source.clone()),
            None if data.exists() => source_at(data, kind),
            None => Err(datasets::unknown(&folder.dir, &name)),
        },
        _ => source_at(data, kind),
    }
}

fn source_at(path: &Path, kind: &DataKind) -> Result<DataSource, Failure> {
    DataSource::at(path, kind.labels.as_deref(), kind.format)
        .map_err(|error| check::data_failure(&error))
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, "RUNTIME", error))
}

fn start(config: &Path, device: Option<DeviceChoice>, format: Format) -> Result<Exit, Failure> {
    let mut config = Config::read(config)?;
    config.device.choice = device.unwrap_or(config.device.choice);
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, "RUNTIME", error);
    if let Some(threads) = config.policy.limits.threads {
        // What trains on the processor takes its threads from this pool, and no others.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        pool.map_err(|error| Failure::new(Exit::Failed, "RUNTIME", error))?;
    }
    let client = Client::new(config);
    let runtime = runtime()?;
    let mut screen = Screen::new(format);
    let ended = runtime.block_on(async {
        let stop = Stop::on_signals().map_err(failed)?;
        client.run(stop, &mut |event| screen.show(&event)).await
    });
    // A fit that does not stop between two steps must not hold up the end of the program.
    runtime.shutdown_background();
    let exit = ended?.into();
    screen.end(exit);
    Ok(exit)
}
