// SPDX-License-Identifier: GPL-2.0

//! Copying what one spare keeps to another, and reading it back.

use crate::array::Disks;
use crate::device::Device;
use crate::say::Say;
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_core::blocks::Blocks;
use remap_core::geometry::{
    Geometry,
    SpareUnit,
    Unit, //
};
use remap_core::metadata::block::BLOCK_BYTES;
use remap_core::metadata::record::Record;
use rustix::io::Errno;
use std::io;
use std::ops::Range;

/// How often a block is read before it is lost.
const TRIES: u32 = 3;

/// A unit that the spare keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The unit of main.
    pub unit: Unit,
    /// Where it is kept, on both devices.
    pub spare: SpareUnit,
    /// The blocks that hold data.
    pub valid: Blocks,
}

impl Kept {
    /// The unit of a record, if it is of one. Spare units that are bad are the old device's.
    pub fn of(record: Record) -> Option<Self> {
        match record {
            Record::Relocated { unit, spare, valid } => Some(Self { unit, spare, valid }),
            Record::OnMain { .. } | Record::Retired { .. } => None,
        }
    }

    /// Its record.
    pub fn record(&self) -> Record {
        let Self { unit, spare, valid } = *self;
        Record::Relocated { unit, spare, valid }
    }
}

/// Bytes that were copied, and what to find when they are read back.
struct Sum {
    sector: u64,
    length: usize,
    crc32c: u32,
}

/// One device's units go to another.
pub struct Copy<'a> {
    /// The old spare, and how units lie on it.
    pub from: (&'a Disks, &'a Geometry),
    /// A sector of it that can be read, if it answers at all.
    pub answers: u64,
    /// The new one.
    pub to: (&'a Disks, &'a Geometry),
}

impl Copy<'_> {
    /// Copies units, and compares what is read back; the units with the blocks that they have now,
    /// and the sectors of the array that are lost.
    pub fn run(&self, say: &Say, mut units: Vec<Kept>) -> Result<(Vec<Kept>, Vec<Range<u64>>)> {
        let (mut lost, mut sums) = (Vec::new(), Vec::new());
        let all = units.len() as u64;
        for (at, kept) in units.iter_mut().enumerate() {
            for run in kept.valid.runs() {
                self.copy(kept, run, &mut lost, &mut sums)?;
            }
            say.progress("copying", at as u64 + 1, all);
        }
        let to = &self.to.0.spare;
        let name = || to.path().display().to_string();
        to.sync().with_context(name)?;
        let all = sums.len() as u64;
        for (at, sum) in sums.iter().enumerate() {
            let mut bytes = vec![0; sum.length];
            to.read(sum.sector, &mut bytes).with_context(name)?;
            if crc32c::crc32c(&bytes) != sum.crc32c {
                bail!("{} gives back other data than were written", name());
            }
            say.progress("comparing", at as u64 + 1, all);
        }
        Ok((units, lost))
    }

    /// Copies a run of blocks, one by one if it cannot be read as a whole.
    fn copy(
        &self,
        kept: &mut Kept,
        run: Range<u32>,
        lost: &mut Vec<Range<u64>>,
        sums: &mut Vec<Sum>,
    ) -> Result<()> {
        let (disks, geometry) = self.from;
        let sectors = geometry.sectors_at(kept.unit, run.clone());
        let mut bytes = vec![0; (sectors.end - sectors.start) as usize * 512];
        let from = geometry.on_spare(kept.spare, sectors.start);
        if run.len() > 1 {
            if disks.spare.read(from, &mut bytes).is_err() {
                for block in run {
                    self.copy(kept, block..block + 1, lost, sums)?;
                }
                return Ok(());
            }
        } else if !self.read_block(from, &mut bytes)? {
            kept.valid = kept.valid.minus(Blocks::range(run));
            lost.push(sectors);
            return Ok(());
        }
        let (disks, geometry) = self.to;
        let sector = geometry.on_spare(kept.spare, sectors.start);
        let written = disks.spare.write(sector, &bytes);
        written.with_context(|| disks.spare.path().display().to_string())?;
        sums.push(Sum {
            sector,
            length: bytes.len(),
            crc32c: crc32c::crc32c(&bytes),
        });
        Ok(())
    }

    /// Reads a block; `false` if it is bad, which it is not if the device does not answer at all.
    fn read_block(&self, sector: u64, bytes: &mut [u8]) -> Result<bool> {
        let device: &Device = &self.from.0.spare;
        let name = || device.path().display().to_string();
        for _ in 0..TRIES {
            match device.read(sector, bytes) {
                Ok(()) => return Ok(true),
                Err(error) if is_bad_sector(&error) => {}
                Err(error) => return Err(error).with_context(name),
            }
        }
        let mut head = vec![0; BLOCK_BYTES];
        let answered = device.read(self.answers, &mut head);
        answered.with_context(|| format!("{} does not answer any more", name()))?;
        Ok(false)
    }
}

/// Whether an error may be that of a bad sector.
fn is_bad_sector(error: &io::Error) -> bool {
    let bad = [Errno::NODATA, Errno::IO, Errno::REMOTEIO];
    bad.iter()
        .any(|bad| error.raw_os_error() == Some(bad.raw_os_error()))
}
