// SPDX-License-Identifier: GPL-2.0

//! Units of a device, each with a version.

use crate::versions::UNIT_BYTES;
use anyhow::{
    Context,
    Result, //
};
use model::content::fill;
use rustix::fs::OFlags;
use std::{
    fs::{
        File,
        OpenOptions, //
    },
    io,
    os::unix::fs::{
        FileExt,
        OpenOptionsExt, //
    },
    path::Path,
};

/// A unit in memory, aligned for direct I/O.
#[repr(align(4096))]
struct Aligned([u8; UNIT_BYTES]);

/// A device whose units are read and written with direct I/O. A write is durable when it returns.
pub struct Units {
    file: File,
    unit: Box<Aligned>,
}

impl Units {
    /// Opens the device.
    pub fn of(device: &Path) -> Result<Self> {
        let flags = (OFlags::DIRECT | OFlags::DSYNC).bits();
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(flags as i32);
        let file = options.open(device);
        Ok(Self {
            file: file.with_context(|| device.display().to_string())?,
            unit: Box::new(Aligned([0; UNIT_BYTES])),
        })
    }

    /// Writes a version to a unit.
    pub fn write(&mut self, unit: u64, version: u64) -> io::Result<()> {
        fill(&mut self.unit.0, unit, version);
        self.file.write_all_at(&self.unit.0, place(unit))
    }

    /// The contents of a unit.
    pub fn read(&mut self, unit: u64) -> io::Result<&[u8]> {
        self.file.read_exact_at(&mut self.unit.0, place(unit))?;
        Ok(&self.unit.0)
    }
}

fn place(unit: u64) -> u64 {
    unit * UNIT_BYTES as u64
}
