//! An owner's proof of its own numbers in a round, for a dispute: the projections of what it sent, from which
//! anybody computes the numbers again with the published functions, and sees whether they are those that the
//! key holders opened. That the projections are those of what was sent is the owner's own word; who has them
//! knows more of the update than the three numbers, and nobody has them unless the owner hands them over.

use std::fmt;
use std::path::{Path, PathBuf};

use covey_aggregation::audit::credit::{Functions, scores};
use covey_aggregation::audit::question::Question;
use covey_aggregation::hash::Digest;
use covey_aggregation::net::files;
use covey_aggregation::party::PartyId;
use covey_aggregation::program::published::{read_publication, round_folders};
use covey_aggregation::program::rosters::Rosters;
use covey_aggregation::program::{Exit, Failure};
use covey_aggregation::publication::{RoundResult, verify_but_sum};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::verify::{Own, owner};
use crate::sketches::Sketch;

/// Bytes of a proof at most: a number for each row and lane, as text.
const PROOF_BYTES_MAX: u64 = 4 << 20;

/// Beyond every projection of an update within any bounds, and small enough for sums of products with functions.
const PROJECTION_MAX: u64 = 1 << 50;

/// The proof, as a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    schema: Schema,
    /// The round's context.
    round_ctx: String,
    /// Whose numbers.
    owner: String,
    /// H(U) and the beacon of the rows, as hex: what the projections are on.
    set: String,
    rows: String,
    projections: Vec<i64>,
}

#[derive(Serialize, Deserialize)]
enum Schema {
    #[serde(rename = "own-numbers/1")]
    OwnNumbers1,
}

impl Drop for Proof {
    fn drop(&mut self) {
        self.projections.zeroize();
    }
}

/// A proof that was written.
#[derive(Debug, Serialize)]
pub struct Proven {
    /// Where.
    file: PathBuf,
    /// What it shows.
    #[serde(flatten)]
    shown: Shown,
}

/// What a proof shows.
#[derive(Debug, Serialize)]
pub struct Shown {
    round: u32,
    round_ctx: String,
    owner: String,
    /// Score, novelty and harm, as they follow from the projections.
    follow: [i64; 3],
    /// The same, as they are published.
    published: [i64; 3],
    /// Whether they are equal.
    is_equal: bool,
}

/// Writes the proof of an owner's own numbers in a round.
///
/// # Errors
/// [`Failure`]: the round is not published or has no numbers of the owner, nothing was kept of it, or the file
/// is there already.
pub fn prove(
    folder: &Path,
    config: &Path,
    roster: &Path,
    (round, out): (u32, &Path),
) -> Result<Proven, Failure> {
    let Own { id, sketches } = owner(config)?;
    let result = published(folder, roster, |result| result.config.round == round)?
        .ok_or_else(|| no(format!("round {round} is not published in {}", folder.display())))?;
    let context = result.config.context();
    let sketch = sketches.get(&context).map_err(|error| Failure::file(&error))?;
    let sketch = sketch.ok_or_else(|| {
        no(format!("nothing was kept of round {round}: this client had no numbers in it"))
    })?;
    let shown = shown(&result, &id, &sketch, roster)?;
    let proof = Proof {
        schema: Schema::OwnNumbers1,
        round_ctx: context.to_string(),
        owner: Digest(id.0).to_string(),
        set: sketch.set.to_string(),
        rows: sketch.rows.to_string(),
        projections: sketch.projections.clone(),
    };
    if out.exists() {
        return Err(no(format!("{} exists already and is not overwritten", out.display())));
    }
    let text = Zeroizing::new(serde_json::to_vec(&proof).unwrap_or_default());
    files::write_durably(out, &text).map_err(|error| Failure::file(&error))?;
    Ok(Proven { file: out.to_owned(), shown })
}

/// Checks a proof against what is published.
///
/// # Errors
/// [`Failure`]: the file is no proof, or of a round that is not published here.
pub fn judge(file: &Path, folder: &Path, roster: &Path) -> Result<Shown, Failure> {
    let bytes = files::read(file, PROOF_BYTES_MAX).map_err(|error| Failure::file(&error))?;
    let bytes = Zeroizing::new(bytes);
    let bad = |what: String| no(format!("{}: {what}", file.display()));
    let mut proof: Proof = serde_json::from_slice(&bytes)
        .map_err(|error| bad(format!("not a proof of an owner's numbers: {error}")))?;
    let digest = |text: &str, what: &str| {
        Digest::from_hex(text).ok_or_else(|| bad(format!("{what} is no digest")))
    };
    let context = digest(&proof.round_ctx, "round_ctx")?;
    let id = PartyId(digest(&proof.owner, "owner")?.0);
    let sketch = Sketch {
        set: digest(&proof.set, "set")?,
        rows: digest(&proof.rows, "rows")?,
        projections: std::mem::take(&mut proof.projections),
    };
    let result = published(folder, roster, |result| result.config.context() == context)?;
    let result = result.ok_or_else(|| {
        bad(format!("its round ({}) is not published in {}", context.short(), folder.display()))
    })?;
    shown(&result, &id, &sketch, roster)
}

