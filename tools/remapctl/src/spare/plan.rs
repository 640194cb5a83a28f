// SPDX-License-Identifier: GPL-2.0

//! What the new device is to hold.

use super::copy::{
    Copied,
    Kept, //
};
use super::side::New;
use crate::array::{
    Disks,
    Found, //
};
use crate::random::random_uuid;
use crate::rehearse::rehearse;
use crate::renew;
use crate::say::Say;
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_core::geometry::Geometry;
use remap_core::metadata::array::Array;
use remap_core::metadata::record::Record;
use remap_core::metadata::standing::Standing;

/// The array as the new device is to hold it.
pub struct Plan {
    /// The array; the device has a UUID of its own.
    pub array: Array,
    /// How its units lie there.
    pub geometry: Geometry,
    generation: u64,
    standing: Standing,
}

impl Plan {
    /// The array that was found, on another device.
    pub fn new(found: &Found, new: &Disks) -> Result<Self> {
        let array = Array {
            spare: random_uuid()?,
            spare_sectors: new.spare_area.len,
            ..*found.array()
        };
        let generation = found.generation().checked_add(1);
        Ok(Self {
            array,
            geometry: new.geometry(&array)?,
            generation: generation.context("the array has no room for another commit")?,
            standing: found.contained.standing,
        })
    }

    /// Refuses units for which there is no room.
    pub fn check(&self, new: &Disks, kept: &[Kept]) -> Result<()> {
        let (path, room) = (new.spare.path().display(), self.geometry.spare_units());
        let last = kept.iter().map(|unit| unit.spare.0).max();
        if let Some(last) = last.filter(|&last| last >= room) {
            bail!("spare unit {last} is in use, and {path} has room for {room}");
        }
        let (geometry, array, standing) = (&self.geometry, &self.array, &self.standing);
        rehearse(geometry, array, self.generation, standing, &records(kept))
    }

    /// Writes the metadata beside the marks, and looks whether the device gives all back.
    pub fn write(&self, say: &Say, new: &mut Disks, copied: &Copied) -> Result<()> {
        let records = records(&copied.units);
        copied.compare(say, &new.spare)?;
        renew::checkpoint(new, self.array, self.generation, &self.standing, &records)?;
        // A device that is shorter than it says has the metadata in the place of units.
        copied.compare(say, &new.spare)?;
        let is_written = match New::look(new) {
            New::Marked(found) => {
                let choice = &found.choice;
                choice.identity.array == self.array
                    && choice.chain.end == self.generation
                    && found.standing == self.standing
                    && found.contents().records.eq(records)
            }
            New::Whole(_) | New::Damaged(_) | New::Other => false,
        };
        match is_written {
            true => Ok(()),
            false => bail!(
                "{} gives back other metadata than were written",
                new.spare.path().display()
            ),
        }
    }
}

fn records(kept: &[Kept]) -> Vec<Record> {
    kept.iter().map(Kept::record).collect()
}
