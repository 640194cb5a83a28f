// SPDX-License-Identifier: GPL-2.0

//! What is done for an instance in a while, on behalf of a table, and perhaps again and again.

use crate::instance::Instance;
use core::marker::PhantomData;
use kernel::{
    impl_has_delayed_work,
    new_delayed_work,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            AtomicFlag,
            Release, //
        },
        Arc, //
    },
    time::msecs_to_jiffies,
    workqueue::{
        self,
        DelayedWork,
        WorkItem, //
    }, //
};
use kernel_ext::workqueue::hurry;

/// What is done.
pub(crate) trait Errand: Send + Sync + 'static {
    /// Does it; in how many milliseconds it is to be done again, if it is. Sleeps.
    fn run(instance: &Arc<Instance>) -> Option<u64>;
}

/// An errand of a table.
#[pin_data]
pub(crate) struct Later<E: Errand> {
    instance: Arc<Instance>,
    /// The table is going; others may do the same on behalf of the next one.
    closed: AtomicFlag,
    #[pin]
    work: DelayedWork<Later<E>>,
    _errand: PhantomData<E>,
}

impl_has_delayed_work! {
    impl{E: Errand} HasDelayedWork<Self> for Later<E> { self.work }
}

impl<E: Errand> Later<E> {
    /// May sleep.
    pub(crate) fn new(instance: &Arc<Instance>) -> Result<Arc<Self>> {
        let instance = instance.clone();
        Arc::pin_init(
            pin_init!(Self {
                instance,
                closed: AtomicFlag::new(false),
                work <- new_delayed_work!("dm_remap::later"),
                _errand: PhantomData,
            }),
            GFP_KERNEL,
        )
    }

    /// Does it in so many milliseconds, if not before that.
    pub(crate) fn arm(self: &Arc<Self>, milliseconds: u64) {
        if self.closed.load(Acquire) {
            return;
        }
        let milliseconds = u32::try_from(milliseconds).unwrap_or(u32::MAX);
        let _ = workqueue::system_power_efficient()
            .enqueue_delayed(self.clone(), msecs_to_jiffies(milliseconds));
    }

    /// Does it now, if it was to be done at all, and not again. Sleeps.
    pub(crate) fn close(self: &Arc<Self>) {
        self.closed.store(true, Release);
        hurry(self);
    }
}

impl<E: Errand> WorkItem for Later<E> {
    type Pointer = Arc<Later<E>>;

    fn run(this: Arc<Later<E>>) {
        let again = E::run(&this.instance);
        this.instance.tell_changes();
        if let Some(milliseconds) = again {
            this.arm(milliseconds);
        }
    }
}
