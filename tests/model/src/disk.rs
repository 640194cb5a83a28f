// SPDX-License-Identifier: GPL-2.0

//! Devices as files, and memory for direct I/O.

use anyhow::{
    Context,
    Result, //
};
use std::fs::{
    File,
    OpenOptions, //
};
use std::os::unix::fs::OpenOptionsExt;

/// Opens a device for I/O that passes the page cache by.
pub fn open(device: &str, flags: i32) -> Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .custom_flags(libc::O_DIRECT | flags);
    options.open(device).with_context(|| device.to_owned())
}

/// Memory that begins where direct I/O wants it to.
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// So many bytes.
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
