// SPDX-License-Identifier: GPL-2.0

//! What the I/O path cannot do by itself: bios that failed or that met a unit which is not just
//! there.
//!
//! All of it runs under one lock, piece by piece and synchronously. Whoever holds the lock is the
//! only one that changes the map, so a unit's entry cannot change under it. I/O that other tasks
//! have in flight is shut out by marking the unit busy, which `relocate.rs` does.

use crate::{
    bio_context::{
        BioContext,
        Failing,
        Tried, //
    },
    caches::Caches,
    context::Context,
    counters::Count,
    errors::bad_sector,
    filter::Filter,
    group::{
        Group,
        OnFailure, //
    },
    layout::bytes_from,
    metadata::Metadata,
    nodes::Nodes,
    parked::Parked,
    published_map::{
        Map,
        NodeReplicas, //
    },
    replicas::Replicas,
    summary::Summary, //
};
use core::ops::Range;
use kernel::{
    cpu::nr_cpu_ids,
    prelude::*,
    sync::Arc, //
};
use kernel_ext::{
    bio::{
        Buffer,
        Op,
        Status,
        Transfer, //
    },
    block_device::BlockDevice,
    device_mapper::OwnedBio, //
};
use remap_core::{
    blocks::Blocks,
    breaker::{
        Breaker,
        Budget,
        Limit, //
    },
    geometry::{
        Geometry,
        SpareUnit,
        Unit, //
    },
    index::{
        Entry,
        Gate,
        OutOfMemory,
        State, //
    },
    magazines::{
        Magazine,
        Magazines, //
    },
    spares::{
        words_for,
        Spares, //
    },
    table::Policy, //
};

/// How many spare units are remembered that are free as soon as all regions of the metadata have
/// all commits.
const MOST_WITHHELD: usize = 1024;
/// How many suspects are kept; a disk that fails everywhere must not fill memory.
const MAX_SUSPECTS: u64 = 1 << 16;

/// The state that only the holder of the repair lock sees.
pub(crate) struct Repair {
    /// The map as it is once the next commit is durable (see `commit.rs`).
    pub(crate) map: Map,
    /// The map as it is published.
    pub(crate) shown: Replicas,
    /// The map as it is if the next commit cannot be made.
    pub(crate) fallback: Map,
    pub(crate) group: Group,
    pub(crate) metadata: Metadata,
    pub(crate) nodes: Nodes,
    pub(crate) spares: Spares<KVVec<u64>>,
    /// What of them is put aside for each CPU.
    pub(crate) magazines: Magazines<KVec<Magazine>>,
    /// One unit, as it was read to be moved.
    pub(crate) unit: Buffer,
    /// One unit, to check what was written.
    pub(crate) check: Buffer,
    /// One unit of zeroes, for writes of zeroes; never written to.
    pub(crate) zeroes: Buffer,
    pub(crate) suspects: u64,
    pub(crate) lost_blocks: u64,
    /// How often a unit was moved.
    pub(crate) moves: u64,
    /// What a write to a suspect does.
    pub(crate) policy: Policy,
    /// What keeps a dying disk from using up the spare.
    pub(crate) breaker: Breaker,
    /// Writes that wait for a spare unit.
    pub(crate) parked: Parked,
    /// Spare units that are free, but for a region of the metadata that misses commits.
    pub(crate) withheld: KVec<SpareUnit>,
    /// Some of them became free since writes that wait for a spare unit were served.
    pub(crate) spares_freed: bool,
    /// How many commits of a group failed.
    pub(crate) failed_commits: u64,
    /// When nothing on main could be read, in milliseconds of the instance.
    pub(crate) main_failed_at: Option<u64>,
    /// No spare unit was left for what was served last.
    pub(crate) no_spare: bool,
    /// Memory is short (see `shortage.rs`).
    pub(crate) short: bool,
    /// Something happened that an administrator must know.
    changed: bool,
}

/// What a write gives its blocks.
pub(crate) enum Content<'a> {
    /// The data of a bio.
    Bio(&'a mut OwnedBio<BioContext>),
    /// Zeroes.
    Zeroes,
}

/// A part of a unit and what it is to hold.
pub(crate) struct Overlay<'a> {
    pub(crate) sectors: Range<u64>,
    pub(crate) content: Content<'a>,
}

