// SPDX-License-Identifier: GPL-2.0

//! Devices, or files that stand for them.

use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_core::geometry;
use std::fs::{
    File,
    OpenOptions, //
};
use std::io::{
    Seek,
    SeekFrom, //
};
use std::os::unix::fs::{
    FileExt,
    FileTypeExt,
    MetadataExt,
    OpenOptionsExt, //
};
use std::path::{
    Path,
    PathBuf, //
};

/// Whether a device is opened to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To be read, perhaps while others use it.
    Read,
    /// To be written, by nobody else.
    Write,
}

impl Access {
    /// To be written, unless nothing is to be.
    pub fn unless(read_only: bool) -> Self {
        if read_only {
            Self::Read
        } else {
            Self::Write
        }
    }
}

/// An open device.
pub struct Device {
    file: File,
    path: PathBuf,
    /// What it says of itself.
    pub kind: geometry::Device,
}

impl Device {
    /// Opens a block device or a regular file. A device in use is not opened for writing.
    pub fn open(path: &Path, access: Access) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(access == Access::Write);
        let named = || path.display();
        let found = std::fs::metadata(path).with_context(|| format!("{}", named()))?;
        let is_device = found.file_type().is_block_device();
        if !is_device && !found.is_file() {
            bail!("{}: neither a block device nor a file", named());
        }
        if is_device && access == Access::Write {
            options.custom_flags(rustix::fs::OFlags::EXCL.bits() as i32);
        }
        let mut file = options.open(path).map_err(|error| {
            let in_use = error.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error());
            let error = anyhow::Error::from(error);
            error.context(if in_use {
                format!("{}: in use", named())
            } else {
                format!("{}", named())
            })
        })?;
        let sectors = file.seek(SeekFrom::End(0))? >> 9;
        let limit = |name| match is_device {
            true => queue_limit(found.rdev(), name),
            false => Ok(512),
        };
        let kind = geometry::Device {
            logical_block: limit("logical_block_size")?,
            physical_block: limit("physical_block_size")?,
            sectors,
        };
        Ok(Self {
            file,
            path: path.to_owned(),
            kind,
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads bytes at a sector.
    pub fn read(&self, sector: u64, bytes: &mut [u8]) -> std::io::Result<()> {
        self.file.read_exact_at(bytes, sector << 9)
    }

    /// Writes bytes at a sector.
    pub fn write(&self, sector: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all_at(bytes, sector << 9)
    }

    /// Makes all that was written durable.
    pub fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }
}

/// A limit of the queue of a block device, which for a partition is its disk's.
fn queue_limit(number: u64, name: &str) -> Result<u32> {
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let device = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    let own = device.join("queue").join(name);
    let path = if own.exists() {
        own
    } else {
        device.join("../queue").join(name)
    };
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    text.trim()
        .parse()
        .with_context(|| format!("{}", path.display()))
}
