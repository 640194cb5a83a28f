// SPDX-License-Identifier: GPL-2.0

//! Replays a log of dm-log-writes, entry by entry. At each point of a possible power loss, the
//! array is read as the target reads it, and every unit must hold an allowed version.

use crate::{
    log::Log,
    versions::{
        Known,
        UNIT_BYTES, //
    },
};
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_core::geometry::{
    Geometry,
    Unit, //
};
use remap_core::index::State;
use remap_core::metadata::block::{
    Block,
    Crc32c,
    BLOCK_BYTES, //
};
use remap_core::metadata::storage::{
    Failed,
    Region,
    Storage, //
};
use remap_core::metadata::survey::Refused;
use remap_core::region_layout::SPARE_REGIONS;
use remap_host::{
    plain_geometry,
    Contained,
    Unreadable, //
};
use std::io::Read;
use std::ops::Range;

/// The logged device: main, and the spare behind it.
struct Disk {
    bytes: Vec<u8>,
    main: u64,
    geometry: Geometry,
}

impl Disk {
    fn new(main: u64, spare: u64) -> Result<Self> {
        let Ok(geometry) = plain_geometry(main, spare) else {
            bail!("no array has {main} and {spare} sectors");
        };
        Ok(Self {
            bytes: vec![0; (main + spare) as usize * 512],
            main,
            geometry,
        })
    }

    fn write(&mut self, sector: u64, data: &[u8]) -> Result<()> {
        let at = sector as usize * 512;
        let place = self.bytes.get_mut(at..at + data.len());
        place
            .context("a write behind the end")?
            .copy_from_slice(data);
        Ok(())
    }

    fn at(&self, sector: u64) -> &[u8] {
        let at = sector as usize * 512;
        &self.bytes[at..at + UNIT_BYTES]
    }
}

impl Storage for Disk {
    const CRC32C: Crc32c = crc32c::crc32c;

    fn has(&self, region: Region) -> bool {
        region.0 < SPARE_REGIONS
    }

    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed> {
        let start = self.geometry.spare_regions()[region.0];
        let at = (self.main + start) as usize * 512 + number as usize * BLOCK_BYTES;
        block.copy_from_slice(self.bytes.get(at..at + BLOCK_BYTES).ok_or(Failed)?);
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

    fn write(&mut self, _: Region, _: u64, _: &Block) -> Result<(), Failed> {
        Err(Failed)
    }

    fn write_through(&mut self, _: Region, _: u64, _: &Block) -> Result<(), Failed> {
        Err(Failed)
    }

    fn flush(&mut self, _: Region) -> Result<(), Failed> {
        Err(Failed)
    }
}

/// Checks the array as it is after a power loss at this point.
fn check(disk: &mut Disk, known: &Known) -> Result<()> {
    let geometry = disk.geometry;
    let map = match Contained::read(disk, &geometry) {
        Ok(contained) => contained.map,
        Err(Unreadable::Refused(Refused::Blank)) if known.units().next().is_none() => return Ok(()),
        Err(failure) => bail!("the array cannot be read: {failure}"),
    };
    for unit in known.units() {
        let first = disk.geometry.sectors_of(Unit(unit)).start;
        let sector = match map.get(Unit(unit)).map(|entry| entry.state) {
            Some(State::Relocated { spare, valid }) => {
                if !valid.contains(disk.geometry.blocks_of(Unit(unit))) {
                    bail!("unit {unit} has lost blocks");
                }
                disk.main + disk.geometry.on_spare(spare, first)
            }
            _ => first,
        };
        known.check(unit, disk.at(sector))?;
    }
    Ok(())
}

/// The result of a replay.
pub struct Replayed {
    /// The number of points of a possible power loss.
    pub points: u64,
    /// The number of units with an acknowledged version.
    pub acked: usize,
}

/// Replays a log. On the logged device, the spare follows main. Marks are lines of the story (see
/// [`Known`]) with dashes for spaces.
pub fn replay(log: impl Read, main_sectors: u64, spare_sectors: u64) -> Result<Replayed> {
    let mut disk = Disk::new(main_sectors, spare_sectors)?;
    let mut known = Known::default();
    let mut points = 0;
    for (at, entry) in Log::new(log)?.enumerate() {
        let entry = entry?;
        if let Some(mark) = entry.mark {
            let line = mark.replace('-', " ");
            // dm-log-writes adds a mark of its own at the end.
            if line != "dm log writes end" {
                known.note(&line).with_context(|| mark)?;
            }
            continue;
        }
        disk.write(entry.sector, &entry.data)?;
        if entry.is_point {
            points += 1;
            check(&mut disk, &known)
                .with_context(|| format!("after entry {at}, point {points}"))?;
        }
    }
    Ok(Replayed {
        points,
        acked: known.acked(),
    })
}
