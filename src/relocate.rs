// SPDX-License-Identifier: GPL-2.0

//! Moving a unit: from main to the spare, from one spare unit to another, and back.
//!
//! A unit is moved in six steps: it is marked busy in the published map, so that new bios for it
//! wait for the repair lock; bios that were mapped before are waited for; the unit is copied; a
//! commit makes durable where it is now; the map that says so is published; and those that waited
//! go on when the lock is released. The last three are done for all moves of a batch at once, see
//! `commit.rs`.

use crate::{
    context::Context,
    counters::Count,
    errors::bad_sector,
    group::OnFailure,
    layout::bytes_from,
    moment::pause,
    refusal::Refusal,
    repair::{
        Overlay,
        Repair, //
    },
    retry::confirmed, //
};
use kernel::{
    cpu::CpuId,
    prelude::*, //
};
use kernel_ext::bio::{
    Status,
    Transfer, //
};
use remap_core::{
    blocks::Blocks,
    breaker::Trip,
    confirm::WAITS,
    fixed::Fixed,
    geometry::{
        SpareUnit,
        Unit, //
    },
    index::{
        Entry,
        Gate,
        OutOfMemory,
        State, //
    }, //
};

/// How many spare units are tried for one unit.
const TRIES: usize = 8;
/// Spare units that failed to be written.
type Failed = Fixed<SpareUnit, TRIES>;
/// How many of them are those that come next; the others are spread over the spare.
const NEAR_TRIES: usize = 4;

/// Why a unit is moved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A write to it failed.
    Write,
    /// It can be read, but not easily.
    Weak,
    /// Somebody asked for it.
    Message {
        /// Blocks that cannot be read are given up.
        is_lossy: bool,
    },
}

impl Cause {
    /// Whether blocks may be lost that cannot be read.
    fn accepts_losses(self) -> bool {
        match self {
            Self::Write => true,
            Self::Weak => false,
            Self::Message { is_lossy } => is_lossy,
        }
    }

    /// Whether the breaker counts it.
    fn is_counted(self) -> bool {
        !matches!(self, Self::Message { .. })
    }
}

/// Why a unit stays where it is.
pub(crate) enum Stay {
    /// No spare unit is left.
    NoSpare,
    /// The spare, or main, failed.
    Io(Status),
    /// Blocks cannot be read, and may not be lost.
    Unreadable,
    /// Blocks cannot be read, and nothing else where they are can: the device is away, and may have
    /// them.
    Away(Status),
    /// The breaker is open.
    Tripped,
    /// No copy of the metadata can be written.
    Frozen,
    /// No memory.
    NoMemory,
}

impl Stay {
    /// What a write ends with that `failed` and needed the move, and why the unit stays.
    fn told(self, failed: Status) -> (Status, &'static str) {
        match self {
            Self::NoSpare => (Status::IOERR, "no spare unit is left"),
            Self::NoMemory => (Status::IOERR, "out of memory"),
            Self::Frozen => (Status::IOERR, "no copy of the metadata can be written"),
            Self::Tripped => (failed, "the breaker is open"),
            Self::Unreadable => (Status::MEDIUM, "blocks of it cannot be read"),
            Self::Away(status) => (status, "nothing else on its device can be read either"),
            Self::Io(status) => (status, "a device fails"),
        }
    }
}

impl Repair {
    /// Moves `unit` because what `overlay` writes failed with `status` where it is.
    pub(crate) fn relocate_for(
        &mut self,
        ctx: &Context,
        unit: Unit,
        overlay: Overlay<'_>,
        status: Status,
    ) -> Result<(), Status> {
        let sector = ctx.mapped(overlay.sectors.start);
        match self.relocate(ctx, unit, Some(overlay), Cause::Write) {
            Ok(lost) => {
                ctx.counters.add(Count::Relocated, 1);
                if ctx.log.allows() {
                    pr_warn!(
                        "{}: write at sector {} failed, moving its unit to the spare, {} blocks lost\n",
                        ctx.name(),
                        sector,
                        lost
                    );
                }
                Ok(())
            }
            Err(stay) => {
                let (status, reason) = stay.told(status);
                if ctx.log.allows() {
                    pr_err!(
                        "{}: write at sector {} failed and the unit stays: {}\n",
                        ctx.name(),
                        sector,
                        reason
                    );
                }
                Err(status)
            }
        }
    }

