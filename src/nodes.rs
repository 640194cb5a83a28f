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
    blanks::Blanks,
    numa,
    published,
    slab::{
        self,
        Effort, //
    }, //
};
use remap_core::{
    engine::memory::NodePool,
    geometry::Unit,
    index::{
        Node,
        NodeAlloc,
        OutOfMemory,
        NODES_PER_UPDATE, //
    }, //
};

/// How many updates there is memory for at least, of maps of any size.
const UPDATES: usize = 3;
/// For how many updates there is memory if so many are wanted, and how many nodes that are at most.
const MOST_UPDATES: usize = 512;
const MOST_NODES: usize = 3072;
/// How many maps can be published at least before the reserve must be filled again, and how many
/// pages of the filter are put aside.
const BLANKS: usize = 32;
const PAGES: usize = 8;

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
    spare: Blanks<Node<SlabMemory>>,
    served: Served,
    home: Option<Home>,
    /// For how many updates memory is wanted at a time, and whether there was none for some.
    wanted: usize,
    is_refused: bool,
    /// How many nodes an update of the map takes.
    per_update: usize,
}

/// What is needed once for the maps of all nodes.
struct Home {
    blanks: KVec<published::Blank<Maps>>,
    pages: Blanks<Page>,
    /// What the I/O path looks at before it searches a map.
    filter: Arc<Filter>,
}

/// A piece of memory that a reserve lacks.
pub(crate) enum Missing {
    Node(Arc<Caches>, numa::Node),
    Edition,
    Page(Arc<Caches>, numa::Node),
}

/// Such a piece.
pub(crate) enum Supply {
    Node(slab::Blank<Node<SlabMemory>>),
    Edition(published::Blank<Maps>),
    Page(slab::Blank<Page>),
}

impl Missing {
    /// Allocates it. May sleep, unless it makes no effort.
    pub(crate) fn supply(self, effort: Effort) -> Result<Supply, AllocError> {
        Ok(match self {
            Self::Node(caches, node) => Supply::Node(caches.nodes.blank(node, effort)?),
            Self::Page(caches, node) => Supply::Page(caches.pages.blank(node, effort)?),
            Self::Edition => {
                let flags = match effort {
                    Effort::Now => GFP_NOWAIT,
                    Effort::Some | Effort::All => GFP_KERNEL,
                };
                Supply::Edition(published::Blank::new(flags | __GFP_NOWARN)?)
            }
        })
    }
}

impl Nodes {
    /// For maps on `node`, with nothing put aside.
    pub(crate) fn empty(caches: Arc<Caches>, node: numa::Node) -> Self {
        Self {
            node,
            caches,
            spare: Blanks::new(),
            served: Served::default(),
            home: None,
            wanted: 0,
            is_refused: false,
            per_update: NODES_PER_UPDATE,
        }
    }

