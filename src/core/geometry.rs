// SPDX-License-Identifier: GPL-2.0

//! Where units lie.
//!
//! All positions here are in 512-byte sectors counted from the target's own first sector, on main
//! as on the spare.

use crate::blocks::{
    Blocks,
    MAX_BLOCKS, //
};
use crate::region_layout::{
    Regions,
    SPARE_REGIONS, //
};
use core::ffi::CStr;
use core::ops::{
    Range,
    RangeInclusive, //
};

/// The number of one unit of main, counted from the target's first sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit(pub u64);

/// The number of one unit of the spare area.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpareUnit(pub u64);

/// What a device says of itself, in bytes and sectors.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// The logical block size in bytes.
    pub logical_block: u32,
    /// The physical block size in bytes.
    pub physical_block: u32,
    /// The device's length in sectors.
    pub sectors: u64,
}

/// A part of a device, in sectors.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// The first sector.
    pub start: u64,
    /// How many sectors.
    pub len: u64,
}

/// The smallest unit, in bytes.
const MIN_UNIT: u32 = 4096;
const SECTOR_SHIFT: u32 = 9;
/// The logical block sizes that are taken, in bytes: a block of metadata has 4096.
const BLOCK_SIZES: RangeInclusive<u32> = 1 << SECTOR_SHIFT..=4096;

/// Why two areas cannot make a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum GeometryError {
    ZeroLength,
    MainTooSmall,
    SpareTooSmall,
    SpareUnderUnit,
    MainMisaligned,
    SpareMisaligned,
    BlockSize,
    UnitSize,
}

impl GeometryError {
    /// The reason as the table's error string gives it.
    pub const fn reason(self) -> &'static CStr {
        match self {
            Self::ZeroLength => c"target has no sectors",
            Self::MainTooSmall => c"main device ends before the target does",
            Self::SpareTooSmall => c"spare device ends before the spare area does",
            Self::SpareUnderUnit => c"spare area has no room for its metadata and one unit",
            Self::MainMisaligned => c"main start or length is not a multiple of the block size",
            Self::SpareMisaligned => c"spare start or length is not a multiple of the block size",
            Self::UnitSize => c"unit must be a power of two from the largest block to 64 blocks",
            Self::BlockSize => c"logical blocks must have 512 to 4096 bytes",
        }
    }
}

/// The shape of one target: its blocks, its units and how many of them there are.
///
/// # Invariants
///
/// - `block_shift <= unit_shift`, both counted in sectors, and a unit has at most [`MAX_BLOCKS`]
///   blocks.
/// - `sectors` is neither zero nor a fraction of a block.
/// - `main_start + sectors` and `spare_start + spare_sectors` do not overflow.
/// - The units of the spare lie between the regions at both ends of the spare area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    block_shift: u32,
    unit_shift: u32,
    sectors: u64,
    main_start: u64,
    spare_start: u64,
    spare_sectors: u64,
    /// The first sector of the first unit of the spare, on its device.
    units_start: u64,
    spare_units: u64,
    /// All blocks of a unit that is not short.
    whole_unit: Blocks,
}

