// SPDX-License-Identifier: GPL-2.0

//! What is counted.

use kernel_ext::per_cpu::Counter;

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What is counted, in the order in which `stats` lists it.
        #[derive(Clone, Copy)]
        #[repr(usize)]
        pub(crate) enum Count {
            $($(#[$doc])* $name,)*
        }

        impl Count {
            /// All counts and the names under which they are shown.
            pub(crate) const ALL: &'static [(Count, &'static str)] = &[$((Count::$name, $text),)*];
        }
    };
}

counts! {
    /// Reads that were mapped, each part of a cut one.
    Reads = "reads",
    /// Writes and writes of zeroes that were mapped, each part of a cut one.
    Writes = "writes",
    /// Discards that were mapped, each part of a cut one.
    Discards = "discards",
    /// Flushes, one for each device.
    Flushes = "flushes",
    /// Parts that went straight to the spare.
    Redirected = "redirected",
    /// Parts that became requests of the engine, because of an error or a unit that is being moved.
    Repaired = "repaired",
    /// Reads of lost blocks, failed without asking any device.
    LostReads = "lost_reads",
    /// Reads that a device failed in a way that may be the medium.
    ReadErrors = "read_errors",
    /// Writes that a device failed in a way that may be the medium.
    WriteErrors = "write_errors",
    /// Errors that did not come again.
    Transient = "transient",
    /// Units moved to the spare because a write failed.
    Relocated = "relocated",
    /// Units moved to the spare by message.
    Remapped = "remapped",
    /// Units moved back to main by message.
    Unremapped = "unremapped",
    /// Spare units that failed and were given up.
    Retired = "retired",
    /// Writes that failed because no spare unit was left.
    NoSpare = "no_spare",
    /// Units that the scan could not read, and that nobody had asked for.
    ScanFound = "scan_found",
    /// Units that the scan could read after some tries only, or slowly.
    ScanWeak = "scan_weak",
    /// Of those, units that were moved to the spare.
    ScanMoved = "scan_moved",
    /// Passes of the scan that were done.
    ScanPasses = "scan_passes",
}

impl Count {
    /// Those that the metadata keep, in their order there, which must not change.
    pub(crate) const SURVIVE: &'static [Count] = &[
        Count::ReadErrors,
        Count::WriteErrors,
        Count::Transient,
        Count::LostReads,
        Count::Relocated,
        Count::Remapped,
        Count::Unremapped,
        Count::Retired,
        Count::NoSpare,
        Count::ScanFound,
        Count::ScanWeak,
        Count::ScanMoved,
        Count::ScanPasses,
    ];
}

impl Counter for Count {
    const COUNT: usize = Count::ALL.len();

    fn place(self) -> usize {
        self as usize
    }
}
