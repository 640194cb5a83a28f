// SPDX-License-Identifier: GPL-2.0

//! Making an instance ready for I/O: reading its metadata, or formatting them.

use crate::{
    context::Context,
    counters::Count,
    metadata::Store,
    published_map::Map,
    repair::Repair,
    scan::Scan, //
};
use kernel::{
    fmt,
    prelude::*, //
};
use kernel_ext::random::random_bytes;
use remap_core::{
    geometry::{
        Geometry,
        Unit, //
    },
    metadata::{
        array::{
            Array,
            Misfit, //
        },
        journal::{
            Dead,
            Journal, //
        },
        load::load,
        record::Record,
        replay::{
            Conflict,
            Replay, //
        },
        standing::Standing,
        survey::{
            choose,
            Choice,
            Refused, //
        },
        uuid::Uuid, //
    }, //
};

/// Why an instance cannot be made ready.
#[derive(Clone, Copy)]
pub(crate) enum NotReady {
    /// The metadata cannot be used.
    Refused(Refused),
    /// A record cannot be applied.
    Conflict(Conflict),
    /// The metadata are for something else.
    Misfit(Misfit),
    /// The metadata may only be read.
    ReadOnlyFormat,
    /// The array is active already.
    Active(Uuid),
    /// The copies of the metadata on main lie on sectors of another remap device.
    CopiesInUse,
    /// The metadata cannot be written.
    Dead,
    /// No memory.
    NoMemory,
}

impl From<Refused> for NotReady {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Misfit> for NotReady {
    fn from(misfit: Misfit) -> Self {
        Self::Misfit(misfit)
    }
}

impl From<Dead> for NotReady {
    fn from(_: Dead) -> Self {
        Self::Dead
    }
}

impl NotReady {
    /// The error number that the caller of `dmsetup resume` gets.
    pub(crate) fn error(&self) -> Error {
        match self {
            Self::Refused(Refused::Unreadable | Refused::Changed) | Self::Dead => EIO,
            Self::Conflict(Conflict::OutOfMemory) | Self::NoMemory => ENOMEM,
            Self::ReadOnlyFormat => EROFS,
            Self::Active(_) | Self::CopiesInUse => EBUSY,
            _ => EINVAL,
        }
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => write!(f, "{refused}"),
            Self::Conflict(Conflict::OutOfMemory) | Self::NoMemory => write!(f, "out of memory"),
            Self::Conflict(conflict) => {
                write!(f, "the metadata contradict themselves ({conflict:?})")
            }
            Self::Misfit(misfit) => write!(f, "{misfit}"),
            Self::ReadOnlyFormat => {
                write!(f, "the metadata have features that allow reading only")
            }
            Self::Active(uuid) => write!(f, "array {uuid} is active already"),
            Self::CopiesInUse => {
                write!(f, "the metadata on main are in use by another remap device")
            }
            Self::Dead => write!(f, "no copy of the metadata can be written"),
        }
    }
}

/// A new array, as the table describes it.
fn new_array(geometry: &Geometry) -> Array {
    Array {
        uuid: Uuid::from_random(random_bytes()),
        main: Uuid::NIL,
        spare: Uuid::from_random(random_bytes()),
        // A unit has at most 64 blocks of 4096 bytes.
        unit_sectors: geometry.unit_sectors() as u32,
        block_sectors: geometry.block_sectors() as u32,
        main_sectors: geometry.sectors(),
        spare_sectors: geometry.spare_sectors(),
    }
}

/// What tells the commits of one activation from those of any other.
fn random_session() -> u64 {
    u64::from_le_bytes(random_bytes())
}

impl Repair {
    /// Reads the metadata, formats them where there are none, and brings all regions up to date. A
    /// read-only table reads and writes nothing. Sleeps.
    ///
    /// `scan` is told how many passes there were, and `claim` is asked whether the array may be
    /// used.
    pub(crate) fn make_ready(
        &mut self,
        ctx: &Context,
        scan: &Scan,
        read_only: bool,
        claim: impl FnOnce(&Array) -> Result<(), NotReady>,
    ) -> Result<(), NotReady> {
        let was_ready = self.metadata.journal.is_some();
        self.metadata.is_writable = !read_only;
        if !was_ready {
            self.load(ctx, scan, read_only, claim)?;
        }
        if read_only || self.metadata.frozen {
            return Ok(());
        }
        match self.begin_writing(ctx) {
            // A device that was in use goes on without its metadata.
            Err(NotReady::Dead) if was_ready => Ok(()),
            Err(reason) if !was_ready => {
                self.unload(ctx);
                Err(reason)
            }
            other => other,
        }
    }

