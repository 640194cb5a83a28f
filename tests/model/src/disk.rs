// SPDX-License-Identifier: GPL-2.0

//! Devices as files, and memory for direct I/O.

use anyhow::{
    Context,
    Result, //
};
use rustix::fs::OFlags;
use std::{
    fs::{
        File,
        OpenOptions, //
    },
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Opens a device for direct I/O.
pub fn open(device: &Path, flags: OFlags) -> Result<File> {
    let flags = (OFlags::DIRECT | flags).bits();
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags as i32);
    options
        .open(device)
        .with_context(|| device.display().to_string())
}

/// Memory that is aligned for direct I/O.
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// Allocates the given number of bytes.
    pub fn new(bytes: usize) -> Self {
        const PAGE: usize = 4096;
        let bytes = vec![0; bytes + PAGE];
        let start = bytes.as_ptr().align_offset(PAGE);
        Self { bytes, start }
    }

    /// The first `len` bytes.
    pub fn get(&mut self, len: usize) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + len]
    }
}
