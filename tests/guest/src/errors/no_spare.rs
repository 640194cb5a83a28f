// SPDX-License-Identifier: GPL-2.0

//! Exhaustion of the spare: events, errors, and writes that wait for a spare unit.

use super::{
    spare_unit,
    used_and_lost,
    with_spare_units,
    UNIT_BYTES, //
};
use crate::kit::*;
use rustix::io::Errno;
use std::io;

crate::tests![
    the_spare_fills_up,
    writes_that_find_no_spare_unit_do_not_open_the_breaker,
    the_last_spare_units_are_bad,
    a_write_waits_for_a_region_to_come_back(waits: true),
    a_write_waits_for_a_spare_unit,
    a_write_waits_in_vain(waits: true),
    a_write_waits_across_a_suspend,
    exhausted_spare,
];

/// A spare of a single unit, which is in use, and a main with two units that cannot be written.
fn with_one_unit_in_use(features: &str) -> Result<Array> {
    let array = with_spare_units(1, features)?;
    array.main.bad(8000..=8015)?;
    array.r.relocate(16000, UNIT)?;
    assert_eq!(array.r.used()?, "1/1");
    Ok(array)
}

fn write_beside(r: &Remap, sector: u64, data: &[u8]) -> Beside<io::Result<()>> {
    let (r, data) = (r.clone(), data.to_vec());
    beside(move || r.write(sector, &data))
}

/// The number of writes that wait for a spare unit.
fn writes_parked(r: &Remap) -> Result<u64> {
    r.ask("debug")?.number("writes_parked")
}

fn until_a_write_is_parked(r: &Remap) -> Result<()> {
    until(|| Ok(writes_parked(r)? == 1))
}

/// The percentages of used spare units that the kernel log reports.
fn percentages(log: &mut KernelLog) -> Result<Vec<String>> {
    let before = |line: &String| {
        let (before, _) = line.split_once("% of the spare units are used up")?;
        before.rsplit(' ').next().map(String::from)
    };
    Ok(log.lines()?.iter().filter_map(before).collect())
}

fn the_spare_fills_up() -> Result<()> {
    let Array { r, .. } = with_spare_units(20, "")?;
    assert_eq!(r.used()?, "0/20");
    let steps: [(u64, &[&str]); 5] = [
        (15, &[]),
        (1, &["80"]),
        (2, &[]),
        (1, &["95"]),
        (1, &["100"]),
    ];
    let mut used = 0;
    for (units, want) in steps {
        let mut log = KernelLog::now()?;
        r.relocate(used * UNIT, units * UNIT)?;
        used += units;
        assert_eq!(percentages(&mut log)?, want, "at {used} units");
    }
    assert_eq!(r.status()?.health, "exhausted");
    Ok(())
}

/// Only relocations that take a spare unit count for the breaker.
fn writes_that_find_no_spare_unit_do_not_open_the_breaker() -> Result<()> {
    let Array { r, .. } = with_one_unit_in_use("3 breaker 2 86400")?;
    let unit = random(UNIT_BYTES);
    for _ in 0..4 {
        fails_with(r.write(8000, &unit), Errno::IO)?;
    }
    assert_eq!(r.status()?.breaker, "closed");
    r.move_back(16000)?;
    r.write(8000, &unit)?;
    let status = r.status()?;
    assert_eq!(status.used.to_string(), "1/1");
    assert_eq!(status.breaker, "closed");
    Ok(())
}

fn the_last_spare_units_are_bad() -> Result<()> {
    let Array { r, main, spare } = with_spare_units(2, "")?;
    let is_exhausted = || {
        let status = r.status()?;
        assert_eq!(status.health, "exhausted");
        assert_eq!(status.used.to_string(), "1/2");
        assert_eq!(status.retired, 1);
        anyhow::Ok(())
    };
    main.bad(8000..=8015)?;
    spare.bad(spare_unit(1)..=spare_unit(1))?;
    r.relocate(16000, UNIT)?;
    let unit = random(UNIT_BYTES);
    fails_with(r.write(8000, &unit), Errno::IO)?;
    is_exhausted()?;
    r.move_back(16000)?;
    r.write(8000, &unit)?;
    is_exhausted()
}

