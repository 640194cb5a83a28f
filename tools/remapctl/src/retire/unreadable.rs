// SPDX-License-Identifier: GPL-2.0

//! Giving up what cannot be copied to a new disk, because nobody can read it.

use crate::array::{
    Disks,
    Found, //
};
use crate::device::{
    Access,
    Device, //
};
use crate::lists;
use crate::moving::{
    self,
    Moving,
    Piece,
    AT_ONCE, //
};
use crate::probe;
use crate::remaptab::Entry;
use crate::say::Say;
use anyhow::{
    bail,
    Result, //
};
use std::ops::Range;

/// What the name of sectors that cannot be read begins with; their number follows.
pub const UNREADABLE: &str = "unreadable-";
/// How many sectors are lost at least.
const GRAIN: u64 = 8;

/// Looks for what cannot be read, and has zeroes in its place if that are no more than `most` sectors:
/// a disk that is gone cannot be read at all.
pub fn give_up(say: &Say, moving: &Moving<'_>, entry: &Entry, most: u64) -> Result<()> {
    let copy = Device::open(&Piece::Copy.path(&moving.name), Access::Read)?;
    let (mut lost, mut at) = (Vec::new(), 0);
    let all = moving.layout.sectors;
    let mut bytes = vec![0; (AT_ONCE << 9) as usize];
    while at < all {
        let end = (at + AT_ONCE).min(all);
        if copy
            .read(at, &mut bytes[..((end - at) << 9) as usize])
            .is_err()
        {
            lost.extend(unreadable(&copy, at..end));
        }
        say.progress("looking", end, all);
        at = end;
    }
    let lost = lists::merged(lost);
    if lost.is_empty() {
        return Ok(());
    }
    let count: u64 = lost.iter().map(|range| range.end - range.start).sum();
    let named = lists::all_named(&lost);
    if count > most {
        bail!(
            "{count} sectors cannot be read: {named}; '--force {UNREADABLE}{count}' has zeroes in \
             their place"
        );
    }
    say.note(&format!("zeroes are in place of sectors {named}"));
    let devices = probe::present(entry)?;
    let found = Found::read_moved(&mut Disks::open(&devices, Access::Read)?)?;
    let table = moving::source(&found, &devices.main, &devices.spare);
    moving.set_source(&moving::with_zeroes(table, &lost))
}

/// The parts of these sectors that cannot be read.
fn unreadable(copy: &Device, sectors: Range<u64>) -> Vec<Range<u64>> {
    let mut bytes = [0; (GRAIN << 9) as usize];
    let parts = sectors.clone().step_by(GRAIN as usize);
    let parts = parts.map(|at| at..(at + GRAIN).min(sectors.end));
    let is_bad = |part: &Range<u64>| {
        let len = ((part.end - part.start) << 9) as usize;
        copy.read(part.start, &mut bytes[..len]).is_err()
    };
    parts.filter(is_bad).collect()
}
