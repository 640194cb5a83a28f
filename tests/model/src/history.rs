// SPDX-License-Identifier: GPL-2.0

//! The possible values of a block under concurrent writes and reads.
//!
//! A block is a register. A write takes effect at some moment between its begin and its end. A
//! failed write may or may not take effect, but not after its end. A read returns the value that
//! took effect last. A value can therefore no longer be read once another value is known to have
//! taken effect, by its acknowledgement or by a read, if the write of the other value began after
//! the write of the first had ended.

use crate::content::{
    Content,
    Value, //
};
use std::ops::Range;

/// A moment, counted in events.
type Moment = u64;
/// Not yet.
const NEVER: Moment = Moment::MAX;

/// A write to a block.
#[derive(Clone, Copy, Debug)]
struct Write {
    value: Value,
    begun: Moment,
    ended: Moment,
    /// The first moment at which the write had certainly taken effect.
    effective: Moment,
}

/// The known state of a block.
#[derive(Clone, Debug)]
struct Block {
    writes: Vec<Write>,
    /// The moment until which the block may have lost its data. Reads may fail until the block is
    /// written after that moment.
    bad_until: Moment,
    /// The block may lose its data at any time.
    doomed: bool,
    /// The begin of the last acknowledged write.
    written: Moment,
}

impl Block {
    fn new() -> Self {
        let zeroes = Write {
            value: 0,
            begun: 0,
            ended: 0,
            effective: 0,
        };
        Self {
            writes: vec![zeroes],
            bad_until: 0,
            doomed: false,
            written: 1,
        }
    }

    /// Whether a read that began at `moment` can no longer return the value of `write`.
    fn is_over(&self, write: &Write, moment: Moment) -> bool {
        let over = |other: &Write| other.begun > write.ended && other.effective < moment;
        self.writes.iter().any(over)
    }

    /// Forgets the values that no read that began at `moment` or later can return.
    fn forget(&mut self, moment: Moment) {
        let kept = self
            .writes
            .iter()
            .filter(|write| !self.is_over(write, moment));
        let kept: Vec<_> = kept.copied().collect();
        self.writes = kept;
    }

    /// Records that a read from `begun` to `ended` found `value`; returns whether that is possible.
    fn found(&mut self, value: Value, begun: Moment, ended: Moment) -> bool {
        let is_it = |write: &Write| write.value == value && !self.is_over(write, begun);
        let may: Vec<bool> = self.writes.iter().map(is_it).collect();
        let mut those = self.writes.iter_mut().zip(may).filter(|(_, may)| *may);
        // Several writes of zeroes cannot be told apart.
        match (those.next(), those.next()) {
            (None, _) => false,
            (Some((write, _)), None) => {
                write.effective = write.effective.min(ended);
                true
            }
            (Some(_), Some(_)) => true,
        }
    }

    /// Whether a read that began at `moment` may fail.
    fn may_fail(&self, moment: Moment) -> bool {
        self.doomed || self.bad_until >= self.written.min(moment)
    }
}

/// A contradiction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lie {
    /// A block had an impossible value.
    Wrong {
        /// The block.
        block: u64,
        /// The contents found.
        found: Content,
        /// The possible values.
        want: Vec<Value>,
    },
    /// A read failed, but none of its blocks may fail.
    Failed {
        /// The blocks.
        blocks: Range<u64>,
    },
}

/// The known state of all blocks of a device, which initially holds zeroes.
pub struct History {
    blocks: Vec<Block>,
    now: Moment,
    /// The begins of the reads in progress.
    reading: Vec<Moment>,
}

impl History {
    /// The history of a device with the given number of blocks.
    pub fn new(blocks: usize) -> Self {
        Self {
            blocks: vec![Block::new(); blocks],
            now: 1,
            reading: Vec::new(),
        }
    }

    fn tick(&mut self) -> Moment {
        self.now += 1;
        self.now
    }

