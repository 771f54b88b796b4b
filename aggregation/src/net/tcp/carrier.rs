//! One TLS connection that carries one stream: a task that reads records, a task that writes them,
//! and the two halves that the rest of the program has.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::limits::{HANDSHAKE_MS, KEEP_ALIVE_MS};
use crate::net::error::{CloseReason, LinkError, of_tls};
use crate::net::streams::WriteError;
use crate::net::tcp::record::{self, BadRecord, DETAIL_BYTES_MAX, Kind, RECORD_BYTES_MAX};
use crate::wire::Malformed;

/// Records of data on their way between a task and a half: with [`RECORD_BYTES_MAX`] each, half a MiB
/// in each direction beside what the system holds.
const RECORDS_WAITING_MAX: usize = 8;

/// How long a connection that is closed may take to say so.
const CLOSING: Duration = Duration::from_secs(1);

/// How long a stream whose halves are gone may take to end in order.
const LINGER: Duration = Duration::from_millis(HANDSHAKE_MS);

/// How a connection ended.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    /// Everything was said.
    InOrder,
    /// Closed by this side.
    Here,
    /// Closed by the other side.
    There(u32, Vec<u8>),
    /// What came makes no sense.
    Malformed(Malformed),
    /// The other side's TLS says why.
    Refused(u8),
    /// Anything else.
    Lost(String),
}

impl Ended {
    pub(super) fn error(&self) -> LinkError {
        match self {
            Self::InOrder | Self::Here => LinkError::ClosedHere,
            Self::There(code, detail) => LinkError::closed_by_code(*code, detail),
            Self::Malformed(malformed) => malformed.clone().into(),
            Self::Refused(alert) => of_tls(*alert, "the other side refused the connection"),
            Self::Lost(what) => LinkError::Lost(what.clone()),
        }
    }

    fn of(bad: BadRecord) -> Self {
        match bad {
            BadRecord::Malformed(malformed) => Self::Malformed(malformed),
            BadRecord::Io(error) => Self::of_io(&error),
        }
    }

    fn of_io(error: &std::io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::AlertReceived(alert)) => Self::Refused((*alert).into()),
            _ => Self::Lost(error.to_string()),
        }
    }
}

/// What both tasks and both halves know of a connection.
pub(super) struct Life {
    ended: watch::Sender<Option<Ended>>,
    /// What the other side said of this side's stream.
    said: watch::Sender<Said>,
    /// What is to be written before any data.
    due: Mutex<Due>,
    wake: Notify,
    /// Halves that are gone.
    gone: watch::Sender<u8>,
    /// Whether the last record was written, or cannot be.
    written: watch::Sender<bool>,
}

#[derive(Clone, Copy, Default)]
struct Said {
    /// It wants no more.
    stopped: bool,
    /// It has all of it.
    arrived: bool,
    /// Its own has ended.
    ended: bool,
}

#[derive(Default)]
struct Due {
    arrived: bool,
    stop: bool,
    close: Option<Vec<u8>>,
}

impl Life {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            ended: watch::Sender::new(None),
            said: watch::Sender::new(Said::default()),
            due: Mutex::default(),
            wake: Notify::new(),
            gone: watch::Sender::new(0),
            written: watch::Sender::new(false),
        })
    }

    /// Ends it at once for this side, and tells the other.
    pub(super) fn close(&self, reason: CloseReason, detail: &[u8]) {
        let detail = &detail[..detail.len().min(DETAIL_BYTES_MAX)];
        let content = [&reason.code().to_le_bytes()[..], detail].concat();
        self.order(|due| {
            due.close.get_or_insert(content);
        });
        self.end(Ended::Here);
    }

    /// The first end counts.
    fn end(&self, how: Ended) {
        self.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            if is_first {
                *ended = Some(how);
            }
            is_first
        });
    }

    fn order(&self, what: impl FnOnce(&mut Due)) {
        what(&mut self.due.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_one();
    }

    /// Waits for the end.
    pub(super) async fn ended(&self) -> Ended {
        let mut ended = self.ended.subscribe();
        let how = ended.wait_for(Option::is_some).await.ok().and_then(|how| how.clone());
        // The sender is here.
        how.unwrap_or(Ended::Here)
    }

    /// The end, if there was one.
    pub(super) fn has_ended(&self) -> Option<Ended> {
        self.ended.borrow().clone()
    }

    /// Waits until nothing more will be written.
    pub(super) async fn written(&self) {
        // The sender is here.
        let _ = self.written.subscribe().wait_for(|written| *written).await;
    }

    async fn abandoned(&self) {
        let _ = self.gone.subscribe().wait_for(|gone| *gone == 2).await;
        sleep(LINGER).await;
    }
}

