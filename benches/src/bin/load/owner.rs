//! A data owner without a trainer: the real machine, the real sealing of a made-up update, the real
//! link. What it sealed lies in a file, as a client's does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use covey_aggregation::config::RoundConfig;
use covey_aggregation::hash::Digest;
use covey_aggregation::message::SignedHeader;
use covey_aggregation::net::{Dialer, Link, Membership, Offered, Outline};
use covey_aggregation::participant::{Participant, ParticipantEffect, ParticipantSetup};
use covey_aggregation::program::clock;
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::seal;
use tokio::sync::{Semaphore, mpsc, watch};
use zeroize::Zeroizing;

/// What owners share.
pub(crate) struct Shared {
    pub(crate) address: SocketAddr,
    pub(crate) handshakes: Semaphore,
    pub(crate) sealing: Semaphore,
    pub(crate) uploading: Semaphore,
    /// Contributions that were sealed, in all rounds.
    pub(crate) sealed: AtomicUsize,
    /// Bytes of the last contribution that was sealed; all are alike.
    pub(crate) contribution_bytes: AtomicUsize,
    /// Receipts, in all rounds.
    pub(crate) promised: AtomicUsize,
    /// The last round whose contributions may be sent.
    pub(crate) may_send: watch::Sender<u32>,
}

/// What is done beside the link.
enum Done {
    Sealed(Digest, Box<SignedHeader>),
    Sent,
}

/// An owner.
pub(crate) struct Owner {
    index: usize,
    membership: Arc<Membership>,
    participant: Participant,
    shared: Arc<Shared>,
    header: Option<SignedHeader>,
    is_sending: bool,
    done: (mpsc::Sender<Outcome>, mpsc::Receiver<Outcome>),
}

