// SPDX-License-Identifier: GPL-2.0

//! Work that is done in a while, on behalf of a table, and perhaps again and again.

use kernel::{
    prelude::*,
    static_lock_class,
    sync::Arc, //
};
use kernel_ext::workqueue::{
    DelayedItem,
    DelayedWork,
    RunsOn, //
};

/// A task of a table. It is done no more once it was closed, or once all that have it have dropped
/// it.
pub(crate) struct Delayed<T: DelayedItem>(Arc<DelayedWork<T>>);

impl<T: DelayedItem> Clone for Delayed<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: DelayedItem> Delayed<T> {
    /// May sleep.
    pub(crate) fn new(queue: RunsOn, task: T) -> Result<Self> {
        let name = c"dm_remap::delayed";
        let keys = [static_lock_class!(), static_lock_class!()];
        let work = DelayedWork::new(queue, name, keys, task);
        Ok(Self(Arc::pin_init(work, GFP_KERNEL)?))
    }

    /// Does it in so many milliseconds, unless it waits for its time already. Any context.
    pub(crate) fn arm(&self, milliseconds: u64) {
        self.0.arm(milliseconds);
    }

    /// Has it not be done any more, and waits until it is not being done. Sleeps; must not be
    /// called by the task.
    pub(crate) fn close(&self) {
        self.0.close();
    }
}
