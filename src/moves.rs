// SPDX-License-Identifier: GPL-2.0

//! Messages that move units.

use crate::{
    context::Context,
    counters::Count,
    executor::{
        report::{
            Outcome,
            Report, //
        },
        task::Machine, //
    },
    instance::Instance,
    layout::bytes_from,
    refusal::Refusal, //
};
use core::{
    fmt::Write,
    ops::Range, //
};
use kernel::{
    cpu::CpuId,
    prelude::*, //
};
use kernel_ext::{
    bio::{
        Buffer,
        Transfer, //
    },
    text::Text, //
};
use remap_core::{
    classify::is_bad_sector,
    engine::{
        obstacle::Obstacle,
        relocation::{
            self,
            Cause,
            Relocation, //
        },
        unrelocation::{
            self,
            Unrelocation, //
        }, //
    },
    geometry::Unit,
    index::State,
    metadata::update::Which, //
};

/// How many units one `remap` moves at once.
const UNITS_AT_ONCE: usize = 192;

/// The unit of a sector of the mapped device.
fn unit_of(ctx: &Context, sector: u64) -> Result<Unit, Refusal<'static>> {
    let within = sector.checked_sub(ctx.layout().begin);
    within
        .filter(|&at| at < ctx.geometry().sectors())
        .map(|at| ctx.geometry().unit_of(at))
        .ok_or(Refusal::OutOfRange(sector))
}

/// The first sector of a unit, as the mapped device counts.
fn sector_of(ctx: &Context, unit: Unit) -> u64 {
    ctx.mapped(ctx.geometry().sectors_of(unit).start)
}

/// Whether units may be moved now.
fn may_move(ctx: &Context) -> Result<(), Refusal<'static>> {
    if ctx.is_suspended() {
        Err(Refusal::Suspended)
    } else if ctx.is_read_only() {
        Err(Refusal::ReadOnly)
    } else {
        Ok(())
    }
}

impl Instance {
    /// Has machines run, and waits for them; what came of each, in the order of their units.
    /// Sleeps, as long as devices take.
    pub(crate) fn run(
        &self,
        mut machines: impl ExactSizeIterator<Item = Machine>,
    ) -> Result<KVec<(Unit, Outcome)>, Refusal<'static>> {
        let crew = self.crew().ok_or(Refusal::Suspended)?;
        let wanted = machines.len();
        let report = Report::new(wanted).map_err(|_| Refusal::NoMemory)?;
        match crew.begin(&mut machines, &report) {
            0 if wanted > 0 => Err(Refusal::NoMemory),
            begun => Ok(report.wait(begun)),
        }
    }

    /// The same with one.
    pub(crate) fn run_one(&self, machine: Machine) -> Result<Outcome, Refusal<'static>> {
        let mut outcomes = self.run([machine].into_iter())?;
        let (_, outcome) = outcomes.pop().ok_or(Refusal::NoMemory)?;
        Ok(outcome)
    }
}

/// The CPU whose spare units are used, for a caller that may be moved to another.
pub(crate) fn this_cpu() -> usize {
    CpuId::current().as_u32() as usize
}

/// What a `remap` did.
#[derive(Default)]
struct Remapped {
    moved: u64,
    already: u64,
    lost: u64,
    /// How many units stay, since blocks of them cannot be read, and the first sector of the first.
    unreadable: Option<(u64, u64)>,
    /// The last group that must be durable.
    group: u64,
}

