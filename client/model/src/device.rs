//! Where to compute: chosen at run time among what this machine has.

mod machine;
mod rules;

use std::fmt;

use burn::tensor::Device;
#[cfg(test)]
use burn::tensor::FloatDType;

use machine::Machine;

pub use rules::{
    BadDevice, BadFallback, BadPrecision, DeviceChoice, DeviceRules, Fallback, Precision,
};

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
    /// The model would take more of the card's memory than its owner allows.
    #[error(
        "the model and a batch are estimated to need {needed} bytes of {card}'s memory, and \
         device_memory_bytes_max is {max}: raise it, let the processor take over \
         (device_fallback = \"cpu\"), or use the device cpu"
    )]
    Memory {
        /// The card.
        card: String,
        /// Bytes estimated.
        needed: u64,
        /// Bytes allowed.
        max: u64,
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
    precision: Precision,
    /// None of the processor.
    card: Option<Card>,
}

/// What is watched on a card.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "there is no card in this build"))]
struct Card {
    memory_bytes_max: Option<u64>,
    /// Whether it computes in bf16.
    has_bf16: fn(&Device) -> bool,
    /// Bytes that burn has reserved on it, as far as it tells.
    reserved: fn(&Device) -> Option<u64>,
}

/// More of a card's memory is reserved than its owner allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverMemory {
    /// Bytes reserved.
    pub(crate) reserved: u64,
    /// Bytes allowed.
    pub(crate) max: u64,
}

impl Compute {
    /// Finds the device that the rules ask for.
    ///
    /// # Errors
    /// [`DeviceError`] for a card asked for by its number that cannot be used, unless the rules
    /// let the processor take over; never for [`DeviceChoice::Auto`] and [`DeviceChoice::Cpu`].
    pub fn resolve(rules: impl Into<DeviceRules>) -> Result<Self, DeviceError> {
        let rules = rules.into();
        let compute = Self::choose(rules, &Machine::look(), |index| {
            cuda::open(index, rules.memory_bytes_max)
        });
        compute.map(|compute| compute.in_precision(rules.precision))
    }

    /// The same device computing in `asked` while training, where it can.
    fn in_precision(mut self, asked: Precision) -> Self {
        if asked == Precision::Bf16 {
            match &self.card {
                Some(card) if (card.has_bf16)(&self.device) => self.precision = asked,
                Some(_) => {
                    let note = format!("{} does not compute in bf16: training in f32", self.name);
                    self.note = Some(note);
                }
                // Why there is no card is more than what it would have computed in.
                None => {
                    self.note.get_or_insert_with(|| {
                        "bf16 is for graphics cards: the processor trains in f32".to_owned()
                    });
                }
            }
        }
        self
    }

    /// Chooses among what `open` gives: the card of a number, or why not.
    fn choose(
        rules: DeviceRules,
        machine: &Machine,
        open: impl FnOnce(usize) -> Result<Self, DeviceError>,
    ) -> Result<Self, DeviceError> {
        match rules.choice {
            DeviceChoice::Cpu => Ok(Self::cpu(None)),
            DeviceChoice::Cuda(index) => open(index).or_else(|problem| match rules.fallback {
                Fallback::Cpu => Ok(Self::instead(&problem)),
                Fallback::None => Err(problem),
            }),
            DeviceChoice::Auto => Ok(match open(0) {
                Ok(compute) => compute,
                Err(DeviceError::NotBuilt { .. }) => Self::cpu(unused(machine)),
                // No card, or one that its owner has hidden.
                Err(DeviceError::NoDriver {
                    missing: Missing::Library | Missing::Hidden, ..
                }) => Self::cpu(None),
                Err(problem) => Self::instead(&problem),
            }),
        }
    }

    /// The same device for something that is estimated to need so many bytes of memory; the
    /// processor, or an error, where that is more than a card may give.
    pub(crate) fn with_room(self, needed: u64, rules: &DeviceRules) -> Result<Self, DeviceError> {
        let max = self.card.as_ref().and_then(|card| card.memory_bytes_max);
        let Some(max) = max.filter(|max| needed > *max) else { return Ok(self) };
        let problem = DeviceError::Memory { card: self.name, needed, max };
        if rules.may_use_cpu() { Ok(Self::instead(&problem)) } else { Err(problem) }
    }

