//! One strategy, drawn from a seed, and the judgement of all that it got.

use std::collections::{BTreeMap, BTreeSet};

use covey_aggregation::config::{HolderIndex, RoundConfig, cohort_digest};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::{Envelope, FromHolder, Outcome, Report, ToHolder, Vote};
use covey_aggregation::party::PartyId;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::accomplice::{Entries, accomplices, entries, missing_component};
use super::moves::{Fate, Move};
use super::{OWNERS, Tally, Theatre};
use crate::oracle::Witness;
use crate::stage::{Keeper, Offer};

/// Where the second message of the first client is among an offer's uploads.
const SECOND: usize = OWNERS;

/// How the coordinator begins.
#[derive(Clone, Copy)]
enum Opening {
    /// With nothing.
    Cold,
    /// All holders know the first offer and all of its contributions.
    Honest,
    /// Every holder knows one of the offers.
    SplitTerms,
    /// The holders know the first offer, and different messages of its first client.
    SplitMessages,
}

pub(super) struct Strategy<'a> {
    theatre: &'a Theatre,
    seed: u64,
    rng: ChaCha8Rng,
    /// Offers in play.
    sleeve: Vec<usize>,
    /// How much each move is liked.
    likes: Vec<(Move, u32)>,
    /// How often a disk lags, in percent.
    lag_percent: u32,
    keepers: Vec<Keeper>,
    /// By offer and set, the votes that honest holders gave, each with its holder.
    votes: BTreeMap<(usize, Digest), BTreeMap<HolderIndex, Vote>>,
    /// Sets ever named, by their digests.
    sets: BTreeMap<Digest, Vec<Digest>>,
    /// By offer and set, what honest holders released of the component that accomplices lack.
    released: BTreeMap<(usize, Digest), Entries>,
    witness: Witness,
    tally: Tally,
}

impl<'a> Strategy<'a> {
    pub(super) fn new(theatre: &'a Theatre, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let cast = &theatre.cast;
        let honest = accomplices(&cast.offers[0].config).start;
        let count = rng.random_range(1..=3);
        let mut sleeve: Vec<usize> =
            (0..count).map(|_| rng.random_range(0..cast.offers.len())).collect();
        if rng.random() {
            sleeve[0] = 0;
        }
        let likes = Move::ALL.iter().map(|&action| {
            let most = if action.may_succeed() { 12 } else { 3 };
            (action, rng.random_range(0..=most))
        });
        let likes = likes.collect();
        let lag_percent = [0, 0, 30][rng.random_range(0..3)];
        let mut strategy = Self {
            theatre,
            seed,
            sleeve,
            likes,
            lag_percent,
            keepers: (0..honest).map(|holder| cast.keeper(holder)).collect(),
            votes: BTreeMap::new(),
            sets: BTreeMap::new(),
            released: BTreeMap::new(),
            witness: Witness::default(),
            tally: Tally::new(),
            rng,
        };
        let openings =
            [Opening::Cold, Opening::Honest, Opening::SplitTerms, Opening::SplitMessages];
        let opening = openings[strategy.rng.random_range(0..openings.len())];
        strategy.open(opening);
        strategy
    }

    /// All moves, then more votes for what has some, then whatever certificates the votes make.
    pub(super) fn play(mut self) -> Tally {
        for _ in 0..self.rng.random_range(20..60) {
            let action = self.choose();
            self.make(action);
        }
        self.canvass();
        self.cash_in();
        self.judge();
        self.tally
    }

    fn open(&mut self, opening: Opening) {
        let lag = std::mem::take(&mut self.lag_percent);
        for holder in 0..self.keepers.len() {
            let which = match opening {
                Opening::Cold => continue,
                Opening::SplitTerms => self.any_offer(),
                Opening::Honest | Opening::SplitMessages => self.sleeve[0],
            };
            let offer = self.offer(which);
            let mut shown = offer.everybody();
            if matches!(opening, Opening::SplitMessages) && shown[0] == 0 && self.rng.random() {
                shown[0] = SECOND;
            }
            let propose = offer.propose();
            let envelopes = offer.envelopes(holder, &shown, shown.len());
            self.tell(holder, propose);
            self.tell(holder, envelopes);
        }
        self.lag_percent = lag;
    }

