// SPDX-License-Identifier: GPL-2.0

//! What an array remembers besides its units.

use super::block::{
    Block,
    CONTENT, //
};
use super::le;

/// How many counters survive.
pub const COUNTERS: usize = 16;
/// The length of it on disk, in bytes: 16 of flags and cursor, then the counters, then nothing.
pub const STANDING_BYTES: usize = 160;

const AT_FLAGS: usize = CONTENT;
const AT_CURSOR: usize = CONTENT + 8;
const AT_COUNTERS: usize = CONTENT + 16;
const CLEAN: u64 = 1;

/// Small state that every commit carries whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The array was shut down in order.
    pub clean: bool,
    /// The unit at which the next scan goes on.
    pub cursor: u64,
    /// Counters that survive; what each counts is the target's to say.
    pub counters: [u64; COUNTERS],
}

impl Standing {
    /// Writes it to a log block or the head of a checkpoint.
    pub fn write(&self, block: &mut Block) {
        let flags = if self.clean { CLEAN } else { 0 };
        le::put(block, AT_FLAGS, &flags.to_le_bytes());
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
        Self {
            clean: le::u64_at(block, AT_FLAGS) & CLEAN != 0,
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
        fn written_and_read(clean in any::<bool>(), cursor in any::<u64>(), counters in any::<[u64; 16]>()) {
            let standing = Standing { clean, cursor, counters };
            let mut block = [0u8; BLOCK_BYTES];
            standing.write(&mut block);
            prop_assert_eq!(Standing::read(&block), standing);
            // It stays within its place.
            prop_assert!(block[..CONTENT].iter().chain(&block[CONTENT + STANDING_BYTES..]).all(|&b| b == 0));
        }
    }
}
