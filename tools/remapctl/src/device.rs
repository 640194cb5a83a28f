// SPDX-License-Identifier: GPL-2.0

//! Devices, or files that stand for them.
//!
//! Device-mapper's own I/O goes past the page cache of a block device, which may outlive an array
//! if somebody keeps the device open. So block devices are read and written directly; the kernel
//! drops what its cache has of blocks that are written so (`blkdev_direct_write`). Files have one
//! page cache for all who use them. They are read and written in the same way where their file
//! system can.

use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_core::geometry;
use rustix::fs::{
    statx,
    AtFlags,
    OFlags,
    StatxFlags,
    CWD, //
};
use std::cell::RefCell;
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
    /// To be read, while nobody else uses it.
    Hold,
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

/// The length of what is read or written at a time.
const CHUNK: usize = 1 << 16;
/// The largest logical block of devices that a target takes, to which direct I/O is aligned.
const MOST_BLOCK: u32 = 4096;

/// Bytes, as direct I/O wants them in memory.
#[repr(align(4096))]
struct Buffer([u8; CHUNK]);

/// An open device.
pub struct Device {
    file: File,
    path: PathBuf,
    /// Whether it is a block device.
    pub is_block: bool,
    buffer: RefCell<Box<Buffer>>,
    number: u64,
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
        let mut flags = OFlags::empty();
        flags.set(OFlags::EXCL, is_device && access != Access::Read);
        flags.set(OFlags::DIRECT, is_device || takes_direct_io(path));
        options.custom_flags(flags.bits() as i32);
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
            is_block: is_device,
            buffer: RefCell::new(Box::new(Buffer([0; CHUNK]))),
            number: found.rdev(),
            kind,
        })
    }

    /// Whether another block device, such as a mapped one, stands on it.
    pub fn is_held(&self) -> bool {
        let holders = sysfs(self.number).join("holders");
        self.is_block && holders.read_dir().is_ok_and(|mut all| all.next().is_some())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads bytes at a sector.
    pub fn read(&self, sector: u64, bytes: &mut [u8]) -> std::io::Result<()> {
        let grain = self.kind.logical_block.min(MOST_BLOCK) as usize;
        let mut buffer = self.buffer.borrow_mut();
        let mut at = sector << 9;
        for part in bytes.chunks_mut(CHUNK - 2 * grain) {
            let before = at as usize % grain;
            let window = (before + part.len()).next_multiple_of(grain);
            let window = &mut buffer.0[..window];
            self.file.read_exact_at(window, at - before as u64)?;
            part.copy_from_slice(&window[before..before + part.len()]);
            at += part.len() as u64;
        }
        Ok(())
    }

    /// Writes bytes at a sector; both are multiples of the logical block.
    pub fn write(&self, sector: u64, bytes: &[u8]) -> std::io::Result<()> {
        let mut buffer = self.buffer.borrow_mut();
        let mut at = sector << 9;
        for part in bytes.chunks(CHUNK) {
            let window = &mut buffer.0[..part.len()];
            window.copy_from_slice(part);
            self.file.write_all_at(window, at)?;
            at += part.len() as u64;
        }
        Ok(())
    }

    /// Makes all that was written durable.
    pub fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }
}

/// Whether a file takes direct I/O of single sectors.
fn takes_direct_io(path: &Path) -> bool {
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::DIOALIGN);
    found.is_ok_and(|found| (1..=512).contains(&found.stx_dio_offset_align))
}

/// The folder in which the kernel describes a block device.
fn sysfs(number: u64) -> PathBuf {
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    PathBuf::from(format!("/sys/dev/block/{major}:{minor}"))
}

/// A limit of the queue of a block device, which for a partition is its disk's.
fn queue_limit(number: u64, name: &str) -> Result<u32> {
    let device = sysfs(number);
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
