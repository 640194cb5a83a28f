// SPDX-License-Identifier: GPL-2.0

//! What a test asks of the host. A request is a line of JSON on standard output, which is the
//! guest's control port; what people read goes to standard error.

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

/// A request. `scripts/dev/requests.py` has the host's side, and `guest-tests requests` lists them,
/// so that the host finds out before the first test if it knows others.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub enum Request {
    /// To take a disk out (`disks` of the test).
    Pull {
        /// Its number.
        disk: u32,
    },
    /// To take all disks out that can be.
    GiveBack,
    /// To keep a line, which the test has in its next boot.
    Remember {
        /// The line.
        line: String,
    },
    /// To take the power when it has been asked to remember so many more lines, and to run the test
    /// again with the same disks.
    CutPower {
        /// How many lines.
        lines: u32,
        /// How long it waits behind the last of them.
        microseconds: u32,
    },
}

impl Request {
    /// One of each.
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
    // In one call, so that lines of several threads stay whole.
    std::io::stdout().lock().write_all(&line)?;
    std::io::stdout().flush()?;
    // User-Mode Linux keeps what the host has no room for. QEMU's port is no terminal, and keeps nothing.
    match tcdrain(std::io::stdout()) {
        Ok(()) | Err(Errno::NOTTY) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Has the host take that disk out, and waits until it is gone.
pub fn pull(disk: u32) -> Result<()> {
    let folder = Device::at(format!("/dev/disk{disk}")).sysfs()?;
    ask(&Request::Pull { disk })?;
    until(|| Ok(!folder.exists()))
}

/// Has the host take the power when it was asked to remember so many more lines.
pub fn cut_power(lines: u32, microseconds: u32) -> Result<()> {
    ask(&Request::CutPower {
        lines,
        microseconds,
    })
}

/// Has the host keep a line for the next boot.
pub fn remember(line: &str) -> Result<()> {
    ask(&Request::Remember { line: line.into() })
}

/// What the host was asked to remember before the power was cut.
pub fn remembered() -> Result<String> {
    fs::read_to_string("/run/remembered").context("what was remembered")
}

/// Which boot of the test this is, from 1.
pub fn boot() -> u32 {
    env::var("BOOT")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
}

/// Has the host take out the disks that it put in.
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
    // The host can take out SCSI disks only.
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
