// SPDX-License-Identifier: GPL-2.0

//! The engine and all that is changed with it: who waits for what, and what is published.
//!
//! All of it is under one lock, which is held for a step of some machines and never while anything
//! is waited for.

use super::{
    buffer_pool::{
        keeps_buffers,
        BufferPool, //
    },
    buffers::Buffers,
    notices::say,
    regions::RegionRetry,
    task::{
        Machine,
        Next,
        Task, //
    },
    writer::Writer, //
};
use crate::{
    context::Context,
    counters::Count,
    engine_memory::Engine,
    nodes::Nodes,
    replicas::{
        Copied,
        Copying,
        Replicas, //
    },
    summary::Summary, //
};
use kernel::prelude::*;
use kernel_ext::{
    slab::{
        Blank,
        Effort, //
    },
    unique::{
        Slot,
        Unique,
        UniqueList, //
    }, //
};
use remap_core::{
    engine::{
        notice::Notice,
        task::{
            Action,
            Event, //
        }, //
    },
    geometry::Unit,
    metadata::standing::COUNTERS, //
};

/// How long to wait before the end of a shortage of memory is looked for, in milliseconds.
const MEMORY_PAUSE: u64 = 1000;

/// The memory of the prober, while it does not run.
pub(crate) struct IdleProber {
    pub(crate) blank: Blank<Slot<Task>>,
    pub(crate) buffers: Buffers,
}

/// The engine and all that is changed with it.
pub(crate) struct Machines {
    pub(crate) engine: KBox<Engine>,
    /// The map as it is published.
    pub(crate) replicas: Replicas,
    /// The counters that were read with the metadata.
    pub(crate) restored: [u64; COUNTERS],
    /// The metadata say that the array was shut down in order.
    pub(crate) is_put_away: bool,
    /// The last activation was refused, so that no I/O comes.
    pub(crate) is_refused: bool,
    /// The metadata have a checksum of main.
    pub(crate) has_main_sum: bool,
    pub(crate) regions: RegionRetry,
    /// What writes updates, while nobody does.
    pub(super) writer: Option<KBox<Writer>>,
    /// What probes, while nobody does.
    pub(super) prober: Option<IdleProber>,
    /// Tasks that wait for what others bring about.
    waiting: UniqueList<Task>,
    /// Those of them that are to look again.
    woken: UniqueList<Task>,
    /// How many tasks there are.
    running: usize,
    is_event_due: bool,
    /// How many regions are good, if that is to be said.
    regions_said: Option<(usize, usize)>,
}

/// What is to be done when the lock was let go.
pub(crate) struct Settled {
    /// Tasks that are to look again.
    pub(crate) woken: UniqueList<Task>,
    pub(crate) due: Due,
}

/// What is to be begun.
#[derive(Clone, Copy, Default)]
pub(crate) struct Due {
    /// An update is to be written.
    pub(crate) update: bool,
    /// A device is to be probed.
    pub(crate) probe: bool,
    /// The reserve of nodes is to be filled.
    pub(crate) refill: bool,
    /// In how many milliseconds the wait for a spare unit ends, if any write waits.
    pub(crate) deadline: Option<u64>,
    /// In how many milliseconds something is to be tried again, if anything is.
    pub(crate) recovery: Option<u64>,
}

impl Due {
    /// Whether there is anything.
    pub(crate) fn any(&self) -> bool {
        self.update
            || self.probe
            || self.refill
            || self.deadline.is_some()
            || self.recovery.is_some()
    }
}

impl Machines {
    /// May sleep.
    pub(crate) fn new(
        engine: KBox<Engine>,
        replicas: Replicas,
        prober: IdleProber,
    ) -> Result<Self> {
        Ok(Self {
            engine,
            replicas,
            restored: [0; COUNTERS],
            is_put_away: false,
            is_refused: false,
            has_main_sum: false,
            regions: RegionRetry::default(),
            writer: Some(Writer::new()?),
            prober: Some(prober),
            waiting: UniqueList::new(),
            woken: UniqueList::new(),
            running: 0,
            is_event_due: false,
            regions_said: None,
        })
    }

