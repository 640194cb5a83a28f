// SPDX-License-Identifier: GPL-2.0

//! The replicas of the published map, as their writer has them.
//!
//! That of the *home* node shares its memory with the maps that the repair keeps; the others repeat
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
use kernel_ext::numa;
use remap_core::{
    geometry::Unit,
    index::{
        Entry,
        OutOfMemory, //
    }, //
};

/// The most units that may be shown otherwise than the repair's map has them.
const DIFFERENT: usize = 64;

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
        let _ = self.nodes.fill();
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
    /// The units that `home` has otherwise than the repair's map.
    different: KVec<Unit>,
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
            different: KVec::with_capacity(DIFFERENT, GFP_KERNEL)?,
        };
        Ok((this, Nodes::for_home(caches.clone(), home, filter)?))
    }

    /// The home's map.
    pub(crate) fn home(&self) -> &Map {
        &self.home
    }

    /// Shows `entry` for `unit`, for which the repair's map has `true_entry`. `nodes` are the
    /// home's. May sleep.
    pub(crate) fn set(
        &mut self,
        nodes: &mut Nodes,
        unit: Unit,
        entry: Option<Entry>,
        true_entry: Option<Entry>,
    ) -> Result<(), OutOfMemory> {
        self.home = self.home.set(nodes, unit, entry)?;
        self.different.retain(|other| *other != unit);
        if entry != true_entry && self.different.push_within_capacity(unit).is_err() {
            self.give_up();
        }
        for replica in &mut self.others {
            replica.set(unit, entry);
        }
        Ok(())
    }

    /// Shows `map`, the repair's, in which `changed` may not be as it was shown before. May sleep.
    pub(crate) fn follow(&mut self, map: &Map, changed: &[Unit]) {
        self.home = map.clone();
        for replica in &mut self.others {
            for &unit in Iterator::chain(changed.iter(), &self.different) {
                replica.set(unit, map.get(unit));
            }
        }
        self.different.clear();
    }

    /// Makes `map` the home's, and replicas of it. May sleep.
    pub(crate) fn copy(&mut self, map: &Map) {
        self.home = map.clone();
        self.different.clear();
        self.give_up();
        self.restore();
    }

    /// Makes those that were given up again, as far as there is memory for them. May sleep.
    pub(crate) fn restore(&mut self) {
        for Replica { nodes, map } in &mut self.others {
            if map.is_none() {
                let fill = |nodes: &mut Nodes| nodes.fill().map_err(|_| OutOfMemory);
                *map = self.home.copied(nodes, fill).ok();
            }
        }
    }

    /// Frees what others than the home have.
    pub(crate) fn give_up(&mut self) {
        for replica in &mut self.others {
            replica.map = None;
        }
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
