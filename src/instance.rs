// SPDX-License-Identifier: GPL-2.0

//! What the tables of one device share: its devices, its map and its engine.

use crate::{
    caches::Caches,
    context::Context,
    engine_memory,
    executor::{
        attend::Attend,
        buffer_pool::BufferPool,
        buffers::Buffers,
        machines::{
            Due,
            IdleProber,
            Machines, //
        },
        pool::{
            TaskCache,
            TaskPool, //
        },
        task::{
            make_ready,
            Task, //
        }, //
    },
    filter::Filter,
    layout::Layout,
    lookup::Lookup,
    main_sum::durable_main_sum,
    published_map::NodeReplicas,
    replicas::Replicas,
    scan::Scan,
    settings::Settings, //
};
use kernel::{
    new_condvar,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        CondVar,
        Mutex, //
    }, //
};
use kernel_ext::{
    device_mapper::{
        NewError,
        TableEvents, //
    },
    nosleep::NoSleep,
    numa,
    slab::Effort,
    unique::Unique, //
};
use remap_core::{
    geometry::Geometry,
    metadata::standing::End, //
};

/// One remap device, whichever table stands for it at the moment.
///
/// Lock order: `machines`, then those of pools and of the context.
#[pin_data]
pub(crate) struct Instance {
    #[pin]
    pub(crate) ctx: Context,
    /// Never held while a device, memory or a machine is waited for.
    #[pin]
    machines: Mutex<KBox<Machines>>,
    /// Something changed that is under the lock of the machines.
    #[pin]
    changed: CondVar,
    #[pin]
    pub(crate) tasks: TaskPool,
    #[pin]
    pub(crate) buffers: BufferPool,
    /// Those who work for it, while a table is active.
    #[pin]
    crew: Mutex<Option<Arc<dyn Attend>>>,
    pub(crate) scan: Arc<Scan>,
    pub(crate) caches: Arc<Caches>,
}

/// The engine and what goes with it.
// Not on the stack of its caller.
#[inline(never)]
fn machines(
    geometry: &Geometry,
    caches: &Arc<Caches>,
    task_cache: &Arc<TaskCache>,
    node_replicas: &NodeReplicas,
    filter: Arc<Filter>,
) -> Result<KBox<Machines>> {
    let (replicas, nodes) = Replicas::new(caches, node_replicas, filter)?;
    let block_bytes = usize::try_from(geometry.block_sectors() << 9).map_err(|_| EINVAL)?;
    let prober = IdleProber {
        blank: task_cache.blank(numa::Node::here(), Effort::All)?,
        buffers: Buffers::for_probes(block_bytes)?,
    };
    let machines = Machines::new(engine_memory::engine(geometry, nodes)?, replicas, prober)?;
    Ok(KBox::new(machines, GFP_KERNEL)?)
}

impl Instance {
    /// Makes one for `layout` with memory of `caches`. May sleep.
    // Not on the stack of its caller.
    #[inline(never)]
    pub(crate) fn new(
        layout: Layout,
        caches: &Arc<Caches>,
        task_cache: &Arc<TaskCache>,
    ) -> Result<Arc<Self>, NewError> {
        let memory = |error| NewError::new(c"out of memory", error);
        let filter = Filter::new(&layout.geometry).map_err(memory)?;
        let filter = Arc::new(filter, GFP_KERNEL).map_err(|error| memory(error.into()))?;
        let node_replicas = NodeReplicas::new().map_err(|error| memory(error.into()))?;
        let geometry = layout.geometry;
        let machines = machines(
            &geometry,
            caches,
            task_cache,
            &node_replicas,
            filter.clone(),
        );
        let machines = machines.map_err(memory)?;
        let scan = Scan::new(&geometry).map_err(memory)?;
        let summary = machines.summary();
        let lookup = Lookup::new(geometry, node_replicas, filter).map_err(memory)?;
        let ctx = Context::new(layout, lookup, summary).map_err(memory)?;
        let tasks = TaskPool::new(task_cache.clone()).map_err(memory)?;
        let unit_bytes = (geometry.unit_sectors() << 9) as usize;
        let buffers = BufferPool::new(unit_bytes).map_err(memory)?;
        Arc::pin_init(
            try_pin_init!(Self {
                ctx <- ctx,
                machines <- new_mutex!(machines, "dm_remap::machines"),
                changed <- new_condvar!("dm_remap::changed"),
                tasks <- tasks,
                buffers <- buffers,
                crew <- new_mutex!(None, "dm_remap::crew"),
                scan,
                caches: caches.clone(),
            }? Error),
            GFP_KERNEL,
        )
        .map_err(memory)
    }

    /// Has `work` done with the engine, publishes how things are then, and begins what is due.
    /// Sleeps, but waits for no device: neither may `work`.
    pub(crate) fn with_engine<R>(&self, work: impl FnOnce(&mut Machines, &Context) -> R) -> R {
        let mut machines = self.machines.lock();
        let (done, settled) = NoSleep::run(|| {
            let done = work(&mut machines, &self.ctx);
            (done, machines.settle(&self.ctx))
        });
        drop(machines);
        self.changed.notify_all();
        settled.woken.for_each(make_ready);
        if settled.due.any() {
            if let Some(crew) = self.crew() {
                crew.attend(settled.due);
            }
        }
        if !self.ctx.is_suspended() {
            self.ctx.tell_changes();
        }
        done
    }

    /// Waits until `look` finds what is waited for. Sleeps, as long as a device takes.
    pub(crate) fn wait_until<R>(&self, mut look: impl FnMut(&Machines) -> Option<R>) -> R {
        let mut machines = self.machines.lock();
        loop {
            if let Some(found) = look(&machines) {
                return found;
            }
            self.changed.wait(&mut machines);
        }
    }

