// SPDX-License-Identifier: GPL-2.0

//! The spare's regions in memory.

use remap_core::metadata::block::{
    Block,
    Crc32c, //
};
use remap_core::metadata::storage::{
    Failed,
    Region,
    Storage, //
};
use remap_core::region_layout::{
    Regions,
    SPARE_REGIONS, //
};
use std::collections::BTreeMap;
use std::ops::Range;

/// The spare's regions in memory; what was never written is zero.
#[derive(Clone)]
pub struct Memory {
    /// What was written, by region and number.
    pub blocks: BTreeMap<(usize, u64), Block>,
    region_blocks: u64,
}

impl Memory {
    /// Blank regions.
    pub fn new(regions: &Regions) -> Self {
        Self {
            blocks: BTreeMap::new(),
            region_blocks: regions.region_blocks(),
        }
    }

    fn check(&self, region: Region, number: u64) -> Result<(usize, u64), Failed> {
        let is_there = self.has(region) && number < self.region_blocks;
        is_there.then_some((region.0, number)).ok_or(Failed)
    }
}

impl Storage for Memory {
    const CRC32C: Crc32c = crc32c::crc32c;

    fn has(&self, region: Region) -> bool {
        region.0 < SPARE_REGIONS
    }

    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed> {
        match self.blocks.get(&self.check(region, number)?) {
            Some(found) => block.copy_from_slice(found),
            None => block.fill(0),
        }
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
        let place = self.check(region, number)?;
        self.blocks.insert(place, *block);
        Ok(())
    }

    fn write_through(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        self.write(region, number, block)
    }

    fn flush(&mut self, _: Region) -> Result<(), Failed> {
        Ok(())
    }
}
