// SPDX-License-Identifier: GPL-2.0

//! Requests to device-mapper, by the names of mapped devices.

use crate::table::Line;
use anyhow::{
    bail,
    Context,
    Result, //
};
use devicemapper::{
    DevId,
    DeviceInfo,
    DmFlags,
    DmName,
    DmOptions,
    DmUdevFlags,
    DM, //
};
use std::fs::File;

/// How a table is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading and writing.
    Write,
    /// For reading only.
    Read,
}

/// What a suspend does with requests that have not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspend {
    /// It waits for them, and freezes a file system.
    Flush,
    /// It waits for those that the target does not hold back.
    NoFlush,
}

/// Device-mapper.
pub struct Mapper(DM);

impl Mapper {
    /// Opens device-mapper.
    pub fn new() -> Result<Self> {
        DM::new()
            .map(Self)
            .context("device-mapper cannot be reached")
    }

    /// What is readable when an event came after [`Mapper::arm_poll`].
    pub fn file(&self) -> &File {
        self.0.file()
    }

    /// From now on an event of any mapped device makes [`Mapper::file`] readable.
    pub fn arm_poll(&self) -> Result<()> {
        self.0.arm_poll().context("waiting for events")?;
        Ok(())
    }

    /// The names of all mapped devices.
    pub fn names(&self) -> Result<Vec<String>> {
        let devices = self.0.list_devices()?;
        Ok(devices
            .into_iter()
            .map(|(name, ..)| name.to_string())
            .collect())
    }

    /// Makes a device that has no table.
    pub fn create(&self, name: &str, access: Access) -> Result<()> {
        self.0
            .device_create(named(name)?, None, options(access))
            .with_context(|| format!("creating {name}"))?;
        Ok(())
    }

    /// Loads a table, which the next resume makes live.
    pub fn load(&self, name: &str, table: &[Line], access: Access) -> Result<()> {
        let lines: Vec<_> = table
            .iter()
            .map(|line| {
                let (kind, words) = (line.kind.clone(), line.words.clone());
                (line.start, line.sectors, kind, words)
            })
            .collect();
        self.0
            .table_load(&id(name)?, &lines, options(access))
            .with_context(|| format!("loading a table of {name}"))?;
        Ok(())
    }

    /// Takes a table back that was loaded and is not live.
    pub fn clear(&self, name: &str) -> Result<()> {
        self.0
            .table_clear(&id(name)?)
            .with_context(|| format!("clearing {name}"))?;
        Ok(())
    }

    /// Suspends a device.
    pub fn suspend(&self, name: &str, suspend: Suspend) -> Result<()> {
        let mut flags = DmFlags::DM_SUSPEND;
        if suspend == Suspend::NoFlush {
            flags |= DmFlags::DM_NOFLUSH | DmFlags::DM_SKIP_LOCKFS;
        }
        self.0
            .device_suspend(&id(name)?, options(Access::Write).set_flags(flags))
            .with_context(|| format!("suspending {name}"))?;
        Ok(())
    }

    /// Resumes a device, with the table that was loaded if there is one.
    pub fn resume(&self, name: &str) -> Result<()> {
        self.0
            .device_suspend(&id(name)?, options(Access::Write))
            .with_context(|| format!("resuming {name}"))?;
        Ok(())
    }

    /// Removes a device.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.0
            .device_remove(&id(name)?, options(Access::Write))
            .with_context(|| format!("removing {name}"))?;
        Ok(())
    }

    /// What the kernel knows of a device.
    pub fn info(&self, name: &str) -> Result<DeviceInfo> {
        self.0
            .device_info(&id(name)?)
            .with_context(|| name.to_string())
    }

    /// The status of each target.
    pub fn status(&self, name: &str) -> Result<Vec<Line>> {
        self.lines(name, DmOptions::default())
    }

    /// The live table.
    pub fn table(&self, name: &str) -> Result<Vec<Line>> {
        self.lines(
            name,
            DmOptions::default().set_flags(DmFlags::DM_STATUS_TABLE),
        )
    }

    fn lines(&self, name: &str, options: DmOptions) -> Result<Vec<Line>> {
        let (_, lines) = self
            .0
            .table_status(&id(name)?, options)
            .with_context(|| name.to_string())?;
        Ok(lines
            .into_iter()
            .map(|(start, sectors, kind, words)| Line {
                start,
                sectors,
                kind,
                words,
            })
            .collect())
    }

    /// Sends a message to the target at that sector of a device, and returns its answer.
    ///
    /// Where the target refuses, the error says why: it is asked for the reason.
    pub fn message(&self, name: &str, sector: u64, text: &str) -> Result<String> {
        let id = id(name)?;
        match self.0.target_msg(&id, Some(sector), text) {
            Ok((_, answer)) => Ok(answer.unwrap_or_default()),
            Err(error) => {
                let reason = self.0.target_msg(&id, Some(sector), "reason");
                let reason = reason.ok().and_then(|(_, answer)| answer);
                let error = anyhow::Error::from(error);
                Err(error.context(reason.unwrap_or_default().trim().to_string()))
            }
        }
    }

    /// The `remap` targets of a device, of which there must be one at least.
    pub fn targets(&self, name: &str) -> Result<Vec<Line>> {
        let mut lines = self.status(name)?;
        lines.retain(|line| line.kind == crate::TYPE);
        if lines.is_empty() {
            bail!("{name} has no {} target", crate::TYPE);
        }
        Ok(lines)
    }
}

fn named(name: &str) -> Result<&DmName> {
    DmName::new(name).with_context(|| format!("'{name}' is no name for a mapped device"))
}

fn id(name: &str) -> Result<DevId<'_>> {
    named(name).map(DevId::Name)
}

/// The options that make the library wait for nobody: udev may not run.
fn options(access: Access) -> DmOptions {
    let options =
        DmOptions::default().set_udev_flags(DmUdevFlags::DM_UDEV_DISABLE_LIBRARY_FALLBACK);
    match access {
        Access::Write => options,
        Access::Read => options.set_flags(DmFlags::DM_READONLY),
    }
}
