//! Texts that people or other programs write, and certificates. The library behind TOML builds a
//! tree of what it reads: it holds more than [`FACTOR`] times the input, so plans and
//! configurations are small by their limits, and have bounds of their own.

use std::path::{Path, PathBuf};

use covey_aggregation::config::Packing;
use covey_aggregation::limits::{
    CONFIG_BYTES_MAX, MEMBER_FILE_BYTES_MAX, PLAN_BYTES_ALL_SYNTAX_ERRORS, PLAN_BYTES_MAX,
    PLAN_ERRORS_MAX, REQUEST_BYTES_MAX,
};
use covey_aggregation::net::certificate::{Claim, member_uri};
use covey_aggregation::net::{Request, roster_file};
use covey_aggregation::plan::Plan;
use covey_aggregation::program::config::parse;
use covey_aggregation::program::credits::{
    credits_from_json, credits_to_json, evidence_from_json, evidence_to_json,
};
use rustls_pki_types::CertificateDer;
use serde::Deserialize;

use super::{FACTOR, bounded};

/// Times its bytes that reading a TOML file may hold (measured: 242 for inline tables of one entry;
/// the library's lists double).
pub const TOML_FACTOR: usize = 512;
/// The same of a plan of at most 16 KiB, all of whose syntax errors are told (measured: 432 for
/// lines of `=`).
pub const SHORT_PLAN_FACTOR: usize = 1024;

/// A plan: read, or refused with places that are in it.
pub fn plan(bytes: &[u8]) -> bool {
    if bytes.len() > PLAN_BYTES_MAX as usize {
        return false;
    }
    let is_short = bytes.len() <= PLAN_BYTES_ALL_SYNTAX_ERRORS;
    let factor = if is_short { SHORT_PLAN_FACTOR } else { TOML_FACTOR };
    let read = bounded(bytes.len(), factor, || Plan::from_bytes(bytes));
    match read {
        Ok(plan) => {
            let (secure, maximum) = (&plan.secure_aggregation, plan.cohort.maximum);
            let derived = Packing::derive(secure.profile, plan.quantiser().bits, maximum);
            assert_eq!(derived, Some(plan.packing()));
            assert!(plan.quantiser().step() > 0.0);
            true
        }
        Err(errors) => {
            let lines = bytes.iter().filter(|&&byte| byte == b'\n').count() + 1;
            assert!((1..=PLAN_ERRORS_MAX + 1).contains(&errors.errors().len()));
            for error in errors.errors() {
                assert!((1..=lines).contains(&(error.line as usize)), "{error}");
                assert!(error.column >= 1 && error.column as usize <= bytes.len() + 1, "{error}");
            }
            false
        }
    }
}

/// A configuration of the form of the programs' own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    #[serde(rename = "schema")]
    _schema: Schema,
    coordinator: String,
    #[serde(default)]
    folder: PathBuf,
    #[serde(default)]
    limits: Limits,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    rounds: u32,
    names: Vec<String>,
    share: f64,
}

#[derive(Deserialize)]
enum Schema {
    #[serde(rename = "holder/1")]
    Holder1,
}

/// A configuration: read, or refused with a place that is in it.
pub fn configuration(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        return false;
    }
    let path = Path::new("holder.toml");
    let read = bounded(bytes.len(), TOML_FACTOR, || parse::<Configuration>(path, text));
    match read {
        Ok(config) => {
            let Configuration { coordinator, folder, limits, .. } = config;
            assert!(coordinator.len() + folder.as_os_str().len() <= text.len());
            assert!(limits.names.len() <= text.len() && !limits.share.to_string().is_empty());
            true
        }
        Err(error) => {
            if let Some((line, column)) = error.at {
                assert!(line >= 1 && line <= text.matches('\n').count() + 1, "{error}");
                assert!(column >= 1 && column <= text.len() + 1, "{error}");
            }
            false
        }
    }
}

/// A roster file: what is read is written and read again.
pub fn roster(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    assert!(bytes.len() as u64 <= MEMBER_FILE_BYTES_MAX);
    let read = bounded(bytes.len(), FACTOR, || roster_file::from_json(text));
    let Ok(roster) = read else { return false };
    let again = roster_file::from_json(&roster_file::to_json(&roster));
    assert_eq!(again.as_ref(), Ok(&roster));
    let _ = roster.validate();
    true
}

/// Times its bytes that reading JSON with lists of single digits and words may hold: a number of eight
/// bytes in a list that doubles takes 24 for two bytes of text, a flag 99 for seven.
pub const JSON_LISTS_FACTOR: usize = 16;

/// A file of evidence: what is read is written and read again.
pub fn evidence(bytes: &[u8]) -> bool {
    let read = bounded(bytes.len(), JSON_LISTS_FACTOR, || evidence_from_json(bytes));
    let Ok((terms, evidence)) = read else { return false };
    let again = evidence_to_json(&terms, &evidence);
    assert_eq!(evidence_from_json(again.as_bytes()), Ok((terms, evidence)));
    true
}

/// A file of credits: likewise.
pub fn credits(bytes: &[u8]) -> bool {
    let read = bounded(bytes.len(), JSON_LISTS_FACTOR, || credits_from_json(bytes));
    let Ok((terms, mut carried, settlement)) = read else { return false };
    let again = credits_to_json(&terms, &carried, &settlement);
    carried.sort_by_key(|debt| debt.owner);
    assert_eq!(credits_from_json(again.as_bytes()), Ok((terms, carried, settlement)));
    true
}

/// A member's request: what is read is written and read again.
pub fn request(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if bytes.len() as u64 > REQUEST_BYTES_MAX {
        return false;
    }
    let read = bounded(bytes.len(), FACTOR, || Request::from_json(text));
    let Ok(request) = read else { return false };
    assert_eq!(Request::from_json(&request.to_json()), Ok(request));
    true
}

/// A member's certificate (DER): the member that it names is in it, word for word.
pub fn member_certificate(bytes: &[u8]) -> bool {
    let certificate = CertificateDer::from(bytes);
    let read = bounded(bytes.len(), FACTOR, || Claim::read(&certificate));
    let Ok(Claim { federation, role, name, key }) = read else { return false };
    let uri = member_uri(&federation, role, &name);
    assert!(bytes.windows(uri.len()).any(|window| window == uri.as_bytes()));
    assert!(bytes.windows(key.0.len()).any(|window| window == key.0));
    true
}
