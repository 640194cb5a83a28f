// SPDX-License-Identifier: GPL-2.0

//! What an array remembers besides its units.

use super::block::{
    Block,
    CONTENT, //
};
use super::le;

/// How many counters survive.
pub const COUNTERS: usize = 16;
/// The length of it on disk, in bytes: 16 of flags and cursor, then the counters, 8 that a log block
/// has for its parent, and main's checksum.
pub const STANDING_BYTES: usize = 160;

const AT_FLAGS: usize = CONTENT;
const AT_CURSOR: usize = CONTENT + 8;
const AT_COUNTERS: usize = CONTENT + 16;
const AT_MAIN_SUM: usize = CONTENT + 152;
const CLEAN: u64 = 1;
const MAIN_SUM: u64 = 2;

/// How an array is when it is shut down in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// The checksum of what main holds where superblocks are ([`main_sum`](super::main_sum)), if it
    /// is known.
    pub main_sum: Option<u64>,
}

/// Small state that every commit carries whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The array was shut down in order.
    pub end: Option<End>,
    /// The unit at which the next scan goes on.
    pub cursor: u64,
    /// Counters that survive; what each counts is the target's to say.
    pub counters: [u64; COUNTERS],
}

impl Standing {
    /// Writes it to a log block or the head of a checkpoint.
    pub fn write(&self, block: &mut Block) {
        let main_sum = self.end.and_then(|end| end.main_sum);
        let clean = self.end.map_or(0, |_| CLEAN);
        let flags = clean | main_sum.map_or(0, |_| MAIN_SUM);
        le::put(block, AT_FLAGS, &flags.to_le_bytes());
        le::put(block, AT_MAIN_SUM, &main_sum.unwrap_or(0).to_le_bytes());
        le::put(block, AT_CURSOR, &self.cursor.to_le_bytes());
        for (at, counter) in self.counters.iter().enumerate() {
            le::put(block, AT_COUNTERS + at * 8, &counter.to_le_bytes());
        }
    }

    /// Reads it.
    pub fn read(block: &Block) -> Self {
        let mut counters = [0; COUNTERS];
        for (at, counter) in counters.iter_mut().enumerate() {
            *counter = le::u64_at(block, AT_COUNTERS + at * 8);
        }
        let flags = le::u64_at(block, AT_FLAGS);
        let sum = le::u64_at(block, AT_MAIN_SUM);
        let main_sum = (flags & MAIN_SUM != 0).then_some(sum);
        Self {
            end: (flags & CLEAN != 0).then_some(End { main_sum }),
            cursor: le::u64_at(block, AT_CURSOR),
            counters,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::block::BLOCK_BYTES;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn written_and_read(
            end in any::<Option<Option<u64>>>(), cursor in any::<u64>(), counters in any::<[u64; 16]>(),
        ) {
            let end = end.map(|main_sum| End { main_sum });
            let standing = Standing { end, cursor, counters };
            let mut block = [0u8; BLOCK_BYTES];
            standing.write(&mut block);
            prop_assert_eq!(Standing::read(&block), standing);
            // It stays within its place.
            prop_assert!(block[..CONTENT].iter().chain(&block[CONTENT + STANDING_BYTES..]).all(|&b| b == 0));
        }
    }
}
