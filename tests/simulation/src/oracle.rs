// SPDX-License-Identifier: GPL-2.0

//! Which values each sector of the device may hold, now and after a power cut.
//!
//! Clients do not write a sector while another request for it is under way, so that a write has one
//! place among the others.

use std::ops::Range;

/// What is known of a sector.
#[derive(Clone, Debug)]
struct Known {
    /// What a read may find, in the order in which it was written.
    now: Vec<u64>,
    /// What a read may find after a power cut, in the same order.
    durable: Vec<u64>,
    /// When it was written last.
    written: u64,
    /// A value may be in a cache that loses it with the power.
    is_volatile: bool,
    /// It was discarded: it may hold anything.
    is_open: bool,
    /// The same after a power cut.
    may_open: bool,
    /// When its data may have been lost.
    lost: Option<u64>,
}

/// What is known of all sectors.
pub struct Oracle {
    sectors: Vec<Known>,
    moment: u64,
}

/// The value was written after all others.
fn add(values: &mut Vec<u64>, value: u64) {
    if values.last() != Some(&value) {
        values.push(value);
    }
}

/// The value is there, so that nothing took effect that was written after it.
fn forget_after(values: &mut Vec<u64>, value: u64) {
    if let Some(at) = values.iter().rposition(|other| *other == value) {
        values.truncate(at + 1);
    }
}

impl Oracle {
    /// For a device of zeroes.
    pub fn new(sectors: u64) -> Self {
        let zeroes = Known {
            now: vec![0],
            durable: vec![0],
            written: 0,
            is_volatile: false,
            is_open: false,
            may_open: false,
            lost: None,
        };
        Self {
            sectors: vec![zeroes; sectors as usize],
            moment: 0,
        }
    }

    fn range(&mut self, sectors: &Range<u64>) -> &mut [Known] {
        &mut self.sectors[sectors.start as usize..sectors.end as usize]
    }

    /// A moment for [`Self::flushed`].
    pub fn moment(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    /// A write that began at `begun` was acknowledged.
    pub fn wrote(&mut self, sectors: &Range<u64>, value: u64, begun: u64, is_durable: bool) {
        let moment = self.moment();
        for known in self.range(sectors) {
            known.now = vec![value];
            if is_durable {
                (known.durable, known.may_open) = (vec![value], false);
                known.is_volatile = false;
            } else {
                add(&mut known.durable, value);
                known.is_volatile = true;
            }
            (known.written, known.is_open) = (moment, false);
            known.lost = known.lost.filter(|&lost| lost > begun);
        }
    }

    /// A write failed, or did not end: it may have taken effect.
    pub fn may_have_written(&mut self, sectors: &Range<u64>, value: u64) {
        let moment = self.moment();
        for known in self.range(sectors) {
            add(&mut known.now, value);
            add(&mut known.durable, value);
            known.written = moment;
            known.is_volatile = true;
        }
    }

    /// A discard began: until they are written the sectors may hold anything.
    pub fn discarded(&mut self, sectors: &Range<u64>) {
        for known in self.range(sectors) {
            (known.is_open, known.may_open) = (true, true);
        }
    }

    /// A flush that began at `begun` was acknowledged.
    pub fn flushed(&mut self, begun: u64) {
        for known in self
            .sectors
            .iter_mut()
            .filter(|known| known.written < begun)
        {
            known.durable = known.now.clone();
            known.may_open = known.is_open;
            known.is_volatile = false;
        }
    }

    /// The power went.
    pub fn cut_power(&mut self) {
        for known in &mut self.sectors {
            known.now = known.durable.clone();
            known.is_open = known.may_open;
            known.is_volatile = false;
        }
    }

    /// These sectors may have lost their data.
    pub fn may_fail(&mut self, sectors: &Range<u64>) {
        let moment = self.moment();
        for known in self.range(sectors) {
            known.lost = Some(moment);
        }
    }

    /// A read found these values.
    pub fn read(&mut self, sectors: &Range<u64>, found: &[u64]) -> Result<(), String> {
        let start = sectors.start;
        for (sector, (known, value)) in (start..).zip(self.range(sectors).iter_mut().zip(found)) {
            if known.is_open {
                continue;
            }
            if !known.now.contains(value) {
                return Err(format!(
                    "sector {sector} has {value}, and may have {:?}",
                    known.now
                ));
            }
            // A failed write either took effect or did not: what a reader saw stays, over power
            // cuts too, unless a cache loses it for what was there before.
            match known.is_volatile {
                true => forget_after(&mut known.durable, *value),
                false => known.durable = vec![*value],
            }
            known.now = vec![*value];
        }
        Ok(())
    }

    /// A read failed.
    pub fn failed(&mut self, sectors: &Range<u64>) -> Result<(), String> {
        match self.range(sectors).iter().any(|known| known.lost.is_some()) {
            true => Ok(()),
            false => Err(format!("sectors {sectors:?} cannot have been lost")),
        }
    }
}