/// `remap`: moves the units of some sectors to the spare.
pub(crate) fn remap(
    instance: &Instance,
    sector: u64,
    sectors: u64,
    is_lossy: bool,
    out: &mut Text<'_>,
) -> Result<(), Refusal<'static>> {
    let ctx = &instance.ctx;
    let first = unit_of(ctx, sector)?;
    let end = sector.checked_add(sectors - 1);
    let last = unit_of(ctx, end.ok_or(Refusal::OutOfRange(u64::MAX))?)?;
    let mut sum = Remapped::default();
    let mut units = first.0..last.0.saturating_add(1);
    let mut done = Ok(());
    while done.is_ok() && !units.is_empty() {
        done = remap_some(instance, &mut units, is_lossy, &mut sum);
    }
    // What was moved is acknowledged to nobody before it is durable, whatever failed then.
    let is_durable = instance.wait_durable(sum.group);
    done?;
    if !is_durable {
        return Err(Refusal::Frozen);
    }
    if let Some((units, first)) = sum.unreadable {
        return Err(Refusal::Unreadable(units, first));
    }
    let text = writeln!(
        out,
        "remapped {} units, {} already were, {} blocks lost",
        sum.moved, sum.already, sum.lost
    );
    text.map_err(|_| Refusal::NoMemory)
}

/// Moves the next of some units, as many as are moved at once, and adds to `sum` what came of it.
fn remap_some(
    instance: &Instance,
    units: &mut Range<u64>,
    is_lossy: bool,
    sum: &mut Remapped,
) -> Result<(), Refusal<'static>> {
    may_move(&instance.ctx)?;
    let end = units
        .end
        .min(units.start.saturating_add(UNITS_AT_ONCE as u64));
    let mut wanted = KVec::with_capacity(UNITS_AT_ONCE, GFP_KERNEL)?;
    let map = instance.ctx.lookup.published_map();
    let mut already = 0usize;
    for unit in (units.start..end).map(Unit) {
        match map.get(unit).map(|entry| entry.state) {
            Some(State::Relocated { .. }) => already += 1,
            _ => wanted
                .push_within_capacity(unit)
                .map_err(|_| Refusal::NoMemory)?,
        }
    }
    let cpu = this_cpu();
    let machine = |&unit: &Unit| {
        let cause = Cause::Message { is_lossy };
        Machine::Relocation(Relocation::new(unit, cause, cpu))
    };
    let outcomes = instance.run(wanted.iter().map(machine))?;
    // Those for which there was no memory are begun by the next turn, which looks at what follows.
    units.start = match wanted.get(outcomes.len()) {
        Some(next) => {
            let before = (next.0 - units.start) as usize;
            already = before.saturating_sub(outcomes.len());
            next.0
        }
        None => end,
    };
    sum.already += already as u64;
    let mut done = Ok(());
    for &(unit, outcome) in &outcomes {
        let added = sum.add(&instance.ctx, unit, outcome);
        done = done.and(added);
    }
    done
}

impl Remapped {
    /// Adds what came of a unit.
    fn add(&mut self, ctx: &Context, unit: Unit, outcome: Outcome) -> Result<(), Refusal<'static>> {
        let at = sector_of(ctx, unit);
        let Outcome::Relocation(outcome) = outcome else {
            return Ok(());
        };
        match outcome {
            relocation::Outcome::Staged { group, lost } => {
                self.moved += 1;
                self.lost += u64::from(lost);
                self.group = self.group.max(group);
                ctx.lookup.counters.add(Count::Remapped, 1);
            }
            relocation::Outcome::Stays(Obstacle::Changed) => self.already += 1,
            relocation::Outcome::Stays(Obstacle::Unreadable) => {
                let (before, first) = self.unreadable.unwrap_or((0, at));
                self.unreadable = Some((before + 1, first));
            }
            relocation::Outcome::Stays(why) => return Err(refusal(why, at)),
        }
        Ok(())
    }
}

/// Why the unit of a sector is not moved to the spare.
fn refusal(why: Obstacle, at: u64) -> Refusal<'static> {
    match why {
        Obstacle::NoSpare => Refusal::NoSpare(at),
        Obstacle::NoMemory => Refusal::NoMemory,
        // What somebody asks for is not counted, so that the breaker does not matter.
        Obstacle::ReadOnly | Obstacle::Tripped => Refusal::Frozen,
        Obstacle::Unreadable | Obstacle::Changed => Refusal::Unreadable(1, at),
        Obstacle::Away => Refusal::Away(at),
        Obstacle::Suspended => Refusal::Suspended,
        Obstacle::Io(status) if is_bad_sector(status) => Refusal::SpareFails(at),
        Obstacle::Io(_) => Refusal::DeviceFails(at),
    }
}