/// What came of it.
type Outcome = Result<Done, String>;

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Owner {
    pub(crate) fn new(
        index: usize,
        membership: Arc<Membership>,
        shared: Arc<Shared>,
    ) -> Result<Self, String> {
        let setup = ParticipantSetup {
            identity: Arc::clone(membership.identity()),
            roster: membership.roster().as_ref().clone(),
            resend_ms: 3_000,
            patience_ms: 7_200_000,
        };
        let participant = Participant::new(setup, []).map_err(said)?;
        let done = mpsc::channel(2);
        Ok(Self { index, membership, participant, shared, header: None, is_sending: false, done })
    }

    /// Links itself and takes part until the link ends.
    pub(crate) async fn take_part(mut self) -> Result<(), String> {
        let mut link = self.dial().await?;
        loop {
            while let Some(effect) = self.participant.poll_effect() {
                self.carry_out(effect, &mut link).await?;
            }
            let wait = clock::until(self.participant.poll_timeout());
            tokio::select! {
                message = link.receiver.receive() => match message {
                    Ok(Some(message)) => self.participant.handle(clock::now(), message),
                    // The run is over.
                    _ => return Ok(()),
                },
                Some(done) = self.done.1.recv() => match done? {
                    Done::Sealed(context, header) => {
                        self.header = Some((*header).clone());
                        self.participant.handle_prepared(clock::now(), &context, Ok(*header));
                    }
                    Done::Sent => self.is_sending = false,
                },
                () = tokio::time::sleep(wait) => self.participant.handle_timeout(clock::now()),
            }
        }
    }

    async fn dial(&self) -> Result<Link, String> {
        let _place = self.shared.handshakes.acquire().await.map_err(said)?;
        let address = self.shared.address.to_string();
        let mut dialer = Dialer::new(Arc::clone(&self.membership), address).map_err(said)?;
        let why = |why| format!("owner-{}: {why}", self.index);
        dialer.connect_once().await.map_err(why)
    }

    async fn carry_out(
        &mut self,
        effect: ParticipantEffect,
        link: &mut Link,
    ) -> Result<(), String> {
        match effect {
            ParticipantEffect::Append { sequence, .. } => self.participant.handle_stored(sequence),
            ParticipantEffect::Prepare { config } => self.prepare(config),
            ParticipantEffect::Upload { .. } => self.upload(link),
            ParticipantEffect::Send(message) => link.sender.send(&message).await.map_err(said)?,
            ParticipantEffect::Promised(_) => {
                self.shared.promised.fetch_add(1, Ordering::Relaxed);
            }
            ParticipantEffect::NotCounted { why, .. } => {
                return Err(format!("owner-{} is not counted: {why}", self.index));
            }
            ParticipantEffect::Prove { .. } => return Err("the plan has no audit".to_owned()),
            ParticipantEffect::Counted { .. }
            | ParticipantEffect::Forget { .. }
            | ParticipantEffect::Cancel { .. } => {}
        }
        Ok(())
    }

    fn file(&self) -> PathBuf {
        self.membership.folder().join("contribution")
    }

    /// Seals into a file, and says so once everybody may send.
    fn prepare(&self, config: Box<RoundConfig>) {
        let (shared, done, path) = (Arc::clone(&self.shared), self.done.0.clone(), self.file());
        let (membership, index) = (Arc::clone(&self.membership), self.index);
        tokio::spawn(async move {
            let (mut may_send, round) = (shared.may_send.subscribe(), config.round);
            let sealing = async {
                let _place = shared.sealing.acquire().await.map_err(said)?;
                let context = config.context();
                let work = move || {
                    let (header, bytes) = sealed(&config, &membership, index)?;
                    std::fs::write(&path, &bytes).map_err(said)?;
                    Ok::<_, String>((header, bytes.len()))
                };
                let (header, bytes) = tokio::task::spawn_blocking(work).await.map_err(said)??;
                shared.contribution_bytes.store(bytes, Ordering::Relaxed);
                shared.sealed.fetch_add(1, Ordering::Relaxed);
                Ok(Done::Sealed(context, Box::new(header)))
            };
            let sealed = sealing.await;
            // Ends only with the program.
            let _ = may_send.wait_for(|last| *last >= round).await;
            let _ = done.send(sealed).await;
        });
    }

    fn upload(&mut self, link: &Link) {
        let Some(header) = self.header.clone() else { return };
        if std::mem::replace(&mut self.is_sending, true) {
            return;
        }
        let (bulk, path, done) = (link.links.bulk(), self.file(), self.done.0.clone());
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let sending = async {
                let _place = shared.uploading.acquire().await.map_err(said)?;
                let bytes = tokio::fs::read(&path).await.map_err(said)?;
                match bulk.offer(&header, bytes.len() as u64).await {
                    Ok(Offered::Wanted(sending)) => {
                        let mut rest = &bytes[usize::try_from(sending.from()).map_err(said)?..];
                        let outline = Outline::of(rest);
                        // A refusal: the machine asks again if it still wants it.
                        let _ = sending.send(&outline, &mut rest, |_| {}).await;
                    }
                    Ok(Offered::Stored) => {}
                    // Told to wait, or too late.
                    Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
                }
                Ok(Done::Sent)
            };
            let sent: Result<Done, String> = sending.await;
            // Nobody waits for it any more when the program ends.
            let _ = done.send(sent).await;
        });
    }
}

/// A made-up update, sealed: its header, and all bytes in their order.
fn sealed(
    config: &RoundConfig,
    membership: &Membership,
    index: usize,
) -> Result<(SignedHeader, Vec<u8>), String> {
    let shift = index as i64 * 101;
    let unit = |at: i64| ((at * 37 + shift) % 2047 - 1023) as i32;
    let dimension = i64::try_from(config.dimension).map_err(said)?;
    let units: Vec<i32> = (0..dimension).map(unit).collect();
    let quantised = Quantised::from_units(&units, 1, &config.quantiser).map_err(said)?;
    let mut entropy = Zeroizing::new([0x11; 32]);
    entropy[..8].copy_from_slice(&(index as u64).to_le_bytes());
    entropy[8..12].copy_from_slice(&config.round.to_le_bytes());
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    let sealed = seal(config, membership.identity(), &quantised, &entropy, &mut chunks);
    let sealed = sealed.map_err(|error| format!("{error:?}"))?;
    let mut bytes = sealed.correction;
    bytes.extend(sealed.boxes.into_iter().flatten());
    bytes.extend(chunks.into_iter().flatten());
    Ok((sealed.header, bytes))
}
