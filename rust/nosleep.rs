// SPDX-License-Identifier: GPL-2.0

//! Work that must not sleep although its context would allow it.
//!
//! C header: [`include/linux/kernel.h`](srctree/include/linux/kernel.h).

use crate::bindings;
use kernel::types::NotThreadSafe;

/// While one of these lives, the current task must not sleep.
///
/// A kernel with `CONFIG_DEBUG_ATOMIC_SLEEP` reports whatever may sleep meanwhile, as it does for
/// holders of spinlocks; others do nothing. It is for holders of a mutex, who may be preempted, but
/// for whom nobody shall wait longer than for their work.
///
/// # Examples
///
/// ```ignore
/// let mut state = mutex.lock();
/// NoSleep::run(|| state.step());
/// ```
///
/// # Invariants
///
/// `non_block_start` was called by this task for this value, and `non_block_end` was not yet.
pub struct NoSleep {
    _not_thread_safe: NotThreadSafe,
}

impl NoSleep {
    /// Runs `work`, which must not sleep. Process context.
    pub fn run<R>(work: impl FnOnce() -> R) -> R {
        // SAFETY: May be called by any task; it changes a counter of the current task only.
        unsafe { bindings::non_block_start() };
        // INVARIANT: Just started; ended by the drop of this very value.
        let _scope = Self {
            _not_thread_safe: NotThreadSafe,
        };
        work()
    }
}

impl Drop for NoSleep {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this task has started it.
        unsafe { bindings::non_block_end() };
    }
}