/// What carries a stream.
pub(super) struct Carrier {
    pub(super) idle: Duration,
    /// Of a bulk stream: the link that it belongs to, with which it ends.
    pub(super) link: Option<Arc<Life>>,
    /// What is held for as long as the connection.
    pub(super) held: Vec<OwnedSemaphorePermit>,
}

/// The halves of a stream before they are handed out.
pub(super) struct Halves {
    pub(super) life: Arc<Life>,
    data: mpsc::Sender<Vec<u8>>,
    came: mpsc::Receiver<Vec<u8>>,
}

impl Carrier {
    /// Carries a stream over `stream`, whose handshake and opening are done.
    pub(super) fn start<S>(self, stream: S) -> Halves
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let life = Life::new();
        let (data, queue) = mpsc::channel(RECORDS_WAITING_MAX);
        let (arrived, came) = mpsc::channel(RECORDS_WAITING_MAX);
        let (reader, writer) = split(stream);
        let reading = Reading { reader, life: Arc::clone(&life), data: Some(arrived) };
        let writing = Writing { writer, life: Arc::clone(&life), is_ended: false };
        let (idle, link) = (self.idle, self.link);
        let is_bulk = link.is_some();
        tokio::spawn(supervise(Arc::clone(&life), link, reading.run(idle)));
        let held = self.held;
        tokio::spawn(async move {
            writing.until_closed(queue, is_bulk).await;
            drop(held);
        });
        Halves { life, data, came }
    }
}

/// Reads until the connection has ended, and a little longer: who closes first waits for the other, or
/// what it said last could be lost.
async fn supervise(life: Arc<Life>, link: Option<Arc<Life>>, reading: impl Future<Output = ()>) {
    let with_link = async {
        match &link {
            Some(link) => {
                let how = link.ended().await;
                life.end(how);
            }
            None => std::future::pending().await,
        }
    };
    let after_end = async {
        life.ended().await;
        sleep(CLOSING).await;
    };
    tokio::pin!(reading);
    tokio::select! {
        () = &mut reading => return,
        () = with_link => {}
        () = after_end => return,
        () = life.abandoned(), if link.is_some() => life.end(Ended::InOrder),
    }
    let _ = timeout(CLOSING, reading).await;
}

struct Reading<S> {
    reader: ReadHalf<S>,
    life: Arc<Life>,
    /// None when nobody wants more, or nothing more comes.
    data: Option<mpsc::Sender<Vec<u8>>>,
}

impl<S: AsyncRead + AsyncWrite> Reading<S> {
    async fn run(mut self, idle: Duration) {
        loop {
            let (kind, content) = match timeout(idle, record::read(&mut self.reader)).await {
                Ok(Ok(record)) => record,
                Ok(Err(bad)) => return self.life.end(Ended::of(bad)),
                Err(_) => {
                    return self.life.end(Ended::Lost("nothing came for a while".to_owned()));
                }
            };
            match kind {
                Kind::Data => self.take(content).await,
                Kind::End => {
                    self.say(|said| said.ended = true);
                    self.data = None;
                    self.life.order(|due| due.arrived = true);
                }
                Kind::Arrived => self.say(|said| said.arrived = true),
                Kind::Stop => self.say(|said| said.stopped = true),
                Kind::Close => {
                    let (code, detail) = content.split_at(4);
                    let code = code.try_into().map_or(u32::MAX, u32::from_le_bytes);
                    return self.life.end(Ended::There(code, detail.to_vec()));
                }
                Kind::Alive => {}
                Kind::Opening => {
                    let what = "record";
                    return self.life.end(Ended::Malformed(Malformed::Shape { what }));
                }
            }
        }
    }

