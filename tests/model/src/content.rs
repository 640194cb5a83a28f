// SPDX-License-Identifier: GPL-2.0

//! Blocks that identify the write that wrote them.

/// The value that a write stores in a block. Each write has a unique value; 0 is a block of zeroes.
pub type Value = u64;

/// The contents of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The complete data of a write.
    Whole(Value),
    /// Data that were never written to this block.
    Foreign,
}

/// The words of block `block` with `value`: both numbers, followed by words derived from them.
fn words(block: u64, value: Value) -> impl Iterator<Item = u64> {
    let seed = block.rotate_left(32) ^ value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let rest = (1..).map(move |n: u64| seed.wrapping_add(n).wrapping_mul(0xbf58_476d_1ce4_e5b9));
    [value, block].into_iter().chain(rest)
}

/// Fills block number `block` with `value`.
pub fn fill(bytes: &mut [u8], block: u64, value: Value) {
    if value == 0 {
        bytes.fill(0);
        return;
    }
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(words(block, value)) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}

/// Identifies the contents of block number `block`.
pub fn identify(bytes: &[u8], block: u64) -> Content {
    if bytes.iter().all(|&byte| byte == 0) {
        return Content::Whole(0);
    }
    let found = || {
        bytes
            .chunks_exact(8)
            .filter_map(|bytes| bytes.try_into().ok())
    };
    let Some(value) = found().next().map(u64::from_le_bytes) else {
        return Content::Foreign;
    };
    if found()
        .map(u64::from_le_bytes)
        .zip(words(block, value))
        .all(|(found, want)| found == want)
    {
        Content::Whole(value)
    } else {
        Content::Foreign
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_known_by_its_number_and_value() {
        let mut bytes = [1; 512];
        for (block, value) in [(0, 1), (7, 1), (7, 0), (u64::MAX, u64::MAX)] {
            fill(&mut bytes, block, value);
            assert_eq!(identify(&bytes, block), Content::Whole(value));
        }
        fill(&mut bytes, 7, 9);
        assert_eq!(identify(&bytes, 8), Content::Foreign);
        bytes[511] ^= 1;
        assert_eq!(identify(&bytes, 7), Content::Foreign);
    }

    #[test]
    fn a_torn_block_is_foreign() {
        let (mut old, mut new) = ([0; 512], [0; 512]);
        fill(&mut old, 3, 1);
        fill(&mut new, 3, 2);
        old[256..].copy_from_slice(&new[256..]);
        assert_eq!(identify(&old, 3), Content::Foreign);
    }
}
