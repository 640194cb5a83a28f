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
    bio_context::BioContext,
    errors,
    layout::bytes_from, //
};
use core::ops::Range;
use kernel::sync::Arc;
use kernel_ext::{
    bio::Transfer,
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
    pub(super) fn begin(self: &Arc<Self>, mut task: Unique<Task>) -> bool {
        let next = core::mem::replace(&mut task.next, Next::Step(Event::Woken));
        let Next::Begin(action) = next else {
            go_on(task, Event::Woken);
            return false;
        };
        match action {
            Action::Io(io) => self.begin_io(task, io),
            Action::Compare(sectors) => self.compare(task, &sectors),
            Action::Sleep(0) => go_on(task, Event::Slept),
            Action::Sleep(wait) => {
                task.until = self.instance.ctx.milliseconds().saturating_add(wait.into());
                self.sleepers.push(task, wait);
            }
            Action::Quiesce => {
                self.instance.buffers.put(&mut task);
                self.quiescer.push(task);
            }
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

    fn begin_io(self: &Arc<Self>, mut task: Unique<Task>, io: Io) {
        let ctx = &self.instance.ctx;
        let device = self.device(io.device);
        if io.verb == Verb::Discard && !device.takes_discards() {
            return go_on(task, Event::Io(Ok(())));
        }
        let place = (transfer_of(io.verb), device, io.at);
        match io.data {
            // What may have to wait for a control group's limits does not hold up others here.
            Data::Bio if io.is_mapped => {
                task.next = Next::Begin(Action::Io(io));
                self.push_client(task);
            }
            Data::Bio => OwnedBio::submit_part(&ctx.bios, place, task, io.sectors, false, bio_of),
            Data::Zeroes => {
                let bytes = bytes_from(io.sectors.start, &io.sectors).end;
                ctx.bios.submit_zeroes(place, task, bytes);
            }
            Data::Unit | Data::Check => {
                let bytes = self.in_buffer(&io.sectors);
                if let Some(task) = self.instance.buffers.get(task) {
                    ctx.bios.submit(place, task, |task| {
                        let buffer = task.buffers.as_mut()?.of(io.data)?;
                        Some((buffer, bytes))
                    });
                }
            }
        }
    }

    /// Submits I/O with the data of a bio on behalf of its submitter. Sleeps, as long as that one's
    /// limits say.
    pub(super) fn begin_client_io(&self, mut task: Unique<Task>) {
        let next = core::mem::replace(&mut task.next, Next::Step(Event::Woken));
        let Next::Begin(Action::Io(io)) = next else {
            return go_on(task, Event::Woken);
        };
        let device = self.device(io.device);
        let place = (transfer_of(io.verb), device, io.at);
        let set = &self.instance.ctx.client_bios;
        OwnedBio::submit_part(set, place, task, io.sectors, true, bio_of);
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

/// How what a machine wants is done: what it writes is durable then.
fn transfer_of(verb: Verb) -> Transfer {
    match verb {
        Verb::Read => Transfer::Read,
        Verb::Write => Transfer::WriteThrough,
        Verb::Discard => Transfer::Discard,
    }
}

/// The bio that a task serves.
fn bio_of(task: &mut Task) -> Option<&mut OwnedBio<BioContext>> {
    task.bio.as_mut()
}
