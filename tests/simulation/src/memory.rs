// SPDX-License-Identifier: GPL-2.0

//! Memory for an engine on the host, which can run out.

use remap_core::engine::change::Change;
use remap_core::engine::claim::Claim;
use remap_core::engine::group::{
    Group,
    RETIRED_PER_CHANGE, //
};
use remap_core::engine::memory::{
    Memory,
    NodePool, //
};
use remap_core::engine::{
    Engine,
    Map,
    Parts, //
};
use remap_core::geometry::{
    Geometry,
    SpareUnit,
    Unit, //
};
use remap_core::index::{
    Index,
    Node,
    NodeAlloc,
    NodeMemory,
    OutOfMemory, //
};
use remap_core::magazines::{
    Magazine,
    Magazines, //
};
use remap_core::spares::{
    words_for,
    Spares, //
};
use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

/// How many CPUs there are.
pub const CPUS: usize = 3;
/// How many units may be moved at once.
const CLAIMS: usize = 12;

/// So many nodes, and no more: what is freed can be used again.
#[derive(Clone)]
pub struct Heap(Rc<Cell<usize>>);

impl Heap {
    /// Adds nodes.
    pub fn grow(&mut self, nodes: usize) {
        self.0.set(self.0.get() + nodes);
    }
}

/// A node of a [`Heap`].
pub struct HeapNode {
    node: Node<Heap>,
    left: Rc<Cell<usize>>,
}

impl Deref for HeapNode {
    type Target = Node<Heap>;

    fn deref(&self) -> &Node<Heap> {
        &self.node
    }
}

/// A shared [`HeapNode`].
#[derive(Clone)]
pub struct HeapRef(Rc<HeapNode>);

impl Deref for HeapRef {
    type Target = Node<Heap>;

    fn deref(&self) -> &Node<Heap> {
        &self.0
    }
}

impl Drop for HeapNode {
    fn drop(&mut self) {
        self.left.set(self.left.get() + 1);
    }
}

impl NodeMemory for Heap {
    type Ref = HeapRef;
}

impl NodeAlloc for Heap {
    type Memory = Self;

    fn alloc(&mut self, node: Node<Self>) -> Result<HeapRef, OutOfMemory> {
        let less = self.0.get().checked_sub(1).ok_or(OutOfMemory)?;
        self.0.set(less);
        let left = self.0.clone();
        Ok(HeapRef(Rc::new(HeapNode { node, left })))
    }
}

impl NodePool for Heap {
    fn covers(&self, map: &Index<Heap>, updates: usize) -> bool {
        self.0.get() >= updates * map.nodes_per_update()
    }

    fn want(&mut self, _: &Index<Heap>, _: usize) -> bool {
        false
    }
}

/// The memory of a simulated engine.
pub struct Simulated;

impl Memory for Simulated {
    type Nodes = Heap;
    type Words = Vec<u64>;
    type Magazines = Vec<Magazine>;
    type Units = Vec<Unit>;
    type Claims = Vec<Claim>;
    type SpareUnits = Vec<SpareUnit>;
    type Changes = Vec<Change>;
}

/// The map of a simulated engine.
pub type SimulatedMap = Map<Simulated>;

/// A group that is soon full.
fn group() -> Group<Simulated> {
    let retired = vec![SpareUnit(0); RETIRED_PER_CHANGE + 2];
    Group::new(vec![Change::NONE; 2], retired, vec![SpareUnit(0)])
}

/// Memory for the state of an array of this shape, with so many nodes.
pub fn state_memory(geometry: &Geometry, nodes: usize) -> (Heap, Spares<Vec<u64>>) {
    let words = vec![0; words_for(geometry.spare_units()) as usize];
    let spares = Spares::new(words.clone(), words, geometry.spare_units());
    let nodes = Heap(Rc::new(Cell::new(nodes)));
    (nodes, spares.expect("as many words as units take"))
}

/// An engine for an array of this shape, with so many nodes for its map.
pub fn engine(geometry: &Geometry, nodes: usize) -> Engine<Simulated> {
    let (nodes, spares) = state_memory(geometry, nodes);
    let parts = Parts {
        nodes,
        spares,
        magazines: Magazines::new(vec![Magazine::EMPTY; CPUS]),
        withheld: vec![SpareUnit(0); 64],
        claims: vec![Claim::NONE; CLAIMS],
        changed: vec![Unit(0); 4],
        groups: [group(), group()],
    };
    Engine::new(*geometry, parts)
}
