// SPDX-License-Identifier: GPL-2.0

//! Allocation that does not wait for I/O.
//!
//! C header: [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h).

use crate::bindings;
use kernel::types::NotThreadSafe;

/// While one of these lives, no allocation of the current task starts I/O to reclaim memory.
///
/// Code that serves I/O must hold one around every allocation that may sleep: reclaim could write
/// to the very device that waits for this code.
///
/// # Invariants
///
/// `saved` is what `memalloc_noio_save` returned to this task, and was not restored.
pub struct NoIo {
    saved: u32,
    _not_thread_safe: NotThreadSafe,
}

impl NoIo {
    /// Runs `work` with every allocation of this task limited to `GFP_NOIO`.
    pub fn run<R>(work: impl FnOnce() -> R) -> R {
        // INVARIANT: Saved here, restored by the drop of this very value.
        let _scope = Self {
            // SAFETY: May be called by any task; it changes flags of the current task only.
            saved: unsafe { bindings::memalloc_noio_save() },
            _not_thread_safe: NotThreadSafe,
        };
        work()
    }
}

impl Drop for NoIo {
    fn drop(&mut self) {
        // SAFETY: By the type invariant `saved` comes from the matching save of this task; scopes
        // nest because `run` keeps its scope on the stack.
        unsafe { bindings::memalloc_noio_restore(self.saved) };
    }
}