    /// Moves `unit` to a spare unit, with what `overlay` writes; how many of its blocks are lost.
    ///
    /// The move is pending until the caller [settles](Self::settle) it.
    pub(crate) fn relocate(
        &mut self,
        ctx: &Context,
        unit: Unit,
        mut overlay: Option<Overlay<'_>>,
        cause: Cause,
    ) -> Result<u32, Stay> {
        self.make_room(ctx).map_err(|_| Stay::Frozen)?;
        self.ready(ctx);
        let spare = self.next_spare(ctx, unit)?;
        // Only where there is a spare unit is there anything to be admitted.
        if !self.may_move(ctx, cause) {
            self.spares.release(spare);
            return Err(Stay::Tripped);
        }
        let state = self.state(unit);
        if let Err(stay) = self.freeze(ctx, unit, state) {
            self.spares.release(spare);
            return Err(stay);
        }
        let geometry = ctx.geometry();
        let all = geometry.blocks_of(unit);
        let written = overlay
            .as_ref()
            .map_or(Blocks::NONE, |o| geometry.blocks_at(unit, &o.sectors));
        let mut failed = Fixed::new();
        let moved = match self.collect(ctx, unit, state, all.minus(written), cause) {
            Ok(kept) => self
                .fill_spare(ctx, unit, spare, kept, &mut overlay, &mut failed)
                .map(|spare| (spare, kept.union(written))),
            Err(stay) => {
                self.spares.release(spare);
                Err(stay)
            }
        };
        let (spare, valid) = match moved {
            Ok(there) => there,
            Err(stay) => {
                self.thaw(ctx, unit)?;
                self.retire_or_release(ctx, &stay, &failed);
                return Err(stay);
            }
        };
        let after = State::Relocated { spare, valid };
        // Without a write both places have the same data.
        let on_failure = match overlay {
            Some(_) => OnFailure::Unknown,
            None => OnFailure::Stuck,
        };
        self.pend(ctx, unit, after, on_failure)
            .map_err(|_| Stay::NoMemory)?;
        if let State::Relocated { spare: old, .. } = state {
            self.retire(ctx, old);
        }
        if cause.is_counted() {
            let now = ctx.milliseconds();
            self.breaker.count(now, self.free_spares());
        }
        self.moves += 1;
        self.note_change();
        Ok(all.minus(valid).count())
    }

    /// Whether the breaker lets a unit be moved.
    fn may_move(&mut self, ctx: &Context, cause: Cause) -> bool {
        match cause {
            Cause::Message { .. } => true,
            Cause::Write => self.admit(ctx),
            Cause::Weak => {
                let now = ctx.milliseconds();
                self.breaker.has_room(now, self.free_spares())
            }
        }
    }

    /// Retires the spare units that failed if they were the last and the spare takes a commit;
    /// otherwise they are free again, since a spare that takes no write has no bad units.
    fn retire_or_release(&mut self, ctx: &Context, stay: &Stay, failed: &Failed) {
        let were_last = matches!(stay, Stay::NoSpare) && !failed.is_empty();
        let are_bad = were_last && self.spare_takes_a_commit(ctx);
        for &spare in failed.iter() {
            match are_bad {
                true => self.retire(ctx, spare),
                false => self.spares.release(spare),
            }
        }
    }

    /// Marks `unit` busy and waits until nobody has I/O to it in flight.
    fn freeze(&mut self, ctx: &Context, unit: Unit, state: State) -> Result<(), Stay> {
        if self.is_frozen(unit) {
            return Ok(());
        }
        let gate = Gate::Busy;
        self.show(ctx, unit, Some(Entry { gate, state }))
            .map_err(|_| Stay::NoMemory)?;
        ctx.maps.synchronize();
        Ok(())
    }

