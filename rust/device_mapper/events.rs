// SPDX-License-Identifier: GPL-2.0

//! Events that `dmsetup wait` waits for.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// A table that is told of events for as long as it lives.
#[derive(Clone)]
pub struct TableEvents(Arc<Inner>);

#[pin_data]
struct Inner {
    #[pin]
    table: Mutex<Option<Table>>,
}

/// # Invariants
///
/// The pointer is that of a live table.
struct Table(NonNull<bindings::dm_table>);

// SAFETY: Events may be raised from any thread.
unsafe impl Send for Table {}

impl TableEvents {
    /// # Safety
    ///
    /// `table` must live until [`Self::revoke`] is called.
    pub(super) unsafe fn new(table: NonNull<bindings::dm_table>) -> Result<Self> {
        // INVARIANT: Live by the safety requirements.
        let table = Some(Table(table));
        let inner = Arc::pin_init(
            pin_init!(Inner {
                table <- new_mutex!(table, "dm_remap::table_events"),
            }),
            GFP_KERNEL,
        )?;
        Ok(Self(inner))
    }

    /// Lets go of the table. Sleeps.
    pub(super) fn revoke(&self) {
        *self.0.table.lock() = None;
    }

    /// Wakes whoever waits for an event of the device, if the table still lives. Sleeps.
    pub fn raise(&self) {
        if let Some(table) = &*self.0.table.lock() {
            // SAFETY: By the type invariant the table is live, and stays so while the lock is held,
            // since `revoke` takes it too.
            unsafe { bindings::dm_table_event(table.0.as_ptr()) };
        }
    }
}
