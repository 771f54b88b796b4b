//! A holder's part in a round's credit: it computes fold and directions for itself, opens three
//! numbers of each accepted client once, and attests the evidence that they make.

use std::collections::BTreeMap;

use crate::audit::beacon::Use;
use crate::audit::credit::{Functions, NUMBERS, gather, open_all};
use crate::audit::crediting::{Directed, attestation, evidence};
use crate::audit::part::{Agreed, Part};
use crate::audit::proof::Proof;
use crate::config::{Component, RoundConfig, set_digest};
use crate::credit::pool::retired_digest;
use crate::credit::{Attested, CreditState};
use crate::hash::Digest;
use crate::message::{CreditQuestion, FromHolder, Refusal, Vote};
use crate::party::PartyId;
use crate::record::HolderRecord;
use crate::round::check_sums;
use crate::signing::Statement;

use super::audit::{Answers, Asked};
use super::{Holder, HolderEffect, No};

/// What a holder's program computes a round's directions from.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectionQuestion {
    /// The terms.
    pub config: RoundConfig,
    /// H(U).
    pub set: Digest,
    /// The beacon of the rows.
    pub rows: Digest,
    /// The beacon of the fold.
    pub fold: Digest,
    /// Examples of the pool that earlier folds opened, ascending.
    pub retired: Vec<u32>,
    /// The coordinator's: the model that the round came to is taken from it, and the sums of what is
    /// behind the parameters; everything else is computed.
    pub directed: Directed,
}

/// What a holder's program computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnDirections {
    /// The fold, ascending.
    pub examples: Vec<u32>,
    /// The three functions ([`Functions::to_bytes`]).
    pub functions: Vec<u8>,
    /// Projections of the coordinator's sum ([`crate::audit::crediting::project_sum`]).
    pub projections: Vec<i64>,
}

/// The credit of the accepted set, as a holder keeps it in memory.
pub(super) struct Crediting {
    question: CreditQuestion,
    fold: Digest,
    /// The accepted clients in order, with the examples that they declare.
    accepted: Vec<(PartyId, u32)>,
    /// Once its own directions are computed.
    opened: Option<OpenedNumbers>,
}

impl Crediting {
    /// How often each accepted client counts in the sum.
    fn times(&self, config: &RoundConfig) -> Vec<u32> {
        config.multiplicities(self.accepted.iter().map(|(client, _)| *client))
    }
}

/// The numbers as this holder opened them.
struct OpenedNumbers {
    functions: Functions,
    of: Digest,
    projections: Vec<i64>,
    own: BTreeMap<Component, Vec<u8>>,
    others: BTreeMap<Component, Agreed>,
}

/// What was opened of a validation pool, as far as this holder attested it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) folds: u32,
    pub(super) retired: Digest,
}

fn refuse(why: impl ToString) -> No {
    Refusal::Directions(why.to_string()).into()
}

impl Holder {
    /// Checks that the terms' credit goes on from what Q holders attested last, and uses no fold again
    /// that this holder knows to be opened.
    pub(super) fn check_credit(
        &self,
        config: &RoundConfig,
        attested: Option<&Attested>,
    ) -> Result<(), Refusal> {
        let refuse = |why: &str| Err(Refusal::Terms(why.to_owned()));
        let Some(credit) = &config.credit else { return Ok(()) };
        let expected = match attested {
            None => CreditState::first(credit.state.pool),
            Some(attested) => {
                if let Err(bad) = attested.verify(config) {
                    return refuse(&bad.to_string());
                }
                let last = &attested.attestation;
                let follows =
                    last.run == config.run && last.round.checked_add(1) == Some(config.round);
                let after = last.state.steps.last().map(|step| step.after);
                if follows && after != Some(config.model) {
                    return refuse("the model is not the one that the round before came to");
                }
                attested.state_for(&config.run)
            }
        };
        if credit.state != expected {
            return refuse("the credit does not begin where the last attested round ended");
        }
        let state = &credit.state;
        match self.pools.get(&state.pool) {
            Some(known) if known.folds > state.opened => {
                refuse("folds of the validation pool that were opened would be drawn again")
            }
            Some(known) if known.folds == state.opened && known.retired != state.retired => {
                refuse("other examples of the validation pool were opened")
            }
            _ => Ok(()),
        }
    }

