// SPDX-License-Identifier: GPL-2.0

//! Sectors that fail: what the caller sees, what is used up, what is counted.

use crate::kit::{
    scsi_debug::{
        self,
        ScsiDebug, //
    },
    *, //
};
use rustix::io::Errno;
use std::io;

crate::tests![
    policy_spare,
    the_spare_fills_up,
    writes_that_find_no_spare_unit_do_not_open_the_breaker,
    the_last_spare_units_are_bad,
    a_write_waits_for_a_region_to_come_back(waits: true),
    a_write_waits_for_a_spare_unit,
    a_write_waits_in_vain(waits: true),
    a_write_waits_across_a_suspend,
    failed_write_is_relocated,
    partial_write_keeps_the_rest_of_the_unit,
    partial_write_loses_only_unreadable_blocks,
    lost_block_is_not_zeroes_nor_old_spare_data,
    forty_bad_units_in_one_write,
    failed_read_fails_and_neighbours_are_readable,
    write_heals_a_failed_read,
    read_error_is_a_medium_error,
    readable_again_suspect_is_healed_in_place,
    suspect_that_cannot_be_read_back_is_relocated,
    retest,
    transient_error_costs_nothing,
    other_errors_are_passed_on,
    bad_spare_unit_is_retired,
    a_spare_that_takes_no_writes_loses_no_units,
    a_scratch_on_the_spare_is_stepped_over,
    a_bad_spare_sector_is_a_medium_error,
    what_cannot_be_read_stays,
    spare_unit_that_fails_later_is_replaced,
    spare_read_error_never_shows_main,
    exhausted_spare,
    write_zeroes_over_bad_sectors(disks: &["scsi:64M:write@1000+8", "scsi:16M"]),
    write_zeroes_that_the_disk_does_not_know,
    counters_and_reset,
    wait_returns_on_an_event,
    nvme_with_bad_sectors(disks: &["nvme:64M:write@8003+2:read@16003"]),
    scsi_with_bad_sectors(disks: &["scsi:64M:write@8003+2:read@16003", "scsi:64M:4k"]),
];

/// The first sector of the spare unit with that number.
const fn spare_unit(number: u64) -> u64 {
    REGION + number * UNIT
}

/// The bytes of a unit.
const UNIT_BYTES: usize = UNIT as usize * SECTOR;

/// Spare units in use and blocks lost.
fn used_and_lost(r: &Remap) -> Result<(u64, u64)> {
    Ok((r.count("spares_used")?, r.count("lost_blocks")?))
}

/// An array with so many spare units.
fn with_spare_units(units: u64, features: &str) -> Result<Array> {
    let Disks { main, spare } = Disks::new()?;
    let sectors = 2 * REGION + units * UNIT;
    let table = format!("0 {MAIN} remap /dev/main 0 /dev/spare 0 {sectors} {features}");
    let r = Remap::create(table.trim_end())?;
    Ok(Array { r, main, spare })
}

/// A spare of one unit, which is in use, and a main with two units that cannot be written.
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

/// How many writes wait for a spare unit.
fn writes_parked(r: &Remap) -> Result<u64> {
    r.ask("debug")?.number("writes_parked")
}

fn until_a_write_is_parked(r: &Remap) -> Result<()> {
    until(|| Ok(writes_parked(r)? == 1))
}

fn policy_spare() -> Result<()> {
    let Array { r, main, .. } = Array::with_features("2 policy spare")?;
    assert_eq!(r.features()?, "2 policy spare");
    main.bad(8003..=8003)?;
    fails_with(r.read(8000, 8), Errno::NODATA)?;
    main.good(8003..=8003)?;
    // Main would take it.
    let unit = random(UNIT_BYTES);
    r.write(8000, &unit)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    r.holds_at(8000, &unit)?;
    r.write(16000, &unit)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    Ok(())
}

/// The percentages of spare units that the kernel's log calls used up.
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

/// Only what takes a spare unit counts for the breaker.
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

/// A unit that is free again is withheld while a region of the metadata is behind.
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
    // All else goes on.
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
    // The next does not wait, until there was one.
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

fn failed_write_is_relocated() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    main.bad(1000..=1000)?;
    // The second write goes straight to the spare.
    for _ in 0..2 {
        let image = random(MIB);
        r.write(0, &image)?;
        r.holds(&image)?;
        assert_eq!(used_and_lost(&r)?, (1, 0));
        assert_eq!(r.count("relocated")?, 1);
        assert_eq!(r.list_lines()?, "1000 2048 8/8");
        assert_eq!(r.count("write_errors")?, 1);
    }
    Ok(())
}

