// SPDX-License-Identifier: GPL-2.0

//! Those who work for an instance on behalf of one table.

use super::{
    attend::Attend,
    commit::Committer,
    delayed_tasks::{
        Deadline,
        LanesWake,
        Recovery,
        Refill, //
    },
    lane::Lane,
    machines::Due,
    quiesce::Quiescer,
    report::Report,
    sleep::Sleepers,
    task::{
        make_ready,
        Home,
        Machine,
        Task, //
    }, //
};
use crate::{
    bio_context::BioContext,
    counters::Count,
    delayed::Delayed,
    instance::Instance, //
};
use kernel::{
    cpu::{
        nr_cpu_ids,
        CpuId, //
    },
    prelude::*,
    sync::{
        rcu,
        Arc, //
    }, //
};
use kernel_ext::{
    bio::Status,
    device_mapper::OwnedBio,
    rcu::wait_for_readers,
    unique::{
        Unique,
        UniqueList, //
    },
    workqueue::{
        ReclaimQueue,
        RunsOn, //
    }, //
};
use remap_core::engine::probe::Prober;

/// Those who work for an instance on behalf of one table.
pub(crate) struct Crew {
    instance: Arc<Instance>,
    lanes: KVec<Arc<Lane>>,
    committer: Arc<Committer>,
    sleepers: Sleepers,
    deadline: Delayed<Deadline>,
    refill: Delayed<Refill>,
    recovery: Delayed<Recovery>,
    pool_pause: Delayed<LanesWake>,
    queue: Arc<ReclaimQueue>,
}

impl Drop for Crew {
    fn drop(&mut self) {
        // An end of I/O may be about to wake a lane.
        wait_for_readers();
        // Tasks have lanes, which have the queue: it must not be work of the queue that drops the
        // last of them.
        self.flush();
        self.deadline.close();
        self.refill.close();
        self.recovery.close();
        self.pool_pause.close();
        self.sleepers.close();
    }
}

impl Crew {
    /// With a lane for each CPU there may be. May sleep.
    pub(crate) fn new(instance: &Arc<Instance>) -> Result<Arc<Self>> {
        let queue = Arc::new(ReclaimQueue::new(c"dm_remap")?, GFP_KERNEL)?;
        let quiescer = Quiescer::new(instance.clone(), queue.clone())?;
        let sleepers = Sleepers::new(instance.clone(), queue.clone())?;
        let runs_on = || RunsOn::Reclaim(queue.clone());
        let pool_pause = Delayed::new(runs_on(), LanesWake(instance.clone()))?;
        let mut lanes = KVec::new();
        for cpu in 0..nr_cpu_ids() as usize {
            let lane = Lane::new(
                instance.clone(),
                quiescer.clone(),
                sleepers.clone(),
                pool_pause.clone(),
                queue.clone(),
                cpu,
            )?;
            lanes.push(lane, GFP_KERNEL)?;
        }
        let this = Self {
            instance: instance.clone(),
            lanes,
            committer: Committer::new(instance.clone())?,
            sleepers,
            deadline: Delayed::new(runs_on(), Deadline(instance.clone()))?,
            refill: Delayed::new(runs_on(), Refill(instance.clone()))?,
            recovery: Delayed::new(runs_on(), Recovery(instance.clone()))?,
            pool_pause,
            queue,
        };
        Ok(Arc::new(this, GFP_KERNEL)?)
    }

    /// This CPU's lane.
    fn lane(&self) -> Option<&Arc<Lane>> {
        self.lanes.get(CpuId::current().as_u32() as usize)
    }

    /// Gives a bio to this CPU's lane. Any context.
    pub(crate) fn hand_over(&self, bio: OwnedBio<BioContext>) {
        let Some(lane) = self.lane() else {
            return bio.complete(Status::IOERR);
        };
        self.instance.ctx.lookup.counters.add(Count::Repaired, 1);
        // The bio may have ended, and the table with it, before the lane is woken. Device mapper
        // waits for a grace period before it destroys a table, and so for this section.
        let guard = rcu::read_lock();
        lane.push_bio(bio);
        lane.clone().wake();
        drop(guard);
    }

    fn begin_prober(&self) {
        let Some(lane) = self.lanes.first() else {
            return;
        };
        let idle = self.instance.with_engine(|machines, _| {
            let idle = machines.prober.take();
            machines.note_running(usize::from(idle.is_some()), 0);
            idle
        });
        if let Some(idle) = idle {
            let mut task = Task::new(Machine::Prober(Prober::default()), lane.clone());
            task.buffers = Some(idle.buffers);
            make_ready(Unique::new(idle.blank, task));
        }
    }
}

impl Attend for Crew {
    fn attend(&self, due: Due) {
        if due.update {
            // Work that is already queued writes this update too.
            let _ = self.queue.enqueue(self.committer.clone());
        }
        if due.probe {
            self.begin_prober();
        }
        if due.refill {
            self.refill.arm(0);
        }
        if let Some(left) = due.deadline {
            self.deadline.arm(left);
        }
        if let Some(pause) = due.recovery {
            self.recovery.arm(pause);
        }
    }

    fn begin(&self, machines: &mut dyn Iterator<Item = Machine>, report: &Arc<Report>) -> usize {
        let Some(lane) = self.lane() else { return 0 };
        let (mut tasks, mut count) = (UniqueList::new(), 0);
        for machine in machines {
            let Some(mut task) = lane.task(machine) else {
                break;
            };
            task.report = Some(report.clone());
            tasks.push(task);
            count += 1;
        }
        self.instance
            .with_engine(|machines, _| machines.note_running(count, 0));
        tasks.for_each(|task| lane.push(task));
        lane.clone().wake();
        count
    }

    fn wake_lanes(&self) {
        self.lanes.iter().for_each(|lane| lane.clone().wake());
    }

    fn flush(&self) {
        self.queue.flush();
    }
}
