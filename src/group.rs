// SPDX-License-Identifier: GPL-2.0

//! Group commit: relocations that arrive together are made durable by one commit.
//!
//! The holder of the repair lock keeps three maps. `map` is how things will be when the commit that is
//! being put together is durable; `shown` is what the I/O path sees until then, with the units in
//! question busy; `fallback` is how things stay if it cannot be made durable. All three share most
//! of their nodes, and are one and the same while nothing is pending. So nothing is left to be
//! allocated between a commit and the acknowledgement of the writes that needed it.

use crate::{
    bio_context::BioContext,
    context::Context,
    repair::Repair, //
};
use kernel::{
    alloc::AllocError,
    prelude::*, //
};
use kernel_ext::{
    bio::Status,
    device_mapper::{
        BioQueue,
        OwnedBio, //
    }, //
};
use remap_core::{
    geometry::{
        Geometry,
        SpareUnit,
        Unit, //
    },
    index::{
        Entry,
        Gate,
        OutOfMemory,
        State, //
    },
    metadata::{
        journal::Dead,
        record::{
            Record,
            PER_COMMIT, //
        }, //
    }, //
};

/// How many units may be pending.
const UNITS: usize = 32;
/// The most records that one more relocation adds: itself, and the spare units it gave up.
const RECORDS: usize = 16;

/// What the next commit will make durable.
pub(crate) struct Group {
    units: KVec<Unit>,
    records: KVec<Record>,
    /// Spare units that are free once the commit is durable.
    freed: KVec<SpareUnit>,
    /// Bios that are acknowledged once it is.
    waiting: BioQueue<BioContext>,
}

impl Group {
    /// Allocates room. May sleep.
    pub(crate) fn new() -> Result<Self, AllocError> {
        Ok(Self {
            units: KVec::with_capacity(UNITS, GFP_KERNEL)?,
            records: KVec::with_capacity(PER_COMMIT, GFP_KERNEL)?,
            freed: KVec::with_capacity(UNITS, GFP_KERNEL)?,
            waiting: BioQueue::new(),
        })
    }

    fn is_full(&self) -> bool {
        self.units.len() >= UNITS
            || self.freed.len() >= UNITS
            || self.records.len() + RECORDS > PER_COMMIT
    }

    /// The units of which the next commit says something.
    pub(crate) fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Whether the next commit says something of `unit`.
    pub(crate) fn has(&self, unit: Unit) -> bool {
        self.units.contains(&unit)
    }

    /// Whether it says something of a unit of the bio.
    fn concerns(&self, geometry: &Geometry, bio: &OwnedBio<BioContext>) -> bool {
        let sectors = bio.sectors();
        let (first, end) = (geometry.unit_of(sectors.start), sectors.end);
        self.units
            .iter()
            .any(|&unit| unit >= first && geometry.sectors_of(unit).start < end)
    }
}

/// What becomes of a unit if its commit cannot be made durable for certain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// It is as it was: the next load finds its data either way.
    Unchanged,
    /// It is as it was, but cannot be written: the next load may look for it elsewhere.
    Stuck,
}

impl Repair {
    /// Makes room in the group for what one more unit needs, by a commit if there is none.
    ///
    /// Everything that pends something calls this first.
    pub(crate) fn make_room(&mut self, ctx: &Context) -> Result<(), Dead> {
        if self.group.is_full() {
            self.settle(ctx)?;
        }
        if self.group.records.is_empty() {
            self.keep_checkpoints(ctx)?;
        }
        if self.metadata.frozen {
            return Err(Dead);
        }
        Ok(())
    }

    /// Adds to the next commit that the state of `unit` is `after`.
    pub(crate) fn pend(
        &mut self,
        ctx: &Context,
        unit: Unit,
        after: State,
        on_failure: OnFailure,
    ) -> Result<(), OutOfMemory> {
        let record = match after {
            State::Relocated { spare, valid } => Record::Relocated { unit, spare, valid },
            State::Main | State::Suspect => Record::OnMain { unit },
        };
        let entry = (after != State::Main).then_some(Entry {
            gate: Gate::Open,
            state: after,
        });
        if on_failure == OnFailure::Stuck {
            let before = self.fallback.get(unit);
            let stuck = Entry {
                gate: Gate::Stuck,
                state: before.map_or(State::Main, |entry| entry.state),
            };
            self.fallback = self.fallback.set(&mut self.nodes, unit, Some(stuck))?;
        }
        self.set(ctx, unit, entry)?;
        if !self.group.has(unit) {
            self.group
                .units
                .push_within_capacity(unit)
                .map_err(|_| OutOfMemory)?;
        }
        self.note(record)
    }

