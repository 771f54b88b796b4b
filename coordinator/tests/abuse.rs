//! The table of hostile peers: each gets its own clear answer, and after each an honest round of the
//! same federation is done.

#[path = "abuse/boundary.rs"]
mod boundary;
mod federation;
#[path = "abuse/flood.rs"]
mod flood;
#[path = "abuse/linked.rs"]
mod linked;
#[path = "abuse/members.rs"]
mod members;
#[allow(dead_code, reason = "the tests of links use the rest")]
#[path = "../../aggregation/tests/net/raw.rs"]
mod raw;

use std::net::SocketAddr;

use covey_aggregation::message::Phase;
use covey_aggregation::net::{Dialer, Link, LinkError, Route, TransportChoice};
use covey_coordinator::config::{Config, Positive};
use covey_coordinator::event::Event;
use federation::owner::{self, Owner};
use federation::{Federation, Operator, PATIENCE, PlanOptions, round_of};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What carries a link makes no difference to what is answered.
const BOTH: [TransportChoice; 2] = [TransportChoice::Quic, TransportChoice::Tcp];

/// The owner whose keys the hostile peer has; the honest ones are those before it.
const ROGUE: usize = 3;

/// Another member whose keys it has.
const EVE: &str = "eve";

/// Handshakes under way before an address has to be proved; a flood is more.
const BEFORE_RETRY: u32 = 16;

/// A federation that works, with hostile peers around it. While nobody may prepare, a round waits in
/// its collection without the rogue, who was not there when it began.
struct Stage {
    federation: Federation,
    operator: Operator,
    gate: watch::Sender<bool>,
    _owners: Vec<Owner>,
    _holders: Vec<JoinHandle<()>>,
}

impl Stage {
    async fn set() -> Self {
        let plan = PlanOptions { rounds: 100, collect: "100s", ..PlanOptions::default() };
        let federation = Federation::with_researchers(ROGUE + 1, &plan, &[EVE]);
        let mut operator = Operator::start(limited(federation.config(ROGUE)));
        let holders = (0..4).map(|index| federation.start_holder(index)).collect();
        let (gate, open) = watch::channel(false);
        let owners = (0..ROGUE)
            .map(|index| {
                let membership = federation.membership(&federation.owner(index));
                owner::start(index, membership, federation.address.to_string(), open.clone())
            })
            .collect();
        operator.wait_for(|event| is_phase(event, Phase::Collect)).await;
        Self { federation, operator, gate, _owners: owners, _holders: holders }
    }

    fn address(&self) -> SocketAddr {
        self.federation.address
    }

    /// An honest round, from where it waits to where the next one does.
    async fn honest_round(&mut self, after: &str) {
        eprintln!("--- after {after}");
        self.gate.send_replace(true);
        self.operator.wait_for(|event| is_phase(event, Phase::Vote)).await;
        self.gate.send_replace(false);
        let round = self.operator.wait_for(round_of).await;
        assert!(round.done && round.counted.len() == ROGUE, "after {after}: {round}");
        self.operator.wait_for(|event| is_phase(event, Phase::Collect)).await;
    }

    /// Dials as the rogue, or as another member.
    async fn dial(&self, member: &str, by: TransportChoice) -> Result<(Dialer, Link), LinkError> {
        let membership = self.federation.membership(&self.federation.path(member));
        let route = Route::new(self.address().to_string(), by);
        let mut dialer = Dialer::new(membership, route).expect("a dialer");
        let link = dialer.connect_once().await?;
        Ok((dialer, link))
    }

    async fn rogue(&self, by: TransportChoice) -> (Dialer, Link) {
        self.dial(&format!("owner-{ROGUE}"), by).await.expect("a link")
    }

    /// What the operator reads of the next one who is turned away for a reason that has this in it.
    async fn turned_away(&mut self, part: &str) -> String {
        self.operator
            .wait_for(|event| match event {
                Event::TurnedAway { why, .. } if why.contains(part) => Some(why.clone()),
                _ => None,
            })
            .await
    }
}

fn is_phase(event: &Event, wanted: Phase) -> Option<()> {
    matches!(event, Event::Phase { phase, .. } if *phase == wanted).then_some(())
}

/// Short times, so that the table can wait for them.
fn limited(mut config: Config) -> Config {
    // Nobody waits for the rogue before the first round.
    config.start.settle_s = Positive::of(1);
    config.limits.queue_max = Positive::of(1024);
    config.limits.handshake_s = Positive::of(3);
    config.limits.header_s = Positive::of(1);
    config.limits.handshakes_before_retry = Positive::of(BEFORE_RETRY);
    config.limits.requests_per_s = Positive::of(50);
    config.limits.requests_burst_s = Positive::of(2);
    config
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_peer_has_its_answer_and_an_honest_round_follows() {
    let mut stage = Stage::set().await;
    boundary::versions(&mut stage).await;
    stage.honest_round("unknown versions").await;
    boundary::certificates(&mut stage).await;
    stage.honest_round("certificates of strangers").await;
    boundary::lengths(&mut stage).await;
    stage.honest_round("lengths that lie").await;
    linked::nonsense(&stage).await;
    stage.honest_round("nonsense").await;
    linked::wrong_role(&stage).await;
    stage.honest_round("somebody out of its role").await;
    linked::unknown_rounds(&stage).await;
    stage.honest_round("rounds that nobody knows").await;
    flood::requests(&stage).await;
    stage.honest_round("a thousand requests").await;
    flood::slow_connections(&mut stage).await;
    stage.honest_round("connections that never finish").await;
    flood::slow_streams(&stage).await;
    stage.honest_round("streams that never finish").await;
    flood::initials(&stage).await;
    stage.honest_round("first packets from forged addresses").await;
    linked::leaving_holder(&stage).await;
    stage.honest_round("a holder that asks to leave").await;
    linked::revoked(&mut stage).await;
    stage.honest_round("members that are revoked").await;
    let is_verified = stage.federation.is_verified();
    assert!(is_verified, "everything that was published holds");
}