    /// Whether `unit` was marked busy, and waited for, since the lock was taken.
    fn is_frozen(&self, unit: Unit) -> bool {
        let shown = self.shown.home().get(unit);
        shown.is_some_and(|entry| entry.gate == Gate::Busy)
    }

    /// Does with all of these units that are not on the spare what [`Self::freeze`] does with one,
    /// and waits once.
    pub(crate) fn freeze_all(
        &mut self,
        ctx: &Context,
        units: impl Iterator<Item = Unit>,
    ) -> Result<(), OutOfMemory> {
        for unit in units {
            let state = self.state(unit);
            if !matches!(state, State::Relocated { .. }) {
                if let Err(error) = self.freeze_next(ctx, unit, state) {
                    self.shown.follow(&self.map, &[]);
                    return Err(error);
                }
            }
        }
        self.publish(ctx)?;
        ctx.maps.synchronize();
        Ok(())
    }

    /// Marks `unit` busy in the map that is published next.
    fn freeze_next(&mut self, ctx: &Context, unit: Unit, state: State) -> Result<(), OutOfMemory> {
        self.ready(ctx);
        let busy = Entry {
            gate: Gate::Busy,
            state,
        };
        self.set_shown(unit, Some(busy))
    }

    /// Lets others use those of these units that were frozen and not moved.
    pub(crate) fn thaw_all(&mut self, ctx: &Context, units: impl Iterator<Item = Unit>) {
        for unit in units {
            self.ready(ctx);
            if self.is_frozen(unit) && self.thaw(ctx, unit).is_err() {
                pr_err!("{}: out of memory for the map\n", ctx.name());
            }
        }
    }

    /// Lets others use `unit` again, unless a commit about it is pending.
    fn thaw(&mut self, ctx: &Context, unit: Unit) -> Result<(), Stay> {
        if self.group.has(unit) {
            return Ok(());
        }
        let entry = self.map.get(unit);
        self.show(ctx, unit, entry).map_err(|_| Stay::NoMemory)
    }

    /// Takes a unit of the spare for `unit`.
    fn next_spare(&mut self, ctx: &Context, unit: Unit) -> Result<SpareUnit, Stay> {
        let before = self.spares.level();
        let cpu = CpuId::current().as_u32() as usize;
        let before_on_main = unit.0.checked_sub(1).map(|unit| self.state(Unit(unit)));
        let neighbour = match before_on_main {
            Some(State::Relocated { spare, .. }) => Some(spare),
            _ => None,
        };
        let found = self.magazines.take(cpu, neighbour, &mut self.spares);
        if found.is_none() {
            ctx.counters.add(Count::NoSpare, 1);
            self.no_spare = true;
        }
        let now = self.spares.level();
        if now > before {
            self.note_change();
            pr_warn!("{}: {}% of the spare units are used up\n", ctx.name(), now);
        }
        found.ok_or(Stay::NoSpare)
    }

    /// Makes free what is put aside.
    pub(crate) fn put_back_spares(&mut self) {
        self.magazines.put_back(&mut self.spares);
    }

    fn retire(&mut self, ctx: &Context, spare: SpareUnit) {
        ctx.counters.add(Count::Retired, 1);
        self.spares.retire(spare);
        self.note_retired(spare);
        self.note_change();
    }

