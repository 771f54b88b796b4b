//! Uploads that break off, at many places and in many ways, go on where they stopped; and nobody
//! gains by breaking one off.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use covey_aggregation::config::RoundConfig;
use covey_aggregation::message::{Refusal, SignedHeader, ToClient};
use covey_aggregation::net::text::to_hex;
use covey_aggregation::net::{
    BulkError, CloseReason, Dialer, IdentityKey, Link, Offered, Outline, Route, Sending,
    TransportChoice,
};
use covey_aggregation::publication::Publication;
use covey_aggregation::sum::contribution::{box_bytes, correction_bytes};
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::seal;
use covey_coordinator::config::Config;
use covey_coordinator::storage::blobs::Depot;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use crate::federation::owner::{self, units, weight};
use crate::federation::{Federation, Operator, PATIENCE, PlanOptions, contribute, round_of};
use crate::server::Server;
use crate::settings;

/// Owners that wait at a gate; two more are driven by hand.
const WAITING: usize = 3;

/// The owner whose link breaks.
const BROKEN: usize = 3;

/// An owner that would like to go on with what is not its own.
const OTHER: usize = 4;

/// A model of many chunks: 64 x 64 pixels, 200 classes.
fn plan() -> String {
    let text = PlanOptions { collect: "300s", ..PlanOptions::default() }.text();
    text.replace("height = 2\nwidth = 2", "height = 64\nwidth = 64")
        .replace("classes = 2", "classes = 200")
        .replace("out = 2", "out = 200")
}

/// What carries an upload makes no difference to where it goes on: links come by both.
const BOTH: [TransportChoice; 2] = [TransportChoice::Quic, TransportChoice::Tcp];

async fn dial(federation: &Federation, owner: usize, by: TransportChoice) -> (Dialer, Link) {
    let membership = federation.membership(&federation.owner(owner));
    let route = Route::new(federation.address.to_string(), by);
    let mut dialer = Dialer::new(membership, route).expect("a dialer");
    let link = dialer.connect(|_, _| {}).await.expect("a link");
    (dialer, link)
}

async fn hear<T>(link: &mut Link, wanted: impl Fn(ToClient) -> Option<T>) -> T {
    loop {
        let message = timeout(PATIENCE, link.receiver.receive()).await.expect("in time");
        if let Some(found) = wanted(message.expect("linked").expect("linked")) {
            return found;
        }
    }
}

fn sealed(
    federation: &Federation,
    owner: usize,
    config: &RoundConfig,
    salt: u8,
) -> (SignedHeader, Vec<u8>) {
    let identity = IdentityKey::load(&federation.owner(owner)).expect("a key").identity();
    let units = units(owner, config.round, config.dimension);
    let quantised = Quantised::from_units(&units, weight(owner), &config.quantiser);
    let (quantised, entropy) = (quantised.expect("in range"), Zeroizing::new([salt; 32]));
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    let sealed = seal(config, &identity, &quantised, &entropy, &mut chunks).expect("sealed");
    let bytes = [sealed.correction, sealed.boxes.concat(), chunks.concat()].concat();
    (sealed.header, bytes)
}

/// A round that collects, with an owner whose link breaks.
struct Scene {
    federation: Federation,
    settings: Config,
    /// None while it is killed.
    operator: Option<Operator>,
    /// Ended with the test.
    _holders: Vec<JoinHandle<()>>,
    waiting: Vec<owner::Owner>,
    gate: watch::Sender<bool>,
    config: Box<RoundConfig>,
    header: SignedHeader,
    bytes: Vec<u8>,
    /// All that the owner has sent.
    sent: usize,
    /// Links that were dialled.
    dialled: AtomicUsize,
}

