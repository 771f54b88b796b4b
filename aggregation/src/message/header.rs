//! What a client binds itself to, and what one holder is sent of it.

use serde::{Deserialize, Serialize};

use crate::config::{CommitteeShape, HolderIndex};
use crate::hash::{Digest, Domain, hash, merkle_path, merkle_root, merkle_root_of_path};
use crate::party::PartyId;
use crate::signing::{BadSignature, Identity, Signature, Statement};
use crate::wire;

/// What a client binds itself to: hashes of everything it sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The round.
    pub round_ctx: Digest,
    /// The client.
    pub client: PartyId,
    /// com_T for every component, in canonical order.
    pub components: Vec<Digest>,
    /// Commitment to the AEAD key of each holder's box, in the committee's order. What makes a
    /// complaint checkable by anybody.
    pub box_keys: Vec<Digest>,
    /// Digest of each holder's box, in the committee's order.
    pub boxes: Vec<Digest>,
    /// Digest of the correction d.
    pub correction: Digest,
    /// Merkle root over the chunks.
    pub chunks_root: Digest,
}

impl Header {
    /// The committee that its lists are made for; none when they are for no committee.
    #[must_use]
    pub fn shape(&self) -> Option<CommitteeShape> {
        let shape = CommitteeShape::of_members(self.boxes.len())?;
        let fits = self.box_keys.len() == shape.members()
            && self.components.len() == shape.components().len();
        fits.then_some(shape)
    }

    /// The name of this contribution in sets, and what its client signs. A tree over the seats,
    /// so that a holder can check its own without the hashes for all others.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self.seats() {
            Some(seats) => self.bind(&merkle_root(&seats)),
            // For no committee, and refused wherever it goes: unlike every other, no more.
            None => hash(Domain::Body, &[&wire::encode(self)]),
        }
    }

    /// com_T of the components that `holder` lacks, in canonical order.
    fn lacking(&self, holder: HolderIndex) -> Option<Vec<Digest>> {
        let components = self.shape()?.components().into_iter().zip(&self.components);
        let lacking = components.filter(|(component, _)| !component.known_to(holder));
        Some(lacking.map(|(_, commitment)| *commitment).collect())
    }

    /// Digest of what the box for `holder` must contain: com_T of the components it knows.
    #[must_use]
    pub fn contents(&self, holder: HolderIndex) -> Option<Digest> {
        let components = self.shape()?.components().into_iter().zip(&self.components);
        let known = components.filter(|(component, _)| component.known_to(holder));
        Some(contents_digest(known.map(|(_, commitment)| commitment)))
    }

    /// The leaves of the tree, one per holder.
    fn seats(&self) -> Option<Vec<Digest>> {
        let holders = (0..self.shape()?.members() as u8).map(HolderIndex);
        let seats = holders.zip(&self.box_keys).zip(&self.boxes);
        seats
            .map(|((holder, key), sealed)| Some(seat(key, sealed, &self.contents(holder)?)))
            .collect()
    }

    fn bind(&self, seats: &Digest) -> Digest {
        let components = components_digest(self.components.iter());
        let parts = [&self.correction, &self.chunks_root, &components, seats];
        bind(&self.round_ctx, &self.client, parts)
    }
}

/// Digest of com_T for every component, in canonical order.
fn components_digest<'a>(commitments: impl Iterator<Item = &'a Digest>) -> Digest {
    let parts: Vec<&[u8]> = commitments.map(|commitment| commitment.0.as_slice()).collect();
    hash(Domain::Components, &parts)
}

/// Digest of what a box contains, from the commitments to its seeds in canonical order.
pub(crate) fn contents_digest<'a>(commitments: impl Iterator<Item = &'a Digest>) -> Digest {
    let parts: Vec<&[u8]> = commitments.map(|commitment| commitment.0.as_slice()).collect();
    hash(Domain::Contents, &parts)
}

/// Digest of one sealed box.
pub(crate) fn box_digest(bytes: &[u8]) -> Digest {
    hash(Domain::SealedBox, &[bytes])
}