/// The published round that is wanted, checked but for its sum.
fn published(
    folder: &Path,
    roster: &Path,
    wanted: impl Fn(&RoundResult) -> bool,
) -> Result<Option<RoundResult>, Failure> {
    let rosters = Rosters::read(roster, folder)?;
    for path in round_folders(folder)? {
        let publication = read_publication(&path).map_err(|error| Failure::file(&error))?;
        if wanted(&publication.result) {
            let roster = rosters.of_round(&publication.result.config.federation);
            verify_but_sum(&publication, roster).map_err(|fault| {
                let what = format!("{}: {fault}", path.display());
                Failure::new(Exit::Unverified, "CREDIT_UNVERIFIED", what)
            })?;
            return Ok(Some(publication.result));
        }
    }
    Ok(None)
}

fn shown(
    result: &RoundResult,
    id: &PartyId,
    sketch: &Sketch,
    roster: &Path,
) -> Result<Shown, Failure> {
    let Numbers { published, follow } =
        numbers(result, id, sketch).map_err(no)?.ok_or_else(|| {
            no(format!("no numbers of this owner are published for round {}", result.config.round))
        })?;
    let roster = covey_aggregation::net::read_roster(roster)
        .map_err(|error| Failure::new(Exit::BadInput, "BAD_ROSTER", error))?;
    Ok(Shown {
        round: result.config.round,
        round_ctx: result.config.context().to_string(),
        owner: roster.name_of(id),
        follow,
        published,
        is_equal: follow == published,
    })
}

/// An owner's score, novelty and harm in a round.
pub(super) struct Numbers {
    /// As they are published.
    pub(super) published: [i64; 3],
    /// As they follow from the owner's projections.
    pub(super) follow: [i64; 3],
}

/// An owner's numbers in a round; none where none are published.
pub(super) fn numbers(
    result: &RoundResult,
    id: &PartyId,
    sketch: &Sketch,
) -> Result<Option<Numbers>, String> {
    let credit = result.audit.as_ref().and_then(|audit| audit.credit.as_ref());
    let Some((credit, (_, evidence))) =
        credit.and_then(|credit| Some((credit, credit.evidence.of(id)?)))
    else {
        return Ok(None);
    };
    let question = Question::new(&result.config, sketch.set, sketch.rows);
    let question = question.map_err(|bad| bad.to_string())?;
    let functions = Functions::from_bytes(&question, &credit.directed.functions);
    let functions = functions.map_err(|bad| bad.to_string())?;
    let is_small = |one: &i64| one.unsigned_abs() <= PROJECTION_MAX;
    if sketch.projections.len() != functions.projections() {
        return Err("it has another number of projections than the round".to_owned());
    }
    if !sketch.projections.iter().all(is_small) {
        return Err("a projection is beyond what any update has".to_owned());
    }
    let follow = scores(&question, &functions, &functions.of(&sketch.projections), evidence.count);
    Ok(Some(Numbers { published: [evidence.s, evidence.novelty, evidence.harm], follow }))
}

fn no(what: String) -> Failure {
    Failure::new(Exit::BadInput, "NO_PROOF", what)
}

impl Shown {
    /// How the command ends.
    pub(crate) const fn exit(&self) -> Exit {
        if self.is_equal { Exit::Done } else { Exit::Unverified }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { round, owner, follow, published, .. } = self;
        let word = if self.is_equal { "the same" } else { "OTHERS" };
        writeln!(f, "{owner}, round {round}: {word}")?;
        for (name, (follow, published)) in
            ["score", "novelty", "harm"].iter().zip(follow.iter().zip(published))
        {
            writeln!(
                f,
                "  {name:<8} {follow} follows from the projections, {published} is published"
            )?;
        }
        f.write_str(
            "computed here: the numbers, from the projections and the published functions\n\
             the owner's own word: that these are the projections of what it sent",
        )
    }
}

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, shown } = self;
        writeln!(f, "{}", file.display())?;
        writeln!(f, "{shown}")?;
        write!(
            f,
            "whoever has this file knows more of your update of the round than the three numbers: hand it \
             to reviewers only\nnext:  covey-client dispute open ... --evidence {}",
            file.display()
        )
    }
}
