// SPDX-License-Identifier: GPL-2.0

//! The published map, once for each NUMA node, as its readers have it.
//!
//! The I/O path searches the replica of its CPU's node. The first is that of the *home* node, which
//! the CPUs of nodes without a replica use as well.

use crate::caches::SlabMemory;
use kernel::{
    alloc::AllocError,
    prelude::*, //
};
use kernel_ext::numa;
use remap_core::index::Index;

/// The most replicas; the CPUs of further nodes use the home's.
pub(crate) const MOST_REPLICAS: usize = 8;

/// A map whose nodes are in the kernel's memory.
pub(crate) type Map = Index<SlabMemory>;

/// What is published: each node's map.
pub(crate) struct Maps([Map; MOST_REPLICAS]);

impl Maps {
    /// Without any entry.
    pub(crate) const EMPTY: Self = Self([const { Map::new() }; MOST_REPLICAS]);

    /// Each node's: `map_at` says which is at a place.
    pub(crate) fn from_fn(map_at: impl FnMut(usize) -> Map) -> Self {
        Self(core::array::from_fn(map_at))
    }

    /// The map at a place that [`NodeReplicas::here`] gave.
    #[inline]
    pub(crate) fn at(&self, place: usize) -> &Map {
        let Self(maps @ [home, ..]) = self;
        maps.get(place).unwrap_or(home)
    }
}

/// Which nodes have a replica of their own.
pub(crate) struct NodeReplicas {
    /// The home first.
    nodes: KVec<numa::Node>,
    /// The place of the replica that each node's CPUs use.
    of_node: KVec<u8>,
}

impl NodeReplicas {
    /// A place for each node that has memory now; the home is this CPU's if that has. May sleep.
    pub(crate) fn new() -> Result<Self, AllocError> {
        let mut this = Self {
            nodes: KVec::with_capacity(MOST_REPLICAS, GFP_KERNEL)?,
            of_node: KVec::new(),
        };
        let here = Some(numa::Node::here()).filter(|node| node.has_memory());
        let others = numa::Node::possible().filter(|node| node.has_memory() && Some(*node) != here);
        for node in Iterator::chain(here.into_iter(), others).take(MOST_REPLICAS) {
            let place = u8::try_from(this.nodes.len()).unwrap_or(0);
            this.nodes.push(node, GFP_KERNEL)?;
            while this.of_node.len() <= node.index() {
                this.of_node.push(0, GFP_KERNEL)?;
            }
            if let Some(own) = this.of_node.get_mut(node.index()) {
                *own = place;
            }
        }
        Ok(this)
    }

    /// The place of the replica for this CPU. Any context.
    #[inline]
    pub(crate) fn here(&self) -> usize {
        let place = self.of_node.get(numa::Node::here().index());
        place.copied().map_or(0, usize::from)
    }

    /// The nodes that have one, the home first.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = numa::Node> + '_ {
        self.nodes.iter().copied()
    }

    /// The node of the replica that the CPUs of `node` use.
    pub(crate) fn node_of(&self, node: numa::Node) -> Option<numa::Node> {
        let place = self.of_node.get(node.index()).copied().unwrap_or(0);
        self.nodes.get(usize::from(place)).copied()
    }
}
