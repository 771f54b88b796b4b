//! What can be seen of a round from outside.

use crate::audit::drawing::Drawing;
use crate::audit::record::AuditRecord;
use crate::config::RoundConfig;
use crate::hash::Digest;
use crate::message::{Certificate, Countersignature, Outcome, Phase, SignedHeader};
use crate::party::PartyId;
use crate::time::Time;

#[cfg(doc)]
use super::RoundEffect;
use super::{Opened, Round, Stage, Standing, Terms};

/// Who has answered in the current phase, and whom it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// Clients (in Collect, and where they prove) or holders (elsewhere) that answered.
    pub answered: Vec<PartyId>,
    /// Those it waits for.
    pub waiting: Vec<PartyId>,
    /// When it ends at the latest; `None` when it is over.
    pub deadline: Option<Time>,
}

impl Round {
    /// The phase.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match &self.stage {
            Stage::Select => Phase::Select,
            Stage::Collect => Phase::Collect,
            Stage::Check(_) | Stage::Vote(_) => Phase::Vote,
            Stage::Audit(_) => Phase::Audit,
            Stage::Release(_) => Phase::Release,
            Stage::Credit(_) => Phase::Credit,
            Stage::Ended(Outcome::Done(_)) => Phase::Done,
            Stage::Ended(Outcome::Abandoned { .. }) => Phase::Abandon,
        }
    }

    /// Whether Collect was extended, as too few had contributed.
    #[must_use]
    pub const fn is_extended(&self) -> bool {
        self.is_extended
    }

    /// How it ended, once it has. Its record may not be durable yet: act on
    /// [`RoundEffect::Ended`].
    #[must_use]
    pub const fn outcome(&self) -> Option<&Outcome> {
        match &self.stage {
            Stage::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Who has answered, and whom the round waits for.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let all: Vec<(PartyId, bool)> = match &self.stage {
            Stage::Collect => self
                .clients
                .iter()
                .map(|(&client, standing)| (client, *standing != Standing::Waiting))
                .collect(),
            Stage::Ended(_) => Vec::new(),
            Stage::Audit(_) if self.is_proving() => {
                let answered = |client: &PartyId| self.audited.has_answered(client);
                let clients = self.set.iter().map(|signed| signed.header.client);
                clients.map(|client| (client, answered(&client))).collect()
            }
            _ => {
                let answered = |holder| self.has_answered(holder);
                self.committee.seats().map(|(holder, id)| (id, answered(holder))).collect()
            }
        };
        let pick = |wanted| {
            all.iter().filter(move |(_, done)| *done == wanted).map(|(id, _)| *id).collect()
        };
        Progress {
            phase: self.phase(),
            answered: pick(true),
            waiting: pick(false),
            deadline: self.poll_timeout().map(|_| self.deadline),
        }
    }

    /// The round's terms.
    #[must_use]
    pub const fn config(&self) -> &RoundConfig {
        &self.terms.config
    }

    /// The terms with cohort and timings.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// `round_ctx`.
    #[must_use]
    pub const fn context(&self) -> &Digest {
        &self.context
    }

    /// Headers of all contributions so far, in the order of their clients.
    pub fn contributions(&self) -> impl Iterator<Item = &SignedHeader> {
        self.clients.values().filter_map(|standing| match standing {
            Standing::Contributed { header, .. } => Some(&**header),
            _ => None,
        })
    }

    /// U: headers of the agreed set in order; empty until it is fixed. Once an audit's verdict is
    /// certified: U', the accepted of them.
    #[must_use]
    pub fn set(&self) -> &[SignedHeader] {
        &self.set
    }

    /// Q countersignatures of the terms, by ascending holder; empty in Select.
    #[must_use]
    pub fn countersignatures(&self) -> &[Countersignature] {
        &self.countersignatures
    }

    /// The certificate of U.
    #[must_use]
    pub const fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// The whole audit, once its verdict is certified.
    #[must_use]
    pub fn audit(&self) -> Option<AuditRecord> {
        self.audited.record()
    }

    /// The beacon of the fold, once it is drawn, where there is credit.
    #[must_use]
    pub fn fold(&self) -> Option<&Drawing> {
        self.audited.fold().map(|(fold, _)| fold)
    }

    /// What was opened, when Done.
    #[must_use]
    pub const fn opened(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }
}
