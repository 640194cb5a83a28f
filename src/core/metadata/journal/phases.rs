// SPDX-License-Identifier: GPL-2.0

//! What a journal does in each phase of an update.

use super::{
    Copy,
    Dead,
    Journal,
    Size, //
};
use crate::metadata::array::Head;
use crate::metadata::block::{
    self,
    Block,
    Crc32c,
    Kind,
    Role, //
};
use crate::metadata::record::{
    self,
    In,
    Record, //
};
use crate::metadata::standing::Standing;
use crate::metadata::storage::{
    Failed,
    Region, //
};
use crate::metadata::update::{
    Orders,
    Phase,
    Progress,
    RegionIo,
    Update,
    Which,
    MARKS, //
};
use crate::region_layout::MAX_REGIONS;

impl Journal {
    /// Begins a commit of `records` records.
    ///
    /// An error where a checkpoint [is due](Self::is_due), or for too many records.
    pub fn begin_commit(&mut self, standing: Standing, records: usize) -> Result<Update, Dead> {
        if self.is_due() || records > In::Log.capacity() || self.generation == u64::MAX {
            return Err(Dead);
        }
        self.main_took_one = false;
        Ok(Update {
            next: Some(Phase::Log),
            phase: Phase::Log,
            standing,
            records,
            head: None,
            progress: [Progress::Left; MAX_REGIONS],
            is_lost: false,
        })
    }

    /// Begins a checkpoint of so many records.
    pub fn begin_checkpoint(
        &mut self,
        standing: Standing,
        size: Size,
        which: Which,
    ) -> Result<Update, Dead> {
        let head = Head {
            array: self.array,
            generation: self.generation,
            relocated: size.relocated,
            retired: size.retired,
            standing,
        };
        let blocks = head.record_blocks().ok_or(Dead)?;
        let progress = self.copies.map(|copy| match copy.free_slot() {
            Some(slot) if copy.is_wanted(which) => Progress::Writing(slot),
            _ => Progress::Left,
        });
        let first = match blocks {
            0 => Phase::Flush,
            _ => Phase::Records(0, 0),
        };
        Ok(Update {
            next: Some(first),
            phase: first,
            standing,
            records: 0,
            head: Some((head, blocks)),
            progress,
            is_lost: false,
        })
    }

    /// The orders of the next phase, and its block in `block`; none when the update is at its end.
    ///
    /// All orders of the phase before must have been [noted](Self::note). `records` gives the
    /// records of the commit, or those of the checkpoint that follow the ones it gave before.
    pub fn orders(
        &mut self,
        update: &mut Update,
        block: &mut Block,
        records: &mut impl Iterator<Item = Record>,
    ) -> Option<Orders> {
        loop {
            self.leave(update);
            update.phase = update.next?;
            self.prepare(update, block, records);
            let orders = self.orders_of(update);
            update.next = self.after(update);
            if orders.iter().any(Option::is_some) {
                return Some(orders);
            }
        }
    }

    /// Writes the body of the phase's block.
    fn prepare(
        &self,
        update: &mut Update,
        block: &mut Block,
        records: &mut impl Iterator<Item = Record>,
    ) {
        // The commit's block serves both devices.
        if update.phase == Phase::LogOnMain {
            return;
        }
        block.fill(0);
        match (&mut update.phase, &update.head) {
            (Phase::Log, _) => {
                update.standing.write(block);
                block::set_parent(block, self.tip);
                for (at, record) in records.take(update.records).enumerate() {
                    record::write(block, In::Log, at, record);
                }
            }
            (Phase::Records(_, count), _) => {
                *count = 0;
                for (at, record) in records.take(In::Checkpoint.capacity()).enumerate() {
                    record::write(block, In::Checkpoint, at, record);
                    *count += 1;
                }
            }
            (Phase::Heads, Some((head, _))) => head.write(block),
            (Phase::LogOnMain | Phase::Mark(_) | Phase::Flush | Phase::Heads, _) => {}
        }
    }

    fn orders_of(&self, update: &Update) -> Orders {
        core::array::from_fn(|at| {
            let (copy, progress) = (self.copies.get(at)?, update.progress.get(at)?);
            self.order(update, Region(at).role(), *copy, *progress)
        })
    }

    /// What the phase does on a region that stands so.
    fn order(
        &self,
        update: &Update,
        role: Role,
        copy: Copy,
        progress: Progress,
    ) -> Option<RegionIo> {
        let regions = self.regions();
        let log = |ahead| RegionIo::WriteThrough(regions.log(self.generation.wrapping_add(ahead)));
        match (update.phase, progress) {
            (Phase::Log, _) => (copy.is_good() && role == Role::SPARE).then(|| log(1)),
            (Phase::LogOnMain, _) => (copy.is_good() && role == Role::MAIN).then(|| log(0)),
            (Phase::Mark(ahead), _) => copy.is_unmarked().then(|| log(ahead)),
            (Phase::Records(at, _), Progress::Writing(slot)) => {
                Some(RegionIo::Write(regions.records(slot).saturating_add(at)))
            }
            (Phase::Flush, Progress::Writing(_)) => Some(RegionIo::Flush),
            (Phase::Heads, Progress::Writing(slot)) => {
                Some(RegionIo::WriteThrough(regions.header(slot)))
            }
            (Phase::Records(..) | Phase::Flush | Phase::Heads, _) => None,
        }
    }

