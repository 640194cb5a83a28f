// SPDX-License-Identifier: GPL-2.0

//! What the tables of one device share: its devices, its map and its repair.

use crate::{
    caches::Caches,
    counters::Count,
    filter::Filter,
    moment::Moment,
    published_map::{
        Map,
        Maps,
        NodeReplicas, //
    },
    repair::Repair,
    scan::Scan,
    settings::Settings,
    summary::RepairLock, //
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
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::{
    bio::BioSet,
    block_device::BlockDevice,
    device_mapper::{
        NewError,
        TableEvents, //
    },
    noio::NoIo,
    per_cpu::Counters,
    published::Published,
    ratelimit::Ratelimit, //
};
use remap_core::{
    geometry::{
        overlap,
        Area,
        Geometry, //
    },
    metadata::{
        array::Array,
        block::Role,
        storage::Region, //
    },
    region_layout::SPARE_REGIONS, //
};

/// On which sectors of which devices an instance stands.
pub(crate) struct Layout {
    /// The mapped device (see `Constructor::mapped_device`).
    pub(crate) mapped_device: usize,
    /// The first sector of the target within it.
    pub(crate) begin: u64,
    /// The main device.
    pub(crate) main: BlockDevice,
    /// The part of main that is mapped.
    pub(crate) main_area: Area,
    /// The spare device.
    pub(crate) spare: BlockDevice,
    /// The part of the spare device that is used.
    pub(crate) spare_area: Area,
    /// The units laid over both.
    pub(crate) geometry: Geometry,
}

impl Layout {
    /// Whether a table with `other` may take over from one with `self`.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.mapped_device == other.mapped_device
            && self.begin == other.begin
            && self.geometry == other.geometry
            && self.main.number() == other.main.number()
            && self.spare.number() == other.spare.number()
    }

    /// The device of a region of the metadata, and the region's first sector on it.
    pub(crate) fn region(&self, region: Region) -> Option<(&BlockDevice, u64)> {
        if let Some(&start) = self.geometry.spare_regions().get(region.0) {
            return Some((&self.spare, start));
        }
        let behind = self.main.sectors().saturating_sub(self.main_area.start);
        let places = self.geometry.regions().on_main(self.main_area.len, behind);
        let place = places.get(region.0.checked_sub(SPARE_REGIONS)?)?;
        Some((&self.main, self.geometry.on_main((*place)?)))
    }

    /// The sectors that are used, with those of the copies of the metadata on main if `array` has
    /// any.
    fn areas<'a>(
        &'a self,
        array: Option<&'a Array>,
    ) -> impl Iterator<Item = (&'a BlockDevice, Area)> + 'a {
        let both = [(&self.main, self.main_area), (&self.spare, self.spare_area)];
        let len = self.geometry.regions().region_sectors();
        let has_copies = array.is_some_and(Array::on_main);
        let copies = Region::all().filter(move |region| has_copies && region.role() == Role::MAIN);
        let copies = copies.filter_map(move |region| {
            let (device, start) = self.region(region)?;
            Some((device, Area { start, len }))
        });
        Iterator::chain(both.into_iter(), copies)
    }

    /// Whether both use a sector in common. What is known of their arrays says which have copies of
    /// the metadata on main.
    pub(crate) fn collides(
        &self,
        array: Option<&Array>,
        other: &Self,
        other_array: Option<&Array>,
    ) -> bool {
        let mut own = self.areas(array);
        own.any(|a| other.areas(other_array).any(|b| share_sectors(a, b)))
    }
}

/// Whether two areas, perhaps on partitions, share a sector of a disk.
pub(crate) fn share_sectors(a: (&BlockDevice, Area), b: (&BlockDevice, Area)) -> bool {
    let on_disk = |(device, area): (&BlockDevice, Area)| Area {
        start: area.start.saturating_add(device.start_on_disk()),
        len: area.len,
    };
    a.0.same_disk(b.0) && overlap(on_disk(a), on_disk(b))
}