impl Repair {
    /// Allocates all that repair needs. May sleep.
    pub(crate) fn new(
        geometry: &Geometry,
        caches: &Arc<Caches>,
        node_replicas: &NodeReplicas,
        filter: Arc<Filter>,
    ) -> Result<Self> {
        let (shown, nodes) = Replicas::new(caches, node_replicas, filter)?;
        let units = geometry.spare_units();
        let words = usize::try_from(words_for(units)).map_err(|_| ENOMEM)?;
        let bitmap = || KVVec::from_elem(0u64, words, GFP_KERNEL);
        let cpus = usize::try_from(nr_cpu_ids()).map_err(|_| EINVAL)?;
        let unit_bytes = usize::try_from(geometry.unit_sectors() << 9).map_err(|_| EINVAL)?;
        Ok(Self {
            map: Map::new(),
            shown,
            fallback: Map::new(),
            group: Group::new()?,
            metadata: Metadata::new()?,
            nodes,
            spares: Spares::new(bitmap()?, bitmap()?, units).map_err(|_| EINVAL)?,
            magazines: Magazines::new(KVec::from_elem(Magazine::EMPTY, cpus, GFP_KERNEL)?),
            unit: Buffer::zeroed(unit_bytes)?,
            check: Buffer::zeroed(unit_bytes)?,
            zeroes: Buffer::zeroed(unit_bytes)?,
            suspects: 0,
            lost_blocks: 0,
            moves: 0,
            parked: Parked::default(),
            withheld: KVec::with_capacity(MOST_WITHHELD, GFP_KERNEL)?,
            spares_freed: false,
            failed_commits: 0,
            main_failed_at: None,
            no_spare: false,
            short: false,
            changed: false,
            policy: Policy::default(),
            breaker: Breaker::new(Limit::DEFAULT, Budget::Usual),
        })
    }

    /// How things are at this moment.
    pub(crate) fn summary(&self) -> Summary {
        let Self {
            spares, metadata, ..
        } = self;
        let journal = metadata.journal.as_ref();
        Summary {
            spares_used: spares.in_use(),
            spares_retired: spares.retired(),
            spares_total: spares.units(),
            is_exhausted: spares.is_exhausted(),
            spares_aside: spares.aside(),
            suspects: self.suspects,
            lost_blocks: self.lost_blocks,
            cache: self.magazines.used(),
            breaker: self.breaker,
            spares_free: self.free_spares(),
            array: journal.map(|journal| (journal.array().uuid, journal.generation())),
            regions: metadata.regions(),
            is_frozen: metadata.frozen,
            is_short: self.is_short(),
            recovery_due: self.recovery_due(),
            nodes_put_aside: self.nodes.put_aside(),
            writes_parked: self.parked.count(),
        }
    }

    /// Publishes the summary, and has an event raised if something changed. Sleeps, but waits for
    /// no device.
    pub(crate) fn publish_summary(&mut self, ctx: &Context) {
        let is_event_due = core::mem::take(&mut self.changed);
        ctx.publish(self.summary(), is_event_due);
    }

    /// Publishes how the map serves each NUMA node. Sleeps, but waits for no device.
    pub(crate) fn publish_services(&self, ctx: &Context) {
        let services = self.shown.services(&ctx.node_replicas, &self.nodes);
        ctx.services.publish(services);
    }

    pub(crate) fn note_change(&mut self) {
        self.changed = true;
    }

    pub(crate) fn state(&self, unit: Unit) -> State {
        self.map.get(unit).map_or(State::Main, |entry| entry.state)
    }

    fn gate(&self, unit: Unit) -> Gate {
        self.map.get(unit).map_or(Gate::Open, |entry| entry.gate)
    }

    /// Whether `unit` cannot be written.
    fn is_stuck(&self, unit: Unit) -> bool {
        matches!(self.gate(unit), Gate::Stuck | Gate::Unknown)
    }

    /// Sets what will stand for `unit`, and counts what that changes.
    pub(crate) fn set(
        &mut self,
        ctx: &Context,
        unit: Unit,
        entry: Option<Entry>,
    ) -> Result<(), OutOfMemory> {
        let before = self.map.get(unit);
        self.map = self.map.set(&mut self.nodes, unit, entry)?;
        let all = ctx.geometry().blocks_of(unit);
        self.count_entry(before, all, u64::wrapping_sub);
        self.count_entry(entry, all, u64::wrapping_add);
        Ok(())
    }

