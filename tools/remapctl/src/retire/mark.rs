// SPDX-License-Identifier: GPL-2.0

//! Having an array say that its data are on another disk, so that nobody activates it any more.

use crate::array::{
    Disks,
    Found, //
};
use crate::cli;
use crate::device::Access;
use crate::mapped::{
    PAUSE,
    TRIES, //
};
use anyhow::{
    anyhow,
    bail,
    Result, //
};
use remap_core::metadata::journal::Journal;
use remap_core::metadata::uuid::Uuid;
use remap_host::blank_block;
use std::thread;

/// Marks the array, in both heads of all regions; what its metadata said. If that fails, the marks
/// that were written are taken back as far as that is possible.
///
/// The array must not be active. `check` may refuse one that is not marked yet.
pub fn mark(
    devices: &cli::Devices,
    array: &Uuid,
    check: impl FnOnce(&Found) -> Result<()>,
) -> Result<Found> {
    let found = read(devices, array)?;
    if !found.contained.choice.identity.features.are_moved() {
        check(&found)?;
    }
    let mut marked = journal(&found);
    marked.mark_moved();
    let written = write(devices, marked, &found);
    written.map_err(|error| {
        // What cannot be written now may have been before.
        let _ = unmark(devices, &found);
        error.context("marking the array as moved")
    })?;
    Ok(found)
}

/// Takes the marks back, unless the array had some before: then the new disk may have newer data.
pub fn unmark(devices: &cli::Devices, found: &Found) -> Result<()> {
    let choice = &found.contained.choice;
    match choice.identity.features.are_moved() {
        true => bail!("the array was marked as moved before"),
        false => write(devices, journal(found), found),
    }
}

/// Opens the devices, as soon as nobody has them: the kernel lets go of those of an array that ended
/// only when the request that ended it returns.
fn open(devices: &cli::Devices, main: Access, spare: Access) -> Result<Disks> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match Disks::open_each(devices, main, spare) {
            Err(_) if tries > 0 => thread::sleep(PAUSE),
            opened => return opened,
        }
    }
}

/// The journal of what the metadata said: what only is written again is of the session that it was
/// of.
fn journal(found: &Found) -> Journal {
    let choice = &found.contained.choice;
    Journal::resume(choice, choice.chain.session)
}

/// What the metadata of the array say.
fn read(devices: &cli::Devices, array: &Uuid) -> Result<Found> {
    let found = Found::read_moved(&mut open(devices, Access::Hold, Access::Hold)?)?;
    match found.array().uuid == *array {
        true => Ok(found),
        false => bail!("the devices are of array {}", found.array().uuid),
    }
}

/// Writes both heads of all regions.
fn write(devices: &cli::Devices, mut journal: Journal, found: &Found) -> Result<()> {
    // Main is not even open for writing unless it has regions.
    let main = match found.array().on_main() {
        true => Access::Write,
        false => Access::Hold,
    };
    let mut disks = open(devices, main, Access::Write)?;
    let total = journal.total();
    let mut least = total;
    // Where one copy fails, both heads of the others are written nevertheless.
    for _ in 0..2 {
        let (standing, mut block) = (&found.contained.standing, blank_block());
        let written = journal.checkpoint(&mut disks, &mut block, standing, found.contents());
        let written = written.map_err(|_| anyhow!("no copy of the metadata could be written"))?;
        least = least.min(written);
    }
    match least == total {
        true => Ok(()),
        false => bail!("only {least} of {total} copies of the metadata could be written"),
    }
}
