// SPDX-License-Identifier: GPL-2.0

//! The limits of a mapped device.

use kernel::bindings;

/// The queue limits that are being put together for a mapped device (`struct queue_limits`).
#[repr(transparent)]
pub struct QueueLimits(bindings::queue_limits);

impl QueueLimits {
    /// Lends the limits that C passes.
    ///
    /// # Safety
    ///
    /// `limits` must be valid and not be accessed by anybody else for `'a`.
    pub(super) unsafe fn from_raw<'a>(limits: *mut bindings::queue_limits) -> &'a mut Self {
        // SAFETY: By the safety requirements; the type is a transparent wrapper.
        unsafe { &mut *limits.cast() }
    }

    /// Makes the physical block at least `bytes`, a power of two.
    pub fn raise_physical_block_size(&mut self, bytes: u32) {
        if bytes.is_power_of_two() {
            self.0.physical_block_size = self.0.physical_block_size.max(bytes);
            self.0.io_min = self.0.io_min.max(bytes);
        }
    }
}
