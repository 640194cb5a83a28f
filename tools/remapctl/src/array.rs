// SPDX-License-Identifier: GPL-2.0

//! The array on two devices: where its regions are and what they hold.

use crate::cli;
use crate::device::{
    Access,
    Device, //
};
use crate::ground::Place;
use anyhow::{
    anyhow,
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
    Role,
    BLOCK_SECTORS, //
};
use remap_core::metadata::journal::Contents;
use remap_core::metadata::record::Record;
use remap_core::metadata::storage::{
    Failed,
    Region,
    Storage, //
};
use remap_core::metadata::survey::{
    choose,
    choose_moved,
    choose_region,
    choose_without_spare,
    identify,
    Choice,
    Refused, //
};
use remap_core::region_layout::{
    Regions,
    Slot, //
};
use remap_host::{
    blank_block,
    Contained,
    Unreadable, //
};
use std::ops::Range;

/// The two devices of an array, and where on them it lies.
pub struct Disks {
    pub main: Device,
    pub spare: Device,
    pub main_start: u64,
    pub spare_area: Area,
    /// The length of the target, which says where regions on main may be.
    pub mapped: Option<u64>,
}

impl Disks {
    /// Opens the devices that were named.
    pub fn open(named: &cli::Devices, access: Access) -> Result<Self> {
        Self::open_each(named, access, access)
    }

    /// Opens main in one way, and the spare in another.
    pub fn open_each(
        named: &cli::Devices,
        main_access: Access,
        spare_access: Access,
    ) -> Result<Self> {
        let spare = Device::open(&named.spare, spare_access)?;
        let main = Device::open(&named.main, main_access)?;
        let left = spare.kind.sectors.saturating_sub(named.spare_start);
        let spare_area = Area {
            start: named.spare_start,
            len: named.spare_len.unwrap_or(left),
        };
        let mut this = Self {
            main,
            spare,
            main_start: named.main_start,
            spare_area,
            mapped: None,
        };
        this.mapped = this.mapped_of_spare().or_else(|| this.mapped_of_main());
        Ok(this)
    }

    /// The regions of the spare area.
    pub fn regions(&self) -> Regions {
        Regions::for_spare(self.spare_area.len)
    }

    /// The sectors that main has from the target's first on.
    pub fn behind(&self) -> u64 {
        self.main.kind.sectors.saturating_sub(self.main_start)
    }

    /// The length of the target that the spare's metadata name.
    fn mapped_of_spare(&mut self) -> Option<u64> {
        let regions = self.regions();
        let mut block = blank_block();
        let identity = identify(self, &mut block, &regions).ok()?;
        Some(identity.array.main_sectors)
    }

    /// The length of the target that the region at the end of main names, whatever became of the
    /// spare.
    fn mapped_of_main(&self) -> Option<u64> {
        let regions = self.regions();
        let [_, Some(last)] = regions.on_main(0, self.behind()) else {
            return None;
        };
        let mut block = blank_block();
        Slot::BOTH.into_iter().find_map(|slot| {
            let sector = self.main_start + last + regions.header(slot) * BLOCK_SECTORS;
            self.main.read(sector, block.as_mut_slice()).ok()?;
            let header = Header::read(&block, crc32c::crc32c).ok()?;
            Some(Head::read(&block, &header)?.array.main_sectors)
        })
    }

    /// The device of a region.
    pub fn device(&self, region: Region) -> &Device {
        match region.role() {
            Role::MAIN => &self.main,
            _ => &self.spare,
        }
    }

    /// Where regions are if the target has `mapped` sectors; only those of the spare if that is not
    /// known.
    pub fn places(&self, mapped: Option<u64>) -> Vec<Place> {
        let regions = self.regions();
        let last = regions.last_start(self.spare_area.len);
        let spare = [last.map(|_| 0), last].map(|at| at.map(|at| self.spare_area.start + at));
        let main = mapped.map_or([None; 2], |mapped| regions.on_main(mapped, self.behind()));
        let main = main.map(|at| at.map(|at| self.main_start + at));
        let starts = Region::all().zip(spare.into_iter().chain(main));
        starts
            .filter_map(|(region, start)| {
                Some(Place {
                    region,
                    start: start?,
                })
            })
            .collect()
    }

    /// Where on main regions of the array that is there may be, whatever it says of itself.
    pub fn older_places(&self) -> Vec<Place> {
        let known = [self.mapped, self.mapped_of_main()].into_iter().flatten();
        let mut places: Vec<_> = known.flat_map(|mapped| self.places(Some(mapped))).collect();
        // The one at the end does not depend on the length of the target.
        places.extend(self.places(Some(0)).pop());
        places.retain(|place| place.region.role() == Role::MAIN && place.start > self.main_start);
        places
    }

    /// The device of a region and the region's first sector on it.
    fn place(&self, region: Region) -> Option<(&Device, u64)> {
        let places = self.places(self.mapped);
        let place = places.into_iter().find(|place| place.region == region)?;
        Some((self.device(region), place.start))
    }