    /// The sum of a certified verdict's set is open: the program is asked for the directions, unless
    /// the numbers were opened before.
    pub(super) fn credit(&mut self, question: CreditQuestion) -> Answers {
        let round_ctx = question.certificate.round_ctx;
        let work = self.rounds.get(&round_ctx).ok_or(No::Lacking)?;
        let credit = work.config.credit.as_ref().ok_or(Refusal::WrongPhase)?;
        let asked = work.audit.as_ref().ok_or(Refusal::WrongPhase)?.asked()?;
        if let Some(crediting) = &asked.crediting {
            if crediting.question.directed != question.directed {
                return Err(Refusal::Conflict.into());
            }
            if let Some(opened) = &crediting.opened {
                return Ok(self.credit_parts(&round_ctx, opened));
            }
            self.ask_directions(&round_ctx);
            return Ok(Vec::new());
        }
        let CreditQuestion { set, verdict, certificate, fold, retired, .. } = &question;
        self.check_verdict(work, set, verdict, certificate)?;
        let (_, signed) = self.signed_round(&round_ctx)?;
        if signed.released.is_some_and(|released| released != verdict.set) {
            return Err(Refusal::Conflict.into());
        }
        if asked.list().ok_or(No::Lacking)? != verdict.list {
            return Err(Refusal::BadSet("the verdict is of another list".into()).into());
        }
        let drawn = fold.beacon(&work.config, &round_ctx, (Use::Fold, &asked.set));
        let (fold, _) = drawn.map_err(|bad| Refusal::BadBeacon(bad.to_string()))?;
        if retired_digest(&credit.state.pool, retired) != credit.state.retired {
            return Err(refuse("other examples were opened than the terms say"));
        }
        let of_client = |header: &Digest| {
            let client = work.client_of(header)?;
            asked.examples.get(&client).map(|examples| (client, *examples))
        };
        let accepted = set.iter().map(of_client).collect::<Option<Vec<_>>>().ok_or(No::Lacking)?;
        let crediting = Crediting { question, fold, accepted, opened: None };
        self.with_asked(&round_ctx, |asked| asked.crediting = Some(crediting));
        self.ask_directions(&round_ctx);
        Ok(Vec::new())
    }

    fn with_asked(&mut self, round_ctx: &Digest, change: impl FnOnce(&mut Asked)) {
        let audit = self.rounds.get_mut(round_ctx).and_then(|work| work.audit.as_mut());
        if let Some(asked) = audit.and_then(|audit| audit.asked.as_mut()) {
            change(asked);
        }
    }

    fn crediting(&self, round_ctx: &Digest) -> Result<(&RoundConfig, &Asked, &Crediting), No> {
        let work = self.rounds.get(round_ctx).ok_or(No::Lacking)?;
        let asked = work.audit.as_ref().ok_or(Refusal::WrongPhase)?.asked()?;
        Ok((&work.config, asked, asked.crediting.as_ref().ok_or(No::Lacking)?))
    }

    fn ask_directions(&mut self, round_ctx: &Digest) {
        let Ok((config, asked, crediting)) = self.crediting(round_ctx) else { return };
        let question = Box::new(DirectionQuestion {
            config: config.clone(),
            set: asked.set,
            rows: asked.rows,
            fold: crediting.fold,
            retired: crediting.question.retired.clone(),
            directed: crediting.question.directed.clone(),
        });
        let round_ctx = *round_ctx;
        self.outbox.push(HolderEffect::Direct { round_ctx, question });
    }

    /// The program computed the directions, or could not. An answer that nobody waits for changes
    /// nothing.
    pub fn handle_directed(&mut self, round_ctx: &Digest, own: Result<OwnDirections, String>) {
        let waits =
            self.crediting(round_ctx).is_ok_and(|(.., crediting)| crediting.opened.is_none());
        if waits {
            let answer = self.open_numbers(round_ctx, own);
            self.answer(*round_ctx, answer);
        }
    }

    /// Opens the numbers, once ever, if the coordinator's fold and functions are this holder's own.
    fn open_numbers(&mut self, round_ctx: &Digest, own: Result<OwnDirections, String>) -> Answers {
        let own = own.map_err(refuse)?;
        let (run, signed) = self.signed_round(round_ctx)?;
        let (config, asked, crediting) = self.crediting(round_ctx)?;
        let directed = &crediting.question.directed;
        let theirs = own.compare(&asked.question(config)?, directed).map_err(refuse)?;
        let of = theirs.digest(&crediting.question.verdict.set);
        let opened = self.opened_numbers(round_ctx, theirs, of, own.projections)?;
        match signed.numbered {
            Some(numbered) if numbered != of => return Err(Refusal::Conflict.into()),
            Some(_) => {}
            None => {
                let round_ctx = *round_ctx;
                self.remember(HolderRecord::Numbered { run, round_ctx, functions: of });
            }
        }
        let parts = self.credit_parts(round_ctx, &opened);
        self.with_asked(round_ctx, |asked| {
            if let Some(crediting) = &mut asked.crediting {
                crediting.opened = Some(opened);
            }
        });
        if let Some(work) = self.rounds.get_mut(round_ctx) {
            work.forget_seeds();
        }
        Ok(parts)
    }

    fn opened_numbers(
        &self,
        round_ctx: &Digest,
        functions: Functions,
        of: Digest,
        projections: Vec<i64>,
    ) -> Result<OpenedNumbers, No> {
        let (config, asked, crediting) = self.crediting(round_ctx)?;
        let work = self.rounds.get(round_ctx).ok_or(No::Lacking)?;
        let question = asked.question(config)?;
        let mut clients = Vec::new();
        for ((client, _), times) in crediting.accepted.iter().zip(crediting.times(config)) {
            let (proof, _) = asked.proofs.get(client).ok_or(No::Lacking)?;
            let (_, seeds) = work.contribution(client).ok_or(No::Lacking)?;
            clients.push((client, (proof, times), seeds));
        }
        let mut own = BTreeMap::new();
        for (i, component) in config.shape.components_of(self.seat).into_iter().enumerate() {
            let of_component = clients.iter().filter_map(|(client, proof, seeds)| {
                seeds.iter().nth(i).map(|seed| (*client, *proof, seed))
            });
            own.insert(component, open_all(&question, &functions, of_component));
        }
        Ok(OpenedNumbers { functions, of, projections, own, others: BTreeMap::new() })
    }

