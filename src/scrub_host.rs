// SPDX-License-Identifier: GPL-2.0

//! What the instance does about the units that its scan finds.

use crate::{
    context::Context,
    counters::Count,
    instance::Instance,
    published_map::Map,
    relocate::Cause,
    repair::Repair,
    scan::ScrubHost, //
};
use kernel::prelude::*;
use remap_core::{
    geometry::Unit,
    index::State, //
};

impl ScrubHost for Instance {
    fn ctx(&self) -> &Context {
        &self.ctx
    }

    fn snapshot(&self) -> Map {
        self.with_repair(|repair, _| repair.map.clone()).0
    }

    fn found_well(&self, unit: Unit) {
        self.with_repair(|repair, ctx| repair.find_well(ctx, unit));
    }

    fn found_unreadable(&self, unit: Unit) -> bool {
        let (is_new, _) = self.with_repair(|repair, ctx| repair.find_unreadable(ctx, unit));
        is_new
    }

    fn found_weak(&self, unit: Unit, may_move: bool) -> bool {
        let (moved, _) = self.with_repair(|repair, ctx| {
            let moved = may_move && repair.move_weak(ctx, unit);
            repair.note_change();
            if moved {
                ctx.count(Count::ScanMoved);
            }
            moved
        });
        moved
    }

    fn note_change(&self) {
        self.with_repair(|repair, _| repair.note_change());
    }

    fn note_failed(&self, error: Error) {
        pr_err!("{}: no scan: error {}\n", self.ctx.name(), error.to_errno());
        self.with_repair(|repair, _| repair.note_change());
    }
}

impl Repair {
    /// Drops a suspect that the scan could read as a whole. May sleep.
    fn find_well(&mut self, ctx: &Context, unit: Unit) {
        // A write, or a message, may have done with it meanwhile.
        if self.state(unit) == State::Suspect {
            self.clear(ctx, unit);
        }
    }

    /// Makes a unit a suspect that the scan could not read; whether it was none. May sleep.
    fn find_unreadable(&mut self, ctx: &Context, unit: Unit) -> bool {
        let before = self.suspects;
        let is_on_main = self.state(unit) == State::Main;
        // A disk on which nothing can be read has no bad units.
        if ctx.may_scan() && is_on_main && self.probe(ctx, unit) {
            self.suspect(ctx, unit, ctx.geometry().sectors_of(unit).start);
        }
        self.suspects != before
    }

    /// Moves a weak unit to the spare, if nothing speaks against it and all of it can be read;
    /// whether it was moved. Sleeps.
    fn move_weak(&mut self, ctx: &Context, unit: Unit) -> bool {
        let may_move = ctx.may_scan() && !ctx.is_read_only();
        if !may_move || self.knows(unit) {
            return false;
        }
        let moved = self.relocate(ctx, unit, None, Cause::Weak).is_ok();
        let moved = self.settle(ctx).is_ok() && moved;
        let moved = moved && matches!(self.state(unit), State::Relocated { .. });
        if moved {
            ctx.counters.add(Count::Relocated, 1);
        }
        moved
    }
}