    fn choose(&mut self) -> Move {
        let total: u32 = self.likes.iter().map(|(_, like)| like).sum();
        let mut at = self.rng.random_range(0..total.max(1));
        for &(action, like) in &self.likes {
            if at < like {
                return action;
            }
            at -= like;
        }
        Move::Propose
    }

    fn offer(&self, which: usize) -> &'a Offer {
        &self.theatre.cast.offers[which]
    }

    fn any_offer(&mut self) -> usize {
        self.sleeve[self.rng.random_range(0..self.sleeve.len())]
    }

    fn any<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.random_range(0..of.len())]
    }

    fn make(&mut self, action: Move) {
        let holder = self.rng.random_range(0..self.keepers.len());
        let which = self.any_offer();
        let offer = self.offer(which);
        let message = match action {
            Move::Propose => offer.propose(),
            Move::End => {
                let outcome = Outcome::Done(Report::default());
                ToHolder::Ended { round_ctx: offer.context, outcome }
            }
            Move::Crash => {
                let roster = &self.theatre.cast.roster;
                self.keepers[holder].crash(roster, &mut self.rng);
                self.tally.count(action, Fate::Quiet);
                return;
            }
            Move::TooLowMinimum
            | Move::OtherCommittee
            | Move::OtherRoster
            | Move::OtherPacking
            | Move::OtherCohort
            | Move::StrangerInCohort
            | Move::RoundZero => spoiled(action, offer),
            Move::Envelopes
            | Move::Batch
            | Move::OtherTotal
            | Move::SecondMessage
            | Move::OfOtherRound
            | Move::OfStranger
            | Move::AlteredBox
            | Move::AlteredHeader
            | Move::BoxOfOtherHolder => self.envelopes(action, offer, holder),
            Move::AskVote => {
                let set = self.promising(which);
                self.sets.insert(offer.set_digest(&set), set.clone());
                offer.ask_vote(&set)
            }
            Move::Subset
            | Move::Reordered
            | Move::Repeated
            | Move::BothMessages
            | Move::NeverSent
            | Move::BelowMinimum => {
                let set = self.set(action, offer);
                self.sets.insert(offer.set_digest(&set), set.clone());
                offer.ask_vote(&set)
            }
            Move::AskRelease
            | Move::ForgedVote
            | Move::TooFewVotes
            | Move::RepeatedVote
            | Move::VotesOfOtherRound
            | Move::VotesForOtherSet
            | Move::OtherSetThanCertified
            | Move::CertifiedBelowMinimum
            | Move::CertifiedTwice => self.certified(action, which),
        };
        let fate = self.tell(holder, message);
        self.tally.count(action, fate);
    }

    fn envelopes(&mut self, action: Move, offer: &'a Offer, holder: usize) -> ToHolder {
        let mut all = offer.everybody();
        let total = all.len();
        let one = self.any(&all);
        let good = offer.uploads[one].envelope(holder);
        let show = |envelope: Envelope| offer.show(vec![envelope], total);
        match action {
            Move::Batch => {
                let from = self.rng.random_range(0..total);
                let to = self.rng.random_range(from..=total);
                offer.envelopes(holder, &all[from..to], total)
            }
            Move::OtherTotal => {
                let total = self.rng.random_range(2..=total + 1);
                offer.envelopes(holder, &all[..total.min(all.len())], total)
            }
            Move::SecondMessage => {
                if all[0] == 0 {
                    all[0] = SECOND;
                }
                offer.envelopes(holder, &all, total)
            }
            Move::OfOtherRound => {
                let others = &self.theatre.cast.offers;
                let other = others.iter().find(|other| other.context != offer.context);
                show(other.expect("several offers").uploads[one].envelope(holder))
            }
            Move::OfStranger => {
                // Its header claims to be somebody's outside of the cohort.
                let mut upload = good;
                upload.client = PartyId([0x33; 32]);
                show(upload)
            }
            Move::AlteredBox => {
                let mut upload = good;
                upload.sealed_box[40] ^= 1;
                show(upload)
            }
            Move::AlteredHeader => {
                let mut upload = good;
                upload.correction.0[3] ^= 1;
                show(upload)
            }
            Move::BoxOfOtherHolder => {
                let mut upload = good;
                let other = (holder + 1) % self.keepers.len();
                upload.sealed_box = offer.uploads[one].envelope(other).sealed_box;
                show(upload)
            }
            _ => offer.envelopes(holder, &all, total),
        }
    }

    /// Names of contributions, fit to be voted for or not.
    fn set(&mut self, action: Move, offer: &Offer) -> Vec<Digest> {
        let mut all = offer.everybody();
        if all[0] == 0 && self.rng.random_range(0..6) == 0 {
            all[0] = SECOND;
        }
        let minimum = offer.config.contributions_min as usize;
        match action {
            Move::Subset => {
                while all.len() > minimum && self.rng.random_range(0..3) > 0 {
                    all.remove(self.rng.random_range(0..all.len()));
                }
            }
            Move::Reordered => {
                let from = self.rng.random_range(1..all.len());
                all.rotate_left(from);
            }
            Move::Repeated => {
                let at = self.rng.random_range(0..all.len());
                let again = all[at];
                if self.rng.random() {
                    all.insert(at, again);
                } else {
                    let other = (at + 1) % all.len();
                    all[other] = again;
                }
            }
            Move::BothMessages => {
                let first = all.first_mut().expect("a cohort");
                *first = 0;
                all.insert(1, SECOND);
            }
            Move::NeverSent => {
                let at = self.rng.random_range(0..all.len());
                let mut set = offer.set(&all);
                set[at] = Digest([0x44; 32]);
                return set;
            }
            Move::BelowMinimum | Move::CertifiedBelowMinimum => {
                all.truncate(self.rng.random_range(0..minimum));
            }
            _ => {}
        }
        offer.set(&all)
    }

    /// The set of this offer that most holders voted for, or any.
    fn promising(&mut self, which: usize) -> Vec<Digest> {
        let voted = self.votes.iter().filter(|((offer, _), _)| *offer == which);
        let best = voted.max_by_key(|(_, votes)| votes.len()).map(|((_, set), _)| *set);
        match best {
            Some(digest) if self.rng.random_range(0..4) > 0 => self.sets[&digest].clone(),
            _ => self.set(Move::Subset, self.offer(which)),
        }
    }

    /// All votes for a set that can be had: honest ones that were given, and the accomplices'.
    fn votes_for(&self, which: usize, digest: &Digest) -> BTreeMap<HolderIndex, Vote> {
        let offer = self.offer(which);
        let mut votes = self.votes.get(&(which, *digest)).cloned().unwrap_or_default();
        for holder in accomplices(&offer.config) {
            let vote = self.theatre.cast.vote(holder, &offer.context, digest);
            votes.insert(vote.holder, vote);
        }
        votes
    }

    fn certified(&mut self, action: Move, which: usize) -> ToHolder {
        let (cast, offer) = (&self.theatre.cast, self.offer(which));
        let set = match action {
            Move::CertifiedBelowMinimum => self.set(action, offer),
            _ => self.promising(which),
        };
        let digest = offer.set_digest(&set);
        self.sets.insert(digest, set.clone());
        let mut votes: Vec<Vote> = self.votes_for(which, &digest).into_values().collect();
        let quorum = offer.config.shape.quorum();
        match action {
            Move::ForgedVote => {
                // Votes of honest holders that an accomplice signed.
                let forger = accomplices(&offer.config).start;
                votes = (0..quorum).map(|_| cast.vote(forger, &offer.context, &digest)).collect();
                (0..).zip(&mut votes).for_each(|(index, vote)| vote.holder = HolderIndex(index));
            }
            Move::TooFewVotes => votes.truncate(quorum - 1),
            Move::RepeatedVote => {
                let one = votes.last().expect("an accomplice's").clone();
                votes = vec![one; quorum];
            }
            Move::VotesOfOtherRound => {
                let other = (which + 1) % cast.offers.len();
                let context = &cast.offers[other].context;
                votes = (0..quorum).map(|holder| cast.vote(holder, context, &digest)).collect();
            }
            Move::VotesForOtherSet => {
                let other = Digest([0x55; 32]);
                let vote = |holder| cast.vote(holder, &offer.context, &other);
                votes = (0..quorum).map(vote).collect();
            }
            Move::OtherSetThanCertified => {
                let mut message = offer.ask_release(&set, votes);
                if let ToHolder::Certified { set, .. } = &mut message {
                    set.pop();
                }
                return message;
            }
            // A second set, signed for by every accomplice as often as it likes.
            Move::CertifiedTwice => {
                let holders = accomplices(&offer.config).cycle().take(quorum);
                votes = holders.map(|holder| cast.vote(holder, &offer.context, &digest)).collect();
            }
            _ => {}
        }
        offer.ask_release(&set, votes)
    }

    /// Asks all holders, told everything again, to vote for the set that has most votes, and then
    /// for the next, under each of the offers.
    fn canvass(&mut self) {
        self.lag_percent = 0;
        for holder in 0..self.keepers.len() {
            let said = self.keepers[holder].flush();
            self.hear(holder, said);
        }
        for which in self.sleeve.clone() {
            let offer = self.offer(which);
            let mut sets: Vec<_> = self.votes.iter().filter(|((at, _), _)| *at == which).collect();
            sets.sort_by_key(|(_, votes)| std::cmp::Reverse(votes.len()));
            let mut sets: Vec<_> =
                sets.iter().map(|((_, digest), _)| self.sets[digest].clone()).collect();
            sets.truncate(2);
            if sets.is_empty() {
                let set = offer.set(&offer.everybody());
                self.sets.insert(offer.set_digest(&set), set.clone());
                sets.push(set);
            }
            for set in sets {
                for holder in 0..self.keepers.len() {
                    let shown = offer.everybody();
                    let second = set.contains(&offer.digest(SECOND));
                    let shown: Vec<_> = shown
                        .into_iter()
                        .map(|at| if second && at == 0 { SECOND } else { at })
                        .collect();
                    self.tell(holder, offer.propose());
                    self.tell(holder, offer.envelopes(holder, &shown, shown.len()));
                    self.tell(holder, offer.ask_vote(&set));
                }
            }
        }
    }

    /// Shows every holder every certificate that can be made.
    fn cash_in(&mut self) {
        let sets: Vec<_> = self.votes.keys().copied().collect();
        for (which, digest) in sets {
            let (offer, set) = (self.offer(which), self.sets[&digest].clone());
            let votes = self.votes_for(which, &digest);
            if votes.len() < offer.config.shape.quorum() {
                continue;
            }
            for holder in 0..self.keepers.len() {
                let votes = votes.values().cloned().collect();
                self.tell(holder, offer.ask_release(&set, votes));
            }
        }
    }

    fn tell(&mut self, holder: usize, message: ToHolder) -> Fate {
        let lags = self.rng.random_range(0..100) < self.lag_percent;
        let keeper = &mut self.keepers[holder];
        let signed = keeper.signed;
        let said = if lags { keeper.tell_lagging(message) } else { keeper.tell(message) };
        let is_signed = keeper.signed > signed;
        let fate = match said.last() {
            _ if is_signed => Fate::Signed,
            None => Fate::Quiet,
            Some(FromHolder::Refused { .. }) => Fate::Refused,
            Some(FromHolder::Lacking { .. }) => Fate::Lacking,
            Some(_) => Fate::Answered,
        };
        self.hear(holder, said);
        fate
    }

    fn hear(&mut self, holder: usize, said: Vec<FromHolder>) {
        for message in said {
            self.witness.saw_holder(holder, &message);
            let context = *message.round_ctx();
            let which = self.theatre.cast.offers.iter().position(|one| one.context == context);
            match message {
                FromHolder::Voted { set, vote, .. } => {
                    let which = which.expect("votes under offers only");
                    self.votes.entry((which, set)).or_default().insert(vote.holder, vote);
                }
                FromHolder::Released(release) => {
                    let which = which.expect("releases under offers only");
                    let at = missing_component(&self.offer(which).config, holder);
                    let given = entries(&release.sums[at]);
                    let first = *self.released.entry((which, release.set)).or_insert(given);
                    assert_eq!(first, given, "seed {}: honest holders differ", self.seed);
                }
                _ => {}
            }
        }
    }

    /// Nothing unsafe can be opened with what was released.
    fn judge(&mut self) {
        let seed = self.seed;
        let mut opened = BTreeSet::new();
        for (&(which, digest), released) in &self.released {
            let offer = self.offer(which);
            let set = &self.sets[&digest];
            // What it opens in fact is the very set that it was released for.
            let names: Vec<Vec<Digest>> = (self.theatre.loot[which].opened_by(released).iter())
                .map(|uploads| in_order(offer, uploads))
                .collect();
            assert_eq!(names, std::slice::from_ref(set), "seed {seed}: other sets can be opened");
            let clients: BTreeSet<_> = set.iter().map(|name| client(offer, name)).collect();
            assert_eq!(clients.len(), set.len(), "seed {seed}: a client counts twice");
            let minimum = offer.config.contributions_min as usize;
            assert!(set.len() >= minimum, "seed {seed}: a set of {}", set.len());
            let votes = self.votes_for(which, &digest).len();
            assert!(votes >= offer.config.shape.quorum(), "seed {seed}: {votes} votes");
            let round = (offer.config.run, offer.config.round);
            assert!(opened.insert(round), "seed {seed}: two sets of one round");
        }
        self.tally.opened += opened.len() as u64;
        self.tally.successful += u64::from(!opened.is_empty());
    }
}

