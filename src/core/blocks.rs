// SPDX-License-Identifier: GPL-2.0

//! Sets of blocks within one unit.

use core::ops::Range;

/// The most blocks a unit can have: one bit each in a [`Blocks`].
pub const MAX_BLOCKS: u32 = 64;

/// A set of blocks of one unit, block 0 first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blocks(u64);

impl Blocks {
    /// No block.
    pub const NONE: Self = Self(0);

    /// The blocks of `range`; what lies past [`MAX_BLOCKS`] is left out.
    pub const fn range(range: Range<u32>) -> Self {
        Self(Self::below(range.end) & !Self::below(range.start))
    }

    /// The set whose bits are those of `bits`, block 0 the lowest.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// One bit for each block, block 0 the lowest.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The blocks `0..end`.
    const fn below(end: u32) -> u64 {
        if end >= MAX_BLOCKS {
            u64::MAX
        } else {
            (1 << end) - 1
        }
    }

    /// Whether there is no block in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many blocks are in the set.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether every block of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The blocks that are in either set.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The blocks of this set that are not in `other`.
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The first run of neighbouring blocks in the set.
    pub const fn first_run(self) -> Option<Range<u32>> {
        if self.is_empty() {
            return None;
        }
        let start = self.0.trailing_zeros();
        let length = (self.0 >> start).trailing_ones();
        Some(start..start + length)
    }

    /// All runs of neighbouring blocks, lowest first.
    pub fn runs(self) -> impl Iterator<Item = Range<u32>> {
        let mut left = self;
        core::iter::from_fn(move || {
            let run = left.first_run()?;
            left = left.minus(Self::range(run.clone()));
            Some(run)
        })
    }

    /// How many blocks, beginning with `block`, are alike: all in the set, or all not in it.
    ///
    /// Counts at most up to `end`.
    pub fn alike(self, block: u32, end: u32) -> u32 {
        let wanted = self.contains(Self::range(block..block + 1));
        (block..end)
            .take_while(|&b| self.contains(Self::range(b..b + 1)) == wanted)
            .count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_at_the_edges() {
        assert_eq!(Blocks::range(0..0), Blocks::NONE);
        assert_eq!(Blocks::range(0..64).count(), 64);
        assert_eq!(Blocks::range(63..64).first_run(), Some(63..64));
        assert_eq!(Blocks::range(0..64).first_run(), Some(0..64));
        assert_eq!(Blocks::range(60..90), Blocks::range(60..64));
    }

    proptest! {
        #[test]
        fn runs_rebuild_the_set(bits: u64) {
            let mut rebuilt = Blocks::NONE;
            let mut last_end = None;
            for run in Blocks(bits).runs() {
                prop_assert!(run.start < run.end);
                prop_assert!(last_end.is_none_or(|end| run.start > end));
                last_end = Some(run.end);
                rebuilt = rebuilt.union(Blocks::range(run));
            }
            prop_assert_eq!(rebuilt, Blocks(bits));
        }

        #[test]
        fn alike_stops_at_the_first_change(bits: u64, block in 0u32..64, end in 0u32..=64) {
            prop_assume!(block < end);
            let n = Blocks(bits).alike(block, end);
            let bit = |b: u32| (bits >> b) & 1;
            prop_assert!(n >= 1 && block + n <= end);
            prop_assert!((block..block + n).all(|b| bit(b) == bit(block)));
            prop_assert!(block + n == end || bit(block + n) != bit(block));
        }
    }
}
