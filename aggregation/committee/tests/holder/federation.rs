//! A federation whose holders were enrolled with the program itself.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use covey_aggregation::config::{
    Audit, CommitteeShape, KeyLayer, Packing, Profile, Quantiser, RoundConfig, Weighting,
    cohort_digest,
};
use covey_aggregation::hash::Digest;
use covey_aggregation::message::Envelope;
use covey_aggregation::net::authority::AUTHORITY_FILE;
use covey_aggregation::net::membership::MEMBER_FILE;
use covey_aggregation::net::roster_file::{ROSTER_FILE, add_member};
use covey_aggregation::net::{
    Authority, IdentityKey, Membership, Request, Validity, files, write_roster,
};
use covey_aggregation::party::{Name, PartyId, Role};
use covey_aggregation::roster::Roster;
use covey_aggregation::signing::Identity;
use covey_aggregation::sum::quantise::Quantised;
use covey_aggregation::sum::seal::seal;
use tempfile::TempDir;
use zeroize::Zeroizing;

const HOLDERS: [&str; 4] = ["kh-1", "kh-2", "kh-3", "kh-4"];

/// An address that nobody has.
const NOWHERE: &str = "127.0.0.1:9";

pub(crate) struct Federation {
    folder: TempDir,
    authority: Authority,
    pub(crate) roster: Roster,
    pub(crate) owners: Vec<Identity>,
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_covey-committee"));
    command.args(arguments).stdin(Stdio::null()).output().expect("started")
}

impl Federation {
    /// A coordinator "c", holders "kh-1" to "kh-4", four owners.
    pub(crate) fn new(federation: &str, seed: u8) -> Self {
        let secret = Zeroizing::new([seed; 32]);
        let federation = name(federation);
        let authority = Authority::create(federation.clone(), secret, SystemTime::now());
        let authority = authority.expect("an authority");
        let digest = authority.digest();
        let roster = Roster::founding(federation, digest, Vec::new());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut this = Self { folder, authority, roster, owners: Vec::new() };
        let key = IdentityKey::from_seed(Zeroizing::new([seed ^ 1; 32]));
        files::create_private_folder(&this.path("c")).expect("a folder");
        key.create(&this.path("c")).expect("a key");
        this.add(&Request::create(&key, name("c"), Role::Coordinator, None).expect("a request"));
        for holder in HOLDERS {
            let path = this.path(holder);
            let dir = path.to_str().expect("text");
            let made = run(&["init", "--name", holder, "--dir", dir, "--coordinator", NOWHERE]);
            assert!(made.status.success(), "{made:?}");
            this.add(&Request::read(&path.join("request.json")).expect("a request"));
        }
        for owner in 0..4 {
            let key = IdentityKey::from_seed(Zeroizing::new([seed ^ (10 + owner); 32]));
            let owner = name(&format!("owner-{owner}"));
            this.add(&Request::create(&key, owner, Role::DataOwner, None).expect("a request"));
            this.owners.push(key.identity());
        }
        this.owners.sort_unstable_by_key(Identity::id);
        for member in ["c", "kh-1", "kh-2", "kh-3", "kh-4"] {
            this.certify(member);
        }
        this
    }

    /// Tells the holders where the coordinator is.
    pub(crate) fn dial(&self, coordinator: &str) {
        for holder in HOLDERS {
            let path = self.config(holder);
            let text = std::fs::read_to_string(&path).expect("read").replace(NOWHERE, coordinator);
            std::fs::write(&path, text).expect("written");
        }
    }

    pub(crate) fn path(&self, member: &str) -> PathBuf {
        self.folder.path().join(member)
    }

    fn add(&mut self, request: &Request) {
        add_member(&mut self.roster, request.member()).expect("a new member");
    }

    fn certify(&self, member: &str) {
        let found = self.roster.members.iter().find(|one| one.name.as_str() == member);
        let validity = Validity { from: SystemTime::now(), days: 7 };
        let pem = self.authority.issue(found.expect("enrolled"), validity).expect("issued");
        let write = |file: &str, text: &str| {
            files::write_durably(&self.path(member).join(file), text.as_bytes()).expect("written");
        };
        write(MEMBER_FILE, &pem);
        write(AUTHORITY_FILE, self.authority.pem());
        write_roster(&self.path(member).join(ROSTER_FILE), &self.roster).expect("written");
    }

    pub(crate) fn membership(&self, member: &str) -> Arc<Membership> {
        Arc::new(Membership::load(&self.path(member)).expect("a membership"))
    }

    pub(crate) fn config(&self, member: &str) -> String {
        self.path(member).join("holder.toml").to_str().expect("text").to_owned()
    }

    /// Starts a holder as a process of its own.
    pub(crate) fn serve(&self, member: &str) -> Holding {
        let mut command = Command::new(env!("CARGO_BIN_EXE_covey-committee"));
        command.args(["serve", "--config", &self.config(member)]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Holding(command.spawn().expect("started"))
    }

    pub(crate) fn cohort(&self) -> Vec<PartyId> {
        self.owners.iter().map(Identity::id).collect()
    }

    /// The terms of a round.
    pub(crate) fn terms(&self, round: u32, clip_norm: f32) -> RoundConfig {
        RoundConfig {
            federation: self.roster.digest(),
            run: Digest([2; 32]),
            round,
            plan: Digest([3; 32]),
            manifest: Digest([4; 32]),
            model: Digest([5; 32]),
            dimension: 40,
            profile: Profile::A,
            key_layer: KeyLayer::ReplicatedSeeds,
            quantiser: Quantiser { bits: 8, range: 1.0, clip_norm, weighting: Weighting::Uniform },
            counters: 0,
            control: None,
            noise: None,
            packing: Packing::derive(Profile::A, 8, 10).expect("a packing exists"),
            contributions_min: 3,
            contributions_max: 10,
            shape: CommitteeShape::Four,
            committee: self.roster.committee(),
            cohort: cohort_digest(&self.cohort()),
            beacon_commitments: Vec::new(),
            audit: Audit::Off,
            credit: None,
            collect_ms: 1000,
        }
    }

    /// What the first holder is sent of every owner's contribution.
    pub(crate) fn envelopes(&self, terms: &RoundConfig) -> Vec<Envelope> {
        let units = vec![1; 40];
        let envelope = |owner: &Identity| {
            let quantised = Quantised::from_units(&units, 1, &terms.quantiser).expect("good units");
            let entropy = Zeroizing::new([7; 32]);
            let mut chunks: Vec<Vec<u8>> = Vec::new();
            let sealed = seal(terms, owner, &quantised, &entropy, &mut chunks).expect("sealed");
            let first = covey_aggregation::config::HolderIndex(0);
            Envelope::new(&sealed.header, first, sealed.boxes[0].clone()).expect("a seat")
        };
        self.owners.iter().map(envelope).collect()
    }
}

/// A holder's process; killed when dropped.
pub(crate) struct Holding(Child);

impl Holding {
    /// As a power cut does.
    pub(crate) fn kill(mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("ended");
    }

    /// Sends a signal and waits for the exit code.
    pub(crate) fn signal(mut self, signal: &str) -> Option<i32> {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill is there");
        assert!(sent.success());
        self.0.wait().expect("ended").code()
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        // It has usually ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Copies a file of one member over another's.
pub(crate) fn copy(from: &Path, to: &Path, file: &str) {
    std::fs::copy(from.join(file), to.join(file)).expect("copied");
}
