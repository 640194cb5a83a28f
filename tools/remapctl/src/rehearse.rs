// SPDX-License-Identifier: GPL-2.0

//! Checking what is to be written before anything is: it is written to memory and read back.

use crate::array::contents;
use anyhow::{
    anyhow,
    Result, //
};
use remap_core::geometry::Geometry;
use remap_core::metadata::array::Array;
use remap_core::metadata::block::{
    Block,
    Crc32c, //
};
use remap_core::metadata::journal::Journal;
use remap_core::metadata::record::Record;
use remap_core::metadata::regions::SPARE_REGIONS;
use remap_core::metadata::standing::Standing;
use remap_core::metadata::storage::{
    Failed,
    Region,
    Storage, //
};
use remap_host::{
    blank_block,
    Contained,
    Unreadable, //
};
use std::collections::HashMap;

/// The spare's regions in memory; what was never written is zero.
struct Memory(HashMap<(usize, u64), Block>);

impl Storage for Memory {
    const CRC32C: Crc32c = crc32c::crc32c;

    fn has(&self, region: Region) -> bool {
        region.0 < SPARE_REGIONS
    }

    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed> {
        match self.0.get(&(region.0, number)) {
            Some(found) => block.copy_from_slice(found),
            None => block.fill(0),
        }
        Ok(())
    }

    fn write(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        self.0.insert((region.0, number), *block);
        Ok(())
    }

    fn write_through(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        self.write(region, number, block)
    }

    fn flush(&mut self, _: Region) -> Result<(), Failed> {
        Ok(())
    }
}

/// Whether an array of these records can be read by the target.
pub fn rehearse(
    geometry: &Geometry,
    array: &Array,
    generation: u64,
    standing: &Standing,
    records: &[Record],
) -> Result<()> {
    let (mut memory, mut block) = (Memory(HashMap::new()), blank_block());
    let mut journal = Journal::format(*array, &memory, generation);
    journal
        .checkpoint(&mut memory, &mut block, standing, contents(records))
        .map_err(|_| anyhow!("there are more entries than spare units"))?;
    let read = Contained::read(&mut memory, geometry);
    read.map_err(|error| match error {
        Unreadable::Refused(refused) => anyhow!("{refused}"),
        Unreadable::Conflict(record, conflict) => anyhow!("{record:?}: {conflict:?}"),
    })?;
    Ok(())
}