impl Scene {
    async fn open(server: Option<&Server>) -> Self {
        let federation = Federation::new(WAITING + 2, &PlanOptions::default());
        fs::write(federation.dir().join("plan.toml"), plan()).expect("written");
        let mut settings_of = federation.config(WAITING + 2);
        settings_of.test_data = None;
        settings_of.objects = server.map(|server| settings(server, "resumed"));
        let operator = Operator::start(settings_of.clone());
        let holders = (0..4).map(|index| federation.start_holder(index)).collect();
        let (gate, open) = watch::channel(false);
        let start = |index| {
            let membership = federation.membership(&federation.owner(index));
            owner::start(index, membership, federation.address.to_string(), open.clone())
        };
        let waiting = (0..WAITING).map(start).collect();
        let (_other, _other_link) = dial(&federation, OTHER, BOTH[0]).await;
        let (_dialer, mut link) = dial(&federation, BROKEN, BOTH[0]).await;
        let config = hear(&mut link, |message| match message {
            ToClient::Open { config, .. } => Some(config),
            _ => None,
        });
        let config = config.await;
        assert!(config.chunks() > 30, "{} chunks", config.chunks());
        let (header, bytes) = sealed(&federation, BROKEN, &config, 1);
        Self {
            federation,
            settings: settings_of,
            operator: Some(operator),
            _holders: holders,
            waiting,
            gate,
            config,
            header,
            bytes,
            sent: 0,
            dialled: AtomicUsize::new(0),
        }
    }

    /// Twice by one transport, then twice by the other: what one has begun the other goes on with.
    async fn dial(&self, owner: usize) -> (Dialer, Link) {
        let turn = self.dialled.fetch_add(1, Ordering::Relaxed);
        dial(&self.federation, owner, BOTH[turn / 2 % 2]).await
    }

    /// The last byte at or before `at` at which a part begins, or all parts end.
    fn boundary(&self, at: usize) -> usize {
        let (correction, one) = (correction_bytes(&self.config), box_bytes(&self.config));
        let boxes = correction + 4 * one;
        let chunk = self.config.chunk_bytes(0);
        match at {
            at if at == self.bytes.len() => at,
            at if at < correction => 0,
            at if at < boxes => correction + (at - correction) / one * one,
            at => boxes + (at - boxes) / chunk * chunk,
        }
    }

    /// Where chunk `index` begins.
    fn chunk(&self, index: u32) -> usize {
        let boxes = correction_bytes(&self.config) + 4 * box_bytes(&self.config);
        boxes + index as usize * self.config.chunk_bytes(0)
    }

