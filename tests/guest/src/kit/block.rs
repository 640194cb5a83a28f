// SPDX-License-Identifier: GPL-2.0

//! I/O on block devices that bypasses the page cache.

use super::{
    command::run,
    content::{
        random,
        same,
        MIB,
        SECTOR, //
    },
};
use anyhow::{
    Context,
    Result, //
};
use rustix::fs::{
    fallocate,
    major,
    minor,
    FallocateFlags,
    OFlags, //
};
use rustix::io::{
    pwritev2,
    ReadWriteFlags, //
};
use std::{
    fs::{
        self,
        File,
        OpenOptions, //
    },
    io::{
        self,
        IoSlice, //
    },
    os::unix::fs::{
        FileExt,
        MetadataExt,
        OpenOptionsExt, //
    },
    path::{
        Path,
        PathBuf, //
    },
};

/// The alignment of buffers for direct I/O.
const ALIGNMENT: usize = 4096;
/// The default size of a request in bytes.
const REQUEST: usize = MIB;

/// A buffer for direct I/O.
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    fn new(len: usize) -> Self {
        let bytes = vec![0; len + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT);
        Self { bytes, start }
    }

    fn first(&mut self, len: usize) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + len]
    }
}

fn opened(path: &Path, write: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(!write)
        .write(write)
        .custom_flags(OFlags::DIRECT.bits() as i32)
        .open(path)
}

/// A block device. Sectors have 512 bytes. Errors are those of the kernel.
pub trait Block: Sized {
    /// The path in `/dev`.
    fn path(&self) -> &Path;

    /// Reads sectors, in requests of up to 1 MiB.
    fn read(&self, sector: u64, sectors: u64) -> io::Result<Vec<u8>> {
        let mut data = Vec::with_capacity(sectors as usize * SECTOR);
        self.read_each(sector, sectors, |_, chunk| data.extend_from_slice(chunk))?;
        Ok(data)
    }

    /// Reads sectors, and passes the data of each request to `got`, with their offset in bytes.
    fn read_each(
        &self,
        sector: u64,
        sectors: u64,
        mut got: impl FnMut(usize, &[u8]),
    ) -> io::Result<()> {
        let file = opened(self.path(), false)?;
        let bytes = sectors as usize * SECTOR;
        let mut buffer = Buffer::new(bytes.min(REQUEST));
        for at in (0..bytes).step_by(REQUEST) {
            let chunk = buffer.first(REQUEST.min(bytes - at));
            file.read_exact_at(chunk, sector * SECTOR as u64 + at as u64)?;
            got(at, chunk);
        }
        Ok(())
    }

    /// Writes data, in requests of up to 1 MiB.
    fn write(&self, sector: u64, data: &[u8]) -> io::Result<()> {
        self.write_by(sector, data, REQUEST)
    }

    /// Writes data, in requests of the given bytes.
    fn write_by(&self, sector: u64, data: &[u8], request: usize) -> io::Result<()> {
        let file = opened(self.path(), true)?;
        let mut buffer = Buffer::new(data.len().min(request));
        let mut at = sector * SECTOR as u64;
        for chunk in data.chunks(request) {
            let copy = buffer.first(chunk.len());
            copy.copy_from_slice(chunk);
            file.write_all_at(copy, at)?;
            at += chunk.len() as u64;
        }
        Ok(())
    }

    /// Writes random data.
    fn write_junk(&self, sector: u64, sectors: u64) -> io::Result<()> {
        const PIECE: u64 = (MIB / SECTOR) as u64;
        let junk = random(MIB.min(sectors as usize * SECTOR));
        for at in (0..sectors).step_by(PIECE as usize) {
            let len = PIECE.min(sectors - at) as usize * SECTOR;
            self.write(sector + at, &junk[..len])?;
        }
        Ok(())
    }

    /// Writes zeroes, as data.
    fn wipe(&self, sector: u64, sectors: u64) -> io::Result<()> {
        self.write(sector, &vec![0; sectors as usize * SECTOR])
    }

    /// Makes the device write zeroes (`REQ_OP_WRITE_ZEROES`); the kernel may fall back to data.
    fn write_zeroes(&self, sector: u64, sectors: u64) -> io::Result<()> {
        let file = opened(self.path(), true)?;
        let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
        let unit = SECTOR as u64;
        Ok(fallocate(file, flags, sector * unit, sectors * unit)?)
    }

    /// Discards sectors.
    fn discard(&self, sector: u64, sectors: u64) -> Result<()> {
        let unit = SECTOR as u64;
        run(
            "blkdiscard",
            &[
                "-o",
                &(sector * unit).to_string(),
                "-l",
                &(sectors * unit).to_string(),
                &self.path().to_string_lossy(),
            ],
        )?;
        Ok(())
    }

