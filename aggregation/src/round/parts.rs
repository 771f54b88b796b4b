//! What holders open, component by component: of an audit's proofs, and of the credit's numbers.

use std::collections::BTreeMap;

use crate::audit::part::{Agreed, Part, body};
use crate::config::{CommitteeShape, Component, HolderIndex};
use crate::message::Refusal;
use crate::signing::Statement;

use super::Round;

impl Round {
    /// Checks that this is a part of `holder`'s own. From here on it cannot deny it.
    pub(super) fn check_part(
        &self,
        statement: Statement,
        holder: HolderIndex,
        part: &Part,
    ) -> Result<(), Refusal> {
        if part.holder != holder || !part.component.known_to(holder) {
            return Err(Refusal::Malformed("a part that is not this holder's".into()));
        }
        let seat = &self.terms.config.committee[usize::from(holder.0)];
        let body = body(&part.list, part.component, &part.openings);
        let signed = seat.holder.verify(statement, &self.context, &body, &part.signature);
        signed.map_err(|_| Refusal::BadSignature)
    }
}

/// Parts that came.
#[derive(Default)]
pub(super) struct Parts {
    /// By component and holder, with the digest that the holder signed.
    given: BTreeMap<Component, BTreeMap<HolderIndex, (Part, Vec<u8>)>>,
    /// Holders that gave all that they know.
    complete: Vec<HolderIndex>,
}

/// What became of a part.
pub(super) enum Taken {
    /// It is new.
    New,
    /// The holder gave the same before.
    Known,
    /// The holder signed another one before: one of the two is wrong.
    Conflict,
}

impl Parts {
    pub(super) fn has_all_of(&self, holder: HolderIndex) -> bool {
        self.complete.contains(&holder)
    }

    /// Holders that gave all that they know.
    pub(super) const fn complete(&self) -> usize {
        self.complete.len()
    }

    /// Takes a part whose signature was checked.
    pub(super) fn take(&mut self, shape: CommitteeShape, part: Part) -> Taken {
        let holder = part.holder;
        let digest = body(&part.list, part.component, &part.openings);
        let given = self.given.entry(part.component).or_default();
        match given.get(&holder) {
            Some((_, first)) if *first == digest => return Taken::Known,
            Some(_) => return Taken::Conflict,
            None => given.insert(holder, (part, digest)),
        };
        let known = shape.components_of(holder);
        let gave = |component| self.given.get(component).is_some_and(|g| g.contains_key(&holder));
        if known.iter().all(gave) {
            self.complete.push(holder);
        }
        Taken::New
    }

    /// What f + 1 holders gave equally of each component, in canonical order, and who gave something
    /// else. `None` while some component has no such thing.
    pub(super) fn agreed(&self, shape: CommitteeShape) -> Option<(Vec<Agreed>, Vec<HolderIndex>)> {
        let (mut parts, mut liars) = (Vec::new(), Vec::new());
        for component in shape.components() {
            let given = self.given.get(&component)?;
            let alike = |(_, one): &&(Part, Vec<u8>)| {
                given.values().filter(|(_, other)| other == one).count() > shape.faults()
            };
            let (agreed, digest) = given.values().find(alike)?;
            let mut signatures = Vec::new();
            for (&holder, (part, other)) in given {
                if other == digest {
                    signatures.push((holder, part.signature));
                } else {
                    liars.push(holder);
                }
            }
            let openings = agreed.openings.clone();
            parts.push(Agreed { component, openings, signatures });
        }
        Some((parts, liars))
    }
}