impl Geometry {
    /// Checks that `main` and `spare` fit their devices and lays units over them.
    ///
    /// A block is the larger logical block. A unit has `unit` bytes or, where that is not given, is
    /// the largest of 4096 bytes and all block sizes; a physical block of more than [`MAX_BLOCKS`]
    /// blocks does not enlarge it.
    pub fn new(
        main_device: Device,
        main: Area,
        spare_device: Device,
        spare: Area,
        unit: Option<u64>,
    ) -> Result<Self, GeometryError> {
        let block = main_device.logical_block.max(spare_device.logical_block);
        let all_powers = [main_device, spare_device]
            .iter()
            .all(|d| d.logical_block.is_power_of_two() && d.physical_block.is_power_of_two());
        if !all_powers || !BLOCK_SIZES.contains(&block) {
            return Err(GeometryError::BlockSize);
        }
        let widest = block.saturating_mul(MAX_BLOCKS);
        let natural = [main_device.physical_block, spare_device.physical_block]
            .into_iter()
            .filter(|&physical| physical <= widest)
            .fold(MIN_UNIT.max(block), u32::max);
        let least = u64::from(MIN_UNIT.max(block));
        let unit = unit.unwrap_or(u64::from(natural));
        if !unit.is_power_of_two() || !(least..=u64::from(widest)).contains(&unit) {
            return Err(GeometryError::UnitSize);
        }
        let block_shift = block.trailing_zeros() - SECTOR_SHIFT;
        let unit_shift = unit.trailing_zeros() - SECTOR_SHIFT;

        if main.len == 0 {
            return Err(GeometryError::ZeroLength);
        }
        if !fits(main, main_device) {
            return Err(GeometryError::MainTooSmall);
        }
        if !fits(spare, spare_device) {
            return Err(GeometryError::SpareTooSmall);
        }
        let misaligned = |area: Area| (area.start | area.len) & ((1 << block_shift) - 1) != 0;
        if misaligned(main) {
            return Err(GeometryError::MainMisaligned);
        }
        if misaligned(spare) {
            return Err(GeometryError::SpareMisaligned);
        }
        let regions = Regions::for_spare(spare.len);
        let last = regions.last_start(spare.len).unwrap_or(0);
        let spare_units = last.saturating_sub(regions.region_sectors()) >> unit_shift;
        if spare_units == 0 {
            return Err(GeometryError::SpareUnderUnit);
        }
        // INVARIANT: Just checked; the sums do not overflow because both areas fit their devices.
        Ok(Self {
            block_shift,
            unit_shift,
            sectors: main.len,
            main_start: main.start,
            spare_start: spare.start,
            spare_sectors: spare.len,
            units_start: spare.start.saturating_add(regions.region_sectors()),
            spare_units,
            whole_unit: Blocks::range(0..1 << (unit_shift - block_shift)),
        })
    }

    /// The target's length in sectors.
    pub const fn sectors(&self) -> u64 {
        self.sectors
    }

    /// The length of a block in sectors.
    pub const fn block_sectors(&self) -> u64 {
        1 << self.block_shift
    }

    /// The length of a unit in sectors.
    pub const fn unit_sectors(&self) -> u64 {
        1 << self.unit_shift
    }

    /// How many units main has, a last short one included.
    pub const fn units(&self) -> u64 {
        self.sectors.div_ceil(1 << self.unit_shift)
    }

    /// How many units the spare area has.
    pub const fn spare_units(&self) -> u64 {
        self.spare_units
    }

    /// The length of the spare area in sectors.
    pub const fn spare_sectors(&self) -> u64 {
        self.spare_sectors
    }

    /// The regions of the spare area.
    pub const fn regions(&self) -> Regions {
        Regions::for_spare(self.spare_sectors)
    }

    /// Where the regions of the spare begin on the spare device.
    pub fn spare_regions(&self) -> [u64; SPARE_REGIONS] {
        let last = self.regions().last_start(self.spare_sectors).unwrap_or(0);
        [self.spare_start, self.spare_start.saturating_add(last)]
    }

    /// A few other units, spread over main.
    pub fn far_from(&self, unit: Unit) -> impl Iterator<Item = Unit> {
        const PLACES: u64 = 4;
        let (units, step) = (self.units(), (self.units() / (PLACES + 1)).max(1));
        let at = move |place: u64| unit.0.saturating_add(place.saturating_mul(step)) % units.max(1);
        (1..=PLACES)
            .map(at)
            .filter(move |&other| other != unit.0)
            .map(Unit)
    }

    /// The unit that holds `sector`.
    #[inline]
    pub const fn unit_of(&self, sector: u64) -> Unit {
        Unit(sector >> self.unit_shift)
    }

    /// The sectors of `unit`; the target's last unit may be short.
    #[inline]
    pub fn sectors_of(&self, unit: Unit) -> Range<u64> {
        let start = unit.0.saturating_mul(self.unit_sectors());
        start..start.saturating_add(self.unit_sectors()).min(self.sectors)
    }

    /// All blocks of a unit that is not short.
    #[inline]
    pub const fn whole_unit(&self) -> Blocks {
        self.whole_unit
    }

    /// All blocks of `unit`.
    pub fn blocks_of(&self, unit: Unit) -> Blocks {
        self.blocks_at(unit, &self.sectors_of(unit))
    }