    /// The device of a block of a region, and the block's first sector on it.
    pub fn block(&self, region: Region, number: u64) -> Result<(&Device, u64), Failed> {
        let (device, start) = self.place(region).ok_or(Failed)?;
        Ok((device, start + number * BLOCK_SECTORS))
    }

    /// Whether an array that stands on the devices is active.
    pub fn are_held(&self) -> bool {
        self.main.is_held() || self.spare.is_held()
    }

    /// Where a region is, for people.
    pub fn name(&self, region: Region) -> String {
        match self.place(region) {
            Some((device, start)) => format!("{} sector {start}", device.path().display()),
            None => "nowhere".into(),
        }
    }

    /// The units that an array lays over the devices.
    pub fn geometry(&self, array: &Array) -> Result<Geometry> {
        let mut main = self.main.kind;
        if !(self.main.is_block && self.spare.is_block) {
            // Files do not say what the blocks of the disks are that they stand for.
            let block = array.block_sectors.checked_mul(512);
            main.logical_block = main.logical_block.max(block.unwrap_or(u32::MAX));
        }
        let unit = Some(u64::from(array.unit_sectors) << 9);
        let geometry = self.lay_out(main, array.main_sectors, unit)?;
        array
            .fits(&geometry)
            .map_err(|misfit| anyhow!("{misfit}"))?;
        Ok(geometry)
    }

    /// The units that a target of `len` sectors lays over the devices, of which main is taken for
    /// `main`.
    pub fn lay_out(&self, main: geometry::Device, len: u64, unit: Option<u64>) -> Result<Geometry> {
        let area = Area {
            start: self.main_start,
            len,
        };
        let made = Geometry::new(main, area, self.spare.kind, self.spare_area, unit);
        made.map_err(|error| anyhow!("{}", error.reason().to_string_lossy()))
    }
}

impl Storage for Disks {
    const CRC32C: Crc32c = crc32c::crc32c;

    fn has(&self, region: Region) -> bool {
        self.place(region).is_some()
    }

    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed> {
        let (device, sector) = self.block(region, number)?;
        device.read(sector, block).map_err(|_| Failed)
    }

    fn finds_on_main(
        &mut self,
        from_end: Range<u64>,
        block: &mut Block,
        is_wanted: &dyn Fn(&Block) -> bool,
    ) -> Result<bool, Failed> {
        let blocks = self.behind() / BLOCK_SECTORS;
        let numbers = from_end.filter_map(|at| blocks.checked_sub(at + 1));
        let (mut tried, mut read) = (0, 0);
        for number in numbers {
            let sector = self.main_start + number * BLOCK_SECTORS;
            tried += 1;
            if self.main.read(sector, block).is_ok() {
                read += 1;
                if is_wanted(block) {
                    return Ok(true);
                }
            }
        }
        match read > 0 || tried == 0 {
            true => Ok(false),
            false => Err(Failed),
        }
    }

    fn write(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        let (device, sector) = self.block(region, number)?;
        device.write(sector, block).map_err(|_| Failed)
    }

    fn write_through(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        self.write(region, number, block)?;
        self.flush(region)
    }

    fn flush(&mut self, region: Region) -> Result<(), Failed> {
        let (device, _) = self.place(region).ok_or(Failed)?;
        device.sync().map_err(|_| Failed)
    }
}

/// An array on its devices.
pub struct Found {
    pub geometry: Geometry,
    pub contained: Contained,
}

impl Found {
    /// Reads the metadata, as the target does.
    pub fn read(disks: &mut Disks) -> Result<Self> {
        let regions = disks.regions();
        let choice = choose(disks, &mut blank_block(), &regions);
        Self::chosen(disks, choice)
    }

    /// Reads the metadata also of an array whose data move to another disk, or are there.
    pub fn read_moved(disks: &mut Disks) -> Result<Self> {
        let regions = disks.regions();
        let choice = choose_moved(disks, &mut blank_block(), &regions);
        Self::chosen(disks, choice)
    }

    /// Reads the metadata of one region, whatever the others hold.
    pub fn read_region(disks: &mut Disks, region: Region) -> Result<Self> {
        let regions = disks.regions();
        let choice = choose_region(disks, &mut blank_block(), &regions, region);
        Self::chosen(disks, choice)
    }

    /// Reads the metadata where only main has some.
    pub fn read_from_main(disks: &mut Disks) -> Result<Self> {
        let regions = disks.regions();
        let choice = choose_without_spare(disks, &mut blank_block(), &regions);
        Self::chosen(disks, choice)
    }

    fn chosen(disks: &mut Disks, choice: Result<Choice, Refused>) -> Result<Self> {
        let choice = choice.map_err(Unreadable::Refused)?;
        let geometry = disks.geometry(&choice.identity.array)?;
        let contained = Contained::chosen(disks, choice, &geometry)?;
        Ok(Self {
            geometry,
            contained,
        })
    }

    /// The array.
    pub fn array(&self) -> &Array {
        &self.contained.choice.identity.array
    }

    /// The number of the last commit.
    pub fn generation(&self) -> u64 {
        self.contained.choice.chain.end
    }

    /// The contents of a checkpoint.
    pub fn contents(&self) -> Contents<impl Iterator<Item = Record> + '_> {
        self.contained.contents()
    }
}
