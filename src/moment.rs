// SPDX-License-Identifier: GPL-2.0

//! A moment, how long ago it was, and waiting.

use kernel::time::{
    delay::fsleep,
    Delta,
    Instant,
    Monotonic, //
};

/// Waits before another try. Sleeps.
pub(crate) fn pause(milliseconds: i64) {
    if milliseconds > 0 {
        fsleep(Delta::from_millis(milliseconds));
    }
}

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