fn partial_write_keeps_the_rest_of_the_unit() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    let mut image = random(MIB);
    r.write(0, &image)?;
    main.bad(1003..=1003)?;
    // The driver loses the whole request, but the other blocks can be read.
    let block = random(SECTOR);
    r.write(1003, &block)?;
    overwrite(&mut image, 1003, &block);
    r.holds(&image)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    Ok(())
}

fn partial_write_loses_only_unreadable_blocks() -> Result<()> {
    let main = NullDisk::with("main", 64, &[("discard", "1")])?;
    NullDisk::with("spare", 8, &[("discard", "1")])?;
    let r = Remap::create(TABLE)?;
    let image = random(MIB);
    r.write(0, &image)?;
    main.bad(1003..=1004)?;
    let block = random(SECTOR);
    r.write(1003, &block)?;
    assert_eq!(used_and_lost(&r)?, (1, 1));
    assert_eq!(r.list_lines()?, "1000 2048 7/8");
    r.holds_at(1003, &block)?;
    r.holds_at(1000, part(&image, 1000, 3))?;
    r.holds_at(1005, part(&image, 1005, 3))?;
    for (count, (sector, sectors)) in (1..).zip([(1004, 1), (1000, 8), (900, 200)]) {
        fails_with(r.read(sector, sectors), Errno::NODATA)?;
        assert_eq!(r.count("lost_reads")?, count);
    }
    assert_eq!(r.status()?.health, "damaged");
    // Only a write makes a lost block good.
    r.discard(1000, UNIT)?;
    fails_with(r.read(1004, 1), Errno::NODATA)?;
    r.write(1004, &block)?;
    r.holds_at(1004, &block)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    assert_eq!(r.status()?.health, "relocated");
    Ok(())
}

fn lost_block_is_not_zeroes_nor_old_spare_data() -> Result<()> {
    let Array { r, main, spare } = Array::new()?;
    spare.write_junk(REGION, 8192)?;
    main.bad(1004..=1004)?;
    refused(
        "sector 1000: blocks cannot be read, 1 units stay; 'lossy' gives such blocks up",
        || r.message("remap 1000"),
    )?;
    assert_eq!(used_and_lost(&r)?, (0, 0));
    assert_eq!(
        r.message("remap 1000 lossy")?,
        "remapped 1 units, 0 already were, 1 blocks lost\n"
    );
    fails_with(r.read(1004, 1), Errno::NODATA)?;
    main.good(1004..=1004)?;
    // Even when main can be read again: what it has may be stale.
    fails_with(r.read(1004, 1), Errno::NODATA)
}

fn forty_bad_units_in_one_write() -> Result<()> {
    let Array { r, main, .. } = Array::with_features("3 breaker 40 1")?;
    for unit in (0..240).step_by(6) {
        let sector = unit * UNIT + 3;
        main.bad(sector..=sector)?;
    }
    let image = random(MIB);
    r.write(0, &image)?;
    r.holds(&image)?;
    assert_eq!(used_and_lost(&r)?, (40, 0));
    Ok(())
}

fn failed_read_fails_and_neighbours_are_readable() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    let image = random(MIB);
    r.write(0, &image)?;
    main.bad(1003..=1003)?;
    fails_with(r.read(1003, 1), Errno::NODATA)?;
    fails_with(r.read(1000, 8), Errno::NODATA)?;
    fails_with(r.read(0, 2048), Errno::NODATA)?;
    r.holds_at(1000, part(&image, 1000, 3))?;
    r.holds_at(1004, part(&image, 1004, 4))?;
    r.holds_at(0, part(&image, 0, 1000))?;
    assert_eq!(used_and_lost(&r)?, (0, 0));
    assert_eq!(r.count("suspects")?, 1);
    assert_eq!(r.suspects()?, [1000]);
    assert_eq!(r.status()?.health, "damaged");
    Ok(())
}

fn write_heals_a_failed_read() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    r.write(0, &random(MIB))?;
    main.bad(1003..=1003)?;
    fails_with(r.read(1000, 8), Errno::NODATA)?;
    let unit = random(UNIT_BYTES);
    r.write(1000, &unit)?;
    r.holds_at(1000, &unit)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    assert_eq!(r.count("suspects")?, 0);
    Ok(())
}

fn read_error_is_a_medium_error() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    main.bad(1003..=1003)?;
    r.message("remap 1000 lossy")?;
    // `BLK_STS_MEDIUM`
    fails_with(r.read(1003, 1), Errno::NODATA)
}