    /// Forgets what was read, so that the next activation reads it anew.
    fn unload(&mut self, ctx: &Context) {
        self.metadata.journal = None;
        self.metadata.frozen = false;
        let restored = core::mem::take(&mut self.metadata.restored);
        for (&count, &value) in Count::SURVIVE.iter().zip(&restored) {
            ctx.counters.add(count, value.wrapping_neg());
        }
        self.spares.clear();
        self.magazines.forget();
        self.withheld.clear();
        (self.suspects, self.lost_blocks) = (0, 0);
        self.map = Map::new();
        self.shown.copy(&self.map);
        // Without memory for it the old one is published, which nobody reads: the device is not
        // resumed.
        let _ = self.show_all(ctx);
    }

    /// Brings all regions up to date and marks the array as in use.
    fn begin_writing(&mut self, ctx: &Context) -> Result<(), NotReady> {
        let journal = self.metadata.journal.as_ref().ok_or(NotReady::Dead)?;
        if !journal.may_write() {
            return Err(NotReady::ReadOnlyFormat);
        }
        self.metadata.try_again();
        self.keep_checkpoints(ctx)?;
        self.commit(ctx, &[], false)?;
        Ok(())
    }

    /// Notes that the device is shut down in order. Sleeps.
    pub(crate) fn put_away(&mut self, ctx: &Context) {
        if self.metadata.journal.is_some() && !self.metadata.frozen {
            // What fails is said there.
            let _ = self
                .keep_checkpoints(ctx)
                .and_then(|()| self.commit(ctx, &[], true));
        }
    }

    fn load(
        &mut self,
        ctx: &Context,
        scan: &Scan,
        read_only: bool,
        claim: impl FnOnce(&Array) -> Result<(), NotReady>,
    ) -> Result<(), NotReady> {
        let geometry = ctx.geometry();
        let metadata = &mut self.metadata;
        let wire = &mut metadata.wire;
        wire.forget();
        let mut store = Store { ctx, wire };
        match choose(&mut store, &mut metadata.block, &geometry.regions()) {
            Ok(choice) => {
                choice.identity.array.fits(geometry)?;
                claim(&choice.identity.array)?;
                let standing = self.replay(ctx, &choice)?;
                self.show_loaded(ctx, scan, &standing)?;
                self.metadata.journal = Some(Journal::resume(&choice, random_session()));
                Ok(())
            }
            Err(Refused::Blank) if read_only => Ok(()),
            Err(Refused::Blank) => {
                let array = new_array(geometry);
                claim(&array)?;
                metadata.journal = Some(Journal::format(array, &store, 0, random_session()));
                Ok(())
            }
            Err(refused) => Err(refused.into()),
        }
    }

    /// Reads the state into an empty map.
    fn replay(&mut self, ctx: &Context, choice: &Choice) -> Result<Standing, NotReady> {
        let geometry = ctx.geometry();
        let mut replay = Replay::default();
        self.spares.clear();
        self.magazines.forget();
        let Self {
            metadata,
            nodes,
            spares,
            ..
        } = self;
        let wire = &mut metadata.wire;
        let mut store = Store { ctx, wire };
        let each = |record: Record| {
            nodes.fill().map_err(|_| NotReady::NoMemory)?;
            let applied = replay.apply(geometry, nodes, spares, record);
            applied.map_err(NotReady::Conflict)
        };
        let standing = load(&mut store, &mut metadata.block, choice, each)?;
        self.nodes.fill().map_err(|_| NotReady::NoMemory)?;
        let map = replay.finish(&mut self.nodes);
        self.map = map.map_err(NotReady::Conflict)?;
        Ok(standing)
    }

    /// Makes what was read the state of the instance.
    fn show_loaded(
        &mut self,
        ctx: &Context,
        scan: &Scan,
        standing: &Standing,
    ) -> Result<(), NotReady> {
        self.nodes.fill().map_err(|_| NotReady::NoMemory)?;
        let map = self.map.clone();
        (self.lost_blocks, self.suspects) = (0, 0);
        for (unit, entry) in map.iter_from(Unit(0)) {
            self.count_entry(
                Some(entry),
                ctx.geometry().blocks_of(unit),
                u64::wrapping_add,
            );
        }
        self.shown.copy(&self.map);
        self.show_all(ctx).map_err(|_| NotReady::NoMemory)?;
        ctx.set_scan_position(standing.cursor);
        for (&count, &value) in Count::SURVIVE.iter().zip(&standing.counters) {
            ctx.counters.add(count, value);
        }
        self.metadata.restored = standing.counters;
        scan.resume(ctx.counters.sum(Count::ScanPasses));
        Ok(())
    }
}
