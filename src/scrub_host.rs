// SPDX-License-Identifier: GPL-2.0

//! What the instance does about the units that its scan finds.

use crate::{
    context::Context,
    counters::Count,
    executor::{
        report::Outcome,
        task::Machine, //
    },
    instance::Instance,
    moves::this_cpu,
    published_map::Map,
    scan::ScrubHost, //
};
use kernel::prelude::*;
use kernel_ext::noio::NoIo;
use remap_core::{
    engine::{
        finding::Finding,
        relocation::{
            self,
            Cause,
            Relocation, //
        }, //
    },
    geometry::Unit, //
};

impl ScrubHost for Instance {
    fn ctx(&self) -> &Context {
        &self.ctx
    }

    fn snapshot(&self) -> Map {
        self.ctx.lookup.published_map()
    }

    fn found_well(&self, unit: Unit) {
        // Without memory for that it stays a suspect until the next pass.
        let _ = self.with_engine(|machines, _| machines.engine.clear_suspect(unit));
    }

    fn found_unreadable(&self, unit: Unit) -> bool {
        if !self.ctx.may_scan() {
            return false;
        }
        let machine = Machine::Finding(unit, Finding::new(unit));
        let outcome = NoIo::run(|| self.run_one(machine));
        matches!(outcome, Ok(Outcome::Finding { is_new: true }))
    }

    fn found_weak(&self, unit: Unit, may_move: bool) -> bool {
        let moved = may_move && self.move_weak(unit);
        self.note_change();
        if moved {
            self.ctx.lookup.count(Count::ScanMoved);
        }
        moved
    }

    fn note_change(&self) {
        self.with_engine(|machines, _| machines.note_change());
    }

    fn note_failed(&self, error: Error) {
        pr_err!("{}: no scan: error {}\n", self.ctx.name(), error.to_errno());
        self.note_change();
    }
}

impl Instance {
    /// Moves a weak unit to the spare, if nothing speaks against it and all of it can be read;
    /// whether it was moved. Sleeps, as long as devices take.
    fn move_weak(&self, unit: Unit) -> bool {
        if !self.ctx.may_scan() || self.ctx.is_read_only() {
            return false;
        }
        let machine = Machine::Relocation(Relocation::new(unit, Cause::Weak, this_cpu()));
        match NoIo::run(|| self.run_one(machine)) {
            Ok(Outcome::Relocation(relocation::Outcome::Staged { group, .. })) => {
                self.wait_durable(group)
            }
            _ => false,
        }
    }
}