    /// Whether more of the card's memory is reserved than its owner allows, also after what is
    /// kept for reuse has been given back.
    pub(crate) fn over_memory(&self) -> Option<OverMemory> {
        let Card { memory_bytes_max, reserved, .. } = self.card.as_ref()?;
        let max = (*memory_bytes_max)?;
        let over = || reserved(&self.device).filter(|reserved| *reserved > max);
        over()?;
        self.device.memory_cleanup();
        over().map(|reserved| OverMemory { reserved, max })
    }

    /// The processor, in place of a card.
    pub(crate) fn instead(problem: &dyn fmt::Display) -> Self {
        Self::cpu(Some(format!("the processor is used instead: {problem}")))
    }

    fn cpu(note: Option<String>) -> Self {
        // Never `Device::default()`: it follows the features of whatever else is built.
        Self {
            device: Device::flex(),
            name: "cpu".to_owned(),
            note,
            precision: Precision::F32,
            card: None,
        }
    }

    /// The processor in the role of a card with so many bytes reserved.
    #[cfg(test)]
    pub(crate) fn pretended(
        memory_bytes_max: Option<u64>,
        reserved: fn(&Device) -> Option<u64>,
    ) -> Self {
        // burn's processor backend knows bf16, so that it can be tested without a card.
        let has_bf16 = |device: &Device| device.supports_dtype(FloatDType::BF16);
        let card = Some(Card { memory_bytes_max, has_bf16, reserved });
        Self { name: "cuda:0".to_owned(), card, ..Self::cpu(None) }
    }

    #[cfg(test)]
    pub(crate) fn pretended_in(precision: Precision) -> Self {
        Self::pretended(None, |_| None).in_precision(precision)
    }

    /// The device in words, such as `cpu` or `cuda:0`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why a graphics card that is there or was asked for is not used.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// What it computes in while training.
    #[must_use]
    pub const fn precision(&self) -> Precision {
        self.precision
    }

    /// Whether it is a graphics card.
    #[must_use]
    pub const fn is_card(&self) -> bool {
        self.card.is_some()
    }
}

