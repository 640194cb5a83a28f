// SPDX-License-Identifier: GPL-2.0

//! Failing regions are dropped and restored.

use super::{
    again,
    fail_regions,
    flaky::{
        self,
        OnLow,
        Region::FailsWrites, //
    },
    is_refused,
    mend_regions,
    regions,
    ten_units,
    LAST, //
};
use crate::kit::*;
use rustix::io::Errno;

crate::tests![
    a_failing_region_is_dropped_and_comes_back,
    a_failing_region_is_tried_again,
    without_any_region_nothing_moves_and_io_goes_on,
    a_device_in_use_resumes_without_its_metadata,
    a_suspend_remembers_no_checksum,
    a_table_that_becomes_writable_forgets_the_checksum_first,
    a_refused_activation_is_refused_again,
    a_failing_region_comes_back_by_itself (waits: true),
];

fn a_failing_region_is_dropped_and_comes_back() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    let image = ten_units(&r)?;
    spare.bad(LAST..=SPARE - 1)?;
    let events = r.events()?;
    // A suspend relocates nothing, but makes a commit.
    r.suspend()?;
    r.resume()?;
    r.wait_for_event_after(events)?;
    r.relocate(8, UNIT)?;
    let status = r.status()?;
    assert_eq!(status.regions.to_string(), "1/2");
    assert_eq!(status.health, "degraded");
    spare.good(LAST..=SPARE - 1)?;
    assert_eq!(r.message("checkpoint")?.trim_end(), "wrote 2 of 2 regions");
    assert_eq!(regions(&r)?, "2/2");
    r.remove()?;
    spare.wipe(0, REGION)?;
    let r = Remap::create(TABLE)?;
    r.holds(&image)?;
    assert_eq!(r.used()?, "11/1536");
    Ok(())
}

fn a_failing_region_is_tried_again() -> Result<()> {
    /// The number of commits after which a region is retried.
    const COMMITS: u64 = 17;
    let Array { r, spare, .. } = Array::new()?;
    spare.bad(LAST..=SPARE - 1)?;
    r.relocate(8, UNIT)?;
    assert_eq!(regions(&r)?, "1/2");
    spare.good(LAST..=SPARE - 1)?;
    for unit in 2..2 + COMMITS {
        r.relocate(unit * UNIT, UNIT)?;
    }
    assert_eq!(regions(&r)?, "2/2");
    Ok(())
}

fn without_any_region_nothing_moves_and_io_goes_on() -> Result<()> {
    let Array { r, main, spare } = Array::new()?;
    let image = ten_units(&r)?;
    main.bad(4000..=4000)?;
    fail_regions(&spare)?;
    let unit = random(4096);
    fails_with(r.write(4000, &unit), Errno::IO)?;
    let status = r.status()?;
    assert_eq!(status.health, "frozen");
    assert_eq!(status.regions.to_string(), "0/2");
    refused("no copy of the metadata can be written", || {
        r.relocate(8, UNIT)
    })?;
    r.holds(&image)?;
    let image = random(MIB);
    r.write(0, &image)?;
    r.holds(&image)?;
    // The disk may or may not hold the relocation, and with it the data of the write that failed.
    // Until this is resolved, the unit takes no writes, even if main would take them, and it is not
    // read: a reader of the old data could find the others after the next load.
    main.good(4000..=4000)?;
    fails_with(r.write(4000, &unit), Errno::IO)?;
    fails_with(r.read(4000, UNIT), Errno::IO)?;
    r.write(4008, &unit)?;
    mend_regions(&spare)?;
    let r = again(r, TABLE)?;
    r.holds(&image)?;
    r.write(4000, &unit)?;
    r.holds_at(4000, &unit)?;
    r.holds_at(4008, &unit)
}

fn a_device_in_use_resumes_without_its_metadata() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    let image = ten_units(&r)?;
    fail_regions(&spare)?;
    r.suspend()?;
    r.resume()?;
    assert_eq!(r.status()?.health, "frozen");
    r.holds(&image)?;
    r.remove()?;
    is_refused("the metadata cannot be read", TABLE)?;
    mend_regions(&spare)?;
    Remap::create(TABLE)?.holds(&image)
}

/// An array that is resumed without its metadata cannot say that main changes: it must not be refused
/// for that later.
fn a_suspend_remembers_no_checksum() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    let image = ten_units(&r)?;
    r.suspend()?;
    fail_regions(&spare)?;
    r.resume()?;
    assert_eq!(r.status()?.health, "frozen");
    r.write_junk(0, UNIT)?;
    r.remove()?;
    mend_regions(&spare)?;
    let r = Remap::create(TABLE)?;
    ensure!(r.read(800, 80)? == image[800 * 512..880 * 512]);
    r.remove()
}

/// A checksum of main that cannot be taken back would have main refused later.
fn a_table_that_becomes_writable_forgets_the_checksum_first() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    let image = ten_units(&r)?;
    r.remove()?;
    let r = Remap::create_read_only(TABLE)?;
    fail_regions(&spare)?;
    r.load(TABLE)?;
    refused("no copy of the metadata can be written", || {
        r.suspend()?;
        r.resume()
    })?;
    let events = r.events()?;
    refused("the metadata cannot be read", || r.resume())?;
    r.wait_for_event_after(events)?;
    assert_eq!(r.status()?.health, "refused");
    mend_regions(&spare)?;
    r.resume()?;
    assert_eq!(r.status()?.mode, "rw");
    assert_eq!(r.used()?, "10/1536");
    r.holds(&image)?;
    r.write_junk(0, UNIT)?;
    again(r, TABLE).map(drop)
}

/// The metadata can be read but not written. The first activation is refused, and so is the second.
fn a_refused_activation_is_refused_again() -> Result<()> {
    const REASON: &str = "no copy of the metadata can be written";
    let OnLow { r, low, image, .. } = OnLow::new()?;
    r.remove()?;
    low.becomes(FailsWrites, FailsWrites)?;
    let r = Mapped::without_table("r")?;
    r.load(flaky::TABLE)?;
    refused(REASON, || r.resume())?;
    refused(REASON, || r.resume())?;
    // The device serves no I/O.
    let state = dmsetup(&["info", "--columns", "--noheadings", "-o", "suspended", "r"])?;
    assert_eq!(state.trim_end(), "Suspended");
    low.works()?;
    r.load(flaky::TABLE)?;
    r.resume()?;
    let r = Remap::at("r")?;
    let status = r.status()?;
    assert_eq!(status.health, "relocated");
    assert_eq!(status.used.to_string(), "10/1536");
    assert_eq!(status.mode, "rw");
    assert_eq!(status.regions.to_string(), "2/2");
    r.holds(&image)?;
    // The relocations are counted once.
    assert_eq!(r.count("remapped")?, 10);
    Ok(())
}

/// A region that works again is restored without a commit.
fn a_failing_region_comes_back_by_itself() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    spare.bad(LAST..=SPARE - 1)?;
    r.relocate(8, UNIT)?;
    assert_eq!(regions(&r)?, "1/2");
    // The freed unit is not reused while a region still lists it.
    r.move_back(8)?;
    assert_eq!(r.used()?, "1/1536");
    spare.good(LAST..=SPARE - 1)?;
    until(|| {
        let status = r.status()?;
        Ok(status.regions.to_string() == "2/2" && status.used.to_string() == "0/1536")
    })
}
