// SPDX-License-Identifier: GPL-2.0

//! A moment, and how long ago it was.

use kernel::time::{
    Instant,
    Monotonic, //
};

/// A moment of the monotonic clock (`ktime_get`, `include/linux/timekeeping.h`).
#[derive(Clone, Copy)]
pub(crate) struct Moment(Instant<Monotonic>);

impl Moment {
    /// This one. Any context.
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    /// How many milliseconds ago it was. Any context.
    pub(crate) fn milliseconds(self) -> u64 {
        self.0.elapsed().as_millis().unsigned_abs()
    }
}
