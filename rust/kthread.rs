// SPDX-License-Identifier: GPL-2.0

//! Threads of the kernel that nobody waits for without a limit.
//!
//! A thread may hang in I/O for as long as its device does. So it is not stopped from outside but
//! told to end, by what its job and others share, and it keeps the module until it has ended.
//!
//! C headers: [`include/linux/kthread.h`](srctree/include/linux/kthread.h),
//! [`include/linux/freezer.h`](srctree/include/linux/freezer.h).

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    bindings::{
        __module_put_and_kthread_exit,
        __this_module, //
    },
    error::from_err_ptr,
    ffi::{
        c_int,
        c_long,
        c_void, //
    },
    prelude::*,
    sync::{
        atomic::{
            AtomicFlag,
            Full,
            Release, //
        },
        Arc, //
    },
    time::msecs_to_jiffies,
    types::NotThreadSafe, //
};

/// What a thread does.
pub trait Job: Send + 'static {
    /// Runs in the thread, which ends with it.
    fn run(self: KBox<Self>, running: &Running);
}

/// Stands for being in a thread that [`Kthread::start`] started.
///
/// # Invariants
///
/// The current task is such a thread.
pub struct Running {
    /// The thread was woken since it last began to sleep.
    woken: Arc<AtomicFlag>,
    _thread: NotThreadSafe,
}

impl Running {
    /// Sleeps for so many milliseconds, or until the thread is woken, and not at all if it was
    /// woken since it last began to; what was done before the waking is seen. A system that is put
    /// to sleep meanwhile does not wait for it.
    pub fn sleep(&self, milliseconds: u32) {
        // A full barrier follows, as there is one in `wake_up_process`: either the flag is seen
        // here, or there that the thread is about to sleep. SAFETY: By the type invariant the
        // current task is a kernel thread, which is made to run again below.
        unsafe { bindings::kthread_sleep_begin() };
        if !self.woken.xchg(false, Full) {
            let jiffies = msecs_to_jiffies(milliseconds) as c_long;
            // SAFETY: As above; the thread sleeps nowhere else before that.
            unsafe { kernel::bindings::schedule_timeout(jiffies) };
        }
        // SAFETY: As above, and it made itself freezable.
        unsafe { bindings::kthread_sleep_end() };
    }
}

/// What a thread is given.
struct Given<J> {
    job: KBox<J>,
    woken: Arc<AtomicFlag>,
}

/// A thread, which may have ended.
///
/// # Invariants
///
/// `task` is a kernel thread of which this value holds a reference.
pub struct Kthread {
    task: NonNull<kernel::bindings::task_struct>,
    woken: Arc<AtomicFlag>,
}

// SAFETY: A task may be woken by any thread.
unsafe impl Send for Kthread {}
// SAFETY: As above.
unsafe impl Sync for Kthread {}

impl Kthread {
    /// Starts a thread that `ps` shows under `name`. Sleeps.
    pub fn start<J: Job>(name: &CStr, job: KBox<J>) -> Result<Self> {
        let woken = Arc::new(AtomicFlag::new(false), GFP_KERNEL)?;
        let given = Given {
            job,
            woken: woken.clone(),
        };
        let given = KBox::new(given, GFP_KERNEL)?;
        // SAFETY: The module is there, since its code runs.
        if !unsafe { bindings::this_module_get() } {
            return Err(ENODEV);
        }
        let given = KBox::into_raw(given);
        // SAFETY: `name` is NUL-terminated and is copied; `main` takes what `given` points to.
        let made = unsafe {
            bindings::kthread_create_named(Some(main::<J>), given.cast(), name.as_char_ptr())
        };
        match from_err_ptr(made) {
            // SAFETY: The thread was made and waits to be woken.
            Ok(task) => Ok(unsafe { Self::begun(task, woken) }),
            Err(error) => {
                // SAFETY: There is no thread that could have taken it.
                drop(unsafe { KBox::from_raw(given) });
                // SAFETY: The reference was taken above.
                unsafe { bindings::this_module_put() };
                Err(error)
            }
        }
    }

    /// # Safety
    ///
    /// `task` must be a thread that waits to be woken for the first time.
    unsafe fn begun(task: *mut kernel::bindings::task_struct, woken: Arc<AtomicFlag>) -> Self {
        // SAFETY: By the safety requirements it is there.
        unsafe { kernel::bindings::get_task_struct(task) };
        // SAFETY: As above.
        unsafe { kernel::bindings::wake_up_process(task) };
        // INVARIANT: The reference was just taken.
        Self {
            // SAFETY: A thread is not null.
            task: unsafe { NonNull::new_unchecked(task) },
            woken,
        }
    }

    /// Ends a [`Running::sleep`], or the next one.
    pub fn wake(&self) {
        self.woken.store(true, Release);
        // SAFETY: By the type invariant the task is there.
        unsafe { kernel::bindings::wake_up_process(self.task.as_ptr()) };
    }
}

impl Drop for Kthread {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this reference is ours.
        unsafe { kernel::bindings::put_task_struct(self.task.as_ptr()) };
    }
}

/// The function of a thread, to which belongs a reference to the module.
///
/// # Safety
///
/// `data` must be from [`KBox::into_raw`] of a `KBox<Given<J>>`, and not be taken by anybody else.
unsafe extern "C" fn main<J: Job>(data: *mut c_void) -> c_int {
    // SAFETY: By the safety requirements.
    let given = unsafe { KBox::from_raw(data.cast::<Given<J>>()) };
    let Given { job, woken } = KBox::into_inner(given);
    // SAFETY: This is a kernel thread.
    unsafe { bindings::kthread_begin() };
    // INVARIANT: As above.
    let running = Running {
        woken,
        _thread: NotThreadSafe,
    };
    job.run(&running);
    // What follows does not return.
    drop(running);
    // SAFETY: The reference to the module is the thread's, and nothing of the module's code runs
    // after it.
    unsafe { __module_put_and_kthread_exit(&raw mut __this_module, 0) }
}