    /// Puts memory aside for maps on `node`. May sleep.
    pub(crate) fn new(caches: Arc<Caches>, node: numa::Node) -> Result<Self, AllocError> {
        let mut this = Self::empty(caches, node);
        this.fill(Effort::All)?;
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
            blanks: KVec::with_capacity(MOST_UPDATES, GFP_KERNEL)?,
            pages: Blanks::new(),
            filter,
        });
        this.fill(Effort::All)?;
        Ok(this)
    }

    /// Which memory the reserve lacks first, if any.
    pub(crate) fn missing(&self) -> Option<Missing> {
        let wanted = self.wanted;
        let nodes = (wanted * self.per_update).min(MOST_NODES);
        if self.spare.len() < nodes.max(UPDATES * NODES_PER_UPDATE) {
            return Some(Missing::Node(self.caches.clone(), self.node));
        }
        let home = self.home.as_ref()?;
        if home.blanks.len() < wanted.max(BLANKS) {
            return Some(Missing::Edition);
        }
        if home.pages.len() < (wanted / 2).max(PAGES) {
            return Some(Missing::Page(self.caches.clone(), self.node));
        }
        None
    }

    /// Takes note of how many nodes an update of the map takes.
    pub(crate) fn set_per_update(&mut self, nodes: usize) {
        self.per_update = nodes;
    }

    /// Whether the reserve is full.
    pub(crate) fn is_full(&self) -> bool {
        self.missing().is_none()
    }

    /// Adds a piece of memory to the reserve.
    pub(crate) fn deposit(&mut self, supply: Supply) {
        // There is room for an edition that is missing; another is freed.
        match (supply, &mut self.home) {
            (Supply::Node(blank), _) => {
                let served = match blank.node() == self.node {
                    true => &mut self.served.local,
                    false => &mut self.served.remote,
                };
                *served += 1;
                self.spare.push(blank);
            }
            (Supply::Edition(blank), Some(home)) => drop(home.blanks.push_within_capacity(blank)),
            (Supply::Page(blank), Some(home)) => home.pages.push(blank),
            (Supply::Edition(_) | Supply::Page(_), None) => {}
        }
    }

    /// Fills the reserve. May sleep, unless it makes no effort.
    pub(crate) fn fill(&mut self, effort: Effort) -> Result<(), AllocError> {
        while let Some(missing) = self.missing() {
            self.deposit(missing.supply(effort)?);
        }
        Ok(())
    }

    /// Whether there was no memory for somebody, and there is for so many updates of `map` now. It is
    /// for the caller to tell.
    pub(crate) fn serves_again(&mut self, map: &Map, updates: usize) -> bool {
        let serves = self.is_refused && self.has(map, updates);
        self.is_refused &= !serves;
        serves
    }

    /// Whether somebody waits for memory.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_refused
    }

    /// Frees what was put aside for many updates at once, since none are made any more.
    pub(crate) fn rest(&mut self) {
        self.wanted = 0;
        self.spare.truncate(UPDATES * NODES_PER_UPDATE);
        if let Some(home) = &mut self.home {
            home.blanks.truncate(BLANKS);
            home.pages.truncate(PAGES);
        }
    }

    fn has(&self, map: &Map, updates: usize) -> bool {
        let others = self.home.as_ref();
        self.spare.len() >= updates * map.nodes_per_update()
            && others.is_none_or(|home| {
                home.blanks.len() >= updates && home.pages.len() >= updates.div_ceil(2)
            })
    }

    /// Memory to publish a map with.
    pub(crate) fn blank(&mut self) -> Result<published::Blank<Maps>, OutOfMemory> {
        let home = self.home.as_mut();
        home.and_then(|home| home.blanks.pop()).ok_or(OutOfMemory)
    }

    /// Whether a map can be published once more than `promised` times.
    pub(crate) fn has_blanks(&self, promised: usize) -> bool {
        let home = self.home.as_ref();
        home.is_some_and(|home| home.blanks.len() > promised)
    }

    /// How many nodes are put aside.
    pub(crate) fn put_aside(&self) -> usize {
        self.spare.len()
    }

    /// The node for which it allocates.
    pub(crate) fn node(&self) -> numa::Node {
        self.node
    }

    /// Counts what others allocated for the same node, whose place it takes.
    pub(crate) fn count_as(&mut self, others: &Self) {
        self.served.local += others.served.local;
        self.served.remote += others.served.remote;
    }

    /// Where what it allocated lies.
    pub(crate) fn served(&self) -> Served {
        self.served
    }
}

impl NodePool for Nodes {
    fn covers(&self, map: &Map, updates: usize) -> bool {
        self.has(map, updates)
    }

    fn want(&mut self, map: &Map, updates: usize) -> bool {
        let may_grow = updates <= MOST_UPDATES && updates * map.nodes_per_update() <= MOST_NODES;
        if may_grow {
            self.wanted = self.wanted.max(updates);
            self.is_refused = true;
        }
        may_grow
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
