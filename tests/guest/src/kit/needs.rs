// SPDX-License-Identifier: GPL-2.0

//! What a test is, and what it needs of the machine. It does not say where it runs: what needs no
//! emulated hardware runs in User-Mode Linux.

use anyhow::Result;
use serde::Serialize;

/// What a test needs of its guest.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Needs {
    /// How many CPUs.
    pub cpus: u32,
    /// How much memory, in MiB; 0 for the usual.
    pub memory: u32,
    /// How many NUMA nodes.
    pub nodes: u32,
    /// How many of these have no memory.
    pub bare_nodes: u32,
    /// Disks beside those that the guest's kernel makes, as `DISKS=` describes them
    /// (`Documentation/development.rst`). In the guest they are `/dev/disk0`, `/dev/disk1` ...
    pub disks: &'static [&'static str],
    /// CPUs that go and come.
    pub hotplug: bool,
    /// A host that takes disks out.
    pub hands: bool,
    /// kmemleak and debugobjects, which follow each object of the kernel.
    pub leaks: bool,
    /// Whether it mostly waits, so that it runs beside the others.
    pub waits: bool,
    /// Whether `make crash` has it run many times (`TIMES=`): what it meets is left to chance.
    pub repeated: bool,
    /// How long it may take at the most: a test that takes longer hangs.
    pub seconds: u32,
}

/// What a test needs that says nothing.
pub const USUAL: Needs = Needs {
    cpus: 1,
    memory: 0,
    nodes: 1,
    bare_nodes: 0,
    disks: &[],
    hotplug: false,
    hands: false,
    leaks: false,
    waits: false,
    repeated: false,
    seconds: 900,
};

/// A test: its name, what it needs, and what it does.
pub struct Test {
    /// The subject, which is the module below the root, and the name of the function.
    pub name: String,
    /// What it needs.
    pub needs: Needs,
    /// What it does; an error or a panic is a failure.
    pub run: fn() -> Result<()>,
}

/// The name of a test: its subject, which is the module below the root, and the function's name.
///
/// The files of a subject's folder share its name: `scan::weak` has tests of `scan`.
pub fn name(module: &str, function: &str) -> String {
    let subject = module.split("::").nth(1).unwrap_or(module);
    format!("{subject}.{function}")
}

/// The tests of a subject: functions, each with what it needs if that is not the usual.
#[macro_export]
macro_rules! tests {
    ($($function:ident $(($($need:ident: $value:expr),+ $(,)?))?),* $(,)?) => {
        /// The tests of this subject.
        pub fn tests() -> Vec<$crate::kit::Test> {
            vec![$($crate::kit::Test {
                name: $crate::kit::name(module_path!(), stringify!($function)),
                needs: $crate::kit::Needs {
                    $($($need: $value,)+)?
                    ..$crate::kit::USUAL
                },
                run: $function,
            }),*]
        }
    };
}