    /// Adds a record to the next commit.
    fn note(&mut self, record: Record) -> Result<(), OutOfMemory> {
        let pushed = self.group.records.push_within_capacity(record);
        pushed.map_err(|_| OutOfMemory)
    }

    /// Adds to the next commit that a spare unit is bad.
    pub(crate) fn note_retired(&mut self, spare: SpareUnit) {
        // There is room: see `RECORDS`. A unit that is not on record would only be tried again.
        let _ = self.note(Record::Retired { spare });
    }

    /// Frees a spare unit once the next commit is durable; until then a crash may need it.
    pub(crate) fn free_later(&mut self, spare: SpareUnit) {
        // There is room; a unit for which there is none is free after the next load.
        let _ = self.group.freed.push_within_capacity(spare);
    }

    /// Acknowledges a bio, at once or after the commit that it needs.
    pub(crate) fn acknowledge(&mut self, ctx: &Context, bio: OwnedBio<BioContext>) {
        if self.group.concerns(ctx.geometry(), &bio) {
            self.group.waiting.push(bio);
        } else {
            self.end(ctx, bio, Status::OK);
        }
    }

    /// Commits what is pending, shows it to the I/O path, and acknowledges what waited for it.
    ///
    /// Whoever held the repair lock calls this before it is let go.
    ///
    /// On an error all of it is taken back; those that waited for it were told so.
    pub(crate) fn settle(&mut self, ctx: &Context) -> Result<(), Dead> {
        if self.group.records.is_empty() {
            return Ok(());
        }
        let records = core::mem::take(&mut self.group.records);
        let done = self.commit(ctx, &records, false);
        self.group.records = records;
        let status = match done {
            Ok(()) => {
                self.release_freed();
                Status::OK
            }
            Err(Dead) => {
                self.failed_commits += 1;
                self.fall_back(ctx);
                Status::IOERR
            }
        };
        // `make_room` is followed by `Nodes::ready`, which leaves memory for this.
        if self.show_all(ctx).is_err() {
            pr_err!("{}: out of memory for the map\n", ctx.name());
        }
        self.group.records.clear();
        self.group.units.clear();
        self.group.freed.clear();
        self.publish_summary(ctx);
        for bio in self.group.waiting.take_all() {
            bio.complete(status);
        }
        done
    }

    /// Makes free what the commit that was made frees, unless a region of the metadata misses it:
    /// that region says that the units are in use, and might yet be believed.
    fn release_freed(&mut self) {
        let withhold = self.metadata.lacks_region();
        for at in 0..self.group.freed.len() {
            let Some(&spare) = self.group.freed.get(at) else {
                continue;
            };
            if !withhold {
                self.spares.release(spare);
            } else {
                // One for which there is no room is free after the next load.
                let _ = self.withheld.push_within_capacity(spare);
            }
        }
    }

    /// Makes free what was withheld, since all regions have all commits.
    pub(crate) fn release_withheld(&mut self) {
        while let Some(spare) = self.withheld.pop() {
            self.spares_freed = true;
            self.spares.release(spare);
        }
    }

    /// Takes back what could not be committed.
    fn fall_back(&mut self, ctx: &Context) {
        let geometry = ctx.geometry();
        for at in 0..self.group.units.len() {
            let Some(&unit) = self.group.units.get(at) else {
                continue;
            };
            let all = geometry.blocks_of(unit);
            let (after, before) = (self.map.get(unit), self.fallback.get(unit));
            self.count_entry(after, all, u64::wrapping_sub);
            self.count_entry(before, all, u64::wrapping_add);
        }
        self.map = self.fallback.clone();
    }
}
