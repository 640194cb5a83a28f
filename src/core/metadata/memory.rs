// SPDX-License-Identifier: GPL-2.0

//! Regions in memory, with the manners of a disk: a volatile cache, torn writes, bad blocks.

use super::block::{
    Block,
    Crc32c,
    BLOCK_BYTES, //
};
use super::storage::{
    Failed,
    Region,
    Storage, //
};
use crate::region_layout::{
    Regions,
    MAX_REGIONS,
    SPARE_REGIONS, //
};
use core::ops::Range;
use std::collections::BTreeSet;

/// When the power goes, and what becomes of what was not durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PowerCut {
    /// How many writes are still done.
    pub(crate) after: usize,
    /// How many sectors of the write after them are.
    pub(crate) sectors: usize,
    /// Which of the writes in the cache are done: one bit each, over and over.
    pub(crate) kept: u64,
}

/// Regions in memory.
#[derive(Clone)]
pub(crate) struct Memory {
    pub(crate) blocks: Vec<Option<Vec<Block>>>,
    /// Written, but not durable yet.
    cache: Vec<(usize, u64, Block)>,
    /// The table is laid over main's regions too, so that nobody looks for them there.
    pub(crate) is_over_main: bool,
    /// Nothing on main can be read where regions may be.
    pub(crate) is_main_away: bool,
    /// Blocks that fail to be written and read.
    pub(crate) bad: BTreeSet<(usize, u64)>,
    cut: Option<PowerCut>,
    off: bool,
    pub(crate) writes: usize,
}

impl Memory {
    /// Blank regions; `count` of them.
    pub(crate) fn new(regions: &Regions, count: usize) -> Self {
        let blank = || vec![[0u8; BLOCK_BYTES]; regions.region_blocks() as usize];
        Self {
            blocks: (0..MAX_REGIONS)
                .map(|at| (at < count).then(blank))
                .collect(),
            cache: Vec::new(),
            is_over_main: false,
            is_main_away: false,
            bad: BTreeSet::new(),
            cut: None,
            off: false,
            writes: 0,
        }
    }

    pub(crate) fn cut_power(&mut self, cut: PowerCut) {
        self.cut = Some(cut);
    }

    /// The power comes back.
    pub(crate) fn restart(&mut self) {
        let kept = self.cut.map_or(u64::MAX, |cut| cut.kept);
        for (at, (region, number, block)) in std::mem::take(&mut self.cache).into_iter().enumerate()
        {
            if (kept >> (at % 64)) & 1 == 1 {
                self.place(region, number).copy_from_slice(&block);
            }
        }
        (self.cut, self.off) = (None, false);
    }

    /// Zeroes a region.
    pub(crate) fn wipe(&mut self, region: usize) {
        self.blocks[region].as_mut().unwrap().fill([0; BLOCK_BYTES]);
    }

    pub(crate) fn place(&mut self, region: usize, number: u64) -> &mut Block {
        &mut self.blocks[region].as_mut().unwrap()[number as usize]
    }

    /// Counts a write; how many of its sectors are done.
    fn account(&mut self) -> usize {
        if self.off {
            return 0;
        }
        self.writes += 1;
        match &mut self.cut {
            Some(cut) if cut.after == 0 => {
                self.off = true;
                cut.sectors
            }
            Some(cut) => {
                cut.after -= 1;
                8
            }
            None => 8,
        }
    }
}

impl Storage for Memory {
    const CRC32C: Crc32c = crc32c::crc32c;

    fn has(&self, region: Region) -> bool {
        let is_hidden = self.is_over_main && region.0 >= SPARE_REGIONS;
        self.blocks[region.0].is_some() && !is_hidden
    }

    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed> {
        if self.off || self.bad.contains(&(region.0, number)) {
            return Err(Failed);
        }
        let cached = self.cache.iter().rev();
        let mut cached = cached.filter(|(r, n, _)| (*r, *n) == (region.0, number));
        *block = match cached.next() {
            Some((_, _, found)) => *found,
            None => *self.place(region.0, number),
        };
        Ok(())
    }

    /// Main ends with its last region, and the other lies before that.
    fn finds_on_main(
        &mut self,
        from_end: Range<u64>,
        _: &mut Block,
        is_wanted: &dyn Fn(&Block) -> bool,
    ) -> Result<bool, Failed> {
        if self.is_main_away {
            return Err(Failed);
        }
        let of_main = self.blocks[SPARE_REGIONS..].iter().rev().flatten();
        let last = of_main.flat_map(|region| region.iter().rev());
        let wanted = last.skip(from_end.start as usize).take(from_end.count());
        Ok(wanted.into_iter().any(is_wanted))
    }

    fn write(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        let done = self.account();
        if self.off || self.bad.contains(&(region.0, number)) {
            return Err(Failed);
        }
        assert_eq!(done, 8);
        self.cache.push((region.0, number, *block));
        Ok(())
    }

    fn write_through(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        let sectors = self.account();
        if self.bad.contains(&(region.0, number)) {
            return Err(Failed);
        }
        self.cache
            .retain(|(r, n, _)| (*r, *n) != (region.0, number));
        let place = self.place(region.0, number);
        place[..sectors * 512].copy_from_slice(&block[..sectors * 512]);
        if self.off {
            return Err(Failed);
        }
        Ok(())
    }

    fn flush(&mut self, region: Region) -> Result<(), Failed> {
        if self.off {
            return Err(Failed);
        }
        let cache = std::mem::take(&mut self.cache);
        for (at, number, block) in cache {
            if at == region.0 {
                self.place(at, number).copy_from_slice(&block);
            } else {
                self.cache.push((at, number, block));
            }
        }
        Ok(())
    }
}
