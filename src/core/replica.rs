// SPDX-License-Identifier: GPL-2.0

//! A copy of the map in other memory, which repeats the changes of the map.
//!
//! Copying takes long, and the map changes meanwhile: the units that change are noted, and are
//! repeated when the copy is there.

use crate::engine::memory::List;
use crate::geometry::Unit;
use crate::index::{
    Index,
    NodeAlloc,
    NodeMemory,
    OutOfMemory, //
};
use core::ops::DerefMut;

/// A copy of the map, `U` being room for units.
///
/// | state  | `follow`                  | `begin` | `end`                     | `give_up` |
/// |--------|---------------------------|---------|---------------------------|-----------|
/// | Shown  | Shown, or Absent: memory  | Shown   | Shown                     | Absent    |
/// | Absent | Absent                    | Copied  | Absent                    | Absent    |
/// | Copied | Copied, or Absent: room   | Copied  | Shown, or Absent: memory  | Absent    |
///
/// An end that is not of the copy that was begun last changes nothing.
pub struct Replica<M: NodeMemory, U> {
    state: State<M, U>,
    /// How many copies were begun.
    begun: u64,
}

enum State<M: NodeMemory, U> {
    /// It is as the map.
    Shown(Index<M>),
    /// There is none.
    Absent,
    /// The map is copied; these units changed meanwhile.
    Copied(List<U>),
}

/// Which copy was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyNumber(u64);

impl<M: NodeMemory, U: DerefMut<Target = [Unit]>> Default for Replica<M, U> {
    /// That of a map without entries.
    fn default() -> Self {
        Self {
            state: State::Shown(Index::new()),
            begun: 0,
        }
    }
}

impl<M: NodeMemory, U: DerefMut<Target = [Unit]>> Replica<M, U> {
    /// The copy, if there is one that is as the map.
    pub fn shown(&self) -> Option<&Index<M>> {
        match &self.state {
            State::Shown(map) => Some(map),
            State::Absent | State::Copied(_) => None,
        }
    }

    /// Whether there is none, and none is made.
    pub fn is_absent(&self) -> bool {
        matches!(self.state, State::Absent)
    }

    /// Frees the copy, or has that not be shown which is made.
    pub fn give_up(&mut self) {
        self.state = State::Absent;
    }

    /// Repeats changes of the map, which is `home` now. `ready` may add to the memory before each.
    /// The replica is given up where there is none.
    pub fn follow<A: NodeAlloc<Memory = M>>(
        &mut self,
        home: &Index<M>,
        changed: &[Unit],
        nodes: &mut A,
        ready: impl FnMut(&mut A),
    ) {
        let followed = match &mut self.state {
            State::Absent => Ok(()),
            State::Shown(map) => repeat(map, home, changed, nodes, ready),
            State::Copied(missed) => changed
                .iter()
                .try_for_each(|&unit| missed.push(unit).map_err(|_| OutOfMemory)),
        };
        if followed.is_err() {
            self.give_up();
        }
    }

    /// Has the map be copied, if there is no copy and none is made. `missed` is room for the units
    /// that change meanwhile.
    pub fn begin(&mut self, missed: U) -> Option<CopyNumber> {
        if !self.is_absent() {
            return None;
        }
        self.state = State::Copied(List::new(missed));
        self.begun += 1;
        Some(CopyNumber(self.begun))
    }

    /// Takes a copy that was made of the map as it was at the beginning, in memory from `nodes`, or
    /// `None` where there was no memory; whether it is shown.
    pub fn end<A: NodeAlloc<Memory = M>>(
        &mut self,
        copy: CopyNumber,
        made: Option<Index<M>>,
        home: &Index<M>,
        nodes: &mut A,
        ready: impl FnMut(&mut A),
    ) -> bool {
        let State::Copied(missed) = &self.state else {
            return false;
        };
        if copy != CopyNumber(self.begun) {
            return false;
        }
        let whole = made.and_then(|mut map| {
            repeat(&mut map, home, missed, nodes, ready).ok()?;
            Some(map)
        });
        let is_shown = whole.is_some();
        self.state = whole.map_or(State::Absent, State::Shown);
        is_shown
    }
}