    /// The blocks of `unit` that `sectors` touches.
    pub fn blocks_at(&self, unit: Unit, sectors: &Range<u64>) -> Blocks {
        let own = self.sectors_of(unit);
        let start = sectors.start.clamp(own.start, own.end) - own.start;
        let end = sectors.end.clamp(own.start, own.end) - own.start;
        // The offsets lie within one unit, which has at most `MAX_BLOCKS` blocks.
        Blocks::range((start >> self.block_shift) as u32..end.div_ceil(self.block_sectors()) as u32)
    }

    /// The sectors of the blocks `blocks` of `unit`.
    pub fn sectors_at(&self, unit: Unit, blocks: Range<u32>) -> Range<u64> {
        let own = self.sectors_of(unit);
        let at = |block: u32| {
            own.start
                .saturating_add(u64::from(block) << self.block_shift)
                .min(own.end)
        };
        at(blocks.start)..at(blocks.end)
    }

    /// Where `sector`, which must be one of the target, lies on the main device.
    #[inline]
    pub const fn on_main(&self, sector: u64) -> u64 {
        self.main_start.wrapping_add(sector)
    }

    /// Where `sector` lies on the spare device when its unit is kept in `spare`.
    #[inline]
    pub const fn on_spare(&self, spare: SpareUnit, sector: u64) -> u64 {
        let offset = sector & ((1 << self.unit_shift) - 1);
        self.units_start
            .saturating_add((spare.0 << self.unit_shift) | offset)
    }
}

/// Whether `area` lies on `device`.
fn fits(area: Area, device: Device) -> bool {
    area.start
        .checked_add(area.len)
        .is_some_and(|end| end <= device.sectors)
}

