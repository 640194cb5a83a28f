// SPDX-License-Identifier: GPL-2.0

//! The replicas of the published map, as their writer has them.
//!
//! That of the *home* node shares its memory with the map of the engine; the others repeat
//! each change in memory of their own nodes. A replica can be given up at any time, and its CPUs
//! then use the home's: so what fails for want of memory, or what memory is needed for elsewhere,
//! costs no more than a longer way to memory. Replicas are made again without the lock of the
//! engine.

use crate::{
    caches::{
        Caches,
        SlabMemory, //
    },
    filter::Filter,
    nodes::{
        Nodes,
        Served, //
    },
    published_map::{
        Map,
        Maps,
        NodeReplicas,
        MOST_REPLICAS, //
    }, //
};
use kernel::{
    alloc::AllocError,
    prelude::*,
    sync::Arc, //
};
use kernel_ext::{
    numa,
    slab::Effort, //
};
use remap_core::{
    geometry::Unit,
    index::OutOfMemory,
    replica::{
        CopyNumber,
        Replica, //
    }, //
};

/// How long to wait before replicas are made again, in milliseconds: twice as long each time that
/// they were given up, up to the most.
const LEAST_PAUSE: u64 = 1000;
const MOST_PAUSE: u64 = 64_000;

/// A map in the memory of another node than the home.
struct Other {
    nodes: Nodes,
    replica: Replica<SlabMemory, KVec<Unit>>,
}

/// A replica that is made without the lock of the engine.
pub(crate) struct Copying {
    copy: CopyNumber,
    /// Which of the others it is.
    at: usize,
    node: numa::Node,
    /// The home's map at the beginning.
    home: Map,
}

/// Such a replica when it was made: `None` where there was no memory for it.
pub(crate) struct Copied {
    copy: CopyNumber,
    at: usize,
    made: Option<(Map, Nodes)>,
}

impl Copying {
    /// Copies the map, as far as there is memory. Sleeps.
    pub(crate) fn copy(self, caches: &Arc<Caches>) -> Copied {
        let mut nodes = Nodes::empty(caches.clone(), self.node);
        let fill = |nodes: &mut Nodes| nodes.fill(Effort::Some).map_err(|_| OutOfMemory);
        let map = self.home.copied(&mut nodes, fill);
        Copied {
            copy: self.copy,
            at: self.at,
            made: map.ok().map(|map| (map, nodes)),
        }
    }
}

/// Adds to a reserve for an update; what was put aside may do.
fn add_now(nodes: &mut Nodes) {
    let _ = nodes.fill(Effort::Now);
}

/// How a node is served.
pub(crate) struct Service {
    pub(crate) node: numa::Node,
    /// Whose replica its CPUs search.
    pub(crate) replica: numa::Node,
    /// Where the memory for its own lies, if it may have one.
    pub(crate) served: Option<Served>,
}

/// The map as it is published, on each node.
pub(crate) struct Replicas {
    home: Map,
    others: KVec<Other>,
    pause: u64,
}

impl Replicas {
    /// Without entries, and the memory of the home. May sleep.
    pub(crate) fn new(
        caches: &Arc<Caches>,
        node_replicas: &NodeReplicas,
        filter: Arc<Filter>,
    ) -> Result<(Self, Nodes), AllocError> {
        let mut nodes = node_replicas.nodes();
        let home = nodes.next().ok_or(AllocError)?;
        let mut others = KVec::with_capacity(MOST_REPLICAS, GFP_KERNEL)?;
        for node in nodes {
            let other = Other {
                nodes: Nodes::new(caches.clone(), node)?,
                replica: Replica::default(),
            };
            others.push(other, GFP_KERNEL)?;
        }
        let this = Self {
            home: Map::new(),
            others,
            pause: LEAST_PAUSE,
        };
        Ok((this, Nodes::for_home(caches.clone(), home, filter)?))
    }

    /// Shows `map`, in which `changed` are not as they were shown before. Any may not be if that is
    /// not known, and the others are given up then.
    pub(crate) fn follow(&mut self, map: &Map, changed: Option<&[Unit]>) {
        self.home = map.clone();
        for Other { nodes, replica } in &mut self.others {
            match changed {
                Some(changed) => replica.follow(map, changed, nodes, add_now),
                None => replica.give_up(),
            }
        }
    }

    /// Begins to make a replica that was given up, if one was, with room for the units that change
    /// meanwhile.
    pub(crate) fn begin_copy(&mut self, missed: KVec<Unit>) -> Option<Copying> {
        let mut places = self.others.iter_mut().enumerate();
        let (at, other) = places.find(|(_, other)| other.replica.is_absent())?;
        Some(Copying {
            copy: other.replica.begin(missed)?,
            at,
            node: other.nodes.node(),
            home: self.home.clone(),
        })
    }

    /// Takes a replica that was made; whether it is to be shown. Memory that is not needed is left in
    /// `copied`.
    pub(crate) fn end_copy(&mut self, copied: &mut Copied) -> bool {
        let Some(Other { nodes, replica }) = self.others.get_mut(copied.at) else {
            return false;
        };
        let (map, own) = match &mut copied.made {
            Some((map, own)) => (Some(map.clone()), own),
            None => (None, &mut *nodes),
        };
        let is_shown = replica.end(copied.copy, map, &self.home, own, add_now);
        if let Some((_, own)) = copied.made.as_mut().filter(|_| is_shown) {
            own.count_as(nodes);
            core::mem::swap(nodes, own);
        }
        is_shown
    }

    /// Frees what others than the home have, since memory is short; whether they had anything.
    pub(crate) fn give_up(&mut self) -> bool {
        let mut had_some = false;
        for Other { replica, .. } in &mut self.others {
            had_some |= replica.shown().is_some();
            replica.give_up();
        }
        if had_some {
            self.pause = (2 * self.pause).min(MOST_PAUSE);
        }
        had_some
    }

    /// In how many milliseconds those that were given up are to be made again, if some were.
    pub(crate) fn copy_due(&self) -> Option<u64> {
        let lacks_some = self.others.iter().any(|other| other.replica.is_absent());
        lacks_some.then_some(self.pause)
    }

    /// What is to be published.
    pub(crate) fn maps(&self) -> Maps {
        let own = |at: usize| self.others.get(at)?.replica.shown();
        Maps::from_fn(|place| {
            let map = place.checked_sub(1).and_then(own);
            map.unwrap_or(&self.home).clone()
        })
    }

    /// How each node is served.
    pub(crate) fn services<'a>(
        &'a self,
        node_replicas: &'a NodeReplicas,
        home: &'a Nodes,
    ) -> impl Iterator<Item = Service> + 'a {
        numa::Node::possible().filter_map(move |node| {
            let near = node_replicas.node_of(node)?;
            let other = self.others.iter().find(|other| other.nodes.node() == near);
            let given_up = other.is_some_and(|other| other.replica.shown().is_none());
            let memory = match other {
                Some(other) => &other.nodes,
                None => home,
            };
            Some(Service {
                node,
                replica: if given_up { home.node() } else { near },
                served: (memory.node() == node).then(|| memory.served()),
            })
        })
    }
}
