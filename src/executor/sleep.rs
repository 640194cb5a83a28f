// SPDX-License-Identifier: GPL-2.0

//! Machines that pause before they try something again.

use super::task::{
    go_on,
    Task, //
};
use crate::{
    delayed::Delayed,
    instance::Instance, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::{
    unique::{
        Unique,
        UniqueList, //
    },
    workqueue::{
        DelayedItem,
        ReclaimQueue,
        RunsOn, //
    }, //
};
use remap_core::engine::task::Event;

/// Machines that pause. All pauses have the same length, so whoever came first goes on first.
#[derive(Clone)]
pub(crate) struct Sleepers {
    list: Arc<List>,
    timer: Delayed<Timer>,
}

#[pin_data]
struct List {
    #[pin]
    tasks: Mutex<UniqueList<Task>>,
}

struct Timer {
    instance: Arc<Instance>,
    list: Arc<List>,
}

impl Sleepers {
    /// May sleep.
    pub(super) fn new(instance: Arc<Instance>, queue: Arc<ReclaimQueue>) -> Result<Self> {
        let list = Arc::pin_init(
            pin_init!(List {
                tasks <- new_mutex!(UniqueList::new(), "dm_remap::sleepers"),
            }),
            GFP_KERNEL,
        )?;
        let timer = Timer {
            instance,
            list: list.clone(),
        };
        Ok(Self {
            list,
            timer: Delayed::new(RunsOn::Reclaim(queue), timer)?,
        })
    }

    /// Has a machine go on in so many milliseconds. Sleeps, but waits for nothing.
    pub(super) fn push(&self, task: Unique<Task>, milliseconds: u32) {
        self.list.tasks.lock().push(task);
        self.timer.arm(milliseconds.into());
    }

    /// Ends the timer, when no machine is left. Sleeps.
    pub(super) fn close(&self) {
        self.timer.close();
    }
}

impl DelayedItem for Timer {
    fn run(&self) -> Option<u64> {
        let now = self.instance.ctx.milliseconds();
        let (mut due, mut next) = (UniqueList::new(), None);
        self.list.tasks.lock().move_to(&mut due, |task| {
            let left = task.until.saturating_sub(now);
            if left > 0 {
                next = Some(next.map_or(left, |next: u64| next.min(left)));
            }
            left == 0
        });
        due.for_each(|task| go_on(task, Event::Slept));
        next
    }
}
