//! The run at hand, as server-sent events (WHATWG HTML, section 9.2).

use std::convert::Infallible;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use tokio::sync::watch;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::WatchStream;
use utoipa::ToSchema;

use crate::source::Live;
use crate::text;

/// How often a line is sent where nothing changes, so that connections are not taken for dead.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// The run at hand, in words: the texts that stand on the page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Words {
    /// The name of the plan.
    pub(crate) run: String,
    /// `round 3 of 20`.
    pub(crate) round: String,
    /// What is being done.
    pub(crate) phase: String,
    /// `waiting for updates: 3 of 5`.
    pub(crate) waiting: String,
    /// `until 2026-11-28 22:00:00 UTC`.
    pub(crate) deadline: String,
}

/// What an event says.
#[derive(Serialize)]
struct State<'a> {
    #[serde(flatten)]
    live: &'a Live,
    words: Words,
}

impl Words {
    pub(crate) fn of(live: &Live) -> Self {
        let waiting = match (live.waiting_for.as_str(), live.need) {
            ("", _) => "waiting for nobody".to_owned(),
            (what, 0) => format!("waiting for {what}"),
            (what, need) => format!("waiting for {what}: {} of {need}", live.have),
        };
        let deadline = live.deadline_ms;
        Self {
            run: live.name.clone(),
            round: format!("round {} of {}", live.round, live.rounds),
            phase: live.phase.clone(),
            waiting,
            deadline: deadline.map_or_else(
                || "no deadline".to_owned(),
                |deadline_ms| format!("until {}", text::time(deadline_ms)),
            ),
        }
    }
}

/// Events from now on; the first is what is now, unless the reader has it (`Last-Event-ID`).
pub(crate) fn events(live: watch::Receiver<Live>, headers: &HeaderMap) -> Response {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let seen: Option<u64> = last.and_then(|text| text.parse().ok());
    let news = WatchStream::new(live).filter(move |live| Some(live.number) != seen);
    let events = news.map(|live| Ok::<_, Infallible>(event(&live)));
    Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)).into_response()
}

fn event(live: &Live) -> Event {
    let state = State { live, words: Words::of(live) };
    let event = Event::default().id(live.number.to_string()).event("state");
    // Strings and numbers: there is nothing that JSON cannot say.
    event.data(serde_json::to_string(&state).unwrap_or_default())
}
