// SPDX-License-Identifier: GPL-2.0

//! Buffers for the data of units.

use kernel::{
    alloc::Flags,
    prelude::*, //
};
use kernel_ext::bio::Buffer;
use remap_core::engine::task::Data;

/// Buffers of one unit each.
pub(crate) struct Buffers {
    /// The data of a unit that is moved.
    unit: Buffer,
    /// What is compared with it, or read to see whether it can be.
    check: Buffer,
}

impl Buffers {
    /// Of so many bytes each. May sleep if the flags allow it.
    pub(super) fn new(bytes: usize, flags: Flags) -> Result<Self> {
        Ok(Self {
            unit: Buffer::with_flags(bytes, flags)?,
            check: Buffer::with_flags(bytes, flags)?,
        })
    }

    /// For the prober, which reads a block to see whether it can be.
    pub(crate) fn for_probes(block_bytes: usize) -> Result<Self> {
        Self::new(block_bytes, GFP_KERNEL)
    }

    /// That for the data of I/O, if they are not those of a bio.
    pub(crate) fn of(&mut self, data: Data) -> Option<&mut Buffer> {
        match data {
            Data::Unit => Some(&mut self.unit),
            Data::Check => Some(&mut self.check),
            Data::Bio | Data::Zeroes => None,
        }
    }

    /// Whether both hold the same bytes.
    pub(crate) fn are_alike(&mut self, bytes: core::ops::Range<usize>) -> bool {
        self.unit.same(&mut self.check, bytes)
    }
}
