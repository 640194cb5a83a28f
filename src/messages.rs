// SPDX-License-Identifier: GPL-2.0

//! Answers to `dmsetup message`.

use crate::{
    context::Context,
    counters::Count,
    instance::Instance,
    moves,
    nodes::Served,
    refusal::Refusal,
    replicas::Service,
    scan::Wanted,
    scan_messages,
    scanner,
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

/// Serves one message. May sleep.
pub(crate) fn serve(
    instance: &Instance,
    settings: &Settings,
    args: Args<'_>,
    out: &mut Text<'_>,
) -> Result {
    let served = NoIo::run(|| answer(instance, settings, args, out));
    served.map_err(|refusal| {
        note(&instance.ctx, &refusal);
        refusal.error()
    })
}

/// Keeps the reason of a refusal, since device mapper passes on either an error or an answer.
fn note(ctx: &Context, refusal: &Refusal<'_>) {
    let mut kept = ctx.refusal.lock();
    let _ = write!(Text::new(&mut *kept), "{refusal}");
    if ctx.log.allows() {
        pr_err!("{}: message refused: {}\n", ctx.name(), text_of(&*kept));
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
        Message::Info => info(&instance.ctx, out),
        Message::Stats => stats(&instance.ctx, out),
        Message::StatsReset => {
            reset(&instance.ctx);
            writeln!(out, "counting from zero")
        }
        Message::Debug => debug(&instance.ctx, out),
        Message::Remap {
            sector,
            sectors,
            is_lossy,
        } => return moves::remap(instance, sector, sectors, is_lossy, out),
        Message::Unremap { sector } => return moves::unremap(instance, sector, out),
        Message::List { from } => list(&instance.ctx, from, out, relocated_line),
        Message::Suspects { from } => list(&instance.ctx, from, out, suspect_line),
        Message::Retest { sector } => return moves::retest(instance, sector, out),
        Message::Rearm => rearm(instance, out),
        Message::Breaker => breaker(&instance.ctx, settings.limit(), out),
        Message::SetBreaker(limit) => {
            settings.set_limit(limit);
            instance.with_engine(|machines, _| {
                let engine = &mut machines.engine;
                engine.configure(limit, settings.budget(), settings.policy());
            });
            breaker(&instance.ctx, limit, out)
        }
        Message::Checkpoint => return moves::checkpoint(instance, out),
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
        Message::Cache => cache(&instance.ctx, out),
        Message::Numa => numa(&instance.ctx, out),
        Message::Reason => reason(&instance.ctx, out),
        Message::Help => write!(out, "{HELP}"),
    };
    // What does not fit is cut off, and device mapper comes again with more room.
    written.map_err(|_| Refusal::NoMemory)
}

fn rearm(instance: &Instance, out: &mut Text<'_>) -> fmt::Result {
    let was_open = instance.with_engine(|machines, _| machines.engine.rearm());
    match was_open {
        true => writeln!(out, "relocating again"),
        false => writeln!(out, "the breaker was closed"),
    }
}

fn breaker(ctx: &Context, limit: Limit, out: &mut Text<'_>) -> fmt::Result {
    match limit.units {
        0 => writeln!(out, "no limit")?,
        units => writeln!(out, "{units} units in {} seconds", limit.seconds)?,
    }
    let summary = ctx.summary();
    let now = ctx.milliseconds();
    let left = summary.breaker.left(now, summary.spares_free);
    if let Some(now) = left.now {
        writeln!(out, "left {now}")?;
    }
    if let Some((units, day)) = left.day {
        writeln!(out, "day {units} left {day}")?;
    }
    Ok(())
}

fn info(ctx: &Context, out: &mut Text<'_>) -> fmt::Result {
    let layout = ctx.layout();
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
    let summary = ctx.summary();
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

fn stats(ctx: &Context, out: &mut Text<'_>) -> fmt::Result {
    let bases = *ctx.reset_at.lock();
    for (&(count, name), &base) in Count::ALL.iter().zip(&bases) {
        let now = ctx.lookup.counters.sum(count).wrapping_sub(base);
        writeln!(out, "{name} {now}")?;
    }
    let summary = ctx.summary();
    writeln!(out, "spares_used {}", summary.spares_used)?;
    writeln!(out, "spares_retired {}", summary.spares_retired)?;
    writeln!(out, "spares_total {}", summary.spares_total)?;
    writeln!(out, "suspects {}", summary.suspects)?;
    writeln!(out, "lost_blocks {}", summary.lost_blocks)
}

fn reset(ctx: &Context) {
    let mut bases = ctx.reset_at.lock();
    for (&(count, _), base) in Count::ALL.iter().zip(bases.iter_mut()) {
        *base = ctx.lookup.counters.sum(count);
    }
}

fn debug(ctx: &Context, out: &mut Text<'_>) -> fmt::Result {
    let summary = ctx.summary();
    let entries = ctx.lookup.published_map().iter_from(Unit(0)).count();
    writeln!(out, "map_entries {entries}")?;
    writeln!(out, "map_nodes_put_aside {}", summary.nodes_put_aside)?;
    writeln!(out, "writes_parked {}", summary.writes_parked)?;
    writeln!(out, "suspended {}", u8::from(ctx.is_suspended()))?;
    writeln!(out, "read_only {}", u8::from(ctx.is_read_only()))
}

fn scan_start(instance: &Instance, out: &mut Text<'_>) -> Result<(), Refusal<'static>> {
    let active = instance.scan.active().ok_or(Refusal::Suspended)?;
    match scanner::start(&instance.scan, &*active) {
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

fn cache(ctx: &Context, out: &mut Text<'_>) -> fmt::Result {
    let summary = ctx.summary();
    let use_of = summary.cache;
    writeln!(out, "put_aside {}", summary.spares_aside)?;
    writeln!(out, "near {}", use_of.near)?;
    writeln!(out, "hits {}", use_of.hits)?;
    writeln!(out, "misses {}", use_of.misses)?;
    writeln!(out, "refills {}", use_of.refills)?;
    writeln!(out, "fallbacks {}", use_of.fallbacks)
}

fn numa(ctx: &Context, out: &mut Text<'_>) -> fmt::Result {
    ctx.services
        .try_for_each(|service| service_line(service, out))
}

/// Says how a node is served.
fn service_line(service: &Service, out: &mut Text<'_>) -> fmt::Result {
    let (node, replica) = (service.node.id(), service.replica.id());
    match service.served {
        Some(Served { local, remote }) => writeln!(
            out,
            "node {node}: map of node {replica}, allocated {local} local, {remote} remote"
        ),
        None => writeln!(out, "node {node}: map of node {replica}"),
    }
}

fn reason(ctx: &Context, out: &mut Text<'_>) -> fmt::Result {
    let kept = ctx.refusal.lock();
    match text_of(&*kept) {
        "" => writeln!(out, "no message was refused"),
        text => writeln!(out, "{text}"),
    }
}

/// The first sector of a unit, as the mapped device counts.
fn sector_of(ctx: &Context, unit: Unit) -> u64 {
    ctx.mapped(ctx.geometry().sectors_of(unit).start)
}

type Line = fn(&Context, &mut Text<'_>, Unit, Entry) -> Option<fmt::Result>;

/// Writes a line for each entry that has one, and where to go on if there are too many.
fn list(ctx: &Context, from: u64, out: &mut Text<'_>, line: Line) -> fmt::Result {
    let within = from.saturating_sub(ctx.layout().begin);
    let map = ctx.lookup.published_map();
    let mut lines = 0;
    for (unit, entry) in map.iter_from(ctx.geometry().unit_of(within)) {
        if lines == LINES {
            return writeln!(out, "more from {}", sector_of(ctx, unit));
        }
        if let Some(written) = line(ctx, out, unit, entry) {
            written?;
            lines += 1;
        }
    }
    Ok(())
}

fn relocated_line(
    ctx: &Context,
    out: &mut Text<'_>,
    unit: Unit,
    entry: Entry,
) -> Option<fmt::Result> {
    let State::Relocated { spare, valid } = entry.state else {
        return None;
    };
    let geometry = ctx.geometry();
    let all = geometry.blocks_of(unit);
    Some(writeln!(
        out,
        "{} {} {}/{}",
        sector_of(ctx, unit),
        geometry.on_spare(spare, geometry.sectors_of(unit).start),
        valid.count(),
        all.count()
    ))
}

fn suspect_line(
    ctx: &Context,
    out: &mut Text<'_>,
    unit: Unit,
    entry: Entry,
) -> Option<fmt::Result> {
    (entry.state == State::Suspect).then(|| writeln!(out, "{}", sector_of(ctx, unit)))
}
