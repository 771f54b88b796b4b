//! What a machine has of NVIDIA's, found without loading anything: only to say why a card cannot
//! be used.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{DeviceError, Missing};

/// What burn's kernel compiler needs of a toolkit at run time.
pub(super) const TOOLKIT_FILE: &str = "nvvm/libdevice/libdevice.10.bc";

/// Where loaders look for a driver's library.
const LIBRARY_FOLDERS: [&str; 9] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/local/nvidia/lib64",
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
];

const LIBRARY: &str = "libcuda.so.1";

/// There while the kernel's part of the driver is loaded.
const KERNEL_MODULE: &str = "/proc/driver/nvidia/version";

/// The usual places of a toolkit, beside `CUDA_PATH`.
const TOOLKIT_FOLDERS: [&str; 2] = ["/usr/local/cuda", "/opt/cuda"];

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    has_library: bool,
    has_kernel_module: bool,
    /// `CUDA_VISIBLE_DEVICES`.
    visible: Option<String>,
    toolkit: Option<PathBuf>,
}

impl Machine {
    pub(super) fn look() -> Self {
        let own = env::var_os("LD_LIBRARY_PATH");
        let own = own.iter().flat_map(|paths| env::split_paths(paths)).collect::<Vec<_>>();
        let folders = own.into_iter().chain(LIBRARY_FOLDERS.map(PathBuf::from));
        Self {
            has_library: folders.into_iter().any(|folder| folder.join(LIBRARY).exists()),
            has_kernel_module: Path::new(KERNEL_MODULE).exists(),
            visible: env::var("CUDA_VISIBLE_DEVICES").ok(),
            toolkit: toolkit(env::var_os("CUDA_PATH").as_deref(), &TOOLKIT_FOLDERS),
        }
    }

    /// Whether there seems to be a card that works.
    pub(super) const fn has_driver(&self) -> bool {
        self.has_library && self.has_kernel_module
    }

    /// Whether the card of this number can be used, where the driver lists `found` cards.
    #[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "there is no driver to ask"))]
    pub(super) fn judge(&self, index: usize, found: usize) -> Result<(), DeviceError> {
        if found == 0 {
            return Err(DeviceError::NoDriver { index, missing: self.missing() });
        }
        if index >= found {
            return Err(DeviceError::NoSuchCard { index, found });
        }
        match self.toolkit {
            Some(_) => Ok(()),
            None => Err(DeviceError::NoToolkit { looked_for: TOOLKIT_FILE.to_owned() }),
        }
    }

    /// Why the driver lists no card.
    fn missing(&self) -> Missing {
        let hidden = |visible: &String| visible.trim().is_empty() || visible.trim() == "-1";
        if !self.has_library {
            Missing::Library
        } else if !self.has_kernel_module {
            Missing::KernelModule
        } else if self.visible.as_ref().is_some_and(hidden) {
            Missing::Hidden
        } else {
            Missing::Card
        }
    }
}

fn toolkit(own: Option<&OsStr>, usual: &[&str]) -> Option<PathBuf> {
    let own = own.map(PathBuf::from);
    let mut roots = own.into_iter().chain(usual.iter().map(PathBuf::from));
    roots.find(|root| root.join(TOOLKIT_FILE).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_told_apart() {
        let whole = Machine { has_library: true, has_kernel_module: true, ..Machine::default() };
        assert_eq!(Machine::default().missing(), Missing::Library);
        let machine = Machine { has_kernel_module: false, ..whole.clone() };
        assert_eq!((machine.missing(), machine.has_driver()), (Missing::KernelModule, false));
        for (visible, expected) in
            [("", Missing::Hidden), ("-1", Missing::Hidden), ("0", Missing::Card)]
        {
            let machine = Machine { visible: Some(visible.to_owned()), ..whole.clone() };
            assert_eq!(machine.missing(), expected, "{visible:?}");
        }
        assert_eq!((whole.missing(), whole.has_driver()), (Missing::Card, true));
    }

    #[test]
    fn driver_card_and_toolkit_are_told_apart_in_this_order() {
        let whole = Machine { has_library: true, has_kernel_module: true, ..Machine::default() };
        let missing = Missing::Card;
        assert_eq!(whole.judge(0, 0), Err(DeviceError::NoDriver { index: 0, missing }));
        assert_eq!(whole.judge(2, 2), Err(DeviceError::NoSuchCard { index: 2, found: 2 }));
        let looked_for = TOOLKIT_FILE.to_owned();
        assert_eq!(whole.judge(1, 2), Err(DeviceError::NoToolkit { looked_for }));
        let machine = Machine { toolkit: Some("/usr/local/cuda".into()), ..whole };
        assert_eq!(machine.judge(1, 2), Ok(()));
    }

    #[test]
    fn a_toolkit_is_told_by_its_file_and_ones_own_comes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let usual = folder.path().join("usual");
        let own = folder.path().join("own");
        let shown = usual.to_str().expect("plain");
        assert_eq!(toolkit(Some(own.as_os_str()), &[shown]), None);
        for root in [&usual, &own] {
            let file = root.join(TOOLKIT_FILE);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("it is made");
            assert_eq!(toolkit(Some(own.as_os_str()), &[shown]).is_some(), root == &own);
            std::fs::write(file, b"").expect("it is written");
            assert_eq!(toolkit(Some(own.as_os_str()), &[shown]).as_ref(), Some(root));
        }
        assert_eq!(toolkit(None, &[shown]), Some(usual));
    }
}
