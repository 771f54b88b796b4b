//! `invite` and `member`: the operator's word about who is a member. What is said here counts at once,
//! also while the coordinator serves.

use covey_aggregation::net::Boxed;
use std::path::Path;

use covey_aggregation::limits::MEMBER_FILE_BYTES_MAX;
use covey_aggregation::net::invite::{Invite as Invitation, InviteId, InviteSecret};
use covey_aggregation::net::roster_file::{ROSTER_FILE, write_roster};
use covey_aggregation::net::{files, read_roster};
use covey_aggregation::party::{Name, Role};
use covey_aggregation::program::enrol::secret;
use covey_aggregation::program::words::key_words;
use covey_aggregation::program::{Exit, Failure, StateFolder};
use covey_aggregation::roster::succession::CertifiedRoster;
use covey_aggregation::roster::{Member, Roster};
use covey_aggregation::wire;
use serde_json::json;

use crate::cli::{Adopt, Invite, InviteCreate, MemberCommand, MemberName};
use crate::config::Config;
use crate::registrar::now_s;
use crate::setup::{Answer, CONFIG_FILE, file_failure};
use crate::storage::members::{Approval, MemberEntry, Members, NewInvite, Standing};
use crate::storage::place::{self, Databases};

/// `invite`.
///
/// # Errors
/// [`Failure`]: no such federation, no address, a name that is taken, no such invite.
pub fn invite(command: &Invite, asked: Option<Databases>) -> Boxed<'_, Result<Answer, Failure>> {
    Box::pin(invites(command, asked))
}

async fn invites(command: &Invite, asked: Option<Databases>) -> Result<Answer, Failure> {
    match command {
        Invite::Create(options) => create(options, asked).await,
        Invite::List(dir) => {
            let (_, mut members) = open(&dir.path, asked).await?;
            let (invites, now) = (members.invites().await?, now_s());
            let mut text = String::new();
            for invite in &invites {
                let (id, role, name) = (invite.id, invite.role, &invite.name);
                text += &format!("{id}  {:<8}  {role:<11}  {name}\n", invite.state(now));
            }
            if invites.is_empty() {
                text += "no invites\n";
            }
            let rows = invites.iter().map(|invite| {
                json!({
                    "id": invite.id.to_string(),
                    "state": invite.state(now),
                    "role": invite.role,
                    "name": invite.name,
                    "approval": invite.approval,
                    "expires_s": invite.expires_s,
                })
            });
            let data = json!({ "invites": rows.collect::<Vec<_>>() });
            Ok(Answer { text: text.trim_end().to_owned(), data })
        }
        Invite::Revoke { dir, id } => {
            let (_, mut members) = open(&dir.path, asked).await?;
            if members.revoke_invite(*id, now_s()).await? {
                let text = format!("invite {id} is taken back");
                return Ok(Answer { text, data: json!({ "revoked": id.to_string() }) });
            }
            let what = format!(
                "there is no open invite {id}: it is used or revoked already, or was \
                                never made"
            );
            Err(Failure::new(Exit::BadInput, "NO_INVITE", what)
                .with_help("covey-coordinator invite list; a member who came by it: member revoke"))
        }
    }
}

async fn create(options: &InviteCreate, asked: Option<Databases>) -> Result<Answer, Failure> {
    let (roster, mut members) = open(&options.dir.path, asked).await?;
    let role = Role::from(options.role);
    let address = match &options.address {
        Some(address) => address.clone(),
        None => configured_address(&options.dir.path)?,
    };
    check_free(&roster, &members.all().await?, &options.name, role)?;
    let approval = options.approval.unwrap_or(match role {
        Role::Holder => Approval::Manual,
        _ => Approval::Auto,
    });
    let id = InviteId(*secret::<8>()?);
    let token = InviteSecret::new(&secret::<16>()?);
    let (created_s, expires_s) = (now_s(), now_s() + options.expires);
    let (name, digest) = (options.name.clone(), token.digest());
    members
        .invite(&NewInvite { id, secret: digest, role, name, approval, created_s, expires_s })
        .await?;
    let invitation = Invitation {
        address,
        federation: roster.federation.clone(),
        authority: roster.authority,
        role,
        name: options.name.clone(),
        expires_s,
        id,
        secret: token,
    };
    let (line, name) = (invitation.to_text(), &options.name);
    let program = if role == Role::Holder { "covey-committee" } else { "covey-client" };
    let then = match approval {
        Approval::Auto => String::new(),
        Approval::Manual => format!("\nthen: covey-coordinator member approve {name}"),
    };
    let hours = options.expires.div_ceil(3600);
    let text = format!(
        "invite {id} for {name} ({role}), good once, for {hours} h; it is shown only now\n\
         hand this line over on a channel that only they read:\n\n  \
         {program} join {} --dir {name}\n{then}",
        *line
    );
    let data = json!({
        "id": id.to_string(),
        "invite": *line,
        "name": name,
        "role": role,
        "approval": approval,
        "expires_s": expires_s,
    });
    Ok(Answer { text: text.trim_end().to_owned(), data })
}

