// SPDX-License-Identifier: GPL-2.0

//! Where the regions lie, and what lies where in a region.
//!
//! All of it follows from the length of the spare area alone, so that it is known when every block
//! of metadata is lost.

use crate::metadata::block::{
    BLOCK_BYTES,
    BLOCK_SECTORS,
    CONTENT, //
};

/// The length of a record of a unit in bytes (see `metadata/record.rs`).
pub const RECORD_BYTES: usize = 24;
/// How many records a block of a checkpoint holds.
pub const PER_RECORD_BLOCK: usize = (BLOCK_BYTES - CONTENT) / RECORD_BYTES;
/// Regions are multiples of this many blocks: 1 MiB.
const GRAIN: u64 = 256;
/// The least blocks of a log.
const LEAST_LOG: u64 = 64;
/// The most regions an array has: two on the spare and two on main.
pub const MAX_REGIONS: usize = 4;
/// The regions that every array has, at both ends of the spare area.
pub const SPARE_REGIONS: usize = 2;

/// One of the two places for a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The one that this is not.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// What lies where in a region, in blocks from its start: slot A, slot B, the ring of the log.
///
/// # Invariants
///
/// `2 * (1 + record_blocks) + log_blocks` is `region_blocks`, a multiple of 256 below 2⁶⁰, and
/// `log_blocks` is at least 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regions {
    region_blocks: u64,
    record_blocks: u64,
    log_blocks: u64,
}

impl Regions {
    /// The regions for a spare area of `sectors` sectors, whether they fit it or not.
    ///
    /// Each slot has room for all units the area can have, at the smallest unit there is.
    pub const fn for_spare(sectors: u64) -> Self {
        let record_blocks = (sectors / BLOCK_SECTORS).div_ceil(PER_RECORD_BLOCK as u64);
        let slots = 2 * (1 + record_blocks);
        let region_blocks = (slots + LEAST_LOG).div_ceil(GRAIN) * GRAIN;
        // INVARIANT: `sectors / BLOCK_SECTORS` is below 2^61, so nothing overflows.
        Self {
            region_blocks,
            record_blocks,
            log_blocks: region_blocks - slots,
        }
    }

    /// The length of one region in sectors.
    pub const fn region_sectors(&self) -> u64 {
        self.region_blocks * BLOCK_SECTORS
    }

    /// The length of one region in blocks.
    pub const fn region_blocks(&self) -> u64 {
        self.region_blocks
    }

    /// How many blocks of records a slot has.
    pub const fn record_blocks(&self) -> u64 {
        self.record_blocks
    }

    /// How many blocks the ring of the log has.
    pub const fn log_blocks(&self) -> u64 {
        self.log_blocks
    }

    /// Where the last region of an area of `sectors` sectors begins, if two regions fit it.
    pub const fn last_start(&self, sectors: u64) -> Option<u64> {
        let whole = sectors / BLOCK_SECTORS * BLOCK_SECTORS;
        match whole.checked_sub(self.region_sectors()) {
            Some(start) if start >= self.region_sectors() => Some(start),
            _ => None,
        }
    }

    /// Where regions on main begin, if it has room for them: behind the `mapped` sectors, and at
    /// the end of the `sectors` that there are. All count from the target's first sector.
    pub const fn on_main(&self, mapped: u64, sectors: u64) -> [Option<u64>; 2] {
        let Some(first) = mapped.checked_next_multiple_of(BLOCK_SECTORS) else {
            return [None; 2];
        };
        let whole = sectors / BLOCK_SECTORS * BLOCK_SECTORS;
        let Some(last) = whole.checked_sub(self.region_sectors()) else {
            return [None; 2];
        };
        if last < first {
            [None; 2]
        } else if last - first < self.region_sectors() {
            [Some(first), None]
        } else {
            [Some(first), Some(last)]
        }
    }

    /// The block of a slot's header.
    pub const fn header(&self, slot: Slot) -> u64 {
        match slot {
            Slot::A => 0,
            Slot::B => 1 + self.record_blocks,
        }
    }

    /// The first block of a slot's records.
    pub const fn records(&self, slot: Slot) -> u64 {
        self.header(slot) + 1
    }

    /// The block of the log that holds the commit of `generation`.
    pub const fn log(&self, generation: u64) -> u64 {
        let place = match generation.checked_rem(self.log_blocks) {
            Some(place) => place,
            None => 0,
        };
        2 * (1 + self.record_blocks) + place
    }

    /// How many commits may follow a checkpoint before the next is due.
    pub const fn commits_per_checkpoint(&self) -> u64 {
        self.log_blocks / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_spares_have_regions_of_1_mib() {
        let regions = Regions::for_spare(16384);
        assert_eq!(regions.region_sectors(), 2048);
        assert_eq!(regions.record_blocks(), 13);
        assert_eq!(regions.last_start(16384), Some(14336));
        assert_eq!(regions.last_start(4095), None);
        assert_eq!(regions.last_start(4096), Some(2048));
    }

    proptest! {
        #[test]
        fn everything_fits_and_nothing_overlaps(sectors in 0u64.., generation in any::<u64>()) {
            let r = Regions::for_spare(sectors);
            prop_assert!(r.log_blocks() >= 64);
            prop_assert!(r.record_blocks() * PER_RECORD_BLOCK as u64 >= sectors / 8);
            prop_assert_eq!(r.header(Slot::A), 0);
            prop_assert_eq!(r.records(Slot::A), 1);
            prop_assert_eq!(r.records(Slot::A) + r.record_blocks(), r.header(Slot::B));
            prop_assert_eq!(r.records(Slot::B), r.header(Slot::B) + 1);
            let log = r.records(Slot::B) + r.record_blocks();
            prop_assert!(r.log(generation) >= log && r.log(generation) < r.region_blocks());
            prop_assert_eq!(r.log(0), log);
            for main in [0, sectors, u64::MAX] {
                let mapped = generation % main.max(1);
                if let [Some(first), last] = r.on_main(mapped, main) {
                    prop_assert!(first >= mapped && first - mapped < 8);
                    prop_assert!(first + r.region_sectors() <= main);
                    if let Some(last) = last {
                        prop_assert!(last >= first + r.region_sectors());
                        prop_assert!(last + r.region_sectors() <= main);
                    }
                }
            }
            if let Some(last) = r.last_start(sectors) {
                prop_assert!(last >= r.region_sectors());
                prop_assert!(last + r.region_sectors() <= sectors);
            }
        }
    }
}