/// Has `map`, in memory from `nodes`, say of some units what `home` says.
fn repeat<M: NodeMemory, A: NodeAlloc<Memory = M>>(
    map: &mut Index<M>,
    home: &Index<M>,
    changed: &[Unit],
    nodes: &mut A,
    mut ready: impl FnMut(&mut A),
) -> Result<(), OutOfMemory> {
    for &unit in changed {
        let entry = home.get(unit);
        if map.get(unit) != entry {
            ready(nodes);
            *map = map.set(nodes, unit, entry)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::Blocks;
    use crate::geometry::SpareUnit;
    use crate::index::tests::Host;
    use crate::index::{
        Entry,
        Gate,
        State as Place, //
    };
    use proptest::prelude::*;

    type Map = Index<Host>;

    /// What happens to a map and its replica.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        Set(u64, Option<u64>),
        Begin,
        End,
        /// The copy fails for want of memory.
        Fail,
        GiveUp,
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            6 => (0u64..40, prop::option::of(0u64..9)).prop_map(|(unit, spare)| Act::Set(unit, spare)),
            2 => Just(Act::Begin),
            2 => Just(Act::End),
            1 => Just(Act::Fail),
            1 => Just(Act::GiveUp),
        ];
        prop::collection::vec(act, 1..200)
    }

    fn entry(spare: u64) -> Entry {
        Entry {
            gate: Gate::Open,
            state: Place::Relocated {
                spare: SpareUnit(spare),
                valid: Blocks::range(0..8),
            },
        }
    }

    fn entries(map: &Map) -> Vec<(Unit, Entry)> {
        map.iter_from(Unit(0)).collect()
    }

    #[test]
    fn a_copy_that_was_given_up_is_not_taken_for_the_next() {
        let (home, nodes) = (Map::new(), &mut { Host::PLENTY });
        let mut replica = Replica::<Host, Vec<Unit>>::default();
        replica.give_up();
        let first = replica.begin(vec![Unit(0); 4]).unwrap();
        replica.give_up();
        let second = replica.begin(vec![Unit(0); 4]).unwrap();
        assert!(replica.begin(vec![]).is_none());
        assert!(!replica.end(first, Some(Map::new()), &home, nodes, |_| {}));
        assert!(replica.end(second, Some(Map::new()), &home, nodes, |_| {}));
        assert!(replica.shown().is_some());
    }

    #[test]
    fn more_changes_than_there_is_room_for_end_a_copy() {
        let nodes = &mut { Host::PLENTY };
        let mut replica = Replica::<Host, Vec<Unit>>::default();
        replica.give_up();
        let copy = replica.begin(vec![Unit(0); 2]).unwrap();
        let home = Map::new();
        replica.follow(&home, &[Unit(1), Unit(2)], nodes, |_| {});
        assert!(!replica.is_absent());
        replica.follow(&home, &[Unit(3)], nodes, |_| {});
        assert!(replica.is_absent());
        assert!(!replica.end(copy, Some(Map::new()), &home, nodes, |_| {}));
    }

    proptest! {
        /// What is shown is the map, whatever happened while it was copied and when memory ended.
        #[test]
        fn shows_the_map(acts in acts(), room in 0usize..30, left in 0usize..1000) {
            let (mut plenty, mut few) = (Host::PLENTY, Host { left, ..Host::PLENTY });
            let mut home = Map::new();
            let mut replica = Replica::<Host, Vec<Unit>>::default();
            let mut copied: Option<(CopyNumber, Map)> = None;
            for act in acts {
                match act {
                    Act::Set(unit, spare) => {
                        home = home.set(&mut plenty, Unit(unit), spare.map(entry)).unwrap();
                        replica.follow(&home, &[Unit(unit)], &mut few, |_| {});
                    }
                    Act::Begin => {
                        if let Some(copy) = replica.begin(vec![Unit(0); room]) {
                            copied = Some((copy, home.copied(&mut plenty, |_| Ok(())).unwrap()));
                        }
                    }
                    Act::End | Act::Fail => {
                        if let Some((copy, map)) = copied.take() {
                            let made = matches!(act, Act::End).then_some(map);
                            let was_made = made.is_some();
                            let is_shown = replica.end(copy, made, &home, &mut few, |_| {});
                            prop_assert!(was_made || !is_shown);
                        }
                    }
                    Act::GiveUp => replica.give_up(),
                }
                if let Some(shown) = replica.shown() {
                    prop_assert_eq!(entries(shown), entries(&home));
                }
            }
        }
    }
}
