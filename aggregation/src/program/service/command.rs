//! `service install` and `service uninstall`, as all three programs have them.

use std::env;
use std::path::{Path, PathBuf, absolute};

use clap::{Args, Subcommand};

use crate::net::FileError;
use crate::party::Name;
use crate::program::{Exit, Failure};

use super::{Installed, Scope, Service};

/// Where systemd looks for units of the whole machine.
const SYSTEM_FOLDER: &str = "/etc/systemd/system";

/// Where systemd looks for a user's units, in the folder of the user's settings.
const USER_FOLDER: &str = "systemd/user";

/// What the three programs' `service` does.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Write the unit, hardened: it can write to its state folder and nowhere else, become nobody
    /// else, and use the network. Prints every path that it wrote. Starts nothing.
    Install {
        /// The configuration that the service runs with.
        #[arg(long, value_name = "FILE", env = "COVEY_CONFIG")]
        config: Option<PathBuf>,
        /// Which unit.
        #[command(flatten)]
        unit: Unit,
    },
    /// Remove the unit. Keys, settings and state stay where they are. Stops nothing.
    Uninstall {
        /// Which unit.
        #[command(flatten)]
        unit: Unit,
    },
}

/// Which unit, and whether anything is touched.
#[derive(Debug, Args)]
pub struct Unit {
    /// A service of this user in place of one of the machine: needs no root, and is less closed.
    #[arg(long)]
    user: bool,
    /// The unit's name; the program's if not given. For several members on one machine.
    #[arg(long)]
    name: Option<Name>,
    /// Only show; touch nothing.
    #[arg(long)]
    print: bool,
}

/// What `service` has to know of a program.
pub struct Program<'a> {
    /// Its name.
    pub name: &'a str,
    /// The command that serves.
    pub verb: &'a str,
    /// What it is, in a few words.
    pub description: &'a str,
    /// The configuration's usual name.
    pub config: &'a str,
    /// Seconds that it may take to drain.
    pub drain_seconds: u32,
}

/// What a configuration says that a service has to know.
pub struct Place {
    /// The member's folder; the service runs as its owner.
    pub folder: PathBuf,
    /// The state folder.
    pub state: PathBuf,
    /// Whether a graphics card may be used.
    pub uses_gpu: bool,
}

impl ServiceCommand {
    /// Does it; `place` reads a configuration.
    ///
    /// # Errors
    /// [`Failure`]: the configuration, a file, or a unit that is somebody else's.
    pub fn carry_out(
        &self,
        program: &Program<'_>,
        place: impl FnOnce(&Path) -> Result<Place, Failure>,
    ) -> Result<Installed, Failure> {
        let (Self::Install { unit, .. } | Self::Uninstall { unit }) = self;
        let scope = if unit.user { Scope::User } else { Scope::System };
        let units = unit_folder(scope)?;
        let name = unit.name.as_ref().map_or_else(|| program.name.to_owned(), Name::to_string);
        let mut service = Service {
            name,
            description: program.description.to_owned(),
            command: Vec::new(),
            writes: Vec::new(),
            uses_gpu: false,
            drain_seconds: program.drain_seconds,
        };
        let Self::Install { config, .. } = self else {
            return service.uninstall(scope, &units, unit.print);
        };
        let whole =
            |path: &Path| absolute(path).map_err(|error| Failure::new(Exit::Failed, "PATH", error));
        let config = whole(config.as_deref().unwrap_or_else(|| Path::new(program.config)))?;
        let Place { folder, state, uses_gpu } = place(&config)?;
        let binary =
            env::current_exe().map_err(|error| Failure::new(Exit::Failed, "PATH", error))?;
        let text = |path: &Path| path.display().to_string();
        service.command =
            vec![text(&binary), program.verb.to_owned(), "--config".to_owned(), text(&config)];
        // What a unit names must be there; the program itself makes its state folder.
        let state = whole(&state)?;
        let parent = state.parent().map(Path::to_owned);
        service.writes = vec![if state.exists() { state } else { parent.unwrap_or_default() }];
        service.uses_gpu = uses_gpu;
        let owner = owner_of(&folder).map_err(|error| Failure::file(&error))?;
        service.install(scope, &units, (Some(owner), unit.print))
    }
}

/// Where the units of a scope are.
///
/// # Errors
/// [`Failure`] when this user has no folder of settings.
fn unit_folder(scope: Scope) -> Result<PathBuf, Failure> {
    let settings = || {
        let config = env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty());
        let home = env::var_os("HOME").filter(|path| !path.is_empty());
        config.map(PathBuf::from).or_else(|| home.map(|home| PathBuf::from(home).join(".config")))
    };
    match scope {
        Scope::System => Ok(PathBuf::from(SYSTEM_FOLDER)),
        Scope::User => settings().map(|folder| folder.join(USER_FOLDER)).ok_or_else(|| {
            let what = "this user has no folder of settings: HOME is not set";
            Failure::new(Exit::BadInput, "NO_HOME", what)
        }),
    }
}

/// The user and the group that a file belongs to.
///
/// # Errors
/// [`FileError::Read`].
#[cfg(unix)]
fn owner_of(path: &Path) -> Result<(u32, u32), FileError> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path)
        .map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    Ok((metadata.uid(), metadata.gid()))
}

/// systemd is Linux's.
#[cfg(not(unix))]
fn owner_of(path: &Path) -> Result<(u32, u32), FileError> {
    Err(FileError::content(path, "there is no systemd here"))
}