/// A freed unit is withheld while a region of the metadata is behind.
fn a_write_waits_for_a_region_to_come_back() -> Result<()> {
    let Array { r, spare, .. } = with_one_unit_in_use("2 queue_if_no_spare 86400")?;
    let second_region = spare_unit(1)..=spare_unit(1) + REGION - 1;
    spare.bad(second_region.clone())?;
    r.move_back(16000)?;
    let status = r.status()?;
    assert_eq!(status.used.to_string(), "1/1");
    assert_eq!(status.regions.to_string(), "1/2");
    let unit = random(UNIT_BYTES);
    let writer = write_beside(&r, 8000, &unit);
    until_a_write_is_parked(&r)?;
    spare.good(second_region)?;
    writer.end().context("the write that waited")?;
    r.holds_at(8000, &unit)?;
    let status = r.status()?;
    assert_eq!(status.used.to_string(), "1/1");
    assert_eq!(status.regions.to_string(), "2/2");
    Ok(())
}

fn a_write_waits_for_a_spare_unit() -> Result<()> {
    let Array { r, .. } = with_one_unit_in_use("2 queue_if_no_spare 86400")?;
    let unit = random(UNIT_BYTES);
    let writer = write_beside(&r, 8000, &unit);
    until_a_write_is_parked(&r)?;
    // All other I/O continues.
    let other = random(UNIT_BYTES);
    r.write(24000, &other)?;
    r.holds_at(24000, &other)?;
    assert_eq!(writes_parked(&r)?, 1);
    r.move_back(16000)?;
    writer.end().context("the write that waited")?;
    r.holds_at(8000, &unit)?;
    assert_eq!(r.used()?, "1/1");
    Ok(())
}

fn a_write_waits_in_vain() -> Result<()> {
    let Array { r, .. } = with_one_unit_in_use("2 queue_if_no_spare 2")?;
    let unit = random(UNIT_BYTES);
    let mut log = KernelLog::now()?;
    fails_with(r.write(8000, &unit), Errno::IO)?;
    log.must_have("no spare unit became free in 2 seconds, 1 writes fail")?;
    // Further writes do not wait until a spare unit has been free.
    let mut log = KernelLog::now()?;
    fails_with(r.write(8008, &unit), Errno::IO)?;
    assert!(!log.has("no spare unit became free")?);
    r.move_back(16000)?;
    r.write(8008, &unit)?;
    assert_eq!(r.used()?, "1/1");
    Ok(())
}

fn a_write_waits_across_a_suspend() -> Result<()> {
    let Array { r, .. } = with_one_unit_in_use("2 queue_if_no_spare 86400")?;
    let writer = write_beside(&r, 8000, &random(UNIT_BYTES));
    until_a_write_is_parked(&r)?;
    r.suspend_noflush()?;
    assert_eq!(writes_parked(&r)?, 0);
    r.resume()?;
    until_a_write_is_parked(&r)?;
    // A flush ends the wait.
    r.suspend()?;
    fails_with(writer.end(), Errno::IO)?;
    r.resume()?;
    r.remove()
}

fn exhausted_spare() -> Result<()> {
    let Array { r, main, .. } = with_spare_units(3, "")?;
    let old = random(MIB);
    r.write(0, &old)?;
    // One unit more than the spare has.
    main.bad(800..=831)?;
    let new = random(MIB);
    fails_with(r.write(0, &new), Errno::IO)?;
    assert_eq!(used_and_lost(&r)?, (3, 0));
    assert_eq!(r.status()?.health, "exhausted");
    assert_eq!(r.count("no_spare")?, 1);
    refused("no spare unit is left", || r.message("remap 8"))?;
    // Relocated units still work, and so does the rest of main.
    r.holds_at(800, part(&new, 800, 24))?;
    r.write(2048, &old)?;
    r.holds_at(2048, &old)
}
