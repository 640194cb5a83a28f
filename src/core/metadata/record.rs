// SPDX-License-Identifier: GPL-2.0

//! What a checkpoint or a commit says of units.

use super::block::{
    Block,
    BLOCK_BYTES,
    CONTENT, //
};
use super::le;
use super::standing::STANDING_BYTES;
use crate::blocks::Blocks;
use crate::geometry::{
    SpareUnit,
    Unit, //
};
use crate::region_layout::{
    PER_RECORD_BLOCK,
    RECORD_BYTES, //
};

/// Where the records of a log block begin.
const LOG_RECORDS: usize = CONTENT + STANDING_BYTES;
/// How many records a commit holds.
pub const PER_COMMIT: usize = (BLOCK_BYTES - LOG_RECORDS) / RECORD_BYTES;

const KIND_SHIFT: u32 = 56;
const NUMBER_MASK: u64 = (1 << KIND_SHIFT) - 1;
const RELOCATED: u64 = 1;
const ON_MAIN: u64 = 2;
const RETIRED: u64 = 3;

/// What is said of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A unit of main is kept in a unit of the spare, which no other unit is kept in.
    Relocated {
        /// The unit.
        unit: Unit,
        /// Where it is kept.
        spare: SpareUnit,
        /// The blocks that hold data.
        valid: Blocks,
    },
    /// A unit is on main again; its spare unit is free.
    OnMain {
        /// The unit.
        unit: Unit,
    },
    /// A unit of the spare that is kept for nobody must not be used.
    Retired {
        /// The spare unit.
        spare: SpareUnit,
    },
}

impl Record {
    fn encode(self) -> [u64; 3] {
        match self {
            Self::Relocated { unit, spare, valid } => [
                (RELOCATED << KIND_SHIFT) | (unit.0 & NUMBER_MASK),
                spare.0,
                valid.bits(),
            ],
            Self::OnMain { unit } => [(ON_MAIN << KIND_SHIFT) | (unit.0 & NUMBER_MASK), 0, 0],
            Self::Retired { spare } => [RETIRED << KIND_SHIFT, spare.0, 0],
        }
    }

    fn decode([head, spare, valid]: [u64; 3]) -> Option<Self> {
        let unit = Unit(head & NUMBER_MASK);
        let spare = SpareUnit(spare);
        match head >> KIND_SHIFT {
            RELOCATED => Some(Self::Relocated {
                unit,
                spare,
                valid: Blocks::from_bits(valid),
            }),
            ON_MAIN => Some(Self::OnMain { unit }),
            RETIRED => Some(Self::Retired { spare }),
            _ => None,
        }
    }
}

/// Which kind of block records lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum In {
    /// A block of a checkpoint.
    Checkpoint,
    /// A log block.
    Log,
}

impl In {
    fn start(self) -> usize {
        match self {
            Self::Checkpoint => CONTENT,
            Self::Log => LOG_RECORDS,
        }
    }

    /// How many records a block holds.
    pub const fn capacity(self) -> usize {
        match self {
            Self::Checkpoint => PER_RECORD_BLOCK,
            Self::Log => PER_COMMIT,
        }
    }
}

/// Writes record number `at` of a block; whether there is room for it.
pub fn write(block: &mut Block, kind: In, at: usize, record: Record) -> bool {
    if at >= kind.capacity() {
        return false;
    }
    for (word, value) in record.encode().into_iter().enumerate() {
        let place = kind.start() + at * RECORD_BYTES + word * 8;
        le::put(block, place, &value.to_le_bytes());
    }
    true
}

/// The first `count` records of a block; `None` for what is no record.
pub fn read(block: &Block, kind: In, count: u32) -> impl Iterator<Item = Option<Record>> + '_ {
    (0..count as usize).map(move |at| {
        if at >= kind.capacity() {
            return None;
        }
        let word = |word: usize| le::u64_at(block, kind.start() + at * RECORD_BYTES + word * 8);
        Record::decode([word(0), word(1), word(2)])
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn record(units: u64, spares: u64) -> impl Strategy<Value = Record> {
        (0u8..3, 0..units, 0..spares, any::<u64>()).prop_map(|(kind, unit, spare, valid)| {
            let (unit, spare) = (Unit(unit), SpareUnit(spare));
            match kind {
                0 => Record::Relocated {
                    unit,
                    spare,
                    valid: Blocks::from_bits(valid),
                },
                1 => Record::OnMain { unit },
                _ => Record::Retired { spare },
            }
        })
    }

    #[test]
    fn blocks_hold_what_they_should() {
        assert_eq!(PER_RECORD_BLOCK, 166);
        assert_eq!(PER_COMMIT, 160);
    }

    proptest! {
        #[test]
        fn written_and_read(
            records in prop::collection::vec(record(1 << 56, u64::MAX), 0..=160), log in any::<bool>(),
        ) {
            let kind = if log { In::Log } else { In::Checkpoint };
            let mut block = [0u8; BLOCK_BYTES];
            for (at, &record) in records.iter().enumerate() {
                prop_assert!(write(&mut block, kind, at, record));
            }
            let back: Option<Vec<_>> = read(&block, kind, records.len() as u32).collect();
            prop_assert_eq!(back, Some(records));
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), BLOCK_BYTES), count in 0u32..400) {
            let block: Block = bytes.try_into().unwrap();
            for kind in [In::Log, In::Checkpoint] {
                for (at, record) in read(&block, kind, count).enumerate() {
                    prop_assert!(at < kind.capacity() || record.is_none());
                }
            }
        }
    }
}
