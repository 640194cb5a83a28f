// SPDX-License-Identifier: GPL-2.0

//! Waiting for sections of RCU.
//!
//! C header: [`include/linux/rcupdate.h`](srctree/include/linux/rcupdate.h).

/// Waits for all sections (`kernel::sync::rcu::read_lock`) that began before the call. Sleeps; must
/// not be called in a section.
///
/// # Examples
///
/// ```ignore
/// // Nobody finds it any more.
/// let old = published.take();
/// wait_for_readers();
/// drop(old);
/// ```
pub fn wait_for_readers() {
    // SAFETY: May be called in any context that may sleep.
    unsafe { kernel::bindings::synchronize_rcu() };
}
