// SPDX-License-Identifier: GPL-2.0

//! What the tables of one device share: its devices, its map and its repair.

use crate::{
    caches::Caches,
    context::Context,
    filter::Filter,
    layout::Layout,
    load::NotReady,
    published_map::NodeReplicas,
    repair::Repair,
    scan::Scan,
    settings::Settings, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::{
    device_mapper::{
        NewError,
        TableEvents, //
    },
    noio::NoIo, //
};
use remap_core::metadata::{
    array::Array,
    journal::Dead, //
};

/// One remap device, whichever table stands for it at the moment.
///
/// Lock order: `repair`, then the registry's, then the state of the scan, then those of the
/// context.
#[pin_data]
pub(crate) struct Instance {
    #[pin]
    pub(crate) ctx: Context,
    #[pin]
    repair: Mutex<Repair>,
    pub(crate) scan: Arc<Scan>,
}

/// What came of what a holder of the repair lock left pending, and what is to be done later.
pub(crate) struct Settled {
    /// Whether it is durable.
    pub(crate) commit: Result<(), Dead>,
    /// In how many milliseconds the wait for a spare unit ends, if any write waits.
    pub(crate) deadline: Option<u64>,
    /// In how many milliseconds something is to be tried again, if anything is.
    pub(crate) recovery: Option<u64>,
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

    /// Has `work` done under the repair lock, commits what it left pending, publishes the summary
    /// and raises an event if one is due. No allocation waits for I/O meanwhile. Sleeps, perhaps
    /// for as long as a disk takes over what this does, and what another holder does.
    pub(crate) fn with_repair<R>(
        &self,
        work: impl FnOnce(&mut Repair, &Context) -> R,
    ) -> (R, Settled) {
        let done = self.settled(work);
        self.ctx.tell_changes();
        done
    }

    /// The same for a table that is not active yet or no more: its events wait for a resume.
    fn settled<R>(&self, work: impl FnOnce(&mut Repair, &Context) -> R) -> (R, Settled) {
        let ctx = &self.ctx;
        NoIo::run(|| {
            let mut repair = self.repair.lock();
            let done = work(&mut repair, ctx);
            let settled = Settled {
                commit: repair.settle(ctx),
                deadline: repair.parked.left(ctx.milliseconds()),
                recovery: repair.recovery_due(),
            };
            repair.publish_summary(ctx);
            repair.publish_services(ctx);
            (done, settled)
        })
    }

    /// From now on I/O on our own account is refused, long work ends early, and nothing waits for a
    /// spare unit. Sleeps.
    pub(crate) fn stop(&self) {
        self.ctx.set_suspended(true);
        self.settled(|repair, _| repair.requeue_parked());
    }

    /// Waits until what was begun before [`Self::stop`] is done. Sleeps.
    pub(crate) fn wait_stopped(&self) {
        self.with_repair(|repair, ctx| {
            repair.put_back_spares();
            if !ctx.is_read_only() {
                repair.put_away(ctx);
            }
        });
    }

    /// Reads the metadata, or formats them, if `claim` says that the array may be used. Sleeps.
    pub(crate) fn make_ready(
        &self,
        read_only: bool,
        claim: impl FnOnce(&Array) -> Result<(), NotReady>,
    ) -> Result<(), NotReady> {
        let (ready, _) =
            self.settled(|repair, ctx| repair.make_ready(ctx, &self.scan, read_only, claim));
        ready
    }

    /// I/O on our own account is allowed, on behalf of a table that is told of events,
    /// and with its settings. Sleeps.
    pub(crate) fn start(&self, read_only: bool, events: TableEvents, settings: &Settings) {
        self.ctx.set_events(events);
        let limit = settings.limit();
        self.settled(|repair, _| {
            repair.breaker.set_limit(limit);
            repair.breaker.set_budget(settings.budget());
            repair.policy = settings.policy();
            repair.parked.start(settings.patience());
        });
        self.ctx.set_read_only(read_only);
        self.ctx.set_suspended(false);
    }

    /// Allows I/O on our own account again after a [`Self::stop`] that came to nothing.
    pub(crate) fn go_on(&self) {
        self.ctx.set_suspended(false);
    }
}
