// SPDX-License-Identifier: GPL-2.0

//! Reading the state of an array, for an engine to go on from.
//!
//! The state is read into memory of its own, so that the engine is not held while a device is
//! waited for, and is as it was if the reading fails.

use super::memory::{
    List,
    Memory, //
};
use super::probes::Probes;
use super::state::Map;
use super::totals::Totals;
use super::Engine;
use crate::geometry::{
    Geometry,
    Unit, //
};
use crate::index::Index;
use crate::metadata::block::Block;
use crate::metadata::journal::Journal;
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
use crate::spares::Spares;

/// The state of an array.
pub struct Restored<M: Memory> {
    map: Map<M>,
    nodes: M::Nodes,
    spares: Spares<M::Words>,
    totals: Totals,
}

impl<M: Memory> Restored<M> {
    /// The map.
    pub fn map(&self) -> &Map<M> {
        &self.map
    }

    /// Reads the state of the region that was chosen into this memory, where no spare unit is used
    /// yet; it, and what the array remembers besides its units. `ready` makes sure of the memory
    /// for one update, before each.
    pub fn read<S: Storage, E: From<Refused> + From<Conflict>>(
        geometry: &Geometry,
        (mut nodes, mut spares): (M::Nodes, Spares<M::Words>),
        storage: &mut S,
        (block, choice): (&mut Block, &Choice),
        mut ready: impl FnMut(&mut M::Nodes) -> Result<(), E>,
    ) -> Result<(Self, Standing), E> {
        let mut replay = Replay::default();
        let standing = load(storage, block, choice, |record| {
            ready(&mut nodes)?;
            let applied = replay.apply(geometry, &mut nodes, &mut spares, record);
            applied.map_err(E::from)
        })?;
        ready(&mut nodes)?;
        let map = replay.finish(&mut nodes)?;
        let mut totals = Totals::default();
        for (unit, entry) in map.iter_from(Unit(0)) {
            totals.count(Some(entry), geometry.blocks_of(unit), u64::wrapping_add);
        }
        let restored = Self {
            map,
            nodes,
            spares,
            totals,
        };
        Ok((restored, standing))
    }
}

/// The features of the array allow reading only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOnlyFormat;

impl<M: Memory> Engine<M> {
    /// Has all regions brought up to date and the array marked as in use, as writes need; the
    /// number of the group whose commit does so, unless nothing is to be written.
    pub fn begin_writing(&mut self) -> Result<Option<u64>, ReadOnlyFormat> {
        if self.is_read_only() {
            return Ok(None);
        }
        if !self.journal().is_some_and(Journal::may_write) {
            return Err(ReadOnlyFormat);
        }
        self.try_regions_again();
        Ok(Some(self.want_commit(None)))
    }

    /// Goes on from the state of an array, with the journal that follows it; the state of before,
    /// which may take long to free. No machine may be under way.
    pub fn activate(&mut self, restored: Restored<M>, journal: Journal) -> Restored<M> {
        self.forget();
        let before = Restored {
            map: core::mem::replace(&mut self.map, restored.map),
            nodes: core::mem::replace(&mut self.nodes, restored.nodes),
            spares: core::mem::replace(&mut self.spares, restored.spares),
            totals: core::mem::replace(&mut self.totals, restored.totals),
        };
        self.set_journal(Some(journal));
        before
    }

    /// Forgets the state, so that it can be read anew. No machine may be under way.
    pub fn forget(&mut self) {
        self.set_journal(None);
        self.probes = Probes::default();
        self.gathered.clear();
        self.written.clear();
        List::clear(&mut self.claims);
        self.is_any_awaited = false;
        (self.promised, self.admitted) = (0, 0);
        self.map = Index::new();
        self.totals = Totals::default();
        self.renew();
        self.spares.clear();
        self.magazines.forget();
        List::clear(&mut self.withheld);
    }
}
