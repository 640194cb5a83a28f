// SPDX-License-Identifier: GPL-2.0

//! What is done for an instance in a while, on behalf of a table, and perhaps again and again.

use crate::instance::Instance;
use core::marker::PhantomData;
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

/// What is done.
pub(crate) trait DelayedTask: Send + Sync + 'static {
    /// Does it; in how many milliseconds it is to be done again, if it is. Sleeps.
    fn run(instance: &Arc<Instance>) -> Option<u64>;
}

/// A task of a table. It is done no more once it was closed, or once all that have it have dropped
/// it.
pub(crate) struct Delayed<T: DelayedTask>(Arc<DelayedWork<OnInstance<T>>>);

impl<T: DelayedTask> Clone for Delayed<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: DelayedTask> Delayed<T> {
    /// May sleep.
    pub(crate) fn new(queue: RunsOn, instance: &Arc<Instance>) -> Result<Self> {
        let item = OnInstance {
            instance: instance.clone(),
            _task: PhantomData,
        };
        let name = c"dm_remap::delayed";
        let keys = [static_lock_class!(), static_lock_class!()];
        let work = DelayedWork::new(queue, name, keys, item);
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

/// A task together with what it is done for.
struct OnInstance<T> {
    instance: Arc<Instance>,
    _task: PhantomData<T>,
}

impl<T: DelayedTask> DelayedItem for OnInstance<T> {
    fn run(&self) -> Option<u64> {
        let again = T::run(&self.instance);
        self.instance.tell_changes();
        again
    }
}
