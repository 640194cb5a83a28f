// SPDX-License-Identifier: GPL-2.0

//! A work queue that makes progress when memory is short, and work that is done after a while.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h).

use crate::bindings;
use core::pin::Pin;
use core::ptr::NonNull;
use kernel::{
    container_of,
    error::code::ENOMEM,
    prelude::*,
    sync::{
        Arc,
        LockClassKey, //
    },
    time::msecs_to_jiffies,
    types::Opaque,
    workqueue::{
        Queue,
        RawWorkItem, //
    }, //
};

/// A work queue of its own with a rescuer (`WQ_MEM_RECLAIM`), as whatever serves I/O needs.
///
/// # Invariants
///
/// `queue` is a live work queue owned by this value. No timer is pending that puts work on it, but
/// that of a [`DelayedWork`] that holds a reference to this value.
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

    /// Puts work on the queue; gives it back if it is on one already. Any context.
    ///
    /// The queue itself is not handed out: its `enqueue_delayed` arms a timer that outlives it.
    pub fn enqueue<W, const ID: u64>(&self, work: W) -> W::EnqueueOutput
    where
        W: RawWorkItem<ID> + Send + 'static,
    {
        // SAFETY: By the type invariant the queue lives as long as `self`.
        unsafe { Queue::from_raw(self.queue.as_ptr()) }.enqueue(work)
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
        // nothing new can come, since that takes a reference to `self`, and no timer is pending.
        unsafe { kernel::bindings::destroy_workqueue(self.queue.as_ptr()) };
    }
}

/// What a [`DelayedWork`] does.
pub trait DelayedItem: Send + Sync + 'static {
    /// Does it; in how many milliseconds it is to be done again, if it is. Sleeps.
    fn run(&self) -> Option<u64>;
}

/// Where delayed work runs.
pub enum RunsOn {
    /// With what serves I/O: the work must not wait for memory that only I/O makes free.
    Reclaim(Arc<ReclaimQueue>),
    /// On a queue that all share (`system_long_wq`): it may.
    System,
}

impl RunsOn {
    fn as_ptr(&self) -> *mut kernel::bindings::workqueue_struct {
        match self {
            Self::Reclaim(queue) => queue.queue.as_ptr(),
            // SAFETY: The kernel sets the queue up before any module is loaded, and it stays.
            Self::System => unsafe { kernel::bindings::system_long_wq },
        }
    }
}

/// Work that is done after a while, perhaps again and again, until it is closed or dropped.
///
/// It is part of the value, so that it can neither outlive that nor run after it was closed.
///
/// # Examples
///
/// ```ignore
/// struct Tick(Atomic<u64>);
///
/// impl DelayedItem for Tick {
///     fn run(&self) -> Option<u64> {
///         self.0.fetch_add(1, Relaxed);
///         Some(1000)
///     }
/// }
///
/// let tick = Tick(Atomic::new(0));
/// let keys = [static_lock_class!(), static_lock_class!()];
/// let work = DelayedWork::new(RunsOn::System, c"tick", keys, tick);
/// let work = KBox::pin_init(work, GFP_KERNEL)?;
/// work.arm(1000);
/// work.close();
/// ```
///
/// # Invariants
///
/// `work` is an initialised `delayed_work` whose function is `run` for `T`, which was queued on
/// `queue` only. It is neither pending nor running once `self` was dropped.
#[pin_data(PinnedDrop)]
pub struct DelayedWork<T: DelayedItem> {
    #[pin]
    work: Opaque<kernel::bindings::delayed_work>,
    queue: RunsOn,
    item: T,
}

// SAFETY: Work belongs to no thread, and neither does the item.
unsafe impl<T: DelayedItem> Send for DelayedWork<T> {}
// SAFETY: Work may be armed and closed from several threads at once, and the item is `Sync`.
unsafe impl<T: DelayedItem> Sync for DelayedWork<T> {}

impl<T: DelayedItem> DelayedWork<T> {
    /// Work that does `item`. The lock checker knows it by `name` and the first of `keys`, and its
    /// timer by the second, which must be another: timers run in interrupts, and work does not.
    pub fn new(
        queue: RunsOn,
        name: &'static CStr,
        keys: [Pin<&'static LockClassKey>; 2],
        item: T,
    ) -> impl PinInit<Self> {
        let [work_key, timer_key] = keys;
        // INVARIANT: Initialised here, and not yet queued.
        pin_init!(Self {
            work <- Opaque::ffi_init(|slot: *mut kernel::bindings::delayed_work| {
                // SAFETY: `slot` is memory for a `delayed_work`, which stays where it is until
                // `drop` has cancelled it; `name` and `keys` are static.
                unsafe {
                    kernel::bindings::init_work_with_key(
                        &raw mut (*slot).work,
                        Some(run::<T>),
                        false,
                        name.as_char_ptr(),
                        work_key.as_ptr(),
                    )
                };
                // SAFETY: As above; this is the timer function of a `delayed_work`, and the flags
                // are those that it asks for.
                unsafe {
                    kernel::bindings::timer_init_key(
                        &raw mut (*slot).timer,
                        Some(kernel::bindings::delayed_work_timer_fn),
                        kernel::bindings::TIMER_IRQSAFE,
                        name.as_char_ptr(),
                        timer_key.as_ptr(),
                    )
                };
            }),
            queue,
            item,
        })
    }

    /// Does it in so many milliseconds, unless it waits for its time already or was closed. Any
    /// context.
    pub fn arm(&self, milliseconds: u64) {
        let milliseconds = u32::try_from(milliseconds).unwrap_or(u32::MAX);
        // SAFETY: The work is initialised by the type invariant. The queue is live, and `self`
        // keeps it so until `drop` has cancelled the work.
        unsafe {
            kernel::bindings::queue_delayed_work_on(
                kernel::bindings::wq_misc_consts_WORK_CPU_UNBOUND as i32,
                self.queue.as_ptr(),
                self.work.get(),
                msecs_to_jiffies(milliseconds),
            )
        };
    }

    /// Has it not be done any more, whoever arms it, and waits until it is not being done. Sleeps;
    /// must not be called by the work.
    pub fn close(&self) {
        // SAFETY: The work is initialised by the type invariant.
        unsafe { kernel::bindings::disable_delayed_work_sync(self.work.get()) };
    }
}

#[pinned_drop]
impl<T: DelayedItem> PinnedDrop for DelayedWork<T> {
    fn drop(self: Pin<&mut Self>) {
        // INVARIANT: Nobody is left who could arm it, and when it is closed it neither waits nor
        // runs.
        self.close();
    }
}

/// Does what a [`DelayedWork`] is for.
///
/// # Safety
///
/// `work` must be the field of that name within a live `DelayedWork<T>`, and be run by its queue.
unsafe extern "C" fn run<T: DelayedItem>(work: *mut kernel::bindings::work_struct) {
    // SAFETY: By the safety requirements.
    let delayed = unsafe { container_of!(work, kernel::bindings::delayed_work, work) };
    let delayed = Opaque::cast_from(delayed);
    // SAFETY: As above.
    let this = unsafe { container_of!(delayed, DelayedWork<T>, work) };
    // SAFETY: The drop of the value waits for this function, so that it is live; it is only ever
    // shared.
    let this = unsafe { &*this };
    if let Some(milliseconds) = this.item.run() {
        this.arm(milliseconds);
    }
}
