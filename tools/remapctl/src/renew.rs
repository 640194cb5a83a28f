// SPDX-License-Identifier: GPL-2.0

//! Writing a new array over whatever is there, so that it can be stopped at any instant.
//!
//! See "Unfinished writes" in `Documentation/format.rst`.

use crate::array::Disks;
use crate::device::Device;
use crate::ground::{
    Ground,
    Place, //
};
use crate::random::random_session;
use anyhow::{
    anyhow,
    bail,
    Context,
    Result, //
};
use remap_core::metadata::array::Array;
use remap_core::metadata::block::{
    Address,
    Features,
    Header,
    Kind,
    Role,
    ALONE,
    BLOCK_BYTES,
    BLOCK_SECTORS, //
};
use remap_core::metadata::journal::Journal;
use remap_core::metadata::record::Record;
use remap_core::metadata::standing::Standing;
use remap_core::metadata::survey::{
    choose,
    Chain,
    Choice, //
};
use remap_core::region_layout::Slot;
use remap_host::{
    blank_block,
    contents, //
};
use std::ops::Range;

/// How many blocks are zeroed at a time.
const AT_ONCE: u64 = 256;

/// Writes a new array; how many copies of its metadata.
pub fn write_new(
    disks: &mut Disks,
    ground: &Ground,
    array: Array,
    generation: u64,
    standing: &Standing,
    records: &[Record],
) -> Result<usize> {
    begin(disks, ground, &array)?;
    let total = checkpoint(disks, array, generation, standing, records)?;
    remove_marks(disks, ground)?;
    Ok(total)
}

/// Writes all of a new array beside the marks; how many copies of its metadata.
pub fn checkpoint(
    disks: &mut Disks,
    array: Array,
    generation: u64,
    standing: &Standing,
    records: &[Record],
) -> Result<usize> {
    disks.mapped = Some(array.main_sectors);
    let mut journal = Journal::format(array, disks, generation, random_session()?);
    let total = journal.total();
    let written = journal
        .checkpoint(disks, &mut blank_block(), standing, contents(records))
        .map_err(|_| anyhow!("no copy of the metadata could be written"))?;
    if written < total {
        bail!("only {written} of {total} copies of the metadata could be written");
    }
    Ok(total)
}

/// Erases the metadata of an array, so that nothing activates it any more. If it is stopped, the
/// array is as it was, or is refused as unfinished.
pub fn erase(disks: &mut Disks, ground: &Ground, array: &Array) -> Result<()> {
    begin(disks, ground, array)?;
    remove_marks(disks, ground)
}

/// Puts marks in the places of all heads, and zeroes all else; durably. What is whole is so until
/// the last of its heads is gone.
pub fn begin(disks: &mut Disks, ground: &Ground, array: &Array) -> Result<()> {
    let regions = disks.regions();
    let before = choose(disks, &mut blank_block(), &regions).ok();
    mark_heads(disks, ground, array, before.as_ref())?;
    for &place in &ground.regions {
        let [a, b] = Slot::BOTH.map(|slot| regions.header(slot));
        zero(disks, place, a + 1..b)?;
        zero(disks, place, b + 1..regions.region_blocks())?;
    }
    for &place in &ground.older {
        let blocks = 0..regions.region_blocks();
        zero_ours(disks, place, blocks, |kind| kind != Kind::Unfinished)?;
    }
    sync(&disks.main)?;
    sync(&disks.spare)
}

/// As [`begin`], but what is whole is erased first, so that the marks stand [`ALONE`]: what is
/// written beside them is refused until they are [removed](remove_marks).
pub fn begin_alone(disks: &mut Disks, ground: &Ground, array: &Array) -> Result<()> {
    let regions = disks.regions();
    if choose(disks, &mut blank_block(), &regions).is_ok() {
        erase(disks, ground, array)?;
    }
    begin(disks, ground, array)
}

