// SPDX-License-Identifier: GPL-2.0

//! Where units lie.
//!
//! All positions here are in 512-byte sectors counted from the target's own first sector, on main
//! as on the spare.

use crate::blocks::{
    Blocks,
    MAX_BLOCKS, //
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
/// The logical block sizes that are taken, in bytes.
const BLOCK_SIZES: RangeInclusive<u32> = 1 << SECTOR_SHIFT..=1 << 30;

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
}

impl GeometryError {
    /// The reason as the table's error string gives it.
    pub const fn reason(self) -> &'static CStr {
        match self {
            Self::ZeroLength => c"target has no sectors",
            Self::MainTooSmall => c"main device ends before the target does",
            Self::SpareTooSmall => c"spare device ends before the spare area does",
            Self::SpareUnderUnit => c"spare area is smaller than one unit",
            Self::MainMisaligned => c"main start or length is not a multiple of the block size",
            Self::SpareMisaligned => c"spare start or length is not a multiple of the block size",
            Self::BlockSize => c"device has an unusable block size",
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
/// - `main_start + sectors` and `spare_start + (spare_units << unit_shift)` do not overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    block_shift: u32,
    unit_shift: u32,
    sectors: u64,
    main_start: u64,
    spare_start: u64,
    spare_units: u64,
}

impl Geometry {
    /// Checks that `main` and `spare` fit their devices and lays units over them.
    ///
    /// A block is the larger logical block, a unit the largest of 4096 bytes and all block sizes. A
    /// physical block of more than [`MAX_BLOCKS`] blocks does not enlarge the unit.
    pub fn new(
        main_device: Device,
        main: Area,
        spare_device: Device,
        spare: Area,
    ) -> Result<Self, GeometryError> {
        let block = main_device.logical_block.max(spare_device.logical_block);
        let all_powers = [main_device, spare_device]
            .iter()
            .all(|d| d.logical_block.is_power_of_two() && d.physical_block.is_power_of_two());
        if !all_powers || !BLOCK_SIZES.contains(&block) {
            return Err(GeometryError::BlockSize);
        }
        let widest = block.saturating_mul(MAX_BLOCKS);
        let unit = [main_device.physical_block, spare_device.physical_block]
            .into_iter()
            .filter(|&physical| physical <= widest)
            .fold(MIN_UNIT.max(block), u32::max);
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
        let spare_units = spare.len >> unit_shift;
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
            spare_units,
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

    /// The unit that holds `sector`.
    pub const fn unit_of(&self, sector: u64) -> Unit {
        Unit(sector >> self.unit_shift)
    }

    /// The sectors of `unit`; the target's last unit may be short.
    pub fn sectors_of(&self, unit: Unit) -> Range<u64> {
        let start = unit.0.saturating_mul(self.unit_sectors());
        start..start.saturating_add(self.unit_sectors()).min(self.sectors)
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

    /// Where `sector` of the target lies on the main device.
    pub const fn on_main(&self, sector: u64) -> u64 {
        self.main_start.saturating_add(sector)
    }

    /// Where `sector` lies on the spare device when its unit is kept in `spare`.
    pub const fn on_spare(&self, spare: SpareUnit, sector: u64) -> u64 {
        let offset = sector & ((1 << self.unit_shift) - 1);
        self.spare_start
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
        let disk = device(512, 512, 1000);
        let big = device(4096, 4096, 1000);
        let ok = area(0, 800);
        for (main_dev, main, spare_dev, spare, want) in [
            (disk, area(0, 0), disk, ok, GeometryError::ZeroLength),
            (disk, area(201, 800), disk, ok, GeometryError::MainTooSmall),
            (
                disk,
                area(u64::MAX, 2),
                disk,
                ok,
                GeometryError::MainTooSmall,
            ),
            (disk, ok, disk, area(201, 800), GeometryError::SpareTooSmall),
            (disk, ok, disk, area(0, 7), GeometryError::SpareUnderUnit),
            (disk, ok, disk, area(0, 0), GeometryError::SpareUnderUnit),
            (disk, area(1, 800), big, ok, GeometryError::MainMisaligned),
            (big, ok, disk, area(0, 801), GeometryError::SpareMisaligned),
            (device(0, 512, 9), ok, disk, ok, GeometryError::BlockSize),
            (device(512, 1000, 9), ok, disk, ok, GeometryError::BlockSize),
        ] {
            assert_eq!(Geometry::new(main_dev, main, spare_dev, spare), Err(want));
        }
    }

    #[test]
    fn unit_follows_the_largest_block() {
        let unit = |main: Device, spare: Device| {
            Geometry::new(main, area(0, 1024), spare, area(0, 1024)).map(|g| g.unit_sectors())
        };
        let disk = |logical, physical| device(logical, physical, 1 << 20);
        assert_eq!(unit(disk(512, 512), disk(512, 512)), Ok(8));
        assert_eq!(unit(disk(512, 512), disk(512, 16384)), Ok(32));
        assert_eq!(unit(disk(4096, 65536), disk(512, 512)), Ok(128));
        assert_eq!(unit(disk(512, 1 << 20), disk(512, 512)), Ok(8));
    }

    #[test]
    fn a_short_last_unit() {
        let disk = device(512, 512, 100);
        let g = Geometry::new(disk, area(0, 19), disk, area(0, 16)).unwrap();
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
            let g = Geometry::new(disk, area(0, len), disk, area(0, 1 << 12)).unwrap();
            let sector = at % len;
            let unit = g.unit_of(sector);
            prop_assert!(g.sectors_of(unit).contains(&sector));
            prop_assert!(unit.0 < g.units());
            let blocks = g.blocks_at(unit, &(sector..sector + 1));
            prop_assert_eq!(blocks.count(), 1);
            let run = blocks.first_run().unwrap();
            prop_assert!(g.sectors_at(unit, run).contains(&sector));
            prop_assert_eq!(g.on_spare(SpareUnit(3), sector), 3 * g.unit_sectors() + sector % g.unit_sectors());
        }

        #[test]
        fn never_panics(
            a in (any::<u32>(), any::<u32>(), any::<u64>()),
            b in (any::<u32>(), any::<u32>(), any::<u64>()),
            main: (u64, u64), spare: (u64, u64), at: (u64, u64),
        ) {
            if let Ok(g) = Geometry::new(
                device(a.0, a.1, a.2), area(main.0, main.1),
                device(b.0, b.1, b.2), area(spare.0, spare.1),
            ) {
                let unit = g.unit_of(at.0);
                let _ = (g.sectors_of(unit), g.blocks_of(unit), g.blocks_at(unit, &(at.0..at.1)));
                let _ = g.on_main(at.0);
            }
        }
    }
}
