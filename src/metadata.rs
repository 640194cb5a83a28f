// SPDX-License-Identifier: GPL-2.0

//! The metadata on the devices: reading and writing their blocks, commits and checkpoints.

use crate::{
    context::Context,
    counters::Count,
    layout::Layout, //
};
use core::ops::Range;
use kernel::prelude::*;
use kernel_ext::{
    bio::{
        Buffer,
        Transfer, //
    },
    crc32c::crc32c, //
};
use remap_core::{
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
/// How long to wait before a region that failed is tried again, in milliseconds, and how often that
/// is doubled at most: to an hour and a half.
const FIRST_PAUSE: u64 = 10_000;
const MOST_DOUBLED: u32 = 9;
/// How many blocks are read at once.
const WINDOW: u64 = 16;
/// How many blocks of main are read at once where copies of the metadata may be.
const PIECE: u64 = 256;
/// How many reads may fail there: a disk takes its time over each.
const MOST_FAILURES: u32 = 4;

/// The metadata of an instance.
pub(crate) struct Metadata {
    /// What writes them; none while they are not loaded.
    pub(crate) journal: Option<Journal>,
    /// The table may write: a read-only one commits nothing.
    pub(crate) is_writable: bool,
    /// The counters that were read with them.
    pub(crate) restored: [u64; COUNTERS],
    /// No region of the spare could be written: nothing is relocated until the array is loaded
    /// anew.
    pub(crate) frozen: bool,
    /// How many commits pass before regions that failed are tried again.
    wait: u32,
    /// When they were tried without a commit, in milliseconds of the instance.
    pub(crate) tried_at: u64,
    /// How often in a row that was in vain.
    tries_in_vain: u32,
    /// One block, as it is put together or taken apart.
    pub(crate) block: KBox<Block>,
    /// Blocks on their way from or to a device.
    pub(crate) wire: Wire,
}

/// Blocks on their way from or to a device.
pub(crate) struct Wire {
    buffer: Buffer,
    /// The region and the first of [`WINDOW`] blocks that the buffer holds as they are on the
    /// device.
    holds: Option<(Region, u64)>,
}

impl Wire {
    fn new() -> Result<Self> {
        Ok(Self {
            buffer: Buffer::zeroed(WINDOW as usize * BLOCK_BYTES)?,
            holds: None,
        })
    }

    /// Has everything read anew.
    pub(crate) fn forget(&mut self) {
        self.holds = None;
    }
}

impl Metadata {
    /// Allocates what reading and writing needs. May sleep.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            journal: None,
            is_writable: false,
            restored: [0; COUNTERS],
            frozen: false,
            wait: 0,
            tried_at: 0,
            tries_in_vain: 0,
            block: KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?,
            wire: Wire::new()?,
        })
    }

    /// How many regions have all commits, and how many there are.
    pub(crate) fn regions(&self) -> (usize, usize) {
        let journal = self.journal.as_ref();
        journal.map_or((0, 0), |journal| (journal.good(), journal.total()))
    }

    /// Whether a copy on main has all commits.
    pub(crate) fn has_good_on_main(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::has_good_on_main)
    }

    /// Whether commits can be made.
    pub(crate) fn can_write(&self) -> bool {
        self.journal.is_some() && self.is_writable && !self.frozen
    }

    /// Whether main has a copy of its own that a commit would be written to.
    pub(crate) fn can_write_main(&self) -> bool {
        self.can_write() && self.has_good_on_main()
    }

    /// Whether main took a write for the last commit.
    pub(crate) fn main_took_one(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::main_took_one)
    }

    /// Whether a region is behind that a checkpoint may bring back.
    pub(crate) fn lacks_region(&self) -> bool {
        let (good, total) = self.regions();
        self.can_write() && good < total
    }

    /// How many milliseconds pass before a region that failed is tried again: twice as many each
    /// time, since a disk may take seconds for each block that fails.
    pub(crate) fn pause(&self) -> u64 {
        FIRST_PAUSE << self.tries_in_vain.min(MOST_DOUBLED)
    }

    /// Takes note of a try, and whether it brought all regions back.
    pub(crate) fn note_tried(&mut self) {
        self.tries_in_vain = match self.lacks_region() {
            true => self.tries_in_vain.saturating_add(1),
            false => 0,
        };
    }

    /// Lets `write` use the journal, unless there is none, the table is read-only or relocation is
    /// frozen.
    fn write<R>(
        &mut self,
        ctx: &Context,
        write: impl FnOnce(&mut Journal, &mut Store<'_>, &mut Block) -> Result<R, Dead>,
    ) -> Result<R, Dead> {
        let wire = &mut self.wire;
        match &mut self.journal {
            Some(journal) if self.is_writable && !self.frozen => {
                write(journal, &mut Store { ctx, wire }, &mut self.block)
            }
            _ => Err(Dead),
        }
    }

    /// Writes a commit to all regions that are good. `clean` marks the array as shut down in order.
    /// Sleeps.
    pub(crate) fn commit(
        &mut self,
        ctx: &Context,
        records: &[Record],
        clean: bool,
    ) -> Result<(), Dead> {
        let standing = standing(ctx, clean);
        let done = self.write(ctx, |journal, store, block| {
            journal.commit(store, block, &standing, records)
        });
        self.wait = self.wait.saturating_sub(1);
        done
    }

    /// Writes `contents` to all regions, those that failed too; to how many it could. Sleeps.
    pub(crate) fn checkpoint(
        &mut self,
        ctx: &Context,
        contents: Contents<impl Iterator<Item = Record>>,
    ) -> Result<usize, Dead> {
        let standing = standing(ctx, false);
        self.wait = COMMITS_BETWEEN_TRIES;
        self.write(ctx, |journal, store, block| {
            journal.checkpoint(store, block, &standing, contents)
        })
    }

    /// Writes `contents` to regions that failed; to how many it could. Sleeps.
    pub(crate) fn revive(
        &mut self,
        ctx: &Context,
        contents: Contents<impl Iterator<Item = Record>>,
    ) -> Result<usize, Dead> {
        let standing = standing(ctx, false);
        self.write(ctx, |journal, store, block| {
            journal.revive(store, block, &standing, contents)
        })
    }

    /// Has regions that failed tried again by the next checkpoint.
    pub(crate) fn try_again(&mut self) {
        self.wait = 0;
    }

    /// Whether a checkpoint is due, or may bring back a region that failed.
    pub(crate) fn wants_checkpoint(&self) -> bool {
        let (good, total) = self.regions();
        let due = self.journal.as_ref().is_some_and(Journal::is_due);
        due || (good < total && self.wait == 0)
    }
}

