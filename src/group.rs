// SPDX-License-Identifier: GPL-2.0

//! What relocations that arrive together add to one commit.

use crate::bio_context::BioContext;
use kernel::{
    alloc::AllocError,
    prelude::*, //
};
use kernel_ext::device_mapper::{
    BioQueue,
    OwnedBio, //
};
use remap_core::{
    geometry::{
        Geometry,
        SpareUnit,
        Unit, //
    },
    metadata::record::{
        Record,
        PER_COMMIT, //
    }, //
};

/// How many units may be pending.
const UNITS: usize = 32;
/// The most records that one more relocation adds: itself, and the spare units it gave up.
const RECORDS: usize = 16;

/// What the next commit will make durable.
pub(crate) struct Group {
    /// The units of which it says something.
    pub(crate) units: KVec<Unit>,
    pub(crate) records: KVec<Record>,
    /// Spare units that are free once the commit is durable.
    pub(crate) freed: KVec<SpareUnit>,
    /// Bios that are acknowledged once it is.
    pub(crate) waiting: BioQueue<BioContext>,
}

impl Group {
    /// Allocates room. May sleep.
    pub(crate) fn new() -> Result<Self, AllocError> {
        Ok(Self {
            units: KVec::with_capacity(UNITS, GFP_KERNEL)?,
            records: KVec::with_capacity(PER_COMMIT, GFP_KERNEL)?,
            freed: KVec::with_capacity(UNITS, GFP_KERNEL)?,
            waiting: BioQueue::new(),
        })
    }

    /// Whether one more relocation may not fit.
    pub(crate) fn is_full(&self) -> bool {
        self.units.len() >= UNITS
            || self.freed.len() >= UNITS
            || self.records.len() + RECORDS > PER_COMMIT
    }

    /// Whether the next commit says something of `unit`.
    pub(crate) fn has(&self, unit: Unit) -> bool {
        self.units.contains(&unit)
    }

    /// Whether it says something of a unit of the bio.
    pub(crate) fn concerns(&self, geometry: &Geometry, bio: &OwnedBio<BioContext>) -> bool {
        let sectors = bio.sectors();
        let (first, end) = (geometry.unit_of(sectors.start), sectors.end);
        self.units
            .iter()
            .any(|&unit| unit >= first && geometry.sectors_of(unit).start < end)
    }
}

/// What becomes of a unit if its commit cannot be made durable for certain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// It is as it was: the next load finds its data either way.
    Unchanged,
    /// It is as it was, but cannot be written: the next load may look for it elsewhere.
    Stuck,
    /// It can be neither read nor written: the next load may find what it held before or what was
    /// written.
    Unknown,
}
