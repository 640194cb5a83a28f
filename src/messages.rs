// SPDX-License-Identifier: GPL-2.0

//! Answers to `dmsetup message`.

use crate::{
    counters::Count,
    errors::bad_sector,
    instance::Instance,
    nodes::Served,
    refusal::Refusal,
    relocate::{
        Cause,
        Stay, //
    },
    repair::Repair,
    scan::Wanted,
    scan_messages,
    settings::Settings,
    version::VERSION, //
};
use core::fmt::Write;
use kernel::{
    fmt,
    prelude::*, //
};
use kernel_ext::{
    device_mapper::Args,
    noio::NoIo,
    text::Text, //
};
use remap_core::{
    breaker::Limit,
    geometry::Unit,
    index::{
        Entry,
        State, //
    },
    message::{
        Message,
        HELP, //
    }, //
};

/// The most lines that one `list` or `suspects` answers.
const LINES: usize = 1000;
/// How many units one `remap` moves before others get the repair lock.
const UNITS_AT_ONCE: usize = 32;

/// Serves one message. May sleep.
pub(crate) fn serve(
    instance: &Instance,
    settings: &Settings,
    args: Args<'_>,
    out: &mut Text<'_>,
) -> Result {
    let served = NoIo::run(|| answer(instance, settings, args, out));
    instance.tell_changes();
    served.map_err(|refusal| {
        note(instance, &refusal);
        refusal.error()
    })
}

/// Keeps the reason of a refusal, since device mapper passes on either an error or an answer.
fn note(instance: &Instance, refusal: &Refusal<'_>) {
    let mut kept = instance.refusal.lock();
    let _ = write!(Text::new(&mut *kept), "{refusal}");
    if instance.log.allows() {
        pr_err!(
            "{}: message refused: {}\n",
            instance.name(),
            text_of(&*kept)
        );
    }
}

/// The text in a buffer that [`Text`] filled, perhaps to the middle of a character.
fn text_of(buffer: &[u8]) -> &str {
    let text = CStr::from_bytes_until_nul(buffer).map_or(buffer, CStr::to_bytes);
    let valid = text.utf8_chunks().next();
    valid.map_or("", |chunk| chunk.valid())
}

fn answer<'a>(
    instance: &Instance,
    settings: &Settings,
    args: Args<'a>,
    out: &mut Text<'_>,
) -> Result<(), Refusal<'a>> {
    if args.clone().any(|word| word.to_str().is_err()) {
        return Err(Refusal::NotText);
    }
    let words = args.filter_map(|word| word.to_str().ok());
    let written = match Message::parse(words).map_err(Refusal::Message)? {
        Message::Ping => writeln!(out, "pong"),
        Message::Info => info(instance, out),
        Message::Stats => stats(instance, out),
        Message::StatsReset => {
            reset(instance);
            writeln!(out, "counting from zero")
        }
        Message::Debug => debug(instance, out),
        Message::Remap {
            sector,
            sectors,
            is_lossy,
        } => return remap(instance, sector, sectors, is_lossy, out),
        Message::Unremap { sector } => return unremap(instance, sector, out),
        Message::List { from } => list(instance, from, out, relocated_line),
        Message::Suspects { from } => list(instance, from, out, suspect_line),
        Message::Retest { sector } => return retest(instance, sector, out),
        Message::Rearm => rearm(instance, out),
        Message::Breaker => breaker(instance, settings.limit(), out),
        Message::SetBreaker(limit) => {
            settings.set_limit(limit);
            instance.repair.lock().breaker.set_limit(limit);
            breaker(instance, limit, out)
        }
        Message::Checkpoint => return checkpoint(instance, out),
        Message::Scan => scan_messages::scan(instance, out),
        Message::ScanStart => return scan_start(instance, out),
        Message::ScanPause => scan_halt(instance, Wanted::Paused, out),
        Message::ScanStop => scan_halt(instance, Wanted::Stopped, out),
        Message::ScanRate(rate) => {
            settings.set_scan_rate(rate);
            instance.scan.state.lock().ceiling = settings.scan_rate();
            instance.scan.wake();
            writeln!(out, "at most {rate} KiB a second")
        }
        Message::Cache => cache(instance, out),
        Message::Numa => numa(instance, out),
        Message::Reason => reason(instance, out),
        Message::Help => write!(out, "{HELP}"),
    };
    // What does not fit is cut off, and device mapper comes again with more room.
    written.map_err(|_| Refusal::NoMemory)
}

