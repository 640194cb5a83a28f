// SPDX-License-Identifier: GPL-2.0

//! Where a request goes, as far as one answer reaches.

use crate::geometry::{
    Geometry,
    SpareUnit,
    Unit, //
};
use crate::index::{
    Entry,
    Gate,
    Index,
    NodeMemory,
    State, //
};
use core::ops::Range;

/// What a request does to the blocks it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads them.
    Read,
    /// Gives them new content: a write or a write of zeroes.
    Write,
    /// Gives up their content.
    Discard,
}

/// Where the beginning of a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To main.
    Main,
    /// To this spare unit.
    Spare(SpareUnit),
    /// Nowhere: the blocks were lost and must fail.
    Lost,
    /// Nowhere: the unit cannot be written, or not even read.
    Refused,
    /// To nowhere yet: the unit is being moved.
    Busy,
    /// To the engine, which does more than pass it on.
    Repair,
}

/// How many sectors of a request go where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where they go.
    pub place: Place,
    /// How many of the request's first sectors; at least one and at most all.
    pub sectors: u64,
}

/// Plans the beginning of the request for `sectors` of the target.
#[inline]
pub fn plan<M: NodeMemory>(
    geometry: &Geometry,
    index: &Index<M>,
    access: Access,
    sectors: &Range<u64>,
) -> Step {
    let all = sectors.end.saturating_sub(sectors.start);
    let Some((unit, entry)) = index.next(geometry.unit_of(sectors.start)) else {
        return Step {
            place: Place::Main,
            sectors: all,
        };
    };
    let own = geometry.sectors_of(unit);
    if own.start >= sectors.end {
        return Step {
            place: Place::Main,
            sectors: all,
        };
    }
    if own.start > sectors.start {
        return Step {
            place: Place::Main,
            sectors: own.start - sectors.start,
        };
    }
    let sectors = sectors.start..sectors.end.min(own.end);
    match entry {
        Entry {
            gate: Gate::Open,
            state: State::Relocated { spare, valid },
        } if valid == geometry.whole_unit() => Step {
            place: Place::Spare(spare),
            sectors: sectors.end.saturating_sub(sectors.start),
        },
        _ => in_unit(geometry, unit, entry, access, sectors),
    }
}