    /// Sets and publishes what stands for `unit` and needs no commit.
    fn change(
        &mut self,
        ctx: &Context,
        unit: Unit,
        entry: Option<Entry>,
    ) -> Result<(), OutOfMemory> {
        self.ready(ctx);
        self.set(ctx, unit, entry)?;
        self.fallback = self.fallback.set(&mut self.nodes, unit, entry)?;
        self.show(ctx, unit, entry)
    }

    /// Publishes `entry` for `unit`, whatever will stand for it.
    pub(crate) fn show(
        &mut self,
        ctx: &Context,
        unit: Unit,
        entry: Option<Entry>,
    ) -> Result<(), OutOfMemory> {
        self.set_shown(unit, entry)?;
        self.publish(ctx)
    }

    /// Sets what is published next for `unit`.
    pub(crate) fn set_shown(
        &mut self,
        unit: Unit,
        entry: Option<Entry>,
    ) -> Result<(), OutOfMemory> {
        let own = self.map.get(unit);
        self.shown.set(&mut self.nodes, unit, entry, own)
    }

    /// Publishes the map as it is to be shown.
    pub(crate) fn publish(&mut self, ctx: &Context) -> Result<(), OutOfMemory> {
        let blank = self.nodes.blank()?;
        ctx.maps.replace(blank, self.shown.maps());
        Ok(())
    }

    /// Publishes the map as it is, with nothing pending.
    pub(crate) fn show_all(&mut self, ctx: &Context) -> Result<(), OutOfMemory> {
        self.shown.follow(&self.map, &self.group.units);
        self.fallback = self.map.clone();
        self.publish(ctx)
    }

    pub(crate) fn count_entry(
        &mut self,
        entry: Option<Entry>,
        all: Blocks,
        change: fn(u64, u64) -> u64,
    ) {
        match entry.map(|entry| entry.state) {
            Some(State::Suspect) => self.suspects = change(self.suspects, 1),
            Some(State::Relocated { valid, .. }) => {
                let lost = u64::from(all.minus(valid).count());
                self.lost_blocks = change(self.lost_blocks, lost);
            }
            Some(State::Main) | None => {}
        }
    }

    /// Does what `bio` asks for, and ends it, once it is durable what that needed. A read that main
    /// fails and that was not tried again yet comes back.
    pub(crate) fn serve(
        &mut self,
        ctx: &Context,
        mut bio: OwnedBio<BioContext>,
    ) -> Option<OwnedBio<BioContext>> {
        let tried = bio.per_bio().tried;
        let failed = tried.has_failed();
        if let (Op::Read, Some(Failing { sector, status })) = (bio.op(), tried.failing()) {
            let unit = ctx.geometry().unit_of(sector);
            if matches!(self.state(unit), State::Main | State::Suspect) {
                let is_medium = self.is_closed() && self.main_reads(ctx, unit);
                if is_medium {
                    self.suspect(ctx, unit, sector);
                }
                self.end(ctx, bio, if is_medium { Status::MEDIUM } else { status });
                return None;
            }
        }
        let (moves, failed_commits) = (self.moves, self.failed_commits);
        self.no_spare = false;
        match self.run(ctx, &mut bio) {
            // A part of it that was written before may have been taken back.
            Ok(()) if failed_commits != self.failed_commits => {
                self.end(ctx, bio, Status::IOERR);
            }
            Ok(()) => {
                if failed && moves == self.moves {
                    ctx.counters.add(Count::Transient, 1);
                }
                self.acknowledge(ctx, bio);
            }
            Err(status) if bio.op() == Op::Read && !failed && bad_sector(status) => {
                bio.per_bio().tried = Tried::Failed;
                return Some(bio);
            }
            Err(status) if bio.op() == Op::Read && bad_sector(status) => {
                let unit = ctx.geometry().unit_of(bio.sectors().start);
                let is_medium = self.spare_works(ctx) && self.main_reads(ctx, unit);
                let status = if is_medium { Status::MEDIUM } else { status };
                self.end(ctx, bio, status);
            }
            Err(status) => self.fail(ctx, bio, status),
        }
        None
    }

    /// Ends `bio`. Whoever waits for it sees in the summary what it led to.
    pub(crate) fn end(&mut self, ctx: &Context, bio: OwnedBio<BioContext>, status: Status) {
        self.publish_summary(ctx);
        bio.complete(status);
    }

