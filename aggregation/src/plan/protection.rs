//! The `[secure_aggregation]` section: how updates are limited, packed and encrypted.

use std::ops::Range;

use crate::config::{Audit, Packing, Profile, Quantiser, Weighting};
use crate::limits::{
    AUDIT_ROWS_DEFAULT, AUDIT_ROWS_MAX, AUDIT_ROWS_MIN, AUDITED_CONTRIBUTIONS_MAX,
    QUANTISED_BITS_MAX, QUANTISED_BITS_MIN, WEIGHT_DIGITS,
};

use super::error::{Code, Collector};
use super::section::{At, Section};

/// The `[secure_aggregation]` section.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SecureAggregation {
    /// Ring and modulus of the pad.
    pub profile: Profile,
    /// w: bits of a coordinate.
    pub bits: u8,
    /// Bound of a coordinate's absolute value.
    pub range: f32,
    /// Bound of the L2 norm of an update.
    pub clip_norm: f32,
    /// Whether contributions are audited.
    pub audit: Audit,
}

/// The section, with the place of `bits` for later checks.
pub(super) fn read(
    mut section: Section<'_>,
    errors: &mut Collector<'_>,
) -> Option<(SecureAggregation, At<u64>)> {
    let help = "write `profile = \"B\"`, or \"A\" for models below about 10,000 parameters";
    let profile = section.required(errors, "profile", help);
    let profiles = [("A", Profile::A), ("B", Profile::B)];
    let profile = profile.and_then(|field| field.choice(errors, &profiles));
    let bounds = QUANTISED_BITS_MIN.into()..=QUANTISED_BITS_MAX.into();
    let bits = section.whole(errors, "bits", bounds);
    let range = section.positive(errors, "range");
    let clip_norm = section.positive(errors, "clip_norm");
    let audit = read_audit(&mut section, errors);
    if let (Some((Audit::Closed { .. }, at)), Some(Profile::A)) = (&audit, profile) {
        let help = "write `profile = \"B\"`: the audit's algebra is made for the larger modulus";
        errors.push(at, Code::Audit, "an audit needs profile B".to_owned(), help);
    }
    section.finish(errors);
    let bits = bits?;
    let secure = SecureAggregation {
        profile: profile?,
        bits: bits.value as u8,
        range: range?.value as f32,
        clip_norm: clip_norm?.value as f32,
        audit: audit?.0,
    };
    Some((secure, bits))
}

/// Whether rounds are audited, with the place of the word for later checks.
fn read_audit(
    section: &mut Section<'_>,
    errors: &mut Collector<'_>,
) -> Option<(Audit, Range<usize>)> {
    let help = "write `audit = \"closed\"`: updates that are too large or false are left out and \
                named; or `audit = \"off\"`: they are range-limited only, and a false one is not \
                detected";
    let field = section.required(errors, "audit", help);
    let bounds = AUDIT_ROWS_MIN.into()..=AUDIT_ROWS_MAX.into();
    let rows = section.whole_or(errors, "audit_rows", bounds, AUDIT_ROWS_DEFAULT.into())?;
    let text = field?.text(errors)?;
    match &*text.value {
        "off" => Some((Audit::Off, text.span)),
        "closed" => Some((Audit::Closed { rows: rows as u16 }, text.span)),
        other => {
            let message = format!("audit = {other:?} does not exist in this version");
            errors.push(&text.span, Code::Audit, message, help);
            None
        }
    }
}

/// The packing, or an error that names what would fit.
pub(super) fn packing(
    secure: &SecureAggregation,
    maximum: u32,
    at: &At<u64>,
    errors: &mut Collector<'_>,
) -> Option<Packing> {
    if secure.audit != Audit::Off && maximum > AUDITED_CONTRIBUTIONS_MAX {
        let message = format!("cohort.maximum = {maximum} is more than an audited round may have");
        let help = format!(
            "lower cohort.maximum to {AUDITED_CONTRIBUTIONS_MAX} or less, or write `audit = \"off\"`"
        );
        errors.push(&at.span, Code::Audit, message, &help);
    }
    let packing = Packing::derive(secure.profile, secure.bits, maximum);
    if packing.is_none() {
        let fits = |bits: &u8| Packing::derive(secure.profile, *bits, maximum).is_some();
        let bits = (QUANTISED_BITS_MIN..secure.bits).rev().find(fits);
        let fewer = largest_maximum(secure, maximum);
        let mut options = Vec::new();
        options.extend(bits.map(|bits| format!("bits = {bits}")));
        options.extend(fewer.map(|most| format!("cohort.maximum = {most}")));
        if secure.profile == Profile::A {
            options.push("profile = \"B\"".to_owned());
        }
        let message = format!(
            "the encrypted sum can overflow: {} bits of up to {maximum} contributions do not \
             fit profile {:?}",
            secure.bits, secure.profile
        );
        errors.push(&at.span, Code::NoPacking, message, format!("use {}", options.join(" or ")));
    }
    packing
}

/// The largest number of contributions below `maximum` that has a packing.
fn largest_maximum(secure: &SecureAggregation, maximum: u32) -> Option<u32> {
    let fits = |most: u32| Packing::derive(secure.profile, secure.bits, most).is_some();
    let (mut low, mut high) = (0, maximum);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if fits(middle) { low = middle } else { high = middle }
    }
    (low > 0).then_some(low)
}

/// Refuses a cap that the weight digits cannot hold.
pub(super) fn check_cap(
    secure: &SecureAggregation,
    weighting: &At<Weighting>,
    errors: &mut Collector<'_>,
) {
    let Weighting::CappedExamples(cap) = weighting.value else { return };
    let digit_bits = (WEIGHT_DIGITS * usize::from(secure.bits)).min(32);
    if u64::from(cap) >= 1 << digit_bits {
        let message = format!(
            "a cap of {cap} examples does not fit {WEIGHT_DIGITS} digits of {} bits",
            secure.bits
        );
        let help = format!("use a cap below {}, or more bits", 1u64 << digit_bits);
        errors.push(&weighting.span, Code::ExampleCap, message, help);
    }
}

/// The quantiser that the plan asks for.
pub(super) const fn quantiser(secure: &SecureAggregation, weighting: Weighting) -> Quantiser {
    let SecureAggregation { bits, range, clip_norm, .. } = *secure;
    Quantiser { bits, range, clip_norm, weighting }
}
