// SPDX-License-Identifier: GPL-2.0

//! Requests of a test to the host. A request is a line of JSON on standard output, which is the
//! guest's control port. Text for people goes to standard error.

use super::{
    block::Block,
    fresh,
    wait::until,
    Device, //
};
use anyhow::{
    Context,
    Result, //
};
use rustix::{
    io::Errno,
    termios::tcdrain, //
};
use serde::Serialize;
use std::{
    env,
    fs,
    io::Write,
    path::Path, //
};

/// A request. `scripts/dev/requests.py` is the host's side. `guest-tests requests` lists the
/// requests, so that the host detects a mismatch before the first test.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub enum Request {
    /// Removes a disk (`disks` of the test).
    Pull {
        /// The number of the disk.
        disk: u32,
    },
    /// Removes all removable disks.
    GiveBack,
    /// Keeps a line for the next boot of the test.
    Remember {
        /// The line.
        line: String,
    },
    /// Cuts the power after the given number of further `Remember` requests, and runs the test
    /// again with the same disks.
    CutPower {
        /// The number of lines.
        lines: u32,
        /// The delay after the last line, in microseconds.
        microseconds: u32,
    },
}

impl Request {
    /// One request of each kind.
    pub fn all() -> Vec<Self> {
        vec![
            Self::Pull { disk: 0 },
            Self::GiveBack,
            Self::Remember {
                line: String::new(),
            },
            Self::CutPower {
                lines: 0,
                microseconds: 0,
            },
        ]
    }
}

fn ask(request: &Request) -> Result<()> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    // A single call keeps the lines of several threads whole.
    std::io::stdout().lock().write_all(&line)?;
    std::io::stdout().flush()?;
    // User-Mode Linux buffers output while the host has no room for it. QEMU's port is not a
    // terminal, and buffers nothing.
    match tcdrain(std::io::stdout()) {
        Ok(()) | Err(Errno::NOTTY) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Asks the host to remove a disk, and waits until the disk is gone.
pub fn pull(disk: u32) -> Result<()> {
    let folder = Device::at(format!("/dev/disk{disk}")).sysfs()?;
    ask(&Request::Pull { disk })?;
    until(|| Ok(!folder.exists()))
}

/// Asks the host to cut the power after the given number of further remembered lines.
pub fn cut_power(lines: u32, microseconds: u32) -> Result<()> {
    ask(&Request::CutPower {
        lines,
        microseconds,
    })
}

/// Asks the host to keep a line for the next boot.
pub fn remember(line: &str) -> Result<()> {
    ask(&Request::Remember { line: line.into() })
}

/// The lines that the host kept from before the power cut.
pub fn remembered() -> Result<String> {
    fs::read_to_string("/run/remembered").context("the remembered lines")
}

/// The number of this boot of the test, from 1.
pub fn boot() -> u32 {
    env::var("BOOT")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
}

/// Asks the host to remove the disks that it plugged in.
pub fn give_back() -> Result<()> {
    let disks: Vec<_> = (0..)
        .map(|number| Device::at(format!("/dev/disk{number}")))
        .take_while(|disk| disk.path().symlink_metadata().is_ok())
        .collect();
    if disks.is_empty() {
        return Ok(());
    }
    let targets: Vec<_> = disks
        .iter()
        .map(|disk| fs::read_link(disk.path()))
        .collect::<Result<_, _>>()?;
    // The host can remove only SCSI disks.
    if !targets
        .iter()
        .all(|target| target.to_string_lossy().starts_with("sd"))
    {
        return fresh::spent();
    }
    ask(&Request::GiveBack)?;
    for (disk, target) in disks.iter().zip(targets) {
        until(|| Ok(!Path::new("/sys/block").join(&target).exists()))?;
        fs::remove_file(disk.path())?;
    }
    Ok(())
}
