// SPDX-License-Identifier: GPL-2.0

//! Group commit: relocations that arrive together are made durable by one commit.
//!
//! The holder of the repair lock keeps three maps. `map` is how things will be when the commit that
//! is being put together is durable; `shown` is what the I/O path sees until then, with the units
//! in question busy; `fallback` is how things stay if it cannot be made durable. All three share
//! most of their nodes, and are one and the same while nothing is pending. So nothing is left to be
//! allocated between a commit and the acknowledgement of the writes that needed it.

use crate::{
    bio_context::BioContext,
    context::Context,
    group::OnFailure,
    repair::Repair, //
};
use kernel::prelude::*;
use kernel_ext::{
    bio::Status,
    device_mapper::OwnedBio, //
};
use remap_core::{
    geometry::{
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
        journal::{
            contents,
            Dead, //
        },
        record::Record, //
    }, //
};

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
        let gate = match on_failure {
            OnFailure::Unchanged => None,
            OnFailure::Stuck => Some(Gate::Stuck),
            OnFailure::Unknown => Some(Gate::Unknown),
        };
        if let Some(gate) = gate {
            let before = self.fallback.get(unit);
            let shut = Entry {
                gate,
                state: before.map_or(State::Main, |entry| entry.state),
            };
            self.fallback = self.fallback.set(&mut self.nodes, unit, Some(shut))?;
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
    /// The instance calls this before the repair lock is let go; others need it only to go on from
    /// what is durable.
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

    /// Makes a commit durable. `clean` marks the array as shut down in order.
    ///
    /// On an error it is not known whether the commit is on disk, and relocation is frozen.
    pub(crate) fn commit(
        &mut self,
        ctx: &Context,
        records: &[Record],
        clean: bool,
    ) -> Result<(), Dead> {
        let before = self.metadata.regions();
        let done = self.metadata.commit(ctx, records, clean);
        self.note_written(ctx, before, done)
    }

    /// Makes a checkpoint if one is due. Only while the map holds what was committed and no more.
    pub(crate) fn keep_checkpoints(&mut self, ctx: &Context) -> Result<(), Dead> {
        if self.metadata.wants_checkpoint() {
            self.checkpoint(ctx)?;
        }
        Ok(())
    }

    /// Writes the whole state to all regions, those that failed too; to how many it could. Only
    /// while the map holds what was committed and no more.
    pub(crate) fn checkpoint(&mut self, ctx: &Context) -> Result<usize, Dead> {
        let before = self.metadata.regions();
        let contents = contents(&self.map, &self.spares);
        let done = self.metadata.checkpoint(ctx, contents);
        self.note_written(ctx, before, done)
    }

    /// Tries to bring regions back that failed, and leaves the others alone. Only while the map
    /// holds what was committed and no more.
    pub(crate) fn revive(&mut self, ctx: &Context) -> Result<usize, Dead> {
        let before = self.metadata.regions();
        let contents = contents(&self.map, &self.spares);
        let done = self.metadata.revive(ctx, contents);
        self.note_written(ctx, before, done)
    }

    /// Says what became of the regions; `before` is how many of them were good.
    fn note_written<R>(
        &mut self,
        ctx: &Context,
        (before, _): (usize, usize),
        done: Result<R, Dead>,
    ) -> Result<R, Dead> {
        let (good, total) = self.metadata.regions();
        if good == total {
            self.release_withheld();
        }
        if good != before {
            self.note_change();
            if ctx.log.allows() {
                pr_warn!(
                    "{}: {} of {} regions of metadata are good\n",
                    ctx.name(),
                    good,
                    total
                );
            }
        }
        let is_new = done.is_err() && self.metadata.can_write();
        if is_new {
            self.metadata.frozen = true;
            self.note_change();
            pr_err!(
                "{}: no copy of the metadata on the spare can be written, nothing is relocated any more\n",
                ctx.name()
            );
        }
        done
    }
}