/// A committee takes its seats once, and of two members with one name only the first would get in.
fn check_free(
    roster: &Roster,
    entries: &[MemberEntry],
    name: &Name,
    role: Role,
) -> Result<(), Failure> {
    if role == Role::Holder && roster.validate().is_ok() {
        let what = "the committee of this federation is complete, and does not change";
        return Err(Failure::new(Exit::BadInput, "COMMITTEE_COMPLETE", what));
    }
    let is_out = |member: &Member| {
        entries.iter().any(|entry| entry.member.id == member.id && entry.standing.is_shut_out())
    };
    let mut there = roster.members.iter().filter(|member| !is_out(member));
    let mut joined = entries
        .iter()
        .filter(|entry| !matches!(entry.standing, Standing::Revoked | Standing::Left));
    let is_taken =
        there.any(|member| member.name == *name) || joined.any(|entry| entry.member.name == *name);
    if is_taken {
        let what = format!("{name} is a member already");
        return Err(Failure::new(Exit::BadInput, "NAME_TAKEN", what).with_help(
            "choose another name, or end that membership: covey-coordinator member revoke",
        ));
    }
    Ok(())
}

fn configured_address(dir: &Path) -> Result<String, Failure> {
    let help =
        "give --address HOST:PORT, or set address in the section [members] of coordinator.toml";
    let path = dir.join(CONFIG_FILE);
    // The plan that the settings name may not be there yet, and does not matter here.
    Config::address_of(&path)?.ok_or_else(|| {
        let what = "where newcomers find this coordinator is not known";
        Failure::new(Exit::BadInput, "NO_ADDRESS", what).with_help(help)
    })
}

/// `member`.
///
/// # Errors
/// [`Failure`]: no such federation, no such member.
pub fn member(
    command: &MemberCommand,
    asked: Option<Databases>,
) -> Boxed<'_, Result<Answer, Failure>> {
    Box::pin(members(command, asked))
}

async fn members(command: &MemberCommand, asked: Option<Databases>) -> Result<Answer, Failure> {
    match command {
        MemberCommand::List(dir) => list(&dir.path, asked).await,
        MemberCommand::Approve(who) => stand(who, Standing::Approved, asked).await,
        MemberCommand::Suspend(who) => stand(who, Standing::Suspended, asked).await,
        MemberCommand::Revoke(who) => stand(who, Standing::Revoked, asked).await,
        MemberCommand::Adopt(options) => adopt(options, asked).await,
    }
}

async fn list(dir: &Path, asked: Option<Databases>) -> Result<Answer, Failure> {
    let (roster, mut members) = open(dir, asked).await?;
    let entries = members.all().await?;
    let mut rows = Vec::new();
    for member in &roster.members {
        if !entries.iter().any(|entry| entry.member.id == member.id) {
            rows.push((member, "enrolled by file", true));
        }
    }
    for entry in &entries {
        let is_in = roster.member(&entry.member.id).is_some();
        rows.push((&entry.member, entry.standing.word(), is_in));
    }
    let mut text = String::new();
    for (member, standing, is_in) in &rows {
        let (name, role, words) = (&member.name, member.role, key_words(&member.id));
        let is_in = if *is_in { "in the roster" } else { "not in the roster" };
        text += &format!("{name:<20} {role:<12} {standing:<17} {is_in:<18} {words}\n");
    }
    text += &format!("roster {}, digest {}", roster.number, roster.digest());
    let data = rows.iter().map(|(member, standing, is_in)| {
        json!({
            "name": member.name,
            "role": member.role,
            "standing": standing,
            "in_roster": is_in,
            "key_words": key_words(&member.id),
        })
    });
    let data = json!({
        "members": data.collect::<Vec<_>>(),
        "number": roster.number,
        "roster": roster.digest().to_string(),
    });
    Ok(Answer { text, data })
}

