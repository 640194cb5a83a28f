// SPDX-License-Identifier: GPL-2.0

//! How often a pass tries what fails for a reason that is not the medium's.
//!
//! Such errors end by themselves, when a path or a controller is back; but some stay, as protection
//! information that is wrong, or a block that makes the controller hang. The pass must get by them,
//! and must not have a controller reset again and again.

use core::ops::Range;

/// How often a read is tried.
const TRIES: u32 = 2;
/// After how many failed tries in a pass none is repeated, nor done unit by unit.
const MOST: u32 = 128;

/// What to do about units that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Read them again, in a while.
    Again,
    /// Read them one by one.
    Singly,
    /// Leave them.
    PassOver,
}

/// The tries of a pass.
#[derive(Clone, Debug, Default)]
pub struct Tries {
    /// What failed last, and how often.
    last: Range<u64>,
    failed: u32,
    /// How often anything did.
    sum: u32,
}

impl Tries {
    /// Reading some units failed while main works elsewhere. What fails while it does not is not to
    /// be counted.
    pub fn failed(&mut self, units: &Range<u64>) -> Answer {
        if self.last != *units {
            (self.last, self.failed) = (units.clone(), 0);
        }
        self.failed = self.failed.saturating_add(1);
        self.sum = self.sum.saturating_add(1);
        let is_over = self.sum >= MOST;
        if self.failed < TRIES && !is_over {
            Answer::Again
        } else if units.end.saturating_sub(units.start) > 1 && !is_over {
            Answer::Singly
        } else {
            Answer::PassOver
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_tried_again_then_its_units_and_what_stays_bad_is_passed_over() {
        let mut tries = Tries::default();
        assert_eq!(tries.failed(&(0..64)), Answer::Again);
        assert_eq!(tries.failed(&(0..64)), Answer::Singly);
        assert_eq!(tries.failed(&(7..8)), Answer::Again);
        assert_eq!(tries.failed(&(7..8)), Answer::PassOver);
        assert_eq!(tries.failed(&(9..10)), Answer::Again);
    }

    #[test]
    fn a_pass_over_a_disk_that_fails_in_large_parts_ends() {
        let mut tries = Tries::default();
        let (mut reads, mut singles) = (0u64, 0u64);
        let count = |number: &mut u64, most: u64| {
            *number += 1;
            assert!(*number <= most, "{number}");
        };
        for batch in 0..10_000 {
            let units = batch * 64..batch * 64 + 64;
            loop {
                count(&mut reads, 10_009);
                match tries.failed(&units) {
                    Answer::Again => {}
                    Answer::PassOver => break,
                    Answer::Singly => {
                        for unit in units.clone() {
                            count(&mut singles, 130);
                            while tries.failed(&(unit..unit + 1)) != Answer::PassOver {
                                count(&mut singles, 130);
                            }
                        }
                        break;
                    }
                }
            }
        }
    }
}