fn readable_again_suspect_is_healed_in_place() -> Result<()> {
    NullDisk::new("disk", 64)?;
    NullDisk::new("spare", 8)?;
    let main = Mapped::create("main", "0 131072 dust /dev/disk 0 512")?;
    main.message("addbadblock 1003")?;
    main.message("enable")?;
    let r = Remap::create("0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384")?;
    fails_with(r.read(1000, 8), Errno::NODATA)?;
    assert_eq!(r.count("suspects")?, 1);
    // The disk reallocates on a write, as dm-dust does: no spare is needed.
    let unit = random(UNIT_BYTES);
    r.write(1000, &unit)?;
    r.holds_at(1000, &unit)?;
    assert_eq!(r.count("suspects")?, 0);
    assert_eq!(used_and_lost(&r)?, (0, 0));
    Ok(())
}

fn suspect_that_cannot_be_read_back_is_relocated() -> Result<()> {
    NullDisk::new("disk", 64)?;
    NullDisk::new("spare", 8)?;
    Mapped::create(
        "main",
        "0 2048 flakey /dev/disk 0 0 1 1 error_reads\n2048 129024 linear /dev/disk 2048",
    )?;
    let r = Remap::create("0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384")?;
    fails_with(r.read(1000, 8), Errno::NODATA)?;
    // Main takes it, and does not give it back.
    let unit = random(UNIT_BYTES);
    r.write(1000, &unit)?;
    r.holds_at(1000, &unit)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    Ok(())
}

fn retest() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    main.bad(1003..=1003)?;
    fails_with(r.read(1003, 1), Errno::NODATA)?;
    refused("main still fails there", || r.message("retest 1003"))?;
    main.good(1003..=1003)?;
    r.message("retest 1003")?;
    assert_eq!(r.count("suspects")?, 0);
    refused("is not a suspect", || r.message("retest 1003"))
}

fn transient_error_costs_nothing() -> Result<()> {
    let main = NullDisk::with("main", 64, &[("badblocks_once", "1")])?;
    NullDisk::new("spare", 8)?;
    let r = Remap::create(TABLE)?;
    let image = random(MIB);
    main.bad(1003..=1003)?;
    r.write(0, &image)?;
    r.holds(&image)?;
    main.bad(1003..=1003)?;
    r.holds(&image)?;
    assert_eq!(used_and_lost(&r)?, (0, 0));
    assert_eq!(r.count("transient")?, 2);
    assert_eq!(r.status()?.health, "healthy");
    Ok(())
}

fn other_errors_are_passed_on() -> Result<()> {
    /// Host byte `DID_TRANSPORT_FAILFAST`: a path failed.
    const PATH_FAILED: [u8; 6] = [0x0f, 0, 0, 0, 0, 0];
    /// Status byte of a reservation conflict.
    const RESERVED: [u8; 6] = [0, 0, 0x18, 0, 0, 0];
    NullDisk::new("spare", 8)?;
    let disk = ScsiDebug::new("")?;
    let main = disk.path().display();
    let r = Remap::create(&format!("0 65536 remap {main} 0 /dev/spare 0 16384"))?;
    for (codes, errno) in [(PATH_FAILED, Errno::NOLINK), (RESERVED, Errno::BADE)] {
        disk.fail(scsi_debug::WRITE, None, codes)?;
        fails_with(r.wipe(0, 8), errno)?;
        disk.work(scsi_debug::WRITE)?;
        r.wipe(0, 8)?;
        assert_eq!(used_and_lost(&r)?, (0, 0));
    }
    // Nor is a unit that cannot be read for such a reason moved with its blocks lost.
    disk.fail(scsi_debug::READ, None, PATH_FAILED)?;
    refused("a device fails, and not for a bad sector", || {
        r.message("remap 800")
    })?;
    disk.work(scsi_debug::READ)?;
    assert_eq!(used_and_lost(&r)?, (0, 0));
    assert_eq!(r.count("write_errors")?, 0);
    Ok(())
}

fn bad_spare_unit_is_retired() -> Result<()> {
    let Array { r, main, spare } = Array::new()?;
    main.bad(1003..=1003)?;
    spare.bad(spare_unit(0)..=spare_unit(2) - 1)?;
    let image = random(MIB);
    r.write(0, &image)?;
    r.holds(&image)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    assert_eq!(r.count("spares_retired")?, 2);
    assert_eq!(r.list_lines()?, "1000 2064 8/8");
    Ok(())
}