    /// Has a machine go on. What it wants is to be begun when the lock was let go, unless it waits.
    pub(super) fn step(
        &mut self,
        ctx: &Context,
        buffers: &BufferPool,
        mut task: Unique<Task>,
    ) -> Option<Unique<Task>> {
        let event = match task.next {
            Next::Step(event) => event,
            Next::Wait(_) => Event::Woken,
            Next::Begin(_) => return Some(task),
        };
        let action = task.step(&mut self.engine, event, ctx.milliseconds());
        let wanted = match action {
            Action::Wait(key) => {
                let is_prober = matches!(task.machine, Machine::Prober(_));
                if !is_prober && !keeps_buffers(key) {
                    buffers.put(&mut task);
                }
                task.next = Next::Wait(key);
                self.waiting.push(task);
                None
            }
            action => {
                if matches!(&action, Action::Io(io) if io.is_mapped) {
                    // From now on whoever moves a unit waits for this.
                    task.section = Some(ctx.lookup.maps.read().hold());
                }
                task.next = Next::Begin(action);
                Some(task)
            }
        };
        self.heed(ctx);
        wanted
    }

    /// So many tasks began, and so many ended.
    pub(super) fn note_running(&mut self, begun: usize, ended: usize) {
        self.running = self.running.saturating_add(begun).saturating_sub(ended);
    }

    /// Whether no task is left, and nothing is written.
    pub(crate) fn is_idle(&self) -> bool {
        self.running == 0 && self.writer.is_some() && !self.engine.wants_update()
    }

    /// Wakes those that the engine says, and says in the log what it says.
    fn heed(&mut self, ctx: &Context) {
        let wakes = self.engine.take_wakes();
        if !wakes.is_empty() {
            let is_woken = |task: &Task| matches!(task.next, Next::Wait(key) if wakes.wakes(key));
            self.waiting.move_to(&mut self.woken, is_woken);
        }
        let notices = self.engine.take_notices();
        self.is_event_due |= notices.is_event_due();
        for &notice in notices.iter() {
            match notice {
                // Those of all regions are said at once.
                Notice::Regions(good, total) => self.regions_said = Some((good, total)),
                notice => say(ctx, notice),
            }
        }
    }

    /// Takes the prober's memory back, which has ended.
    pub(crate) fn put_prober(&mut self, blank: Blank<Slot<Task>>, buffers: Option<Buffers>) {
        self.prober = buffers.map(|buffers| IdleProber { blank, buffers });
    }

    /// Has an event raised.
    pub(crate) fn note_change(&mut self) {
        self.is_event_due = true;
    }

    /// Publishes how things are; what is to be done then.
    pub(crate) fn settle(&mut self, ctx: &Context) -> Settled {
        self.publish(ctx);
        if self.engine.is_short() && self.engine.nodes.is_full() {
            self.engine.set_short(false);
        }
        if self.engine.is_short() && self.replicas.give_up() {
            self.republish(ctx);
        }
        if self.engine.claimed() == 0 && !self.engine.nodes.is_wanted() {
            self.engine.nodes.rest();
        }
        let updates = self.engine.promised() + 2;
        let map = self.engine.map().clone();
        if self.engine.nodes.serves_again(&map, updates) {
            self.engine.note_memory();
        } else if self.engine.nodes.is_wanted() && self.engine.nodes.is_full() {
            // The reserve does not get any larger: what is wanted is what others hold.
            self.engine.hasten_all();
        }
        self.heed(ctx);
        if let Some((good, total)) = self.regions_said.take() {
            say(ctx, Notice::Regions(good, total));
        }
        if !self.engine.lacks_region() {
            self.regions.note_complete();
        }
        let counts = self.engine.take_counts();
        ctx.lookup.counters.add(Count::Transient, counts.transient);
        ctx.lookup.counters.add(Count::Relocated, counts.relocated);
        ctx.lookup.counters.add(Count::Retired, counts.retired);
        ctx.lookup.counters.add(Count::NoSpare, counts.no_spare);
        ctx.set_tripped(!self.engine.is_closed());
        ctx.set_short(self.engine.is_short());
        let summary = self.summary();
        ctx.publish(summary, core::mem::take(&mut self.is_event_due));
        ctx.services.publish(
            self.replicas
                .services(&ctx.lookup.node_replicas, &self.engine.nodes),
        );
        Settled {
            woken: core::mem::take(&mut self.woken),
            due: Due {
                update: self.writer.is_some() && self.engine.wants_update(),
                probe: self.prober.is_some() && self.engine.wants_probe(),
                refill: !self.engine.is_short() && !self.engine.nodes.is_full(),
                deadline: self.engine.no_spare_deadline(ctx.milliseconds()),
                recovery: summary.recovery_due,
            },
        }
    }

