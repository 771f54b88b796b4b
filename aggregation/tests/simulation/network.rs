//! Virtual time: what will happen, when; and a network that loses, repeats, delays and reorders.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use covey_aggregation::audit::crediting::Directed;
use covey_aggregation::audit::opening::Public;
use covey_aggregation::audit::rereading::Signed;
use covey_aggregation::config::{HolderIndex, RoundConfig};
use covey_aggregation::hash::{Digest, Domain, hash};
use covey_aggregation::holder::DirectionQuestion;
use covey_aggregation::message::{Envelope, SignedHeader};
use covey_aggregation::record::Sequence;
use covey_aggregation::round::{OpenFailure, Opened};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Who something happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Coordinator,
    Holder(usize),
    Owner(usize),
}

/// A sealed update as it travels and is stored.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) header: SignedHeader,
    pub(crate) correction: Vec<u8>,
    pub(crate) boxes: Vec<Vec<u8>>,
    pub(crate) chunks: Vec<Vec<u8>>,
}

impl Upload {
    /// What `holder` is sent of it.
    pub(crate) fn envelope(&self, holder: usize) -> Envelope {
        let (sealed_box, holder) = (self.boxes[holder].clone(), HolderIndex(holder as u8));
        Envelope::new(&self.header, holder, sealed_box).expect("a seat")
    }
}

/// What happens. Messages travel encoded; `life` tells events of a process from those of its
/// life after a crash.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    ToHolder { holder: usize, bytes: Vec<u8> },
    FromHolder { holder: usize, bytes: Vec<u8> },
    ToOwner { owner: usize, bytes: Vec<u8> },
    FromOwner { owner: usize, bytes: Vec<u8> },
    Upload { owner: usize, upload: Rc<Upload> },
    Stored { node: Node, life: u32, upto: Sequence },
    Prepared { owner: usize, life: u32, config: Box<RoundConfig> },
    Opened { life: u32, round_ctx: Digest, result: Result<Opened, OpenFailure> },
    Measured { life: u32, round_ctx: Digest, result: Result<Vec<Public>, OpenFailure> },
    Proven { owner: usize, life: u32, round_ctx: Digest, set: Digest, rows: Digest },
    Reread { holder: usize, life: u32, round_ctx: Digest, contributions: Vec<Signed> },
    Directed { life: u32, round_ctx: Digest, result: Result<(Directed, Vec<i64>), String> },
    OwnDirected { holder: usize, life: u32, round_ctx: Digest, question: Box<DirectionQuestion> },
    Down(Node),
    Up(Node),
}

impl Event {
    /// Whoever is at the other end of the coordinator's link, if it travels.
    const fn peer(&self) -> Option<Node> {
        match self {
            Self::ToHolder { holder, .. } | Self::FromHolder { holder, .. } => {
                Some(Node::Holder(*holder))
            }
            Self::ToOwner { owner, .. }
            | Self::FromOwner { owner, .. }
            | Self::Upload { owner, .. } => Some(Node::Owner(*owner)),
            _ => None,
        }
    }

    /// For the trace: what happens, with a digest in the place of long bytes.
    pub(crate) fn describe(&self) -> String {
        let digest = |bytes: &[u8]| hash(Domain::Body, &[bytes]).short();
        match self {
            Self::ToHolder { holder, bytes } => format!("to holder {holder}: {}", digest(bytes)),
            Self::FromHolder { holder, bytes } => format!("holder {holder}: {}", digest(bytes)),
            Self::ToOwner { owner, bytes } => format!("to owner {owner}: {}", digest(bytes)),
            Self::FromOwner { owner, bytes } => format!("owner {owner}: {}", digest(bytes)),
            Self::Upload { owner, upload } => {
                format!("upload of {owner}: {}", upload.header.header.digest())
            }
            Self::OwnDirected { holder, life, round_ctx, .. } => {
                format!("holder {holder}, life {life}, directs {round_ctx}")
            }
            Self::Prepared { owner, life, config } => {
                format!("owner {owner}, life {life}, prepared {}", config.context())
            }
            short @ (Self::Stored { .. }
            | Self::Opened { .. }
            | Self::Measured { .. }
            | Self::Proven { .. }
            | Self::Reread { .. }
            | Self::Directed { .. }
            | Self::Down(_)
            | Self::Up(_)) => format!("{short:?}"),
        }
    }
}

/// Nothing that is sent to or from a node while it lasts arrives.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) node: Node,
    pub(crate) ms: Range<u64>,
}

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) loss_percent: u32,
    pub(crate) duplicate_percent: u32,
    pub(crate) delay_ms_max: u64,
}

impl Weather {
    /// Nothing is lost, little is late.
    pub(crate) const FAIR: Self = Self { loss_percent: 0, duplicate_percent: 0, delay_ms_max: 5 };
}

/// The agenda of the world.
pub(crate) struct Network {
    pub(crate) rng: ChaCha8Rng,
    weather: Weather,
    cuts: Vec<Cut>,
    agenda: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
}

impl Network {
    pub(crate) fn new(seed: u64, weather: Weather, cuts: Vec<Cut>) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { rng, weather, cuts, agenda: BTreeMap::new(), scheduled: 0 }
    }

    /// Something will surely happen.
    pub(crate) fn schedule(&mut self, at_ms: u64, event: Event) {
        self.scheduled += 1;
        self.agenda.insert((at_ms, self.scheduled), event);
    }

    /// Something travels: it arrives late, never, or twice.
    pub(crate) fn send(&mut self, now_ms: u64, event: Event) {
        let is_cut = event.peer().is_some_and(|node| {
            self.cuts.iter().any(|cut| cut.node == node && cut.ms.contains(&now_ms))
        });
        let copies = if is_cut || self.chance(self.weather.loss_percent) {
            0
        } else {
            1 + u32::from(self.chance(self.weather.duplicate_percent))
        };
        for _ in 0..copies {
            let delay_ms = self.rng.random_range(1..=self.weather.delay_ms_max);
            self.schedule(now_ms + delay_ms, event.clone());
        }
    }

    /// From now on nothing is lost, repeated, or cut off.
    pub(crate) fn clear_up(&mut self) {
        self.weather = Weather::FAIR;
        self.cuts.clear();
    }

    /// When the next thing happens.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.agenda.keys().next().map(|(at_ms, _)| *at_ms)
    }

    /// The next thing.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.agenda.pop_first().map(|(_, event)| event)
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }
}