    fn credit_parts(&self, round_ctx: &Digest, opened: &OpenedNumbers) -> Vec<FromHolder> {
        let part = |(&component, openings): (&Component, &Vec<u8>)| {
            let about = (*round_ctx, opened.of);
            let by = (self.seat, &*self.identity);
            let part = Part::sign_as(Statement::CreditPart, about, component, openings.clone(), by);
            FromHolder::Credited(Box::new(part))
        };
        opened.own.iter().map(part).collect()
    }

    pub(super) fn credit_part(&mut self, round_ctx: &Digest, part: Agreed) -> Answers {
        let (config, _, crediting) = self.crediting(round_ctx)?;
        let opened = crediting.opened.as_ref().ok_or(No::Lacking)?;
        part.verify_as(Statement::CreditPart, (config, round_ctx), &opened.of)
            .map_err(|bad| Refusal::Malformed(bad.to_string()))?;
        self.with_asked(round_ctx, |asked| {
            let opened = asked.crediting.as_mut().and_then(|crediting| crediting.opened.as_mut());
            if let Some(opened) = opened {
                opened.others.entry(part.component).or_insert(part);
            }
        });
        Ok(Vec::new())
    }

    /// One attestation, ever, of the evidence that this holder computes itself.
    pub(super) fn attest(&mut self, round_ctx: &Digest) -> Answers {
        let (run, signed) = self.signed_round(round_ctx)?;
        let (config, asked, crediting) = self.crediting(round_ctx)?;
        let credit = config.credit.as_ref().ok_or(Refusal::WrongPhase)?;
        let opened = crediting.opened.as_ref().ok_or(No::Lacking)?;
        let part = |component| match opened.own.get(&component) {
            Some(openings) => {
                Some(Agreed { component, openings: openings.clone(), signatures: Vec::new() })
            }
            None => opened.others.get(&component).cloned(),
        };
        let parts = config.shape.components().into_iter().map(part).collect::<Option<Vec<_>>>();
        let parts = parts.ok_or(No::Lacking)?;
        let proof = |(client, _): &(PartyId, u32)| asked.proofs.get(client).map(|(proof, _)| proof);
        let proofs = crediting.accepted.iter().map(proof).collect::<Option<Vec<&Proof>>>();
        let (proofs, question) = (proofs.ok_or(No::Lacking)?, asked.question(config)?);
        let times = crediting.times(config);
        let proofs: Vec<_> = proofs.into_iter().zip(times.iter().copied()).collect();
        let no = |why: String| No::from(Refusal::Evidence(why));
        let numbers = gather(&question, &opened.functions, &proofs, &parts);
        let numbers = numbers.ok_or_else(|| no(format!("not {NUMBERS} numbers of each client")))?;
        let sums = (&numbers, &times[..]);
        check_sums(&question, &opened.functions, sums, &opened.projections).map_err(no)?;
        let evidence = evidence(&question, &opened.functions, &crediting.accepted, &numbers);
        let evidence = evidence.map_err(|bad| no(bad.to_string()))?;
        let before = (&crediting.question.retired[..], &crediting.question.directed);
        let attestation = attestation(config, credit, before, &evidence);
        let (digest, state) = (attestation.digest(), attestation.state);
        let round_ctx = *round_ctx;
        match signed.attested {
            Some(attested) if attested != digest => return Err(Refusal::AlreadyVoted.into()),
            Some(_) => {}
            None => self.remember(HolderRecord::Attested {
                run,
                round_ctx,
                attestation: digest,
                pool: state.pool,
                opened: state.opened,
                retired: state.retired,
            }),
        }
        let signature = self.identity.sign(Statement::Evidence, &round_ctx, &digest.0);
        let vote = Vote { holder: self.seat, signature };
        Ok(vec![FromHolder::Attested { round_ctx, attestation: digest, vote }])
    }

    /// Whether `verdict` is certified and accepts `set`.
    pub(super) fn check_verdict(
        &self,
        work: &super::work::Work,
        set: &[Digest],
        verdict: &crate::audit::verdict::Verdict,
        certificate: &crate::message::Certificate,
    ) -> Result<(), No> {
        let round_ctx = certificate.round_ctx;
        if certificate.verify_as(Statement::Verdict, &work.config, &round_ctx).is_err()
            || certificate.set != verdict.digest()
        {
            return Err(Refusal::BadCertificate.into());
        }
        if set_digest(&round_ctx, set) != verdict.set {
            return Err(Refusal::BadSet("not the set that the verdict accepts".into()).into());
        }
        Ok(())
    }
}