async fn stand(
    who: &MemberName,
    standing: Standing,
    asked: Option<Databases>,
) -> Result<Answer, Failure> {
    let (roster, mut members) = open(&who.dir.path, asked).await?;
    let entries = members.all().await?;
    let name = &who.name;
    // The newest of that name: an earlier one may have been revoked.
    let entry = entries.iter().rev().find(|entry| entry.member.name == *name);
    let filed = roster.members.iter().find(|member| member.name == *name);
    let member = entry.map(|entry| &entry.member).or(filed).ok_or_else(|| {
        Failure::new(Exit::BadInput, "NO_MEMBER", format!("nobody here is called {name}"))
            .with_help("covey-coordinator member list")
    })?;
    if matches!(member.role, Role::Coordinator | Role::Holder)
        && roster.member(&member.id).is_some()
        && standing != Standing::Approved
    {
        let what = format!("{name} has a seat: the coordinator and the committee stay as founded");
        return Err(Failure::new(Exit::BadInput, "SEATED", what));
    }
    let was = entry.map_or("enrolled by file", |entry| entry.standing.word());
    if entry.is_some_and(|entry| matches!(entry.standing, Standing::Revoked | Standing::Left)) {
        let what = format!("the membership of {name} has ended ({was})");
        return Err(Failure::new(Exit::BadInput, "ENDED", what)
            .with_help("invite them again: covey-coordinator invite create"));
    }
    members.stand(member, standing, now_s()).await?;
    let (is, words) = (standing.word(), key_words(&member.id));
    let text = format!("{name} ({}), key {words}: was {was}, is {is}", member.role);
    let data = json!({ "name": name, "was": was, "standing": standing, "key_words": words });
    Ok(Answer { text, data })
}

/// Takes over the list of members that the others have, when this coordinator has an older one.
async fn adopt(options: &Adopt, asked: Option<Databases>) -> Result<Answer, Failure> {
    let dir = &options.dir.path;
    let (roster, mut members) = open(dir, asked).await?;
    let no = |what: String| Err(Failure::new(Exit::BadInput, "NOT_ADOPTED", what));
    let text = std::fs::read_to_string(dir.join(CONFIG_FILE)).unwrap_or_default();
    let places = Config::places_of(&text, &dir.join(CONFIG_FILE))?;
    if StateFolder::is_in_use(&places.state_dir) {
        let what = "the coordinator is serving: it has its list of members in memory";
        return Err(Failure::new(Exit::Failed, "ALREADY_RUNNING", what).with_help("stop it first"));
    }
    let path = &options.roster;
    let published = files::read(path, MEMBER_FILE_BYTES_MAX).ok().and_then(|bytes| {
        wire::decode::<CertifiedRoster>(&bytes, usize::try_from(MEMBER_FILE_BYTES_MAX).ok()?).ok()
    });
    let newer = match published {
        Some(certified) => match roster.check_newer(&certified) {
            Ok(()) => certified,
            Err(bad) => return no(format!("{}: {bad}", path.display())),
        },
        None => {
            let roster = read_roster(path).map_err(file_failure)?;
            CertifiedRoster { roster, votes: Vec::new() }
        }
    };
    let (ours, theirs) = (roster.number, newer.roster.number);
    if newer.roster.digest() == roster.digest() {
        return no(format!("this coordinator has roster {ours} already"));
    }
    if theirs <= ours {
        return no(format!("that is roster {theirs}, and this coordinator has {ours}"));
    }
    if let Err(bad) = newer.roster.validate() {
        return no(format!("{}: {bad}", path.display()));
    }
    if !roster.is_of_same_seats(&newer.roster) {
        return no("it has another federation, coordinator or committee".to_owned());
    }
    let is_signed = !newer.votes.is_empty();
    let left = members.adopt(&roster, &newer, now_s()).await?;
    write_roster(&dir.join(ROSTER_FILE), &newer.roster).map_err(file_failure)?;
    let mut text = format!("roster {ours} is replaced by {theirs}, {}", newer.roster.digest());
    for name in &left {
        text +=
            &format!("\n{name} is no longer in it, and suspended here: member approve or revoke");
    }
    if !is_signed {
        text += "\nits signatures are not here: whoever has an older one comes in after the next \
                 change that the key holders sign; a file of published/rosters has them";
    }
    let data = json!({ "was": ours, "number": theirs, "suspended": left, "signed": is_signed });
    Ok(Answer { text, data })
}

/// The roster in force, and the members' store: where it was asked for, else where the settings in
/// the federation's folder say.
async fn open(dir: &Path, asked: Option<Databases>) -> Result<(Roster, Members), Failure> {
    let roster = read_roster(&dir.join(ROSTER_FILE)).map_err(|error| {
        file_failure(error).with_help("create the federation first: covey-coordinator init")
    })?;
    let databases = match asked {
        Some(asked) => asked,
        None => Config::databases_of(&dir.join(CONFIG_FILE))?,
    };
    place::check(&databases, &[dir])?;
    let mut members = Members::open_at(&databases.members(dir)).await?;
    members.belong_to(&roster.authority).await?;
    place::settle(&databases, &[dir])?;
    Ok((roster, members))
}
