// SPDX-License-Identifier: GPL-2.0

//! Where a new array is to be written, and what is there.

use crate::array::Disks;
use crate::extent::Extent;
use anyhow::{
    bail,
    Result, //
};
use remap_core::metadata::array::Array;
use remap_core::metadata::block::{
    Flaw,
    Header,
    Kind,
    Role,
    BLOCK_BYTES,
    BLOCK_SECTORS, //
};
use remap_core::metadata::storage::Region;
use remap_core::region_layout::Slot;
use remap_host::blank_block;
use std::collections::BTreeMap;

/// A region, and its first sector on its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub region: Region,
    pub start: u64,
}

impl Place {
    /// Whether a region at `other` begins at the same sector.
    pub fn is_at(&self, other: Self) -> bool {
        self.region.role() == other.region.role() && self.start == other.start
    }
}

/// What is in the way: the names that `--force` must give, each with where and what that is.
#[derive(Default)]
pub struct InTheWay(BTreeMap<String, String>);

impl InTheWay {
    /// Notes one thing, unless there was one of that name.
    pub fn note(&mut self, name: &str, text: String) {
        self.0.entry(name.into()).or_insert(text);
    }

    /// Adds what others noted, unless there was one of that name.
    pub fn add(&mut self, other: Self) {
        for (name, text) in other.0 {
            self.note(&name, text);
        }
    }

    /// Notes all that is in places that are to be overwritten.
    pub fn note_places(&mut self, disks: &Disks, places: &[Place]) {
        places.iter().for_each(|&place| look(disks, place, self));
    }

    /// Whether something of that name is in the way.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Forgets one thing, which may be overwritten.
    pub fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Notes what is in the way of an array in places where it has no copy any more.
    pub fn note_all(&mut self, disks: &Disks, array: &Array, places: &[Place]) {
        let mut found = Self::default();
        found.note_places(disks, places);
        // What is left of it, or of an attempt to mend it, is what is to be written over.
        for name in [&array.uuid.to_string(), DAMAGED, UNFINISHED] {
            found.forget(name);
        }
        self.add(found);
    }

    /// Refuses to go on where there is something that `force` does not name.
    pub fn allow(&self, force: &[String]) -> Result<()> {
        let named: Vec<_> = self
            .0
            .keys()
            .map(|name| format!("--force {name}"))
            .collect();
        let way = format!("'{}' overwrites it", named.join(" "));
        let texts: Vec<_> = self.0.values().map(String::as_str).collect();
        let wrong = force.iter().find(|name| !self.0.contains_key(*name));
        if let Some(wrong) = wrong.filter(|_| !self.0.is_empty()) {
            bail!("{}, not '{wrong}'; {way}", texts.join(", "));
        }
        let missing = self.0.iter().filter(|(name, _)| !force.contains(name));
        let missing: Vec<_> = missing.map(|(_, text)| text.as_str()).collect();
        if !missing.is_empty() {
            bail!("{}; {way}", missing.join(", "));
        }
        Ok(())
    }
}

/// Where a new array is to be written.
pub struct Ground {
    /// Its regions.
    pub regions: Vec<Place>,
    /// Other places on main that hold heads or marks.
    pub older: Vec<Place>,
}

impl Ground {
    /// Looks at all that an array of `len` sectors of main overwrites, and at what is left of
    /// others.
    pub fn look(disks: &Disks, len: u64, on_main: bool) -> Result<(Self, InTheWay)> {
        let all = disks.places(Some(len));
        let is_new = |place: &Place| on_main || place.region.role() == Role::SPARE;
        let regions: Vec<_> = all.iter().copied().filter(is_new).collect();
        let mut way = InTheWay::default();
        way.note_places(disks, &regions);
        let mut older: Vec<Place> = Vec::new();
        for place in all.into_iter().chain(disks.older_places()) {
            if regions.iter().chain(&older).any(|other| other.is_at(place)) {
                continue;
            }
            let mut found = InTheWay::default();
            heads(disks, place, &mut found);
            if found.0.keys().any(|name| is_ours(name)) {
                older.push(place);
                let ours = found.0.into_iter().filter(|(name, _)| is_ours(name));
                ours.for_each(|(name, text)| way.note(&name, text));
            }
        }
        if len < disks.behind() {
            reach(disks, len, &mut way)?;
        }
        Ok((Self { regions, older }, way))
    }
}

/// What the name of what is lost begins with; how much that is follows.
pub const LOST: &str = "lost-";

/// The number behind the names that begin so; the largest of several.
pub fn number_behind(prefix: &str, force: &[String]) -> Option<u64> {
    let numbers = force
        .iter()
        .filter_map(|name| name.strip_prefix(prefix)?.parse().ok());
    numbers.max()
}

