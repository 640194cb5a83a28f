// SPDX-License-Identifier: GPL-2.0

//! Buffers for tasks, of which one pair is kept in reserve.
//!
//! Whoever has buffers waits for nobody who may need some: a task gives them back before it waits for
//! anything but a probe, whose buffer is its own, and before a grace period, which others may hold up
//! that wait for buffers. So one pair is enough for progress.

use super::{
    buffers::Buffers,
    task::{
        make_ready,
        Next,
        Task, //
    }, //
};
use kernel::{
    alloc::flags::__GFP_NOWARN,
    new_spinlock,
    prelude::*,
    sync::SpinLock, //
};
use kernel_ext::unique::{
    Unique,
    UniqueList, //
};
use remap_core::engine::task::{
    Event,
    Key, //
};

/// How many bytes are in use at most, beside the reserve.
const MOST_BYTES: usize = 4 << 20;

/// Whether a task that waits for `key` keeps its buffers: nobody who ends that wait needs some.
pub(super) fn keeps_buffers(key: Key) -> bool {
    key == Key::Probe
}

/// The buffers that nobody uses.
struct Free {
    reserve: Option<Buffers>,
    /// How many pairs are in use beside it.
    used: usize,
    /// Tasks that need some for their I/O.
    waiting: UniqueList<Task>,
}

/// Buffers for tasks.
#[pin_data]
pub(crate) struct BufferPool {
    unit_bytes: usize,
    #[pin]
    free: SpinLock<Free>,
}

impl BufferPool {
    /// Of units of so many bytes. May sleep.
    pub(crate) fn new(unit_bytes: usize) -> Result<impl PinInit<Self>> {
        let free = Free {
            reserve: Some(Buffers::new(unit_bytes, GFP_KERNEL)?),
            used: 0,
            waiting: UniqueList::new(),
        };
        Ok(pin_init!(Self {
            unit_bytes,
            free <- new_spinlock!(free, "dm_remap::buffers"),
        }))
    }

    /// Gives buffers to a task that needs them for I/O. If there are none the task waits for some, and
    /// then looks again what it wants. Process context.
    pub(super) fn get(&self, mut task: Unique<Task>) -> Option<Unique<Task>> {
        if task.buffers.is_some() {
            return Some(task);
        }
        if self.has_room() {
            match Buffers::new(self.unit_bytes, GFP_NOWAIT | __GFP_NOWARN) {
                Ok(new) => {
                    task.buffers = Some(new);
                    return Some(task);
                }
                Err(_) => self.free.lock().used -= 1,
            }
        }
        let mut free = self.free.lock();
        if let Some(reserve) = free.reserve.take() {
            task.buffers = Some(reserve);
            return Some(task);
        }
        // Whoever has the buffers may wait for the end of this section.
        task.end_section();
        task.next = Next::Step(Event::Woken);
        free.waiting.push(task);
        None
    }

    /// Whether there may be one pair more, which is counted then.
    fn has_room(&self) -> bool {
        let most = MOST_BYTES / (2 * self.unit_bytes);
        let mut free = self.free.lock();
        let has_room = free.used < most;
        free.used += usize::from(has_room);
        has_room
    }

    /// Takes the buffers of a task back. Process context.
    pub(super) fn put(&self, task: &mut Task) {
        let Some(buffers) = task.buffers.take() else {
            return;
        };
        let mut free = self.free.lock();
        match free.waiting.pop() {
            Some(mut next) => {
                next.buffers = Some(buffers);
                drop(free);
                make_ready(next);
            }
            None if free.reserve.is_none() => free.reserve = Some(buffers),
            None => {
                free.used -= 1;
                drop(free);
                drop(buffers);
            }
        }
    }
}