/// The names of these contributions by ascending client.
fn in_order(offer: &Offer, uploads: &[usize]) -> Vec<Digest> {
    let mut uploads = uploads.to_vec();
    uploads.sort_by_key(|&upload| offer.uploads[upload].header.header.client);
    offer.set(&uploads)
}

fn client(offer: &Offer, name: &Digest) -> PartyId {
    let found = offer.uploads.iter().find(|upload| upload.header.header.digest() == *name);
    found.expect("a contribution under this offer").header.header.client
}

/// Terms that no holder may sign.
fn spoiled(action: Move, offer: &Offer) -> ToHolder {
    let (mut config, mut cohort) = (offer.config.clone(), offer.cohort.clone());
    let change: &mut RoundConfig = &mut config;
    match action {
        Move::TooLowMinimum => change.contributions_min = 2,
        Move::OtherCommittee => change.committee.swap(0, 1),
        Move::OtherRoster => change.federation = Digest([8; 32]),
        Move::OtherPacking => change.packing.lanes += 1,
        Move::OtherCohort => {
            cohort.pop();
        }
        Move::StrangerInCohort => {
            cohort[0] = PartyId([0; 32]);
            change.cohort = cohort_digest(&cohort);
        }
        _ => change.round = 0,
    }
    ToHolder::Propose { config: Box::new(config), cohort, beacons: Vec::new(), attested: None }
}