fn rearm(instance: &Instance, out: &mut Text<'_>) -> fmt::Result {
    let mut repair = instance.repair.lock();
    if repair.breaker.rearm() {
        instance.set_tripped(false);
        repair.note_change();
        writeln!(out, "relocating again")
    } else {
        writeln!(out, "the breaker was closed")
    }
}

fn breaker(instance: &Instance, limit: Limit, out: &mut Text<'_>) -> fmt::Result {
    match limit.units {
        0 => writeln!(out, "no limit")?,
        units => writeln!(out, "{units} units in {} seconds", limit.seconds)?,
    }
    let summary = instance.repair.summary();
    let now = instance.milliseconds();
    let left = summary.breaker.left(now, summary.spares_free);
    if let Some(now) = left.now {
        writeln!(out, "left {now}")?;
    }
    if let Some((units, day)) = left.day {
        writeln!(out, "day {units} left {day}")?;
    }
    Ok(())
}

fn info(instance: &Instance, out: &mut Text<'_>) -> fmt::Result {
    let layout = instance.layout();
    let geometry = &layout.geometry;
    let [version, revision, patch] = VERSION;
    writeln!(out, "target: remap {version}.{revision}.{patch}")?;
    let (major, minor) = layout.main.number();
    let area = layout.main_area;
    writeln!(
        out,
        "main: {major}:{minor} from sector {}, {} sectors",
        area.start, area.len
    )?;
    let (major, minor) = layout.spare.number();
    let area = layout.spare_area;
    writeln!(
        out,
        "spare: {major}:{minor} from sector {}, {} sectors",
        area.start, area.len
    )?;
    writeln!(out, "block: {} bytes", geometry.block_sectors() << 9)?;
    writeln!(out, "unit: {} bytes", geometry.unit_sectors() << 9)?;
    writeln!(
        out,
        "units: {} main, {} spare",
        geometry.units(),
        geometry.spare_units()
    )?;
    let summary = instance.repair.summary();
    let Some((array, commit)) = summary.array else {
        return writeln!(out, "metadata: none");
    };
    let (good, total) = summary.regions;
    writeln!(out, "array: {array}")?;
    writeln!(
        out,
        "metadata: {good} of {total} regions good, commit {commit}"
    )
}

fn stats(instance: &Instance, out: &mut Text<'_>) -> fmt::Result {
    let bases = *instance.reset_at.lock();
    for (&(count, name), &base) in Count::ALL.iter().zip(&bases) {
        let now = instance.counters.sum(count).wrapping_sub(base);
        writeln!(out, "{name} {now}")?;
    }
    let summary = instance.repair.summary();
    writeln!(out, "spares_used {}", summary.spares_used)?;
    writeln!(out, "spares_retired {}", summary.spares_retired)?;
    writeln!(out, "spares_total {}", summary.spares_total)?;
    writeln!(out, "suspects {}", summary.suspects)?;
    writeln!(out, "lost_blocks {}", summary.lost_blocks)
}

fn reset(instance: &Instance) {
    let mut bases = instance.reset_at.lock();
    for (&(count, _), base) in Count::ALL.iter().zip(bases.iter_mut()) {
        *base = instance.counters.sum(count);
    }
}

fn debug(instance: &Instance, out: &mut Text<'_>) -> fmt::Result {
    let summary = instance.repair.summary();
    let entries = instance.published_map().iter_from(Unit(0)).count();
    writeln!(out, "map_entries {entries}")?;
    writeln!(out, "map_nodes_put_aside {}", summary.nodes_put_aside)?;
    writeln!(out, "writes_parked {}", summary.writes_parked)?;
    writeln!(out, "suspended {}", u8::from(instance.is_suspended()))?;
    writeln!(out, "read_only {}", u8::from(instance.is_read_only()))
}

