//! A line to the coordinator that is there again after every loss: one task that dials, reads and
//! writes, so that a program's main loop never waits for the network.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::net::{Bulk, Dialer, Link, LinkError, Way};

/// Messages waiting in either direction. A full queue slows the other side down, nothing more.
const QUEUE_MESSAGES: usize = 256;

/// How long closing may take.
const CLOSE: Duration = Duration::from_secs(5);

/// What happens on a line.
#[derive(Debug)]
pub enum LineEvent<In, Out> {
    /// There is a link.
    Linked(Linked<Out>),
    /// The coordinator says something.
    Message(In),
    /// There is no link any more; dialling goes on.
    Lost(LinkError),
    /// An attempt failed; the next one is after this wait.
    Retry(LinkError, Duration),
    /// There will be no link before a person does something.
    Failed(LinkError),
}

/// A link that is there until [`LineEvent::Lost`].
#[derive(Debug)]
pub struct Linked<Out> {
    /// The coordinator's address.
    pub address: String,
    /// What carries it.
    pub way: Way,
    /// The version of the protocol.
    pub version: u16,
    /// Messages to it. What is not sent when the link is lost is dropped.
    pub messages: mpsc::Sender<Out>,
    /// Bulk transfer.
    pub bulk: Bulk,
}

/// A line to the coordinator.
pub struct Line<In, Out> {
    events: mpsc::Receiver<LineEvent<In, Out>>,
    task: JoinHandle<()>,
}

impl<In, Out> Line<In, Out>
where
    In: Serialize + DeserializeOwned + Send + 'static,
    Out: Serialize + Send + Sync + 'static,
{
    /// Begins to dial. Must be called within a tokio runtime.
    #[must_use]
    pub fn open(dialer: Dialer) -> Self {
        let (sender, events) = mpsc::channel(QUEUE_MESSAGES);
        let task = tokio::spawn(async move {
            let mut dialer = dialer;
            tokio::select! {
                () = sender.closed() => {}
                () = run(&mut dialer, &sender) => {}
            }
            dialer.close().await;
        });
        Self { events, task }
    }

    /// Waits for the next event; cancel-safe. `None` after [`LineEvent::Failed`].
    pub async fn event(&mut self) -> Option<LineEvent<In, Out>> {
        self.events.recv().await
    }

    /// Ends the line and tells the coordinator. Messages in the queue are dropped: first drop
    /// every [`Linked::messages`] and wait for [`LineEvent::Lost`] to have them sent.
    pub async fn close(self) {
        drop(self.events);
        // A line that does not close in time is closed by the end of the program.
        let _ = timeout(CLOSE, self.task).await;
    }
}

async fn run<In, Out>(dialer: &mut Dialer, events: &mpsc::Sender<LineEvent<In, Out>>)
where
    In: Serialize + DeserializeOwned,
    Out: Serialize + Send + Sync + 'static,
{
    loop {
        // `try_send`: nobody needs every failure of a coordinator that is away for long.
        let retry = |error: LinkError, wait| drop(events.try_send(LineEvent::Retry(error, wait)));
        let link = match dialer.connect(retry).await {
            Ok(link) => link,
            Err(error) => {
                // Nobody hears it only when the program has ended.
                let _ = events.send(LineEvent::Failed(error)).await;
                return;
            }
        };
        let error = carry(link, events).await;
        if events.send(LineEvent::Lost(error)).await.is_err() {
            return;
        }
    }
}

/// Carries messages both ways until the link ends, or until nobody wants to send any more and
/// everything has left.
async fn carry<In, Out>(link: Link, events: &mpsc::Sender<LineEvent<In, Out>>) -> LinkError
where
    In: Serialize + DeserializeOwned,
    Out: Serialize + Send + Sync + 'static,
{
    let Link { mut sender, mut receiver, links, way, version, .. } = link;
    let (messages, mut queue) = mpsc::channel::<Out>(QUEUE_MESSAGES);
    let address = links.remote_address().to_string();
    let linked = Linked { address, way, version, messages, bulk: links.bulk() };
    if events.send(LineEvent::Linked(linked)).await.is_err() {
        return LinkError::ClosedHere;
    }
    let write = async {
        while let Some(message) = queue.recv().await {
            if let Err(error) = sender.send(&message).await {
                return error;
            }
        }
        match sender.finish().await {
            Ok(()) => LinkError::ClosedHere,
            Err(error) => error,
        }
    };
    let read = async {
        loop {
            match receiver.receive::<In>().await {
                Ok(Some(message)) => {
                    if events.send(LineEvent::Message(message)).await.is_err() {
                        return LinkError::ClosedHere;
                    }
                }
                Ok(None) => return LinkError::Truncated,
                Err(error) => return error,
            }
        }
    };
    tokio::select! {
        error = write => error,
        error = read => error,
    }
}
