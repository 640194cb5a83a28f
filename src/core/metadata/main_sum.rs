// SPDX-License-Identifier: GPL-2.0

//! The checksum that detects a main device that was changed without its array.
//!
//! A mount changes the superblock of most file systems. An array with relocated units that is
//! removed in order therefore remembers a checksum of the areas of main where superblocks are
//! likely. Another checksum at activation means that main has data that the array does not have,
//! and that relocated units are older than their neighbours. The same checksum means little: a file
//! system elsewhere on main, such as on a second partition, has its superblock where nobody looks,
//! and NTFS marks a mount in its file table.

use super::block::{
    Block,
    Crc32c,
    BLOCK_SECTORS, //
};
use super::storage::Failed;
use crate::geometry::Geometry;
use crate::index::{
    Index,
    NodeMemory, //
};
use core::ops::Range;

/// The areas of the target that count, in blocks: its beginning, where nearly all superblocks that
/// libblkid knows are, the labels of ZFS among them; the beginning of a first partition, or of the
/// first logical volume of LVM, at 1 MiB; and the data of LUKS, at 2 and at 16 MiB.
const AREAS: [Range<u64>; 4] = [0..64, 256..273, 512..529, 4096..4113];
/// How many blocks count at its end: 68 KiB, for superblocks of md and others that are found from
/// the end.
const LAST: u64 = 17;
/// The prime and the offset basis of FNV-1a, by which the checksums of the blocks are combined.
const PRIME: u64 = 0x0100_0000_01b3;
const NOTHING: u64 = 0xcbf2_9ce4_8422_2325;

/// The first sectors of the blocks that count in a target of so many sectors, each once.
pub fn places(sectors: u64) -> impl Iterator<Item = u64> {
    let blocks = sectors / BLOCK_SECTORS;
    let areas = AREAS
        .into_iter()
        .flat_map(move |area| area.start..area.end.min(blocks));
    let is_in_no_area = |block: &u64| !AREAS.iter().any(|area| area.contains(block));
    let last = (blocks.saturating_sub(LAST)..blocks).filter(is_in_no_area);
    areas.chain(last).map(|block| block * BLOCK_SECTORS)
}

/// The checksum of main of an array of this shape, without the units that `map` relocates: nobody
/// reads main there. `read` reads the block that begins at a sector of the main device.
pub fn main_sum<M: NodeMemory>(
    (geometry, map): (&Geometry, &Index<M>),
    crc32c: Crc32c,
    block: &mut Block,
    mut read: impl FnMut(u64, &mut Block) -> Result<(), Failed>,
) -> Result<u64, Failed> {
    let is_elsewhere = |sector: u64| {
        let entry = map.get(geometry.unit_of(sector));
        entry.is_some_and(|entry| entry.state.spare().is_some())
    };
    let read = |sector: u64, block: &mut Block| read(geometry.on_main(sector), block);
    sum(geometry.sectors(), crc32c, block, is_elsewhere, read)
}

/// The checksum of the blocks of a target of so many sectors but for those that are `is_elsewhere`.
fn sum(
    sectors: u64,
    crc32c: Crc32c,
    block: &mut Block,
    is_elsewhere: impl Fn(u64) -> bool,
    mut read: impl FnMut(u64, &mut Block) -> Result<(), Failed>,
) -> Result<u64, Failed> {
    let mut sum = NOTHING;
    for sector in places(sectors).filter(|&sector| !is_elsewhere(sector)) {
        read(sector, block)?;
        sum = (sum ^ u64::from(crc32c(block.as_slice()))).wrapping_mul(PRIME);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::block::BLOCK_BYTES;
    use proptest::prelude::*;

    #[test]
    fn places_are_at_both_ends_and_none_twice() {
        for (sectors, count) in [
            (0, 0),
            (7, 0),
            (8, 1),
            (511, 63),
            (512, 64),
            (520, 65),
            (640, 80),
            (648, 81),
            (656, 81),
            (2048, 81),
            (2056, 81),
            (2184, 81),
            (2200, 83),
            (1 << 40, 132),
        ] {
            let mut all: Vec<_> = places(sectors).collect();
            assert!(all.iter().all(|at| at + BLOCK_SECTORS <= sectors));
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{sectors}");
        }
        assert_eq!(places(1 << 20).last(), Some((1 << 20) - 8));
    }

    fn sum_of(disk: &[u8], elsewhere: u64) -> Result<u64, Failed> {
        let sectors = (disk.len() / 512) as u64;
        let mut block = [0; BLOCK_BYTES];
        let read = |sector: u64, block: &mut Block| {
            let at = sector as usize * 512;
            block.copy_from_slice(&disk[at..at + BLOCK_BYTES]);
            Ok(())
        };
        sum(
            sectors,
            crc32c::crc32c,
            &mut block,
            |sector| sector == elsewhere,
            read,
        )
    }

    proptest! {
        #[test]
        fn each_byte_that_is_looked_at_counts(
            at in 0usize..5 << 18, change in 1u8.., seed in any::<u8>(),
        ) {
            let mut disk: Vec<u8> = (0..5usize << 18).map(|at| (at / 3) as u8 ^ seed).collect();
            let sector = (at / BLOCK_BYTES) as u64 * BLOCK_SECTORS;
            let before = (sum_of(&disk, u64::MAX).unwrap(), sum_of(&disk, sector).unwrap());
            disk[at] ^= change;
            let after = (sum_of(&disk, u64::MAX).unwrap(), sum_of(&disk, sector).unwrap());
            prop_assert_eq!(before.0 != after.0, places(2560).any(|place| place == sector));
            prop_assert_eq!(before.1, after.1);
        }
    }

    #[test]
    fn what_cannot_be_read_has_no_sum() {
        let mut block = [0; BLOCK_BYTES];
        let sum = sum(
            4096,
            crc32c::crc32c,
            &mut block,
            |_| false,
            |_, _| Err(Failed),
        );
        assert_eq!(sum, Err(Failed));
    }
}
