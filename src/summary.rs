// SPDX-License-Identifier: GPL-2.0

//! What is shown of an instance without the lock of the engine: those who only look read a summary,
//! which is published whenever that lock is let go.

use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            AtomicFlag,
            Full,
            Release, //
        },
        SpinLock, //
    }, //
};
use remap_core::{
    breaker::Breaker,
    magazines::CacheUse,
    metadata::uuid::Uuid, //
};

/// What is known of an instance's units, devices and metadata, at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) spares_used: u64,
    pub(crate) spares_retired: u64,
    pub(crate) spares_total: u64,
    /// No spare unit is free or put aside.
    pub(crate) is_exhausted: bool,
    /// Spare units that are put aside for a CPU.
    pub(crate) spares_aside: u64,
    pub(crate) suspects: u64,
    pub(crate) lost_blocks: u64,
    pub(crate) cache: CacheUse,
    pub(crate) breaker: Breaker,
    /// How many spare units are neither in use nor retired.
    pub(crate) spares_free: u64,
    /// The array and its last commit, once its metadata are loaded.
    pub(crate) array: Option<(Uuid, u64)>,
    /// How many regions of the metadata have all commits, and how many there are.
    pub(crate) regions: (usize, usize),
    /// The last activation was refused, so that no I/O comes.
    pub(crate) is_refused: bool,
    /// Nothing can be committed any more.
    pub(crate) is_frozen: bool,
    /// Memory is short.
    pub(crate) is_short: bool,
    /// In how many milliseconds something is to be tried again, if anything is.
    pub(crate) recovery_due: Option<u64>,
    /// Nodes of the map that are put aside.
    pub(crate) nodes_put_aside: usize,
    /// Writes that wait for a spare unit.
    pub(crate) writes_parked: u64,
}

impl Summary {
    /// How the instance is, in one word; the gravest that applies.
    pub(crate) fn health(&self) -> &'static str {
        let (good, total) = self.regions;
        if self.is_refused {
            "refused"
        } else if self.is_frozen {
            "frozen"
        } else if self.breaker.open().is_some() {
            "tripped"
        } else if self.lost_blocks > 0 || self.suspects > 0 {
            "damaged"
        } else if self.is_exhausted {
            "exhausted"
        } else if good < total {
            "degraded"
        } else if self.spares_used > 0 {
            "relocated"
        } else {
            "healthy"
        }
    }
}

/// The summary that was published last, and whether an event is due.
#[pin_data]
pub(crate) struct PublishedSummary {
    /// Held to copy it and no longer.
    #[pin]
    summary: SpinLock<Summary>,
    /// Something happened that an administrator must know.
    changed: AtomicFlag,
}

impl PublishedSummary {
    pub(crate) fn new(summary: Summary) -> impl PinInit<Self> {
        pin_init!(Self {
            summary <- new_spinlock!(summary, "dm_remap::summary"),
            changed: AtomicFlag::new(false),
        })
    }

    /// What was published last. Process context.
    pub(crate) fn get(&self) -> Summary {
        *self.summary.lock()
    }

    /// Replaces it; `is_event_due` makes an event due. Process context.
    pub(crate) fn publish(&self, summary: Summary, is_event_due: bool) {
        *self.summary.lock() = summary;
        if is_event_due {
            self.changed.store(true, Release);
        }
    }

    /// Whether an event is due, and that it will be raised. Any context.
    pub(crate) fn take_changed(&self) -> bool {
        self.changed.xchg(false, Full)
    }
}
