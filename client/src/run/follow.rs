//! Watch and wait: a run as it goes on, over as many links as it takes.

use std::time::Duration;

use covey_aggregation::net::LinkError;
use covey_aggregation::party::Name;
use covey_aggregation::program::answer::{note, print_line};
use covey_aggregation::program::{Exit, Failure, Format, Stop};
use covey_aggregation::research::{FromResearcher, RunState, ToResearcher};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Config;
use super::talk::{Talk, out_of_turn, refused};
use super::view::{RoundView, RunView};

/// Something that a watcher sees.
enum Seen {
    Run(Box<RunView>),
    Round(Box<RoundView>),
}

/// Tells how a run goes on, until it is over.
///
/// # Errors
/// [`Failure`]: there is no link, or no such run. For programs that is told here, as the last line.
pub(super) async fn watch(
    config: &Config,
    run: &Name,
    format: Format,
    stop: Stop,
) -> Result<Exit, Failure> {
    match (tell_all(config, run, format, stop).await, format) {
        (Err(Failure { exit, code, message, help, .. }), Format::Json) => {
            let error = json!({ "code": code, "message": message, "hint": help });
            let last = json!({
                "schema_version": 1, "status": "error", "terminal": true, "error": error,
            });
            print_line(&last.to_string());
            Ok(exit)
        }
        (ended, _) => ended,
    }
}

async fn tell_all(
    config: &Config,
    run: &Name,
    format: Format,
    mut stop: Stop,
) -> Result<Exit, Failure> {
    let mut talk = Talk::open(config).await?;
    let mut last = None;
    let followed = follow(&mut talk, run, |seen| {
        match seen {
            Seen::Round(round) => show("round", &*round, &round.to_string(), format),
            Seen::Run(run) => {
                let text = run.line();
                // The last one is told below, with how it ended.
                if !run.is_over && last.as_ref() != Some(&text) {
                    show("run", &*run, &text, format);
                }
                last = Some(text);
            }
        }
        false
    });
    let ended = tokio::select! {
        ended = followed => ended?,
        signal = stop.draining() => {
            note("the run goes on; watch it again: covey-client run watch");
            let exit: Exit = signal.into();
            if format == Format::Json {
                print_line(&line("left", &json!({ "exit": exit.status() }), true));
            }
            return Ok(exit);
        }
    };
    let exit = exit_of(ended.state);
    match format {
        Format::Json => print_line(&line("run", &ended, true)),
        Format::Text => print_line(&ended.line()),
    }
    Ok(exit)
}

/// Waits until a run is over.
///
/// # Errors
/// [`Failure`]: there is no link, the time is over, or the run did not end well or is held.
pub(super) async fn wait(
    config: &Config,
    run: &Name,
    limit: Option<Duration>,
    mut stop: Stop,
) -> Result<RunView, Failure> {
    let waiting = async {
        let mut talk = Talk::open(config).await?;
        let is_held = |seen| matches!(seen, Seen::Run(run) if run.state == RunState::Held);
        follow(&mut talk, run, is_held).await
    };
    let limited = async {
        match limit {
            None => waiting.await,
            Some(limit) => timeout(limit, waiting).await.unwrap_or_else(|_| {
                let what = format!("run {run} is not over after {} s", limit.as_secs_f32());
                Err(Failure::new(Exit::TimedOut, "TIMED_OUT", what)
                    .with_help("the run goes on; covey-client run show says what it waits for"))
            }),
        }
    };
    let ended = tokio::select! {
        ended = limited => ended?,
        signal = stop.draining() => {
            return Err(Failure::new(signal.into(), "STOPPED", "no longer waiting; the run goes on"));
        }
    };
    let (code, help) = match ended.state {
        RunState::Done => return Ok(ended),
        RunState::Held => ("RUN_HELD", "see to what it waits for, then: covey-client run resume"),
        RunState::Diverged => {
            ("RUN_DIVERGED", "its last good model stands: covey-client run export")
        }
        RunState::Stopped => {
            ("RUN_STOPPED", "its rounds stand; submit the plan under another name")
        }
        RunState::Refused => ("PLAN_REFUSED", "mend the plan and submit it again"),
        _ => ("RUN_FAILED", "covey-client run show tells its rounds"),
    };
    let details = serde_json::to_value(&ended).unwrap_or_default();
    let failure = Failure::new(exit_of(ended.state), code, ended.line());
    Err(failure.with_help(help).with_details(json!({ "run": details })))
}

/// How a program ends that saw a run end so.
const fn exit_of(state: RunState) -> Exit {
    match state {
        RunState::Done => Exit::Done,
        RunState::Refused => Exit::BadInput,
        RunState::Held => Exit::TimedOut,
        _ => Exit::Failed,
    }
}

/// Follows a run until it is over, or `is_enough`.
async fn follow(
    talk: &mut Talk,
    run: &Name,
    mut is_enough: impl FnMut(Seen) -> bool,
) -> Result<RunView, Failure> {
    let (mut after, mut last) = (0, None);
    // By its digest from the first answer on: names of refused plans are given again.
    let mut run = run.clone();
    loop {
        let request = FromResearcher::Watch { run: run.clone(), after };
        let lost = match talk.say(&request).await {
            Ok(()) => loop {
                match talk.next().await {
                    Ok(ToResearcher::Round(line)) => {
                        after = line.round;
                        is_enough(Seen::Round(Box::new(RoundView::of(*line))));
                    }
                    Ok(ToResearcher::Run(status)) => {
                        let view = RunView::of(*status);
                        if let Ok(digest) = view.run.parse() {
                            run = digest;
                        }
                        if is_enough(Seen::Run(Box::new(view.clone()))) {
                            return Ok(view);
                        }
                        last = Some(view);
                    }
                    Ok(ToResearcher::End) => return last.ok_or_else(out_of_turn),
                    Ok(ToResearcher::Refused(refusal)) => return Err(refused(&refusal)),
                    Ok(_) => return Err(out_of_turn()),
                    Err(lost) => break lost,
                }
            },
            Err(_) => LinkError::Truncated,
        };
        talk.reopen(&lost).await?;
    }
}

fn show(event: &str, view: &impl Serialize, text: &str, format: Format) {
    print_line(&match format {
        Format::Json => line(event, view, false),
        Format::Text => text.to_owned(),
    });
}

/// A line for programs.
pub(super) fn line(event: &str, view: &impl Serialize, is_last: bool) -> String {
    let mut line = json!({ "schema_version": 1, "event": event, "data": view });
    if let (true, Value::Object(fields)) = (is_last, &mut line) {
        fields.insert("terminal".to_owned(), Value::Bool(true));
    }
    line.to_string()
}