    /// Makes completed writes durable.
    fn flush(&self) -> io::Result<()> {
        opened(self.path(), true)?.sync_data()
    }

    /// Fails unless the device holds these data at a sector.
    fn holds_at(&self, sector: u64, want: &[u8]) -> Result<()> {
        let what = format!("{} from sector {sector}", self.path().display());
        let mut differs = Ok(());
        let sectors = (want.len() / SECTOR) as u64;
        self.read_each(sector, sectors, |at, got| {
            if differs.is_ok() {
                let what = format!("{what}, sector {} and on", at / SECTOR);
                differs = same(got, &want[at..at + got.len()], &what);
            }
        })
        .context(what.clone())?;
        differs
    }

    /// Fails unless the device starts with these data.
    fn holds(&self, want: &[u8]) -> Result<()> {
        self.holds_at(0, want)
    }

    /// The directory of the device in sysfs.
    fn sysfs(&self) -> Result<PathBuf> {
        let number = fs::metadata(self.path())?.rdev();
        let link = format!("/sys/dev/block/{}:{}", major(number), minor(number));
        fs::canonicalize(&link).with_context(|| link)
    }

    /// A file of that directory, such as `queue/write_zeroes_max_bytes`.
    fn attribute(&self, name: &str) -> Result<String> {
        let path = self.sysfs()?.join(name);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(text.trim().to_string())
    }

    /// Writes such a file.
    fn set_attribute(&self, name: &str, value: impl ToString) -> Result<()> {
        let path = self.sysfs()?.join(name);
        // Some files require a newline, such as `device/state` of SCSI disks.
        let line = format!("{}\n", value.to_string());
        fs::write(&path, line).with_context(|| path.display().to_string())
    }

    /// The length in sectors.
    fn sectors(&self) -> Result<u64> {
        Ok(self.attribute("size")?.parse()?)
    }

    /// The I/O statistics of the kernel.
    fn counted(&self) -> Result<Counted> {
        let text = self.attribute("stat")?;
        let fields: Vec<u64> = text
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        Ok(Counted {
            reads: fields[0],
            sectors_read: fields[2],
            writes: fields[4],
            sectors_written: fields[6],
        })
    }

    /// The number of reads and writes in flight.
    fn in_flight(&self) -> Result<InFlight> {
        let text = self.attribute("inflight")?;
        let mut words = text.split_whitespace();
        let mut next = || -> Result<u64> { Ok(words.next().context("two fields")?.parse()?) };
        Ok(InFlight {
            reads: next()?,
            writes: next()?,
        })
    }
}

/// The I/O statistics of a disk (`Documentation/block/stat.rst` of the kernel).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Completed reads.
    pub reads: u64,
    /// Sectors that they read.
    pub sectors_read: u64,
    /// Completed writes.
    pub writes: u64,
    /// Sectors that they wrote.
    pub sectors_written: u64,
}

/// Requests in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
}

/// Any block device, by its path.
#[derive(Clone, Debug)]
pub struct Device(PathBuf);

impl Device {
    /// The device at a path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl Block for Device {
    fn path(&self) -> &Path {
        &self.0
    }
}

/// Fails unless the I/O failed with this error.
pub fn fails_with<T>(result: io::Result<T>, want: rustix::io::Errno) -> Result<()> {
    match result {
        Ok(_) => anyhow::bail!("succeeded, want {want:?}"),
        Err(error) if error.raw_os_error() == Some(want.raw_os_error()) => Ok(()),
        Err(error) => anyhow::bail!("failed with {error}, want {want:?}"),
    }
}

/// Fails unless the I/O failed.
pub fn fails<T, E>(result: Result<T, E>) -> Result<()> {
    match result {
        Ok(_) => anyhow::bail!("succeeded, want a failure"),
        Err(_) => Ok(()),
    }
}

/// Writes data in a single request with `REQ_FUA`.
pub fn write_durably(device: &impl Block, sector: u64, data: &[u8]) -> io::Result<()> {
    let flags = OFlags::DIRECT | OFlags::DSYNC;
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(flags.bits() as i32)
        .open(device.path())?;
    let mut buffer = Buffer::new(data.len());
    let copy = buffer.first(data.len());
    copy.copy_from_slice(data);
    file.write_all_at(copy, sector * SECTOR as u64)
}

/// Writes data in a single request with `REQ_NOWAIT`.
pub fn write_nowait(device: &impl Block, sector: u64, data: &[u8]) -> io::Result<()> {
    let file = opened(device.path(), true)?;
    let mut buffer = Buffer::new(data.len());
    let copy = buffer.first(data.len());
    copy.copy_from_slice(data);
    let at = sector * SECTOR as u64;
    let written = pwritev2(file, &[IoSlice::new(copy)], at, ReadWriteFlags::NOWAIT)?;
    match written == data.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::WriteZero.into()),
    }
}