    /// Hands data on. Whoever takes it slowly slows the other side down.
    async fn take(&mut self, content: Vec<u8>) {
        let Some(data) = &self.data else { return };
        let is_taken = tokio::select! {
            sent = data.send(content) => sent.is_ok(),
            _ = self.life.ended() => false,
        };
        if !is_taken {
            self.data = None;
        }
    }

    fn say(&self, what: impl FnOnce(&mut Said)) {
        self.life.said.send_modify(what);
        self.life.wake.notify_one();
    }
}

struct Writing<S> {
    writer: WriteHalf<S>,
    life: Arc<Life>,
    /// Whether the end of this side's stream was written.
    is_ended: bool,
}

impl<S: AsyncRead + AsyncWrite> Writing<S> {
    /// Writes until the connection has ended; then what is left to say, for a moment.
    async fn until_closed(mut self, queue: mpsc::Receiver<Vec<u8>>, is_bulk: bool) {
        let life = Arc::clone(&self.life);
        let closing = async {
            life.ended().await;
            sleep(CLOSING).await;
        };
        tokio::select! {
            written = self.run(queue, is_bulk) => if let Err(error) = written {
                // What was read last may say more, such as why TLS was refused: it has a moment.
                let _ = timeout(CLOSING, life.ended()).await;
                life.end(Ended::of_io(&error));
            },
            () = closing => {}
        }
        life.written.send_replace(true);
    }

    async fn run(
        &mut self,
        mut queue: mpsc::Receiver<Vec<u8>>,
        is_bulk: bool,
    ) -> std::io::Result<()> {
        let life = Arc::clone(&self.life);
        let mut has_told = false;
        loop {
            let due = std::mem::take(&mut *life.due.lock().unwrap_or_else(PoisonError::into_inner));
            if let Some(content) = due.close {
                self.put(Kind::Close, &content).await?;
                return self.writer.shutdown().await;
            }
            if let Some(_ended) = life.has_ended() {
                return self.writer.shutdown().await;
            }
            if due.stop {
                self.put(Kind::Stop, b"").await?;
            }
            if due.arrived {
                self.put(Kind::Arrived, b"").await?;
                has_told = true;
            }
            if is_bulk && has_told && self.is_ended && life.said.borrow().arrived {
                life.end(Ended::InOrder);
                return self.writer.shutdown().await;
            }
            tokio::select! {
                biased;
                () = life.wake.notified() => {}
                _ = life.ended() => {}
                data = queue.recv(), if !self.is_ended => match data {
                    Some(data) => self.writer.write_all(&data).await?,
                    None => {
                        self.is_ended = true;
                        self.put(Kind::End, b"").await?;
                    }
                },
                () = sleep(Duration::from_millis(KEEP_ALIVE_MS)) => {
                    self.put(Kind::Alive, b"").await?;
                }
            }
            if queue.is_empty() {
                self.writer.flush().await?;
            }
        }
    }

    async fn put(&mut self, kind: Kind, content: &[u8]) -> std::io::Result<()> {
        self.writer.write_all(&record::encode(kind, content)).await?;
        self.writer.flush().await
    }
}

impl Halves {
    /// The halves, which keep `link` for as long as they are there.
    pub(super) fn hand_out<L>(self, link: &Arc<L>) -> (TcpSender, TcpReceiver)
    where
        L: Send + Sync + 'static,
    {
        let Self { life, data, came } = self;
        let link: Arc<dyn Send + Sync> = Arc::clone(link) as _;
        let sender =
            TcpSender { life: Arc::clone(&life), data: Some(data), _link: Arc::clone(&link) };
        (
            sender,
            TcpReceiver { life, came, chunk: Vec::new(), at: 0, is_stopped: false, _link: link },
        )
    }
}

