//! The run itself: starts the processes, follows what the coordinator tells, makes one owner and
//! one key holder fail, and brings them back.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use covey_aggregation::message::Phase;
use covey_coordinator::event::{Event, RoundSummary, RunSummary};
use serde_json::Value;

use crate::args::Args;
use crate::federation::{Federation, HOLDERS, holder_name, owner_name};
use crate::plan::minimum;
use crate::process::{MemoryWatch, Process};
use crate::screen::Screen;
use crate::tap;

/// Longest time without a word from the coordinator before the demo gives up. Its own deadlines
/// are far shorter, except for training on other data.
const SILENCE_MAX: Duration = Duration::from_secs(3600);

/// How often the demo looks whether the vanishing owner has trained.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What failed on purpose, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accidents {
    /// The owner that vanishes, and its round.
    pub(crate) owner: Option<(usize, u32)>,
    /// The holder that is killed, and its round.
    pub(crate) holder: Option<(usize, u32)>,
}

impl Accidents {
    /// An honest owner in the third tenth of the run, a holder in the sixth; fewer in short runs and
    /// in runs that could not do without the owner, or in which the others would wait for it long.
    pub(crate) fn plan(args: &Args, is_credited: bool) -> Self {
        let owners = args.owners();
        let is_spared = owners > minimum(owners, is_credited, args.training);
        let owner = (args.rounds >= 2 && is_spared && args.cuda_owners == 0)
            .then(|| (args.clients as usize / 2 + 1, (args.rounds * 3 / 10).max(2)));
        let holder = (args.rounds >= 3).then(|| (2, (args.rounds * 6 / 10).max(3)));
        Self { owner, holder }
    }
}

/// What the coordinator told in the end.
pub(crate) struct Ending {
    pub(crate) rounds: Vec<RoundSummary>,
    pub(crate) run: RunSummary,
    pub(crate) seconds: f64,
}

/// The processes of a federation at work.
pub(crate) struct Story<'a> {
    federation: &'a Federation,
    accidents: &'a Accidents,
    screen: &'a mut Screen,
    memory: &'a MemoryWatch,
    coordinator: Process,
    events: Receiver<String>,
    holders: Vec<Process>,
    owners: Vec<Process>,
    rounds: Vec<RoundSummary>,
    started: Instant,
}

