// SPDX-License-Identifier: GPL-2.0

//! The lock of the table, and of what it has active.

use anyhow::{
    Context,
    Result, //
};
use rustix::fs::{
    flock,
    FlockOperation, //
};
use std::fs::File;
use std::path::Path;

const PATH: &str = "/run/remapctl.lock";

/// Keeps other programs from changing the table, and from activating arrays, while it lives.
///
/// udev runs programs that take it, so nobody waits for udev with it.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until nobody else has it.
    pub fn take() -> Result<Self> {
        let file = File::create(Path::new(PATH)).context(PATH)?;
        flock(&file, FlockOperation::LockExclusive).context(PATH)?;
        Ok(Self { _file: file })
    }
}