    /// Reads the blocks `wanted` of a unit from where they are; those that could be read.
    ///
    /// An error that does not speak of the medium loses nothing: it ends the move. Nor does one
    /// that does while nothing else on the device can be read: the device may be back in a moment,
    /// with the data.
    fn collect(
        &mut self,
        ctx: &Context,
        unit: Unit,
        from: State,
        wanted: Blocks,
        cause: Cause,
    ) -> Result<Blocks, Stay> {
        let wanted = match from {
            State::Relocated { valid, .. } => wanted.minus(wanted.minus(valid)),
            State::Main | State::Suspect => wanted,
        };
        let mut got = Blocks::NONE;
        for wait in WAITS {
            pause(wait);
            let missing = wanted.minus(got);
            got = got.union(self.collect_once(ctx, unit, from, missing)?);
            if got == wanted {
                return Ok(got);
            }
            // Lost is what fails again between two looks that find its device working.
            self.source_works(ctx, unit, from, cause)?;
        }
        match cause.accepts_losses() {
            true => Ok(got),
            false => Err(Stay::Unreadable),
        }
    }

    /// An error unless the device that `unit` is on can be read elsewhere. Trips the breaker for a
    /// write if main cannot.
    fn source_works(
        &mut self,
        ctx: &Context,
        unit: Unit,
        from: State,
        cause: Cause,
    ) -> Result<(), Stay> {
        let is_on_spare = matches!(from, State::Relocated { .. });
        let works = match is_on_spare {
            true => self.spare_works(ctx),
            false => self.main_works(ctx, unit),
        };
        if works {
            return Ok(());
        }
        if !is_on_spare && cause == Cause::Write && self.is_closed() {
            self.trip(ctx, Trip::Unreadable);
        }
        Err(Stay::Away(Status::IOERR))
    }

    fn collect_once(
        &mut self,
        ctx: &Context,
        unit: Unit,
        from: State,
        wanted: Blocks,
    ) -> Result<Blocks, Stay> {
        let mut got = Blocks::NONE;
        for run in wanted.runs() {
            if self.collect_run(ctx, unit, from, run.clone()).is_ok() {
                got = got.union(Blocks::range(run));
                continue;
            }
            for block in run {
                match self.collect_run(ctx, unit, from, block..block + 1) {
                    Ok(()) => got = got.union(Blocks::range(block..block + 1)),
                    Err(status) if bad_sector(status) => {}
                    Err(status) => return Err(Stay::Io(status)),
                }
            }
        }
        Ok(got)
    }

    fn collect_run(
        &mut self,
        ctx: &Context,
        unit: Unit,
        from: State,
        blocks: core::ops::Range<u32>,
    ) -> Result<(), Status> {
        let geometry = ctx.geometry();
        let sectors = geometry.sectors_at(unit, blocks);
        let (device, at) = match from {
            State::Relocated { spare, .. } => {
                (ctx.spare(), geometry.on_spare(spare, sectors.start))
            }
            State::Main | State::Suspect => (ctx.main(), geometry.on_main(sectors.start)),
        };
        let bytes = bytes_from(geometry.sectors_of(unit).start, &sectors);
        let buffer = &mut self.unit;
        ctx.bios.transfer(Transfer::Read, device, at, buffer, bytes)
    }

    /// Writes the kept blocks and the overlay to `spare`, or to the next where that fails.
    ///
    /// Those that failed are given up once another took it. If none did they are in `failed`.
    fn fill_spare(
        &mut self,
        ctx: &Context,
        unit: Unit,
        mut spare: SpareUnit,
        kept: Blocks,
        overlay: &mut Option<Overlay<'_>>,
        failed: &mut Failed,
    ) -> Result<SpareUnit, Stay> {
        loop {
            let status = match confirmed(|| self.write_unit(ctx, unit, spare, kept, overlay)) {
                Ok(()) => {
                    // What fails once more, while another works, is bad.
                    for &bad in failed.iter() {
                        match self.write_unit(ctx, unit, bad, kept, overlay) {
                            Ok(()) => self.spares.release(bad),
                            Err(_) => self.retire(ctx, bad),
                        }
                    }
                    return Ok(spare);
                }
                Err(status) => status,
            };
            // There is room: the last one ends it.
            let _ = failed.push(spare);
            if failed.is_full() || !bad_sector(status) || !self.spare_works(ctx) {
                return Err(Stay::Io(status));
            }
            spare = self.another_spare(ctx, unit, failed.len())?;
        }
    }

