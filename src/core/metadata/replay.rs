// SPDX-License-Identifier: GPL-2.0

//! Putting the state together, record by record, believing none.

use super::record::Record;
use crate::geometry::{
    Geometry,
    Unit, //
};
use crate::index::{
    Entry,
    Gate,
    Heap,
    Index,
    State, //
};
use crate::spares::Spares;
use core::ops::DerefMut;

/// Why a record cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It names a unit of main that there is not.
    Unit,
    /// It names a unit of the spare that there is not.
    Spare,
    /// It names blocks that the unit does not have.
    Blocks,
    /// It puts a unit where another is, or where none may be.
    Taken,
    /// It takes back what was not said.
    Absent,
    /// No memory for the map.
    OutOfMemory,
}

/// Applies one record to a map and the spare units that go with it.
pub fn apply<H: Heap, B: DerefMut<Target = [u64]>>(
    geometry: &Geometry,
    heap: &mut H,
    map: &mut Index<H>,
    spares: &mut Spares<B>,
    record: Record,
) -> Result<(), Conflict> {
    let before = |map: &Index<H>, unit: Unit| match map.get(unit).map(|entry| entry.state) {
        Some(State::Relocated { spare, .. }) => Some(spare),
        _ => None,
    };
    let (unit, entry, freed) = match record {
        Record::Relocated { unit, spare, valid } => {
            if unit.0 >= geometry.units() {
                return Err(Conflict::Unit);
            }
            if spare.0 >= geometry.spare_units() {
                return Err(Conflict::Spare);
            }
            if !geometry.blocks_of(unit).contains(valid) {
                return Err(Conflict::Blocks);
            }
            let freed = before(map, unit).filter(|&old| old != spare);
            if before(map, unit) != Some(spare) && !spares.claim(spare) {
                return Err(Conflict::Taken);
            }
            let entry = Entry {
                gate: Gate::Open,
                state: State::Relocated { spare, valid },
            };
            (unit, Some(entry), freed)
        }
        Record::OnMain { unit } => {
            let freed = before(map, unit).ok_or(Conflict::Absent)?;
            (unit, None, Some(freed))
        }
        Record::Retired { spare } => {
            if spare.0 >= geometry.spare_units() {
                return Err(Conflict::Spare);
            }
            if !spares.claim(spare) {
                return Err(Conflict::Taken);
            }
            spares.retire(spare);
            return Ok(());
        }
    };
    *map = map
        .set(heap, unit, entry)
        .map_err(|_| Conflict::OutOfMemory)?;
    if let Some(freed) = freed {
        spares.release(freed);
    }
    Ok(())
}
