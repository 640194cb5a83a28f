// SPDX-License-Identifier: GPL-2.0

//! The kernel log, and refusals that it explains.

use super::wait::until;
use anyhow::{
    bail,
    Result, //
};
use rustix::fs::OFlags;
use std::{
    fmt::Debug,
    fs::{
        File,
        OpenOptions, //
    },
    io::{
        self,
        Read,
        Seek,
        SeekFrom, //
    },
    os::unix::fs::OpenOptionsExt,
};

/// The lines of the kernel log since a moment (`Documentation/ABI/testing/dev-kmsg` of the kernel).
pub struct KernelLog {
    file: File,
    lines: Vec<String>,
}

impl KernelLog {
    /// The log from now on.
    pub fn now() -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            lines: Vec::new(),
        })
    }

    /// All lines so far.
    pub fn lines(&mut self) -> Result<&[String]> {
        let mut record = [0; 8192];
        loop {
            match self.file.read(&mut record) {
                Ok(len) => {
                    let text = String::from_utf8_lossy(&record[..len]).into_owned();
                    let message = text.split_once(';').map_or("", |(_, message)| message);
                    self.lines.extend(message.lines().next().map(String::from));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(&self.lines),
                // The kernel has overwritten older records.
                Err(error)
                    if error.raw_os_error() == Some(rustix::io::Errno::PIPE.raw_os_error()) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether a line contains the text.
    pub fn has(&mut self, text: &str) -> Result<bool> {
        Ok(self.lines()?.iter().any(|line| line.contains(text)))
    }

    /// Fails unless a line contains the text.
    pub fn must_have(&mut self, text: &str) -> Result<()> {
        if self.has(text)? {
            return Ok(());
        }
        bail!(
            "not in the kernel's log: '{text}'; there is:\n{}",
            self.lines.join("\n")
        )
    }

    /// Waits until a line contains the text.
    pub fn wait_for(&mut self, text: &str) -> Result<()> {
        until(|| self.has(text))
    }
}

/// Fails unless `request` is refused and the kernel log gives the reason.
pub fn refused<T, E: Debug>(reason: &str, request: impl FnOnce() -> Result<T, E>) -> Result<()> {
    let mut log = KernelLog::now()?;
    if request().is_ok() {
        bail!("not refused, want '{reason}'");
    }
    log.must_have(reason)
}
