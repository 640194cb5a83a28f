// SPDX-License-Identifier: GPL-2.0

//! What the I/O path looks at for each request.

use crate::{
    counters::Count,
    filter::Filter,
    published_map::{
        Map,
        Maps,
        NodeReplicas, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use kernel_ext::{
    per_cpu::Counters,
    published::Published, //
};
use remap_core::geometry::Geometry;

/// What the I/O path looks at for each request.
///
/// It lies on lines of the cache of its own, to which nobody writes but whoever publishes a map.
/// What requests themselves change, counters and open sections, is memory of their CPU.
#[pin_data]
#[repr(align(64))]
pub(crate) struct Lookup {
    geometry: Geometry,
    /// The map as the I/O path reads it, for each node; the engine has the one that is changed.
    #[pin]
    pub(crate) maps: Published<Maps>,
    /// Whose map this CPU uses.
    pub(crate) node_replicas: NodeReplicas,
    /// Where the map has nothing.
    pub(crate) filter: Arc<Filter>,
    pub(crate) counters: Counters<Count>,
}

impl Lookup {
    /// For maps without entries. May sleep.
    pub(crate) fn new(
        geometry: Geometry,
        node_replicas: NodeReplicas,
        filter: Arc<Filter>,
    ) -> Result<impl PinInit<Self, Error>> {
        let counters = Counters::new()?;
        let maps = Published::new(Maps::EMPTY)?;
        Ok(try_pin_init!(Self {
            geometry,
            maps <- maps,
            node_replicas,
            filter,
            counters,
        }? Error))
    }

    /// Where units and regions lie.
    #[inline]
    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The map that this CPU uses. Any context.
    #[inline]
    pub(crate) fn map_of<'a>(&self, maps: &'a Maps) -> &'a Map {
        maps.at(self.node_replicas.here())
    }

    /// Counts one more of what the metadata keep, which may be as much as there can be. Any
    /// context.
    pub(crate) fn count(&self, what: Count) {
        if self.counters.sum(what) < u64::MAX {
            self.counters.add(what, 1);
        }
    }

    /// The map as it is published now. Sleeps, but waits for no device.
    pub(crate) fn published_map(&self) -> Map {
        self.map_of(&self.maps.read()).clone()
    }
}