/// The half that is written to.
pub(in crate::net) struct TcpSender {
    life: Arc<Life>,
    /// None after the end.
    data: Option<mpsc::Sender<Vec<u8>>>,
    _link: Arc<dyn Send + Sync>,
}

impl TcpSender {
    pub(in crate::net) async fn write(&mut self, bytes: &[u8]) -> Result<usize, WriteError> {
        let ended = |how: Ended| Err(WriteError::Lost(how.error()));
        if let Some(how) = self.life.has_ended() {
            return ended(how);
        }
        let Some(data) = &self.data else {
            return Err(WriteError::Lost(LinkError::Lost("the stream was ended here".to_owned())));
        };
        let bytes = &bytes[..bytes.len().min(RECORD_BYTES_MAX)];
        let mut said = self.life.said.subscribe();
        tokio::select! {
            biased;
            how = self.life.ended() => ended(how),
            _ = said.wait_for(|said| said.stopped) => Err(WriteError::Stopped),
            place = data.reserve() => match place {
                Ok(place) => {
                    place.send(record::encode(Kind::Data, bytes));
                    Ok(bytes.len())
                }
                Err(_) => ended(self.life.has_ended().unwrap_or(Ended::Here)),
            },
        }
    }

    /// The writing task says the end when the queue has no sender any more.
    pub(in crate::net) fn finish(&mut self) {
        self.data = None;
    }

    pub(in crate::net) async fn arrived(&mut self) -> Result<(), LinkError> {
        let mut said = self.life.said.subscribe();
        tokio::select! {
            biased;
            _ = said.wait_for(|said| said.arrived || said.stopped) => Ok(()),
            how = self.life.ended() => match how {
                Ended::InOrder => Ok(()),
                how => Err(how.error()),
            },
        }
    }
}

impl Drop for TcpSender {
    fn drop(&mut self) {
        self.data = None;
        self.life.gone.send_modify(|gone| *gone += 1);
    }
}

/// The half that is read from.
pub(in crate::net) struct TcpReceiver {
    life: Arc<Life>,
    came: mpsc::Receiver<Vec<u8>>,
    /// The last data, and how much of it was taken.
    chunk: Vec<u8>,
    at: usize,
    is_stopped: bool,
    _link: Arc<dyn Send + Sync>,
}

impl TcpReceiver {
    pub(in crate::net) async fn read(
        &mut self,
        bytes: &mut [u8],
    ) -> Result<Option<usize>, LinkError> {
        if !self.fill().await? {
            return Ok(None);
        }
        let taken = bytes.len().min(self.chunk.len() - self.at);
        bytes[..taken].copy_from_slice(&self.chunk[self.at..][..taken]);
        self.at += taken;
        Ok(Some(taken))
    }

    pub(in crate::net) async fn read_chunk(
        &mut self,
        bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, LinkError> {
        if !self.fill().await? {
            return Ok(None);
        }
        let taken = bytes_max.min(self.chunk.len() - self.at);
        let chunk = self.chunk[self.at..][..taken].to_vec();
        self.at += taken;
        Ok(Some(chunk))
    }

    /// Waits for data, if there are none left; false at the end. Cancel-safe.
    async fn fill(&mut self) -> Result<bool, LinkError> {
        while self.at == self.chunk.len() {
            // Closed here means at once, whatever still comes.
            if let Some(how @ Ended::Here) = self.life.has_ended() {
                return Err(how.error());
            }
            match self.came.recv().await {
                Some(chunk) => (self.chunk, self.at) = (chunk, 0),
                // The end, or the end of everything.
                None if self.life.said.borrow().ended => return Ok(false),
                None => return Err(self.life.has_ended().unwrap_or(Ended::Here).error()),
            }
        }
        Ok(true)
    }

    pub(in crate::net) fn stop(&mut self) {
        if !std::mem::replace(&mut self.is_stopped, true) {
            self.came.close();
            self.life.order(|due| due.stop = true);
        }
    }
}

impl Drop for TcpReceiver {
    fn drop(&mut self) {
        self.stop();
        self.life.gone.send_modify(|gone| *gone += 1);
    }
}
