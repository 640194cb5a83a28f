// SPDX-License-Identifier: GPL-2.0

//! What came of machines that somebody waits for.

use kernel::{
    new_condvar,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        CondVar,
        Mutex, //
    }, //
};
use remap_core::{
    engine::{
        relocation,
        unrelocation, //
    },
    geometry::Unit, //
};

/// What came of a machine.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// Of a relocation.
    Relocation(relocation::Outcome),
    /// Of an unrelocation.
    Unrelocation(unrelocation::Outcome),
    /// Of a finding: whether the unit is a suspect that was none.
    Finding { is_new: bool },
}

/// What came of some machines, in the order of their units.
#[pin_data]
pub(crate) struct Report {
    #[pin]
    outcomes: Mutex<KVec<(Unit, Outcome)>>,
    #[pin]
    added: CondVar,
}

impl Report {
    /// Of at most so many machines. May sleep.
    pub(crate) fn new(count: usize) -> Result<Arc<Self>> {
        let outcomes = KVec::with_capacity(count, GFP_KERNEL)?;
        Arc::pin_init(
            pin_init!(Self {
                outcomes <- new_mutex!(outcomes, "dm_remap::report"),
                added <- new_condvar!("dm_remap::report_added"),
            }),
            GFP_KERNEL,
        )
    }

    /// Takes note of what came of a machine. Sleeps.
    pub(crate) fn add(&self, unit: Unit, outcome: Outcome) {
        // There is room for as many as were begun.
        let mut outcomes = self.outcomes.lock();
        let behind = outcomes.iter().position(|(other, _)| *other > unit);
        let at = behind.unwrap_or(outcomes.len());
        let _ = outcomes.insert_within_capacity(at, (unit, outcome));
        drop(outcomes);
        self.added.notify_all();
    }

    /// What came of `count` machines, in the order of their units, once all have ended. Sleeps.
    pub(crate) fn wait(&self, count: usize) -> KVec<(Unit, Outcome)> {
        let mut outcomes = self.outcomes.lock();
        while outcomes.len() < count {
            self.added.wait(&mut outcomes);
        }
        core::mem::take(&mut *outcomes)
    }
}
