// SPDX-License-Identifier: GPL-2.0

//! The limits of a mapped device.

use kernel::bindings;

/// The queue limits that are being put together for a mapped device (`struct queue_limits`).
///
/// # Invariants
///
/// The limits are only ever borrowed from C, exclusively.
#[repr(transparent)]
pub struct QueueLimits(bindings::queue_limits);

impl QueueLimits {
    /// Lends the limits that C passes.
    ///
    /// # Safety
    ///
    /// `limits` must be valid and not be accessed by anybody else for `'a`.
    pub(super) unsafe fn from_raw<'a>(limits: *mut bindings::queue_limits) -> &'a mut Self {
        // INVARIANT: By the safety requirements.
        // SAFETY: As above; the type is a transparent wrapper.
        unsafe { &mut *limits.cast() }
    }

    /// Makes the physical block at least `bytes`, a power of two, and the sizes of good I/O
    /// multiples of it.
    ///
    /// Those of the devices need not be multiples of a larger block than theirs. `blk_stack_limits`
    /// would take such limits for misaligned.
    pub fn raise_physical_block_size(&mut self, bytes: u32) {
        if !bytes.is_power_of_two() {
            return;
        }
        let block = self.0.physical_block_size.max(bytes);
        self.0.physical_block_size = block;
        self.0.io_min = self.0.io_min.checked_next_multiple_of(block).unwrap_or(0);
        self.0.io_min = self.0.io_min.max(block);
        self.0.io_opt -= self.0.io_opt % block;
    }
}
