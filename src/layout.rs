// SPDX-License-Identifier: GPL-2.0

//! Where a target lies on its devices.

use core::ops::Range;
use kernel_ext::block_device::BlockDevice;
use remap_core::{
    geometry::{
        overlap,
        Area,
        Geometry, //
    },
    metadata::{
        array::Array,
        block::Role,
        storage::Region, //
    },
    region_layout::SPARE_REGIONS, //
};

/// On which sectors of which devices an instance stands.
pub(crate) struct Layout {
    /// The mapped device (see `Constructor::mapped_device`).
    pub(crate) mapped_device: usize,
    /// The first sector of the target within it.
    pub(crate) begin: u64,
    /// The main device.
    pub(crate) main: BlockDevice,
    /// The part of main that is mapped.
    pub(crate) main_area: Area,
    /// The spare device.
    pub(crate) spare: BlockDevice,
    /// The part of the spare device that is used.
    pub(crate) spare_area: Area,
    /// The units laid over both.
    pub(crate) geometry: Geometry,
}

impl Layout {
    /// Whether a table with `other` may take over from one with `self`.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.mapped_device == other.mapped_device
            && self.begin == other.begin
            && self.geometry == other.geometry
            && self.main.number() == other.main.number()
            && self.spare.number() == other.spare.number()
    }

    /// The device of a region of the metadata, and the region's first sector on it.
    pub(crate) fn region(&self, region: Region) -> Option<(&BlockDevice, u64)> {
        if let Some(&start) = self.geometry.spare_regions().get(region.0) {
            return Some((&self.spare, start));
        }
        let behind = self.main.sectors().saturating_sub(self.main_area.start);
        let places = self.geometry.regions().on_main(self.main_area.len, behind);
        let place = places.get(region.0.checked_sub(SPARE_REGIONS)?)?;
        Some((&self.main, self.geometry.on_main((*place)?)))
    }

    /// The sectors that are used, with those of the copies of the metadata on main if `array` has
    /// any.
    fn areas<'a>(
        &'a self,
        array: Option<&'a Array>,
    ) -> impl Iterator<Item = (&'a BlockDevice, Area)> + 'a {
        let both = [(&self.main, self.main_area), (&self.spare, self.spare_area)];
        let len = self.geometry.regions().region_sectors();
        let has_copies = array.is_some_and(Array::on_main);
        let copies = Region::all().filter(move |region| has_copies && region.role() == Role::MAIN);
        let copies = copies.filter_map(move |region| {
            let (device, start) = self.region(region)?;
            Some((device, Area { start, len }))
        });
        Iterator::chain(both.into_iter(), copies)
    }

    /// Whether both use a sector in common. What is known of their arrays says which have copies of
    /// the metadata on main.
    pub(crate) fn collides(
        &self,
        array: Option<&Array>,
        other: &Self,
        other_array: Option<&Array>,
    ) -> bool {
        let mut own = self.areas(array);
        own.any(|a| other.areas(other_array).any(|b| share_sectors(a, b)))
    }
}

/// Whether two areas, perhaps on partitions, share a sector of a disk.
pub(crate) fn share_sectors(a: (&BlockDevice, Area), b: (&BlockDevice, Area)) -> bool {
    let on_disk = |(device, area): (&BlockDevice, Area)| Area {
        start: area.start.saturating_add(device.start_on_disk()),
        len: area.len,
    };
    a.0.same_disk(b.0) && overlap(on_disk(a), on_disk(b))
}

/// Sectors as a range of bytes from `base` on. A unit's bytes fit any `usize`.
pub(crate) fn bytes_from(base: u64, sectors: &Range<u64>) -> Range<usize> {
    let at = |sector: u64| (sector.saturating_sub(base) << 9) as usize;
    at(sectors.start)..at(sectors.end)
}
