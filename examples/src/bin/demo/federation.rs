//! A federation in a folder: settings and data of every party, and everybody joins by invite, with the
//! same commands that people would type on separate machines.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use covey_aggregation::net::read_roster;
use covey_aggregation::party::PartyId;
use covey_aggregation::program::published::read_publication;
use covey_aggregation::publication::Publication;
use covey_aggregation::roster::Roster;
use covey_coordinator::storage::blobs::round_name;
use covey_coordinator::storage::blobs::settings::ObjectsUrl;
use serde_json::Value;

use crate::args::ROUNDS_MAX;
use crate::division::{Division, Part};
use crate::pool::Pool;
use crate::process::run_to_end;
use crate::role::Role;
use crate::source::pool_arguments;

/// Key holders: one may be missing or lie.
pub(crate) const HOLDERS: usize = 4;

/// Longest time for all to join, in seconds.
const JOIN_S: u32 = 120;
/// The validation pool, in the folder of the coordinator and of each holder.
const POOL_FOLDER: &str = "pool";

/// Where everything is.
pub(crate) struct Federation {
    /// The folder of all.
    pub(crate) root: PathBuf,
    /// What each data owner is, in order.
    pub(crate) roles: Vec<Role>,
    /// Where the coordinator serves.
    address: String,
    roster: OnceLock<Roster>,
    /// What each data owner has.
    parts: Vec<Part>,
    pool: Option<Pool>,
    cuda_owners: u32,
    /// Where bulk bytes are, if not with the coordinator.
    objects: Option<String>,
}

impl Federation {
    /// Founds a federation: the operator's folder with settings, plan and test data. Nobody has joined.
    ///
    /// # Errors
    /// What a program said, or what the system said.
    pub(crate) fn found(
        root: &Path,
        plan: &str,
        division: Division,
        cuda_owners: u32,
        (database, objects): (Option<&str>, Option<&ObjectsUrl>),
    ) -> Result<Self, String> {
        let Division { parts, test, pool, .. } = division;
        let coordinator = root.join("coordinator");
        let dir = coordinator.display().to_string();
        run_to_end("coordinator", &["init", "--dir", &dir, "--federation", "demo"])?;
        let address = free_address()?;
        let settings = |error: std::io::Error| format!("{}: {error}", root.display());
        fs::write(coordinator.join("plan.toml"), plan).map_err(settings)?;
        test.write(&coordinator.join("test")).map_err(settings)?;
        let pool_setting = validation_data(&coordinator, pool.as_ref()).map_err(settings)?;
        let (test, owners) = (test.declared("test"), parts.len());
        let objects = objects.map(own_prefix);
        let bucket =
            objects.as_ref().map_or_else(String::new, |url| format!("objects = \"{url}\"\n"));
        let more = database_setting(database) + &bucket + &pool_setting;
        let text = coordinator_toml(&address, owners, &test, &more);
        fs::write(coordinator.join("coordinator.toml"), text).map_err(settings)?;
        let roles = parts.iter().map(|part| part.role).collect();
        let (root, roster) = (root.to_owned(), OnceLock::new());
        Ok(Self { root, address, roster, roles, parts, pool, cuda_owners, objects })
    }

    /// The key holders join by invite, while the coordinator serves: each waits for the others.
    ///
    /// # Errors
    /// What a program said, or what the system said.
    pub(crate) fn join_holders(&self) -> Result<(), String> {
        let names: Vec<_> = (1..=HOLDERS).map(holder_name).collect();
        self.join("key-holder", "holder", &names)?;
        names.iter().try_for_each(|name| {
            let written = validation_data_of_holder(&self.root.join(name), self.pool.as_ref());
            written.map_err(|error| format!("{name}: {error}"))
        })
    }

