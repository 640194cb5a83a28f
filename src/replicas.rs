// SPDX-License-Identifier: GPL-2.0

//! The replicas of the published map, as their writer has them.
//!
//! That of the *home* node shares its memory with the map of the engine; the others repeat
//! each change in memory of their own nodes. A replica can be given up at any time, and its CPUs
//! then use the home's: so what fails for want of memory, or what memory is needed for elsewhere,
//! costs no more than a longer way to memory.

use crate::{
    caches::Caches,
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
    index::{
        Entry,
        OutOfMemory, //
    }, //
};

/// A map in the memory of another node than the home.
struct Replica {
    nodes: Nodes,
    /// `None` where it was given up.
    map: Option<Map>,
}

impl Replica {
    fn set(&mut self, unit: Unit, entry: Option<Entry>) {
        let Some(map) = self.map.take() else {
            return;
        };
        if map.get(unit) == entry {
            self.map = Some(map);
            return;
        }
        // What was put aside may do.
        let _ = self.nodes.fill(Effort::Now);
        self.map = map.set(&mut self.nodes, unit, entry).ok();
    }
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
    others: KVec<Replica>,
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
            let replica = Replica {
                nodes: Nodes::new(caches.clone(), node)?,
                map: Some(Map::new()),
            };
            others.push(replica, GFP_KERNEL)?;
        }
        let this = Self {
            home: Map::new(),
            others,
        };
        Ok((this, Nodes::for_home(caches.clone(), home, filter)?))
    }

    /// Shows `map`, in which `changed` are not as they were shown before; any may not be if that is
    /// not known.
    pub(crate) fn follow(&mut self, map: &Map, changed: Option<&[Unit]>) {
        self.home = map.clone();
        let Some(changed) = changed else {
            self.give_up();
            return self.restore();
        };
        for replica in &mut self.others {
            for &unit in changed {
                replica.set(unit, map.get(unit));
            }
        }
    }

    /// Makes those that were given up again, as far as there is memory for them.
    pub(crate) fn restore(&mut self) {
        for Replica { nodes, map } in &mut self.others {
            if map.is_none() {
                let fill = |nodes: &mut Nodes| nodes.fill(Effort::Now).map_err(|_| OutOfMemory);
                *map = self.home.copied(nodes, fill).ok();
            }
        }
    }

    /// Frees what others than the home have; whether they had anything.
    pub(crate) fn give_up(&mut self) -> bool {
        let mut had_some = false;
        for replica in &mut self.others {
            had_some |= replica.map.take().is_some();
        }
        had_some
    }

    /// Whether some were given up.
    pub(crate) fn lacks_some(&self) -> bool {
        self.others.iter().any(|replica| replica.map.is_none())
    }

    /// What is to be published.
    pub(crate) fn maps(&self) -> Maps {
        let own = |at: usize| self.others.get(at)?.map.as_ref();
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
            let given_up = other.is_some_and(|other| other.map.is_none());
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