fn scan_start(instance: &Instance, out: &mut Text<'_>) -> Result<(), Refusal<'static>> {
    let active = instance.scan.active().ok_or(Refusal::Suspended)?;
    match active.scan.start(&active) {
        Ok(()) => writeln!(out, "scanning").map_err(|_| Refusal::NoMemory),
        Err(EBUSY) => Err(Refusal::ScanEnds),
        Err(error) => Err(Refusal::NoScan(error)),
    }
}

fn scan_halt(instance: &Instance, wanted: Wanted, out: &mut Text<'_>) -> fmt::Result {
    match instance.scan.halt(wanted) {
        true if wanted == Wanted::Paused => writeln!(out, "waiting"),
        true => writeln!(out, "ending"),
        false => writeln!(out, "there was no scan"),
    }
}

fn cache(instance: &Instance, out: &mut Text<'_>) -> fmt::Result {
    let summary = instance.repair.summary();
    let use_of = summary.cache;
    writeln!(out, "put_aside {}", summary.spares_aside)?;
    writeln!(out, "near {}", use_of.near)?;
    writeln!(out, "hits {}", use_of.hits)?;
    writeln!(out, "misses {}", use_of.misses)?;
    writeln!(out, "refills {}", use_of.refills)?;
    writeln!(out, "fallbacks {}", use_of.fallbacks)
}

fn numa(instance: &Instance, out: &mut Text<'_>) -> fmt::Result {
    let repair = instance.repair.lock();
    for service in repair
        .shown
        .services(&instance.node_replicas, &repair.nodes)
    {
        let (node, replica) = (service.node.id(), service.replica.id());
        match service.served {
            Some(Served { local, remote }) => writeln!(
                out,
                "node {node}: map of node {replica}, allocated {local} local, {remote} remote"
            )?,
            None => writeln!(out, "node {node}: map of node {replica}")?,
        }
    }
    Ok(())
}

fn reason(instance: &Instance, out: &mut Text<'_>) -> fmt::Result {
    let kept = instance.refusal.lock();
    match text_of(&*kept) {
        "" => writeln!(out, "no message was refused"),
        text => writeln!(out, "{text}"),
    }
}

/// The unit of a sector of the mapped device.
fn unit_of(instance: &Instance, sector: u64) -> Result<Unit, Refusal<'static>> {
    let within = sector.checked_sub(instance.layout().begin);
    within
        .filter(|&at| at < instance.geometry().sectors())
        .map(|at| instance.geometry().unit_of(at))
        .ok_or(Refusal::OutOfRange(sector))
}

/// The first sector of a unit, as the mapped device counts.
fn sector_of(instance: &Instance, unit: Unit) -> u64 {
    instance.mapped(instance.geometry().sectors_of(unit).start)
}

/// Whether units may be moved now.
fn may_move(instance: &Instance) -> Result<(), Refusal<'static>> {
    if instance.is_suspended() {
        Err(Refusal::Suspended)
    } else if instance.is_read_only() {
        Err(Refusal::ReadOnly)
    } else {
        Ok(())
    }
}

fn remap(
    instance: &Instance,
    sector: u64,
    sectors: u64,
    is_lossy: bool,
    out: &mut Text<'_>,
) -> Result<(), Refusal<'static>> {
    let first = unit_of(instance, sector)?;
    let end = sector.checked_add(sectors - 1);
    let last = unit_of(instance, end.ok_or(Refusal::OutOfRange(u64::MAX))?)?;
    let (mut moved, mut already, mut lost) = (0u64, 0u64, 0u64);
    let mut unreadable: Option<(u64, u64)> = None;
    let mut units = (first.0..=last.0).map(Unit).peekable();
    while units.peek().is_some() {
        let mut repair = instance.repair.lock();
        may_move(instance)?;
        let batch = units.clone().take(UNITS_AT_ONCE);
        repair
            .freeze_all(instance, batch.clone())
            .map_err(|_| Refusal::NoMemory)?;
        let mut done = Ok(());
        for unit in units.by_ref().take(UNITS_AT_ONCE) {
            match remap_one(instance, &mut repair, unit, is_lossy) {
                Ok(None) => already += 1,
                Ok(Some(blocks)) => {
                    moved += 1;
                    lost += u64::from(blocks);
                }
                Err(Refusal::Unreadable(units, at)) => {
                    let (before, first) = unreadable.unwrap_or((0, at));
                    unreadable = Some((before + units, first));
                }
                Err(refusal) => {
                    done = Err(refusal);
                    break;
                }
            }
        }
        repair.thaw_all(instance, batch);
        settled(instance, &mut repair)?;
        done?;
    }
    if let Some((units, first)) = unreadable {
        return Err(Refusal::Unreadable(units, first));
    }
    let text = writeln!(
        out,
        "remapped {moved} units, {already} already were, {lost} blocks lost"
    );
    text.map_err(|_| Refusal::NoMemory)
}

/// Makes durable what was done.
fn settled(instance: &Instance, repair: &mut Repair) -> Result<(), Refusal<'static>> {
    let done = repair.settle(instance);
    done.map_err(|_| Refusal::Frozen)
}

