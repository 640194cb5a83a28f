// SPDX-License-Identifier: GPL-2.0

//! Beginning what a machine wants.

use super::{
    lane::Lane,
    task::{
        go_on,
        Machine,
        Next,
        Task, //
    }, //
};
use crate::{
    errors,
    layout::bytes_from, //
};
use core::ops::Range;
use kernel_ext::{
    bio::{
        BioSet,
        Transfer, //
    },
    block_device::BlockDevice,
    device_mapper::OwnedBio,
    unique::Unique, //
};
use remap_core::{
    classify::Status,
    engine::task::{
        Action,
        Data,
        Device,
        Event,
        Io,
        Verb, //
    }, //
};

impl Lane {
    /// Begins what a task wants; whether it has ended. Sleeps, but waits for no device.
    pub(super) fn begin(&self, mut task: Unique<Task>) -> bool {
        let action = match core::mem::replace(&mut task.next, Next::Step(Event::Woken)) {
            Next::Begin(action) => action,
            Next::Step(event) => {
                go_on(task, event);
                return false;
            }
            Next::Wait(_) => {
                go_on(task, Event::Woken);
                return false;
            }
        };
        match action {
            Action::Io(io) => self.begin_io(task, io),
            Action::Compare(sectors) => self.compare(task, &sectors),
            Action::Sleep(0) => go_on(task, Event::Slept),
            Action::Sleep(wait) => {
                task.until = self.instance.ctx.milliseconds().saturating_add(wait.into());
                self.sleepers.push(task, wait);
            }
            Action::Quiesce => self.quiescer.push(task),
            Action::Wait(_) => go_on(task, Event::Woken),
            Action::End(status) => {
                self.end(task, status);
                return true;
            }
        }
        false
    }

    fn device(&self, device: Device) -> &BlockDevice {
        match device {
            Device::Main => self.instance.ctx.main(),
            Device::Spare => self.instance.ctx.spare(),
        }
    }

    fn begin_io(&self, task: Unique<Task>, io: Io) {
        let set = &self.instance.ctx.bios;
        let device = self.device(io.device);
        let transfer = match io.verb {
            Verb::Read => Transfer::Read,
            Verb::Write => Transfer::WriteThrough,
            Verb::Discard if !device.takes_discards() => return go_on(task, Event::Io(Ok(()))),
            Verb::Discard => Transfer::Discard,
        };
        let place = (transfer, device, io.at);
        match io.data {
            // Nobody may have to wait for a control group's limits but its own requests.
            Data::Bio => {
                OwnedBio::submit_part(set, place, task, io.sectors, io.is_mapped, |task| {
                    task.bio.as_mut()
                })
            }
            Data::Zeroes => {
                let bytes = bytes_from(io.sectors.start, &io.sectors).end;
                BioSet::submit_zeroes(set, place, task, bytes);
            }
            Data::Unit | Data::Check => {
                let bytes = self.in_buffer(&io.sectors);
                if let Some((task, io)) = self.instance.buffers.get(task, io) {
                    BioSet::submit(set, place, task, |task| {
                        let buffer = task.buffers.as_mut()?.of(io.data)?;
                        Some((buffer, bytes))
                    });
                }
            }
        }
    }

    /// The place of sectors of a unit in a buffer.
    fn in_buffer(&self, sectors: &Range<u64>) -> Range<usize> {
        let geometry = self.instance.ctx.geometry();
        let unit = geometry.sectors_of(geometry.unit_of(sectors.start));
        bytes_from(unit.start, sectors)
    }

    fn compare(&self, mut task: Unique<Task>, sectors: &Range<u64>) {
        let bytes = self.in_buffer(sectors);
        let buffers = task.buffers.as_mut();
        let are_alike = buffers.is_some_and(|buffers| buffers.are_alike(bytes));
        let done = match are_alike {
            true => Ok(()),
            false => Err(Status::Medium),
        };
        go_on(task, Event::Io(done));
    }

    /// Ends a task.
    fn end(&self, mut task: Unique<Task>, status: Status) {
        if let Machine::Prober(_) = task.machine {
            self.instance.end_prober(task);
            return;
        }
        if let Some(bio) = task.bio.take() {
            bio.complete(errors::of_kernel(status));
        }
        self.instance.buffers.put(&mut task);
        if let (Some(report), Some(unit), Some(outcome)) =
            (task.report.take(), task.unit(), task.outcome)
        {
            report.add(unit, outcome);
        }
        if self.instance.tasks.put(task.into_blank()) {
            self.instance.wake_lanes();
        }
    }
}