fn seat(box_key: &Digest, sealed_box: &Digest, contents: &Digest) -> Digest {
    hash(Domain::Seat, &[&box_key.0, &sealed_box.0, &contents.0])
}

fn bind(round_ctx: &Digest, client: &PartyId, parts: [&Digest; 4]) -> Digest {
    let [correction, chunks_root, components, seats] = parts.map(|part| part.0.as_slice());
    hash(Domain::Header, &[&round_ctx.0, &client.0, correction, chunks_root, components, seats])
}

/// A header and its client's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHeader {
    /// What is signed.
    pub header: Header,
    /// By `header.client` over [`Header::digest`].
    pub signature: Signature,
}

impl SignedHeader {
    /// Signs a header.
    #[must_use]
    pub fn sign(header: Header, identity: &Identity) -> Self {
        let digest = header.digest();
        let signature = identity.sign(Statement::Header, &header.round_ctx, &digest.0);
        Self { header, signature }
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        let Header { client, round_ctx, .. } = &self.header;
        client.verify(Statement::Header, round_ctx, &self.header.digest().0, &self.signature)
    }
}

/// What one holder is sent of one contribution: its box, and just enough of the header to find
/// what the client signed. The round is that of the message around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The client.
    pub client: PartyId,
    /// As in the header.
    pub correction: Digest,
    /// As in the header.
    pub chunks_root: Digest,
    /// Digest of com_T for every component.
    pub components: Digest,
    /// com_T of the components that this holder lacks, in canonical order.
    pub lacking: Vec<Digest>,
    /// The header's commitment to the key of this holder's box.
    pub box_key: Digest,
    /// [`Header::contents`] for this holder.
    pub contents: Digest,
    /// From this holder's seat to the root over all.
    pub path: Vec<Digest>,
    /// As in the signed header.
    pub signature: Signature,
    /// The box sealed to this holder.
    #[serde(with = "serde_bytes")]
    pub sealed_box: Vec<u8>,
}

impl Envelope {
    /// What `holder` is sent of a contribution; `None` when the header has no seat for it.
    #[must_use]
    pub fn new(signed: &SignedHeader, holder: HolderIndex, sealed_box: Vec<u8>) -> Option<Self> {
        let (header, index) = (&signed.header, usize::from(holder.0));
        let seats = header.seats()?;
        Some(Self {
            client: header.client,
            correction: header.correction,
            chunks_root: header.chunks_root,
            components: components_digest(header.components.iter()),
            lacking: header.lacking(holder)?,
            box_key: *header.box_keys.get(index)?,
            contents: header.contents(holder)?,
            path: merkle_path(&seats, index),
            signature: signed.signature,
            sealed_box,
        })
    }

    /// The digest of the header that it came from; `None` when it is for another committee.
    #[must_use]
    pub fn digest(
        &self,
        round_ctx: &Digest,
        shape: CommitteeShape,
        holder: HolderIndex,
    ) -> Option<Digest> {
        let seat = seat(&self.box_key, &box_digest(&self.sealed_box), &self.contents);
        let seats = merkle_root_of_path(seat, usize::from(holder.0), shape.members(), &self.path)?;
        let parts = [&self.correction, &self.chunks_root, &self.components, &seats];
        Some(bind(round_ctx, &self.client, parts))
    }

    /// Whether the one list of com_T that the client signed is made of `known`, those of the
    /// seeds in the box, and of those that this holder is told it lacks. If so, every other
    /// holder whose envelope is good has the same seed for each component they share.
    pub(crate) fn agrees(
        &self,
        shape: CommitteeShape,
        holder: HolderIndex,
        known: &[Digest],
    ) -> bool {
        let (mut known, mut lacking) = (known.iter(), self.lacking.iter());
        let components = shape.components().into_iter().map(|component| {
            if component.known_to(holder) { known.next() } else { lacking.next() }
        });
        let Some(all) = components.collect::<Option<Vec<_>>>() else { return false };
        known.next().is_none()
            && lacking.next().is_none()
            && components_digest(all.into_iter()) == self.components
    }
}
