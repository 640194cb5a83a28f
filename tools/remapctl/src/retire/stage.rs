// SPDX-License-Identifier: GPL-2.0

//! How far the move of an array to a new disk is, by its mapped devices.

use crate::mapped::check_is;
use crate::moving::{
    Piece,
    CLONE, //
};
use crate::probe;
use crate::remaptab::Entry;
use anyhow::{
    bail,
    Result, //
};
use remap_active::mapper::Mapper;
use remap_active::table::Line;
use remap_active::TYPE;

/// How far it is.
pub enum Stage {
    /// The array is active; this is its table.
    Active(Vec<Line>),
    /// Its device stands on the copy, on which requests wait.
    Waiting,
    /// Its device stands on the copy.
    Copying,
    /// Its device stands on what was the copy, and is to have its own table again.
    GivenUp,
    /// Its device stands on the new disk.
    Moved,
}

impl Stage {
    /// How far that of an array is.
    pub fn of(mapper: &Mapper, entry: &Entry) -> Result<Self> {
        let (name, names) = (&entry.name, mapper.names()?);
        if !names.contains(name) {
            bail!("'{name}' is not active: 'remapctl activate {name}'");
        }
        check_is(mapper, name, &entry.array)?;
        let (table, info) = (mapper.table(name)?, mapper.info(name)?);
        if table.iter().any(|line| line.kind == TYPE) {
            return Ok(Self::Active(table));
        }
        if info.is_read_only {
            bail!("'{name}' can only be read: its spare is not there");
        }
        let copy = Piece::Copy.of(name);
        if names.contains(&copy) {
            let (info, kinds) = (mapper.info(&copy)?, mapper.table(&copy)?);
            let is_copy = matches!(&kinds[..], [line] if line.kind == CLONE);
            if stands_on(&table, info.number) {
                return Ok(match (is_copy, info.is_suspended) {
                    (true, true) => Self::Waiting,
                    (true, false) => Self::Copying,
                    (false, _) => Self::GivenUp,
                });
            }
        }
        if let Some(to) = &entry.to {
            let new = probe::find(&to.disk, entry, "the new disk")?;
            let number = new.map(|new| new.number);
            let number = number.map(|at| (rustix::fs::major(at), rustix::fs::minor(at)));
            if number.is_some_and(|number| stands_on(&table, number)) {
                return Ok(Self::Moved);
            }
        }
        bail!("'{name}' has a table that is none of an array, nor of a copy of one")
    }
}

/// Whether a table is one line over all of a device from its beginning on.
fn stands_on(table: &[Line], (major, minor): (u32, u32)) -> bool {
    let words = format!("{major}:{minor} 0");
    matches!(table, [line] if line.kind == "linear" && line.words.trim() == words)
}