    fn run(&mut self, ctx: &Context, bio: &mut OwnedBio<BioContext>) -> Result<(), Status> {
        let geometry = ctx.geometry();
        let Range { mut start, end } = bio.sectors();
        while start < end {
            let unit = geometry.unit_of(start);
            let sectors = start..end.min(geometry.sectors_of(unit).end);
            start = sectors.end;
            match bio.op() {
                Op::Read => self.read(ctx, bio, unit, sectors)?,
                Op::Write => {
                    let failing = bio.per_bio().tried.failing();
                    let failing = failing.filter(|at| geometry.unit_of(at.sector) == unit);
                    let confirmed = failing.map(|at| at.status);
                    let content = Content::Bio(&mut *bio);
                    self.write(ctx, unit, Overlay { sectors, content }, confirmed)?;
                }
                Op::WriteZeroes => {
                    let content = Content::Zeroes;
                    self.write(ctx, unit, Overlay { sectors, content }, None)?;
                }
                Op::Discard => self.discard(ctx, bio, unit, sectors)?,
                Op::Flush | Op::Other => return Err(Status::IOERR),
            }
        }
        Ok(())
    }

    /// Reads a part of one unit into the bio.
    fn read(
        &mut self,
        ctx: &Context,
        bio: &mut OwnedBio<BioContext>,
        unit: Unit,
        sectors: Range<u64>,
    ) -> Result<(), Status> {
        if self.gate(unit) == Gate::Unknown {
            return Err(Status::IOERR);
        }
        let geometry = ctx.geometry();
        let (device, at) = match self.state(unit) {
            State::Relocated { spare, valid } => {
                if !valid.contains(geometry.blocks_at(unit, &sectors)) {
                    return Err(Status::MEDIUM);
                }
                (ctx.spare(), geometry.on_spare(spare, sectors.start))
            }
            State::Main | State::Suspect => (ctx.main(), geometry.on_main(sectors.start)),
        };
        bio.transfer_part_for_all(&ctx.bios, Transfer::Read, device, at, sectors)
    }

    /// Whether there is an entry for `unit`, or the next commit says something of it.
    pub(crate) fn knows(&self, unit: Unit) -> bool {
        self.map.get(unit).is_some() || self.group.has(unit)
    }

    /// Remembers that `unit` failed to read at `sector`.
    pub(crate) fn suspect(&mut self, ctx: &Context, unit: Unit, sector: u64) {
        if self.knows(unit) || self.is_short() || !self.is_closed() || self.suspects >= MAX_SUSPECTS
        {
            return;
        }
        let entry = Entry {
            gate: Gate::Open,
            state: State::Suspect,
        };
        if self.change(ctx, unit, Some(entry)).is_err() {
            return;
        }
        self.note_change();
        if ctx.log.allows() {
            pr_warn!(
                "{}: sector {} cannot be read, its unit is a suspect\n",
                ctx.name(),
                ctx.mapped(sector)
            );
        }
    }

    /// Writes a part of one unit, and moves the unit if it cannot hold it, which may be `confirmed`
    /// by the status of main.
    fn write(
        &mut self,
        ctx: &Context,
        unit: Unit,
        mut overlay: Overlay<'_>,
        confirmed: Option<Status>,
    ) -> Result<(), Status> {
        if self.is_stuck(unit) {
            return Err(Status::IOERR);
        }
        let state = self.state(unit);
        let written = match state {
            State::Main => match confirmed {
                Some(status) => Err(status),
                None => self.write_main(ctx, &mut overlay),
            },
            State::Suspect if self.policy == Policy::Spare && self.is_closed() => {
                Err(Status::MEDIUM)
            }
            State::Suspect => self.write_suspect(ctx, unit, &mut overlay),
            State::Relocated { spare, valid } => {
                self.write_spare(ctx, unit, spare, valid, &mut overlay)
            }
        };
        let status = match written {
            Err(status) if bad_sector(status) => status,
            other => return other,
        };
        if !matches!(state, State::Relocated { .. }) {
            if !self.probe(ctx, unit) {
                return Err(status);
            }
            // What failed before main was seen to work may work now, or fail for another reason.
            if state == State::Main {
                match self.write_main(ctx, &mut overlay) {
                    Err(status) if bad_sector(status) => {}
                    other => return other,
                }
            }
        }
        self.relocate_for(ctx, unit, overlay, status)
    }

