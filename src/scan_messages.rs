// SPDX-License-Identifier: GPL-2.0

//! What `scan` answers, and what `status` says of a scan.

use crate::{
    instance::Instance,
    scan::{
        Pass,
        State, //
    }, //
};
use core::fmt::Write;
use kernel::fmt;
use kernel_ext::text::Text;
use remap_core::{
    geometry::Unit,
    table::on_or_off, //
};

/// How many regions that gave trouble are named.
const REGIONS: usize = 16;

/// `scan`: how far it is and what it found.
pub(crate) fn scan(instance: &Instance, out: &mut Text<'_>) -> fmt::Result {
    let state = instance.scan.state.lock();
    let units = instance.ctx.geometry().units();
    writeln!(out, "state {}", state.word())?;
    if let Some(error) = state.failed {
        writeln!(out, "error {}", error.to_errno())?;
    }
    if let Some(pause) = state.away.pause() {
        writeln!(out, "waits_for_main {}", pause / 1000)?;
    }
    writeln!(out, "pass {}", state.number)?;
    writeln!(out, "position {}/{units}", state.position)?;
    writeln!(out, "rate {}/{}", state.rate, state.ceiling)?;
    writeln!(out, "interval {}", state.interval)?;
    writeln!(out, "proactive {}", on_or_off(state.is_proactive))?;
    if let Some(pass) = &state.pass {
        found(pass, out)?;
        if pass.passed_over > 0 {
            writeln!(out, "passed_over {}", pass.passed_over)?;
        }
        time(&state, pass, units, out)?;
        write!(out, "reads_by_milliseconds")?;
        for count in pass.latencies {
            write!(out, " {count}")?;
        }
        writeln!(out)?;
    }
    regions(instance, &state, out)?;
    for pass in state.history.iter().flatten() {
        write!(out, "before ")?;
        found(pass, out)?;
    }
    Ok(())
}

/// How many regions gave trouble, and where the worst of them begin.
fn regions(instance: &Instance, state: &State, out: &mut Text<'_>) -> fmt::Result {
    let health = &state.health;
    writeln!(out, "regions_with_trouble {}", health.len())?;
    let mut last = None;
    for _ in 0..REGIONS {
        let Some(spot) = health.next_worst(last) else {
            break;
        };
        let first = Unit(health.units_of(spot).start);
        let sector = instance
            .ctx
            .mapped(instance.ctx.geometry().sectors_of(first).start);
        writeln!(out, "region {sector} {}", spot.score())?;
        last = Some(spot);
    }
    Ok(())
}

fn found(pass: &Pass, out: &mut Text<'_>) -> fmt::Result {
    let Pass {
        found, weak, moved, ..
    } = pass;
    writeln!(out, "found {found} weak {weak} moved {moved}")
}

/// How long a pass took, or is expected to take yet, and whether that is too long.
fn time(state: &State, pass: &Pass, units: u64, out: &mut Text<'_>) -> fmt::Result {
    if let Some(seconds) = pass.seconds {
        return writeln!(out, "took {seconds}");
    }
    let age = pass.age();
    let left = units.saturating_sub(state.position);
    let Some(expected) = age.saturating_mul(left).checked_div(state.position) else {
        return writeln!(out, "seconds {age}");
    };
    let is_late = state.is_late(age.saturating_add(expected));
    let late = if is_late { " late" } else { "" };
    writeln!(out, "seconds {age} left {expected}{late}")
}

/// `<state> <position>/<units>`.
pub(crate) fn summary(instance: &Instance, out: &mut Text<'_>) -> fmt::Result {
    let state = instance.scan.state.lock();
    write!(
        out,
        " {} {}/{}",
        state.word(),
        state.position,
        instance.ctx.geometry().units()
    )
}