impl fmt::Display for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.precision {
            Precision::F32 => f.write_str(&self.name),
            Precision::Bf16 => write!(f, "{} in bf16", self.name),
        }
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

    pub(super) const fn open(index: usize, _: Option<u64>) -> Result<Compute, DeviceError> {
        Err(DeviceError::NotBuilt { index })
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use burn::tensor::{Device, DeviceType, FloatDType};

    use super::machine::Machine;
    use super::{Card, Compute, DeviceError, Precision};

    pub(super) fn open(
        index: usize,
        memory_bytes_max: Option<u64>,
    ) -> Result<Compute, DeviceError> {
        // Enumerating loads libcuda and gives an empty list without it; opening a device that
        // is not there would panic in a worker thread.
        let mut devices = Device::enumerate(DeviceType::Cuda).into_vec();
        Machine::look().judge(index, devices.len())?;
        let card = Some(Card { memory_bytes_max, has_bf16, reserved });
        let device = devices.swap_remove(index);
        let name = format!("cuda:{index}");
        Ok(Compute { device, name, note: None, precision: Precision::F32, card })
    }

    fn has_bf16(device: &Device) -> bool {
        device.supports_dtype(FloatDType::BF16)
    }

    fn reserved(device: &Device) -> Option<u64> {
        device.memory_pool_usage().map(|usage| usage.bytes_reserved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_for_cards_that_compute_in_it() {
        let compute = Compute::pretended_in(Precision::Bf16);
        assert_eq!(compute.precision(), Precision::Bf16);
        assert_eq!(compute.to_string(), "cuda:0 in bf16");
        let mut old = Compute::pretended(None, |_| None);
        if let Some(card) = &mut old.card {
            card.has_bf16 = |_| false;
        }
        let rules =
            DeviceRules { precision: Precision::Bf16, ..DeviceRules::from(DeviceChoice::Cpu) };
        let processor = Compute::resolve(rules).expect("the processor");
        for (compute, expected) in
            [(old.in_precision(Precision::Bf16), "cuda:0"), (processor, "cpu")]
        {
            assert_eq!(compute.precision(), Precision::F32);
            assert_eq!(compute.to_string(), expected);
            assert!(compute.note().is_some_and(|note| note.contains("f32")), "{compute:?}");
        }
        assert_eq!(Compute::pretended_in(Precision::F32).to_string(), "cuda:0");
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
        let memory = DeviceError::Memory { card: "cuda:0".to_owned(), needed: 2, max: 1 };
        let others = [toolkit, memory];
        let told: Vec<String> = drivers.iter().chain(&others).map(ToString::to_string).collect();
        for (number, text) in told.iter().enumerate() {
            assert!(text.contains("use the device cpu"), "{text}");
            assert!(!told[..number].contains(text), "{text} twice");
        }
        assert!(told[4].contains("toolkit") && told[..4].iter().all(|t| !t.contains("toolkit")));
        assert!(told[5].contains("device_memory_bytes_max"), "{}", told[5]);
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_names_the_feature() {
        let error = Compute::resolve(DeviceChoice::Cuda(1)).expect_err("no cuda in this build");
        assert_eq!(error, DeviceError::NotBuilt { index: 1 });
        assert!(error.to_string().contains("`cuda` feature"), "{error}");
        let fallback = Fallback::Cpu;
        let rules = DeviceRules { fallback, ..DeviceRules::from(DeviceChoice::Cuda(1)) };
        let compute = Compute::resolve(rules).expect("the processor");
        let note = compute.note().expect("why");
        assert!(note.contains("`cuda` feature") && !compute.is_card(), "{note}");
    }

    #[test]
    fn a_card_that_works_is_used_and_one_that_does_not_is_told() {
        let machine = Machine::default();
        let choose = |choice, fallback, found: Result<(), Missing>| {
            let rules = DeviceRules { fallback, ..DeviceRules::from(choice) };
            let compute = Compute::choose(rules, &machine, |index| match found {
                Ok(()) => Ok(Compute::pretended(None, |_| None)),
                Err(missing) => Err(DeviceError::NoDriver { index, missing }),
            });
            compute.map(|compute| (compute.name, compute.note.is_some()))
        };
        let card = Ok(("cuda:0".to_owned(), false));
        for choice in [DeviceChoice::Auto, DeviceChoice::Cuda(0)] {
            assert_eq!(choose(choice, Fallback::None, Ok(())), card);
        }
        let silent = Ok(("cpu".to_owned(), false));
        assert_eq!(choose(DeviceChoice::Cpu, Fallback::None, Ok(())), silent);
        // Most machines have no card, and an owner may hide one: nothing to tell.
        for missing in [Missing::Library, Missing::Hidden] {
            assert_eq!(choose(DeviceChoice::Auto, Fallback::None, Err(missing)), silent);
        }
        let told = Ok(("cpu".to_owned(), true));
        for missing in [Missing::KernelModule, Missing::Card] {
            assert_eq!(choose(DeviceChoice::Auto, Fallback::None, Err(missing)), told);
            assert_eq!(choose(DeviceChoice::Cuda(2), Fallback::Cpu, Err(missing)), told);
            let error = DeviceError::NoDriver { index: 2, missing };
            assert_eq!(choose(DeviceChoice::Cuda(2), Fallback::None, Err(missing)), Err(error));
        }
    }

    #[test]
    fn a_model_too_large_for_the_memory_allowed_is_not_begun_on_the_card() {
        let card = |max| Compute::pretended(max, |_| None);
        let auto = DeviceRules::from(DeviceChoice::Auto);
        let named = DeviceRules::from(DeviceChoice::Cuda(0));
        for max in [None, Some(100)] {
            let compute = card(max).with_room(100, &named).expect("there is room");
            assert!(compute.is_card());
        }
        let error = card(Some(99)).with_room(100, &named).expect_err("no room");
        assert_eq!(error, DeviceError::Memory { card: "cuda:0".to_owned(), needed: 100, max: 99 });
        let compute = card(Some(99)).with_room(100, &auto).expect("the processor");
        assert!(!compute.is_card());
        assert!(compute.note().expect("why").contains("100 bytes of cuda:0's memory"));
        // The processor's memory is no card's.
        assert!(Compute::cpu(None).with_room(u64::MAX, &named).is_ok());
    }

    #[test]
    fn memory_reserved_beyond_what_is_allowed_is_seen() {
        let over = |max| Compute::pretended(max, |_| Some(100)).over_memory();
        assert_eq!(over(Some(99)), Some(OverMemory { reserved: 100, max: 99 }));
        assert_eq!((over(Some(100)), over(None)), (None, None));
        // A backend that tells nothing, and the processor.
        assert_eq!(Compute::pretended(Some(1), |_| None).over_memory(), None);
        assert_eq!(Compute::cpu(None).over_memory(), None);
    }
}
