// SPDX-License-Identifier: GPL-2.0

//! A test and its requirements. A test does not specify where it runs: tests without hardware
//! requirements run in User-Mode Linux.

use anyhow::Result;
use serde::Serialize;

/// The requirements of a test.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Needs {
    /// The number of CPUs.
    pub cpus: u32,
    /// The memory in MiB, or 0 for the default.
    pub memory: u32,
    /// The number of NUMA nodes.
    pub nodes: u32,
    /// The number of nodes without memory.
    pub bare_nodes: u32,
    /// Additional disks, as in `DISKS=` (`Documentation/development.rst`). In the guest they are
    /// `/dev/disk0`, `/dev/disk1` and so on.
    pub disks: &'static [&'static str],
    /// CPUs that go offline and online.
    pub hotplug: bool,
    /// A host that removes disks.
    pub hands: bool,
    /// kmemleak and debugobjects, which track each object of the kernel.
    pub leaks: bool,
    /// Whether the test mostly waits, and therefore runs beside the others.
    pub waits: bool,
    /// Whether the test depends on chance, and `make crash` repeats it (`TIMES=`).
    pub repeated: bool,
    /// The time limit in seconds, after which the test is considered hung.
    pub seconds: u32,
}

/// The default requirements.
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
    seconds: 3600,
};

/// A test.
pub struct Test {
    /// The subject, which is the module below the root, and the name of the function.
    pub name: String,
    /// The requirements of the test.
    pub needs: Needs,
    /// The body of the test. An error or a panic is a failure.
    pub run: fn() -> Result<()>,
}

/// The name of a test: its subject, which is the module below the root, and the name of the
/// function.
///
/// The files in the directory of a subject share its name: `scan::weak` contains tests of `scan`.
pub fn name(module: &str, function: &str) -> String {
    let subject = module.split("::").nth(1).unwrap_or(module);
    format!("{subject}.{function}")
}

/// Defines the tests of a subject: functions, each with its requirements other than the defaults.
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
