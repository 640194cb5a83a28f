// SPDX-License-Identifier: GPL-2.0

//! What all parts of an instance share, whichever lock they hold.
//!
//! The fast path, the executor and the scan get a reference to it in place of the
//! instance, which is composed of them.

use crate::{
    counters::Count,
    layout::Layout,
    lookup::Lookup,
    moment::Moment,
    node_services::NodeServices,
    summary::{
        PublishedSummary,
        Summary, //
    }, //
};
use kernel::{
    fmt,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            AtomicFlag,
            Relaxed,
            Release, //
        },
        Mutex, //
    }, //
};
use kernel_ext::{
    bio::BioSet,
    block_device::BlockDevice,
    device_mapper::TableEvents,
    ratelimit::Ratelimit, //
};
use remap_core::geometry::Geometry;

/// How much I/O of our own can be in flight whatever happens, and as much on behalf of clients.
const BIOS: u32 = 2;

/// The part of an instance that is below its repair and its scan.
///
/// Lock order: the locks here come last, and none is held while another is taken.
#[pin_data]
pub(crate) struct Context {
    layout: Layout,
    #[pin]
    pub(crate) lookup: Lookup,
    /// For I/O on our own account.
    #[pin]
    pub(crate) bios: BioSet,
    /// For I/O on behalf of those who submitted a bio, who may have to wait for their limits.
    #[pin]
    pub(crate) client_bios: BioSet,
    /// What is published of the engine.
    #[pin]
    summary: PublishedSummary,
    /// What is published of the replicas of the map.
    #[pin]
    pub(crate) services: NodeServices,
    /// What the counters stood at when `stats reset` came.
    #[pin]
    pub(crate) reset_at: Mutex<[u64; Count::ALL.len()]>,
    /// Set while no I/O may be done on our own account.
    suspended: AtomicFlag,
    read_only: AtomicFlag,
    scan_position: Atomic<u64>,
    /// Whether the breaker is open, for those who do not hold the lock of the engine.
    tripped: AtomicFlag,
    /// Whether memory is short, for them.
    short: AtomicFlag,
    #[pin]
    events: Mutex<Option<TableEvents>>,
    #[pin]
    pub(crate) refusal: Mutex<[u8; 200]>,
    #[pin]
    pub(crate) log: Ratelimit,
    made: Moment,
}

impl Context {
    /// Makes one for `layout`, which publishes `summary` first. May sleep.
    pub(crate) fn new(
        layout: Layout,
        lookup: impl PinInit<Lookup, Error>,
        summary: Summary,
    ) -> Result<impl PinInit<Self, Error>> {
        let services = NodeServices::new()?;
        Ok(try_pin_init!(Self {
            layout,
            lookup <- lookup,
            bios <- BioSet::new(BIOS),
            client_bios <- BioSet::for_parts(BIOS),
            summary <- PublishedSummary::new(summary),
            services <- services,
            reset_at <- new_mutex!([0; Count::ALL.len()], "dm_remap::reset_at"),
            suspended: AtomicFlag::new(true),
            read_only: AtomicFlag::new(true),
            scan_position: Atomic::new(0),
            tripped: AtomicFlag::new(false),
            short: AtomicFlag::new(false),
            events <- new_mutex!(None, "dm_remap::events"),
            refusal <- new_mutex!([0; 200], "dm_remap::refusal"),
            log <- Ratelimit::new(),
            made: Moment::now(),
        }? Error))
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        self.lookup.geometry()
    }

    /// A sector of the target as the mapped device counts.
    pub(crate) fn mapped(&self, sector: u64) -> u64 {
        self.layout.begin.saturating_add(sector)
    }

    /// What messages in the kernel log begin with: the main device's number.
    pub(crate) fn name(&self) -> Name {
        Name(self.layout.main.number())
    }

    pub(crate) fn main(&self) -> &BlockDevice {
        &self.layout.main
    }

    pub(crate) fn spare(&self) -> &BlockDevice {
        &self.layout.spare
    }

    /// How long the instance has lived. Any context.
    pub(crate) fn milliseconds(&self) -> u64 {
        self.made.milliseconds()
    }

    /// Allows or forbids I/O on our own account. Any context.
    pub(crate) fn set_suspended(&self, suspended: bool) {
        self.suspended.store(suspended, Release);
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended.load(Acquire)
    }

    /// Takes note of whether the table may write. Any context.
    pub(crate) fn set_read_only(&self, read_only: bool) {
        self.read_only.store(read_only, Release);
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only.load(Acquire)
    }

    /// Takes note of whether the breaker is open. Any context.
    pub(crate) fn set_tripped(&self, open: bool) {
        self.tripped.store(open, Release);
    }

    pub(crate) fn is_tripped(&self) -> bool {
        self.tripped.load(Acquire)
    }

    /// Takes note of whether memory is short. Any context.
    pub(crate) fn set_short(&self, short: bool) {
        self.short.store(short, Release);
    }

    /// Whether units may be read, and moved, on behalf of a scan. Any context.
    pub(crate) fn may_scan(&self) -> bool {
        !self.is_suspended() && !self.is_tripped() && !self.short.load(Acquire)
    }

    /// The unit up to which a pass of the scan has read. Any context.
    pub(crate) fn scan_position(&self) -> u64 {
        self.scan_position.load(Relaxed)
    }

    /// Has the next commit remember the position of the scan. Any context.
    pub(crate) fn set_scan_position(&self, unit: u64) {
        self.scan_position.store(unit, Relaxed);
    }

    /// Says that a sector of the spare that is in use cannot be read.
    pub(crate) fn tell_unreadable_spare(&self, sector: u64) {
        if self.log.allows() {
            pr_err!(
                "{}: sector {} of the spare cannot be read\n",
                self.name(),
                sector
            );
        }
    }

    /// What was published last of the engine. Sleeps, but waits for no device.
    pub(crate) fn summary(&self) -> Summary {
        self.summary.get()
    }

    /// Publishes how the engine is; `is_event_due` makes an event due. Only the holder of its lock
    /// calls this. Sleeps, but waits for no device.
    pub(crate) fn publish(&self, summary: Summary, is_event_due: bool) {
        self.summary.publish(summary, is_event_due);
    }

    /// Has events go to this table. Sleeps.
    pub(crate) fn set_events(&self, events: TableEvents) {
        *self.events.lock() = Some(events);
    }

    /// Raises an event if one is due. Sleeps.
    pub(crate) fn tell_changes(&self) {
        if !self.summary.take_changed() {
            return;
        }
        let events = self.events.lock().clone();
        if let Some(events) = events {
            events.raise();
        }
    }
}

/// An instance, as the kernel log names it.
pub(crate) struct Name((u32, u32));

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "remap of {}:{}", self.0 .0, self.0 .1)
    }
}
