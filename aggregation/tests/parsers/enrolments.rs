//! What is said by and to those who join, renew and leave, and the rosters that come of it.

use covey_aggregation::config::HolderIndex;
use covey_aggregation::message::Vote;
use covey_aggregation::net::Invite;
use covey_aggregation::net::enrolment::{Answer, Application, NotEnrolled, Waiting};
use covey_aggregation::net::invite::{InviteId, InviteSecret};
use covey_aggregation::net::link::{Greeting, Welcome};
use covey_aggregation::party::Role;
use covey_aggregation::roster::succession::CertifiedRoster;
use covey_aggregation::wire::encode;
use zeroize::Zeroizing;

use super::seeds::Seeds;
use super::{FACTOR, bounded, digest};

/// The text of an invite.
pub fn invite(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(invite) = bounded(bytes.len(), FACTOR, || Invite::from_text(text)) else { return false };
    assert_eq!(*invite.to_text(), text.trim(), "two texts of one invite");
    true
}

impl Seeds {
    pub(super) fn certified_roster(&self) -> CertifiedRoster {
        let signature = self.publication.signature;
        let vote = |holder| Vote { holder: HolderIndex(holder), signature };
        let roster = self.roster.next(300, self.roster.members.clone());
        CertifiedRoster { roster, votes: vec![vote(0), vote(1), vote(3)] }
    }

    pub fn greeting(&self) -> Vec<Vec<u8>> {
        vec![encode(&Greeting { roster: self.roster.digest(), number: 300 })]
    }

    pub fn welcome(&self) -> Vec<Vec<u8>> {
        vec![encode(&Welcome::Same), encode(&Welcome::Newer(Box::new(self.certified_roster())))]
    }

    pub fn application(&self) -> Vec<Vec<u8>> {
        let request = "{}".to_owned();
        let (invite, secret) = (InviteId([1; 8]), InviteSecret::new(&Zeroizing::new([2; 16])));
        let binding = secret.binding(&request, &[3; 32]);
        let join = Application::Join { invite, secret, request, binding };
        [join, Application::Renew, Application::Leave].iter().map(encode).collect()
    }

    pub fn enrolment_answer(&self) -> Vec<Vec<u8>> {
        let waiting = [
            Waiting::Operator,
            Waiting::Committee { holders: 1, of: 4 },
            Waiting::Signatures { signed: 2, needed: 3 },
            Waiting::Round,
        ];
        let refused = [
            NotEnrolled::Used,
            NotEnrolled::OtherMember { name: "ada".parse().expect("a name") },
            NotEnrolled::BadRequest("what".to_owned()),
        ];
        let (member, authority) = ("member".to_owned(), "authority".to_owned());
        let mut answers: Vec<_> = waiting.map(Answer::Wait).into();
        answers.extend(refused.map(Answer::Refused));
        answers.push(Answer::Certificate { member, authority });
        answers.push(Answer::Member(Box::new(self.certified_roster())));
        answers.push(Answer::Left);
        answers.iter().map(encode).collect()
    }

    pub fn invite(&self) -> Vec<Vec<u8>> {
        let invite = Invite {
            address: "covey.example.org:7443".to_owned(),
            federation: self.roster.federation.clone(),
            authority: digest(4),
            role: Role::DataOwner,
            name: "ada".parse().expect("a name"),
            expires_s: 1_800_000_000,
            id: InviteId([1; 8]),
            secret: InviteSecret::new(&Zeroizing::new([2; 16])),
        };
        vec![invite.to_text().as_bytes().to_vec()]
    }
}
