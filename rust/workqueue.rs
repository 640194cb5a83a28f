// SPDX-License-Identifier: GPL-2.0

//! A work queue that makes progress when memory is short.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h).

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    container_of,
    error::code::ENOMEM,
    prelude::*,
    sync::Arc,
    workqueue::{
        HasDelayedWork,
        Queue,
        Work, //
    }, //
};

/// Runs delayed work at once if it still waits for its time, and waits until it has run. Sleeps; must not
/// be called by that work.
pub fn hurry<T: HasDelayedWork<T, ID>, const ID: u64>(item: &Arc<T>) {
    // SAFETY: An `Arc` points to a live value.
    let work = unsafe { T::raw_get_work(Arc::as_ptr(item).cast_mut()) };
    // SAFETY: The work is a field of that value.
    let work = unsafe { Work::raw_get(work) };
    // SAFETY: `HasDelayedWork` promises that it is the field of that name in a delayed work.
    let delayed = unsafe { container_of!(work, kernel::bindings::delayed_work, work) };
    // SAFETY: It was initialised with the value, and lives as long.
    unsafe { kernel::bindings::flush_delayed_work(delayed) };
}

/// A work queue of its own with a rescuer (`WQ_MEM_RECLAIM`), as whatever serves I/O needs.
///
/// # Invariants
///
/// `queue` is a live work queue owned by this value.
pub struct ReclaimQueue {
    queue: NonNull<kernel::bindings::workqueue_struct>,
}

// SAFETY: Work queues belong to no thread.
unsafe impl Send for ReclaimQueue {}
// SAFETY: Work may be queued and flushed from several threads at once.
unsafe impl Sync for ReclaimQueue {}

impl ReclaimQueue {
    /// Allocates a queue that `ps` shows under `name`. May sleep.
    pub fn new(name: &CStr) -> Result<Self> {
        // SAFETY: `name` is NUL-terminated; it is copied.
        let queue = unsafe { bindings::alloc_reclaim_workqueue(name.as_char_ptr()) };
        // INVARIANT: Just allocated, and given to nobody else.
        Ok(Self {
            queue: NonNull::new(queue).ok_or(ENOMEM)?,
        })
    }

    /// The queue, to put work on.
    pub fn queue(&self) -> &Queue {
        // SAFETY: By the type invariant the queue lives as long as `self`.
        unsafe { Queue::from_raw(self.queue.as_ptr()) }
    }

    /// Waits until all work queued so far has run. Sleeps; must not be called by that work.
    pub fn flush(&self) {
        // SAFETY: By the type invariant the queue is live.
        unsafe { kernel::bindings::__flush_workqueue(self.queue.as_ptr()) };
    }
}

impl Drop for ReclaimQueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the queue is live and ours. This runs what is still queued;
        // nothing new can come, since that takes a reference to `self`.
        unsafe { kernel::bindings::destroy_workqueue(self.queue.as_ptr()) };
    }
}
