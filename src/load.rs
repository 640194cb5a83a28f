// SPDX-License-Identifier: GPL-2.0

//! Making an instance ready for I/O: reading its metadata, or formatting them.

use crate::{
    context::Context,
    counters::Count,
    engine_memory,
    executor::machines::Machines,
    instance::Instance,
    main_sum::main_sum,
    metadata::{
        Store,
        Wire, //
    },
    nodes::Nodes,
    published_map::Map, //
};
use kernel::{
    alloc::AllocError,
    fmt,
    prelude::*, //
};
use kernel_ext::{
    noio::NoIo,
    random::random_bytes,
    slab::Effort, //
};
use remap_core::{
    engine::activate::{
        ReadOnlyFormat,
        Restored, //
    },
    geometry::Geometry,
    metadata::{
        array::{
            Array,
            Misfit, //
        },
        block::Block,
        journal::Journal,
        replay::Conflict,
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
    /// Main is not what it was when the array was shut down in order.
    MainChanged,
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

impl From<Conflict> for NotReady {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

impl From<Error> for NotReady {
    fn from(_: Error) -> Self {
        Self::NoMemory
    }
}

impl From<AllocError> for NotReady {
    fn from(_: AllocError) -> Self {
        Self::NoMemory
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
            Self::MainChanged => write!(
                f,
                "main was changed without the array: 'remapctl check' says what that means"
            ),
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

impl Instance {
    /// Reads the metadata, or formats them, if `claim` says that the array may be used. One caller
    /// at a time. Sleeps, as long as devices take.
    pub(crate) fn make_ready(
        &self,
        read_only: bool,
        claim: impl FnOnce(&Array) -> Result<(), NotReady>,
    ) -> Result<(), NotReady> {
        let ready = self.try_ready(read_only, claim);
        self.with_engine(|machines, _| machines.is_refused = ready.is_err());
        ready
    }

    fn try_ready(
        &self,
        read_only: bool,
        claim: impl FnOnce(&Array) -> Result<(), NotReady>,
    ) -> Result<(), NotReady> {
        let was_ready = self.with_engine(|machines, _| {
            machines.engine.set_writable(!read_only);
            machines.is_put_away = false;
            machines.engine.journal().is_some()
        });
        if !was_ready {
            // Bios may wait for the device to be resumed.
            NoIo::run(|| self.load(read_only, claim))?;
        }
        self.begin_writing(was_ready)
    }

    /// Reads the metadata, or says how they are to be formatted where there are none.
    fn load(
        &self,
        read_only: bool,
        claim: impl FnOnce(&Array) -> Result<(), NotReady>,
    ) -> Result<(), NotReady> {
        let mut block = KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?;
        let wire = &mut Wire::new()?;
        let ctx = &self.ctx;
        let mut store = Store { ctx, wire };
        let geometry = ctx.geometry();
        match choose(&mut store, &mut block, &geometry.regions()) {
            Ok(choice) => {
                choice.identity.array.fits(geometry)?;
                claim(&choice.identity.array)?;
                self.resume(&mut store, (&mut block, &choice))
            }
            Err(Refused::Blank) if read_only => Ok(()),
            Err(Refused::Blank) => {
                let array = new_array(geometry);
                claim(&array)?;
                let journal = Journal::format(array, &store, 0, random_session());
                self.with_engine(|machines, _| machines.engine.set_journal(Some(journal)));
                Ok(())
            }
            Err(refused) => Err(refused.into()),
        }
    }

    /// Reads the state of the region that was chosen, and goes on from it.
    fn resume(
        &self,
        store: &mut Store<'_>,
        (block, choice): (&mut Block, &Choice),
    ) -> Result<(), NotReady> {
        let ctx = &self.ctx;
        let home = ctx.lookup.node_replicas.nodes().next().ok_or(ENODEV)?;
        let nodes = Nodes::for_home(self.caches.clone(), home, ctx.lookup.filter.clone())?;
        let memory = (nodes, engine_memory::spares(ctx.geometry())?);
        let ready = |nodes: &mut Nodes| nodes.fill(Effort::All).map_err(|_| NotReady::NoMemory);
        let place = (block, choice);
        let (restored, standing) = Restored::read(ctx.geometry(), memory, store, place, ready)?;
        check_main(ctx, restored.map(), &standing)?;
        ctx.set_scan_position(standing.cursor);
        for (&count, &value) in Count::SURVIVE.iter().zip(&standing.counters) {
            ctx.lookup.counters.add(count, value);
        }
        self.scan.resume(ctx.lookup.counters.sum(Count::ScanPasses));
        let journal = Journal::resume(choice, random_session());
        let before = self.with_engine(|machines, _| {
            machines.restored = standing.counters;
            machines.has_main_sum = standing.end.is_some_and(|end| end.main_sum.is_some());
            machines.engine.activate(restored, journal)
        });
        // Without the lock.
        drop(before);
        self.restore_replicas();
        Ok(())
    }

    /// Brings all regions up to date and marks the array as in use, if the table may write. Sleeps.
    fn begin_writing(&self, was_ready: bool) -> Result<(), NotReady> {
        let group = self.with_engine(|machines, _| machines.engine.begin_writing());
        let begun = match group {
            Ok(Some(group)) if self.write_durable(group) => Ok(()),
            Ok(Some(_)) => Err(NotReady::Dead),
            Ok(None) => return Ok(()),
            Err(ReadOnlyFormat) => Err(NotReady::ReadOnlyFormat),
        };
        self.with_engine(|machines, ctx| machines.begun(ctx, was_ready, begun))
    }
}

/// Refuses main if somebody has changed it since the array was shut down in order. Sleeps, as long
/// as main takes.
fn check_main(ctx: &Context, map: &Map, standing: &Standing) -> Result<(), NotReady> {
    let Some(before) = standing.end.and_then(|end| end.main_sum) else {
        return Ok(());
    };
    match main_sum(ctx, map)? {
        Some(now) if now != before => Err(NotReady::MainChanged),
        Some(_) => Ok(()),
        // What cannot be read now may have become bad, for which the array is there.
        None => {
            pr_warn!(
                "{}: main cannot be read everywhere, so it is not known whether it was changed\n",
                ctx.name()
            );
            Ok(())
        }
    }
}

impl Machines {
    /// Forgets what was read, so that the next activation reads it anew.
    fn unload(&mut self, ctx: &Context) {
        self.engine.forget();
        self.has_main_sum = false;
        let restored = core::mem::take(&mut self.restored);
        for (&count, &value) in Count::SURVIVE.iter().zip(&restored) {
            ctx.lookup.counters.add(count, value.wrapping_neg());
        }
    }

    /// Takes note of whether the array is marked as in use, or of why not.
    fn begun(
        &mut self,
        ctx: &Context,
        was_ready: bool,
        begun: Result<(), NotReady>,
    ) -> Result<(), NotReady> {
        match begun {
            Ok(()) => self.has_main_sum = false,
            // A device that was in use goes on without its metadata. With a checksum in them, the
            // next activation would refuse main for what is written now.
            Err(NotReady::Dead) if was_ready && !self.has_main_sum => {}
            Err(reason) => {
                self.unload(ctx);
                return Err(reason);
            }
        }
        Ok(())
    }
}
