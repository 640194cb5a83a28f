// SPDX-License-Identifier: GPL-2.0

//! Memory of this process for the map.

use remap_core::index::{
    Heap,
    Node,
    OutOfMemory, //
};
use std::sync::Arc;

/// Nodes that are counted references, as in the kernel.
pub struct Nodes;

impl Heap for Nodes {
    type Ref = Arc<Node<Nodes>>;

    fn keep(&mut self, node: Node<Self>) -> Result<Self::Ref, OutOfMemory> {
        Ok(Arc::new(node))
    }
}
