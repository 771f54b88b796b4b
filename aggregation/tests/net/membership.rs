//! A folder that does not hold together is refused before anything is dialled, naming the file.

use std::fs;
use std::time::{Duration, SystemTime};

use covey_aggregation::net::roster_file::ROSTER_FILE;
use covey_aggregation::net::{FileError, Membership, Validity, write_roster};
use covey_aggregation::party::Role;

use super::federation::Federation;

fn fails(federation: &Federation, member: &str) -> String {
    let error = Membership::load(&federation.path(member)).err().expect("refused");
    assert!(!matches!(error, FileError::Write { .. }));
    error.to_string()
}

fn whole() -> Federation {
    let federation = Federation::new("test", 0x10);
    federation.member("ada");
    federation
}

#[test]
fn each_missing_or_foreign_file_is_named() {
    let other = Federation::new("elsewhere", 0x80);
    for file in ["identity.key", "member.pem", "authority.pem", "roster.json"] {
        let federation = whole();
        let path = federation.path("ada").join(file);
        fs::remove_file(&path).expect("removed");
        let text = fails(&federation, "ada");
        assert!(text.contains(file), "{text}");
        other.member("ada");
        fs::copy(other.path("ada").join(file), &path).expect("copied");
        let text = fails(&federation, "ada");
        assert!(text.contains(".pem") || text.contains(".key"), "{text}");
    }
}

#[test]
fn an_expired_certificate_says_what_to_do() {
    let federation = whole();
    let from = SystemTime::now() - Duration::from_secs(3 * 86_400);
    federation.certify("ada", Validity { from, days: 1 });
    let text = fails(&federation, "ada");
    assert!(text.contains("member.pem") && text.contains("expired"), "{text}");
}

#[test]
fn a_member_left_out_of_the_roster_is_told() {
    let federation = whole();
    let mut roster = federation.roster.clone();
    roster.members.retain(|member| member.name.as_str() != "ada");
    write_roster(&federation.path("ada").join(ROSTER_FILE), &roster).expect("written");
    let text = fails(&federation, "ada");
    assert!(text.contains("ada is not in the roster"), "{text}");
}

#[test]
fn an_incomplete_roster_is_refused() {
    let federation = whole();
    let mut roster = federation.roster.clone();
    roster.members.retain(|member| member.name.as_str() != "kh-3");
    write_roster(&federation.path("ada").join(ROSTER_FILE), &roster).expect("written");
    let text = fails(&federation, "ada");
    assert!(text.contains("3 key holders"), "{text}");
}

#[test]
fn a_folder_of_another_role_is_refused() {
    let federation = whole();
    let error = federation.member("ada").require(Role::Holder).expect_err("refused");
    assert!(error.to_string().contains("data-owner"), "{error}");
}
