// SPDX-License-Identifier: GPL-2.0

//! A bound on how often something is said.
//!
//! C header: [`include/linux/ratelimit.h`](srctree/include/linux/ratelimit.h).

use crate::bindings;
use kernel::{
    bindings::ratelimit_state,
    prelude::*,
    types::Opaque, //
};

/// Allows a burst of messages in an interval, as the kernel's own rate limit has it.
///
/// # Invariants
///
/// `state` is initialised.
#[pin_data]
pub struct Ratelimit {
    #[pin]
    state: Opaque<ratelimit_state>,
}

// SAFETY: The state belongs to no thread.
unsafe impl Send for Ratelimit {}
// SAFETY: `___ratelimit` may run concurrently.
unsafe impl Sync for Ratelimit {}

impl Ratelimit {
    /// Ten messages in five seconds.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- Opaque::ffi_init(|slot| {
                // SAFETY: `slot` is memory for a state, which stays where it is: it is pinned.
                unsafe { bindings::ratelimit_state_init(slot, 5 * kernel::bindings::HZ as i32, 10) }
            }),
        })
    }

    /// Whether one more message may be printed. Any context.
    pub fn allows(&self) -> bool {
        // SAFETY: The state is initialised by the type invariant, and the name NUL-terminated.
        unsafe { kernel::bindings::___ratelimit(self.state.get(), c"dm_remap".as_char_ptr()) != 0 }
    }
}
