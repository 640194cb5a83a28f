// SPDX-License-Identifier: GPL-2.0

//! Errors other than medium errors make no unit weak or suspect.

use super::{
    finds_nothing,
    line,
    on_scsi_debug,
    pass,
    MAPPED,
    NOTHING, //
};
use crate::kit::{
    scsi_debug::{
        ScsiDebug,
        READ, //
    },
    *, //
};

crate::tests![
    a_unit_of_which_the_path_fails_is_not_weak,
    a_unit_that_fails_once_with_any_error_is_not_weak,
    units_that_fail_for_other_reasons_are_passed_over,
    it_waits_while_the_path_fails,
];

/// A path failure: DID_TRANSPORT_FAILFAST.
const PATH: [u8; 6] = [0xf, 0, 0, 0, 0, 0];
/// A failure without a specific cause: DID_NO_CONNECT, which is `BLK_STS_IOERR`.
const NO_CONNECT: [u8; 6] = [1, 0, 0, 0, 0, 0];

/// `r` on a main with two units on a disk of scsi_debug.
fn with_path_to_a_part() -> Result<(Remap, ScsiDebug)> {
    let part = ScsiDebug::new("")?;
    NullDisk::new("disk", 16)?;
    NullDisk::new("spare", 8)?;
    let main = format!(
        "0 8192 linear /dev/disk 0\n\
         8192 16 linear {} 0\n\
         8208 24560 linear /dev/disk 8208",
        part.path().display()
    );
    Mapped::create("main", &main)?;
    Ok((Remap::create(MAPPED)?, part))
}

/// The number of units that the pass has passed over, if any.
fn passed_over(r: &Remap) -> Result<Option<String>> {
    Ok(r.ask("scan")?.find("passed_over").map(String::from))
}

/// Reads fail for a while with an error other than a medium error.
fn a_unit_of_which_the_path_fails_is_not_weak() -> Result<()> {
    let (r, part) = with_path_to_a_part()?;
    for times in [2, 3] {
        part.fail(READ, Some(times), PATH)?;
        finds_nothing(&r)?;
        assert_eq!(passed_over(&r)?, None);
        part.work(READ)?;
    }
    Ok(())
}

/// An error that may come from the path makes a unit weak only if it occurs twice while the rest of
/// main works.
fn a_unit_that_fails_once_with_any_error_is_not_weak() -> Result<()> {
    let (r, part) = with_path_to_a_part()?;
    let image = random(MIB);
    r.write(7000, &image)?;
    // The reads of the batch, and then of its first unit, fail.
    part.fail(READ, Some(2), NO_CONNECT)?;
    finds_nothing(&r)?;
    let status = r.status()?;
    assert_eq!(status.suspects, 0);
    assert_eq!(status.used.to_string(), "0/1536");
    part.work(READ)?;
    // One more read of the unit fails.
    part.fail(READ, Some(3), NO_CONNECT)?;
    r.scan()?;
    assert_eq!(pass(&r)?, "0 weak 1 moved 1");
    assert_eq!(r.list_lines()?, format!("8192 {REGION} 8/8"));
    part.work(READ)?;
    r.holds_at(7000, &image)
}

/// A part of main always fails with an error other than a medium error: the pass gets past it.
fn units_that_fail_for_other_reasons_are_passed_over() -> Result<()> {
    let (r, part) = with_path_to_a_part()?;
    part.fail(READ, None, PATH)?;
    let before = part.counted()?.reads;
    finds_nothing(&r)?;
    assert_eq!(passed_over(&r)?.as_deref(), Some("2"));
    assert_eq!(line(&r, "region")?, "0 2");
    let reads = part.counted()?.reads - before;
    ensure!(reads <= 16, "{reads} reads");
    part.work(READ)?;
    finds_nothing(&r)?;
    assert_eq!(passed_over(&r)?, None);
    Ok(())
}

/// The seconds until the scan retries main.
fn waits_for_main(r: &Remap) -> Result<Option<u64>> {
    let answer = r.ask("scan")?;
    let seconds = answer.find("waits_for_main").map(str::parse);
    Ok(seconds.transpose()?)
}

/// All reads of main fail, which is no finding about its units.
fn it_waits_while_the_path_fails() -> Result<()> {
    let disk = ScsiDebug::new("")?;
    let r = on_scsi_debug(&disk)?;
    disk.fail(READ, None, PATH)?;
    let before = disk.counted()?.reads;
    r.message("scan rate 1000000")?;
    r.message("scan start")?;
    let (mut reads, mut seconds) = (0, 0);
    until(|| {
        // Read first, because another attempt may follow.
        reads = disk.counted()?.reads - before;
        seconds = waits_for_main(&r)?.unwrap_or(0);
        assert_eq!(passed_over(&r)?, None);
        Ok(seconds >= 4)
    })?;
    // The pause starts with a second and doubles with each attempt, which reads a batch and a unit
    // in four other places.
    let tries = u64::from(seconds.ilog2()) + 1;
    ensure!(reads <= 5 * tries, "{reads} reads in {tries} tries");
    let status = r.status()?;
    assert_eq!(status.scan, "running");
    assert_eq!(status.scan_position.to_string(), "0/16384");
    disk.work(READ)?;
    // The message ends the pause.
    r.message("scan start")?;
    r.until_scan_is("stopped")?;
    assert_eq!(waits_for_main(&r)?, None);
    assert_eq!(pass(&r)?, NOTHING);
    assert_eq!(passed_over(&r)?, None);
    assert_eq!(r.status()?.breaker, "closed");
    Ok(())
}