/// Why the unit of a sector is not moved back to main.
fn refusal_back(why: unrelocation::Obstacle, at: u64) -> Refusal<'static> {
    match why {
        unrelocation::Obstacle::NotRelocated => Refusal::NotRelocated(at),
        unrelocation::Obstacle::Lost => Refusal::Lost(at),
        unrelocation::Obstacle::SpareFails => Refusal::SpareFails(at),
        unrelocation::Obstacle::MainFails => Refusal::MainFails(at),
        unrelocation::Obstacle::ReadOnly => Refusal::Frozen,
        unrelocation::Obstacle::NoMemory => Refusal::NoMemory,
        unrelocation::Obstacle::Suspended => Refusal::Suspended,
    }
}

/// `unremap`: moves the unit of a sector back to main.
pub(crate) fn unremap(
    instance: &Instance,
    sector: u64,
    out: &mut Text<'_>,
) -> Result<(), Refusal<'static>> {
    let unit = unit_of(&instance.ctx, sector)?;
    may_move(&instance.ctx)?;
    let at = sector_of(&instance.ctx, unit);
    let machine = Machine::Unrelocation(unit, Unrelocation::new(unit));
    let Outcome::Unrelocation(outcome) = instance.run_one(machine)? else {
        return Err(Refusal::Frozen);
    };
    match outcome {
        unrelocation::Outcome::Staged { group } if instance.wait_durable(group) => {}
        unrelocation::Outcome::Staged { .. } => return Err(Refusal::Frozen),
        unrelocation::Outcome::Stays(why) => return Err(refusal_back(why, at)),
    }
    instance.ctx.lookup.counters.add(Count::Unremapped, 1);
    writeln!(out, "unremapped 1 unit").map_err(|_| Refusal::NoMemory)
}

/// `checkpoint`: writes the whole state to all regions.
pub(crate) fn checkpoint(instance: &Instance, out: &mut Text<'_>) -> Result<(), Refusal<'static>> {
    may_move(&instance.ctx)?;
    let number = instance.with_engine(|machines, _| machines.engine.want_checkpoint(Which::All));
    let written = instance.wait_until(|machines| machines.engine.checkpoint_outcome(number));
    let written = written.map_err(|_| Refusal::Frozen)?;
    let (_, total) = instance.ctx.summary().regions;
    writeln!(out, "wrote {written} of {total} regions").map_err(|_| Refusal::NoMemory)
}

/// `retest`: drops the suspect of a sector if all of its unit can be read.
pub(crate) fn retest(
    instance: &Instance,
    sector: u64,
    out: &mut Text<'_>,
) -> Result<(), Refusal<'static>> {
    let ctx = &instance.ctx;
    let unit = unit_of(ctx, sector)?;
    if ctx.is_suspended() {
        return Err(Refusal::Suspended);
    }
    let state = ctx
        .lookup
        .published_map()
        .get(unit)
        .map(|entry| entry.state);
    if state != Some(State::Suspect) {
        return Err(Refusal::NotSuspect(sector));
    }
    let sectors = ctx.geometry().sectors_of(unit);
    let bytes = bytes_from(sectors.start, &sectors);
    let mut buffer = Buffer::zeroed(bytes.end).map_err(|_| Refusal::NoMemory)?;
    let at = ctx.geometry().on_main(sectors.start);
    let read = (ctx.bios).transfer(Transfer::Read, ctx.main(), at, &mut buffer, bytes);
    if read.is_err() {
        return Err(Refusal::MainFails(sector));
    }
    if !instance.with_engine(|machines, _| machines.engine.clear_suspect(unit)) {
        return Err(Refusal::NoMemory);
    }
    writeln!(out, "reads well, no suspect any more").map_err(|_| Refusal::NoMemory)
}