/// Nothing on the spare can be written, and all of it read: its units are not bad.
fn a_spare_that_takes_no_writes_loses_no_units() -> Result<()> {
    let Disks { main, .. } = Disks::new()?;
    let low = Mapped::create("low", "0 16384 linear /dev/spare 0")?;
    let put_units_on = |target: &str| {
        let (units, second) = (SPARE - 2 * REGION, SPARE - REGION);
        low.replace(&format!(
            "0 {REGION} linear /dev/spare 0\n\
            {REGION} {units} {target}\n\
            {second} {REGION} linear /dev/spare {second}"
        ))
    };
    let r = Remap::create("0 131072 remap /dev/main 0 /dev/mapper/low 0 16384 3 breaker 2 86400")?;
    put_units_on(&format!("flakey /dev/spare {REGION} 0 600 1 error_writes"))?;
    main.bad(1003..=1003)?;
    // Nothing is moved, and nothing counts for the breaker.
    let unit = random(UNIT_BYTES);
    for _ in 0..3 {
        fails_with(r.write(1000, &unit), Errno::IO)?;
    }
    let status = r.status()?;
    assert_eq!(status.used.to_string(), "0/1536");
    assert_eq!(status.retired, 0);
    assert_eq!(status.breaker, "closed");
    put_units_on(&format!("linear /dev/spare {REGION}"))?;
    r.write(1000, &unit)?;
    r.holds_at(1000, &unit)?;
    let status = r.status()?;
    assert_eq!(status.used.to_string(), "1/1536");
    assert_eq!(status.retired, 0);
    Ok(())
}

/// More units beside each other fail than are tried: one that is far from them does not.
fn a_scratch_on_the_spare_is_stepped_over() -> Result<()> {
    let Array { r, main, spare } = Array::new()?;
    main.bad(1003..=1003)?;
    spare.bad(spare_unit(0)..=spare_unit(16) - 1)?;
    let image = random(MIB);
    r.write(0, &image)?;
    r.holds(&image)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    assert_ne!(r.count("spares_retired")?, 0);
    Ok(())
}

fn a_bad_spare_sector_is_a_medium_error() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    r.message("remap 1000")?;
    spare.bad(spare_unit(0)..=spare_unit(0))?;
    fails_with(r.read(1000, 1), Errno::NODATA)
}

/// A unit of a range of which a block cannot be read stays, and the others are moved.
fn what_cannot_be_read_stays() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    let image = random(MIB);
    r.write(0, &image)?;
    main.bad(1003..=1003)?;
    refused(
        "sector 1000: blocks cannot be read, 1 units stay; 'lossy' gives such blocks up",
        || r.relocate(992, 24),
    )?;
    assert_eq!(used_and_lost(&r)?, (2, 0));
    assert_eq!(r.list_lines()?, "992 2048 8/8\n1008 2064 8/8");
    main.good(1003..=1003)?;
    r.holds(&image)?;
    assert_eq!(
        r.relocate(992, 24)?,
        "remapped 1 units, 2 already were, 0 blocks lost\n"
    );
    r.holds(&image)
}

fn spare_unit_that_fails_later_is_replaced() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    let mut image = random(MIB);
    r.write(0, &image)?;
    r.message("remap 1000")?;
    spare.bad(spare_unit(0) + 3..=spare_unit(0) + 3)?;
    let block = random(SECTOR);
    r.write(1003, &block)?;
    overwrite(&mut image, 1003, &block);
    assert_eq!(r.count("spares_retired")?, 1);
    assert_eq!(r.list_lines()?, "1000 2056 8/8");
    r.holds(&image)
}

fn spare_read_error_never_shows_main() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    r.write(0, &random(MIB))?;
    r.message("remap 1000")?;
    let image = random(MIB);
    r.write(0, &image)?;
    spare.bad(spare_unit(0)..=spare_unit(1) - 1)?;
    fails_with(r.read(1000, 8), Errno::NODATA)?;
    spare.good(spare_unit(0)..=spare_unit(1) - 1)?;
    r.holds(&image)
}

fn exhausted_spare() -> Result<()> {
    let Array { r, main, .. } = with_spare_units(3, "")?;
    let old = random(MIB);
    r.write(0, &old)?;
    // One unit more than there are spare units.
    main.bad(800..=831)?;
    let new = random(MIB);
    fails_with(r.write(0, &new), Errno::IO)?;
    assert_eq!(used_and_lost(&r)?, (3, 0));
    assert_eq!(r.status()?.health, "exhausted");
    assert_eq!(r.count("no_spare")?, 1);
    refused("no spare unit is left", || r.message("remap 8"))?;
    // What is relocated still works, and so does the rest of main.
    r.holds_at(800, part(&new, 800, 24))?;
    r.write(2048, &old)?;
    r.holds_at(2048, &old)
}