    /// Comes back with a new link. A coordinator that has just been started again may not yet know the
    /// round.
    async fn offer(&self) -> (Dialer, Link, Box<Sending>) {
        let (dialer, link) = self.dial(BROKEN).await;
        let offering = async {
            loop {
                match link.links.bulk().offer(&self.header, self.bytes.len() as u64).await {
                    Ok(Offered::Wanted(sending)) => return sending,
                    Ok(Offered::Stored) => panic!("it is stored"),
                    Err(BulkError::Refused(Refusal::UnknownRound | Refusal::Busy { .. })) => {
                        sleep(Duration::from_millis(20)).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let sending = timeout(PATIENCE, offering).await.expect("in time");
        (dialer, link, sending)
    }

    /// From where on the coordinator wants the rest.
    async fn from(&self) -> usize {
        let (mut dialer, _link, sending) = self.offer().await;
        let from = sending.from();
        drop(sending);
        dialer.close().await;
        usize::try_from(from).expect("in memory")
    }

    /// Comes back and sends up to byte `until`; then the stream ends.
    async fn send_until(&mut self, until: usize) {
        let (mut dialer, _link, sending) = self.offer().await;
        let from = usize::try_from(sending.from()).expect("in memory");
        let mut part = &self.bytes[from..until];
        self.sent += part.len();
        let error = sending.send(&Outline::of(part), &mut part, |_| {}).await.expect_err("cut");
        assert!(matches!(error, BulkError::Refused(Refusal::Malformed(_))), "{error}");
        dialer.close().await;
    }

    /// The folder of the upload under way.
    fn upload(&self) -> PathBuf {
        let client = to_hex(&self.header.header.client.0);
        self.settings.state_dir.join(format!("rounds/round-0001/{client}.upload"))
    }

    fn length(&self, file: &str) -> u64 {
        fs::metadata(self.upload().join(file)).map_or(0, |metadata| metadata.len())
    }

    /// Comes back, and the whole link is gone when something of the rest has come to the disk.
    async fn lose_link(&mut self) {
        let (mut dialer, link, sending) = self.offer().await;
        let (from, before) =
            (usize::try_from(sending.from()).expect("in memory"), self.length("chunks"));
        let rest = self.bytes[from..].to_vec();
        let (mut writing, mut reading) = tokio::io::duplex(rest.len());
        // The others never come: one piece leaves.
        writing.write_all(&rest[..300_000]).await.expect("room");
        let outline = Outline::of(&rest);
        let mut gone = 0;
        {
            let sending = sending.send(&outline, &mut reading, |sent| gone = sent);
            let arriving = async {
                while self.length("chunks") <= before {
                    sleep(Duration::from_millis(2)).await;
                }
            };
            tokio::select! {
                sent = sending => panic!("it waits for the other bytes: {sent:?}"),
                arrived = timeout(PATIENCE, arriving) => arrived.expect("in time"),
            }
            link.links.close(CloseReason::Finished);
        }
        self.sent += usize::try_from(gone).expect("in memory");
        dialer.close().await;
    }

    /// Kills the coordinator, does something to its folder, and starts it again.
    async fn restart(&mut self, meanwhile: impl FnOnce(&Self)) {
        self.operator.take().expect("running").kill().await;
        meanwhile(self);
        self.operator = Some(Operator::start(self.settings.clone()));
    }

    /// Changes one byte of the upload under way, on the coordinator's disk.
    fn spoil(&self, file: &str, at: usize) {
        let path = self.upload().join(file);
        let mut bytes = fs::read(&path).expect("read");
        bytes[at] ^= 1;
        fs::write(&path, bytes).expect("written");
    }

    /// An owner that is driven by hand contributes; when it hears that its update will be counted.
    async fn contribute(&self, owner: usize, header: &SignedHeader, bytes: &[u8]) {
        let (mut dialer, mut link) = self.dial(owner).await;
        contribute(&link.links.bulk(), header, bytes).await.expect("stored");
        let receipt =
            hear(&mut link, |message| matches!(message, ToClient::Receipt(_)).then_some(()));
        receipt.await;
        dialer.close().await;
    }

    /// Everybody contributes; the sum is that of all updates, each once.
    async fn finish(mut self) {
        self.contribute(BROKEN, &self.header, &self.bytes).await;
        let (header, bytes) = sealed(&self.federation, OTHER, &self.config, 9);
        self.contribute(OTHER, &header, &bytes).await;
        self.gate.send_replace(true);
        let mut operator = self.operator.take().expect("running");
        let summary = operator.wait_for(round_of).await;
        assert!(summary.done && summary.counted.len() == WAITING + 2, "{summary}");
        operator.finished().await.expect("done");
        let rounds = fs::read_dir(self.settings.state_dir.join("rounds")).expect("listed");
        assert_eq!(rounds.count(), 0, "uploads go with their round");
        let to = self.federation.path("fetched");
        let depot = Depot::new(&self.settings.state_dir, self.settings.objects.as_ref());
        depot.expect("settings").read().copy_published(&to).expect("copied");
        let bundle = fs::read(to.join("round-0001/publication.covey")).expect("published");
        let aggregate = Publication::decode(&bundle).expect("well-formed").result.aggregate;
        let mut sums = vec![0; self.config.dimension as usize];
        for owner in 0..WAITING + 2 {
            let units = units(owner, 1, self.config.dimension);
            sums.iter_mut().zip(units).for_each(|(sum, unit)| *sum += unit);
        }
        assert!(aggregate.sums == sums, "not the plain sum");
        let roster = self.federation.dir().join("roster.json");
        let report = covey_committee::verify::verify_folder(&to, &roster, |_| {});
        assert!(report.expect("readable").is_verified);
        for owner in self.waiting {
            owner.task.abort();
        }
    }
}

/// At parts of every kind, within them and between them, by the end of a stream and by the end of a
/// link; with a coordinator that is killed in between, and a disk that is damaged.
async fn an_upload_goes_on_where_it_stopped(server: Option<Server>) {
    let mut scene = Scene::open(server.as_ref()).await;
    let total = scene.bytes.len();
    assert_eq!(scene.from().await, 0);
    let correction = correction_bytes(&scene.config);
    let one = box_bytes(&scene.config);
    let cuts = [1, correction - 1, correction, correction + one / 2, correction + 2 * one + 1];
    let (chunks, chunk_bytes) = (scene.config.chunks(), scene.config.chunk_bytes(0));
    let half = chunks / 2;
    let within = (0..half).step_by(half as usize / 8);
    let within = within.map(|index| scene.chunk(index) + 97 * index as usize % chunk_bytes);
    for cut in cuts.into_iter().chain(within.collect::<Vec<_>>()) {
        scene.send_until(cut).await;
        assert_eq!(scene.from().await, scene.boundary(cut), "after byte {cut}");
    }
    scene.send_until(scene.chunk(half) + 1).await;
    // Both links are lost in the midst: nothing of what came before is.
    for _ in 0..2 {
        let before = scene.from().await;
        scene.lose_link().await;
        let from = scene.from().await;
        assert!(from >= before && from == scene.boundary(from), "{before}, then {from}");
    }
    // A coordinator that is killed has it still.
    let before = scene.from().await;
    scene.restart(|_| {}).await;
    assert_eq!(scene.from().await, before);
    // What is spoiled on its disk comes again, and is not what the link cost.
    scene.restart(|scene| scene.spoil("chunks", (half - 2) as usize * chunk_bytes)).await;
    assert_eq!(scene.from().await, scene.chunk(half - 2));
    scene.restart(|scene| scene.spoil("progress", 32 * (1 + half - 3) as usize + 8)).await;
    let from = scene.from().await;
    assert_eq!(from, scene.chunk(half - 3));
    scene.sent -= before - from;
    scene.send_until(scene.chunk(chunks - 1) + 5).await;
    let mut from = scene.from().await;
    assert_eq!(from, scene.chunk(chunks - 1));

    // A bucket that fails: nothing is acknowledged, and nothing is sent again.
    if let Some(server) = &server {
        let (mut dialer, _link, sending) = scene.offer().await;
        server.fail_always();
        let mut rest = &scene.bytes[from..];
        scene.sent += rest.len();
        let refused = sending.send(&Outline::of(rest), &mut rest, |_| {}).await;
        assert!(matches!(refused, Err(BulkError::Refused(Refusal::Busy { .. }))), "{refused:?}");
        dialer.close().await;
        server.recover();
        from = scene.from().await;
        assert_eq!(from, total);
    }
    scene.sent += total - from;
    assert!(scene.sent < 2 * total, "{} bytes sent of {total}", scene.sent);
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_a_folder_goes_on_where_it_stopped() {
    an_upload_goes_on_where_it_stopped(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_a_bucket_goes_on_where_it_stopped() {
    an_upload_goes_on_where_it_stopped(Some(Server::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gains_by_breaking_an_upload_off() {
    let mut scene = Scene::open(None).await;
    let (total, kept) = (scene.bytes.len() as u64, scene.chunk(5));
    scene.send_until(kept).await;

    // Another owner does not go on with it, nor learns how far it is.
    let (_other, link) = scene.dial(OTHER).await;
    let refused = link.links.bulk().offer(&scene.header, total).await.err().expect("not its own");
    assert!(matches!(refused, BulkError::Refused(Refusal::Malformed(_))), "{refused}");
    assert_eq!(scene.from().await, kept);

    // The newest link counts: the one before it is not waited for.
    let (_lingering, _link, sending) = scene.offer().await;
    assert_eq!(scene.from().await, kept);
    drop(sending);

    // Bytes that were changed after the break are refused, and nothing of them stays.
    let (mut dialer, link) = scene.dial(BROKEN).await;
    let mut changed = scene.bytes.clone();
    changed[kept + 10] ^= 1;
    let refused = contribute(&link.links.bulk(), &scene.header, &changed).await;
    assert!(matches!(refused, Err(BulkError::Refused(Refusal::Malformed(_)))), "{refused:?}");
    dialer.close().await;
    assert_eq!(scene.from().await, 0);
    assert!(scene.length("chunks") == 0 && scene.length("correction") == 0);

    // Too much is refused as well.
    scene.send_until(kept).await;
    let (mut dialer, link) = scene.dial(BROKEN).await;
    let longer = [scene.bytes.as_slice(), &[0]].concat();
    let refused = contribute(&link.links.bulk(), &scene.header, &longer).await;
    assert!(matches!(refused, Err(BulkError::Refused(Refusal::Malformed(_)))), "{refused:?}");
    dialer.close().await;
    assert_eq!(scene.from().await, 0);

    // Another contribution of the same owner begins anew, in the place of the first.
    scene.send_until(kept).await;
    let first = (scene.header.clone(), scene.bytes.clone());
    (scene.header, scene.bytes) = sealed(&scene.federation, BROKEN, &scene.config, 2);
    assert_eq!(scene.from().await, 0);
    scene.send_until(kept).await;
    let round = scene.upload();
    let uploads = fs::read_dir(round.parent().expect("a round")).expect("listed");
    assert_eq!(uploads.count(), 1, "one upload for each owner");
    (scene.header, scene.bytes) = first;
    assert_eq!(scene.from().await, 0);
    scene.finish().await;
}