    fn range(&mut self, blocks: &Range<u64>) -> &mut [Block] {
        &mut self.blocks[blocks.start as usize..blocks.end as usize]
    }

    /// Begins a write of `value`, and returns the moment.
    pub fn begin_write(&mut self, blocks: &Range<u64>, value: Value) -> Moment {
        let begun = self.tick();
        for block in self.range(blocks) {
            block.writes.push(Write {
                value,
                begun,
                ended: NEVER,
                effective: NEVER,
            });
        }
        begun
    }

    /// Ends the write that began at `begun`.
    pub fn end_write(&mut self, blocks: &Range<u64>, begun: Moment, acknowledged: bool) {
        let ended = self.tick();
        let oldest = self.reading.iter().copied().min().unwrap_or(ended);
        for block in self.range(blocks) {
            for write in block.writes.iter_mut().filter(|write| write.begun == begun) {
                write.ended = ended;
                if acknowledged {
                    write.effective = write.effective.min(ended);
                }
            }
            if acknowledged {
                block.written = block.written.max(begun);
            }
            block.forget(oldest);
        }
    }

    /// Begins a read, and returns the moment.
    pub fn begin_read(&mut self) -> Moment {
        let begun = self.tick();
        self.reading.push(begun);
        begun
    }

    /// Ends the read that began at `begun`, with the contents found or a failure.
    pub fn end_read(
        &mut self,
        blocks: &Range<u64>,
        begun: Moment,
        found: Option<&[Content]>,
    ) -> Result<(), Lie> {
        let ended = self.tick();
        let result = match found {
            Some(found) => self.check(blocks, begun, ended, found),
            None if self.range(blocks).iter().any(|block| block.may_fail(begun)) => Ok(()),
            None => Err(Lie::Failed {
                blocks: blocks.clone(),
            }),
        };
        self.reading.retain(|&other| other != begun);
        result
    }

    fn check(
        &mut self,
        blocks: &Range<u64>,
        begun: Moment,
        ended: Moment,
        found: &[Content],
    ) -> Result<(), Lie> {
        let start = blocks.start;
        for (at, (block, &found)) in (start..).zip(self.range(blocks).iter_mut().zip(found)) {
            let is_right = match found {
                Content::Whole(value) => block.found(value, begun, ended),
                Content::Foreign => false,
            };
            if !is_right {
                let may = block
                    .writes
                    .iter()
                    .filter(|write| !block.is_over(write, begun));
                return Err(Lie::Wrong {
                    block: at,
                    found,
                    want: may.map(|write| write.value).collect(),
                });
            }
        }
        Ok(())
    }

    /// Allows these blocks to lose their data from now on.
    pub fn bad(&mut self, blocks: &Range<u64>) {
        self.tick();
        for block in self.range(blocks) {
            block.bad_until = NEVER;
        }
    }

    /// Allows these blocks to lose their data, regardless of `bad` and `good`.
    pub fn doom(&mut self, blocks: &Range<u64>) {
        for block in self.range(blocks) {
            block.doomed = true;
        }
    }

