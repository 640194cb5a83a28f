// SPDX-License-Identifier: GPL-2.0

//! Requests to device-mapper, by the names of mapped devices.
//!
//! Where udev runs, they are made by the `devicemapper` crate, which waits until udev has made a
//! node or taken it away. That crate refuses every request where udev does not run, as in a rescue
//! shell; its versions that do not (0.34.8 and later) need a newer compiler than Debian 13 has.
//! There they are made by dmsetup(8), which makes the nodes itself, and which each initramfs that
//! can have mapped devices contains.

mod dmsetup;
mod library;

use crate::table::Line;
use anyhow::{
    bail,
    Context,
    Result, //
};
use std::path::Path;
use std::time::Duration;

/// Whether udev runs.
pub fn udev_runs() -> bool {
    Path::new("/run/udev/control").exists()
}

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
    /// It waits for them, and leaves a file system as it is: one that is frozen writes when it is
    /// resumed, which must not wait then for anything that comes after that.
    NoLockfs,
    /// It waits for those that the target does not hold back.
    NoFlush,
}

/// What the kernel knows of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The UUID that it was created with; empty if with none.
    pub uuid: String,
    /// How often it is open.
    pub open: u32,
    /// How many events there were.
    pub events: u32,
    /// Whether it is suspended.
    pub is_suspended: bool,
    /// Whether it is for reading only.
    pub is_read_only: bool,
    /// Its device number: major and minor.
    pub number: (u32, u32),
}

/// What is answered to a message.
enum Reply {
    /// The target's answer.
    Answered(String),
    /// It refused, or there is no such target.
    Refused(anyhow::Error),
}

/// Who makes the requests.
trait Requests {
    fn arm_poll(&self) -> Result<()>;
    /// Waits for an event that came after [`Requests::arm_poll`], or until that time is over.
    fn wait(&self, most: Option<Duration>) -> Result<()>;
    fn names(&self) -> Result<Vec<String>>;
    fn create(&self, name: &str, uuid: Option<&str>, access: Access) -> Result<()>;
    fn set_uuid(&self, name: &str, uuid: &str) -> Result<()>;
    fn load(&self, name: &str, table: &[Line], access: Access) -> Result<()>;
    fn clear(&self, name: &str) -> Result<()>;
    fn suspend(&self, name: &str, suspend: Suspend) -> Result<()>;
    fn resume(&self, name: &str) -> Result<()>;
    fn remove(&self, name: &str) -> Result<()>;
    fn info(&self, name: &str) -> Result<Info>;
    fn status(&self, name: &str) -> Result<Vec<Line>>;
    fn table(&self, name: &str) -> Result<Vec<Line>>;
    fn message(&self, name: &str, sector: u64, text: &str) -> Result<Reply>;
}

/// Device-mapper.
pub struct Mapper(Box<dyn Requests>);

impl Mapper {
    /// Opens device-mapper.
    pub fn new() -> Result<Self> {
        Ok(Self(match udev_runs() {
            true => Box::new(library::Library::new()?),
            false => Box::new(dmsetup::Dmsetup),
        }))
    }

    /// From now on an event of any mapped device ends [`Mapper::wait`].
    pub fn arm_poll(&self) -> Result<()> {
        self.0.arm_poll()
    }

    /// Waits for an event that came after [`Mapper::arm_poll`], or until that time is over.
    ///
    /// It may return without one: who waits for a device compares [`Info::events`].
    pub fn wait(&self, most: Option<Duration>) -> Result<()> {
        self.0.wait(most)
    }

    /// The names of all mapped devices.
    pub fn names(&self) -> Result<Vec<String>> {
        self.0.names()
    }

    /// Makes a device that has no table.
    pub fn create(&self, name: &str, uuid: Option<&str>, access: Access) -> Result<()> {
        let made = self.0.create(name, uuid, access);
        made.with_context(|| format!("creating {name}"))
    }

    /// Gives a UUID to a device that has none.
    pub fn set_uuid(&self, name: &str, uuid: &str) -> Result<()> {
        let set = self.0.set_uuid(name, uuid);
        set.with_context(|| format!("setting the UUID of {name}"))
    }

    /// Loads a table, which the next resume makes live.
    pub fn load(&self, name: &str, table: &[Line], access: Access) -> Result<()> {
        let loaded = self.0.load(name, table, access);
        loaded.with_context(|| format!("loading a table of {name}"))
    }

    /// Takes a table back that was loaded and is not live.
    pub fn clear(&self, name: &str) -> Result<()> {
        let cleared = self.0.clear(name);
        cleared.with_context(|| format!("clearing {name}"))
    }

    /// Suspends a device.
    pub fn suspend(&self, name: &str, suspend: Suspend) -> Result<()> {
        let suspended = self.0.suspend(name, suspend);
        suspended.with_context(|| format!("suspending {name}"))
    }

    /// Resumes a device, with the table that was loaded if there is one.
    pub fn resume(&self, name: &str) -> Result<()> {
        let resumed = self.0.resume(name);
        resumed.with_context(|| format!("resuming {name}"))
    }

    /// Removes a device.
    pub fn remove(&self, name: &str) -> Result<()> {
        let removed = self.0.remove(name);
        removed.with_context(|| format!("removing {name}"))
    }

    /// What the kernel knows of a device.
    pub fn info(&self, name: &str) -> Result<Info> {
        self.0.info(name).with_context(|| name.to_string())
    }

    /// The status of each target.
    pub fn status(&self, name: &str) -> Result<Vec<Line>> {
        self.0.status(name).with_context(|| name.to_string())
    }

    /// The live table.
    pub fn table(&self, name: &str) -> Result<Vec<Line>> {
        self.0.table(name).with_context(|| name.to_string())
    }

    /// Sends a message to the target at that sector of a device, and returns its answer.
    ///
    /// Where the target refuses, the error says why: it is asked for the reason.
    pub fn message(&self, name: &str, sector: u64, text: &str) -> Result<String> {
        let error = match self.0.message(name, sector, text)? {
            Reply::Answered(answer) => return Ok(answer),
            Reply::Refused(error) => error,
        };
        let reason = match self.0.message(name, sector, "reason") {
            Ok(Reply::Answered(reason)) => reason,
            _ => String::new(),
        };
        Err(error.context(reason.trim().to_string()))
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