    /// The data owners join by invite, while coordinator and holders serve, and point at their data.
    ///
    /// # Errors
    /// What a program said, or what the system said.
    pub(crate) fn join_owners(&self) -> Result<(), String> {
        let names: Vec<_> = (1..=self.parts.len()).map(owner_name).collect();
        self.join("data-owner", "client", &names)?;
        for (i, (part, name)) in self.parts.iter().zip(&names).enumerate() {
            let home = self.root.join(name);
            let failed = |error: std::io::Error| format!("{name}: {error}");
            part.rows.write(&home.join("data")).map_err(failed)?;
            // No fallback: what such an owner contributes comes from the card.
            let device = if i < self.cuda_owners as usize { "cuda:0" } else { "cpu" };
            let text = client_toml(&self.address, device, &part.rows.declared("data"));
            fs::write(home.join("client.toml"), text).map_err(failed)?;
            fs::write(home.join("policy.toml"), policy_toml()).map_err(failed)?;
        }
        let roster = read_roster(&self.root.join("coordinator").join("roster.json"));
        // Nobody joins twice.
        let _ = self.roster.set(roster.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Invites and joins all at once, as people do who do not wait for each other.
    fn join(&self, role: &str, program: &str, names: &[String]) -> Result<(), String> {
        let dir = self.root.join("coordinator").display().to_string();
        let mut joining = Vec::new();
        for name in names {
            let arguments = [
                "invite",
                "create",
                "--dir",
                &dir,
                "--role",
                role,
                "--name",
                name,
                "--approval",
                "auto",
                "--json",
            ];
            let answer = run_to_end("coordinator", &arguments)?;
            let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
            let invite = answer["data"]["invite"].as_str().ok_or("no invite in the answer")?;
            let (invite, program) = (invite.to_owned(), program.to_owned());
            let home = self.root.join(name).display().to_string();
            joining.push(thread::spawn(move || {
                let waiting = JOIN_S.to_string();
                let arguments = ["join", &invite, "--dir", &home, "--timeout-s", &waiting];
                run_to_end(&program, &arguments)
            }));
        }
        joining.into_iter().try_for_each(|one| {
            let joined = one.join().map_err(|_| "a thread died".to_owned())?;
            joined.map(drop)
        })
    }

    /// A member's name, or the beginning of its key.
    pub(crate) fn name_of(&self, id: &PartyId) -> String {
        self.roster().map_or_else(|| id.to_string(), |roster| roster.name_of(id))
    }

    /// What each owner is, and how many rows it has.
    pub(crate) fn owners(&self) -> Vec<(Role, usize)> {
        self.parts.iter().map(|part| (part.role, part.rows.len())).collect()
    }

    /// The members, once all have joined.
    pub(crate) fn roster(&self) -> Option<&Roster> {
        self.roster.get()
    }

    /// An owner's number, from 1, by its key.
    pub(crate) fn owner_number(&self, id: &PartyId) -> Option<usize> {
        let name = self.roster()?.member(id)?.name.to_string();
        (1..=self.roles.len()).find(|number| owner_name(*number) == name)
    }

    /// Where rounds are published; what is published in a bucket, once it was fetched.
    pub(crate) fn published(&self) -> PathBuf {
        match self.objects {
            Some(_) => self.root.join("published"),
            None => self.root.join("coordinator").join("state").join("published"),
        }
    }

    /// Fetches what was published in a bucket, with the operator's command.
    ///
    /// # Errors
    /// What it said.
    pub(crate) fn fetch_published(&self) -> Result<(), String> {
        if self.objects.is_none() {
            return Ok(());
        }
        let config = self.root.join("coordinator/coordinator.toml").display().to_string();
        let to = self.published().display().to_string();
        let arguments = ["published", "fetch", "--config", &config, "--to", &to];
        run_to_end("coordinator", &arguments).map(drop)
    }

    /// What a round published.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn publication(&self, round: u32) -> Result<Publication, String> {
        let folder = self.published().join(round_name(round));
        read_publication(&folder).map_err(|error| error.to_string())
    }

    /// How the client is told of the validation pool, as the coordinator has it.
    pub(crate) fn pool(&self) -> Vec<String> {
        pool_arguments(&self.root.join("coordinator").join(POOL_FOLDER))
    }

    /// Where the epoch's credits are published.
    pub(crate) fn credits(&self) -> PathBuf {
        self.published().join("credits")
    }
}

/// `owner-3`.
pub(crate) fn owner_name(number: usize) -> String {
    format!("owner-{number}")
}

/// `holder-2`.
pub(crate) fn holder_name(number: usize) -> String {
    format!("holder-{number}")
}

/// A port of loopback that was free a moment ago, as text.
fn free_address() -> Result<String, String> {
    let address = covey_examples::free_address().map_err(|error| error.to_string())?;
    Ok(address.to_string())
}

/// Writes a copy of the pool into a party's folder; the setting that declares it there.
fn validation_data(home: &Path, pool: Option<&Pool>) -> std::io::Result<String> {
    let Some(pool) = pool else { return Ok(String::new()) };
    pool.rows.write(&home.join(POOL_FOLDER))?;
    Ok(format!("validation_data = {}\n", pool.rows.declared(POOL_FOLDER)))
}

/// The same for a holder, whose `init` wrote its settings.
fn validation_data_of_holder(home: &Path, pool: Option<&Pool>) -> std::io::Result<()> {
    let setting = validation_data(home, pool)?;
    let path = home.join("holder.toml");
    let settings = fs::read_to_string(&path)?;
    fs::write(path, setting + &settings)
}

/// A prefix below `url` that no other run has.
fn own_prefix(url: &ObjectsUrl) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{url}demo-{}-{}", since.as_millis(), std::process::id())
}

/// Where the coordinator keeps its records. Every demo is a federation of its own, and a prefix keeps
/// them apart.
fn database_setting(url: Option<&str>) -> String {
    let Some(url) = url else { return String::new() };
    let join = if url.contains('?') { '&' } else { '?' };
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let moment = since.map_or(0, |since| since.as_millis());
    let prefix =
        if url.contains("prefix=") { String::new() } else { format!("{join}prefix=demo_{moment}") };
    format!("database = \"{url}{prefix}\"\n")
}

fn coordinator_toml(address: &str, owners: usize, test_data: &str, more: &str) -> String {
    format!(
        "listen = \"{address}\"\nplan = \"plan.toml\"\ntest_data = {test_data}\n\
         {more}\n[members]\naddress = \"{address}\"\n\n[start]\nowners = {owners}\n\n\
         [rounds]\nresend_ms = 500\n"
    )
}

fn client_toml(address: &str, device: &str, data: &str) -> String {
    format!(
        "schema = \"client/1\"\ncoordinator = \"{address}\"\ndevice = \"{device}\"\ndata = {data}\n"
    )
}

/// What every owner of the demo allows.
fn policy_toml() -> String {
    format!(
        "schema = \"policy/1\"\n[limits]\nmax_rounds = {ROUNDS_MAX}\nreport_compute = true\n\
         [require]\nmin_cohort = 3\n\
         [allow]\npurposes = [\"Learn to *\"]\n"
    )
}