/// Plans a request that lies within `unit`.
#[inline(never)]
fn in_unit(
    geometry: &Geometry,
    unit: Unit,
    entry: Entry,
    access: Access,
    sectors: Range<u64>,
) -> Step {
    let all = sectors.end.saturating_sub(sectors.start);
    let shut = match entry.gate {
        Gate::Open => None,
        Gate::Busy => Some(Place::Busy),
        Gate::Stuck => (access != Access::Read).then_some(Place::Refused),
        Gate::Unknown => Some(Place::Refused),
    };
    if let Some(place) = shut {
        return Step {
            place,
            sectors: all,
        };
    }
    let (place, sectors) = match (entry.state, access) {
        (State::Main, _) | (State::Suspect, Access::Read | Access::Discard) => (Place::Main, all),
        (State::Suspect, Access::Write) => (Place::Repair, all),
        (State::Relocated { spare, .. }, Access::Discard) => (Place::Spare(spare), all),
        (State::Relocated { spare, valid }, access) => {
            let blocks = geometry.blocks_at(unit, &sectors);
            if valid.contains(blocks) {
                (Place::Spare(spare), all)
            } else if access == Access::Write {
                (Place::Repair, all)
            } else {
                let touched = blocks.first_run().unwrap_or(0..0);
                let alike = valid.alike(touched.start, touched.end);
                let run = geometry.sectors_at(unit, touched.start..touched.start + alike);
                let length = run.end.min(sectors.end).saturating_sub(sectors.start);
                let first = geometry.blocks_at(unit, &(sectors.start..sectors.start + 1));
                if valid.contains(first) {
                    (Place::Spare(spare), length)
                } else {
                    (Place::Lost, length)
                }
            }
        }
    };
    Step { place, sectors }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::Blocks;
    use crate::geometry::{
        Area,
        Device, //
    };
    use crate::index::tests::Host;
    use proptest::prelude::*;

    /// 100 units of 8 blocks of 512 bytes, the last unit with 3 blocks.
    fn geometry() -> Geometry {
        let disk = Device {
            logical_block: 512,
            physical_block: 512,
            sectors: 10_000,
        };
        let main = Area {
            start: 5,
            len: 99 * 8 + 3,
        };
        let spare = Area {
            start: 0,
            len: 10_000,
        };
        Geometry::new(disk, main, disk, spare, None).unwrap()
    }

    fn index(entries: &[(u64, Entry)]) -> Index<Host> {
        let mut heap = Host::PLENTY;
        entries.iter().fold(Index::new(), |index, &(unit, entry)| {
            index.with(&mut heap, Unit(unit), entry).unwrap()
        })
    }

    fn relocated(spare: u64, valid: Blocks) -> Entry {
        Entry {
            gate: Gate::Open,
            state: State::Relocated {
                spare: SpareUnit(spare),
                valid,
            },
        }
    }

    /// The whole request, step by step.
    fn steps(index: &Index<Host>, access: Access, sectors: Range<u64>) -> Vec<(Place, u64)> {
        let mut at = sectors.start;
        let mut steps = Vec::new();
        while at < sectors.end {
            let step = plan(&geometry(), index, access, &(at..sectors.end));
            assert!(step.sectors >= 1 && at + step.sectors <= sectors.end);
            steps.push((step.place, step.sectors));
            at += step.sectors;
        }
        steps
    }

    #[test]
    fn an_empty_map_passes_everything() {
        assert_eq!(
            steps(&index(&[]), Access::Write, 3..700),
            [(Place::Main, 697)]
        );
    }

    #[test]
    fn cuts_at_both_ends_and_between() {
        let full = Blocks::range(0..8);
        let map = index(&[
            (0, relocated(7, full)),
            (2, relocated(8, full)),
            (3, relocated(9, full)),
        ]);
        let wanted = [
            (Place::Spare(SpareUnit(7)), 5),
            (Place::Main, 8),
            (Place::Spare(SpareUnit(8)), 8),
            (Place::Spare(SpareUnit(9)), 8),
            (Place::Main, 4),
        ];
        for access in [Access::Read, Access::Write, Access::Discard] {
            assert_eq!(steps(&map, access, 3..36), wanted);
        }
    }

    #[test]
    fn lost_blocks_fail_exactly() {
        let map = index(&[(1, relocated(4, Blocks::range(2..5)))]);
        assert_eq!(
            steps(&map, Access::Read, 0..24),
            [
                (Place::Main, 8),
                (Place::Lost, 2),
                (Place::Spare(SpareUnit(4)), 3),
                (Place::Lost, 3),
                (Place::Main, 8),
            ]
        );
        assert_eq!(steps(&map, Access::Write, 9..11), [(Place::Repair, 2)]);
        assert_eq!(
            steps(&map, Access::Write, 10..12),
            [(Place::Spare(SpareUnit(4)), 2)]
        );
        assert_eq!(
            steps(&map, Access::Discard, 8..16),
            [(Place::Spare(SpareUnit(4)), 8)]
        );
    }

    #[test]
    fn suspects_busy_and_stuck_units() {
        let suspect = Entry {
            gate: Gate::Open,
            state: State::Suspect,
        };
        let busy = Entry {
            gate: Gate::Busy,
            ..suspect
        };
        let stuck = Entry {
            gate: Gate::Stuck,
            ..relocated(4, Blocks::range(0..2))
        };
        let unknown = Entry {
            gate: Gate::Unknown,
            ..suspect
        };
        let map = index(&[(1, suspect), (5, busy), (7, stuck), (9, unknown)]);
        for access in [Access::Read, Access::Write, Access::Discard] {
            assert_eq!(steps(&map, access, 72..75), [(Place::Refused, 3)]);
        }
        assert_eq!(steps(&map, Access::Read, 8..16), [(Place::Main, 8)]);
        assert_eq!(steps(&map, Access::Write, 8..16), [(Place::Repair, 8)]);
        assert_eq!(steps(&map, Access::Read, 41..48), [(Place::Busy, 7)]);
        assert_eq!(steps(&map, Access::Discard, 41..48), [(Place::Busy, 7)]);
        let spare = Place::Spare(SpareUnit(4));
        assert_eq!(
            steps(&map, Access::Read, 56..64),
            [(spare, 2), (Place::Lost, 6)]
        );
        assert_eq!(steps(&map, Access::Write, 56..58), [(Place::Refused, 2)]);
        assert_eq!(steps(&map, Access::Discard, 60..64), [(Place::Refused, 4)]);
    }

    proptest! {
        /// Sector by sector, the steps say what a plain table of the same entries says.
        #[test]
        fn agrees_with_a_table(
            entries in prop::collection::btree_map(0u64..100, (any::<u64>(), 0u8..4), 0..30),
            start in 0u64..795, length in 1u64..300, which in 0u8..3,
        ) {
            let g = geometry();
            let make = |unit: u64, bits: u64, kind: u8| match kind {
                0 => Entry { gate: Gate::Busy, state: State::Main },
                1 => Entry { gate: Gate::Open, state: State::Suspect },
                _ => {
                    let mut valid = Blocks::NONE;
                    for b in (0..8).filter(|b| kind == 3 || (bits >> b) & 1 == 1) {
                        valid = valid.union(Blocks::range(b..b + 1));
                    }
                    relocated(unit + 1000, valid)
                }
            };
            let list: Vec<_> = entries.iter().map(|(&u, &(bits, kind))| (u, make(u, bits, kind))).collect();
            let map = index(&list);
            let access = [Access::Read, Access::Write, Access::Discard][which as usize];
            let sectors = start..(start + length).min(795);
            let mut at = sectors.start;
            for (place, n) in steps(&map, access, sectors) {
                for sector in at..at + n {
                    let unit = g.unit_of(sector);
                    let block = g.blocks_at(unit, &(sector..sector + 1));
                    let entry = list.iter().find(|e| e.0 == unit.0).map(|e| e.1);
                    match (entry, place) {
                        (None, p) => prop_assert_eq!(p, Place::Main),
                        (Some(e), p) if e.gate == Gate::Busy => prop_assert_eq!(p, Place::Busy),
                        (Some(Entry { state: State::Relocated { spare, valid }, .. }), p) => match access {
                            Access::Read if valid.contains(block) => prop_assert_eq!(p, Place::Spare(spare)),
                            Access::Read => prop_assert_eq!(p, Place::Lost),
                            Access::Discard => prop_assert_eq!(p, Place::Spare(spare)),
                            Access::Write if valid.contains(g.blocks_at(unit, &(at..at + n))) =>
                                prop_assert_eq!(p, Place::Spare(spare)),
                            Access::Write => prop_assert_eq!(p, Place::Repair),
                        },
                        (Some(_), p) if access == Access::Write => prop_assert_eq!(p, Place::Repair),
                        (Some(_), p) => prop_assert_eq!(p, Place::Main),
                    }
                }
                at += n;
            }
        }
    }
}
