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
    let count = if before.is_some() { 0 } else { ALONE };
    mark_heads(disks, ground, array, before.as_ref(), count)?;
    zero_rest(disks, ground)
}

/// Zeroes all that is neither a head nor a mark; durably.
pub fn zero_rest(disks: &Disks, ground: &Ground) -> Result<()> {
    let regions = disks.regions();
    for &place in &ground.regions {
        let [a, b] = Slot::BOTH.map(|slot| regions.header(slot));
        zero(disks, place, a + 1..b)?;
        zero(disks, place, b + 1..regions.region_blocks())?;
    }
    for &place in &ground.older {
        for number in 0..regions.region_blocks() {
            // What cannot be read on main may be a file system's.
            let kind = kind_of(disks, place, number).unwrap_or_default();
            if kind.is_some_and(|kind| kind != Kind::Unfinished) {
                zero(disks, place, number..number + 1)?;
            }
        }
    }
    sync_all(disks, ground)
}

/// As [`begin`], but the marks stand [`ALONE`], so that nothing is believed from the first of them
/// on: what is written beside them is refused until they are [removed](remove_marks).
pub fn begin_alone(disks: &Disks, ground: &Ground, array: &Array) -> Result<()> {
    mark_heads(disks, ground, array, None, ALONE)?;
    zero_rest(disks, ground)
}

/// Zeroes the marks; durably. A place that cannot be read may hold one, and is an error.
pub fn remove_marks(disks: &Disks, ground: &Ground) -> Result<()> {
    zero_heads(disks, ground, |kind| kind == Some(Kind::Unfinished))
}

/// Zeroes all, the marks last; durably. So it is told from what is damaged until the end.
pub fn clear(disks: &Disks, ground: &Ground) -> Result<()> {
    zero_rest(disks, ground)?;
    zero_heads(disks, ground, |kind| kind != Some(Kind::Unfinished))?;
    remove_marks(disks, ground)
}

/// Zeroes both heads of a region, whether or not they can be read; durably.
pub fn drop_region(disks: &Disks, place: Place) -> Result<()> {
    for number in Slot::BOTH.map(|slot| disks.regions().header(slot)) {
        zero(disks, place, number..number + 1)?;
    }
    sync(disks.device(place.region))
}

/// Zeroes the blocks in the places of heads whose kind is `wanted`; durably.
fn zero_heads(disks: &Disks, ground: &Ground, wanted: impl Fn(Option<Kind>) -> bool) -> Result<()> {
    let regions = disks.regions();
    for &place in ground.older.iter().chain(&ground.regions) {
        for number in Slot::BOTH.map(|slot| regions.header(slot)) {
            if wanted(kind_of(disks, place, number)?) {
                zero(disks, place, number..number + 1)?;
            }
        }
    }
    sync_all(disks, ground)
}

/// Puts durable marks in the places of all heads, those of the newest state of an array that was
/// there before last.
pub fn mark_heads(
    disks: &Disks,
    ground: &Ground,
    array: &Array,
    before: Option<&Choice>,
    count: u32,
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
        features: Features::WRITTEN,
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

/// Makes all that was written durable, on the devices that are written.
fn sync_all(disks: &Disks, ground: &Ground) -> Result<()> {
    let mut places = ground.older.iter().chain(&ground.regions);
    if places.any(|place| place.region.role() == Role::MAIN) {
        sync(&disks.main)?;
    }
    sync(&disks.spare)
}

/// What kind of metadata a block is, if it is any.
fn kind_of(disks: &Disks, place: Place, number: u64) -> Result<Option<Kind>> {
    let (device, mut block) = (disks.device(place.region), blank_block());
    let read = device.read(place.start + number * BLOCK_SECTORS, block.as_mut_slice());
    read.with_context(|| format!("reading {}", device.path().display()))?;
    let header = Header::read(&block, crc32c::crc32c).ok();
    Ok(header.map(|header| header.kind))
}
