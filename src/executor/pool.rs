// SPDX-License-Identifier: GPL-2.0

//! Memory for tasks, of which some is kept in reserve.

use super::task::Task;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            AtomicFlag,
            Full,
            Release, //
        },
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::{
    blanks::Blanks,
    numa,
    slab::{
        Blank,
        Effort,
        Slab, //
    },
    unique::Slot, //
};

/// For how many tasks there is memory whatever happens. Each ends by itself, as those that it waits
/// for have their memory already.
const RESERVE: usize = 8;

/// The cache of all tasks, `dm_remap_task`.
pub(crate) type TaskCache = Slab<Slot<Task>>;

/// Memory for tasks.
#[pin_data]
pub(crate) struct TaskPool {
    slab: Arc<TaskCache>,
    #[pin]
    reserve: Mutex<Blanks<Slot<Task>>>,
    /// Somebody got none.
    is_short: AtomicFlag,
}

impl TaskPool {
    /// May sleep.
    pub(crate) fn new(slab: Arc<TaskCache>) -> Result<impl PinInit<Self>> {
        let mut reserve = Blanks::new();
        for _ in 0..RESERVE {
            reserve.push(slab.blank(numa::Node::here(), Effort::All)?);
        }
        Ok(pin_init!(Self {
            slab,
            reserve <- new_mutex!(reserve, "dm_remap::tasks"),
            is_short: AtomicFlag::new(false),
        }))
    }

    /// Memory for a task, if there is some; else [`Self::put`] says when it is worth asking again.
    /// Sleeps, but waits for nothing.
    pub(crate) fn get(&self) -> Option<Blank<Slot<Task>>> {
        if let Ok(blank) = self.slab.blank(numa::Node::here(), Effort::Now) {
            return Some(blank);
        }
        if let Some(blank) = self.reserve.lock().pop() {
            return Some(blank);
        }
        self.is_short.store(true, Release);
        // What is put back from now on is seen with the flag, and what was before is seen here.
        self.reserve.lock().pop()
    }

    /// Gives memory back; whether somebody got none. Sleeps, but waits for nothing.
    pub(crate) fn put(&self, blank: Blank<Slot<Task>>) -> bool {
        let mut reserve = self.reserve.lock();
        if reserve.len() < RESERVE {
            reserve.push(blank);
        }
        drop(reserve);
        self.is_short.xchg(false, Full)
    }
}
