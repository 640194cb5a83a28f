// SPDX-License-Identifier: GPL-2.0

//! Devices, and the commands that act on them.

use anyhow::{
    Context,
    Result, //
};
use std::fs::{
    File,
    OpenOptions, //
};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{
    Command,
    Stdio, //
};

/// Opens a device for I/O that passes the page cache by.
pub fn open(device: &str, flags: i32) -> Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .custom_flags(libc::O_DIRECT | flags);
    options.open(device).with_context(|| device.to_owned())
}

/// What a command printed, if it succeeded.
pub fn command(program: &str, words: &[&str]) -> Result<Option<String>> {
    let mut command = Command::new(program);
    let done = command.args(words).stderr(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    Ok(done.status.success().then_some(text))
}

/// Runs `dmsetup`.
pub fn dmsetup(words: &[&str]) -> Result<Option<String>> {
    command("dmsetup", words)
}

/// Lets other threads and processes run first.
pub fn give_way() -> Result<()> {
    let own = std::fs::read_link("/proc/thread-self")?;
    let thread = own.file_name().unwrap_or_default().to_string_lossy();
    command("renice", &["-n", "10", "-p", &thread])?.context("renice")?;
    Ok(())
}

/// Runs a `dmsetup` that must succeed; what it printed.
pub fn must(words: &[&str]) -> Result<String> {
    dmsetup(words)?.with_context(|| format!("dmsetup {words:?}"))
}

/// The table of a device, in one line.
pub fn table(name: &str) -> Result<String> {
    Ok(must(&["table", name])?.trim().to_owned())
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
