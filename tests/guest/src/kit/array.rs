// SPDX-License-Identifier: GPL-2.0

//! The array of most tests: the device `r`, its disks, and its answers.

use super::{
    content::MIB,
    mapped::Mapped,
    module,
    null_disk::NullDisk,
    wait::until,
    Block, //
};
use anyhow::{
    Context,
    Result, //
};
use remap_active::{
    answer::Answer,
    list::{
        self,
        Relocation, //
    },
    status::Status, //
};
use std::{
    ops::Deref,
    path::Path, //
};

/// Sectors of a metadata region on a spare of at most 62 MiB. The units of the spare follow the
/// first region.
pub const REGION: u64 = 2048;
/// Sectors of the spare in most tests, 8 MiB.
pub const SPARE: u64 = 16384;
/// Sectors of main in most tests, 64 MiB.
pub const MAIN: u64 = 131_072;
/// The table of most tests.
pub const TABLE: &str = "0 131072 remap /dev/main 0 /dev/spare 0 16384";

/// The device `r`, with a single `remap` target.
#[derive(Clone, Debug)]
pub struct Remap(Mapped);

impl Remap {
    /// Creates the device with a table.
    pub fn create(table: &str) -> Result<Self> {
        module::load_ours()?;
        Mapped::create("r", table).map(Self)
    }

    /// Creates the device with a read-only table.
    pub fn create_read_only(table: &str) -> Result<Self> {
        module::load_ours()?;
        Mapped::create_read_only("r", table).map(Self)
    }

    /// The device of that name, created elsewhere, for example by `remapctl`.
    pub fn at(name: &str) -> Result<Self> {
        Mapped::at(name).map(Self)
    }

    /// Removes the device.
    pub fn remove(self) -> Result<()> {
        self.0.remove()
    }

    /// The status of the device.
    pub fn status(&self) -> Result<Status> {
        self.status_words()?.parse()
    }

    /// Spare units in use and in total, as `1/1536`.
    pub fn used(&self) -> Result<String> {
        Ok(self.status()?.used.to_string())
    }

    /// The answer to a message.
    pub fn ask(&self, message: &str) -> Result<Answer> {
        self.message(message).map(Answer::new)
    }

    /// A counter of `stats`.
    pub fn count(&self, name: &str) -> Result<u64> {
        self.ask("stats")?.number(name)
    }

    /// The relocated units.
    pub fn list(&self) -> Result<Vec<Relocation>> {
        list::relocations(0, |text| self.message(text))
    }

    /// The relocated units, as lines of `list`.
    pub fn list_lines(&self) -> Result<String> {
        let lines: Vec<_> = self.list()?.iter().map(ToString::to_string).collect();
        Ok(lines.join("\n"))
    }

    /// The first sectors of the suspects.
    pub fn suspects(&self) -> Result<Vec<u64>> {
        list::suspects(0, |text| self.message(text))
    }

    /// Relocates the units of these sectors.
    pub fn relocate(&self, sector: u64, sectors: u64) -> Result<String> {
        self.message(&format!("remap {sector} {sectors}"))
    }

    /// Moves a unit back to main.
    pub fn move_back(&self, sector: u64) -> Result<String> {
        self.message(&format!("unremap {sector}"))
    }

    /// The generation of the last commit.
    pub fn commits(&self) -> Result<u64> {
        let info = self.message("info")?;
        let commit = info
            .lines()
            .filter(|line| line.starts_with("metadata: "))
            .find_map(|line| line.split_once(" commit "))
            .context("the commit in 'info'")?;
        Ok(commit.1.parse()?)
    }

    /// The features of the table, such as `2 policy spare`.
    pub fn features(&self) -> Result<String> {
        let table = self.table()?;
        Ok(table.splitn(9, ' ').nth(8).unwrap_or_default().to_string())
    }

    /// Completes a pass of the scan at the maximum rate.
    pub fn scan(&self) -> Result<()> {
        self.message("scan rate 1000000")?;
        self.message("scan start")?;
        self.until_scan_is("stopped")
    }

    /// Waits until the scan is in a state.
    pub fn until_scan_is(&self, state: &str) -> Result<()> {
        until(|| Ok(self.status()?.scan == state))
    }
}

impl Deref for Remap {
    type Target = Mapped;

    fn deref(&self) -> &Mapped {
        &self.0
    }
}

impl Block for Remap {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The device `r` on two disks in memory.
pub struct Array {
    /// The device.
    pub r: Remap,
    /// The disk with bad sectors.
    pub main: NullDisk,
    /// The disk that replaces them.
    pub spare: NullDisk,
}

impl Array {
    /// Creates a main of 64 MiB and a spare of 8 MiB.
    pub fn new() -> Result<Self> {
        Self::with(64, 8, "")
    }

    /// Creates the default disks, with features after their count, such as `2 policy spare`.
    pub fn with_features(features: &str) -> Result<Self> {
        Self::with(64, 8, features)
    }

    /// Creates a main and a spare of the given mebibytes, with features.
    pub fn with(main: u64, spare: u64, features: &str) -> Result<Self> {
        let disks = Disks::with(main, spare)?;
        let mib = (MIB / 512) as u64;
        let (main_sectors, spare_sectors) = (main * mib, spare * mib);
        let table =
            format!("0 {main_sectors} remap /dev/main 0 /dev/spare 0 {spare_sectors} {features}");
        Ok(Self {
            r: Remap::create(table.trim_end())?,
            main: disks.main,
            spare: disks.spare,
        })
    }
}

/// The two disks in memory, and the module.
pub struct Disks {
    /// `/dev/main`
    pub main: NullDisk,
    /// `/dev/spare`
    pub spare: NullDisk,
}

impl Disks {
    /// Creates a main of 64 MiB and a spare of 8 MiB.
    pub fn new() -> Result<Self> {
        Self::with(64, 8)
    }

    /// Creates a main and a spare of the given mebibytes.
    pub fn with(main: u64, spare: u64) -> Result<Self> {
        module::load_ours()?;
        Ok(Self {
            main: NullDisk::new("main", main)?,
            spare: NullDisk::new("spare", spare)?,
        })
    }
}