/// Whether two areas of one device share a sector.
pub fn overlap(a: Area, b: Area) -> bool {
    a.start < b.start.saturating_add(b.len) && b.start < a.start.saturating_add(a.len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn device(logical_block: u32, physical_block: u32, sectors: u64) -> Device {
        Device {
            logical_block,
            physical_block,
            sectors,
        }
    }

    fn area(start: u64, len: u64) -> Area {
        Area { start, len }
    }

    #[test]
    fn named_refusals() {
        let disk = device(512, 512, 8000);
        let big = device(4096, 4096, 8000);
        let ok = area(0, 4800);
        for (main_dev, main, spare_dev, spare, want) in [
            (disk, area(0, 0), disk, ok, GeometryError::ZeroLength),
            (
                disk,
                area(3201, 4800),
                disk,
                ok,
                GeometryError::MainTooSmall,
            ),
            (
                disk,
                area(u64::MAX, 2),
                disk,
                ok,
                GeometryError::MainTooSmall,
            ),
            (
                disk,
                ok,
                disk,
                area(3201, 4800),
                GeometryError::SpareTooSmall,
            ),
            (disk, ok, disk, area(0, 4103), GeometryError::SpareUnderUnit),
            (disk, ok, disk, area(0, 0), GeometryError::SpareUnderUnit),
            (disk, area(1, 800), big, ok, GeometryError::MainMisaligned),
            (big, ok, disk, area(0, 4801), GeometryError::SpareMisaligned),
            (device(0, 512, 9), ok, disk, ok, GeometryError::BlockSize),
            (device(512, 1000, 9), ok, disk, ok, GeometryError::BlockSize),
            (
                device(8192, 8192, 9),
                ok,
                disk,
                ok,
                GeometryError::BlockSize,
            ),
        ] {
            let got = Geometry::new(main_dev, main, spare_dev, spare, None);
            assert_eq!(got, Err(want));
        }
        for unit in [0, 512, 2048, 4097, 12288, 65536, u64::MAX] {
            let got = Geometry::new(disk, ok, disk, ok, Some(unit));
            assert_eq!(got, Err(GeometryError::UnitSize), "{unit}");
        }
    }

    #[test]
    fn unit_follows_the_largest_block() {
        let unit = |main: Device, spare: Device| {
            let (main_area, spare_area) = (area(0, 1024), area(0, 8192));
            Geometry::new(main, main_area, spare, spare_area, None).map(|g| g.unit_sectors())
        };
        let disk = |logical, physical| device(logical, physical, 1 << 20);
        assert_eq!(unit(disk(512, 512), disk(512, 512)), Ok(8));
        assert_eq!(unit(disk(512, 512), disk(512, 16384)), Ok(32));
        assert_eq!(unit(disk(4096, 65536), disk(512, 512)), Ok(128));
        assert_eq!(unit(disk(512, 1 << 20), disk(512, 512)), Ok(8));
        let (plain, place) = (disk(512, 512), area(0, 8192));
        let wished = Geometry::new(plain, place, plain, place, Some(32768));
        assert_eq!(wished.map(|g| g.unit_sectors()), Ok(64));
    }

    #[test]
    fn a_short_last_unit() {
        let disk = device(512, 512, 5000);
        let g = Geometry::new(disk, area(0, 19), disk, area(0, 4112), None).unwrap();
        assert_eq!(g.spare_units(), 2);
        assert_eq!(g.units(), 3);
        assert_eq!(g.sectors_of(Unit(2)), 16..19);
        assert_eq!(g.blocks_of(Unit(2)), Blocks::range(0..3));
        assert_eq!(g.sectors_at(Unit(2), 1..8), 17..19);
    }

    proptest! {
        #[test]
        fn blocks_and_sectors_agree(block_shift in 0u32..4, extra in 0u32..4, len in 1u64..5000, at: u64) {
            let block = 512 << block_shift;
            let disk = device(block, block << extra, 1 << 20);
            let len = len << block_shift;
            let g = Geometry::new(disk, area(0, len), disk, area(0, 1 << 14), None).unwrap();
            let sector = at % len;
            let unit = g.unit_of(sector);
            prop_assert!(g.sectors_of(unit).contains(&sector));
            prop_assert!(unit.0 < g.units());
            let blocks = g.blocks_at(unit, &(sector..sector + 1));
            prop_assert_eq!(blocks.count(), 1);
            let run = blocks.first_run().unwrap();
            prop_assert!(g.sectors_at(unit, run).contains(&sector));
            let place = 2048 + 3 * g.unit_sectors() + sector % g.unit_sectors();
            prop_assert_eq!(g.on_spare(SpareUnit(3), sector), place);
        }

        /// No unit of the spare shares a sector with a region, or leaves the area, whatever the
        /// sizes.
        #[test]
        fn spare_units_keep_off_the_regions(
            block_shift in 0u32..4, more in 0u32..=6, start in 0u64..1 << 40, len in 1u64..1 << 48,
        ) {
            let block = 512u32 << block_shift;
            let disk = device(block, block, u64::MAX);
            let unit = u64::from(block.max(4096).min(block << more).max(4096));
            let spare = area(start << block_shift, len << block_shift);
            let made = Geometry::new(disk, area(0, 4096), disk, spare, Some(unit));
            let g = match made {
                Ok(g) => g,
                Err(reason) => {
                    prop_assert_eq!(reason, GeometryError::SpareUnderUnit);
                    prop_assert!(spare.len < 2 * Regions::for_spare(spare.len).region_sectors() + 1024);
                    return Ok(());
                }
            };
            let (region, [first, last]) = (g.regions().region_sectors(), g.spare_regions());
            prop_assert_eq!(first, spare.start);
            prop_assert!(last + region <= spare.start + spare.len);
            prop_assert!(spare.start + spare.len - (last + region) < 8);
            for unit in [0, g.spare_units() / 2, g.spare_units() - 1] {
                let at = g.on_spare(SpareUnit(unit), 0);
                prop_assert!(at >= first + region && at + g.unit_sectors() <= last);
            }
            // None that would fit is left out.
            prop_assert!(g.on_spare(SpareUnit(g.spare_units()), 0) + g.unit_sectors() > last);
        }

        #[test]
        fn never_panics(
            a in (any::<u32>(), any::<u32>(), any::<u64>()),
            b in (any::<u32>(), any::<u32>(), any::<u64>()),
            main: (u64, u64), spare: (u64, u64), at: (u64, u64), unit: Option<u64>,
        ) {
            if let Ok(g) = Geometry::new(
                device(a.0, a.1, a.2), area(main.0, main.1),
                device(b.0, b.1, b.2), area(spare.0, spare.1), unit,
            ) {
                let unit = g.unit_of(at.0);
                let _ = (g.sectors_of(unit), g.blocks_of(unit), g.blocks_at(unit, &(at.0..at.1)));
                let _ = g.on_main(at.0);
            }
        }
    }
}
