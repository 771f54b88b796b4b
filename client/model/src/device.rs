//! Where to compute: chosen at run time among what this machine has.

mod machine;

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use machine::Machine;

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
    /// No driver, or no card that it shows.
    #[error("cuda:{index} was asked for, but {missing}; or use the device cpu")]
    NoDriver {
        /// The card asked for.
        index: usize,
        /// What is missing.
        missing: Missing,
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

/// Why no card is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The driver's library.
    Library,
    /// The kernel's part of the driver.
    KernelModule,
    /// Nothing: the cards are hidden from this program.
    Hidden,
    /// A card.
    Card,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Library => {
                "the NVIDIA driver's library (libcuda.so.1) is not installed: install the driver \
                 (in a container, start it with access to the card)"
            }
            Self::KernelModule => {
                "the NVIDIA driver is installed but not loaded: load the kernel module nvidia or \
                 restart the machine; nvidia-smi tells more"
            }
            Self::Hidden => "CUDA_VISIBLE_DEVICES hides every card: unset it",
            Self::Card => {
                "the NVIDIA driver works but shows no card: nvidia-smi tells whether it sees one \
                 (in a container, start it with access to the card)"
            }
        })
    }
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
                Err(DeviceError::NotBuilt { .. }) => Self::cpu(unused(&Machine::look())),
                // No card, or one that its owner has hidden.
                Err(DeviceError::NoDriver {
                    missing: Missing::Library | Missing::Hidden, ..
                }) => Self::cpu(None),
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

/// What to say where a card could be used by another build of this program.
fn unused(machine: &Machine) -> Option<String> {
    let text = "this machine has an NVIDIA driver, but this program was built without the `cuda` \
                feature and uses the processor";
    machine.has_driver().then(|| text.to_owned())
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
    use burn::tensor::{Device, DeviceType};

    use super::machine::{Machine, TOOLKIT_FILE};
    use super::{Compute, DeviceError};

    pub(super) fn open(index: usize) -> Result<Compute, DeviceError> {
        // Enumerating loads libcuda and gives an empty list without it; opening a device that
        // is not there would panic in a worker thread.
        let devices = Device::enumerate(DeviceType::Cuda).into_vec();
        let found = devices.len();
        let machine = Machine::look();
        if found == 0 {
            return Err(DeviceError::NoDriver { index, missing: machine.missing() });
        }
        let Some(device) = devices.into_iter().nth(index) else {
            return Err(DeviceError::NoSuchCard { index, found });
        };
        if machine.toolkit().is_none() {
            return Err(DeviceError::NoToolkit { looked_for: TOOLKIT_FILE.to_owned() });
        }
        Ok(Compute { device, name: format!("cuda:{index}"), note: None })
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

    #[test]
    fn every_problem_says_what_to_do() {
        let missing = [Missing::Library, Missing::KernelModule, Missing::Hidden, Missing::Card];
        let drivers = missing.map(|missing| DeviceError::NoDriver { index: 0, missing });
        let toolkit = DeviceError::NoToolkit { looked_for: "libdevice".to_owned() };
        let told: Vec<String> = drivers.iter().chain([&toolkit]).map(ToString::to_string).collect();
        for (number, text) in told.iter().enumerate() {
            assert!(text.contains("use the device cpu"), "{text}");
            assert!(!told[..number].contains(text), "{text} twice");
        }
        assert!(told[4].contains("toolkit") && told[..4].iter().all(|t| !t.contains("toolkit")));
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_names_the_feature() {
        let error = Compute::resolve(DeviceChoice::Cuda(1)).expect_err("no cuda in this build");
        assert_eq!(error, DeviceError::NotBuilt { index: 1 });
        assert!(error.to_string().contains("`cuda` feature"), "{error}");
    }
}
