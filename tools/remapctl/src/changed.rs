// SPDX-License-Identifier: GPL-2.0

//! Whether main was changed without its array, and what that means.

use crate::array::{
    Disks,
    Found, //
};
use crate::cli;
use crate::device::Access;
use anyhow::Result;
use remap_core::metadata::block::Block;
use remap_core::metadata::main_sum::main_sum;
use remap_core::metadata::storage::Failed;
use remap_host::blank_block;

/// What is said of a main device that was changed, and what can be done.
pub const EXPLAINED: &str = "main is not what it was when the array was removed. Is it the right \
    disk, and the right --main-start? If so, somebody mounted the bare disk or wrote to it. The \
    new data are on main; the relocated units are on the spare and are older. No tool can tell \
    which of them belong together.\n\
    If main was only mounted, or was written through a table of 'remapctl export', or the new data \
    are worthless: 'remapctl repair --accept-main' accepts main as it is and keeps the relocated \
    units. Activate the array with --readonly then, and run fsck(8) first.\n\
    If the new data count and the relocated data do not: 'remapctl format' makes a new array over \
    main as it is, and all relocated data are lost.\n\
    Copy both disks first if in doubt.";

/// Whether main has changed since the array was removed; `None` if that is not known.
pub fn is_main_changed(disks: &Disks, found: &Found) -> Option<bool> {
    let before = found.contained.standing.end?.main_sum?;
    let read = |at: u64, block: &mut Block| disks.main.read(at, block).map_err(|_| Failed);
    let array = (&found.geometry, &found.contained.map);
    let now = main_sum(array, crc32c::crc32c, &mut blank_block(), read);
    now.ok().map(|now| now != before)
}

/// The error of an activation, explained if main was changed.
pub fn explained(devices: &cli::Devices, error: anyhow::Error) -> anyhow::Error {
    let look = || -> Result<_> {
        let mut disks = Disks::open(devices, Access::Read)?;
        let found = Found::read(&mut disks)?;
        Ok(is_main_changed(&disks, &found))
    };
    match look() {
        Ok(Some(true)) => error.context(EXPLAINED),
        _ => error,
    }
}
