// SPDX-License-Identifier: GPL-2.0

//! How the map serves each NUMA node, as it is shown without the lock of the engine.

use crate::replicas::Service;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::SpinLock, //
};
use kernel_ext::numa;

/// How each node was served when the lock of the engine was let go of last.
#[pin_data]
pub(crate) struct NodeServices {
    /// Held to copy or to show the services, and no longer.
    #[pin]
    services: SpinLock<KVec<Service>>,
}

impl NodeServices {
    /// Allocates room for all nodes there may be. May sleep.
    pub(crate) fn new() -> Result<impl PinInit<Self>> {
        let nodes = numa::Node::possible().count();
        let services = KVec::with_capacity(nodes, GFP_KERNEL)?;
        Ok(pin_init!(Self {
            services <- new_spinlock!(services, "dm_remap::node_services"),
        }))
    }

    /// Replaces the services. Only the holder of that lock calls this. Process context.
    pub(crate) fn publish(&self, services: impl Iterator<Item = Service>) {
        let mut published = self.services.lock();
        published.clear();
        for service in services {
            // There is room for all nodes.
            let _ = published.push_within_capacity(service);
        }
    }

    /// Shows each service to `show`, which must not sleep, until that fails. Process context.
    pub(crate) fn try_for_each<E>(
        &self,
        show: impl FnMut(&Service) -> Result<(), E>,
    ) -> Result<(), E> {
        self.services.lock().iter().try_for_each(show)
    }
}