/// Zeroes the marks; durably.
pub fn remove_marks(disks: &Disks, ground: &Ground) -> Result<()> {
    let regions = disks.regions();
    for &place in ground.older.iter().chain(&ground.regions) {
        let heads = Slot::BOTH.map(|slot| regions.header(slot));
        zero_ours(disks, place, heads, |kind| kind == Kind::Unfinished)?;
    }
    sync(&disks.main)?;
    sync(&disks.spare)
}

/// Puts marks in the places of all heads, those of the newest state of an array that is there last.
fn mark_heads(
    disks: &Disks,
    ground: &Ground,
    array: &Array,
    before: Option<&Choice>,
) -> Result<()> {
    let mut heads = Vec::new();
    for &place in ground.older.iter().chain(&ground.regions) {
        let chain = before.and_then(|before| chain_at(disks, before, place));
        for slot in Slot::BOTH {
            let is_last = chain.is_some_and(|chain| chain.slot == slot);
            let end = chain.map(|chain| chain.end);
            // A spare that is blank is not to be taken for one by a target that sees no marks on
            // main.
            let is_later = (place.region.role() == Role::SPARE) == before.is_some();
            heads.push(((end, is_later, place.start, is_last), place, slot));
        }
    }
    heads.sort_by_key(|&(key, ..)| key);
    let count = if before.is_some() { 0 } else { ALONE };
    for (_, place, slot) in heads {
        mark(disks, place, slot, array, count)?;
    }
    Ok(())
}

/// Puts a durable mark in the place of a head.
pub fn mark(disks: &Disks, place: Place, slot: Slot, array: &Array, count: u32) -> Result<()> {
    let role = place.region.role();
    let header = Header {
        kind: Kind::Unfinished,
        address: Address {
            array: array.uuid,
            device: array.device(role),
            role,
            region: place.region.number(),
            number: disks.regions().header(slot),
        },
        features: Features::KNOWN,
        generation: 0,
        count,
        session: 0,
    };
    let mut block = blank_block();
    header.seal(&mut block, crc32c::crc32c);
    write(disks, place, header.address.number, block.as_slice())?;
    sync(disks.device(place.region))
}

/// How far the region at a place led.
fn chain_at(disks: &Disks, before: &Choice, place: Place) -> Option<Chain> {
    let old = disks.places(disks.mapped);
    let region = old.iter().find(|old| old.is_at(place))?.region;
    before.surveys.get(region.0).copied().flatten()?.chain
}

fn write(disks: &Disks, place: Place, number: u64, bytes: &[u8]) -> Result<()> {
    let device = disks.device(place.region);
    let written = device.write(place.start + number * BLOCK_SECTORS, bytes);
    written.with_context(|| format!("writing {}", device.path().display()))
}

fn sync(device: &Device) -> Result<()> {
    let synced = device.sync();
    synced.with_context(|| format!("writing {}", device.path().display()))
}

/// Zeroes blocks of a region.
fn zero(disks: &Disks, place: Place, blocks: Range<u64>) -> Result<()> {
    let zeroes = vec![0u8; AT_ONCE as usize * BLOCK_BYTES];
    let mut at = blocks.start;
    while at < blocks.end {
        let count = AT_ONCE.min(blocks.end - at);
        write(disks, place, at, &zeroes[..count as usize * BLOCK_BYTES])?;
        at += count;
    }
    Ok(())
}

/// Zeroes those blocks that are metadata of a kind that is `wanted`.
fn zero_ours(
    disks: &Disks,
    place: Place,
    blocks: impl IntoIterator<Item = u64>,
    wanted: impl Fn(Kind) -> bool,
) -> Result<()> {
    let (device, mut block) = (disks.device(place.region), blank_block());
    for number in blocks {
        let read = device.read(place.start + number * BLOCK_SECTORS, block.as_mut_slice());
        let header = read
            .ok()
            .and_then(|()| Header::read(&block, crc32c::crc32c).ok());
        if header.is_some_and(|header| wanted(header.kind)) {
            zero(disks, place, number..number + 1)?;
        }
    }
    Ok(())
}
