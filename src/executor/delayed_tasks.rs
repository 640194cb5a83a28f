// SPDX-License-Identifier: GPL-2.0

//! What is done in a while, on behalf of a table.

use crate::{
    instance::Instance,
    scanner, //
};
use kernel::sync::Arc;
use kernel_ext::{
    noio::NoIo,
    workqueue::DelayedItem, //
};
use remap_core::metadata::update::Which;

/// How long to wait before the reserve of nodes is filled again, in milliseconds, and how long if
/// somebody waits for that.
const PAUSE: u64 = 1000;
const SHORT_PAUSE: u64 = 20;

/// Ends the wait of writes for a spare unit.
pub(super) struct Deadline(pub(super) Arc<Instance>);

impl DelayedItem for Deadline {
    fn run(&self) -> Option<u64> {
        let left = self.0.with_engine(|machines, ctx| {
            let now = ctx.milliseconds();
            machines.engine.expire(now);
            machines.engine.no_spare_deadline(now)
        });
        left.filter(|&left| left > 0)
    }
}

/// Fills the reserve of nodes, and ends a shortage of memory.
pub(super) struct Refill(pub(super) Arc<Instance>);

impl DelayedItem for Refill {
    fn run(&self) -> Option<u64> {
        let is_full = NoIo::run(|| self.0.refill());
        (!is_full).then(|| match self.0.is_memory_wanted() {
            true => SHORT_PAUSE,
            false => PAUSE,
        })
    }
}

/// Makes replicas of the map that were given up, and brings regions of the metadata back.
pub(super) struct Recovery(pub(super) Arc<Instance>);

impl DelayedItem for Recovery {
    fn run(&self) -> Option<u64> {
        self.0.with_engine(|machines, ctx| {
            let may_try = machines.engine.lacks_region() && !ctx.is_suspended();
            if may_try && machines.regions.is_due(ctx.milliseconds()) {
                machines.engine.want_checkpoint(Which::Dropped);
            }
        });
        NoIo::run(|| self.0.restore_replicas());
        self.0
            .with_engine(|machines, _| machines.summary().recovery_due)
    }
}

/// Has the lanes look for memory for the tasks of their bios.
pub(super) struct LanesWake(pub(super) Arc<Instance>);

impl DelayedItem for LanesWake {
    fn run(&self) -> Option<u64> {
        self.0.wake_lanes();
        None
    }
}

/// Begins a scan that is due: while a device is resumed that must not be done. A thread is made,
/// which may wait for memory.
pub(crate) struct ScanStart(pub(crate) Arc<Instance>);

impl DelayedItem for ScanStart {
    fn run(&self) -> Option<u64> {
        scanner::start_if_due(&self.0.scan);
        None
    }
}
