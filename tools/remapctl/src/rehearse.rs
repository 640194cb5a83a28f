// SPDX-License-Identifier: GPL-2.0

//! Checking what is to be written before anything is: it is written to memory and read back.

use anyhow::{
    anyhow,
    Result, //
};
use remap_core::geometry::Geometry;
use remap_core::metadata::array::Array;
use remap_core::metadata::journal::Journal;
use remap_core::metadata::record::Record;
use remap_core::metadata::standing::Standing;
use remap_host::memory::Memory;
use remap_host::{
    blank_block,
    contents,
    Contained,
    Unreadable, //
};

/// Whether an array of these records can be read by the target.
pub fn rehearse(
    geometry: &Geometry,
    array: &Array,
    generation: u64,
    standing: &Standing,
    records: &[Record],
) -> Result<()> {
    let (mut memory, mut block) = (Memory::new(&array.regions()), blank_block());
    let mut journal = Journal::format(*array, &memory, generation, 0);
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
