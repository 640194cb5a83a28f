// SPDX-License-Identifier: GPL-2.0

//! Memory for the maps of one NUMA node.

use crate::{
    caches::{
        Caches,
        SlabMemory, //
    },
    filter::{
        Filter,
        Page, //
    },
    moment::pause,
    published_map::{
        Map,
        Maps, //
    }, //
};
use kernel::{
    alloc::{
        flags::__GFP_NOWARN,
        AllocError, //
    },
    prelude::*,
    sync::Arc, //
};
use kernel_ext::{
    numa,
    published,
    slab, //
};
use remap_core::{
    geometry::Unit,
    index::{
        Node,
        NodeAlloc,
        OutOfMemory,
        NODES_PER_UPDATE, //
    }, //
};

/// How many updates can be made before the reserve must be filled again: one of each map that the
/// repair keeps.
const UPDATES: usize = 3;
/// How many maps can be published before the reserve must be filled again, so that one is left for
/// the commit after what used the reserve.
const BLANKS: usize = 4;
/// How many times the reserve has that, at most, so that units can be moved while there is no
/// memory.
const TIMES: usize = 8;
/// How long to wait for memory, in milliseconds, before another try.
const WAIT: i64 = 20;

/// Where what was allocated lies.
#[derive(Clone, Copy, Default)]
pub(crate) struct Served {
    /// On the node for which it was.
    pub(crate) local: u64,
    /// On another, since that one had none.
    pub(crate) remote: u64,
}

/// Nodes for maps, put aside so that an update on the I/O path does not fail for want of memory.
pub(crate) struct Nodes {
    node: numa::Node,
    caches: Arc<Caches>,
    spare: KVec<slab::Blank<Node<SlabMemory>>>,
    served: Served,
    home: Option<Home>,
}

/// What is needed once for the maps of all nodes.
struct Home {
    blanks: KVec<published::Blank<Maps>>,
    pages: KVec<slab::Blank<Page>>,
    /// What the I/O path looks at before it searches a map.
    filter: Arc<Filter>,
}

impl Nodes {
    /// Puts aside what [`UPDATES`] updates need, for maps on `node`. May sleep.
    pub(crate) fn new(caches: Arc<Caches>, node: numa::Node) -> Result<Self, AllocError> {
        let mut this = Self {
            node,
            caches,
            spare: KVec::with_capacity(UPDATES * NODES_PER_UPDATE, GFP_KERNEL)?,
            served: Served::default(),
            home: None,
        };
        this.fill()?;
        Ok(this)
    }

    /// The same, and what publishing takes, for maps of which `filter` takes note. May sleep.
    pub(crate) fn for_home(
        caches: Arc<Caches>,
        node: numa::Node,
        filter: Arc<Filter>,
    ) -> Result<Self, AllocError> {
        let mut this = Self::new(caches, node)?;
        this.home = Some(Home {
            blanks: KVec::with_capacity(TIMES * BLANKS, GFP_KERNEL)?,
            pages: KVec::with_capacity(UPDATES, GFP_KERNEL)?,
            filter,
        });
        this.fill()?;
        Ok(this)
    }

    /// Fills the reserve again. May sleep.
    pub(crate) fn fill(&mut self) -> Result<(), AllocError> {
        while self.spare.len() < UPDATES * NODES_PER_UPDATE {
            let blank = self.caches.nodes.blank(self.node)?;
            let served = match blank.node() == self.node {
                true => &mut self.served.local,
                false => &mut self.served.remote,
            };
            *served += 1;
            self.spare.push(blank, GFP_KERNEL)?;
        }
        let Some(home) = &mut self.home else {
            return Ok(());
        };
        while home.blanks.len() < TIMES * BLANKS {
            let blank = published::Blank::new(GFP_KERNEL | __GFP_NOWARN)?;
            home.blanks.push(blank, GFP_KERNEL)?;
        }
        while home.pages.len() < UPDATES {
            let page = self.caches.pages.blank(self.node)?;
            home.pages.push(page, GFP_KERNEL)?;
        }
        Ok(())
    }

    /// Whether there is enough for [`UPDATES`] updates of `map`.
    fn has_enough(&self, map: &Map) -> bool {
        let others = self.home.as_ref();
        self.spare.len() >= UPDATES * map.nodes_per_update()
            && others.is_none_or(|home| home.blanks.len() >= BLANKS && !home.pages.is_empty())
    }

    /// Waits for memory until there is enough for [`UPDATES`] updates of `map`. Sleeps.
    ///
    /// The I/O path calls this within [`kernel_ext::noio::NoIo`]. What it then does gives memory
    /// back, if anything does: so the reserve is used up before anybody waits.
    pub(crate) fn wait(&mut self, map: &Map) {
        while !self.has_enough(map) {
            pause(WAIT);
            // It is asked again whether that was enough.
            let _ = self.fill();
        }
    }

    /// Memory to publish a map with.
    pub(crate) fn blank(&mut self) -> Result<published::Blank<Maps>, OutOfMemory> {
        let home = self.home.as_mut();
        home.and_then(|home| home.blanks.pop()).ok_or(OutOfMemory)
    }

    /// How many nodes are put aside.
    pub(crate) fn put_aside(&self) -> usize {
        self.spare.len()
    }

    /// The node for which it allocates.
    pub(crate) fn node(&self) -> numa::Node {
        self.node
    }

    /// Where what it allocated lies.
    pub(crate) fn served(&self) -> Served {
        self.served
    }
}

impl NodeAlloc for Nodes {
    type Memory = SlabMemory;

    fn alloc(
        &mut self,
        node: Node<SlabMemory>,
    ) -> Result<slab::Shared<Node<SlabMemory>>, OutOfMemory> {
        Ok(self.spare.pop().ok_or(OutOfMemory)?.write(node))
    }

    /// The home's maps are the first to have an entry.
    fn note(&mut self, unit: Unit) -> Result<(), OutOfMemory> {
        match &mut self.home {
            Some(home) => home.filter.note(unit, &mut home.pages),
            None => Ok(()),
        }
    }
}
