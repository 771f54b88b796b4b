//! The `[secure_aggregation]` section: how updates are limited, packed and encrypted.

use crate::config::{Audit, Packing, Profile, Quantiser, Weighting};
use crate::limits::{QUANTISED_BITS_MAX, QUANTISED_BITS_MIN, WEIGHT_DIGITS};

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
    section.finish(errors);
    let bits = bits?;
    let secure = SecureAggregation {
        profile: profile?,
        bits: bits.value as u8,
        range: range?.value as f32,
        clip_norm: clip_norm?.value as f32,
        audit: audit?,
    };
    Some((secure, bits))
}

fn read_audit(section: &mut Section<'_>, errors: &mut Collector<'_>) -> Option<Audit> {
    let help = "write `audit = \"off\"`: updates are then range-limited only, a false one is \
                not detected, and no credit is given";
    let field = section.required(errors, "audit", help)?;
    let text = field.text(errors)?;
    if text.value == "off" {
        return Some(Audit::Off);
    }
    let message = format!("audit = {:?} does not exist in this version", text.value);
    errors.push(&text.span, Code::Audit, message, help);
    None
}

/// The packing, or an error that names what would fit.
pub(super) fn packing(
    secure: &SecureAggregation,
    maximum: u32,
    at: &At<u64>,
    errors: &mut Collector<'_>,
) -> Option<Packing> {
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