    /// The phase that follows if nothing fails.
    fn after(&self, update: &Update) -> Option<Phase> {
        match update.phase {
            Phase::Log => Some(Phase::LogOnMain),
            Phase::LogOnMain => Some(Phase::Mark(1)),
            Phase::Mark(ahead) if ahead < MARKS => Some(Phase::Mark(ahead + 1)),
            Phase::Mark(_) => None,
            Phase::Records(at, _) => match update.head {
                Some((_, blocks)) if at + 1 < blocks => Some(Phase::Records(at + 1, 0)),
                _ => Some(Phase::Flush),
            },
            Phase::Flush => Some(Phase::Heads),
            Phase::Heads => None,
        }
    }

    /// Seals the block of the phase for one region.
    pub fn seal(
        &self,
        update: &Update,
        region: Region,
        order: RegionIo,
        block: &mut Block,
        crc32c: Crc32c,
    ) {
        let (RegionIo::Write(number) | RegionIo::WriteThrough(number)) = order else {
            return;
        };
        let last = (self.generation, self.tip);
        let (kind, commit, count) = match update.phase {
            Phase::Log => {
                let next = (self.generation.wrapping_add(1), self.session);
                (Kind::Log, next, update.records as u32)
            }
            Phase::LogOnMain => (Kind::Log, last, update.records as u32),
            Phase::Mark(_) => (Kind::Log, last, 0),
            Phase::Records(_, count) => (Kind::Records, last, count),
            Phase::Flush | Phase::Heads => (Kind::Checkpoint, last, 0),
        };
        self.header(kind, region, number, commit, count)
            .seal(block, crc32c);
    }

    /// Takes note of what became of an order.
    pub fn note(&mut self, update: &mut Update, region: Region, done: Result<(), Failed>) {
        let is_on_main = region.role() == Role::MAIN;
        let copy = self.copies.get_mut(region.0);
        let (Some(copy), Some(progress)) = (copy, update.progress.get_mut(region.0)) else {
            return;
        };
        match (update.phase, done) {
            (Phase::Log | Phase::LogOnMain, Ok(())) => self.main_took_one |= is_on_main,
            (Phase::Log | Phase::LogOnMain, Err(Failed)) => *copy = copy.dropped(true),
            (Phase::Mark(ahead), done) => {
                self.main_took_one |= is_on_main && done.is_ok();
                if done.is_ok() || ahead == MARKS {
                    *copy = copy.dropped(false);
                }
            }
            (Phase::Records(..) | Phase::Flush, Ok(())) => {}
            (Phase::Records(..), Err(Failed)) => *progress = Progress::NoRecords,
            (Phase::Heads, Ok(())) => *progress = Progress::Written,
            (Phase::Flush | Phase::Heads, Err(Failed)) => *progress = Progress::NoHead,
        }
        if let (Phase::Heads, Ok(()), Some(slot)) = (update.phase, done, copy.free_slot()) {
            // INVARIANT: The region has a checkpoint of `generation`, and nothing follows.
            *copy = Copy::Good {
                slot,
                checkpoint: self.generation,
            };
        }
    }

    /// Does what the end of the phase asks for.
    fn leave(&mut self, update: &mut Update) {
        if (update.phase, update.next) != (Phase::Log, Some(Phase::LogOnMain)) {
            return;
        }
        if self.has_good_on_spare() {
            // INVARIANT: The regions of the spare that are still good have the commit, those of
            // main get it or are dropped before the update ends, and a checkpoint was not due.
            (self.generation, self.tip) = (self.generation.wrapping_add(1), self.session);
        } else {
            (update.is_lost, update.next) = (true, None);
        }
    }

    /// Ends an update; in how many regions a checkpoint was written.
    ///
    /// An error if no region of the spare has the commit, or no region is good after a checkpoint.
    pub fn finish(&mut self, update: Update) -> Result<usize, Dead> {
        if update.is_lost {
            return Err(Dead);
        }
        if update.head.is_none() {
            return Ok(0);
        }
        for (at, progress) in update.progress.into_iter().enumerate() {
            let Some(&copy) = self.copies.get(at) else {
                continue;
            };
            let after = match progress {
                Progress::NoRecords => copy.without(false),
                Progress::NoHead | Progress::Writing(_) => copy.without(true),
                Progress::Left | Progress::Written => continue,
            };
            // A slot that cannot be written is no harm while the other and the log go on.
            if let (false, Some(place)) = (self.can_do_without(copy), self.copies.get_mut(at)) {
                *place = after;
            }
        }
        let written = |progress: &&Progress| **progress == Progress::Written;
        let written = update.progress.iter().filter(written).count();
        self.lacks_features &= written == 0;
        match self.good() {
            0 => Err(Dead),
            _ => Ok(written),
        }
    }
}
