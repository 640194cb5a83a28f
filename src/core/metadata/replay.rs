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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::Blocks;
    use crate::geometry::{
        Area,
        Device,
        SpareUnit, //
    };
    use crate::index::tests::Host;
    use crate::spares::words_for;

    /// Applies records in turn to an array of 100 units, the last short, and 40 spare units.
    fn applied(records: &[Record]) -> Result<(Index<Host>, Spares<Vec<u64>>), Conflict> {
        let disk = Device {
            logical_block: 512,
            physical_block: 512,
            sectors: 1 << 20,
        };
        let area = |len| Area { start: 0, len };
        let geometry = Geometry::new(disk, area(797), disk, area(4096 + 320), None).unwrap();
        let words = vec![0; words_for(40) as usize];
        let mut spares = Spares::new(words.clone(), words, 40).unwrap();
        let (mut map, mut heap) = (Index::new(), Host { left: usize::MAX });
        for &record in records {
            apply(&geometry, &mut heap, &mut map, &mut spares, record)?;
        }
        Ok((map, spares))
    }

    fn relocated(unit: u64, spare: u64) -> Record {
        Record::Relocated {
            unit: Unit(unit),
            spare: SpareUnit(spare),
            valid: Blocks::range(0..5),
        }
    }

    fn on_main(unit: u64) -> Record {
        Record::OnMain { unit: Unit(unit) }
    }

    fn retired(spare: u64) -> Record {
        Record::Retired {
            spare: SpareUnit(spare),
        }
    }

    #[test]
    fn contradictions_are_named() {
        let short = Record::Relocated {
            unit: Unit(99),
            spare: SpareUnit(0),
            valid: Blocks::range(0..6),
        };
        for (records, want) in [
            (vec![relocated(100, 0)], Conflict::Unit),
            (vec![relocated(u64::MAX >> 8, 0)], Conflict::Unit),
            (vec![relocated(0, 40)], Conflict::Spare),
            (vec![retired(40)], Conflict::Spare),
            (vec![retired(u64::MAX)], Conflict::Spare),
            (vec![short], Conflict::Blocks),
            (vec![relocated(1, 7), relocated(2, 7)], Conflict::Taken),
            (vec![relocated(1, 7), retired(7)], Conflict::Taken),
            (vec![retired(7), relocated(1, 7)], Conflict::Taken),
            (vec![retired(7), retired(7)], Conflict::Taken),
            (vec![on_main(3)], Conflict::Absent),
            (
                vec![relocated(3, 1), on_main(3), on_main(3)],
                Conflict::Absent,
            ),
            (vec![on_main(100)], Conflict::Absent),
        ] {
            assert_eq!(applied(&records).err(), Some(want), "{records:?}");
        }
    }

    #[test]
    fn a_unit_moves_from_spare_to_spare_and_back() {
        let records = [
            relocated(99, 0),
            relocated(3, 1),
            relocated(3, 2),
            retired(1),
        ];
        let (map, spares) = applied(&records).unwrap();
        assert_eq!((spares.in_use(), spares.retired()), (2, 1));
        let state = map.get(Unit(3)).map(|entry| entry.state);
        let (spare, valid) = (SpareUnit(2), Blocks::range(0..5));
        assert_eq!(state, Some(State::Relocated { spare, valid }));
        let (map, mut spares) = applied(&[relocated(3, 1), on_main(3)]).unwrap();
        assert_eq!(map.get(Unit(3)), None);
        assert!(spares.claim(SpareUnit(1)));
    }
}
