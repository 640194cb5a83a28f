// SPDX-License-Identifier: GPL-2.0

//! A device that holds requests until it is opened.

use super::{
    block::{
        Block,
        InFlight, //
    },
    mapped::Mapped,
    wait::until, //
};
use anyhow::{
    Context,
    Result, //
};
use std::{
    cell::Cell,
    ops::Deref,
    path::Path, //
};

/// A day in milliseconds, longer than any test.
const FOR_EVER: u32 = 100_000_000;

/// A device that holds requests, on a part of a disk. Dropping it releases them, so that a failed
/// test can end.
pub struct Gate {
    mapped: Mapped,
    disk: String,
    sectors: u64,
    is_open: Cell<bool>,
}

impl Gate {
    /// Creates an open gate to the given sectors of a disk.
    pub fn new(name: &str, disk: &impl Block, start: u64, sectors: u64) -> Result<Self> {
        let disk = format!("{} {start}", disk.path().display());
        let mapped = Mapped::create(name, &format!("0 {sectors} linear {disk}"))?;
        Ok(Self {
            mapped,
            disk,
            sectors,
            is_open: Cell::new(true),
        })
    }

    /// Holds further reads.
    pub fn hold_reads(&self) -> Result<()> {
        self.delay(FOR_EVER, 0)
    }

    /// Holds further writes and flushes.
    pub fn hold_writes(&self) -> Result<()> {
        self.delay(0, FOR_EVER)
    }

    /// Holds further writes, but not flushes.
    pub fn hold_writes_of_data(&self) -> Result<()> {
        self.is_open.set(false);
        let (disk, sectors) = (&self.disk, self.sectors);
        self.replace(&format!(
            "0 {sectors} delay {disk} 0 {disk} {FOR_EVER} {disk} 0"
        ))
    }

    fn delay(&self, reads: u32, writes: u32) -> Result<()> {
        self.is_open.set(false);
        let (disk, sectors) = (&self.disk, self.sectors);
        self.replace(&format!("0 {sectors} delay {disk} {reads} {disk} {writes}"))
    }

    /// Releases the held requests, and holds no more.
    pub fn open(&self) -> Result<()> {
        self.replace(&format!("0 {} linear {}", self.sectors, self.disk))?;
        self.is_open.set(true);
        Ok(())
    }

    /// The held requests.
    pub fn held(&self) -> Result<InFlight> {
        let words = self.status_words()?;
        let mut words = words.split(' ');
        let mut next = || -> Result<u64> {
            let word = words.next().context("the held requests in the status")?;
            Ok(word.parse()?)
        };
        Ok(InFlight {
            reads: next()?,
            writes: next()?,
        })
    }

    /// Waits until the given number of reads is held.
    pub fn until_reads_are_held(&self, reads: u64) -> Result<()> {
        until(|| Ok(self.held()?.reads == reads))
    }

    /// Waits until the given number of writes is held.
    pub fn until_writes_are_held(&self, writes: u64) -> Result<()> {
        until(|| Ok(self.held()?.writes == writes))
    }
}

impl Deref for Gate {
    type Target = Mapped;

    fn deref(&self) -> &Mapped {
        &self.mapped
    }
}

impl Block for Gate {
    fn path(&self) -> &Path {
        self.mapped.path()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if !self.is_open.get() {
            // The test has failed, and reports its own error.
            let _ = self.open();
        }
    }
}