/// Whether it takes writes of zeroes.
fn offers_write_zeroes(r: &Remap) -> Result<bool> {
    Ok(r.attribute("queue/write_zeroes_max_bytes")? != "0")
}

fn write_zeroes_over_bad_sectors() -> Result<()> {
    let r = Remap::create("0 131072 remap /dev/disk0 0 /dev/disk1 0 32768")?;
    let image = random(MIB);
    r.write(2048, &image)?;
    r.message("remap 2048")?;
    assert!(offers_write_zeroes(&r)?);
    r.write_zeroes(992, 2048)?;
    assert_eq!(r.used()?, "2/3584");
    let first = r.list()?.first().map(ToString::to_string);
    assert_eq!(first.as_deref(), Some("1000 2056 8/8"));
    r.holds_at(992, &vec![0; MIB])?;
    // No more than that was zeroed.
    r.holds_at(3040, part(&image, 992, 8))
}

/// A disk that was only guessed to know how to write zeroes says that it does not: the block layer
/// writes them.
fn write_zeroes_that_the_disk_does_not_know() -> Result<()> {
    const WRITE_SAME: [&str; 2] = ["0x41", "0x93"];
    /// Illegal request, invalid operation code.
    const UNKNOWN_COMMAND: [u8; 6] = [0, 0, 2, 5, 0x20, 0];
    let disk = ScsiDebug::new("")?;
    let path = disk.path().display();
    let r = Remap::create(&format!("0 65536 remap {path} 0 {path} 98304 16384"))?;
    let image = random(MIB);
    r.write(0, &image)?;
    assert!(offers_write_zeroes(&r)?);
    for command in WRITE_SAME {
        disk.fail(command, None, UNKNOWN_COMMAND)?;
    }
    r.write_zeroes(0, 1024)?;
    // No worker served any of it.
    assert_eq!(r.count("repaired")?, 0);
    r.holds(&vec![0; MIB / 2])?;
    r.holds_at(1024, part(&image, 1024, 1024))?;
    assert_eq!(used_and_lost(&r)?, (0, 0));
    Ok(())
}

fn counters_and_reset() -> Result<()> {
    let Array { r, .. } = Array::new()?;
    assert_eq!(r.count("reads")?, 0);
    r.read(0, 8)?;
    r.read(8, 8)?;
    assert_eq!(r.count("reads")?, 2);
    r.message("stats reset")?;
    assert_eq!(r.count("reads")?, 0);
    r.message("remap 0")?;
    r.read(0, 8)?;
    for name in ["reads", "redirected", "remapped"] {
        assert_eq!(r.count(name)?, 1, "{name}");
    }
    assert_eq!(
        r.status_words()?,
        "relocated 1/1536 0 0 0 0 0 rw 2/2 closed 31/0/1 ok stopped 0/16384"
    );
    Ok(())
}

fn wait_returns_on_an_event() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    let before = r.events()?.to_string();
    let waiter = start("dmsetup", &["wait", r.name(), &before])?;
    main.bad(1003..=1003)?;
    r.write(0, &random(MIB))?;
    waiter.end()?.well()?;
    Ok(())
}

fn nvme_with_bad_sectors() -> Result<()> {
    NullDisk::new("spare", 8)?;
    fails(Device::at("/dev/disk0").wipe(8000, 8))?;
    let r = Remap::create("0 131072 remap /dev/disk0 0 /dev/spare 0 16384")?;
    let image = random(8 * MIB);
    r.write(0, &image)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    assert_eq!(r.list_lines()?, "8000 2048 8/8");
    fails_with(r.read(16000, 8), Errno::NODATA)?;
    r.write(0, &image)?;
    r.holds(&image)?;
    assert_eq!(used_and_lost(&r)?, (2, 0));
    Ok(())
}

fn scsi_with_bad_sectors() -> Result<()> {
    let r = Remap::create("0 131072 remap /dev/disk0 0 /dev/disk1 0 16384")?;
    let image = random(8 * MIB);
    r.write(0, &image)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    fails_with(r.read(16000, 8), Errno::NODATA)?;
    r.write(0, &image)?;
    r.holds(&image)?;
    assert_eq!(used_and_lost(&r)?, (2, 0));
    Ok(())
}
