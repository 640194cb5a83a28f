// SPDX-License-Identifier: GPL-2.0

//! Disks of null_blk, in memory, with configurable bad sectors (`Documentation/block/null_blk.rst`
//! of the kernel).

use super::block::Block;
use anyhow::{
    ensure,
    Context,
    Result, //
};
use std::{
    fs, io,
    ops::RangeInclusive,
    path::{
        Path,
        PathBuf, //
    },
};

const FOLDER: &str = "/sys/kernel/config/nullb";

/// A disk of null_blk, `/dev/NAME`.
#[derive(Clone, Debug)]
pub struct NullDisk {
    path: PathBuf,
    folder: PathBuf,
}

impl NullDisk {
    /// Creates a disk of the given mebibytes.
    pub fn new(name: &str, mebibytes: u64) -> Result<Self> {
        Self::with(name, mebibytes, &[])
    }

    /// Creates a disk with attributes, such as `("blocksize", "4096")`.
    ///
    /// A fresh guest has the disks of most tests; a disk in the wanted state is reused.
    pub fn with(name: &str, mebibytes: u64, attributes: &[(&str, &str)]) -> Result<Self> {
        let disk = Self {
            path: Path::new("/dev").join(name),
            folder: Path::new(FOLDER).join(name),
        };
        if disk.folder.exists() {
            if attributes.is_empty() && disk.get("size")? == mebibytes.to_string() {
                return Ok(disk);
            }
            fs::remove_dir(&disk.folder)?;
        }
        fs::create_dir(&disk.folder)?;
        disk.set("memory_backed", 1)?;
        disk.set("size", mebibytes)?;
        for (name, value) in attributes {
            disk.set(name, value)?;
        }
        disk.set("power", 1)?;
        ensure!(disk.path.exists(), "{} did not appear", disk.path.display());
        Ok(disk)
    }

    fn get(&self, attribute: &str) -> Result<String> {
        let path = self.folder.join(attribute);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(text.trim().to_string())
    }

    /// Sets an attribute, such as `timeout_inject/probability`.
    pub fn set(&self, attribute: &str, value: impl ToString) -> Result<()> {
        let path = self.folder.join(attribute);
        fs::write(&path, value.to_string()).with_context(|| path.display().to_string())
    }

    /// Makes reads and writes of these sectors fail.
    pub fn bad(&self, sectors: RangeInclusive<u64>) -> Result<()> {
        self.set(
            "badblocks",
            format!("+{}-{}", sectors.start(), sectors.end()),
        )
    }

    /// Makes these sectors work again.
    pub fn good(&self, sectors: RangeInclusive<u64>) -> Result<()> {
        self.set(
            "badblocks",
            format!("-{}-{}", sectors.start(), sectors.end()),
        )
    }

    /// The file of the bad sectors, for programs that change them.
    pub fn bad_sectors(&self) -> PathBuf {
        self.folder.join("badblocks")
    }

    /// Cuts the power: the disk disappears, and its cache (`cache_size`) is lost.
    pub fn power_off(&self) -> Result<()> {
        self.set("power", 0)
    }

    /// Restores the power.
    pub fn power_on(&self) -> Result<()> {
        self.set("power", 1)
    }

    /// Removes the disk.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_dir(self.folder)
    }
}

impl Block for NullDisk {
    fn path(&self) -> &Path {
        &self.path
    }
}

/// Removes all null_blk disks.
pub fn remove_all() -> Result<()> {
    for entry in fs::read_dir(FOLDER)? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir(path)?;
        }
    }
    Ok(())
}