    fn write_main(&mut self, ctx: &Context, overlay: &mut Overlay<'_>) -> Result<(), Status> {
        let at = ctx.geometry().on_main(overlay.sectors.start);
        self.put(ctx, Transfer::WriteThrough, ctx.main(), at, overlay)
    }

    /// Writes to a unit that failed to read. It is well again if all of it reads.
    fn write_suspect(
        &mut self,
        ctx: &Context,
        unit: Unit,
        overlay: &mut Overlay<'_>,
    ) -> Result<(), Status> {
        self.write_main(ctx, overlay)?;
        if self.read_whole(ctx, unit).is_ok() {
            self.clear(ctx, unit);
            return Ok(());
        }
        let at = ctx.geometry().on_main(overlay.sectors.start);
        self.get(ctx, ctx.main(), at, &overlay.sectors)
    }

    /// Drops the entry of a suspect that is well on main.
    pub(crate) fn clear(&mut self, ctx: &Context, unit: Unit) {
        if !self.group.has(unit) && self.change(ctx, unit, None).is_ok() {
            self.note_change();
        }
    }

    /// Reads the whole of a unit on main.
    pub(crate) fn read_whole(&mut self, ctx: &Context, unit: Unit) -> Result<(), Status> {
        let sectors = ctx.geometry().sectors_of(unit);
        let at = ctx.geometry().on_main(sectors.start);
        self.get(ctx, ctx.main(), at, &sectors)
    }

    fn write_spare(
        &mut self,
        ctx: &Context,
        unit: Unit,
        spare: SpareUnit,
        valid: Blocks,
        overlay: &mut Overlay<'_>,
    ) -> Result<(), Status> {
        let geometry = ctx.geometry();
        let now = valid.union(geometry.blocks_at(unit, &overlay.sectors));
        if now != valid {
            self.make_room(ctx).map_err(|_| Status::IOERR)?;
            self.ready(ctx);
        }
        let at = geometry.on_spare(spare, overlay.sectors.start);
        let through = Transfer::WriteThrough;
        self.put(ctx, through, ctx.spare(), at, overlay)?;
        if now != valid {
            let state = State::Relocated { spare, valid: now };
            self.pend(ctx, unit, state, OnFailure::Unchanged)
                .map_err(|_| Status::IOERR)?;
            self.note_change();
        }
        Ok(())
    }

    /// Discards a part of one unit, wherever it lies.
    fn discard(
        &mut self,
        ctx: &Context,
        bio: &mut OwnedBio<BioContext>,
        unit: Unit,
        sectors: Range<u64>,
    ) -> Result<(), Status> {
        if self.is_stuck(unit) {
            return Err(Status::IOERR);
        }
        let geometry = ctx.geometry();
        let (device, at) = match self.state(unit) {
            State::Relocated { spare, .. } => {
                (ctx.spare(), geometry.on_spare(spare, sectors.start))
            }
            State::Main | State::Suspect => (ctx.main(), geometry.on_main(sectors.start)),
        };
        if !device.takes_discards() {
            return Ok(());
        }
        bio.transfer_part_for_all(&ctx.bios, Transfer::Discard, device, at, sectors)
    }

    /// Writes the content of `overlay` at sector `at` of `device`.
    pub(crate) fn put(
        &mut self,
        ctx: &Context,
        transfer: Transfer,
        device: &BlockDevice,
        at: u64,
        overlay: &mut Overlay<'_>,
    ) -> Result<(), Status> {
        let sectors = overlay.sectors.clone();
        match &mut overlay.content {
            Content::Bio(bio) => {
                bio.transfer_part_for_all(&ctx.bios, transfer, device, at, sectors)
            }
            Content::Zeroes => {
                let bytes = bytes_from(sectors.start, &sectors);
                let zeroes = &mut self.zeroes;
                ctx.bios.transfer(transfer, device, at, zeroes, bytes)
            }
        }
    }

    /// Reads `sectors` of the target, which lie at sector `at` of `device`, into the check buffer.
    pub(crate) fn get(
        &mut self,
        ctx: &Context,
        device: &BlockDevice,
        at: u64,
        sectors: &Range<u64>,
    ) -> Result<(), Status> {
        let bytes = bytes_from(sectors.start, sectors);
        let check = &mut self.check;
        ctx.bios.transfer(Transfer::Read, device, at, check, bytes)
    }
}
