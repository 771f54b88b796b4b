//! A federation in a folder: keys, certificates, roster, settings and data of every party, made
//! with the same commands that people would type on separate machines.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};

use covey_aggregation::net::read_roster;
use covey_aggregation::party::PartyId;
use covey_aggregation::roster::Roster;

use crate::args::ROUNDS_MAX;
use crate::division::Division;
use crate::pool::Pool;
use crate::process::run_to_end;
use crate::role::Role;

/// Key holders: one may be missing or lie.
pub(crate) const HOLDERS: usize = 4;

/// Where everything is.
pub(crate) struct Federation {
    /// The folder of all.
    pub(crate) root: PathBuf,
    /// The pinned members.
    pub(crate) roster: Roster,
    /// What each data owner is, in order.
    pub(crate) roles: Vec<Role>,
}

impl Federation {
    /// Makes every party with its own program, then enrols all of them.
    ///
    /// # Errors
    /// What a program said, or what the system said.
    pub(crate) fn found(
        root: &Path,
        plan: &str,
        division: &Division,
        cuda_owners: u32,
    ) -> Result<Self, String> {
        let Division { parts, test, pool, .. } = division;
        let coordinator = root.join("coordinator");
        let text = |path: &Path| path.display().to_string();
        run_to_end("coordinator", &["init", "--dir", &text(&coordinator), "--federation", "demo"])?;
        let address = free_address()?;
        let mut requests = Vec::new();
        for name in (1..=HOLDERS).map(holder_name) {
            let dir = text(&root.join(&name));
            let arguments = ["init", "--name", &name, "--dir", &dir, "--coordinator", &address];
            run_to_end("holder", &arguments)?;
            requests.push(text(&root.join(&name).join("request.json")));
        }
        for name in (1..=parts.len()).map(owner_name) {
            run_to_end("client", &["init", "--name", &name, "--dir", &text(&root.join(&name))])?;
            requests.push(text(&root.join(&name).join("request.json")));
        }
        let dir = text(&coordinator);
        let mut enrol = vec!["enrol", "--dir", &dir];
        enrol.extend(requests.iter().map(String::as_str));
        run_to_end("coordinator", &enrol)?;

        let roster_path = coordinator.join("roster.json");
        let settings = |error: std::io::Error| format!("{}: {error}", root.display());
        fs::write(coordinator.join("plan.toml"), plan).map_err(settings)?;
        test.write(&coordinator.join("test")).map_err(settings)?;
        let validation_data = validation_data(&coordinator, pool.as_ref()).map_err(settings)?;
        let text = coordinator_toml(&address, &test.declared("test"), &validation_data);
        fs::write(coordinator.join("coordinator.toml"), text).map_err(settings)?;
        for name in (1..=HOLDERS).map(holder_name) {
            let home = root.join(&name);
            receive(&coordinator, &roster_path, &home, &name).map_err(settings)?;
            let validation_data = validation_data_of_holder(&home, pool.as_ref());
            validation_data.map_err(settings)?;
        }
        for (i, part) in parts.iter().enumerate() {
            let name = owner_name(i + 1);
            let home = root.join(&name);
            receive(&coordinator, &roster_path, &home, &name).map_err(settings)?;
            part.rows.write(&home.join("data")).map_err(settings)?;
            // No fallback: what such an owner contributes comes from the card.
            let device = if i < cuda_owners as usize { "cuda:0" } else { "cpu" };
            let text = client_toml(&address, device, &part.rows.declared("data"));
            fs::write(home.join("client.toml"), text).map_err(settings)?;
            fs::write(home.join("policy.toml"), policy_toml()).map_err(settings)?;
        }
        let roster = read_roster(&roster_path).map_err(|error| error.to_string())?;
        let roles = parts.iter().map(|part| part.role).collect();
        Ok(Self { root: root.to_owned(), roster, roles })
    }

    /// An owner's number, from 1, by its key.
    pub(crate) fn owner_number(&self, id: &PartyId) -> Option<usize> {
        let name = self.roster.member(id)?.name.to_string();
        (1..=self.roles.len()).find(|number| owner_name(*number) == name)
    }

    /// Where rounds are published.
    pub(crate) fn published(&self) -> PathBuf {
        self.root.join("coordinator").join("state").join("published")
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

/// Takes home what the operator hands out: the certificate, the authority and the roster.
fn receive(coordinator: &Path, roster: &Path, home: &Path, name: &str) -> std::io::Result<()> {
    let issued = coordinator.join("issued").join(name);
    for file in ["member.pem", "authority.pem"] {
        fs::copy(issued.join(file), home.join(file))?;
    }
    fs::copy(roster, home.join("roster.json"))?;
    Ok(())
}

/// A UDP port of loopback that was free a moment ago.
fn free_address() -> Result<String, String> {
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    socket.local_addr().map(|address| address.to_string()).map_err(|error| error.to_string())
}

/// Writes a copy of the pool into a party's folder; the setting that declares it there.
fn validation_data(home: &Path, pool: Option<&Pool>) -> std::io::Result<String> {
    let Some(pool) = pool else { return Ok(String::new()) };
    pool.rows.write(&home.join("pool"))?;
    Ok(format!("validation_data = {}\n", pool.rows.declared("pool")))
}

/// The same for a holder, whose `init` wrote its settings.
fn validation_data_of_holder(home: &Path, pool: Option<&Pool>) -> std::io::Result<()> {
    let setting = validation_data(home, pool)?;
    let path = home.join("holder.toml");
    let settings = fs::read_to_string(&path)?;
    fs::write(path, settings + &setting)
}

fn coordinator_toml(address: &str, test_data: &str, validation_data: &str) -> String {
    format!(
        "listen = \"{address}\"\nplan = \"plan.toml\"\ntest_data = {test_data}\n\
         {validation_data}\n[rounds]\nresend_ms = 500\n"
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
        "schema = \"policy/1\"\n[limits]\nmax_rounds = {ROUNDS_MAX}\n[require]\nmin_cohort = 3\n\
         [allow]\npurposes = [\"Learn to *\"]\n"
    )
}
