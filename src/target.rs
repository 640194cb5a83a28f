// SPDX-License-Identifier: GPL-2.0

//! One line of a table: its constructor, its map function and its life cycle.

use crate::{
    bio_context::BioContext,
    context::Context,
    counters::Count,
    delayed::Delayed,
    errors,
    executor::{
        crew::Crew,
        delayed_tasks::ScanStart, //
    },
    layout::{
        share_sectors,
        Layout, //
    },
    messages,
    published_map::Maps,
    registry::{
        Registry,
        Share, //
    },
    settings::Settings,
    status,
    version, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use kernel_ext::{
    bio::{
        Op,
        Status, //
    },
    block_device::BlockDevice,
    device_mapper::{
        Args,
        Constructor,
        DeviceId,
        DeviceVisitor,
        EndBio,
        Ended,
        MapBio,
        Mapped,
        NewError,
        QueueLimits,
        StatusKind,
        TableEvents,
        Target, //
    },
    published::Reading,
    text::Text,
    workqueue::RunsOn, //
};
use remap_core::{
    geometry::{
        self,
        Area,
        Geometry, //
    },
    plan::{
        plan,
        Access,
        Place, //
    },
    table::{
        Features,
        TableLine, //
    }, //
};

/// A target of type `remap`.
#[pin_data]
pub(crate) struct RemapTarget {
    /// Before the instance, which they use until they are dropped.
    crew: Arc<Crew>,
    scan_start: Delayed<ScanStart>,
    instance: Share,
    main: DeviceId,
    spare: DeviceId,
    read_only: bool,
    events: TableEvents,
    #[pin]
    settings: Settings,
}

/// What the core wants to know of a device.
fn described(device: &BlockDevice) -> geometry::Device {
    geometry::Device {
        logical_block: device.logical_block_size(),
        physical_block: device.physical_block_size(),
        sectors: device.sectors(),
    }
}

fn refused(reason: &'static CStr) -> NewError {
    NewError::new(reason, EINVAL)
}

/// Reads the words of a table line; the devices' names are words 0 and 2.
fn read_line(args: Args<'_>) -> Result<(TableLine<'_>, &CStr, &CStr), NewError> {
    if args.clone().any(|word| word.to_str().is_err()) {
        return Err(refused(c"arguments are not UTF-8 text"));
    }
    let words = args.clone().filter_map(|word| word.to_str().ok());
    let line = TableLine::parse(words).map_err(|e| refused(e.reason()))?;
    let mut names = args;
    match (names.next(), names.nth(1)) {
        (Some(main), Some(spare)) => Ok((line, main, spare)),
        _ => Err(refused(c"device names missing")),
    }
}

/// What a table line asks for, held against its devices.
struct LaidOut {
    layout: Layout,
    main: DeviceId,
    spare: DeviceId,
    features: Features,
}

/// Opens both devices and lays the target over them.
fn lay_out(
    constructor: &mut Constructor<'_, Registry>,
    args: Args<'_>,
) -> Result<LaidOut, NewError> {
    let (line, main_name, spare_name) = read_line(args)?;
    let (main_id, main) = constructor
        .open(main_name)
        .map_err(|e| NewError::new(c"cannot open main device", e))?;
    let (spare_id, spare) = constructor
        .open(spare_name)
        .map_err(|e| NewError::new(c"cannot open spare device", e))?;
    if !constructor.is_read_only() {
        if main.is_read_only() {
            return Err(NewError::new(
                c"main device is read-only and the table is not",
                EROFS,
            ));
        }
        if spare.is_read_only() {
            return Err(NewError::new(
                c"spare device is read-only and the table is not",
                EROFS,
            ));
        }
    }
    if main.is_zoned() || spare.is_zoned() {
        return Err(refused(c"zoned devices are not supported"));
    }
    let main_area = Area {
        start: line.main_start,
        len: constructor.sectors(),
    };
    let spare_area = line.spare_area();
    let unit = line.features.unit;
    let (main_kind, spare_kind) = (described(&main), described(&spare));
    let geometry = Geometry::new(main_kind, main_area, spare_kind, spare_area, unit)
        .map_err(|e| refused(e.reason()))?;
    if share_sectors((&main, main_area), (&spare, spare_area)) {
        return Err(refused(c"spare area overlaps main"));
    }
    let layout = Layout {
        mapped_device: constructor.mapped_device(),
        begin: constructor.begin(),
        main,
        main_area,
        spare,
        spare_area,
        geometry,
    };
    Ok(LaidOut {
        layout,
        main: main_id,
        spare: spare_id,
        features: line.features,
    })
}

#[vtable]
impl Target for RemapTarget {
    const NAME: &'static CStr = version::NAME;
    const VERSION: [u32; 3] = version::VERSION;
    const FLUSHES: u32 = 2;
    const NOWAIT: bool = true;

    type Shared = Registry;
    type PerBio = BioContext;

    fn new(
        constructor: &mut Constructor<'_, Registry>,
        args: Args<'_>,
    ) -> Result<Pin<KBox<Self>>, NewError> {
        let LaidOut {
            layout,
            main,
            spare,
            features,
        } = lay_out(constructor, args)?;
        if layout.main.takes_discards() {
            constructor.take_discards();
        }
        let instance = constructor.shared()?.share(layout)?;
        let crew = Crew::new(&instance).map_err(|e| NewError::new(c"cannot make workers", e))?;
        let scan_start = Delayed::new(RunsOn::System, ScanStart(instance.clone()))
            .map_err(|e| NewError::new(c"cannot make workers", e))?;
        let read_only = constructor.is_read_only();
        let events = constructor.events();
        let this = KBox::pin_init(
            pin_init!(Self {
                crew,
                scan_start,
                instance,
                main,
                spare,
                read_only,
                events,
                settings <- Settings::new(features),
            }),
            GFP_KERNEL,
        );
        this.map_err(|e| NewError::new(c"out of memory", e))
    }

    #[inline]
    fn map<'a>(&self, bio: MapBio<'a, BioContext>) -> Mapped<'a> {
        let ctx: &Context = &self.instance.ctx;
        let count = match bio.op() {
            Op::Read => Count::Reads,
            Op::Write | Op::WriteZeroes => Count::Writes,
            Op::Discard => Count::Discards,
            Op::Flush => return self.map_flush(bio),
            Op::Other => return bio.complete(Status::NOTSUPP),
        };
        ctx.lookup.counters.add(count, 1);
        let maps = ctx.lookup.maps.read();
        let sectors = bio.sectors();
        if !ctx.lookup.filter.is_clear(&sectors) {
            return self.map_by_entries(bio, maps, count);
        }
        let sector = ctx.geometry().on_main(sectors.start);
        bio.remap(self.main, sector, BioContext::within(maps))
    }

    #[inline(never)]
    fn failed<'a>(&self, mut bio: EndBio<'a, BioContext>, status: Status) -> Ended<'a> {
        let op = bio.op();
        if !errors::may_be_bad_sector(status, errors::request(op, bio.is_readahead())) {
            return bio.done();
        }
        let count = match op {
            Op::Read => Count::ReadErrors,
            _ => Count::WriteErrors,
        };
        self.instance.ctx.lookup.counters.add(count, 1);
        bio.per_bio().has_failed = true;
        let (bio, ended) = bio.take();
        self.crew.hand_over(bio);
        ended
    }

    fn presuspend(&self) {
        self.instance.scan.detach();
        self.instance.stop();
    }

    fn presuspend_undo(&self) {
        self.instance.go_on();
        self.instance.scan.attach(self.instance.clone());
    }

    fn postsuspend(&self) {
        self.instance.wait_stopped();
    }

    fn preresume(&self) -> Result {
        let ready = self.instance.make_ready(self.read_only);
        if ready.is_err() {
            // The device stays suspended, so that nobody else tells of it.
            self.events.raise();
        }
        ready
    }

    fn resume(&self) {
        self.instance.start(
            self.read_only,
            self.events.clone(),
            &self.settings,
            self.crew.clone(),
        );
        self.instance.scan.configure(&self.settings);
        self.instance.scan.attach(self.instance.clone());
        self.begin_scan();
        self.instance.ctx.tell_changes();
    }

    fn removed(&self) {
        self.instance.put_away();
    }

    fn status(&self, kind: StatusKind, out: &mut Text<'_>) {
        let _ = match kind {
            StatusKind::Info => status::info(&self.instance, out),
            StatusKind::Table => status::table(&self.instance.ctx, &self.settings, out),
            StatusKind::Ima => status::ima(&self.instance.ctx, out),
        };
    }

    fn message(&self, args: Args<'_>, out: &mut Text<'_>) -> Result {
        let served = messages::serve(&self.instance, &self.settings, args, out);
        self.begin_scan();
        served
    }

    fn iterate_devices(&self, visitor: &mut DeviceVisitor<'_>) {
        let layout = self.instance.ctx.layout();
        visitor.visit(self.main, layout.main_area.start, layout.main_area.len);
        visitor.visit(self.spare, layout.spare_area.start, layout.spare_area.len);
    }

    fn io_hints(&self, limits: &mut QueueLimits) {
        // A unit is the largest of a few block sizes: it fits.
        limits.raise_physical_block_size((self.instance.ctx.geometry().unit_sectors() << 9) as u32);
    }

    fn prepare_ioctl(&self) -> Option<DeviceId> {
        Some(self.main)
    }
}