/// The regions of an instance on its devices.
pub(crate) struct Store<'a> {
    pub(crate) ctx: &'a Context,
    pub(crate) wire: &'a mut Wire,
}

impl Store<'_> {
    /// Moves `count` blocks from `number` on between the buffer and their place.
    fn transfer(
        &mut self,
        how: Transfer,
        region: Region,
        number: u64,
        count: u64,
    ) -> Result<(), Failed> {
        let (device, start) = self.ctx.layout().region(region).ok_or(Failed)?;
        let sector = start.saturating_add(number.saturating_mul(BLOCK_SECTORS));
        let bytes = 0..count as usize * BLOCK_BYTES;
        let (bios, buffer) = (&self.ctx.bios, &mut self.wire.buffer);
        self.wire.holds = None;
        bios.transfer(how, device, sector, buffer, bytes)
            .map_err(|_| Failed)
    }

    fn put(
        &mut self,
        how: Transfer,
        region: Region,
        number: u64,
        block: &Block,
    ) -> Result<(), Failed> {
        self.wire.holds = None;
        if !self.wire.buffer.write(0, block) {
            return Err(Failed);
        }
        self.transfer(how, region, number, 1)
    }

    fn take(&mut self, place: u64, block: &mut Block) -> Result<(), Failed> {
        let at = place as usize * BLOCK_BYTES;
        self.wire.buffer.read(at, block).then_some(()).ok_or(Failed)
    }

    /// Where in the buffer a block is, with its neighbours read if it is not there yet.
    fn fetch(&mut self, region: Region, number: u64) -> Result<u64, Failed> {
        let first = number - number % WINDOW;
        if self.wire.holds != Some((region, first)) {
            // Regions are multiples of the window.
            self.transfer(Transfer::Read, region, first, WINDOW)?;
            self.wire.holds = Some((region, first));
        }
        Ok(number - first)
    }

    /// Whether one of these blocks of main, of which no more than `buffer` holds are read, is what
    /// is looked for.
    fn finds_among(
        &self,
        numbers: Range<u64>,
        buffer: &mut Buffer,
        block: &mut Block,
        is_wanted: &dyn Fn(&Block) -> bool,
    ) -> Result<bool, Failed> {
        let Layout {
            main, main_area, ..
        } = self.ctx.layout();
        let sector = numbers.start.saturating_mul(BLOCK_SECTORS);
        let sector = main_area.start.saturating_add(sector);
        let count = numbers.end.saturating_sub(numbers.start) as usize;
        let bytes = 0..count * BLOCK_BYTES;
        let read = (self.ctx.bios).transfer(Transfer::Read, main, sector, buffer, bytes);
        read.map_err(|_| Failed)?;
        Ok((0..count).any(|at| buffer.read(at * BLOCK_BYTES, block) && is_wanted(block)))
    }
}

