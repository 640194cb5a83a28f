// SPDX-License-Identifier: GPL-2.0

//! Memory for the map.

use crate::{
    filter::{
        Filter,
        Page, //
    },
    retry::pause, //
};
use core::mem::MaybeUninit;
use kernel::{
    alloc::{
        flags::__GFP_NOWARN,
        AllocError, //
    },
    prelude::*,
    sync::{
        Arc,
        UniqueArc, //
    }, //
};
use kernel_ext::published::Blank;
use remap_core::{
    geometry::Unit,
    index::{
        Heap,
        Index,
        Node,
        OutOfMemory,
        NODES_PER_UPDATE, //
    }, //
};

/// A map whose nodes are the kernel's.
pub(crate) type Map = Index<Nodes>;

/// How many updates can be made before the reserve must be filled again: one of each map that the
/// repair keeps.
const UPDATES: usize = 3;
/// How many maps can be published before the reserve must be filled again, so that one is left for the
/// commit after what used the reserve.
const BLANKS: usize = 4;
/// How many times the reserve has that, at most, so that units can be moved while there is no memory.
const TIMES: usize = 8;
/// How long to wait for memory, in milliseconds, before another try.
const WAIT: i64 = 20;

/// Nodes for the map, put aside so that an update on the I/O path does not fail for want of memory.
pub(crate) struct Nodes {
    spare: KVec<UniqueArc<MaybeUninit<Node<Nodes>>>>,
    blanks: KVec<Blank<Map>>,
    pages: KVec<KBox<Page>>,
    /// What the I/O path looks at before it searches a map.
    filter: Arc<Filter>,
}

impl Nodes {
    /// Puts aside what [`UPDATES`] updates need, for maps of which `filter` takes note. May sleep.
    pub(crate) fn new(filter: Arc<Filter>) -> Result<Self, AllocError> {
        let mut this = Self {
            spare: KVec::with_capacity(UPDATES * NODES_PER_UPDATE, GFP_KERNEL)?,
            blanks: KVec::with_capacity(TIMES * BLANKS, GFP_KERNEL)?,
            pages: KVec::with_capacity(UPDATES, GFP_KERNEL)?,
            filter,
        };
        this.fill()?;
        Ok(this)
    }

    /// Fills the reserve again. May sleep.
    pub(crate) fn fill(&mut self) -> Result<(), AllocError> {
        while self.spare.len() < UPDATES * NODES_PER_UPDATE {
            let node = UniqueArc::new_uninit(GFP_KERNEL | __GFP_NOWARN)?;
            self.spare.push(node, GFP_KERNEL)?;
        }
        while self.blanks.len() < TIMES * BLANKS {
            let blank = Blank::new(GFP_KERNEL | __GFP_NOWARN)?;
            self.blanks.push(blank, GFP_KERNEL)?;
        }
        while self.pages.len() < UPDATES {
            let page = Page::new(GFP_KERNEL | __GFP_NOWARN)?;
            self.pages.push(page, GFP_KERNEL)?;
        }
        Ok(())
    }

    /// Makes sure that there is enough for [`UPDATES`] updates of `map`, and waits for memory if not. Sleeps.
    ///
    /// The I/O path calls this within [`kernel_ext::noio::NoIo`]. What it then does gives memory back, if
    /// anything does: so the reserve is used up before anybody waits.
    pub(crate) fn ready(&mut self, map: &Map) {
        let enough = UPDATES * map.nodes_per_update();
        while self.fill().is_err()
            && (self.spare.len() < enough || self.blanks.len() < BLANKS || self.pages.is_empty())
        {
            pause(WAIT);
        }
    }

    /// Memory to publish a map with.
    pub(crate) fn blank(&mut self) -> Result<Blank<Map>, OutOfMemory> {
        self.blanks.pop().ok_or(OutOfMemory)
    }

    /// How many nodes are put aside.
    pub(crate) fn put_aside(&self) -> usize {
        self.spare.len()
    }
}

impl Heap for Nodes {
    type Ref = Arc<Node<Nodes>>;

    fn keep(&mut self, node: Node<Self>) -> Result<Self::Ref, OutOfMemory> {
        let place = self.spare.pop().ok_or(OutOfMemory)?;
        Ok(place.write(node).into())
    }

    fn note(&mut self, unit: Unit) -> Result<(), OutOfMemory> {
        self.filter.note(unit, &mut self.pages)
    }
}
