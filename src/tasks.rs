// SPDX-License-Identifier: GPL-2.0

//! The delayed tasks of a table.

use crate::{
    instance::Instance,
    scanner, //
};
use kernel::sync::Arc;
use kernel_ext::workqueue::DelayedItem;

/// Ends the wait for a spare unit (see `no_spare.rs`).
pub(crate) struct Deadline(pub(crate) Arc<Instance>);

impl DelayedItem for Deadline {
    fn run(&self) -> Option<u64> {
        let (left, _) = self.0.with_repair(|repair, ctx| {
            let left = repair.parked.left(ctx.milliseconds());
            if left == Some(0) {
                repair.give_up(ctx);
            }
            left
        });
        left.filter(|&left| left > 0)
    }
}

/// Ends a shortage, and brings regions of the metadata back (see `shortage.rs`).
pub(crate) struct Recovery(pub(crate) Arc<Instance>);

impl DelayedItem for Recovery {
    fn run(&self) -> Option<u64> {
        let ((), settled) = self.0.with_repair(|repair, ctx| repair.recover(ctx));
        settled.recovery
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