impl<'a> Story<'a> {
    /// Starts everybody.
    pub(crate) fn start(
        federation: &'a Federation,
        accidents: &'a Accidents,
        screen: &'a mut Screen,
        memory: &'a MemoryWatch,
    ) -> Result<Self, String> {
        let home = federation.root.join("coordinator");
        let config = home.join("coordinator.toml").display().to_string();
        let arguments = ["serve", "--config", &config, "--json"];
        let log = home.join("log.txt");
        let (coordinator, events) = Process::start("coordinator", &arguments, &log, true)
            .map_err(|error| format!("cannot start the coordinator: {error}"))?;
        memory.add(&coordinator);
        let events = events.ok_or("the coordinator has no output")?;
        if let Some((owner, round)) = accidents.owner {
            let folder = tap_folder(federation, owner);
            fs::create_dir_all(&folder)
                .and_then(|()| fs::write(tap::vanishing(&folder, round), []))
                .map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let mut story = Self {
            federation,
            accidents,
            screen,
            memory,
            coordinator,
            events,
            holders: Vec::new(),
            owners: Vec::new(),
            rounds: Vec::new(),
            started: Instant::now(),
        };
        story.listening()?;
        story.screen.note("the key holders join by invite, and make up the committee");
        federation.join_holders()?;
        for number in 1..=HOLDERS {
            let holder = story.start_holder(number)?;
            story.holders.push(holder);
        }
        story.screen.note("the data owners join by invite, and a quorum of the holders signs each");
        federation.join_owners()?;
        story.started = Instant::now();
        for number in 1..=federation.roles.len() {
            let owner = story.start_owner(number)?;
            story.owners.push(owner);
        }
        Ok(story)
    }

    /// Waits until members can dial in.
    fn listening(&mut self) -> Result<(), String> {
        while !matches!(read_event(&self.next_line()?)?, Event::Listening { .. }) {}
        Ok(())
    }

    /// Follows the run to its end.
    pub(crate) fn follow(mut self) -> Result<Ending, String> {
        let run = loop {
            let line = self.next_line()?;
            let event = read_event(&line)?;
            self.screen.event(&event);
            match event {
                Event::Phase { round, phase: Phase::Collect, .. } => self.accident(round)?,
                Event::Round(summary) => {
                    self.bring_back(summary.round)?;
                    self.rounds.push(*summary);
                }
                Event::Finished(run) => break run,
                _ => {}
            }
        };
        let seconds = self.started.elapsed().as_secs_f64();
        self.coordinator.wait_or_kill();
        Ok(Ending { rounds: self.rounds, run, seconds })
    }

    /// The coordinator's next line; kills the vanishing owner as soon as it has trained.
    fn next_line(&mut self) -> Result<String, String> {
        let waiting_since = Instant::now();
        loop {
            match self.events.recv_timeout(LOOK_EVERY) {
                Ok(line) => return Ok(line),
                Err(RecvTimeoutError::Timeout) if waiting_since.elapsed() < SILENCE_MAX => {
                    self.vanish()?;
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("no word from the coordinator for {SILENCE_MAX:?}"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.coordinator.ended();
                    let status = status.map_or_else(String::new, |status| status.to_string());
                    let words = self.coordinator.last_words();
                    return Err(format!("the coordinator stopped ({status}):\n  {words}"));
                }
            }
        }
    }

    /// Kills the owner that is to vanish once it has trained and before it has sent anything.
    fn vanish(&mut self) -> Result<(), String> {
        let Some((number, round)) = self.accidents.owner else { return Ok(()) };
        let folder = tap_folder(self.federation, number);
        let order = tap::vanishing(&folder, round);
        if tap::path(&folder, round).exists() && order.exists() {
            self.owners[number - 1].kill();
            fs::remove_file(&order).map_err(|error| format!("{}: {error}", order.display()))?;
            self.screen.note(&format!(
                "round {round}: {} is killed, trained but nothing sent",
                owner_name(number)
            ));
        }
        Ok(())
    }

    /// Kills the holder whose round this is.
    fn accident(&mut self, now: u32) -> Result<(), String> {
        if let Some((number, round)) = self.accidents.holder
            && round == now
        {
            self.holders[number - 1].kill();
            self.screen.note(&format!("round {round}: {} is killed", holder_name(number)));
        }
        self.vanish()
    }

    /// Starts again whoever failed in the round that ended.
    fn bring_back(&mut self, ended: u32) -> Result<(), String> {
        if let Some((number, round)) = self.accidents.owner
            && round == ended
        {
            self.owners[number - 1] = self.start_owner(number)?;
            self.screen.note(&format!("{} is back", owner_name(number)));
        }
        if let Some((number, round)) = self.accidents.holder
            && round == ended
        {
            self.holders[number - 1] = self.start_holder(number)?;
            self.screen.note(&format!("{} is back", holder_name(number)));
        }
        Ok(())
    }

    fn start_holder(&self, number: usize) -> Result<Process, String> {
        let name = holder_name(number);
        let home = self.federation.root.join(&name);
        let config = home.join("holder.toml").display().to_string();
        self.start_member(&name, "holder", &["serve", "--config", &config])
    }

    fn start_owner(&self, number: usize) -> Result<Process, String> {
        let name = owner_name(number);
        let home = self.federation.root.join(&name);
        let config = home.join("client.toml").display().to_string();
        let tap = tap_folder(self.federation, number).display().to_string();
        self.start_member(&name, "observed-client", &[&tap, &config])
    }

    fn start_member(&self, name: &str, role: &str, arguments: &[&str]) -> Result<Process, String> {
        let log = self.federation.root.join(name).join("log.txt");
        let (process, _) = Process::start(role, arguments, &log, false)
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        self.memory.add(&process);
        Ok(process)
    }
}

/// An event, or why the coordinator gave up.
fn read_event(line: &str) -> Result<Event, String> {
    serde_json::from_str(line).map_err(|error| {
        let value: Value = serde_json::from_str(line).unwrap_or_default();
        match value["error"]["message"].as_str() {
            Some(message) => format!("the coordinator gave up: {message}"),
            None => format!("the coordinator wrote {line:?}: {error}"),
        }
    })
}

/// Where the demo keeps an owner's updates in the clear, for the reference.
pub(crate) fn tap_folder(federation: &Federation, owner: usize) -> PathBuf {
    federation.root.join("reference").join(owner_name(owner))
}
