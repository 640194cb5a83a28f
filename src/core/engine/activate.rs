// SPDX-License-Identifier: GPL-2.0

//! Reading the state of an array into an engine.

use super::memory::{
    List,
    Memory, //
};
use super::probes::Probes;
use super::Engine;
use crate::fixed::Fixed;
use crate::geometry::Unit;
use crate::index::Index;
use crate::metadata::block::Block;
use crate::metadata::load::load;
use crate::metadata::replay::{
    Conflict,
    Replay, //
};
use crate::metadata::standing::Standing;
use crate::metadata::storage::Storage;
use crate::metadata::survey::{
    Choice,
    Refused, //
};

impl<M: Memory> Engine<M> {
    /// Reads the state of the regions that were chosen into an engine without one; what the array
    /// remembers besides its units. `ready` makes sure of the memory for one update, before each.
    pub fn replay<S: Storage, E: From<Refused> + From<Conflict>>(
        &mut self,
        storage: &mut S,
        block: &mut Block,
        choice: &Choice,
        mut ready: impl FnMut(&mut M::Nodes) -> Result<(), E>,
    ) -> Result<Standing, E> {
        self.forget();
        let mut replay = Replay::default();
        let Self {
            geometry,
            nodes,
            spares,
            ..
        } = self;
        let standing = load(storage, block, choice, |record| {
            ready(nodes)?;
            let applied = replay.apply(geometry, nodes, spares, record);
            applied.map_err(E::from)
        })?;
        ready(nodes)?;
        let map = replay.finish(nodes)?;
        for (unit, entry) in map.iter_from(Unit(0)) {
            let all = self.geometry.blocks_of(unit);
            self.count_entry(Some(entry), all, u64::wrapping_add);
        }
        self.map = map;
        self.renew();
        Ok(standing)
    }

    /// Forgets the state, so that it can be read anew. No machine may be under way.
    pub fn forget(&mut self) {
        self.journal = None;
        self.probes = Probes::default();
        self.gathered.clear();
        self.written.clear();
        List::clear(&mut self.claims);
        (self.awaited, self.are_all_awaited) = (Fixed::new(), false);
        (self.promised, self.admitted) = (0, 0);
        self.map = Index::new();
        self.renew();
        self.spares.clear();
        self.magazines.forget();
        List::clear(&mut self.withheld);
        (self.suspects, self.lost_blocks, self.relocated) = (0, 0, 0);
    }
}
