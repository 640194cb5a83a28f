// SPDX-License-Identifier: GPL-2.0

//! Writes that wait for a spare unit (`queue_if_no_spare`): until one is free, the device is suspended,
//! or an administrator had time enough to do something about it.

use crate::{
    instance::Instance,
    repair::Repair,
    target::RemapTarget, //
};
use kernel::{
    impl_has_delayed_work,
    new_delayed_work,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            AtomicFlag,
            Release, //
        },
        Arc, //
    },
    time::msecs_to_jiffies,
    workqueue::{
        self,
        DelayedWork,
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
    workqueue::hurry, //
};

/// The writes that wait, and for how long they may.
#[derive(Default)]
pub(crate) struct Parked {
    bios: BioQueue<RemapTarget>,
    count: u64,
    /// When the first of them came, in milliseconds of the instance.
    since: u64,
    /// For how many seconds, if at all.
    patience: Option<u64>,
    /// They waited for so long in vain, and no spare unit was free since.
    in_vain: bool,
}

impl Parked {
    /// How many wait.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// For how many milliseconds more those that wait may, if any do.
    pub(crate) fn left(&self, now: u64) -> Option<u64> {
        let patience = self.patience.unwrap_or(0).saturating_mul(1000);
        (self.count > 0).then(|| patience.saturating_sub(now.saturating_sub(self.since)))
    }

    /// Starts anew with this patience.
    pub(crate) fn start(&mut self, patience: Option<u64>) {
        (self.patience, self.in_vain) = (patience, false);
    }
}

impl Repair {
    /// Ends a bio that failed with `status`, or keeps it if that was for want of a spare unit.
    pub(crate) fn fail(&mut self, instance: &Instance, bio: OwnedBio<RemapTarget>, status: Status) {
        let waits = self.no_spare && self.parked.patience.is_some();
        if !waits || self.parked.in_vain {
            bio.complete(status);
        } else if instance.is_suspended() {
            bio.complete(Status::DM_REQUEUE);
        } else {
            if self.parked.count == 0 {
                self.parked.since = instance.milliseconds();
            }
            self.parked.count += 1;
            self.parked.bios.push(bio);
        }
    }

    /// Ends all writes that wait, since they did for too long.
    fn give_up(&mut self, instance: &Instance) {
        pr_err!(
            "{}: no spare unit became free in {} seconds, {} writes fail\n",
            instance.name(),
            self.parked.patience.unwrap_or(0),
            self.parked.count
        );
        self.parked.in_vain = true;
        self.note_change();
        self.end_parked(Status::IOERR);
    }

    /// Ends all writes that wait.
    fn end_parked(&mut self, status: Status) {
        self.parked.count = 0;
        for bio in self.parked.bios.take_all() {
            bio.complete(status);
        }
    }

    /// Gives them back to device mapper, which keeps them or fails them, as the suspend wants it.
    pub(crate) fn requeue_parked(&mut self) {
        self.end_parked(Status::DM_REQUEUE);
    }

    /// Tries them again, since a spare unit is free.
    pub(crate) fn serve_parked(&mut self, instance: &Instance) {
        self.parked.in_vain = false;
        self.parked.count = 0;
        for bio in self.parked.bios.take_all() {
            // Only reads come back.
            drop(self.serve(instance, bio));
        }
        self.settle(instance);
    }
}

/// Ends the wait.
#[pin_data]
pub(crate) struct Deadline {
    instance: Arc<Instance>,
    /// The table is going; others may wait on behalf of the next one.
    closed: AtomicFlag,
    #[pin]
    work: DelayedWork<Deadline>,
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self> for Deadline { self.work }
}

impl Deadline {
    /// May sleep.
    pub(crate) fn new(instance: &Arc<Instance>) -> Result<Arc<Self>> {
        let instance = instance.clone();
        Arc::pin_init(
            pin_init!(Self {
                instance,
                closed: AtomicFlag::new(false),
                work <- new_delayed_work!("dm_remap::deadline"),
            }),
            GFP_KERNEL,
        )
    }

    /// Looks in so many milliseconds whether the wait is over, if not before that.
    pub(crate) fn arm(self: &Arc<Self>, milliseconds: u64) {
        let milliseconds = u32::try_from(milliseconds).unwrap_or(u32::MAX);
        let _ = workqueue::system_power_efficient()
            .enqueue_delayed(self.clone(), msecs_to_jiffies(milliseconds));
    }

    /// Looks now, if it was to look at all, and not again. Sleeps.
    pub(crate) fn close(self: &Arc<Self>) {
        self.closed.store(true, Release);
        hurry(self);
    }
}

impl WorkItem for Deadline {
    type Pointer = Arc<Deadline>;

    fn run(this: Arc<Deadline>) {
        let mut repair = this.instance.repair.lock();
        match repair.parked.left(this.instance.milliseconds()) {
            None => {}
            Some(0) => NoIo::run(|| repair.give_up(&this.instance)),
            Some(more) if !this.closed.load(Acquire) => this.arm(more),
            Some(_) => {}
        }
        drop(repair);
        this.instance.tell_changes();
    }
}
