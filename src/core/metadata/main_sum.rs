// SPDX-License-Identifier: GPL-2.0

//! The checksum that detects a main device that was changed without its array.
//!
//! Whoever mounts a file system changes its superblock, and the like holds for LVM, md and LUKS. An
//! array that is shut down in order therefore remembers a checksum of the areas of main that hold
//! superblocks. Another checksum at activation means that main has data that the array does not
//! have, and that relocated units are older than their neighbours.

use super::block::{
    Block,
    Crc32c,
    BLOCK_SECTORS, //
};
use super::storage::Failed;

/// How many blocks at the beginning of the target count: 256 KiB. ZFS writes its labels there at each
/// commit, and btrfs has its superblock at 64 KiB; all others that libblkid knows lie before.
const FIRST: u64 = 64;
/// How many count at its end: 68 KiB, for superblocks of md and others that are found from the end.
const LAST: u64 = 17;
/// The prime and the offset basis of FNV-1a, by which the checksums of the blocks are combined.
const PRIME: u64 = 0x0100_0000_01b3;
const NOTHING: u64 = 0xcbf2_9ce4_8422_2325;

/// The first sectors of the blocks that count in a target of so many sectors, in order.
pub fn places(sectors: u64) -> impl Iterator<Item = u64> {
    let blocks = sectors / BLOCK_SECTORS;
    let first = FIRST.min(blocks);
    let last = blocks.saturating_sub(LAST).max(first);
    (0..first)
        .chain(last..blocks)
        .map(|block| block * BLOCK_SECTORS)
}

/// The checksum of these blocks. `read` reads the block that begins at a sector of the target. Blocks
/// that are `is_elsewhere` are left out: nobody reads main there.
pub fn main_sum(
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
            (1 << 40, 81),
        ] {
            let all: Vec<_> = places(sectors).collect();
            assert_eq!(all.len(), count, "{sectors}");
            assert!(all.is_sorted_by(|a, b| a < b));
            assert!(all.iter().all(|at| at + BLOCK_SECTORS <= sectors));
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
        main_sum(
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
            at in 0usize..1 << 20, change in 1u8.., seed in any::<u8>(),
        ) {
            let mut disk: Vec<u8> = (0..1usize << 20).map(|at| (at / 3) as u8 ^ seed).collect();
            let sector = (at / BLOCK_BYTES) as u64 * BLOCK_SECTORS;
            let before = (sum_of(&disk, u64::MAX).unwrap(), sum_of(&disk, sector).unwrap());
            disk[at] ^= change;
            let after = (sum_of(&disk, u64::MAX).unwrap(), sum_of(&disk, sector).unwrap());
            prop_assert_eq!(before.0 != after.0, places(2048).any(|place| place == sector));
            prop_assert_eq!(before.1, after.1);
        }
    }

    #[test]
    fn what_cannot_be_read_has_no_sum() {
        let mut block = [0; BLOCK_BYTES];
        let sum = main_sum(
            4096,
            crc32c::crc32c,
            &mut block,
            |_| false,
            |_, _| Err(Failed),
        );
        assert_eq!(sum, Err(Failed));
    }
}
