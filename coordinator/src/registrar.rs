//! Who joins, renews and leaves: answers those who dial to enrol, and tells the driver what has changed
//! among the members. Decides nothing about rounds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use covey_aggregation::hash::Digest;
use covey_aggregation::net::enrolment::{
    Answer, Applicant, Application, Bearer, NotEnrolled, Waiting,
};
use covey_aggregation::net::invite::{InviteId, InviteSecret};
use covey_aggregation::net::{Authority, GuestList, Membership, Request, Validity};
use covey_aggregation::party::{PartyId, Role};
use covey_aggregation::roster::Member;
use tokio::sync::{Mutex, MutexGuard, Semaphore, mpsc, watch};
use tokio::time::{interval, sleep};

use crate::session::Input;
use crate::storage::StorageError;
use crate::storage::members::{MemberEntry, Members, NotJoined, Standing};

/// How often it looks for what the operator's commands have changed: a revoked member is cut off within
/// a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often somebody who waits is told again what for, and how soon a newcomer who is gone is noticed.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Newcomers served at once; others are told to try again.
const APPLICANTS_MAX: usize = 256;

/// The registrar.
pub struct Registrar {
    members: Mutex<Members>,
    /// None where the operator keeps it elsewhere: then nobody can join or renew.
    authority: Option<Authority>,
    guests: GuestList,
    certificate_days: u32,
    /// What approved newcomers wait for.
    waiting: watch::Sender<Waiting>,
    /// Counts changes of members and of the roster.
    changes: watch::Sender<u64>,
    places: Semaphore,
}

/// What a registrar is made of.
pub struct RegistrarParts {
    /// The members' file.
    pub members: Members,
    /// The federation's authority, if it is at hand.
    pub authority: Option<Authority>,
    /// Whom the listener lets in.
    pub guests: GuestList,
    /// How long certificates of members are valid.
    pub certificate_days: u32,
}

impl Registrar {
    /// A registrar.
    #[must_use]
    pub fn new(parts: RegistrarParts) -> Self {
        let RegistrarParts { members, authority, guests, certificate_days } = parts;
        Self {
            members: Mutex::new(members),
            authority,
            guests,
            certificate_days,
            waiting: watch::Sender::new(Waiting::Round),
            changes: watch::Sender::new(0),
            places: Semaphore::new(APPLICANTS_MAX),
        }
    }

    /// The members' file.
    pub async fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().await
    }

    /// Whom the listener lets in.
    #[must_use]
    pub const fn guests(&self) -> &GuestList {
        &self.guests
    }

    /// Waits until a member is shut out.
    pub async fn shut_out(&self, id: &PartyId) {
        let mut changes = self.changes.subscribe();
        while !self.guests.now().is_shut_out(id) {
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Approved newcomers wait for this now.
    pub fn set_waiting(&self, waiting: Waiting) {
        self.waiting.send_replace(waiting);
    }

    /// Something has changed: whoever waits is told where it stands.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// A new certificate for the coordinator itself, once two thirds of the old one's life are over.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn renew_own(&self, membership: &Membership) -> Result<bool, String> {
        let (from, until) = membership.validity();
        let life = until.duration_since(from).unwrap_or_default();
        let Some(authority) =
            self.authority.as_ref().filter(|_| SystemTime::now() > from + life * 2 / 3)
        else {
            return Ok(false);
        };
        let pem = self.certify(authority, membership.member())?;
        membership.renew(&pem).map(|()| true).map_err(|error| error.to_string())
    }

    fn certify(&self, authority: &Authority, member: &Member) -> Result<String, String> {
        let validity = Validity { from: SystemTime::now(), days: self.certificate_days };
        authority.issue(member, validity).map_err(|error| error.to_string())
    }

    fn certificate(&self, member: &Member) -> Result<Answer, NotEnrolled> {
        let authority = self.authority.as_ref().ok_or(NotEnrolled::NoAuthority)?;
        let pem = self.certify(authority, member).map_err(|error| {
            tracing::error!(%error, name = %member.name, "a certificate could not be signed");
            NotEnrolled::Busy
        })?;
        Ok(Answer::Certificate { member: pem, authority: authority.pem().to_owned() })
    }

    async fn join(
        &self,
        key: &PartyId,
        exporter: &[u8; 32],
        (invite, secret, binding): (InviteId, &InviteSecret, &Digest),
        request: &str,
    ) -> Result<MemberEntry, NotJoined> {
        let bad = |error: covey_aggregation::net::request::BadRequest| {
            NotEnrolled::BadRequest(error.to_string())
        };
        if !secret.binding(request, exporter).equals(binding) {
            return Err(NotEnrolled::NotBound.into());
        }
        let request = Request::from_json(request).map_err(bad)?;
        let member = request.member();
        if member.id != *key {
            return Err(NotEnrolled::OtherKey.into());
        }
        let mut members = self.members.lock().await;
        // One that was enrolled by files stands in the roster alone.
        let guests = self.guests.now();
        let namesake = guests.certified.roster.members.iter().find(|one| one.name == member.name);
        if let Some(namesake) = namesake.filter(|one| one.id != member.id) {
            let entry = members.entry_of(&namesake.id).await?;
            if entry.is_none_or(|entry| !entry.standing.is_shut_out()) {
                return Err(NotEnrolled::Taken.into());
            }
        }
        let entry = members.join(invite, secret, &request, now_s()).await?;
        drop(members);
        self.changed();
        Ok(entry)
    }

    /// Where somebody stands, as the answer to a newcomer; the certificate once.
    async fn standing(
        &self,
        key: &PartyId,
        is_certified: &mut bool,
    ) -> Result<Vec<Answer>, NotJoined> {
        let entry = self.members.lock().await.entry_of(key).await?;
        let entry = entry.ok_or(NotEnrolled::Declined)?;
        match entry.standing {
            Standing::Waiting => return Ok(vec![Answer::Wait(Waiting::Operator)]),
            Standing::Approved => {}
            Standing::Suspended | Standing::Revoked | Standing::Left => {
                return Err(NotEnrolled::Declined.into());
            }
        }
        let mut answers = Vec::new();
        if !std::mem::replace(is_certified, true) {
            answers.push(self.certificate(&entry.member)?);
        }
        let certified = self.guests.now().certified;
        let is_in = certified.roster.member(key).is_some() && certified.roster.validate().is_ok();
        answers.push(if is_in {
            Answer::Member(Box::new((*certified).clone()))
        } else {
            Answer::Wait(self.waiting.borrow().clone())
        });
        Ok(answers)
    }
}

