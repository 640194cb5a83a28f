// SPDX-License-Identifier: GPL-2.0

//! Writing the blocks of an update to the regions, all of a phase at once.

use crate::{
    context::Context,
    counters::Count, //
};
use kernel::prelude::*;
use kernel_ext::{
    bio::{
        BioSet,
        Buffer,
        Transfer, //
    },
    transfers::Part, //
};
use remap_core::{
    metadata::{
        block::{
            Block,
            BLOCK_BYTES,
            BLOCK_SECTORS, //
        },
        standing::{
            Standing,
            COUNTERS, //
        },
        storage::{
            Failed,
            Region, //
        },
        update::{
            Orders,
            RegionIo, //
        }, //
    },
    region_layout::MAX_REGIONS, //
};

/// What writes updates needs.
pub(crate) struct Writer {
    bios: Pin<KBox<BioSet>>,
    pub(super) block: KBox<Block>,
    /// The block of each region.
    pub(super) buffers: [Buffer; MAX_REGIONS],
    /// What is being written, and what became of it.
    pub(super) orders: Orders,
    pub(super) done: [Result<(), Failed>; MAX_REGIONS],
}

impl Writer {
    /// May sleep.
    pub(super) fn new() -> Result<KBox<Self>> {
        let buffer = || Buffer::zeroed(BLOCK_BYTES);
        let this = Self {
            bios: KBox::pin_init(BioSet::new(1), GFP_KERNEL)?,
            block: KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?,
            buffers: [buffer()?, buffer()?, buffer()?, buffer()?],
            orders: [None; MAX_REGIONS],
            done: [Ok(()); MAX_REGIONS],
        };
        Ok(KBox::new(this, GFP_KERNEL)?)
    }

    /// Carries out all orders at once. Sleeps, as long as the devices take.
    pub(super) fn carry_out(&mut self, ctx: &Context) {
        let mut parts = [const { None }; MAX_REGIONS];
        let regions = Region::all().zip(&self.orders).zip(&mut self.buffers);
        for (part, ((region, order), buffer)) in parts.iter_mut().zip(regions) {
            *part = order.and_then(|order| part_of(ctx, region, order, buffer));
        }
        self.bios.transfer_all(&mut parts);
        for (done, part) in self.done.iter_mut().zip(parts) {
            // An order that no part came of cannot be carried out.
            *done = match part {
                Some(part) => part.done().map_err(|_| Failed),
                None => Err(Failed),
            };
        }
    }
}

/// The transfer that carries out an order for a region.
fn part_of<'a>(
    ctx: &'a Context,
    region: Region,
    order: RegionIo,
    buffer: &'a mut Buffer,
) -> Option<Part<'a>> {
    let (device, start) = ctx.layout().region(region)?;
    let (transfer, number) = match order {
        RegionIo::Write(number) => (Transfer::Write, number),
        RegionIo::WriteThrough(number) => (Transfer::WriteThrough, number),
        RegionIo::Flush => (Transfer::Flush, 0),
    };
    let is_flush = transfer == Transfer::Flush;
    let sector = start.saturating_add(number.saturating_mul(BLOCK_SECTORS));
    let place = (transfer, device, if is_flush { 0 } else { sector });
    let data = (!is_flush).then_some((buffer, 0..BLOCK_BYTES));
    Some(Part::new(place, data))
}

/// What is remembered besides the units.
pub(super) fn standing(ctx: &Context) -> Standing {
    let mut counters = [0; COUNTERS];
    for (slot, &count) in counters.iter_mut().zip(Count::SURVIVE) {
        *slot = ctx.lookup.counters.sum(count);
    }
    Standing {
        end: None,
        cursor: ctx.scan_position(),
        counters,
    }
}
