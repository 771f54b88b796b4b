//! Where to compute: chosen at run time among what this machine has.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A graphics card where one is usable, else the processor.
    Auto,
    /// The processor.
    Cpu,
    /// The CUDA device of this number, from 0.
    Cuda(usize),
}

/// The text names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no device: use auto, cpu, or cuda:0 (the number of the card)")]
pub struct BadDevice {
    /// What was given.
    pub text: String,
}

impl FromStr for DeviceChoice {
    type Err = BadDevice;

    fn from_str(text: &str) -> Result<Self, BadDevice> {
        let bad = || BadDevice { text: text.to_owned() };
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            other => {
                let index = other.strip_prefix("cuda:").ok_or_else(bad)?;
                index.parse().map(Self::Cuda).map_err(|_| bad())
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// The device asked for cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// This program was built for the processor only.
    #[error(
        "cuda:{index} was asked for, but this program was built without the `cuda` feature; \
         build it with `--features cuda`, or use the device cpu"
    )]
    NotBuilt {
        /// The card asked for.
        index: usize,
    },
    /// No driver, or no card that it knows.
    #[error(
        "cuda:{index} was asked for, but no CUDA device was found: the NVIDIA driver (libcuda) \
         is missing, or it finds no card; check with nvidia-smi, or use the device cpu"
    )]
    NoDriver {
        /// The card asked for.
        index: usize,
    },
    /// There are cards, but not this one.
    #[error("cuda:{index} was asked for, but this machine has {found} CUDA device(s), from cuda:0")]
    NoSuchCard {
        /// The card asked for.
        index: usize,
        /// Cards found.
        found: usize,
    },
    /// The driver works, the toolkit that kernels are compiled with is missing.
    #[error(
        "the NVIDIA driver works, but the CUDA toolkit was not found (looked for {looked_for} \
         under CUDA_PATH, /usr/local/cuda and /opt/cuda); install it, set CUDA_PATH, or use the \
         device cpu"
    )]
    NoToolkit {
        /// The file that tells a toolkit.
        looked_for: String,
    },
}

/// A device that can be used.
#[derive(Clone, Debug)]
pub struct Compute {
    pub(crate) device: Device,
    name: String,
    note: Option<String>,
}

impl Compute {
    /// Finds the device of a choice.
    ///
    /// # Errors
    /// [`DeviceError`]; never for [`DeviceChoice::Auto`] and [`DeviceChoice::Cpu`].
    pub fn resolve(choice: DeviceChoice) -> Result<Self, DeviceError> {
        match choice {
            DeviceChoice::Cpu => Ok(Self::cpu(None)),
            DeviceChoice::Cuda(index) => cuda::open(index),
            DeviceChoice::Auto => Ok(match cuda::open(0) {
                Ok(compute) => compute,
                Err(DeviceError::NotBuilt { .. } | DeviceError::NoDriver { .. }) => Self::cpu(None),
                Err(problem) => Self::cpu(Some(problem.to_string())),
            }),
        }
    }

    fn cpu(note: Option<String>) -> Self {
        // Never `Device::default()`: it follows the features of whatever else is built.
        Self { device: Device::flex(), name: "cpu".to_owned(), note }
    }

    /// The device in words, such as `cpu` or `cuda:0`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why a graphics card that is there is not used.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }
}

#[cfg(not(feature = "cuda"))]
mod cuda {
    use super::{Compute, DeviceError};

    pub(super) const fn open(index: usize) -> Result<Compute, DeviceError> {
        Err(DeviceError::NotBuilt { index })
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use std::path::PathBuf;

    use burn::tensor::{Device, DeviceType};

    use super::{Compute, DeviceError};

    /// What burn's kernel compiler needs of a toolkit at run time.
    const TOOLKIT_FILE: &str = "nvvm/libdevice/libdevice.10.bc";

    pub(super) fn open(index: usize) -> Result<Compute, DeviceError> {
        // Enumerating loads libcuda and gives an empty list without it; opening a device that
        // is not there would panic in a worker thread.
        let devices = Device::enumerate(DeviceType::Cuda).into_vec();
        let found = devices.len();
        if found == 0 {
            return Err(DeviceError::NoDriver { index });
        }
        let Some(device) = devices.into_iter().nth(index) else {
            return Err(DeviceError::NoSuchCard { index, found });
        };
        if !toolkit_roots().iter().any(|root| root.join(TOOLKIT_FILE).is_file()) {
            return Err(DeviceError::NoToolkit { looked_for: TOOLKIT_FILE.to_owned() });
        }
        Ok(Compute { device, name: format!("cuda:{index}"), note: None })
    }

    fn toolkit_roots() -> Vec<PathBuf> {
        let from_environment = std::env::var_os("CUDA_PATH").map(PathBuf::from);
        let usual = ["/usr/local/cuda", "/opt/cuda"].map(PathBuf::from);
        from_environment.into_iter().chain(usual).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_and_shown_alike() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda:3", DeviceChoice::Cuda(3)),
        ] {
            assert_eq!(text.parse(), Ok(choice));
            assert_eq!(choice.to_string(), text);
        }
        for bad in ["gpu", "cuda:", "cuda:x", "cuda:-1", ""] {
            let error = bad.parse::<DeviceChoice>().expect_err(bad);
            assert!(error.to_string().contains("cuda:0"), "{error}");
        }
    }

    #[test]
    fn the_processor_is_always_there() {
        assert_eq!(Compute::resolve(DeviceChoice::Cpu).map(|c| c.name), Ok("cpu".to_owned()));
        assert!(Compute::resolve(DeviceChoice::Auto).is_ok());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_names_the_feature() {
        let error = Compute::resolve(DeviceChoice::Cuda(1)).expect_err("no cuda in this build");
        assert_eq!(error, DeviceError::NotBuilt { index: 1 });
        assert!(error.to_string().contains("`cuda` feature"), "{error}");
    }
}
