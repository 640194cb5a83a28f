// SPDX-License-Identifier: GPL-2.0

//! The delayed tasks of a table.

use crate::{
    instance::Instance,
    scanner, //
};
use kernel::sync::Arc;
use kernel_ext::{
    noio::NoIo,
    workqueue::DelayedItem, //
};

/// Ends the wait for a spare unit (see `parked.rs`).
pub(crate) struct Deadline(pub(crate) Arc<Instance>);

impl DelayedItem for Deadline {
    fn run(&self) -> Option<u64> {
        let instance = &self.0;
        let mut repair = instance.lock();
        let left = repair.parked.left(instance.ctx.milliseconds());
        if left == Some(0) {
            NoIo::run(|| repair.give_up(&instance.ctx));
        }
        drop(repair);
        instance.ctx.tell_changes();
        left.filter(|&left| left > 0)
    }
}

/// Ends a shortage, and brings regions of the metadata back (see `shortage.rs`).
pub(crate) struct Recovery(pub(crate) Arc<Instance>);

impl DelayedItem for Recovery {
    fn run(&self) -> Option<u64> {
        let instance = &self.0;
        let mut repair = instance.lock();
        NoIo::run(|| repair.recover(&instance.ctx));
        let again = repair.recovery_due();
        drop(repair);
        instance.ctx.tell_changes();
        again
    }
}

/// Begins a scan that is due: while a device is resumed that must not be done. A thread is made,
/// which may wait for memory.
pub(crate) struct ScanStart(pub(crate) Arc<Instance>);

impl DelayedItem for ScanStart {
    fn run(&self) -> Option<u64> {
        let instance = &self.0;
        scanner::start_if_due(&instance.scan);
        instance.ctx.tell_changes();
        None
    }
}