/// Serves somebody who enrols, until they are a member, or gone. Says who it was turned away, and why.
pub async fn serve(mut applicant: Applicant, registrar: Arc<Registrar>) -> Option<NotEnrolled> {
    let served = match registrar.places.try_acquire() {
        Ok(_place) => attend(&mut applicant, &registrar).await,
        Err(_) => Err(NotEnrolled::Busy.into()),
    };
    let refused = match served {
        Ok(()) => None,
        Err(NotJoined::Refused(refused)) => Some(refused),
        Err(NotJoined::Storage(error)) => {
            tracing::error!(%error, "members.db");
            Some(NotEnrolled::Busy)
        }
    };
    if let Some(refused) = &refused {
        // Whoever is gone does not hear it.
        let _ = applicant.answer(&Answer::Refused(refused.clone())).await;
    }
    applicant.finish().await;
    refused
}

async fn attend(applicant: &mut Applicant, registrar: &Registrar) -> Result<(), NotJoined> {
    let member = match (&applicant.application, &applicant.bearer) {
        (Application::Join { invite, secret, request, binding }, Bearer::Newcomer(key)) => {
            let key = *key;
            let by = (*invite, secret, binding);
            registrar.join(&key, &applicant.exporter, by, request).await?;
            return accompany(applicant, registrar, &key).await;
        }
        (Application::Join { .. }, Bearer::Member(_)) => return Err(NotEnrolled::Taken.into()),
        (_, Bearer::Newcomer(_)) => return Err(NotEnrolled::NotMember.into()),
        // The committee stays as it is: a holder that was shut out would keep its seat, and nobody
        // could have its part of the key any more.
        (Application::Leave, Bearer::Member(member)) if member.role == Role::Holder => {
            return Err(NotEnrolled::Seated.into());
        }
        (Application::Renew | Application::Leave, Bearer::Member(member)) => (**member).clone(),
    };
    let answer = if matches!(applicant.application, Application::Renew) {
        registrar.certificate(&member)?
    } else {
        let mut members = registrar.members.lock().await;
        members.stand(&member, Standing::Left, now_s()).await?;
        drop(members);
        registrar.changed();
        Answer::Left
    };
    // What was decided is recorded; whoever is gone asks again.
    let _ = applicant.answer(&answer).await;
    Ok(())
}

/// Tells a newcomer where it stands until it is a member.
async fn accompany(
    applicant: &mut Applicant,
    registrar: &Registrar,
    key: &PartyId,
) -> Result<(), NotJoined> {
    let mut changes = registrar.changes.subscribe();
    let (mut is_certified, mut told) = (false, None);
    loop {
        changes.mark_unchanged();
        for answer in registrar.standing(key, &mut is_certified).await? {
            if told.as_ref() != Some(&answer) && applicant.answer(&answer).await.is_err() {
                return Ok(());
            }
            if matches!(answer, Answer::Member(_)) {
                return Ok(());
            }
            told = Some(answer);
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = sleep(TELL_EVERY) => {}
            _gone = applicant.gone() => return Ok(()),
        }
    }
}

/// Tells the driver and the listener of every change among the members, for as long as the program
/// serves.
pub async fn watch_members(registrar: Arc<Registrar>, inputs: mpsc::Sender<Input>) {
    let mut changes = registrar.changes.subscribe();
    let mut look = interval(LOOK_EVERY);
    let (mut known, mut version) = (None, None);
    // What this program writes itself does not change the version that it sees.
    let mut is_own_change = false;
    loop {
        let members = async {
            let mut members = registrar.members.lock().await;
            let now = members.version().await?;
            let is_new = version.replace(now) != Some(now) || is_own_change;
            if is_new { members.all().await.map(Some) } else { Ok::<_, StorageError>(None) }
        };
        match members.await {
            Ok(Some(entries)) if known.as_ref() != Some(&entries) => {
                let shut_out = entries.iter().filter(|entry| entry.standing.is_shut_out());
                let shut_out: BTreeSet<_> = shut_out.map(|entry| entry.member.id).collect();
                registrar.guests.shut_out(shut_out);
                known = Some(entries.clone());
                registrar.changed();
                if inputs.send(Input::Members(entries)).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "members.db cannot be read"),
        }
        is_own_change = tokio::select! {
            _ = look.tick() => false,
            changed = changes.changed() => changed.is_ok(),
            () = inputs.closed() => return,
        };
    }
}

/// Seconds of Unix time.
#[must_use]
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
