// SPDX-License-Identifier: GPL-2.0

//! Tells a bad sector from a device that fails as a whole, before a spare unit is used.

use crate::{
    context::Context,
    repair::Repair, //
};
use kernel::prelude::*;
use kernel_ext::{
    bio::Transfer,
    block_device::BlockDevice, //
};
use remap_core::{
    breaker::Trip,
    geometry::Unit, //
};

/// For how many milliseconds it is believed that nothing on main can be read.
const AWAY: u64 = 1000;

impl Repair {
    /// Trips the breaker if main, which does not take a write to `unit`, does not work elsewhere
    /// either. Whether it is closed: nothing is to be done about the write while it is open. May
    /// sleep.
    pub(crate) fn probe(&mut self, ctx: &Context, unit: Unit) -> bool {
        if !self.is_closed() {
            return false;
        }
        if !self.main_works(ctx, unit) {
            self.trip(ctx, Trip::Unreadable);
        } else if !self.main_takes_writes(ctx) {
            self.trip(ctx, Trip::Unwritable);
        }
        self.is_closed()
    }

    /// Whether a commit can be written to main, where main has metadata; else nothing is known.
    fn main_takes_writes(&mut self, ctx: &Context) -> bool {
        if !self.metadata.can_write_main() {
            return true;
        }
        let written = self
            .settle(ctx)
            .and_then(|()| self.make_room(ctx))
            .and_then(|()| self.commit(ctx, &[], false));
        // Where no commit can be made nothing is relocated, whatever main does.
        written.is_err() || self.metadata.main_took_one()
    }

    /// Trips the breaker if one unit more that fails is one too many. Whether it is closed.
    pub(crate) fn admit(&mut self, ctx: &Context) -> bool {
        let was_closed = self.is_closed();
        let is_admitted = self.breaker.admit(ctx.milliseconds(), self.free_spares());
        if let (true, Some(why)) = (was_closed, self.breaker.open()) {
            self.trip(ctx, why);
        }
        is_admitted
    }

    /// How many spare units are neither in use nor retired.
    pub(crate) fn free_spares(&self) -> u64 {
        let gone = self.spares.in_use().saturating_add(self.spares.retired());
        self.spares.units().saturating_sub(gone)
    }

    /// Whether units are relocated.
    pub(crate) fn is_closed(&self) -> bool {
        self.breaker.open().is_none()
    }

    pub(crate) fn trip(&mut self, ctx: &Context, why: Trip) {
        self.breaker.trip(why);
        ctx.set_tripped(true);
        self.note_change();
        self.publish_summary(ctx);
        pr_err!(
            "{}: {}, nothing is relocated any more until 'rearm'\n",
            ctx.name(),
            why.reason()
        );
    }

    /// Whether main, which fails to read at `unit`, can be read elsewhere. That it cannot is
    /// believed for a while, and not asked again. May sleep.
    pub(crate) fn main_reads(&mut self, ctx: &Context, unit: Unit) -> bool {
        let now = ctx.milliseconds();
        let is_fresh = |at: u64| now.saturating_sub(at) < AWAY;
        if self.main_failed_at.is_some_and(is_fresh) {
            return false;
        }
        let works = self.main_works(ctx, unit);
        self.main_failed_at = (!works).then_some(now);
        works
    }

    /// Whether a block can be read on main, far from `unit`.
    pub(crate) fn main_works(&mut self, ctx: &Context, unit: Unit) -> bool {
        let geometry = ctx.geometry();
        let mut others = geometry.far_from(unit);
        geometry.units() == 1
            || others.any(|other| {
                let at = geometry.on_main(geometry.sectors_of(other).start);
                self.reads(ctx, ctx.main(), at)
            })
    }

    /// Whether a commit can be made, which the spare has to take. Not while a unit is being moved:
    /// what is pending is settled.
    pub(crate) fn spare_takes_a_commit(&mut self, ctx: &Context) -> bool {
        self.settle(ctx)
            .and_then(|()| self.make_room(ctx))
            .and_then(|()| self.commit(ctx, &[], false))
            .is_ok()
    }

    /// Whether a block can be read where the spare has its metadata.
    pub(crate) fn spare_works(&mut self, ctx: &Context) -> bool {
        let starts = ctx.geometry().spare_regions();
        let mut starts = starts.iter();
        starts.any(|&at| self.reads(ctx, ctx.spare(), at))
    }

    fn reads(&mut self, ctx: &Context, device: &BlockDevice, at: u64) -> bool {
        let bytes = 0..(ctx.geometry().block_sectors() << 9) as usize;
        let check = &mut self.check;
        let read = ctx.bios.transfer(Transfer::Read, device, at, check, bytes);
        read.is_ok()
    }
}