    /// Whether the group of this number is durable, once that is known. Sleeps, as long as a device
    /// takes.
    pub(crate) fn wait_durable(&self, group: u64) -> bool {
        self.with_engine(|machines, _| machines.engine.hasten());
        self.wait_until(|machines| machines.engine.outcome(group))
            .is_ok()
    }

    /// The same for a group that nobody else may be there to write.
    pub(crate) fn write_durable(&self, group: u64) -> bool {
        self.write_updates();
        self.wait_durable(group)
    }

    /// Those who work for it, while a table is active. Sleeps.
    pub(crate) fn crew(&self) -> Option<Arc<dyn Attend>> {
        self.crew.lock().clone()
    }

    /// Has all lanes look for what they can do. Sleeps, but waits for no device.
    pub(crate) fn wake_lanes(&self) {
        if let Some(crew) = self.crew() {
            crew.wake_lanes();
        }
    }

    /// Takes the prober back, which has ended. Sleeps, but waits for no device.
    pub(crate) fn end_prober(&self, mut task: Unique<Task>) {
        let buffers = task.buffers.take();
        let blank = task.into_blank();
        self.with_engine(|machines, _| machines.put_prober(blank, buffers));
    }

    /// From now on I/O on our own account is refused, long work ends early, and nothing waits for a
    /// spare unit. Sleeps.
    pub(crate) fn stop(&self) {
        self.ctx.set_suspended(true);
        self.with_engine(|machines, _| machines.engine.set_suspended(true));
    }

    /// Waits until what was begun before [`Self::stop`] is done, and notes in the metadata that the
    /// device is shut down in order. Sleeps.
    pub(crate) fn wait_stopped(&self) {
        self.wait_until(|machines| machines.is_idle().then_some(()));
        let group = self.with_engine(|machines, ctx| {
            machines.engine.put_back_spares();
            let may_write = !ctx.is_read_only() && !machines.engine.is_read_only();
            may_write.then(|| machines.engine.want_commit(Some(End::default())))
        });
        if let Some(group) = group {
            // What fails is said in the log.
            let is_durable = self.write_durable(group);
            self.wait_until(|machines| machines.is_idle().then_some(()));
            self.with_engine(|machines, _| machines.is_put_away = is_durable);
        }
        let crew = self.crew.lock().take();
        if let Some(crew) = crew {
            crew.flush();
        }
    }

    /// Commits a checksum of main, if the array was shut down in order and units are relocated:
    /// without any, main alone has all data. The device is being removed, so that nobody uses main.
    /// Sleeps, as long as the spare takes, and for some seconds at most as long as main takes.
    pub(crate) fn put_away(&self) {
        let map = self.with_engine(|machines, _| {
            let is_worth_it = machines.is_put_away && machines.engine.relocated() > 0;
            is_worth_it.then(|| machines.engine.map().clone())
        });
        let main_sum = map.and_then(|map| durable_main_sum(&self.ctx, &map));
        if main_sum.is_some() {
            let end = Some(End { main_sum });
            let group = self.with_engine(|machines, _| machines.engine.want_commit(end));
            // What fails is said in the log.
            self.write_durable(group);
        }
    }

    /// I/O on our own account is allowed, on behalf of a table that is told of events, with its
    /// settings, and those who work for it. Sleeps.
    pub(crate) fn start(
        &self,
        read_only: bool,
        events: TableEvents,
        settings: &Settings,
        crew: Arc<dyn Attend>,
    ) {
        self.ctx.set_events(events);
        self.ctx.set_read_only(read_only);
        *self.crew.lock() = Some(crew.clone());
        self.ctx.set_suspended(false);
        let limit = settings.limit();
        self.with_engine(|machines, _| {
            let engine = &mut machines.engine;
            engine.configure(limit, settings.budget(), settings.policy());
            engine.set_no_spare_timeout(settings.patience());
            engine.set_suspended(false);
        });
        // The last table may have left a shortage of memory.
        crew.attend(Due {
            refill: true,
            ..Due::default()
        });
    }

    /// Allows I/O on our own account again after a [`Self::stop`] that came to nothing. Sleeps.
    pub(crate) fn go_on(&self) {
        self.ctx.set_suspended(false);
        self.with_engine(|machines, _| machines.engine.set_suspended(false));
    }

    /// Fills the reserve of nodes; whether it is full. Sleeps, until there is memory or it is known
    /// that there is none.
    pub(crate) fn refill(&self) -> bool {
        let mut supply = None;
        loop {
            let missing = self.with_engine(|machines, _| {
                if let Some(supply) = supply.take() {
                    machines.engine.nodes.deposit(supply);
                }
                let missing = machines.engine.nodes.missing();
                if missing.is_none() {
                    machines.engine.set_short(false);
                }
                missing
            });
            let Some(missing) = missing else {
                return true;
            };
            supply = missing.supply(Effort::Some).ok();
            if supply.is_none() {
                self.with_engine(|machines, _| machines.engine.set_short(true));
                return false;
            }
        }
    }

    /// Makes replicas of the map that were given up, as far as there is memory. Sleeps, but waits for
    /// no device.
    pub(crate) fn restore_replicas(&self) {
        while let Ok(room) = engine_memory::missed() {
            let begun = self.with_engine(|machines, _| machines.begin_copy(room));
            let Some(copying) = begun else { return };
            let mut copied = copying.copy(&self.caches);
            // What is left over is freed without the lock.
            if !self.with_engine(|machines, ctx| machines.end_copy(ctx, &mut copied)) {
                return;
            }
        }
    }

    /// Whether a machine waits for memory. Sleeps, but waits for no device.
    pub(crate) fn is_memory_wanted(&self) -> bool {
        self.with_engine(|machines, _| machines.engine.nodes.is_wanted())
    }
}
