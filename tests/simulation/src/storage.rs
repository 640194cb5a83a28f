// SPDX-License-Identifier: GPL-2.0

//! The regions of an array on simulated disks, read and written at once, as it is activated.

use crate::disk::{
    Disk,
    Sector, //
};
use remap_core::engine::task::Device;
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
use remap_core::region_layout::SPARE_REGIONS;
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

/// The sectors of main, of which the last are behind those of the target.
pub const MAIN_SECTORS: u64 = 1 << 20;

/// Where regions are.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// The array's shape.
    pub geometry: Geometry,
    /// Whether there are regions on main.
    pub on_main: bool,
}

impl Places {
    /// The device of a region, and where its block `number` begins there.
    pub fn of(&self, region: Region, number: u64) -> Option<(Device, u64)> {
        let (device, start) = match region.0.checked_sub(SPARE_REGIONS) {
            None => (
                Device::Spare,
                self.geometry.spare_regions().get(region.0).copied(),
            ),
            Some(_) if !self.on_main => return None,
            Some(at) => {
                let regions = self.geometry.regions();
                let starts = regions.on_main(self.geometry.sectors(), MAIN_SECTORS);
                (Device::Main, starts.get(at).copied().flatten())
            }
        };
        Some((device, start? + number * BLOCK_SECTORS))
    }
}

/// The regions of an array.
pub struct Regions<'a> {
    /// Where they are.
    pub places: Places,
    /// Main.
    pub main: &'a mut Disk,
    /// The spare.
    pub spare: &'a mut Disk,
}

impl Storage for Regions<'_> {
    const CRC32C: Crc32c = crc32c::crc32c;

    fn has(&self, region: Region) -> bool {
        self.places.of(region, 0).is_some()
    }

    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed> {
        let (disk, at) = self.disk(region, number)?;
        let read = disk.read(at..at + BLOCK_SECTORS);
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

    fn flush(&mut self, region: Region) -> Result<(), Failed> {
        let (disk, _) = self.disk(region, 0)?;
        disk.flush().map_err(|_| Failed)
    }
}

impl Regions<'_> {
    fn disk(&mut self, region: Region, number: u64) -> Result<(&mut Disk, u64), Failed> {
        let (device, at) = self.places.of(region, number).ok_or(Failed)?;
        let disk = match device {
            Device::Main => &mut *self.main,
            Device::Spare => &mut *self.spare,
        };
        Ok((disk, at))
    }

    fn put(
        &mut self,
        region: Region,
        number: u64,
        block: &Block,
        is_durable: bool,
    ) -> Result<(), Failed> {
        debug_assert_eq!(block.len(), BLOCK_BYTES);
        let (disk, at) = self.disk(region, number)?;
        let written = disk.write(at, &sectors_of(block), is_durable);
        written.map_err(|_| Failed)
    }
}
