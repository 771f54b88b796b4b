//! Keys, certificate, roster, and the clock that they are judged by.

use std::path::Path;
use std::sync::Arc;

use crate::net::authority::AUTHORITY_FILE;
use crate::net::certificate::validity_of;
use crate::net::key::KEY_FILE;
use crate::net::membership::MEMBER_FILE;
use crate::net::roster_file::ROSTER_FILE;
use crate::net::{FileError, Membership, files};
use crate::party::Role;
use crate::program::clock::{now, utc};
use crate::time::Time;

use super::Diagnosis;

/// A certificate that ends sooner is worth a word.
const SOON_MS: u64 = 14 * DAY_MS;

const DAY_MS: u64 = 86_400_000;

/// Looks at the files of a member of this role in `folder`; who it is, if it is one.
pub fn check(diagnosis: &mut Diagnosis, folder: &Path, role: Role) -> Option<Arc<Membership>> {
    check_secret(diagnosis, "key", &folder.join(KEY_FILE));
    check_dates(diagnosis, &folder.join(MEMBER_FILE));
    let missing: Vec<&str> = [MEMBER_FILE, AUTHORITY_FILE, ROSTER_FILE]
        .into_iter()
        .filter(|file| !folder.join(file).exists())
        .collect();
    if !missing.is_empty() {
        let found = format!("{} lacks {}", folder.display(), missing.join(", "));
        diagnosis.problem("membership", found, "fetch what the operator issued, and put it there");
        return None;
    }
    let membership = match Membership::load(folder) {
        Ok(membership) => Arc::new(membership),
        Err(error) => {
            let fix = match error {
                FileError::Exposed { .. } => "make the file readable by its owner only",
                _ => "enrol again, or fetch what the operator issued for this very key and roster",
            };
            diagnosis.problem("membership", error, fix);
            return None;
        }
    };
    if let Err(stranger) = membership.require(role) {
        diagnosis.problem("membership", stranger, "give this program the folder of its own member");
        return None;
    }
    let member = membership.member();
    let found = format!("{} ({}) of federation {}", member.name, role, membership.federation());
    diagnosis.ok("membership", found);
    let roster = membership.roster();
    let found = format!(
        "{} members, digest {}; compare the digest with the operator's over the telephone",
        roster.members.len(),
        roster.digest()
    );
    diagnosis.ok("roster", found);
    Some(membership)
}

/// Looks at a secret file: there, and readable by its owner only.
pub fn check_secret(diagnosis: &mut Diagnosis, name: &'static str, path: &Path) {
    match files::check_private(path) {
        Ok(()) => diagnosis.ok(name, format!("{}, readable by its owner only", path.display())),
        Err(FileError::Exposed { .. }) => {
            let found = format!("{} is a secret that others can read", path.display());
            diagnosis.problem(name, found, format!("chmod 600 {}", path.display()));
        }
        Err(error) => {
            diagnosis.problem(name, error, "make it with init, or restore this machine's own");
        }
    }
}

/// Looks at the dates of a certificate, by this machine's clock.
fn check_dates(diagnosis: &mut Diagnosis, path: &Path) {
    let (from, to) = match validity_of(path) {
        Ok(validity) => validity,
        Err(error) => {
            return diagnosis.problem("certificate", error, "fetch member.pem from the operator");
        }
    };
    judge(diagnosis, (from, to), now());
}

pub(super) fn judge(diagnosis: &mut Diagnosis, (from, to): (Time, Time), now: Time) {
    let clock = format!("it is {} by this machine's clock", utc(now));
    if now < from {
        let found = format!("{clock}, and the certificate is valid only from {}", utc(from));
        let fix = "set the clock (timedatectl set-ntp true); if it is right, wait";
        return diagnosis.problem("clock", found, fix);
    }
    diagnosis.ok("clock", clock);
    let left_ms = to.since_ms(now);
    let found = format!("valid until {}, {} days more", utc(to), left_ms / DAY_MS);
    if left_ms == 0 {
        let found = format!("it has expired at {}", utc(to));
        diagnosis.problem("certificate", found, "enrol again; if that is wrong, set the clock");
    } else if left_ms < SOON_MS {
        diagnosis.warn("certificate", found, "enrol again in time");
    } else {
        diagnosis.ok("certificate", found);
    }
}
