//! A federation on disk, enrolled the way operators and members do it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use covey_aggregation::config::SealingKey;
use covey_aggregation::net::roster_file::{ROSTER_FILE, add_member};
use covey_aggregation::net::{
    Authority, IdentityKey, Membership, Request, Validity, authority, files, membership,
    write_roster,
};
use covey_aggregation::party::{Name, Role};
use covey_aggregation::roster::Roster;
use tempfile::TempDir;
use zeroize::Zeroizing;

pub(crate) struct Federation {
    pub(crate) folder: TempDir,
    pub(crate) authority: Authority,
    pub(crate) roster: Roster,
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

impl Federation {
    /// A coordinator "c", holders "kh-1" to "kh-4", an owner "ada"; secrets derive from `seed`.
    pub(crate) fn new(federation: &str, seed: u8) -> Self {
        let secret = Zeroizing::new([seed; 32]);
        let authority =
            Authority::create(name(federation), secret, SystemTime::now()).expect("an authority");
        let roster = Roster::founding(name(federation), authority.digest(), Vec::new());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut this = Self { folder, authority, roster };
        this.enrol("c", Role::Coordinator, seed ^ 1);
        for holder in 1..=4 {
            this.enrol(&format!("kh-{holder}"), Role::Holder, seed ^ (1 + holder));
        }
        this.enrol("ada", Role::DataOwner, seed ^ 6);
        this
    }

    pub(crate) fn path(&self, member: &str) -> PathBuf {
        self.folder.path().join(member)
    }

    /// Makes the member's keys, request, certificate; adds it to the roster.
    pub(crate) fn enrol(&mut self, member: &str, role: Role, seed: u8) {
        let folder = self.path(member);
        files::create_private_folder(&folder).expect("a folder");
        let key = IdentityKey::from_seed(Zeroizing::new([seed; 32]));
        key.create(&folder).expect("a key");
        let sealing = (role == Role::Holder)
            .then(|| SealingKey { ml_kem: vec![seed; 1184].into(), x25519: [seed; 32] });
        let request = Request::create(&key, name(member), role, sealing).expect("a request");
        let request = Request::from_json(&request.to_json()).expect("a valid request");
        add_member(&mut self.roster, request.member()).expect("a new member");
        self.certify(member, Validity { from: SystemTime::now(), days: 7 });
    }

    pub(crate) fn certify(&self, member: &str, validity: Validity) {
        let found = self.roster.members.iter().find(|one| one.name.as_str() == member);
        let pem = self.authority.issue(found.expect("enrolled"), validity).expect("issued");
        let folder = self.path(member);
        files::write_durably(&folder.join(membership::MEMBER_FILE), pem.as_bytes())
            .expect("written");
        let authority = folder.join(authority::AUTHORITY_FILE);
        files::write_durably(&authority, self.authority.pem().as_bytes()).expect("written");
    }

    /// Loads a member that has pinned `roster`.
    pub(crate) fn member_with(&self, member: &str, roster: &Roster) -> Arc<Membership> {
        write_roster(&self.path(member).join(ROSTER_FILE), roster).expect("written");
        Arc::new(Membership::load(&self.path(member)).expect("a membership"))
    }

    pub(crate) fn member(&self, member: &str) -> Arc<Membership> {
        self.member_with(member, &self.roster)
    }
}
