// SPDX-License-Identifier: GPL-2.0

//! Waits for expected events. The only limit is the limit of the test, so that a slow machine fails
//! no test.

use anyhow::Result;
use std::{
    thread,
    thread::JoinHandle,
    time::Duration, //
};

/// The interval between two checks.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until the condition holds.
pub fn until(mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    while !is_so()? {
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Runs work beside the test, such as I/O that will be held.
pub fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Beside<T> {
    let seed = fastrand::u64(..);
    Beside(thread::spawn(move || {
        fastrand::seed(seed);
        work()
    }))
}

/// Work beside the test.
pub struct Beside<T>(JoinHandle<T>);

impl<T> Beside<T> {
    /// Waits for the end of the work, and returns its result.
    ///
    /// # Panics
    ///
    /// Panics if the work panicked.
    pub fn end(self) -> T {
        self.0
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Whether the work has ended.
    pub fn has_ended(&self) -> bool {
        self.0.is_finished()
    }
}
