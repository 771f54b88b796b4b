//! A program as a service of systemd: the unit is written, everything that was written is told, and
//! nothing is started.

mod command;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::net::{FileError, files};

use super::{Exit, Failure};

pub use command::{Place, Program, ServiceCommand, Unit};

/// Bytes of a unit that are read at most.
const UNIT_BYTES_MAX: u64 = 64 * 1024;

/// The first line of every unit that is written here: no other one is replaced or removed.
const MARK: &str = "# Written by covey; remove it with `service uninstall`.";

/// Whose service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The machine's: started when it boots, as the owner of the member's folder.
    System,
    /// One user's: started when that user logs in (or at boot, with `loginctl enable-linger`).
    User,
}

/// What a service runs, and what it may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The unit's name without `.service`, such as `covey-client`.
    pub name: String,
    /// What it is, in a few words.
    pub description: String,
    /// The program and its arguments, the first two being absolute paths where they are paths.
    pub command: Vec<String>,
    /// Folders that it writes to.
    pub writes: Vec<PathBuf>,
    /// Whether it uses a graphics card: then devices and just-in-time code are not closed to it.
    pub uses_gpu: bool,
    /// Seconds that it may take to drain.
    pub drain_seconds: u32,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// Every file that was written, or removed, or would be.
    pub paths: Vec<PathBuf>,
    /// What was done to them: `written`, `removed`, `shown`.
    pub done: &'static str,
    /// The unit's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What to run next.
    pub next: Vec<String>,
}

impl Service {
    /// The unit's text; `user` is who runs it, as numbers of user and group, for the system's scope.
    #[must_use]
    pub fn unit(&self, scope: Scope, user: Option<(u32, u32)>) -> String {
        let command: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        let mut text = format!(
            "{MARK}\n[Unit]\nDescription={}\nAfter=network-online.target\n\
             Wants=network-online.target\n\n[Service]\nType=exec\nExecStart={}\n",
            self.description.replace('%', "%%"),
            command.join(" "),
        );
        if let (Scope::System, Some((user, group))) = (scope, user) {
            text += &format!("User={user}\nGroup={group}\n");
        }
        text += &format!(
            "# SIGTERM drains, which may take a while; the codes are those of --help.\n\
             KillSignal=SIGTERM\nTimeoutStopSec={}\nSuccessExitStatus=130 143\n\
             Restart=on-failure\nRestartSec=10\nRestartPreventExitStatus=2 5 6\n\n",
            self.drain_seconds
        );
        text += HARDENED;
        if !self.uses_gpu {
            text += "MemoryDenyWriteExecute=yes\n";
        }
        if scope == Scope::System {
            text += HARDENED_SYSTEM;
            if !self.uses_gpu {
                text += "PrivateDevices=yes\n";
            }
            for folder in &self.writes {
                text += &format!("ReadWritePaths={}\n", quoted(&folder.display().to_string()));
            }
        }
        let target = match scope {
            Scope::System => "multi-user.target",
            Scope::User => "default.target",
        };
        text += &format!("\n[Install]\nWantedBy={target}\n");
        text
    }

    /// Writes the unit, or with `is_only_shown` nothing.
    ///
    /// # Errors
    /// [`Failure`]; also when a unit of this name is there that was not written here.
    pub fn install(
        &self,
        scope: Scope,
        folder: &Path,
        (user, is_only_shown): (Option<(u32, u32)>, bool),
    ) -> Result<Installed, Failure> {
        let path = self.path(folder);
        let unit = self.unit(scope, user);
        let next =
            vec![control(scope, "daemon-reload", ""), control(scope, "enable --now", &self.name)];
        if is_only_shown {
            return Ok(Installed { paths: vec![path], done: "shown", unit: Some(unit), next });
        }
        if path.exists() {
            own(&path)?;
        }
        let made = std::fs::create_dir_all(folder)
            .map_err(|source| FileError::Write { path: folder.to_owned(), source });
        made.and_then(|()| files::write_durably(&path, unit.as_bytes()))
            .map_err(|error| written_by_root(&error, scope))?;
        Ok(Installed { paths: vec![path], done: "written", unit: None, next })
    }

    /// Removes the unit, or with `is_only_shown` nothing. The member's folder is left as it is.
    ///
    /// # Errors
    /// [`Failure`]; also when there is none, or one that was not written here.
    pub fn uninstall(
        &self,
        scope: Scope,
        folder: &Path,
        is_only_shown: bool,
    ) -> Result<Installed, Failure> {
        let path = self.path(folder);
        let unit = own(&path)?;
        let next =
            vec![control(scope, "disable --now", &self.name), control(scope, "daemon-reload", "")];
        if is_only_shown {
            return Ok(Installed { paths: vec![path], done: "shown", unit: Some(unit), next });
        }
        files::remove_durably(&path).map_err(|error| written_by_root(&error, scope))?;
        Ok(Installed { paths: vec![path], done: "removed", unit: None, next })
    }

    fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.service", self.name))
    }
}

/// Filters of system calls and of what the program may become: any user may ask for them.
const HARDENED: &str = "UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
";

/// What only the system's own systemd can do: a view of the machine in which there is nothing to
/// write to but the folders that are named.
const HARDENED_SYSTEM: &str = "CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
";

