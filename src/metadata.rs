// SPDX-License-Identifier: GPL-2.0

//! The regions of the metadata on the devices, as they are read when an instance is loaded.

use crate::{
    context::Context,
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
use remap_core::metadata::{
    block::{
        Block,
        Crc32c,
        BLOCK_BYTES,
        BLOCK_SECTORS, //
    },
    storage::{
        Failed,
        Region,
        Storage, //
    }, //
};

/// How many blocks are read at once.
const WINDOW: u64 = 16;
/// How many blocks of main are read at once where copies of the metadata may be.
const PIECE: u64 = 256;
/// How many reads may fail there: a disk takes its time over each.
const MOST_FAILURES: u32 = 4;

/// Blocks on their way from or to a device.
pub(crate) struct Wire {
    buffer: Buffer,
    /// The region and the first of [`WINDOW`] blocks that the buffer holds as they are on the
    /// device.
    holds: Option<(Region, u64)>,
}

impl Wire {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            buffer: Buffer::zeroed(WINDOW as usize * BLOCK_BYTES)?,
            holds: None,
        })
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