impl Storage for Store<'_> {
    const CRC32C: Crc32c = crc32c;

    fn has(&self, region: Region) -> bool {
        self.ctx.layout().region(region).is_some()
    }

    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed> {
        if let Ok(place) = self.fetch(region, number) {
            return self.take(place, block);
        }
        // One of the neighbours may be what fails.
        self.transfer(Transfer::Read, region, number, 1)?;
        self.take(0, block)
    }

    fn finds_on_main(
        &mut self,
        from_end: Range<u64>,
        block: &mut Block,
        is_wanted: &dyn Fn(&Block) -> bool,
    ) -> Result<bool, Failed> {
        let Layout {
            main, main_area, ..
        } = self.ctx.layout();
        let all = main.sectors().saturating_sub(main_area.start) / BLOCK_SECTORS;
        let end = all.saturating_sub(from_end.start);
        let mut at = all.saturating_sub(from_end.end);
        // Few large reads; where there is no memory for those, small ones.
        let most = PIECE.min(end.saturating_sub(at)).max(1);
        let buffer = Buffer::zeroed(most as usize * BLOCK_BYTES);
        let buffer = buffer.or_else(|_| Buffer::zeroed(BLOCK_BYTES));
        let mut buffer = buffer.map_err(|_| Failed)?;
        let mut piece = (buffer.bytes() / BLOCK_BYTES) as u64;
        let (mut failures, mut answer) = (0, if at < end { Err(Failed) } else { Ok(false) });
        while at < end && failures < MOST_FAILURES {
            let numbers = at..end.min(at + piece);
            match self.finds_among(numbers.clone(), &mut buffer, block, is_wanted) {
                Ok(true) => return Ok(true),
                Ok(false) => (at, answer) = (numbers.end, Ok(false)),
                // The same again in smaller pieces, of which those that fail are passed over.
                Err(Failed) if piece > WINDOW => piece = WINDOW,
                Err(Failed) => {
                    failures += 1;
                    at = numbers.end;
                }
            }
        }
        answer
    }

    fn write(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        self.put(Transfer::Write, region, number, block)
    }

    fn write_through(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        self.put(Transfer::WriteThrough, region, number, block)
    }

    fn flush(&mut self, region: Region) -> Result<(), Failed> {
        let (device, _) = self.ctx.layout().region(region).ok_or(Failed)?;
        self.ctx.bios.flush(device).map_err(|_| Failed)
    }
}

/// What is remembered besides the units.
fn standing(ctx: &Context, clean: bool) -> Standing {
    let mut counters = [0; COUNTERS];
    for (slot, &count) in counters.iter_mut().zip(Count::SURVIVE) {
        *slot = ctx.counters.sum(count);
    }
    Standing {
        clean,
        cursor: ctx.scan_position(),
        counters,
    }
}
