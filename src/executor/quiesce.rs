// SPDX-License-Identifier: GPL-2.0

//! The end of all I/O that went where an older map said, for all machines at once that want it.

use super::task::{
    go_on,
    Task, //
};
use crate::instance::Instance;
use kernel::{
    impl_has_work,
    new_work,
    prelude::*,
    sync::Arc,
    workqueue::{
        Work,
        WorkItem, //
    }, //
};
use kernel_ext::{
    unique::{
        Unique,
        UniqueQueue, //
    },
    workqueue::ReclaimQueue, //
};
use remap_core::engine::task::Event;

/// Machines that wait until no I/O is left that went where an older map said.
#[pin_data]
pub(crate) struct Quiescer {
    instance: Arc<Instance>,
    queue: Arc<ReclaimQueue>,
    waiting: UniqueQueue<Task>,
    #[pin]
    work: Work<Quiescer>,
}

impl_has_work! {
    impl HasWork<Self> for Quiescer { self.work }
}

impl Quiescer {
    /// May sleep.
    pub(super) fn new(instance: Arc<Instance>, queue: Arc<ReclaimQueue>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                instance,
                queue,
                waiting: UniqueQueue::new(),
                work <- new_work!("dm_remap::quiescer"),
            }),
            GFP_KERNEL,
        )
    }

    /// Has a machine go on once its map is the only one. That was published before. Any context.
    pub(super) fn push(self: &Arc<Self>, task: Unique<Task>) {
        self.waiting.push(task);
        // Work that is queued, and not yet begun, takes it too.
        let _ = self.queue.enqueue(self.clone());
    }
}

impl WorkItem for Quiescer {
    type Pointer = Arc<Quiescer>;

    fn run(this: Arc<Quiescer>) {
        let tasks = this.waiting.take_all();
        if !tasks.is_empty() {
            this.instance.ctx.lookup.maps.synchronize();
        }
        tasks.for_each(|task| go_on(task, Event::Quiesced));
    }
}