/// The text of a unit that was written here.
fn own(path: &Path) -> Result<String, Failure> {
    let bad = |what: String| Failure::new(Exit::BadInput, "UNIT", what);
    let text = files::read_text(path, UNIT_BYTES_MAX).map_err(|error| bad(error.to_string()))?;
    if text.starts_with(MARK) {
        return Ok(text);
    }
    let what = format!("{} was not written by this program, and is left alone", path.display());
    Err(bad(what).with_help("choose another name with --name, or move that file away"))
}

fn written_by_root(error: &FileError, scope: Scope) -> Failure {
    let failure = Failure::file(error);
    match scope {
        Scope::System => {
            failure.with_help("run it as root (sudo), or use --user; --print only shows")
        }
        Scope::User => failure,
    }
}

fn control(scope: Scope, verb: &str, name: &str) -> String {
    let scope = match scope {
        Scope::System => "",
        Scope::User => "--user ",
    };
    format!("systemctl {scope}{verb} {name}").trim_end().to_owned()
}

/// A word as systemd reads it (systemd.service(5), "Command lines").
fn quoted(word: &str) -> String {
    let word = word.replace('\\', "\\\\").replace('%', "%%").replace('$', "$$");
    let is_plain = |c: char| !c.is_whitespace() && !"\"';".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word;
    }
    format!("\"{}\"", word.replace('"', "\\\""))
}

impl fmt::Display for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(unit) = &self.unit {
            writeln!(f, "{unit}")?;
        }
        for path in &self.paths {
            match self.done {
                "shown" => writeln!(f, "not touched: {}", path.display())?,
                done => writeln!(f, "{done}  {}", path.display())?,
            }
        }
        writeln!(f, "Nothing was started or stopped. Next:")?;
        write!(f, "  {}", self.next.join("\n  "))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn service(command: &[&str]) -> Service {
        Service {
            name: "covey-client".to_owned(),
            description: "A data owner, 100 % at home".to_owned(),
            command: command.iter().map(ToString::to_string).collect(),
            writes: vec!["/srv/st marys/state".into()],
            uses_gpu: false,
            drain_seconds: 90,
        }
    }

    #[test]
    fn a_unit_is_installed_and_removed_and_no_other_file_is_touched() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let units = folder.path().join("units");
        let service = service(&["/bin/true", "start"]);
        let shown = service.install(Scope::User, &units, (None, true)).expect("shown");
        assert!(!units.exists(), "nothing is written");
        let installed = service.install(Scope::User, &units, (None, false)).expect("installed");
        let path = units.join("covey-client.service");
        assert_eq!(installed.paths, std::slice::from_ref(&path));
        assert_eq!(std::fs::read_to_string(&path).ok(), shown.unit);
        assert!(installed.to_string().contains("systemctl --user enable --now covey-client"));
        service.install(Scope::User, &units, (None, false)).expect("its own is replaced");
        service.uninstall(Scope::User, &units, false).expect("removed");
        assert!(!path.exists());
        std::fs::write(&path, "[Unit]\n").expect("written");
        for refused in [
            service.install(Scope::User, &units, (None, false)),
            service.uninstall(Scope::User, &units, false),
        ] {
            assert_eq!(refused.expect_err("somebody else's").code, "UNIT");
        }
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "[Unit]\n");
    }

    #[test]
    fn the_systems_unit_can_write_nowhere_else_and_the_users_asks_for_nothing_it_cannot_have() {
        let service = service(&["/opt/covey client", "start", "--config", "/srv/$x/100%.toml"]);
        let system = service.unit(Scope::System, Some((1000, 1001)));
        for line in [
            "ExecStart=\"/opt/covey client\" start --config /srv/$$x/100%%.toml",
            "User=1000",
            "Group=1001",
            "ProtectSystem=strict",
            "NoNewPrivileges=yes",
            "MemoryDenyWriteExecute=yes",
            "PrivateDevices=yes",
            "ReadWritePaths=\"/srv/st marys/state\"",
            "RestartPreventExitStatus=2 5 6",
            "WantedBy=multi-user.target",
        ] {
            assert!(system.lines().any(|one| one == line), "{line} in\n{system}");
        }
        let user = service.unit(Scope::User, None);
        for part in ["User=", "ProtectSystem", "PrivateDevices", "ReadWritePaths"] {
            assert!(!user.contains(part), "{part} in\n{user}");
        }
        let with_card = Service { uses_gpu: true, ..service }.unit(Scope::System, None);
        assert!(!with_card.contains("PrivateDevices") && !with_card.contains("MemoryDeny"));
    }

    /// Where systemd's own check is installed, it has nothing to say about the units.
    #[test]
    fn systemd_accepts_the_units() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (scope, user) in [(Scope::System, Some((0, 0))), (Scope::User, None)] {
            let service = service(&["/bin/true", "a b"]);
            service.install(scope, folder.path(), (user, false)).expect("installed");
            let path = folder.path().join("covey-client.service");
            let mut command = Command::new("systemd-analyze");
            // What a user's systemd wants before it looks at anything.
            command.env("XDG_RUNTIME_DIR", folder.path());
            if scope == Scope::User {
                command.arg("--user");
            }
            match command.arg("verify").arg(&path).output() {
                Ok(output) => {
                    let said = String::from_utf8_lossy(&output.stderr);
                    let ours: Vec<_> =
                        said.lines().filter(|line| line.contains("covey-client")).collect();
                    assert!(output.status.success() && ours.is_empty(), "{scope:?}: {said}");
                }
                Err(error) => eprintln!("not checked by systemd-analyze: {error}"),
            }
        }
    }
}