/// One remap device, whichever table stands for it at the moment.
///
/// Lock order: the registry's, then `repair` and its summary, then `events` and `refusal`.
#[pin_data]
pub(crate) struct Instance {
    layout: Layout,
    /// The map as the I/O path reads it, for each node; `repair` holds the one that is changed.
    #[pin]
    pub(crate) maps: Published<Maps>,
    /// Whose map this CPU uses.
    pub(crate) node_replicas: NodeReplicas,
    /// Where the map has nothing.
    pub(crate) filter: Arc<Filter>,
    pub(crate) counters: Counters<Count>,
    #[pin]
    pub(crate) bios: BioSet,
    #[pin]
    pub(crate) repair: RepairLock,
    /// What the counters stood at when `stats reset` came.
    #[pin]
    pub(crate) reset_at: Mutex<[u64; Count::ALL.len()]>,
    /// Set while no I/O may be done on our own account.
    suspended: AtomicFlag,
    read_only: AtomicFlag,
    scan_position: Atomic<u64>,
    pub(crate) scan: Arc<Scan>,
    /// What the breaker is, for those who do not hold the lock.
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

impl Instance {
    /// Makes one for `layout` with memory of `caches`. May sleep.
    pub(crate) fn new(layout: Layout, caches: &Arc<Caches>) -> Result<Arc<Self>, NewError> {
        let memory = |error| NewError::new(c"out of memory", error);
        let filter = Filter::new(&layout.geometry).map_err(memory)?;
        let filter = Arc::new(filter, GFP_KERNEL).map_err(|error| memory(error.into()))?;
        let node_replicas = NodeReplicas::new().map_err(|error| memory(error.into()))?;
        let repair = Repair::new(&layout.geometry, caches, &node_replicas, filter.clone())
            .map_err(memory)?;
        let counters = Counters::new().map_err(memory)?;
        let maps = Published::new(Maps::EMPTY).map_err(memory)?;
        let scan = Scan::new(&layout.geometry).map_err(memory)?;
        Arc::pin_init(
            try_pin_init!(Self {
                layout,
                maps <- maps,
                node_replicas,
                filter,
                counters,
                bios <- BioSet::new(4),
                repair <- RepairLock::new(repair),
                reset_at <- new_mutex!([0; Count::ALL.len()], "dm_remap::reset_at"),
                suspended: AtomicFlag::new(true),
                read_only: AtomicFlag::new(true),
                scan_position: Atomic::new(0),
                scan,
                tripped: AtomicFlag::new(false),
                short: AtomicFlag::new(false),
                events <- new_mutex!(None, "dm_remap::events"),
                refusal <- new_mutex!([0; 200], "dm_remap::refusal"),
                log <- Ratelimit::new(),
                made: Moment::now(),
            }? Error),
            GFP_KERNEL,
        )
        .map_err(memory)
    }

    /// The map that this CPU uses.
    pub(crate) fn map_of<'a>(&self, maps: &'a Maps) -> &'a Map {
        maps.at(self.node_replicas.here())
    }

    /// The map as it is published now. Sleeps, but waits for no device.
    pub(crate) fn published_map(&self) -> Map {
        self.map_of(&self.maps.read()).clone()
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.layout.geometry
    }

    /// A sector of the target as the mapped device counts.
    pub(crate) fn mapped(&self, sector: u64) -> u64 {
        self.layout.begin.saturating_add(sector)
    }

    /// What its messages in the kernel log begin with: the main device's number.
    pub(crate) fn name(&self) -> Name {
        Name(self.layout.main.number())
    }

    pub(crate) fn main(&self) -> &BlockDevice {
        &self.layout.main
    }

    pub(crate) fn spare(&self) -> &BlockDevice {
        &self.layout.spare
    }

    /// How long it has lived.
    pub(crate) fn milliseconds(&self) -> u64 {
        self.made.milliseconds()
    }

    /// From now on I/O on our own account is refused, long work ends early, and nothing waits for a spare
    /// unit. Sleeps.
    pub(crate) fn stop(&self) {
        self.suspended.store(true, Release);
        self.repair.lock().requeue_parked();
    }

    /// Waits until what was begun before [`Self::stop`] is done. Sleeps.
    pub(crate) fn wait_stopped(&self) {
        NoIo::run(|| {
            let mut repair = self.repair.lock();
            repair.put_back_spares();
            if !self.is_read_only() {
                repair.put_away(self);
            }
        });
        self.tell_changes();
    }

    /// I/O on our own account is allowed, on behalf of a table that is told of events,
    /// and with its settings. Sleeps.
    pub(crate) fn start(&self, read_only: bool, events: TableEvents, settings: &Settings) {
        *self.events.lock() = Some(events);
        let limit = settings.limit();
        let mut repair = self.repair.lock();
        repair.breaker.set_limit(limit);
        repair.breaker.set_budget(settings.budget());
        repair.policy = settings.policy();
        repair.parked.start(settings.patience());
        drop(repair);
        self.read_only.store(read_only, Release);
        self.suspended.store(false, Release);
    }

    /// Allows I/O on our own account again after a [`Self::stop`] that came to nothing.
    pub(crate) fn go_on(&self) {
        self.suspended.store(false, Release);
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended.load(Acquire)
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only.load(Acquire)
    }

    /// Takes note of whether the breaker is open.
    pub(crate) fn set_tripped(&self, open: bool) {
        self.tripped.store(open, Release);
    }

    pub(crate) fn is_tripped(&self) -> bool {
        self.tripped.load(Acquire)
    }

    /// Takes note of whether memory is short.
    pub(crate) fn set_short(&self, short: bool) {
        self.short.store(short, Release);
    }

    /// Whether units may be read, and moved, on behalf of a scan.
    pub(crate) fn may_scan(&self) -> bool {
        !self.is_suspended() && !self.is_tripped() && !self.short.load(Acquire)
    }

    /// Says that the scan could not be begun, or ended by itself. Sleeps.
    pub(crate) fn note_scan_failed(&self, error: Error) {
        pr_err!("{}: no scan: error {}\n", self.name(), error.to_errno());
        self.repair.lock().note_change();
    }

    /// The unit up to which a pass of the scan has read.
    pub(crate) fn scan_position(&self) -> u64 {
        self.scan_position.load(Relaxed)
    }

    /// Has the next commit remember the position of the scan.
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

    /// Tells whoever waits for an event if there is something to tell. Sleeps.
    pub(crate) fn tell_changes(&self) {
        if self.repair.take_changed() {
            self.raise_event();
        }
    }

    /// Tells whoever waits for an event. Sleeps.
    fn raise_event(&self) {
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
