// SPDX-License-Identifier: GPL-2.0

//! The metadata on the devices: reading and writing their blocks, commits and checkpoints.

use crate::{
    counters::Count,
    instance::Instance,
    repair::Repair, //
};
use kernel::prelude::*;
use kernel_ext::{
    bio::{
        Buffer,
        Transfer, //
    },
    crc32c::crc32c, //
};
use remap_core::{
    geometry::Unit,
    index::State,
    metadata::{
        block::{
            Block,
            Crc32c,
            BLOCK_BYTES,
            BLOCK_SECTORS, //
        },
        journal::{
            Contents,
            Dead,
            Journal, //
        },
        record::Record,
        standing::{
            Standing,
            COUNTERS, //
        },
        storage::{
            Failed,
            Region,
            Storage, //
        }, //
    }, //
};

/// How many commits pass before a region that failed is tried again.
const COMMITS_BETWEEN_TRIES: u32 = 16;

/// The metadata of an instance.
pub(crate) struct Metadata {
    /// What writes them; none while they are not loaded.
    pub(crate) journal: Option<Journal>,
    /// No region could be written: nothing is relocated until the array is loaded anew.
    pub(crate) frozen: bool,
    /// How many commits pass before regions that failed are tried again.
    wait: u32,
    /// One block, as it is put together or taken apart.
    pub(crate) block: KBox<Block>,
    /// One block, as it is on its way from or to a device.
    pub(crate) buffer: Buffer,
}

impl Metadata {
    /// Allocates what reading and writing needs. May sleep.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            journal: None,
            frozen: false,
            wait: 0,
            block: KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?,
            buffer: Buffer::zeroed(BLOCK_BYTES)?,
        })
    }

    /// How many regions have all commits, and how many there are.
    pub(crate) fn regions(&self) -> (usize, usize) {
        let journal = self.journal.as_ref();
        journal.map_or((0, 0), |journal| (journal.good(), journal.total()))
    }

    /// Lets `write` use the journal, unless there is none or it is frozen.
    fn write<R>(
        &mut self,
        instance: &Instance,
        write: impl FnOnce(&mut Journal, &mut Store<'_>, &mut Block) -> Result<R, Dead>,
    ) -> Result<R, Dead> {
        let buffer = &mut self.buffer;
        match &mut self.journal {
            Some(journal) if !self.frozen => {
                write(journal, &mut Store { instance, buffer }, &mut self.block)
            }
            _ => Err(Dead),
        }
    }

    /// Whether a checkpoint is due, or may bring back a region that failed.
    fn wants_checkpoint(&self) -> bool {
        let (good, total) = self.regions();
        let due = self.journal.as_ref().is_some_and(Journal::is_due);
        due || (good < total && self.wait == 0)
    }
}

/// The regions of an instance on its devices.
pub(crate) struct Store<'a> {
    pub(crate) instance: &'a Instance,
    pub(crate) buffer: &'a mut Buffer,
}

impl Store<'_> {
    /// Moves one block between the buffer and its place.
    fn transfer(&mut self, how: Transfer, region: Region, number: u64) -> Result<(), Failed> {
        let (device, start) = self.instance.layout().region(region).ok_or(Failed)?;
        let sector = start.saturating_add(number.saturating_mul(BLOCK_SECTORS));
        let (bios, whole) = (&self.instance.bios, 0..BLOCK_BYTES);
        bios.transfer(how, device, sector, self.buffer, whole)
            .map_err(|_| Failed)
    }

    fn fill(&mut self, block: &Block) -> Result<(), Failed> {
        self.buffer.write(0, block).then_some(()).ok_or(Failed)
    }
}

impl Storage for Store<'_> {
    const CRC32C: Crc32c = crc32c;

    fn has(&self, region: Region) -> bool {
        self.instance.layout().region(region).is_some()
    }

    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed> {
        self.transfer(Transfer::Read, region, number)?;
        self.buffer.read(0, block).then_some(()).ok_or(Failed)
    }

    fn write(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        self.fill(block)?;
        self.transfer(Transfer::Write, region, number)
    }

    fn write_through(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        self.fill(block)?;
        self.transfer(Transfer::WriteThrough, region, number)
    }

    fn flush(&mut self, region: Region) -> Result<(), Failed> {
        let (device, _) = self.instance.layout().region(region).ok_or(Failed)?;
        self.instance.bios.flush(device).map_err(|_| Failed)
    }
}

/// What is remembered besides the units.
fn standing(instance: &Instance, clean: bool) -> Standing {
    let mut counters = [0; COUNTERS];
    for (slot, &count) in counters.iter_mut().zip(Count::SURVIVE) {
        *slot = instance.counters.sum(count);
    }
    Standing {
        clean,
        cursor: 0,
        counters,
    }
}

impl Repair {
    /// Makes a commit durable. `clean` marks the array as shut down in order.
    ///
    /// On an error it is not known whether the commit is on disk, and relocation is frozen.
    pub(crate) fn commit(
        &mut self,
        instance: &Instance,
        records: &[Record],
        clean: bool,
    ) -> Result<(), Dead> {
        let standing = standing(instance, clean);
        let before = self.metadata.regions();
        let done = self.metadata.write(instance, |journal, store, block| {
            journal.commit(store, block, &standing, records)
        });
        self.metadata.wait = self.metadata.wait.saturating_sub(1);
        self.note_written(instance, before, done)
    }

    /// Makes a checkpoint if one is due. Only while the map holds what was committed and no more.
    pub(crate) fn keep_checkpoints(&mut self, instance: &Instance) -> Result<(), Dead> {
        if self.metadata.wants_checkpoint() {
            self.checkpoint(instance)?;
        }
        Ok(())
    }

    /// Writes the whole state to all regions, those that failed too; to how many it could. Only while
    /// the map holds what was committed and no more.
    pub(crate) fn checkpoint(&mut self, instance: &Instance) -> Result<usize, Dead> {
        let standing = standing(instance, false);
        let before = self.metadata.regions();
        self.metadata.wait = COMMITS_BETWEEN_TRIES;
        let units = self.map.iter_from(Unit(0));
        let units = units.filter_map(|(unit, entry)| match entry.state {
            State::Relocated { spare, valid } => Some(Record::Relocated { unit, spare, valid }),
            State::Main | State::Suspect => None,
        });
        let bad = self.spares.retired_units();
        let bad = bad.map(|spare| Record::Retired { spare });
        let contents = Contents {
            relocated: self.relocated,
            retired: self.spares.retired(),
            records: Iterator::chain(units, bad),
        };
        let done = self.metadata.write(instance, |journal, store, block| {
            journal.checkpoint(store, block, &standing, contents)
        });
        self.note_written(instance, before, done)
    }

    /// Says what became of the regions; `before` is how many of them were good.
    fn note_written<R>(
        &mut self,
        instance: &Instance,
        (before, _): (usize, usize),
        done: Result<R, Dead>,
    ) -> Result<R, Dead> {
        let (good, total) = self.metadata.regions();
        if good != before {
            self.note_change();
            if instance.log.allows() {
                pr_warn!(
                    "{}: {} of {} regions of metadata are good\n",
                    instance.name(),
                    good,
                    total
                );
            }
        }
        if done.is_err() && !core::mem::replace(&mut self.metadata.frozen, true) {
            self.note_change();
            pr_err!(
                "{}: no copy of the metadata can be written, nothing is relocated any more\n",
                instance.name()
            );
        }
        done
    }
}
