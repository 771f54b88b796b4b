//! What a coordinator can try, and what may come of it.

/// One thing to send to one holder, or to do to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    // What an honest coordinator sends as well, at whatever moment.
    Propose,
    Envelopes,
    Batch,
    AskVote,
    AskRelease,
    End,
    Crash,
    // Terms that nobody may sign.
    TooLowMinimum,
    OtherCommittee,
    OtherRoster,
    OtherPacking,
    OtherCohort,
    StrangerInCohort,
    RoundZero,
    // Envelopes.
    OtherTotal,
    SecondMessage,
    OfOtherRound,
    OfStranger,
    AlteredBox,
    AlteredHeader,
    BoxOfOtherHolder,
    // Sets to vote for.
    Subset,
    Reordered,
    Repeated,
    BothMessages,
    NeverSent,
    BelowMinimum,
    // Certificates.
    ForgedVote,
    TooFewVotes,
    RepeatedVote,
    VotesOfOtherRound,
    VotesForOtherSet,
    OtherSetThanCertified,
    CertifiedBelowMinimum,
    CertifiedTwice,
}

impl Move {
    pub(super) const ALL: [Self; 35] = [
        Self::Propose,
        Self::Envelopes,
        Self::Batch,
        Self::AskVote,
        Self::AskRelease,
        Self::End,
        Self::Crash,
        Self::TooLowMinimum,
        Self::OtherCommittee,
        Self::OtherRoster,
        Self::OtherPacking,
        Self::OtherCohort,
        Self::StrangerInCohort,
        Self::RoundZero,
        Self::OtherTotal,
        Self::SecondMessage,
        Self::OfOtherRound,
        Self::OfStranger,
        Self::AlteredBox,
        Self::AlteredHeader,
        Self::BoxOfOtherHolder,
        Self::Subset,
        Self::Reordered,
        Self::Repeated,
        Self::BothMessages,
        Self::NeverSent,
        Self::BelowMinimum,
        Self::ForgedVote,
        Self::TooFewVotes,
        Self::RepeatedVote,
        Self::VotesOfOtherRound,
        Self::VotesForOtherSet,
        Self::OtherSetThanCertified,
        Self::CertifiedBelowMinimum,
        Self::CertifiedTwice,
    ];

    /// Whether there is a moment at which a holder should do as it is told.
    pub(super) const fn may_succeed(self) -> bool {
        matches!(
            self,
            Self::Propose
                | Self::Envelopes
                | Self::Batch
                | Self::AskVote
                | Self::AskRelease
                | Self::End
                | Self::Crash
                | Self::OtherTotal
                | Self::SecondMessage
                | Self::Subset
        )
    }

    /// Whether it is answered at all.
    pub(super) const fn may_fail(self) -> bool {
        !matches!(self, Self::End | Self::Crash)
    }
}

/// What a holder made of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It signed something new.
    Signed,
    /// It said something that it had said before, or that needs no record.
    Answered,
    /// It said nothing.
    Quiet,
    /// It does not know enough.
    Lacking,
    /// It said no.
    Refused,
}

impl Fate {
    pub(super) const ALL: [Self; 5] =
        [Self::Signed, Self::Answered, Self::Quiet, Self::Lacking, Self::Refused];
}