impl RemapTarget {
    /// Sees to it that a scan begins that is due. Sleeps.
    fn begin_scan(&self) {
        if self.instance.scan.is_due() {
            self.scan_start.arm(0);
        }
    }

    /// Sends the beginning of a bio, which counts as `count`, where the entries of its units say.
    #[inline(never)]
    fn map_by_entries<'a>(
        &self,
        mut bio: MapBio<'a, BioContext>,
        maps: Reading<'_, Maps>,
        count: Count,
    ) -> Mapped<'a> {
        let access = match count {
            Count::Reads => Access::Read,
            Count::Writes => Access::Write,
            _ => Access::Discard,
        };
        let ctx: &Context = &self.instance.ctx;
        let geometry = ctx.geometry();
        let sectors = bio.sectors();
        let step = plan(geometry, ctx.lookup.map_of(&maps), access, &sectors);
        if !bio.accept(step.sectors) {
            return bio.complete(Status::NOTSUPP);
        }
        match step.place {
            Place::Main => {
                let sector = geometry.on_main(sectors.start);
                bio.remap(self.main, sector, BioContext::within(maps))
            }
            Place::Spare(_) if access == Access::Discard && !ctx.spare().takes_discards() => {
                bio.complete(Status::OK)
            }
            Place::Spare(unit) => {
                ctx.lookup.counters.add(Count::Redirected, 1);
                let sector = geometry.on_spare(unit, sectors.start);
                bio.remap(self.spare, sector, BioContext::within(maps))
            }
            Place::Lost => {
                ctx.lookup.counters.add(Count::LostReads, 1);
                bio.complete(Status::MEDIUM)
            }
            Place::Busy | Place::Repair if !bio.is_nowait() => {
                let (bio, mapped) = bio.take();
                self.crew.hand_over(bio);
                mapped
            }
            Place::Busy | Place::Repair => bio.complete(Status::AGAIN),
            Place::Refused => bio.complete(Status::IOERR),
        }
    }

    /// Sends the first copy of a flush to main, the second to the spare.
    fn map_flush<'a>(&self, bio: MapBio<'a, BioContext>) -> Mapped<'a> {
        self.instance.ctx.lookup.counters.add(Count::Flushes, 1);
        let device = match bio.flush_number() {
            0 => self.main,
            _ => self.spare,
        };
        bio.remap(device, 0, BioContext::default())
    }
}