    /// Forbids these blocks to lose further data.
    pub fn good(&mut self, blocks: &Range<u64>) {
        let now = self.tick();
        for block in self.range(blocks) {
            block.bad_until = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(history: &mut History, block: u64, value: Value) -> bool {
        let begun = history.begin_read();
        let found = [Content::Whole(value)];
        history
            .end_read(&(block..block + 1), begun, Some(&found))
            .is_ok()
    }

    fn fails(history: &mut History, blocks: Range<u64>) -> bool {
        let begun = history.begin_read();
        history.end_read(&blocks, begun, None).is_ok()
    }

    fn write(history: &mut History, blocks: Range<u64>, value: Value, acknowledged: bool) {
        let begun = history.begin_write(&blocks, value);
        history.end_write(&blocks, begun, acknowledged);
    }

    #[test]
    fn what_was_acknowledged_is_read() {
        let mut history = History::new(4);
        assert!(read(&mut history, 1, 0));
        write(&mut history, 1..3, 7, true);
        assert!(read(&mut history, 1, 7) && read(&mut history, 2, 7) && read(&mut history, 3, 0));
        assert!(!read(&mut history, 1, 0));
        assert!(!read(&mut history, 3, 7));
        let begun = history.begin_read();
        let foreign = history.end_read(&(1..2), begun, Some(&[Content::Foreign]));
        let (found, want) = (Content::Foreign, vec![7]);
        assert_eq!(
            foreign,
            Err(Lie::Wrong {
                block: 1,
                found,
                want
            })
        );
    }

    #[test]
    fn a_write_that_failed_may_have_taken_effect() {
        let mut history = History::new(1);
        write(&mut history, 0..1, 1, true);
        write(&mut history, 0..1, 2, false);
        assert!(read(&mut history, 0, 1));
        assert!(read(&mut history, 0, 2));
        assert!(
            !read(&mut history, 0, 1),
            "it took effect: the old one is gone"
        );
        write(&mut history, 0..1, 3, true);
        assert!(!read(&mut history, 0, 2) && read(&mut history, 0, 3));
    }

    #[test]
    fn of_two_at_once_either_may_be_last() {
        let mut history = History::new(1);
        let one = history.begin_write(&(0..1), 1);
        let two = history.begin_write(&(0..1), 2);
        assert!(read(&mut history, 0, 0));
        assert!(read(&mut history, 0, 2));
        assert!(!read(&mut history, 0, 0), "one of the writes took effect");
        history.end_write(&(0..1), two, true);
        history.end_write(&(0..1), one, true);
        assert!(read(&mut history, 0, 1) && !read(&mut history, 0, 0));
    }

    #[test]
    fn a_read_may_find_what_was_there_when_it_began() {
        let mut history = History::new(1);
        let begun = history.begin_read();
        write(&mut history, 0..1, 1, true);
        write(&mut history, 0..1, 2, true);
        let old = history.end_read(&(0..1), begun, Some(&[Content::Whole(0)]));
        assert_eq!(old, Ok(()));
        assert!(!read(&mut history, 0, 0) && !read(&mut history, 0, 1) && read(&mut history, 0, 2));
    }

    #[test]
    fn only_what_was_bad_may_fail_until_it_is_written() {
        let mut history = History::new(4);
        assert!(!fails(&mut history, 0..4));
        history.bad(&(1..2));
        assert!(fails(&mut history, 0..2) && !fails(&mut history, 2..4));
        write(&mut history, 1..2, 1, true);
        assert!(fails(&mut history, 1..2), "the block is still bad");
        let begun = history.begin_read();
        history.good(&(1..2));
        assert_eq!(history.end_read(&(1..2), begun, None), Ok(()));
        assert!(
            fails(&mut history, 1..2),
            "the data of the block were lost meanwhile"
        );
        write(&mut history, 1..2, 2, false);
        assert!(fails(&mut history, 1..2));
        write(&mut history, 1..2, 3, true);
        assert!(!fails(&mut history, 1..2));
    }

    #[test]
    fn what_is_doomed_may_always_fail() {
        let mut history = History::new(2);
        history.doom(&(0..1));
        history.bad(&(0..1));
        history.good(&(0..1));
        write(&mut history, 0..2, 1, true);
        assert!(fails(&mut history, 0..1) && !fails(&mut history, 1..2));
        assert!(read(&mut history, 0, 1) && !read(&mut history, 0, 0));
    }

    #[test]
    fn zeroes_are_not_told_apart() {
        let mut history = History::new(1);
        write(&mut history, 0..1, 1, true);
        write(&mut history, 0..1, 0, false);
        write(&mut history, 0..1, 0, false);
        assert!(read(&mut history, 0, 0) && read(&mut history, 0, 1));
        write(&mut history, 0..1, 0, true);
        assert!(read(&mut history, 0, 0) && !read(&mut history, 0, 1));
    }
}
