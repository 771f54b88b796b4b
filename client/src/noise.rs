//! Where an owner's noise comes from: a key that never leaves this machine, made once from the
//! system's randomness. A round's noise follows from the key and the round, so an update that is made
//! again after a crash carries the same noise: two that differ would together tell more than one.

use std::io;
use std::path::{Path, PathBuf};

use covey_aggregation::hash::{Digest, Domain, hash};
use covey_aggregation::net::{FileError, files};
use covey_aggregation::program::Failure;
use covey_aggregation::program::enrol::secret;
use zeroize::Zeroizing;

/// The file in the state folder.
const NOISE_FILE: &str = "noise.key";

const KEY_BYTES: usize = 32;

/// The key of this state folder.
#[derive(Clone, Debug)]
pub(crate) struct NoiseKey(PathBuf);

/// The key cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadNoiseKey {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{0}")]
    Randomness(Failure),
}

impl NoiseKey {
    /// That of a client with this state folder; it is made when it is first needed.
    pub(crate) fn of(state: &Path) -> Self {
        Self(state.join(NOISE_FILE))
    }

    /// What the noise of a round is drawn from, of one kind.
    ///
    /// # Errors
    /// [`BadNoiseKey`]; nothing may be sealed then.
    pub(crate) fn seed(
        &self,
        round_ctx: &Digest,
        purpose: &str,
    ) -> Result<Zeroizing<[u8; 32]>, BadNoiseKey> {
        let key = self.key()?;
        let parts: [&[u8]; 3] = [&key, &round_ctx.0, purpose.as_bytes()];
        Ok(Zeroizing::new(hash(Domain::Noise, &parts).0))
    }

    fn key(&self) -> Result<Zeroizing<Vec<u8>>, BadNoiseKey> {
        match files::read(&self.0, KEY_BYTES as u64) {
            Ok(key) => {
                let key = Zeroizing::new(key);
                files::check_private(&self.0)?;
                if key.len() != KEY_BYTES {
                    let what = "not a key of 32 bytes; restore it, or delete it while no round is \
                                under way: then another is made";
                    return Err(FileError::content(&self.0, what).into());
                }
                Ok(key)
            }
            Err(FileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let fresh = secret::<KEY_BYTES>().map_err(BadNoiseKey::Randomness)?;
                files::create_private(&self.0, fresh.as_slice())?;
                Ok(Zeroizing::new(fresh.to_vec()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rounds_noise_outlasts_a_restart_and_no_two_rounds_or_machines_share_it() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let (one, two) = (Digest([1; 32]), Digest([2; 32]));
        let seed = |folder: usize, round| {
            NoiseKey::of(folders[folder].path()).seed(round, "sealing").expect("a seed")
        };
        assert_eq!(*seed(0, &one), *seed(0, &one));
        assert_ne!(*seed(0, &one), *seed(0, &two));
        assert_ne!(*seed(0, &one), *seed(1, &one));
        let training = NoiseKey::of(folders[0].path()).seed(&one, "training").expect("a seed");
        assert_ne!(*seed(0, &one), *training);
    }

    #[test]
    fn a_key_that_is_cut_or_open_to_others_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = NoiseKey::of(folder.path());
        key.seed(&Digest::ZERO, "sealing").expect("made");
        let path = folder.path().join(NOISE_FILE);
        std::fs::write(&path, [1; 31]).expect("written");
        let error = key.seed(&Digest::ZERO, "sealing").expect_err("cut").to_string();
        assert!(error.contains("noise.key") && error.contains("32 bytes"), "{error}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::write(&path, [1; 32]).expect("written");
            let open = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(&path, open).expect("set");
            assert!(key.seed(&Digest::ZERO, "sealing").is_err());
        }
    }
}
