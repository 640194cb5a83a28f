// SPDX-License-Identifier: GPL-2.0

//! Tells a bad sector from a device that fails as a whole, before a spare unit is used.

use crate::{
    instance::Instance,
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

impl Repair {
    /// Trips the breaker if main, which does not take a write to `unit`, does not work elsewhere either.
    /// Whether it is closed: nothing is to be done about the write while it is open. May sleep.
    pub(crate) fn probe(&mut self, instance: &Instance, unit: Unit) -> bool {
        if !self.is_closed() {
            return false;
        }
        if !self.main_works(instance, unit) {
            self.trip(instance, Trip::Unreadable);
        } else if !self.main_takes_writes(instance) {
            self.trip(instance, Trip::Unwritable);
        }
        self.is_closed()
    }

    /// Whether a commit can be written to main, where main has metadata; else nothing is known.
    fn main_takes_writes(&mut self, instance: &Instance) -> bool {
        if !self.metadata.has_good_on_main() {
            return true;
        }
        self.settle(instance);
        let written = self
            .make_room(instance)
            .and_then(|()| self.commit(instance, &[], false));
        written.is_err() || self.metadata.has_good_on_main()
    }

    /// Counts one more unit that cannot be written; trips the breaker if that is one too many. Whether it is
    /// closed.
    pub(crate) fn admit(&mut self, instance: &Instance) -> bool {
        if self.is_closed() && !self.breaker.admit(instance.milliseconds()) {
            self.trip(instance, Trip::TooMany);
        }
        self.is_closed()
    }

    /// Whether units are relocated.
    pub(crate) fn is_closed(&self) -> bool {
        self.breaker.open().is_none()
    }

    fn trip(&mut self, instance: &Instance, why: Trip) {
        self.breaker.trip(why);
        instance.set_tripped(true);
        self.note_change();
        pr_err!(
            "{}: {}, nothing is relocated any more until 'rearm'\n",
            instance.name(),
            why.reason()
        );
    }

    /// Whether a block can be read on main, far from `unit`.
    fn main_works(&mut self, instance: &Instance, unit: Unit) -> bool {
        let geometry = instance.geometry();
        let mut others = geometry.far_from(unit);
        geometry.units() == 1
            || others.any(|other| {
                let at = geometry.on_main(geometry.sectors_of(other).start);
                self.reads(instance, instance.main(), at)
            })
    }

    /// Whether a block can be read where the spare has its metadata.
    pub(crate) fn spare_works(&mut self, instance: &Instance) -> bool {
        let starts = instance.geometry().spare_regions();
        let mut starts = starts.iter();
        starts.any(|&at| self.reads(instance, instance.spare(), at))
    }

    fn reads(&mut self, instance: &Instance, device: &BlockDevice, at: u64) -> bool {
        let bytes = 0..(instance.geometry().block_sectors() << 9) as usize;
        let check = &mut self.check;
        let read = instance
            .bios
            .transfer(Transfer::Read, device, at, check, bytes);
        read.is_ok()
    }
}
