// SPDX-License-Identifier: GPL-2.0

//! Reading an array of which only main is there, from the copies of the metadata on main.

use crate::array::Found;
use crate::device::{
    Access,
    Device, //
};
use anyhow::{
    anyhow,
    Context,
    Result, //
};
use remap_core::geometry::{
    self,
    Area,
    Geometry, //
};
use remap_core::metadata::array::{
    Array,
    Head, //
};
use remap_core::metadata::block::{
    Block,
    Crc32c,
    Header,
    Kind,
    Role,
    BLOCK_SECTORS, //
};
use remap_core::metadata::storage::{
    Failed,
    Region,
    Storage, //
};
use remap_core::metadata::survey::choose_without_spare;
use remap_host::{
    blank_block,
    Contained,
    Unreadable, //
};
use std::ops::Range;
use std::path::Path;

/// Regions are a multiple of so many blocks.
const GRAIN: u64 = 256;
/// How many lengths of a region are tried: those of spares of up to 5 GiB.
const MOST_GRAINS: u64 = 64;

/// Main, and the array that the copy at its end is of.
pub struct MainAlone {
    main: Device,
    main_start: u64,
    array: Array,
}

impl MainAlone {
    /// Opens main, and looks for the region at its end.
    pub fn open(path: &Path, main_start: u64) -> Result<Self> {
        let main = Device::open(path, Access::Hold)?;
        let behind = main.kind.sectors.saturating_sub(main_start);
        let array = array_at_end(&main, main_start, behind);
        let array = array.with_context(|| {
            let path = path.display();
            format!("{path} has no copies of the metadata, so what was relocated is not known")
        })?;
        Ok(Self {
            main,
            main_start,
            array,
        })
    }

    fn behind(&self) -> u64 {
        self.main.kind.sectors.saturating_sub(self.main_start)
    }

    fn sector(&self, region: Region, number: u64) -> Option<u64> {
        if region.role() != Role::MAIN {
            return None;
        }
        let starts = self
            .array
            .regions()
            .on_main(self.array.main_sectors, self.behind());
        let start = starts
            .get(usize::from(region.number()))
            .copied()
            .flatten()?;
        Some(self.main_start + start + number * BLOCK_SECTORS)
    }

    /// The units over main and a spare like the one that is missing.
    fn geometry(&self) -> Result<Geometry> {
        let block = self.array.block_sectors.saturating_mul(512);
        let spare = geometry::Device {
            logical_block: block,
            physical_block: block,
            sectors: self.array.spare_sectors,
        };
        let main = Area {
            start: self.main_start,
            len: self.array.main_sectors,
        };
        let area = Area {
            start: 0,
            len: self.array.spare_sectors,
        };
        let unit = Some(u64::from(self.array.unit_sectors) << 9);
        let geometry = Geometry::new(self.main.kind, main, spare, area, unit);
        let geometry = geometry.map_err(|error| anyhow!("{}", error.reason().to_string_lossy()))?;
        let fits = self.array.fits(&geometry);
        fits.map_err(|misfit| anyhow!("{misfit}"))?;
        Ok(geometry)
    }

    /// Reads the array.
    pub fn read(&mut self) -> Result<Found> {
        let (geometry, regions) = (self.geometry()?, self.array.regions());
        let choice = choose_without_spare(self, &mut blank_block(), &regions);
        let choice = choice.map_err(Unreadable::Refused)?;
        let contained = Contained::chosen(self, choice, &geometry)?;
        Ok(Found {
            geometry,
            contained,
        })
    }
}

/// The array whose last region ends with main: how long a region is follows from the spare.
fn array_at_end(main: &Device, main_start: u64, behind: u64) -> Option<Array> {
    let blocks = behind / BLOCK_SECTORS;
    let mut block = blank_block();
    (1..=MOST_GRAINS).find_map(|grains| {
        let first = blocks.checked_sub(grains * GRAIN)?;
        // Where slot B is follows from the length of the spare too, of which several have regions
        // of this length; the head in slot A is written last of all that a format writes.
        let sector = main_start + first * BLOCK_SECTORS;
        main.read(sector, block.as_mut_slice()).ok()?;
        let header = Header::read(&block, crc32c::crc32c).ok()?;
        let is_head = header.kind == Kind::Checkpoint && header.address.role == Role::MAIN;
        let array = Head::read(&block, &header).filter(|_| is_head)?.array;
        (array.regions().region_blocks() == grains * GRAIN).then_some(array)
    })
}

impl Storage for MainAlone {
    const CRC32C: Crc32c = crc32c::crc32c;

    fn has(&self, region: Region) -> bool {
        self.sector(region, 0).is_some()
    }

    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed> {
        let sector = self.sector(region, number).ok_or(Failed)?;
        self.main.read(sector, block).map_err(|_| Failed)
    }

    fn finds_on_main(
        &mut self,
        _: Range<u64>,
        _: &mut Block,
        _: &dyn Fn(&Block) -> bool,
    ) -> Result<bool, Failed> {
        // It is asked where no head was found, and one was.
        Ok(true)
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