    /// Publishes the map if it is not as it is published, and fills the reserve.
    fn publish(&mut self, ctx: &Context) {
        let Self {
            engine, replicas, ..
        } = self;
        engine.publish(|publication, nodes| {
            replicas.follow(publication.map, publication.changed);
            show(ctx, replicas, nodes)
        });
        let per_update = self.engine.map().nodes_per_update();
        self.engine.nodes.set_per_update(per_update);
        // What is missing then is allocated without the lock.
        let _ = self.engine.nodes.fill(Effort::Now);
    }

    /// Begins to make a replica of the map that was given up, if one was and memory is not short,
    /// with room for the changes of meanwhile.
    pub(crate) fn begin_copy(&mut self, missed: KVec<Unit>) -> Option<Copying> {
        match self.engine.is_short() {
            true => None,
            false => self.replicas.begin_copy(missed),
        }
    }

    /// Shows a replica of the map that was made; whether it is shown.
    pub(crate) fn end_copy(&mut self, ctx: &Context, copied: &mut Copied) -> bool {
        let is_made = self.replicas.end_copy(copied);
        if is_made {
            self.republish(ctx);
        }
        is_made
    }

    /// Publishes the same in other memory, if there is some.
    fn republish(&mut self, ctx: &Context) {
        if self.engine.nodes.has_blanks(self.engine.promised()) {
            let _ = show(ctx, &self.replicas, &mut self.engine.nodes);
        }
    }

    /// How things are at this moment.
    pub(crate) fn summary(&self) -> Summary {
        let Self {
            engine, replicas, ..
        } = self;
        let spares = engine.spares();
        let journal = engine.journal();
        let copy_due = match engine.is_short() {
            true => Some(MEMORY_PAUSE),
            false => replicas.copy_due(),
        };
        let region_due = engine.lacks_region().then(|| self.regions.pause());
        let recovery_due = [copy_due, region_due].into_iter().flatten().min();
        Summary {
            spares_used: engine.used_spares(),
            spares_retired: spares.retired(),
            spares_total: spares.units(),
            is_exhausted: spares.is_exhausted(),
            spares_aside: spares.aside(),
            suspects: engine.suspects(),
            lost_blocks: engine.lost_blocks(),
            cache: engine.magazines().used(),
            breaker: *engine.breaker(),
            spares_free: engine.free_spares(),
            array: journal.map(|journal| (journal.array().uuid, journal.generation())),
            regions: engine.regions(),
            is_refused: self.is_refused,
            is_frozen: engine.is_dead(),
            is_short: engine.is_short(),
            recovery_due,
            nodes_put_aside: engine.nodes.put_aside(),
            writes_parked: engine.waiting_for_spare(),
        }
    }
}

/// Publishes what the replicas are; whether there was memory, which is promised with that for the
/// changes.
fn show(ctx: &Context, replicas: &Replicas, nodes: &mut Nodes) -> bool {
    match nodes.blank() {
        Ok(blank) => {
            ctx.lookup.maps.replace(blank, replicas.maps());
            true
        }
        Err(_) => {
            pr_err!("{}: out of memory for the map\n", ctx.name());
            false
        }
    }
}
