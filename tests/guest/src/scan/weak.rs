// SPDX-License-Identifier: GPL-2.0

//! Weak units are relocated while they can still be read.

use super::{
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
    a_unit_that_is_read_after_some_tries_is_moved,
    a_weak_unit_is_moved_while_it_can_be_read(waits: true),
    a_weak_unit_stays_if_that_is_wanted(waits: true),
    a_weak_unit_stays_if_no_spare_unit_is_left(waits: true),
];

/// The first reads of a unit fail, and a later read succeeds.
fn a_unit_that_is_read_after_some_tries_is_moved() -> Result<()> {
    let disk = ScsiDebug::new("")?;
    let r = on_scsi_debug(&disk)?;
    let image = random(MIB);
    r.write(0, &image)?;
    // The reads of the batch, and then of its first unit, fail with a medium error.
    disk.fail(READ, Some(2), [0, 0, 0x2, 0x3, 0x11, 0])?;
    r.scan()?;
    assert_eq!(pass(&r)?, "0 weak 1 moved 1");
    assert_eq!(r.list_lines()?, "0 2048 8/8");
    assert_eq!(r.count("scan_weak")?, 1);
    assert_eq!(r.count("scan_moved")?, 1);
    r.holds(&image)
}

/// The first sector of the slow unit.
pub(super) const SLOW: u64 = 20000;

/// Lines of a table that map the sectors from `first` to `end` of a disk. Reads of the unit at
/// sector `slow` are delayed by `milliseconds`.
pub(super) fn with_slow_unit(first: u64, slow: u64, end: u64, milliseconds: u32) -> String {
    let behind = slow + UNIT;
    format!(
        "{first} {} linear /dev/disk {first}\n\
         {slow} {UNIT} delay /dev/disk {slow} {milliseconds} /dev/disk {slow} 0\n\
         {behind} {} linear /dev/disk {behind}",
        slow - first,
        end - behind,
    )
}

/// The delay of a slow unit in the first pass.
pub(super) const MILLISECONDS: u32 = 1500;

/// `r` on a main with a slow unit.
struct SlowUnit {
    r: Remap,
    main: Mapped,
    disk: NullDisk,
}

impl SlowUnit {
    fn new(features: &str) -> Result<Self> {
        let disk = NullDisk::new("disk", 16)?;
        NullDisk::new("spare", 8)?;
        let main = Mapped::create("main", &with_slow_unit(0, SLOW, 32768, MILLISECONDS))?;
        let r = Remap::create(format!("{MAPPED} {features}").trim_end())?;
        Ok(Self { r, main, disk })
    }

    /// Scans until a pass finds something, and returns the number of events of that pass.
    ///
    /// On a slow machine, other slow reads hide the unit, so its delay grows from pass to pass.
    fn scan(&self) -> Result<u32> {
        let mut milliseconds = MILLISECONDS;
        loop {
            let before = self.r.events()?;
            self.r.scan()?;
            if pass(&self.r)? != NOTHING {
                return Ok(self.r.events()? - before);
            }
            milliseconds *= 2;
            self.main
                .replace(&with_slow_unit(0, SLOW, 32768, milliseconds))?;
        }
    }
}

fn a_weak_unit_is_moved_while_it_can_be_read() -> Result<()> {
    let a = SlowUnit::new("")?;
    let image = random(MIB);
    a.r.write(19000, &image)?;
    a.scan()?;
    assert_eq!(pass(&a.r)?, "0 weak 1 moved 1");
    assert_eq!(a.r.list_lines()?, "20000 2048 8/8");
    // The data on main are no longer used.
    a.disk.wipe(SLOW, UNIT)?;
    a.r.holds_at(19000, &image)?;
    a.r.scan()?;
    assert_eq!(pass(&a.r)?, NOTHING);
    Ok(())
}

fn a_weak_unit_stays_if_that_is_wanted() -> Result<()> {
    let a = SlowUnit::new("2 proactive off")?;
    let events = a.scan()?;
    assert_eq!(pass(&a.r)?, "0 weak 1 moved 0");
    assert_eq!(a.r.used()?, "0/1536");
    // An event for the unit, and an event for the end of the pass.
    assert_eq!(events, 2);
    assert_eq!(line(&a.r, "region")?, "0 2");
    Ok(())
}

fn a_weak_unit_stays_if_no_spare_unit_is_left() -> Result<()> {
    let a = SlowUnit::new("")?;
    let image = random(MIB);
    a.r.write(19000, &image)?;
    a.r.relocate(0, 1536 * UNIT)?;
    assert_eq!(a.r.status()?.health, "exhausted");
    a.scan()?;
    assert_eq!(pass(&a.r)?, "0 weak 1 moved 0");
    let status = a.r.status()?;
    assert_eq!(status.used.to_string(), "1536/1536");
    assert_eq!(status.suspects, 0);
    a.r.holds_at(19000, &image)
}
