//! The flat parameter vector: which tensors lie in it, in which order, and the digests by which
//! a round names them.

use covey_aggregation::hash::{Digest, Domain, Hasher, hash};
use covey_aggregation::shape::{Role, Tensor};
use covey_aggregation::wire;
use serde::{Deserialize, Serialize};

/// One tensor of the vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name, such as `layers.0.conv2d.weight`.
    pub name: String,
    /// Its sizes, outermost first. Linear weights are `[in, out]`, convolution kernels
    /// `[out, in, height, width]`.
    pub shape: Vec<u64>,
    /// Whether gradients change it; running averages of a batchnorm are changed by the data alone.
    pub trainable: bool,
    /// Where it begins in the vector, in parameters.
    pub offset: u64,
}

/// The tensors of a model in the order of the flat vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    entries: Vec<Entry>,
    parameters: u64,
}

impl Manifest {
    /// The manifest of the tensors that travel.
    pub(crate) fn of<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Self {
        let (mut offset, mut entries) = (0, Vec::new());
        for tensor in tensors.into_iter().filter(|tensor| tensor.role != Role::Fixed) {
            let (name, shape) = (tensor.name.clone(), tensor.dimensions.clone());
            let trainable = tensor.role == Role::Trained;
            entries.push(Entry { name, shape, trainable, offset });
            offset += tensor.elements();
        }
        Self { entries, parameters: offset }
    }

    /// The tensors, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Parameters in all: the length of the flat vector.
    #[must_use]
    pub const fn parameters(&self) -> u64 {
        self.parameters
    }

    /// The digest by which a round names the manifest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::Manifest, &[&wire::encode(self)])
    }
}

/// The digest by which a round names a flat parameter vector: over its manifest's digest and the
/// little-endian bytes of every number.
#[must_use]
pub fn parameters_digest(manifest: &Digest, parameters: &[f32]) -> Digest {
    const NUMBERS_AT_ONCE: usize = 4096;
    let mut hasher = Hasher::new(Domain::Model);
    hasher.part(&manifest.0);
    hasher.raw(&(parameters.len() as u64).to_le_bytes());
    let mut bytes = Vec::with_capacity(4 * NUMBERS_AT_ONCE);
    for block in parameters.chunks(NUMBERS_AT_ONCE) {
        bytes.clear();
        bytes.extend(block.iter().flat_map(|number| number.to_le_bytes()));
        hasher.raw(&bytes);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_depends_on_every_bit_and_on_the_manifest() {
        let parameters = vec![0.5; 5000];
        let digest = parameters_digest(&Digest::ZERO, &parameters);
        assert_eq!(digest, parameters_digest(&Digest::ZERO, &parameters));
        let mut changed = parameters.clone();
        changed[4999] = f32::from_bits(changed[4999].to_bits() ^ 1);
        assert_ne!(digest, parameters_digest(&Digest::ZERO, &changed));
        assert_ne!(digest, parameters_digest(&Digest::ZERO, &parameters[..4999]));
        assert_ne!(digest, parameters_digest(&Digest([1; 32]), &parameters));
    }
}
