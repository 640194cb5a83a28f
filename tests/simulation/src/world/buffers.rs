// SPDX-License-Identifier: GPL-2.0

//! The buffers of machines, of which there are few: a machine that finds none waits, and looks again
//! when it has some.
//!
//! As in the module, a machine gives its buffers back before it waits for anything but a probe, and
//! before a grace period. What they held is lost then.

use super::*;

impl World {
    /// Whether a machine has buffers for its I/O, if that needs any. Else it waits for some.
    pub(super) fn has_buffers(&mut self, id: u64, io: &Io) -> bool {
        let needs_some = matches!(io.data, Data::Unit | Data::Check);
        let Some(task) = self.tasks.get_mut(&id) else {
            return false;
        };
        // The prober has its own.
        if !needs_some || task.has_buffers || matches!(task.machine, Machine::Prober(_)) {
            return true;
        }
        if self.free_buffers == 0 {
            self.wants_buffers.push_back(id);
            return false;
        }
        self.free_buffers -= 1;
        task.has_buffers = true;
        true
    }

    /// Takes the buffers of a machine back.
    pub(super) fn put_buffers(&mut self, id: u64) {
        let Some(task) = self.tasks.get_mut(&id) else {
            return;
        };
        if !std::mem::take(&mut task.has_buffers) {
            return;
        }
        task.unit.fill(Sector::Value(u64::MAX));
        task.check.fill(Sector::Value(u64::MAX - 1));
        self.free_buffers += 1;
        let Some(next) = self.wants_buffers.pop_front() else {
            return;
        };
        if let Some(task) = self.tasks.get_mut(&next) {
            self.free_buffers -= 1;
            task.has_buffers = true;
            self.ready.push((next, Event::Woken));
        }
    }

    /// Nobody has buffers, or wants some.
    pub(super) fn reset_buffers(&mut self) {
        self.free_buffers = self.config.buffers;
        self.wants_buffers.clear();
    }
}