/// The names that are no UUID; this one is of something on the spare that is not ours.
pub const FOREIGN: &str = "foreign";
/// The name of main and the spare on one disk.
pub const SAME_DISK: &str = "same-disk";
const MAIN_TAIL: &str = "main-tail";
const DAMAGED: &str = "damaged";
const NEWER: &str = "newer";
/// The name of what cannot be read.
pub const UNREADABLE: &str = "unreadable";
/// The name of what an interrupted command left.
pub const UNFINISHED: &str = "unfinished";
const SHORTER: &str = "shorter";

/// Whether a name stands for an array, whole or begun.
fn is_ours(name: &str) -> bool {
    ![FOREIGN, MAIN_TAIL, DAMAGED, NEWER, UNREADABLE].contains(&name)
}

/// Notes what a block is; `false` if it is blank.
fn block(disks: &Disks, place: Place, number: u64, way: &mut InTheWay) -> bool {
    let is_main = place.region.role() == Role::MAIN;
    let (device, holder) = match is_main {
        true => (&disks.main, "main's tail"),
        false => (&disks.spare, "the spare"),
    };
    let mut block = blank_block();
    let sector = place.start + number * BLOCK_SECTORS;
    if device.read(sector, block.as_mut_slice()).is_err() {
        let text = format!("{holder} cannot be read where its metadata would be");
        way.note(UNREADABLE, text);
        return true;
    }
    let (name, what) = match Header::read(&block, crc32c::crc32c) {
        Err(Flaw::Blank) => return false,
        Err(Flaw::NotOurs) if is_main => (MAIN_TAIL.into(), "something that is not ours".into()),
        Err(Flaw::NotOurs) => (FOREIGN.into(), "something that is not ours".into()),
        Err(Flaw::Checksum) => (DAMAGED.into(), "damaged metadata".into()),
        Err(Flaw::Version(_) | Flaw::Kind) => (NEWER.into(), "metadata of a newer format".into()),
        Ok(header) if header.kind == Kind::Unfinished => {
            (UNFINISHED.into(), "metadata that were not finished".into())
        }
        Ok(header) => {
            let uuid = header.address.array.to_string();
            let what = format!("array {uuid}");
            (uuid, what)
        }
    };
    way.note(&name, format!("{holder} holds {what}"));
    true
}

/// Notes what is where heads belong; whether there is anything.
fn heads(disks: &Disks, place: Place, way: &mut InTheWay) -> bool {
    let regions = disks.regions();
    let mut is_there = false;
    for slot in Slot::BOTH {
        is_there |= block(disks, place, regions.header(slot), way);
    }
    is_there
}

/// How many blocks are looked at together: most of them are blank.
const AT_ONCE: u64 = 256;

/// Notes what is in a region. What heads or marks say holds for all of it.
fn look(disks: &Disks, place: Place, way: &mut InTheWay) {
    if heads(disks, place, way) {
        return;
    }
    let blocks = disks.regions().region_blocks();
    let mut bytes = vec![0; AT_ONCE as usize * BLOCK_BYTES];
    for first in (0..blocks).step_by(AT_ONCE as usize) {
        let last = blocks.min(first + AT_ONCE);
        let bytes = &mut bytes[..(last - first) as usize * BLOCK_BYTES];
        let sector = place.start + first * BLOCK_SECTORS;
        let read = disks.device(place.region).read(sector, bytes);
        let is_blank = read.is_ok() && bytes.iter().all(|&byte| byte == 0);
        if !is_blank && (first..last).any(|number| block(disks, place, number, way)) {
            return;
        }
    }
}

/// Notes what reaches behind the sectors of the target.
fn reach(disks: &Disks, len: u64, way: &mut InTheWay) -> Result<()> {
    let Some(Extent { what, sectors, .. }) = Extent::of(&disks.main, disks.main_start)? else {
        return Ok(());
    };
    match sectors {
        Some(sectors) if sectors <= len => {}
        Some(sectors) => way.note(
            SHORTER,
            format!("main holds {what} of {sectors} sectors, and the target would have {len}"),
        ),
        None => way.note(
            SHORTER,
            format!("main holds {what}, which may reach behind the target's {len} sectors"),
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_must_be_named() {
        let mut way = InTheWay::default();
        let force = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(way.allow(&force(&["foreign"])).is_ok());
        way.note("foreign", "the spare holds a".into());
        way.note("main-tail", "main's tail holds b".into());
        way.note("foreign", "main's tail holds c".into());
        for (names, want) in [
            (&[][..], "the spare holds a, main's tail holds b; "),
            (&["foreign"], "main's tail holds b; "),
            (
                &["x", "foreign"],
                "the spare holds a, main's tail holds b, not 'x'; ",
            ),
        ] {
            let said = way.allow(&force(names)).unwrap_err().to_string();
            let hint = "'--force foreign --force main-tail' overwrites it";
            assert_eq!(said, format!("{want}{hint}"));
        }
        assert!(way.allow(&force(&["main-tail", "foreign"])).is_ok());
    }
}