/// Moves one unit unless it is; how many of its blocks are lost.
fn remap_one(
    instance: &Instance,
    repair: &mut Repair,
    unit: Unit,
    is_lossy: bool,
) -> Result<Option<u32>, Refusal<'static>> {
    if matches!(repair.state(unit), State::Relocated { .. }) {
        return Ok(None);
    }
    let at = sector_of(instance, unit);
    let lost = repair
        .relocate(instance, unit, None, Cause::Message { is_lossy })
        .map_err(|stay| match stay {
            Stay::NoSpare => Refusal::NoSpare(at),
            Stay::NoMemory => Refusal::NoMemory,
            // What somebody asks for is not counted, so that the breaker does not matter.
            Stay::Frozen | Stay::Tripped => Refusal::Frozen,
            Stay::Unreadable => Refusal::Unreadable(1, at),
            Stay::Away(_) => Refusal::Away(at),
            Stay::Io(status) if bad_sector(status) => Refusal::SpareFails(at),
            Stay::Io(_) => Refusal::DeviceFails(at),
        })?;
    instance.counters.add(Count::Remapped, 1);
    Ok(Some(lost))
}

fn unremap(instance: &Instance, sector: u64, out: &mut Text<'_>) -> Result<(), Refusal<'static>> {
    let unit = unit_of(instance, sector)?;
    let mut repair = instance.repair.lock();
    may_move(instance)?;
    repair.unrelocate(instance, unit)?;
    settled(instance, &mut repair)?;
    repair.serve_parked(instance);
    instance.counters.add(Count::Unremapped, 1);
    writeln!(out, "unremapped 1 unit").map_err(|_| Refusal::NoMemory)
}

fn checkpoint(instance: &Instance, out: &mut Text<'_>) -> Result<(), Refusal<'static>> {
    let mut repair = instance.repair.lock();
    may_move(instance)?;
    let written = repair.checkpoint(instance).map_err(|_| Refusal::Frozen)?;
    if core::mem::take(&mut repair.spares_freed) {
        repair.serve_parked(instance);
    }
    let (_, total) = repair.metadata.regions();
    writeln!(out, "wrote {written} of {total} regions").map_err(|_| Refusal::NoMemory)
}

fn retest(instance: &Instance, sector: u64, out: &mut Text<'_>) -> Result<(), Refusal<'static>> {
    let unit = unit_of(instance, sector)?;
    let mut repair = instance.repair.lock();
    if instance.is_suspended() {
        return Err(Refusal::Suspended);
    }
    if repair.state(unit) != State::Suspect {
        return Err(Refusal::NotSuspect(sector));
    }
    if repair.read_whole(instance, unit).is_err() {
        return Err(Refusal::MainFails(sector));
    }
    repair.clear(instance, unit);
    writeln!(out, "reads well, no suspect any more").map_err(|_| Refusal::NoMemory)
}

type Line = fn(&Instance, &mut Text<'_>, Unit, Entry) -> Option<fmt::Result>;

/// Writes a line for each entry that has one, and where to go on if there are too many.
fn list(instance: &Instance, from: u64, out: &mut Text<'_>, line: Line) -> fmt::Result {
    let within = from.saturating_sub(instance.layout().begin);
    let map = instance.published_map();
    let mut lines = 0;
    for (unit, entry) in map.iter_from(instance.geometry().unit_of(within)) {
        if lines == LINES {
            return writeln!(out, "more from {}", sector_of(instance, unit));
        }
        if let Some(written) = line(instance, out, unit, entry) {
            written?;
            lines += 1;
        }
    }
    Ok(())
}

fn relocated_line(
    instance: &Instance,
    out: &mut Text<'_>,
    unit: Unit,
    entry: Entry,
) -> Option<fmt::Result> {
    let State::Relocated { spare, valid } = entry.state else {
        return None;
    };
    let geometry = instance.geometry();
    let all = geometry.blocks_of(unit);
    Some(writeln!(
        out,
        "{} {} {}/{}",
        sector_of(instance, unit),
        geometry.on_spare(spare, geometry.sectors_of(unit).start),
        valid.count(),
        all.count()
    ))
}

fn suspect_line(
    instance: &Instance,
    out: &mut Text<'_>,
    unit: Unit,
    entry: Entry,
) -> Option<fmt::Result> {
    (entry.state == State::Suspect).then(|| writeln!(out, "{}", sector_of(instance, unit)))
}
