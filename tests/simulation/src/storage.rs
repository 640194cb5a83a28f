// SPDX-License-Identifier: GPL-2.0

//! The regions of an array on simulated disks, read and written at once, as it is activated.

use crate::disk::{
    Disk,
    Sector, //
};
use remap_core::geometry::Geometry;
use remap_core::metadata::block::{
    Block,
    Crc32c,
    BLOCK_BYTES,
    BLOCK_SECTORS, //
};
use remap_core::metadata::storage::{
    Failed,
    Region,
    Storage, //
};
use std::ops::Range;

/// A block as the sectors of a disk.
pub fn sectors_of(block: &Block) -> Vec<Sector> {
    let sectors = block.chunks_exact(512);
    sectors
        .map(|bytes| Sector::Bytes(Box::new(bytes.try_into().expect("a sector"))))
        .collect()
}

/// The sectors of a disk as a block.
pub fn block_of(sectors: &[Sector], block: &mut Block) {
    for (bytes, sector) in block.chunks_exact_mut(512).zip(sectors) {
        match sector {
            Sector::Bytes(own) => bytes.copy_from_slice(&own[..]),
            Sector::Value(0) => bytes.fill(0),
            Sector::Value(value) => {
                bytes.fill(0xa5);
                bytes[..8].copy_from_slice(&value.to_le_bytes());
            }
        }
    }
}

/// Where block `number` of a region begins on the spare.
pub fn sector_of(geometry: &Geometry, region: Region, number: u64) -> Option<u64> {
    let start = geometry.spare_regions().get(region.0).copied()?;
    Some(start + number * BLOCK_SECTORS)
}

/// The regions of the spare.
pub struct Regions<'a> {
    /// The array's shape.
    pub geometry: Geometry,
    /// The spare.
    pub spare: &'a mut Disk,
}

impl Storage for Regions<'_> {
    const CRC32C: Crc32c = crc32c::crc32c;

    fn has(&self, region: Region) -> bool {
        sector_of(&self.geometry, region, 0).is_some()
    }

    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed> {
        let at = sector_of(&self.geometry, region, number).ok_or(Failed)?;
        let read = self.spare.read(at..at + BLOCK_SECTORS);
        block_of(&read.map_err(|_| Failed)?, block);
        Ok(())
    }

    fn finds_on_main(
        &mut self,
        _: Range<u64>,
        _: &mut Block,
        _: &dyn Fn(&Block) -> bool,
    ) -> Result<bool, Failed> {
        Ok(false)
    }

    fn write(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        self.put(region, number, block, false)
    }

    fn write_through(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        self.put(region, number, block, true)
    }

    fn flush(&mut self, _: Region) -> Result<(), Failed> {
        self.spare.flush().map_err(|_| Failed)
    }
}

impl Regions<'_> {
    fn put(
        &mut self,
        region: Region,
        number: u64,
        block: &Block,
        is_durable: bool,
    ) -> Result<(), Failed> {
        debug_assert_eq!(block.len(), BLOCK_BYTES);
        let at = sector_of(&self.geometry, region, number).ok_or(Failed)?;
        let written = self.spare.write(at, &sectors_of(block), is_durable);
        written.map_err(|_| Failed)
    }
}
