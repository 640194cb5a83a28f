// SPDX-License-Identifier: GPL-2.0

//! The module's named caches, as `slabinfo` shows them.

use crate::filter::Page;
use kernel::{
    prelude::*,
    sync::Arc, //
};
use kernel_ext::slab::{
    Shared,
    Slab, //
};
use remap_core::index::{
    Node,
    NodeMemory, //
};

/// The memory of the kernel's maps: objects of [`Caches::nodes`].
pub(crate) struct SlabMemory;

impl NodeMemory for SlabMemory {
    type Ref = Shared<Node<Self>>;
}

/// What all instances allocate from.
pub(crate) struct Caches {
    /// `dm_remap_node`: nodes of maps.
    pub(crate) nodes: Arc<Slab<Node<SlabMemory>>>,
    /// `dm_remap_filter`: pages of filters.
    pub(crate) pages: Arc<Slab<Page>>,
}

impl Caches {
    /// Makes them. Sleeps.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let this = Self {
            nodes: Slab::new(c"dm_remap_node")?,
            pages: Slab::new(c"dm_remap_filter")?,
        };
        Ok(Arc::new(this, GFP_KERNEL)?)
    }
}
