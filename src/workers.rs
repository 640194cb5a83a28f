// SPDX-License-Identifier: GPL-2.0

//! Who serves the bios that the I/O path cannot: those that failed, and those for a unit that is
//! not just there.
//!
//! Each CPU has a lane: a queue that is filled without a lock, in any context, and a work item that
//! empties it on a thread bound to that CPU. So what is slow on one CPU, where a disk takes its
//! time over bad sectors, does not hold up another. What failed is tried again without any lock;
//! only what is then still to be done, which changes the map, is done under the repair lock, a few
//! bios at a time.

use crate::{
    bio_context::BioContext,
    counters::Count,
    delayed::Delayed,
    instance::Instance,
    moment::pause,
    retry::{
        retry,
        Retried, //
    },
    tasks::{
        Deadline,
        Recovery,
        ScanStart, //
    }, //
};
use kernel::{
    cpu::{
        nr_cpu_ids,
        CpuId, //
    },
    impl_has_work,
    new_work,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};
use kernel_ext::{
    bio::Status,
    device_mapper::{
        BioQueue,
        OwnedBio, //
    },
    noio::NoIo,
    workqueue::{
        ReclaimQueue,
        RunsOn, //
    }, //
};
use remap_core::confirm::WAITS;

/// How many bios wait in a lane before others take some of them.
const LONG: usize = 64;
/// How many bios are served before others get the repair lock.
const AT_ONCE: usize = 32;

/// The bios of one CPU.
#[pin_data]
struct Lane {
    instance: Arc<Instance>,
    waiting: BioQueue<BioContext>,
    /// How many wait or are being served, roughly.
    length: Atomic<usize>,
    deadline: Delayed<Deadline>,
    recovery: Delayed<Recovery>,
    #[pin]
    work: Work<Lane>,
}

impl_has_work! {
    impl HasWork<Self> for Lane { self.work }
}

/// The lanes of one table.
pub(crate) struct Workers {
    lanes: KVec<Arc<Lane>>,
    deadline: Delayed<Deadline>,
    recovery: Delayed<Recovery>,
    scan_start: Delayed<ScanStart>,
    queue: Arc<ReclaimQueue>,
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Lanes hold tasks, which hold the queue: it must not be a lane at work that drops the last
        // of them.
        self.flush();
        self.deadline.close();
        self.recovery.close();
        self.scan_start.close();
    }
}

impl Workers {
    /// Makes a lane for each CPU there may be. May sleep.
    pub(crate) fn new(instance: &Arc<Instance>) -> Result<Self> {
        let queue = Arc::new(ReclaimQueue::new(c"dm_remap")?, GFP_KERNEL)?;
        let deadline = Delayed::new(RunsOn::Reclaim(queue.clone()), Deadline(instance.clone()))?;
        let recovery = Delayed::new(RunsOn::Reclaim(queue.clone()), Recovery(instance.clone()))?;
        let scan_start = Delayed::new(RunsOn::System, ScanStart(instance.clone()))?;
        let mut lanes = KVec::new();
        for _ in 0..nr_cpu_ids() {
            let (its_deadline, its_recovery) = (deadline.clone(), recovery.clone());
            let lane = Arc::pin_init(
                pin_init!(Lane {
                    instance: instance.clone(),
                    waiting: BioQueue::new(),
                    length: Atomic::new(0),
                    deadline: its_deadline,
                    recovery: its_recovery,
                    work <- new_work!("dm_remap::lane"),
                }),
                GFP_KERNEL,
            )?;
            lanes.push(lane, GFP_KERNEL)?;
        }
        Ok(Self {
            lanes,
            deadline,
            recovery,
            scan_start,
            queue,
        })
    }

    /// This CPU's lane, or the shortest if that is long.
    fn lane(&self) -> Option<&Arc<Lane>> {
        let own = self.lanes.get(CpuId::current().as_u32() as usize)?;
        if own.length.load(Relaxed) < LONG {
            return Some(own);
        }
        self.lanes
            .iter()
            .min_by_key(|lane| lane.length.load(Relaxed))
    }

    /// Gives a bio to a worker. Any context.
    pub(crate) fn hand_over(&self, bio: OwnedBio<BioContext>) {
        let Some(lane) = self.lane() else {
            return bio.complete(Status::IOERR);
        };
        lane.instance.ctx.counters.add(Count::Repaired, 1);
        lane.length.fetch_add(1, Relaxed);
        lane.waiting.push(bio);
        // Work that is already queued takes this bio too.
        let _ = self.queue.enqueue(lane.clone());
    }

    /// Sees to it that a shortage of memory ends, and that a scan begins that is due. Sleeps.
    pub(crate) fn recover(&self, instance: &Instance) {
        if instance.scan.is_due() {
            self.scan_start.arm(0);
        }
        if let Some(pause) = instance.ctx.summary().recovery_due {
            self.recovery.arm(pause);
        }
    }

    /// Waits until what was handed over is done. Sleeps.
    pub(crate) fn flush(&self) {
        self.queue.flush();
    }
}

impl Lane {
    fn serve(&self) {
        let (failed, others) = (BioQueue::new(), BioQueue::new());
        for mut bio in self.waiting.take_all() {
            let queue = if bio.per_bio().tried.has_failed() {
                &failed
            } else {
                &others
            };
            queue.push(bio);
        }
        self.repair(others, &failed);
        let failed = self.confirm(failed);
        self.repair(failed, &BioQueue::new());
    }

    /// Tries again what failed; what fails for good.
    fn confirm(&self, mut failed: BioQueue<BioContext>) -> BioQueue<BioContext> {
        for wait in WAITS {
            if failed.is_empty() || (wait > 0 && self.instance.ctx.is_tripped()) {
                break;
            }
            pause(wait);
            failed = self.retry_all(failed);
        }
        failed
    }

    /// Tries bios once more; those that are to be tried again.
    fn retry_all(&self, bios: BioQueue<BioContext>) -> BioQueue<BioContext> {
        let again = BioQueue::new();
        for mut bio in bios.take_all() {
            match retry(&self.instance.ctx, &mut bio) {
                Retried::Failed => again.push(bio),
                Retried::Ended(status) => {
                    if status == Status::OK {
                        self.instance.ctx.counters.add(Count::Transient, 1);
                    }
                    self.served();
                    bio.complete(status);
                }
            }
        }
        again
    }

    /// Does what takes the repair lock. Reads that fail for the first time go to `failed`.
    fn repair(&self, bios: BioQueue<BioContext>, failed: &BioQueue<BioContext>) {
        let mut bios = bios.take_all().peekable();
        while bios.peek().is_some() {
            // Those that wait for the commit are told what became of it.
            let ((), settled) = self.instance.with_repair(|repair, ctx| {
                for bio in bios.by_ref().take(AT_ONCE) {
                    match repair.serve(ctx, bio) {
                        Some(bio) => failed.push(bio),
                        None => self.served(),
                    }
                }
            });
            if let Some(left) = settled.deadline {
                self.deadline.arm(left);
            }
            if let Some(pause) = settled.recovery {
                self.recovery.arm(pause);
            }
        }
    }

    fn served(&self) {
        self.length.fetch_sub(1, Relaxed);
    }
}

impl WorkItem for Lane {
    type Pointer = Arc<Lane>;

    fn run(this: Arc<Lane>) {
        NoIo::run(|| this.serve());
    }
}
