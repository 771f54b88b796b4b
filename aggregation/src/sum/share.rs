//! What a holder does with the key.

use zeroize::Zeroizing;

use crate::config::{HolderIndex, RoundConfig};
use crate::hash::Digest;
use crate::message::{Complaint, ComplaintKind, Envelope, SignedHeader};
use crate::party::PartyId;
use crate::sum::contribution::BadContribution;
use crate::sum::sealed_box::SealingSecret;

/// The component seeds of one client that one holder knows, in canonical order. Zeroised when
/// dropped.
pub struct Seeds {
    #[expect(dead_code)]
    seeds: Vec<Zeroizing<[u8; 32]>>,
}

/// Who a complaint accuses, after checking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The box does not hold what the client's header commits to.
    ClientAtFault,
    /// Either may be at fault: nobody but the holder can decapsulate.
    Undecidable,
    /// The box is good, or the complaint is not the holder's: the holder is at fault.
    FalseComplaint,
}

/// Checks an envelope as far as public bytes go: round, client's signature, number of hashes,
/// length and digest of the box. A fault here is the coordinator's, who should have refused it.
///
/// # Errors
/// [`BadContribution`].
pub fn check_envelope(
    config: &RoundConfig,
    round_ctx: &Digest,
    holder: HolderIndex,
    envelope: &Envelope,
) -> Result<(), BadContribution> {
    let _ = (config, round_ctx, holder, envelope);
    unimplemented!()
}

/// Opens the box of an envelope (call [`check_envelope`] first).
///
/// # Errors
/// What to complain of.
pub fn open_envelope(
    config: &RoundConfig,
    round_ctx: &Digest,
    holder: HolderIndex,
    secret: &SealingSecret,
    envelope: &Envelope,
) -> Result<Seeds, ComplaintKind> {
    let _ = (config, round_ctx, holder, secret, envelope);
    unimplemented!()
}

/// Judges a complaint about the contribution `header`, whose box for that holder is
/// `sealed_box`. A complaint without the holder's valid signature is a false one.
#[must_use]
pub fn check_complaint(
    config: &RoundConfig,
    round_ctx: &Digest,
    header: &SignedHeader,
    sealed_box: &[u8],
    complaint: &Complaint,
) -> Verdict {
    let _ = (config, round_ctx, header, sealed_box, complaint);
    unimplemented!()
}

/// R_T for each component that `holder` knows, in canonical order, over the given clients.
pub fn component_sums<'a>(
    config: &RoundConfig,
    round_ctx: &Digest,
    holder: HolderIndex,
    seeds: impl Iterator<Item = (PartyId, &'a Seeds)>,
) -> Vec<Vec<u8>> {
    let _ = (config, round_ctx, holder, seeds);
    unimplemented!()
}
