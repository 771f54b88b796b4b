//! All programs at work on one run, and how it went.

use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::fault::Fault;
use super::{Federation, LOOK, PATIENCE, Process, Who};

/// How a run went in which something happened to somebody.
pub(crate) struct Story {
    /// Those that it happened to, as they were named.
    pub(crate) lives: Vec<Lives>,
    /// The coordinator's last line.
    pub(crate) finished: Value,
    /// The rounds' events, of the coordinator's lives in order.
    pub(crate) rounds: Vec<Value>,
    pub(crate) took: Duration,
}

/// The lives of somebody that something happened to.
#[derive(Default)]
pub(crate) struct Lives {
    /// How often it ended before its time, and with which status.
    pub(crate) ends: Vec<ExitStatus>,
    /// From each start after that until it served again.
    pub(crate) back: Vec<Duration>,
    /// What it said in each life.
    pub(crate) words: Vec<String>,
}

/// All programs at work.
pub(crate) struct Work<'a> {
    pub(crate) federation: &'a Federation,
    pub(crate) processes: Vec<Process>,
    ended_before: Vec<Process>,
}

impl<'a> Work<'a> {
    /// Starts everybody.
    pub(crate) fn start(federation: &'a Federation) -> Self {
        Self::start_with(federation, &[])
    }

    /// Likewise, with something happening to some.
    pub(crate) fn start_with(federation: &'a Federation, faults: &[(Who, Fault)]) -> Self {
        let everybody = [Who::Coordinator].into_iter().chain(federation.members());
        let processes = everybody.map(|who| match faults.iter().find(|(one, _)| *one == who) {
            Some((_, fault)) => federation.start_watched(who, Some(*fault)),
            None => federation.start(who),
        });
        Self { federation, processes: processes.collect(), ended_before: Vec::new() }
    }

    /// Starts everybody else beside a coordinator that is at work.
    pub(crate) fn around(federation: &'a Federation, coordinator: Process) -> Self {
        let members = federation.members().map(|who| federation.start(who));
        let processes = [coordinator].into_iter().chain(members).collect();
        Self { federation, processes, ended_before: Vec::new() }
    }

    /// Starts everybody with their calls counted.
    pub(crate) fn start_all_watched(federation: &'a Federation) -> Self {
        let everybody = [Who::Coordinator].into_iter().chain(federation.members());
        let processes = everybody.map(|who| federation.start_watched(who, None)).collect();
        Self { federation, processes, ended_before: Vec::new() }
    }

    pub(crate) fn process(&mut self, who: Who) -> &mut Process {
        self.processes.iter_mut().find(|one| one.who == who).expect("started")
    }

    /// Starts somebody again with the same command, after it has ended or is killed now.
    pub(crate) fn restart(&mut self, who: Who) {
        let place = self.processes.iter().position(|one| one.who == who).expect("started");
        self.processes[place].kill();
        let again = self.federation.start(who);
        self.ended_before.push(std::mem::replace(&mut self.processes[place], again));
    }

    /// Waits for the run's end. Whoever ends before it is started again with the same command: that
    /// may only be one of `victims`.
    pub(crate) fn finish(mut self, victims: &[Who]) -> Result<Story, String> {
        let began = Instant::now();
        let mut lives: Vec<Lives> = victims.iter().map(|_| Lives::default()).collect();
        loop {
            if began.elapsed() > PATIENCE {
                return Err(format!("not over in {PATIENCE:?}:\n{}", self.words()));
            }
            let mut ended =
                self.processes.iter_mut().filter_map(|one| Some((one.who, one.ended()?)));
            match ended.next() {
                Some((Who::Coordinator, status)) if status.success() => break,
                Some((who, status)) => {
                    let place = victims.iter().position(|victim| *victim == who);
                    let Some(place) = place.filter(|place| lives[*place].ends.len() < 5) else {
                        return Err(format!("{who} ended with {status}:\n{}", self.words()));
                    };
                    lives[place].ends.push(status);
                    self.restart(who);
                }
                None => thread::sleep(LOOK),
            }
        }
        let took = began.elapsed();
        self.processes.iter().for_each(|one| one.signal("-TERM"));
        for one in &mut self.processes {
            one.wait();
        }
        for (who, lives) in victims.iter().zip(&mut lives) {
            self.recall(*who, lives);
        }
        Ok(self.story(lives, took))
    }

    fn lives(&self, who: Who) -> impl Iterator<Item = &Process> {
        self.ended_before.iter().chain(&self.processes).filter(move |one| one.who == who)
    }

    fn recall(&self, victim: Who, lives: &mut Lives) {
        let again = self.lives(victim).skip(1);
        let back = again.filter_map(|one| Some(one.serving_since()?.duration_since(one.began)));
        lives.back = back.collect();
        lives.words = self.lives(victim).map(Process::words).collect();
    }

    fn story(&self, lives: Vec<Lives>, took: Duration) -> Story {
        let named = |name: &str, one: &Process| -> Vec<Value> {
            let said = one.said();
            let events = said.iter().filter_map(|(_, line)| serde_json::from_str(line).ok());
            events.filter(|event: &Value| event["event"] == name).collect()
        };
        let told = |name| self.lives(Who::Coordinator).flat_map(move |one| named(name, one));
        let finished = told("finished").last().unwrap_or_default();
        Story { lives, finished, rounds: told("round").collect(), took }
    }

    /// What everybody said, in every life.
    pub(crate) fn words(&self) -> String {
        let all = self.ended_before.iter().chain(&self.processes);
        all.map(|one| format!("  {}:\n{}", one.who, one.words())).collect()
    }
}
