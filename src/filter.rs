// SPDX-License-Identifier: GPL-2.0

//! Which regions of main may have units with entries in the map.
//!
//! A bit for each region, so that I/O to where nothing ever went wrong need not search the map. A
//! region is one unit where [`PAGES`] pages of bits are enough for all of main, and a power of two
//! of units else. A bit is set before a map with an entry of its region is published, and is not
//! cleared again: so a bit that is clear within a section (see
//! [`kernel_ext::published::Published`]) means what the map of that section, or one that it would
//! have found a moment earlier, means by having no entry.

use core::ops::Range;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        SetOnce, //
    }, //
};
use kernel_ext::{
    blanks::Blanks,
    slab::Shared, //
};
use remap_core::{
    geometry::{
        Geometry,
        Unit, //
    },
    index::OutOfMemory, //
};

/// The most pages: an array of slots of 64 KiB.
const PAGES: u64 = 4096;
const WORDS: usize = 64;
/// The base-2 logarithms of the bits of a word and of a page.
const WORD_SHIFT: u32 = 6;
const PAGE_SHIFT: u32 = 12;

/// The bits of 4096 regions.
pub(crate) struct Page([Atomic<u64>; WORDS]);

impl Page {
    const fn new() -> Self {
        Self([const { Atomic::new(0) }; WORDS])
    }

    fn word_of(&self, region: u64) -> Option<&Atomic<u64>> {
        self.0.get((region >> WORD_SHIFT) as usize % WORDS)
    }
}

/// The place of a region's bit in its word.
fn bit_of(region: u64) -> u32 {
    (region % u64::from(u64::BITS)) as u32
}

/// The regions. Pages that have no bit are not there.
pub(crate) struct Filter {
    /// Whether there is any bit.
    any: Atomic<bool>,
    pages: KVVec<SetOnce<Shared<Page>>>,
    /// The base-2 logarithm of a region's sectors.
    shift: u32,
    /// The base-2 logarithm of a region's units.
    unit_shift: u32,
}

impl Filter {
    /// For all of main. May sleep.
    pub(crate) fn new(geometry: &Geometry) -> Result<Self> {
        let least = geometry.unit_sectors().ilog2();
        let pages = |shift: u32| geometry.sectors() >> shift >> PAGE_SHIFT;
        let shift = (least..u64::BITS).find(|&shift| pages(shift) < PAGES);
        let shift = shift.ok_or(EINVAL)?;
        let count = usize::try_from(pages(shift) + 1).map_err(|_| EINVAL)?;
        let mut slots = KVVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            slots.push(SetOnce::new(), GFP_KERNEL)?;
        }
        Ok(Self {
            any: Atomic::new(false),
            pages: slots,
            shift,
            unit_shift: shift - least,
        })
    }

    fn slot(&self, region: u64) -> Option<&SetOnce<Shared<Page>>> {
        self.pages.get((region >> PAGE_SHIFT) as usize)
    }

    /// Whether no unit of these sectors of the target has an entry. `false` means nothing. Any
    /// context.
    #[inline]
    pub(crate) fn is_clear(&self, sectors: &Range<u64>) -> bool {
        if !self.any.load(Relaxed) {
            return true;
        }
        let first = sectors.start >> self.shift;
        // An end of 0 is in another word.
        let last = sectors.end.wrapping_sub(1) >> self.shift;
        if (first ^ last) >> WORD_SHIFT != 0 {
            return false;
        }
        let Some(slot) = self.slot(first) else {
            return false;
        };
        let Some(page) = slot.as_ref() else {
            return true;
        };
        let Some(word) = page.word_of(first) else {
            return false;
        };
        let (bits, from, to) = (word.load(Relaxed), bit_of(first), bit_of(last));
        if first == last {
            return bits & (1 << from) == 0;
        }
        bits >> from << from << (u64::BITS - 1 - to) == 0
    }

    /// Sets the bit of the region of `unit`, whose page may come from `reserve`. One caller at a
    /// time.
    pub(crate) fn note(&self, unit: Unit, reserve: &mut Blanks<Page>) -> Result<(), OutOfMemory> {
        self.any.store(true, Relaxed);
        let region = unit.0 >> self.unit_shift;
        let slot = self.slot(region).ok_or(OutOfMemory)?;
        if slot.as_ref().is_none() {
            let blank = reserve.pop().ok_or(OutOfMemory)?;
            slot.populate(blank.write(Page::new()));
        }
        let word = slot.as_ref().and_then(|page| page.word_of(region));
        let word = word.ok_or(OutOfMemory)?;
        word.store(word.load(Relaxed) | 1 << bit_of(region), Relaxed);
        Ok(())
    }
}
