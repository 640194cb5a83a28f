// SPDX-License-Identifier: GPL-2.0

//! What the tables of one device share: its devices, its map and its repair.

use crate::{
    caches::Caches,
    context::Context,
    filter::Filter,
    layout::Layout,
    published_map::NodeReplicas,
    repair::Repair,
    scan::Scan,
    settings::Settings, //
};
use core::ops::{
    Deref,
    DerefMut, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex,
        MutexGuard, //
    }, //
};
use kernel_ext::{
    device_mapper::{
        NewError,
        TableEvents, //
    },
    noio::NoIo, //
};

/// One remap device, whichever table stands for it at the moment.
///
/// Lock order: the registry's, then `repair`, then the scan's and those of the context.
#[pin_data]
pub(crate) struct Instance {
    #[pin]
    pub(crate) ctx: Context,
    #[pin]
    repair: Mutex<Repair>,
    pub(crate) scan: Arc<Scan>,
}

/// The repair, while it is locked. It publishes its summary when it is let go.
pub(crate) struct RepairGuard<'a> {
    ctx: &'a Context,
    repair: MutexGuard<'a, Repair>,
}

impl Instance {
    /// Makes one for `layout` with memory of `caches`. May sleep.
    pub(crate) fn new(layout: Layout, caches: &Arc<Caches>) -> Result<Arc<Self>, NewError> {
        let memory = |error| NewError::new(c"out of memory", error);
        let filter = Filter::new(&layout.geometry).map_err(memory)?;
        let filter = Arc::new(filter, GFP_KERNEL).map_err(|error| memory(error.into()))?;
        let node_replicas = NodeReplicas::new().map_err(|error| memory(error.into()))?;
        let repair = Repair::new(&layout.geometry, caches, &node_replicas, filter.clone());
        let repair = repair.map_err(memory)?;
        let scan = Scan::new(&layout.geometry).map_err(memory)?;
        let ctx = Context::new(layout, node_replicas, filter, repair.summary()).map_err(memory)?;
        Arc::pin_init(
            try_pin_init!(Self {
                ctx <- ctx,
                repair <- new_mutex!(repair, "dm_remap::repair"),
                scan,
            }? Error),
            GFP_KERNEL,
        )
        .map_err(memory)
    }

    /// Takes the repair lock. Sleeps, perhaps for as long as a disk takes over what its holder does.
    pub(crate) fn lock(&self) -> RepairGuard<'_> {
        RepairGuard {
            ctx: &self.ctx,
            repair: self.repair.lock(),
        }
    }

    /// From now on I/O on our own account is refused, long work ends early, and nothing waits for a spare
    /// unit. Sleeps.
    pub(crate) fn stop(&self) {
        self.ctx.set_suspended(true);
        self.lock().requeue_parked();
    }

    /// Waits until what was begun before [`Self::stop`] is done. Sleeps.
    pub(crate) fn wait_stopped(&self) {
        NoIo::run(|| {
            let mut repair = self.lock();
            repair.put_back_spares();
            if !self.ctx.is_read_only() {
                repair.put_away(&self.ctx);
            }
        });
        self.ctx.tell_changes();
    }

    /// I/O on our own account is allowed, on behalf of a table that is told of events,
    /// and with its settings. Sleeps.
    pub(crate) fn start(&self, read_only: bool, events: TableEvents, settings: &Settings) {
        self.ctx.set_events(events);
        let limit = settings.limit();
        let mut repair = self.lock();
        repair.breaker.set_limit(limit);
        repair.breaker.set_budget(settings.budget());
        repair.policy = settings.policy();
        repair.parked.start(settings.patience());
        drop(repair);
        self.ctx.set_read_only(read_only);
        self.ctx.set_suspended(false);
    }

    /// Allows I/O on our own account again after a [`Self::stop`] that came to nothing.
    pub(crate) fn go_on(&self) {
        self.ctx.set_suspended(false);
    }
}

impl Deref for RepairGuard<'_> {
    type Target = Repair;

    fn deref(&self) -> &Repair {
        &self.repair
    }
}

impl DerefMut for RepairGuard<'_> {
    fn deref_mut(&mut self) -> &mut Repair {
        &mut self.repair
    }
}

impl Drop for RepairGuard<'_> {
    fn drop(&mut self) {
        self.repair.publish_summary(self.ctx);
    }
}
