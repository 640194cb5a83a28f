// SPDX-License-Identifier: GPL-2.0

//! Putting the state together, record by record, believing none.

use super::record::Record;
use crate::blocks::Blocks;
use crate::geometry::{
    Geometry,
    SpareUnit,
    Unit, //
};
use crate::index::{
    Entry,
    Gate,
    Index,
    NodeAlloc,
    NodeMemory,
    OutOfMemory,
    Run,
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

/// The map as far as it was read.
pub struct Replay<M: NodeMemory> {
    map: Index<M>,
    /// Entries that follow those of `map`: a checkpoint's come in order.
    run: Run,
}

impl<M: NodeMemory> Default for Replay<M> {
    fn default() -> Self {
        Self {
            map: Index::new(),
            run: Run::default(),
        }
    }
}

impl<M: NodeMemory> Replay<M> {
    /// Applies one record, to the map and to the spare units that go with it.
    pub fn apply<B: DerefMut<Target = [u64]>>(
        &mut self,
        geometry: &Geometry,
        alloc: &mut impl NodeAlloc<Memory = M>,
        spares: &mut Spares<B>,
        record: Record,
    ) -> Result<(), Conflict> {
        match record {
            Record::Relocated { unit, spare, valid } => {
                check(geometry, unit, spare, valid)?;
                let entry = Entry {
                    gate: Gate::Open,
                    state: State::Relocated { spare, valid },
                };
                self.relocate(alloc, spares, unit, spare, entry)
            }
            Record::OnMain { unit } => {
                self.settle(alloc)?;
                let freed = self.spare_of(unit).ok_or(Conflict::Absent)?;
                self.map = self.map.without(alloc, unit)?;
                spares.release(freed);
                Ok(())
            }
            Record::Retired { spare } => {
                if spare.0 >= geometry.spare_units() {
                    return Err(Conflict::Spare);
                }
                if !spares.claim(spare) {
                    return Err(Conflict::Taken);
                }
                spares.retire(spare);
                Ok(())
            }
        }
    }

    /// All that was read.
    pub fn finish(mut self, alloc: &mut impl NodeAlloc<Memory = M>) -> Result<Index<M>, Conflict> {
        self.settle(alloc)?;
        Ok(self.map)
    }

    fn relocate<B: DerefMut<Target = [u64]>>(
        &mut self,
        alloc: &mut impl NodeAlloc<Memory = M>,
        spares: &mut Spares<B>,
        unit: Unit,
        spare: SpareUnit,
        entry: Entry,
    ) -> Result<(), Conflict> {
        let behind = self.is_behind(unit);
        if !behind || self.run.is_full() {
            self.settle(alloc)?;
        }
        let before = if behind { None } else { self.spare_of(unit) };
        if before != Some(spare) && !spares.claim(spare) {
            return Err(Conflict::Taken);
        }
        if let Some(freed) = before.filter(|&old| old != spare) {
            spares.release(freed);
        }
        if behind {
            self.run.push(alloc, unit, entry)?;
        } else {
            self.map = self.map.with(alloc, unit, entry)?;
        }
        Ok(())
    }

    /// Whether no unit from this one on has an entry.
    fn is_behind(&self, unit: Unit) -> bool {
        self.run.last().or_else(|| self.map.last()) < Some(unit)
    }

    fn spare_of(&self, unit: Unit) -> Option<SpareUnit> {
        self.map.get(unit)?.state.spare()
    }

    fn settle(&mut self, alloc: &mut impl NodeAlloc<Memory = M>) -> Result<(), Conflict> {
        self.map = self.map.append(alloc, &mut self.run)?;
        Ok(())
    }
}

impl From<OutOfMemory> for Conflict {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// Whether the array has what a record names.
fn check(geometry: &Geometry, unit: Unit, spare: SpareUnit, valid: Blocks) -> Result<(), Conflict> {
    if unit.0 >= geometry.units() {
        return Err(Conflict::Unit);
    }
    if spare.0 >= geometry.spare_units() {
        return Err(Conflict::Spare);
    }
    if !geometry.blocks_of(unit).contains(valid) {
        return Err(Conflict::Blocks);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{
        Area,
        Device, //
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
        let mut replay = Replay::default();
        for &record in records {
            replay.apply(&geometry, &mut Host::for_an_update(), &mut spares, record)?;
        }
        Ok((replay.finish(&mut Host::for_an_update())?, spares))
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
    fn each_record_needs_the_memory_of_one_update() {
        let records: Vec<_> = (0..40).map(|n| relocated(2 * n, n)).collect();
        let (map, spares) = applied(&records).unwrap();
        let units = map.iter_from(Unit(0)).map(|(unit, _)| unit.0);
        assert!(units.eq((0..40).map(|n| 2 * n)));
        assert_eq!(spares.in_use(), 40);
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
