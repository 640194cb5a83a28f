// SPDX-License-Identifier: GPL-2.0

//! What is shown of an instance, and the lock of its repair, which publishes that.
//!
//! Whoever holds the repair lock may wait for a disk. So those that only look read a summary, which
//! is renewed whenever the lock is let go, and while it is held, whenever a commit is made or the
//! breaker opens.

use crate::repair::Repair;
use core::ops::{
    Deref,
    DerefMut, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            AtomicFlag,
            Full,
            Release, //
        },
        Mutex,
        MutexGuard, //
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
    fn of(repair: &Repair) -> Self {
        let Repair {
            spares, metadata, ..
        } = repair;
        let journal = metadata.journal.as_ref();
        Self {
            spares_used: spares.in_use(),
            spares_retired: spares.retired(),
            spares_total: spares.units(),
            is_exhausted: spares.is_exhausted(),
            spares_aside: spares.aside(),
            suspects: repair.suspects,
            lost_blocks: repair.lost_blocks,
            cache: repair.magazines.used(),
            breaker: repair.breaker,
            spares_free: repair.free_spares(),
            array: journal.map(|journal| (journal.array().uuid, journal.generation())),
            regions: metadata.regions(),
            is_frozen: metadata.frozen,
            is_short: repair.is_short(),
            recovery_due: repair.recovery_due(),
            nodes_put_aside: repair.nodes.put_aside(),
            writes_parked: repair.parked.count(),
        }
    }

    /// How the instance is, in one word; the gravest that applies.
    pub(crate) fn health(&self) -> &'static str {
        let (good, total) = self.regions;
        if self.is_frozen {
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

/// The lock of the repair, and what is published of what it protects.
#[pin_data]
pub(crate) struct RepairLock {
    #[pin]
    repair: Mutex<Repair>,
    /// Held to copy it and no longer: never while a device is waited for.
    #[pin]
    summary: Mutex<Summary>,
    /// Something happened that an administrator must know.
    changed: AtomicFlag,
}

impl RepairLock {
    pub(crate) fn new(repair: Repair) -> impl PinInit<Self> {
        let summary = Summary::of(&repair);
        pin_init!(Self {
            repair <- new_mutex!(repair, "dm_remap::repair"),
            summary <- new_mutex!(summary, "dm_remap::summary"),
            changed: AtomicFlag::new(false),
        })
    }

    /// Takes the lock. Sleeps, perhaps for as long as a disk takes over what its holder does.
    pub(crate) fn lock(&self) -> RepairGuard<'_> {
        RepairGuard {
            lock: self,
            repair: self.repair.lock(),
        }
    }

    /// What was published last. Sleeps, but waits for no device.
    pub(crate) fn summary(&self) -> Summary {
        *self.summary.lock()
    }

    /// Publishes how things are, for the holder of the lock. Sleeps.
    pub(crate) fn publish(&self, repair: &mut Repair) {
        *self.summary.lock() = Summary::of(repair);
        if repair.take_changed() {
            self.changed.store(true, Release);
        }
    }

    /// Whether an event is due, and that it will be raised. Any context.
    pub(crate) fn take_changed(&self) -> bool {
        self.changed.xchg(false, Full)
    }
}

/// The repair, while it is locked.
pub(crate) struct RepairGuard<'a> {
    lock: &'a RepairLock,
    repair: MutexGuard<'a, Repair>,
}

impl Deref for RepairGuard<'_> {
    type Target = Repair;

    fn deref(&self) -> &Repair {
        &self.repair
    }
}

impl DerefMut for RepairGuard<'_> {
    fn deref_mut(&mut self) -> &mut Repair {
        &mut self.repair
    }
}

impl Drop for RepairGuard<'_> {
    fn drop(&mut self) {
        self.lock.publish(&mut self.repair);
    }
}
