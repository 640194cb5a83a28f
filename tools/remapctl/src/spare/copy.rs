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

/// A block of a unit that the old spare did not give back.
#[derive(Clone, Copy)]
struct Failed {
    /// Which of the units.
    at: usize,
    block: u32,
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

/// What was copied.
pub struct Copied {
    /// The units, with the blocks that they have now.
    pub units: Vec<Kept>,
    /// The sectors of the array that are lost.
    pub lost: Vec<Range<u64>>,
    sums: Vec<Sum>,
}

impl Copied {
    /// Compares what a device gives back with what was copied.
    pub fn compare(&self, say: &Say, device: &Device) -> Result<()> {
        let name = || device.path().display().to_string();
        for (at, sum) in self.sums.iter().enumerate() {
            let mut bytes = vec![0; sum.length];
            device.read(sum.sector, &mut bytes).with_context(name)?;
            if crc32c::crc32c(&bytes) != sum.crc32c {
                bail!("{} gives back other data than were written", name());
            }
            say.progress("comparing", at as u64 + 1, self.sums.len() as u64);
        }
        Ok(())
    }
}

impl Copy<'_> {
    /// Copies units; durably. Blocks that fail are tried again when all others are copied.
    pub fn run(&self, say: &Say, units: Vec<Kept>) -> Result<Copied> {
        let mut copied = Copied {
            units,
            lost: Vec::new(),
            sums: Vec::new(),
        };
        let mut failed = Vec::new();
        for at in 0..copied.units.len() {
            let runs: Vec<_> = copied.units[at].valid.runs().collect();
            for run in runs {
                self.copy_run(&mut copied, at, run, &mut failed)?;
            }
            say.progress("copying", at as u64 + 1, copied.units.len() as u64);
        }
        for Failed { at, block } in failed {
            self.copy_again(&mut copied, at, block)?;
        }
        let to = &self.to.0.spare;
        to.sync().with_context(|| to.path().display().to_string())?;
        Ok(copied)
    }

    /// Copies a run of blocks, one by one if it cannot be read as a whole.
    fn copy_run(
        &self,
        copied: &mut Copied,
        at: usize,
        run: Range<u32>,
        failed: &mut Vec<Failed>,
    ) -> Result<()> {
        if self.copy(copied, at, run.clone())? {
            return Ok(());
        }
        if run.len() > 1 {
            return run
                .into_iter()
                .try_for_each(|block| self.copy_run(copied, at, block..block + 1, failed));
        }
        failed.push(Failed {
            at,
            block: run.start,
        });
        Ok(())
    }

    /// Copies a block that failed, or gives it up.
    fn copy_again(&self, copied: &mut Copied, at: usize, block: u32) -> Result<()> {
        let run = block..block + 1;
        for _ in 0..TRIES {
            if self.copy(copied, at, run.clone())? {
                return Ok(());
            }
        }
        let kept = &mut copied.units[at];
        kept.valid = kept.valid.minus(Blocks::range(run.clone()));
        copied.lost.push(self.from.1.sectors_at(kept.unit, run));
        Ok(())
    }

    /// Copies blocks; `false` if they cannot be read.
    fn copy(&self, copied: &mut Copied, at: usize, run: Range<u32>) -> Result<bool> {
        let kept = copied.units[at];
        let (disks, geometry) = self.from;
        let sectors = geometry.sectors_at(kept.unit, run);
        let mut bytes = vec![0; (sectors.end - sectors.start) as usize * 512];
        let from = geometry.on_spare(kept.spare, sectors.start);
        if disks.spare.read(from, &mut bytes).is_err() {
            return self.check_answering().map(|()| false);
        }
        let (disks, geometry) = self.to;
        let sector = geometry.on_spare(kept.spare, sectors.start);
        let written = disks.spare.write(sector, &bytes);
        written.with_context(|| disks.spare.path().display().to_string())?;
        copied.sums.push(Sum {
            sector,
            length: bytes.len(),
            crc32c: crc32c::crc32c(&bytes),
        });
        Ok(true)
    }

    /// A block that could not be read is not bad if the device does not answer at all. What it
    /// says of the block does not matter: controllers and layers above disks have their own errors.
    fn check_answering(&self) -> Result<()> {
        let device: &Device = &self.from.0.spare;
        let mut head = vec![0; BLOCK_BYTES];
        let answered = device.read(self.answers, &mut head);
        answered.with_context(|| format!("{} does not answer any more", device.path().display()))
    }
}
