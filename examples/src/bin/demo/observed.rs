//! The demo's own wrapper of the client library: the same client, and a note of every update in
//! the clear for the reference.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use covey_aggregation::config::RoundConfig;
use covey_aggregation::program::{Exit, Failure, Stop};
use covey_aggregation::sum::quantise::Quantised;
use covey_client::{Client, Config, Observer};
use covey_model::train::FitReport;

use crate::tap::Tap;

/// Notes updates in a folder.
struct Notebook {
    folder: PathBuf,
    /// What was trained last, until it is quantised.
    trained: Mutex<Option<(u32, FitReport)>>,
}

impl Observer for Notebook {
    fn trained(&self, terms: &RoundConfig, report: &FitReport) {
        if let Ok(mut trained) = self.trained.lock() {
            *trained = Some((terms.round, report.clone()));
        }
    }

    fn quantised(&self, terms: &RoundConfig, quantised: &Quantised) {
        let trained = self.trained.lock().ok().and_then(|mut trained| trained.take());
        let Some((_, report)) = trained.filter(|(round, _)| *round == terms.round) else { return };
        let tap = Tap {
            units: quantised.units().collect(),
            weight: quantised.weight(),
            update: report.update,
            examples: report.examples,
        };
        if let Err(error) = tap.write(&self.folder, terms.round) {
            eprintln!("cannot note the update for the reference: {error}");
        }
    }
}

/// `TAP_FOLDER CONFIG`: a client that works until it is stopped.
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    let [folder, config] = arguments else {
        eprintln!("demo: observed-client takes a folder and a configuration");
        return Exit::BadInput.into();
    };
    match work(Path::new(folder), Path::new(config)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit.into()
        }
    }
}

fn work(folder: &Path, config: &Path) -> Result<Exit, Failure> {
    let notebook = Notebook { folder: folder.to_owned(), trained: Mutex::new(None) };
    let client = Client::new(Config::read(config)?).with_observer(Arc::new(notebook));
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, "RUNTIME", error);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(failed)?;
    let ended = runtime.block_on(async {
        let stop = Stop::on_signals().map_err(failed)?;
        client.run(stop, &mut |event| eprintln!("{event:?}")).await
    });
    runtime.shutdown_background();
    Ok(ended?.into())
}
