// SPDX-License-Identifier: GPL-2.0

//! The machines of one CPU: bios that the I/O path cannot serve become requests here, and machines
//! that are ready take their steps.

use super::task::{
    Home,
    Machine,
    Task, //
};
use crate::{
    bio_context::BioContext,
    delayed::Delayed,
    executor::{
        delayed_tasks::LanesWake,
        quiesce::Quiescer,
        sleep::Sleepers, //
    },
    instance::Instance, //
};
use kernel::{
    impl_has_work,
    new_work,
    prelude::*,
    sync::Arc,
    workqueue::{
        Work,
        WorkItem, //
    }, //
};
use kernel_ext::{
    bio::{
        Op,
        Status, //
    },
    device_mapper::{
        BioQueue,
        OwnedBio, //
    },
    noio::NoIo,
    unique::{
        Unique,
        UniqueList,
        UniqueQueue, //
    },
    workqueue::ReclaimQueue, //
};
use remap_core::engine::request::{
    self,
    Request, //
};

/// How many machines take a step before others get the lock of the engine.
const AT_ONCE: usize = 32;

/// How long to wait before memory for tasks is asked for again, in milliseconds.
const POOL_PAUSE: u64 = 20;

/// The machines of one CPU.
#[pin_data]
pub(crate) struct Lane {
    pub(super) instance: Arc<Instance>,
    pub(super) quiescer: Arc<Quiescer>,
    pub(super) sleepers: Sleepers,
    pool_pause: Delayed<LanesWake>,
    cpu: usize,
    queue: Arc<ReclaimQueue>,
    bios: BioQueue<BioContext>,
    ready: UniqueQueue<Task>,
    /// Tasks whose I/O may have to wait for the limits of a control group.
    clients: UniqueQueue<Task>,
    #[pin]
    work: Work<Lane>,
    #[pin]
    client_work: Work<Lane, 1>,
}

impl_has_work! {
    impl HasWork<Self> for Lane { self.work }
}

impl_has_work! {
    impl HasWork<Self, 1> for Lane { self.client_work }
}

/// How many machines of a lane began and ended since the engine was told.
#[derive(Default)]
struct Tally {
    begun: usize,
    ended: usize,
}

impl Lane {
    /// That of a CPU. May sleep.
    pub(super) fn new(
        instance: Arc<Instance>,
        quiescer: Arc<Quiescer>,
        sleepers: Sleepers,
        pool_pause: Delayed<LanesWake>,
        queue: Arc<ReclaimQueue>,
        cpu: usize,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                instance,
                quiescer,
                sleepers,
                pool_pause,
                cpu,
                queue,
                bios: BioQueue::new(),
                ready: UniqueQueue::new(),
                clients: UniqueQueue::new(),
                work <- new_work!("dm_remap::lane"),
                client_work <- new_work!("dm_remap::lane_clients"),
            }),
            GFP_KERNEL,
        )
    }

    /// Takes a bio that the I/O path cannot serve. The lane is to be woken then. Any context.
    pub(super) fn push_bio(&self, bio: OwnedBio<BioContext>) {
        self.bios.push(bio);
    }

    /// Takes a task whose I/O may have to wait for the limits of a control group. Any context.
    pub(super) fn push_client(self: &Arc<Self>, task: Unique<Task>) {
        self.clients.push(task);
        // Work that is already queued sees to it too.
        let _ = self.queue.enqueue::<_, 1>(self.clone());
    }

    /// A task that begins on this lane, if there is memory for it.
    pub(super) fn task(self: &Arc<Self>, machine: Machine) -> Option<Unique<Task>> {
        let blank = self.instance.tasks.get()?;
        Some(Unique::new(blank, Task::new(machine, self.clone())))
    }

    fn serve(self: &Arc<Self>) {
        let mut tally = Tally::default();
        loop {
            let mut ready = self.ready.take_all();
            self.begin_requests(&mut ready, &mut tally);
            if ready.is_empty() && tally.ended == 0 {
                return;
            }
            self.run(ready, &mut tally);
        }
    }

    /// Makes requests of bios, as far as there is memory.
    fn begin_requests(self: &Arc<Self>, ready: &mut UniqueList<Task>, tally: &mut Tally) {
        let mut bios = self.bios.take_all();
        while let Some(bio) = bios.next() {
            let Some(op) = op_of(bio.op()) else {
                bio.complete(Status::IOERR);
                continue;
            };
            let Some(blank) = self.instance.tasks.get() else {
                // The end of a task wakes this lane again, or the end of a pause.
                self.pool_pause.arm(POOL_PAUSE);
                self.bios.push(bio);
                bios.for_each(|bio| self.bios.push(bio));
                return;
            };
            ready.push(Unique::new(blank, self.request(op, bio)));
            tally.begun += 1;
        }
    }

    fn request(self: &Arc<Self>, op: request::Op, mut bio: OwnedBio<BioContext>) -> Task {
        let has_failed = bio.per_bio().has_failed;
        let request = Request::new(op, bio.sectors(), has_failed, self.cpu);
        let mut task = Task::new(Machine::Request(request), self.clone());
        task.bio = Some(bio);
        task
    }

    /// Has machines take a step, a few at a time, and begins what they want.
    fn run(self: &Arc<Self>, mut ready: UniqueList<Task>, tally: &mut Tally) {
        let mut wanted = UniqueList::new();
        loop {
            let Tally { begun, ended } = core::mem::take(tally);
            self.instance.with_engine(|machines, ctx| {
                machines.note_running(begun, ended);
                for _ in 0..AT_ONCE {
                    let Some(task) = ready.pop() else { break };
                    if let Some(task) = machines.step(ctx, &self.instance.buffers, task) {
                        wanted.push(task);
                    }
                }
            });
            for task in core::mem::take(&mut wanted) {
                tally.ended += usize::from(self.begin(task));
            }
            if ready.is_empty() {
                return;
            }
        }
    }
}

/// What a request does for a bio.
fn op_of(op: Op) -> Option<request::Op> {
    match op {
        Op::Read => Some(request::Op::Read),
        Op::Write => Some(request::Op::Write),
        Op::WriteZeroes => Some(request::Op::WriteZeroes),
        Op::Discard => Some(request::Op::Discard),
        Op::Flush | Op::Other => None,
    }
}

impl Home for Lane {
    fn push(&self, task: Unique<Task>) {
        self.ready.push(task);
    }

    fn wake(self: Arc<Self>) {
        // Work that is already queued sees to it too.
        let _ = self.queue.clone().enqueue::<_, 0>(self);
    }
}

impl WorkItem for Lane {
    type Pointer = Arc<Lane>;

    fn run(this: Arc<Lane>) {
        NoIo::run(|| this.serve());
    }
}

impl WorkItem<1> for Lane {
    type Pointer = Arc<Lane>;

    fn run(this: Arc<Lane>) {
        NoIo::run(|| {
            this.clients
                .take_all()
                .for_each(|task| this.begin_client_io(task))
        });
    }
}
