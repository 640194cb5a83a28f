// SPDX-License-Identifier: GPL-2.0

//! The checksum of what main holds where superblocks are, as it is on the device.

use crate::{
    context::Context,
    published_map::Map, //
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
    index::State,
    metadata::{
        block::{
            Block,
            BLOCK_BYTES, //
        },
        main_sum,
        storage::Failed, //
    }, //
};

/// The checksum, without the units that `map` relocates; `None` if it cannot be known. Sleeps, as
/// long as main takes.
pub(crate) fn main_sum(ctx: &Context, map: &Map) -> Option<u64> {
    let mut buffer = Buffer::zeroed(BLOCK_BYTES).ok()?;
    let mut block = KBox::<Block>::init(pin_init::init_zeroed(), GFP_KERNEL).ok()?;
    let geometry = ctx.geometry();
    let is_elsewhere = |sector: u64| {
        let entry = map.get(geometry.unit_of(sector));
        entry.is_some_and(|entry| matches!(entry.state, State::Relocated { .. }))
    };
    let read = |sector: u64, block: &mut Block| {
        let at = geometry.on_main(sector);
        let done = (ctx.bios).transfer(Transfer::Read, ctx.main(), at, &mut buffer, 0..BLOCK_BYTES);
        done.map_err(|_| Failed)?;
        buffer.read(0, block).then_some(()).ok_or(Failed)
    };
    main_sum::main_sum(geometry.sectors(), crc32c, &mut block, is_elsewhere, read).ok()
}

/// The same of what is durable, for the end of an array. Sleeps as well.
pub(crate) fn durable_main_sum(ctx: &Context, map: &Map) -> Option<u64> {
    ctx.bios.flush(ctx.main()).ok()?;
    main_sum(ctx, map)
}
