// SPDX-License-Identifier: GPL-2.0

//! The array on two devices: where its regions are and what they hold.

use crate::cli;
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
    BLOCK_SECTORS, //
};
use remap_core::metadata::journal::{
    self,
    Contents, //
};
use remap_core::metadata::record::Record;
use remap_core::metadata::regions::{
    Regions,
    Slot,
    SPARE_REGIONS, //
};
use remap_core::metadata::storage::{
    Failed,
    Region,
    Storage, //
};
use remap_core::metadata::survey::{
    choose,
    choose_without_spare,
    identify,
    Choice,
    Refused, //
};
use remap_host::{
    blank_block,
    Contained,
    Unreadable, //
};

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
        let spare = Device::open(&named.spare, access)?;
        let main = Device::open(&named.main, access)?;
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

    /// The length of the target that the region at the end of main names, whatever became of the spare.
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

    /// The device of a region and the region's first sector on it.
    fn place(&self, region: Region) -> Option<(&Device, u64)> {
        let regions = self.regions();
        if region.0 < SPARE_REGIONS {
            let last = regions.last_start(self.spare_area.len)?;
            let start = [0, last][region.0];
            return Some((&self.spare, self.spare_area.start + start));
        }
        let places = regions.on_main(self.mapped?, self.behind());
        let start = places.get(region.0 - SPARE_REGIONS).copied().flatten()?;
        Some((&self.main, self.main_start + start))
    }

    fn block(&self, region: Region, number: u64) -> Result<(&Device, u64), Failed> {
        let (device, start) = self.place(region).ok_or(Failed)?;
        Ok((device, start + number * BLOCK_SECTORS))
    }

    /// Where a region is, for people.
    pub fn name(&self, region: Region) -> String {
        match self.place(region) {
            Some((device, start)) => format!("{} sector {start}", device.path().display()),
            None => "nowhere".into(),
        }
    }

    /// Zeroes a region.
    pub fn wipe(&self, region: Region) -> Result<()> {
        let Some((device, start)) = self.place(region) else {
            return Ok(());
        };
        let zeroes = vec![0u8; 1 << 20];
        for at in (0..self.regions().region_sectors()).step_by(2048) {
            let written = device.write(start + at, &zeroes);
            written.with_context(|| format!("writing {}", device.path().display()))?;
        }
        device.sync()?;
        Ok(())
    }

    /// The units that an array lays over the devices.
    pub fn geometry(&self, array: &Array) -> Result<Geometry> {
        let mut main = self.main.kind;
        // The block is what the array was formatted for, whatever the devices say.
        main.logical_block = main.logical_block.max(array.block_sectors << 9);
        let unit = Some(u64::from(array.unit_sectors) << 9);
        self.lay_out(main, array.main_sectors, unit)
    }

    /// The units that a target of `len` sectors lays over the devices, of which main is taken for `main`.
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
        count: u64,
        block: &mut Block,
        is_wanted: &dyn Fn(&Block) -> bool,
    ) -> bool {
        let blocks = self.behind() / BLOCK_SECTORS;
        (blocks.saturating_sub(count)..blocks).any(|number| {
            let sector = self.main_start + number * BLOCK_SECTORS;
            self.main.read(sector, block).is_ok() && is_wanted(block)
        })
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
        journal::contents(&self.contained.map, &self.contained.spares)
    }
}
