// SPDX-License-Identifier: GPL-2.0

//! Where regions are read from and written to.

use super::array::Array;
use super::block::{
    Block,
    Crc32c,
    Role, //
};
use super::uuid::Uuid;
use crate::region_layout::{
    MAX_REGIONS,
    SPARE_REGIONS, //
};
use core::ops::Range;

/// A device did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// One of up to [`MAX_REGIONS`] regions: those of the spare first, then those of main.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region(pub usize);

impl Region {
    /// All there can be.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..MAX_REGIONS).map(Self)
    }

    /// Those of the spare.
    pub fn of_spare() -> impl Iterator<Item = Self> {
        (0..SPARE_REGIONS).map(Self)
    }

    /// The device that carries it.
    pub const fn role(self) -> Role {
        if self.0 < SPARE_REGIONS {
            Role::SPARE
        } else {
            Role::MAIN
        }
    }

    /// Which region of its device it is.
    pub const fn number(self) -> u16 {
        (self.0 % SPARE_REGIONS) as u16
    }
}

/// The regions of an array, block by block.
pub trait Storage {
    /// Computes checksums.
    const CRC32C: Crc32c;

    /// Whether there is room for the region.
    fn has(&self, region: Region) -> bool;

    /// Whether `array` has the region: there is room for it, and its device carries metadata.
    fn carries(&self, array: &Array, region: Region) -> bool {
        self.has(region) && array.device(region.role()) != Uuid::NIL
    }

    /// Reads block `number` of a region.
    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed>;

    /// Whether one of these blocks of main is what is looked for. They are counted from the end: 0
    /// is the last whole one, as the target's first sector aligns them. Those that cannot be read
    /// are not; an error if none of those that there are can.
    fn finds_on_main(
        &mut self,
        from_end: Range<u64>,
        block: &mut Block,
        is_wanted: &dyn Fn(&Block) -> bool,
    ) -> Result<bool, Failed>;

    /// Writes block `number` of a region. It may be lost until a [`Self::flush`].
    fn write(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed>;

    /// Writes a block so that it is durable on return, which says nothing of other blocks.
    fn write_through(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed>;

    /// Makes all that was written to a region durable.
    fn flush(&mut self, region: Region) -> Result<(), Failed>;
}
