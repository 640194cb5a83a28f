// SPDX-License-Identifier: GPL-2.0

//! Waiting for what must come. There is no limit but the test's own, so that a slow machine makes
//! no test fail.

use anyhow::Result;
use std::{
    thread,
    thread::JoinHandle,
    time::Duration, //
};

/// How often is looked.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until that is so.
pub fn until(mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    while !is_so()? {
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Does something beside the test, such as I/O that will be held.
pub fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Beside<T> {
    let seed = fastrand::u64(..);
    Beside(thread::spawn(move || {
        fastrand::seed(seed);
        work()
    }))
}

/// What is done beside the test.
pub struct Beside<T>(JoinHandle<T>);

impl<T> Beside<T> {
    /// Waits for the end of it, and returns what it returned.
    ///
    /// # Panics
    ///
    /// If it panicked.
    pub fn end(self) -> T {
        self.0
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.0.is_finished()
    }
}
