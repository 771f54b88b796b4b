//! Two networks of their own, joined by a wire: a coordinator's and everybody else's. Made with Linux's
//! network namespaces by `ip` (iproute2), which takes root.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use super::Who;

/// Where the coordinator is; everybody else is at `10.77.0.1`.
const COORDINATOR: &str = "10.77.0.2:7443";

/// Names of both namespaces; they go when it is dropped.
pub(crate) struct Network {
    coordinator: String,
    members: String,
}

impl Network {
    /// None where there may be none: that is said, past what captures a test's output, and is a
    /// failure where `COVEY_REQUIRE_NETWORK` is set.
    pub(crate) fn new() -> Option<Self> {
        let name = |of: &str| format!("covey-{}-{of}", std::process::id());
        let network = Self { coordinator: name("operator"), members: name("members") };
        match network.make() {
            Ok(()) => Some(network),
            Err(why) => {
                let said = format!(
                    "NOT TESTED, UDP that is blocked: there can be no network namespace here ({why})\n"
                );
                std::io::stderr().write_all(said.as_bytes()).expect("said");
                assert!(std::env::var_os("COVEY_REQUIRE_NETWORK").is_none(), "{said}");
                None
            }
        }
    }

    fn make(&self) -> Result<(), String> {
        let Self { coordinator, members } = self;
        ip(&["netns", "add", coordinator])?;
        ip(&["netns", "add", members])?;
        let wire = ["link", "add", "wire", "netns", members, "type", "veth", "peer", "name"];
        ip(&[&wire[..], &["wire", "netns", coordinator]].concat())?;
        for (namespace, address) in [(members, "10.77.0.1/24"), (coordinator, "10.77.0.2/24")] {
            ip(&["-n", namespace, "addr", "add", address, "dev", "wire"])?;
            ip(&["-n", namespace, "link", "set", "wire", "up"])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        Ok(())
    }

    /// From now on UDP that comes to the coordinator's network is dropped, and nobody is told.
    pub(crate) fn block_udp(&self) {
        let rule = |words: &[&str]| {
            let done = ip(&[&["-n", &self.coordinator, "rule"], words].concat());
            done.unwrap_or_else(|why| panic!("{why}"));
        };
        rule(&["add", "pref", "10", "iif", "wire", "ipproto", "udp", "blackhole"]);
        // What is for this machine is looked up before everything else, unless that comes later.
        rule(&["add", "pref", "100", "lookup", "local"]);
        rule(&["del", "pref", "0"]);
    }

    pub(crate) fn coordinator_address(&self) -> String {
        COORDINATOR.to_owned()
    }

    /// A program of somebody in its network; the process that is started becomes the program.
    pub(crate) fn command(&self, who: Who, program: &Path) -> Command {
        let namespace = if who == Who::Coordinator { &self.coordinator } else { &self.members };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program);
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.coordinator, &self.members] {
            // There may be none.
            let _ = ip(&["netns", "del", namespace]);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let command = arguments.join(" ");
    output.status.success().then_some(()).ok_or_else(|| format!("ip {command}: {}", said.trim()))
}