    /// A spare unit for `unit` after `failed` others failed.
    fn another_spare(
        &mut self,
        ctx: &Context,
        unit: Unit,
        failed: usize,
    ) -> Result<SpareUnit, Stay> {
        let far = failed.checked_sub(NEAR_TRIES).and_then(|part| {
            let parts = (TRIES - NEAR_TRIES) as u64;
            self.spares.allocate_in(part as u64, parts)
        });
        match far {
            Some(spare) => Ok(spare),
            None => self.next_spare(ctx, unit),
        }
    }

    fn write_unit(
        &mut self,
        ctx: &Context,
        unit: Unit,
        spare: SpareUnit,
        kept: Blocks,
        overlay: &mut Option<Overlay<'_>>,
    ) -> Result<(), Status> {
        let geometry = ctx.geometry();
        let through = Transfer::WriteThrough;
        let device = ctx.spare();
        for run in kept.runs() {
            let sectors = geometry.sectors_at(unit, run);
            let at = geometry.on_spare(spare, sectors.start);
            let bytes = bytes_from(geometry.sectors_of(unit).start, &sectors);
            let buffer = &mut self.unit;
            ctx.bios.transfer(through, device, at, buffer, bytes)?;
        }
        if let Some(overlay) = overlay {
            let at = geometry.on_spare(spare, overlay.sectors.start);
            self.put(ctx, through, device, at, overlay)?;
        }
        Ok(())
    }

    /// Moves `unit` back to main.
    ///
    /// The move is pending until the caller [settles](Self::settle) it.
    pub(crate) fn unrelocate(&mut self, ctx: &Context, unit: Unit) -> Result<(), Refusal<'static>> {
        let at = ctx.mapped(ctx.geometry().sectors_of(unit).start);
        let State::Relocated { spare, valid } = self.state(unit) else {
            return Err(Refusal::NotRelocated(at));
        };
        if !valid.contains(ctx.geometry().blocks_of(unit)) {
            return Err(Refusal::Lost(at));
        }
        self.make_room(ctx).map_err(|_| Refusal::Frozen)?;
        self.ready(ctx);
        self.freeze(ctx, unit, self.state(unit))
            .map_err(|_| Refusal::NoMemory)?;
        if let Err(refusal) = self.copy_back(ctx, unit, spare) {
            self.thaw(ctx, unit).map_err(|_| Refusal::NoMemory)?;
            return Err(refusal);
        }
        self.pend(ctx, unit, State::Main, OnFailure::Stuck)
            .map_err(|_| Refusal::NoMemory)?;
        self.free_later(spare);
        self.note_change();
        Ok(())
    }

    /// Copies a spare unit to main and checks that main gives it back.
    fn copy_back(
        &mut self,
        ctx: &Context,
        unit: Unit,
        spare: SpareUnit,
    ) -> Result<(), Refusal<'static>> {
        let geometry = ctx.geometry();
        let sectors = geometry.sectors_of(unit);
        let bytes = bytes_from(sectors.start, &sectors);
        let main_fails = Refusal::MainFails(ctx.mapped(sectors.start));
        let (from, to) = (
            geometry.on_spare(spare, sectors.start),
            geometry.on_main(sectors.start),
        );
        let bios = &ctx.bios;
        let buffer = &mut self.unit;
        bios.transfer(Transfer::Read, ctx.spare(), from, buffer, bytes.clone())
            .map_err(|_| Refusal::SpareFails(ctx.mapped(sectors.start)))?;
        let through = Transfer::WriteThrough;
        bios.transfer(through, ctx.main(), to, buffer, bytes.clone())
            .and_then(|()| self.read_whole(ctx, unit))
            .map_err(|_| main_fails)?;
        if self.unit.same(&mut self.check, bytes) {
            Ok(())
        } else {
            Err(main_fails)
        }
    }
}
