// SPDX-License-Identifier: GPL-2.0

//! Disks that hang or disappear during a scan.

use super::{
    line,
    step_until,
    until_begun,
    MAPPED, //
};
use crate::kit::{
    host::pull,
    module,
    *, //
};
use std::fs;

crate::tests![
    it_ends_with_its_device_while_it_reads,
    a_disk_that_hangs_holds_up_nobody_but_the_scan,
    a_disk_is_pulled(disks: &["scsi:64M", "scsi:16M"], hands: true),
    a_disk_that_is_gone_has_no_bad_units,
];

/// The scan is stopped during a read, and would otherwise wait for an hour afterwards.
fn it_ends_with_its_device_while_it_reads() -> Result<()> {
    let disk = NullDisk::new("disk", 16)?;
    NullDisk::new("spare", 8)?;
    let main = Gate::new("main", &disk, 0, 32768)?;
    let r = Remap::create(&format!("{MAPPED} 2 scan_rate 1"))?;
    main.hold_reads()?;
    r.message("scan start")?;
    main.until_reads_are_held(1)?;
    r.remove()?;
    main.open()?;
    until(|| Ok(fs::read_to_string("/sys/module/dm_remap/refcnt")?.trim() == "0"))
}

/// Neither a suspend nor a removal waits for a hung disk.
fn a_disk_that_hangs_holds_up_nobody_but_the_scan() -> Result<()> {
    let disk = NullDisk::new("disk", 64)?;
    NullDisk::new("spare", 8)?;
    let main = Gate::new("main", &disk, 0, MAIN)?;
    let r = Remap::create("0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384")?;
    // With a unit on the spare, a removal makes a checksum of main.
    r.relocate(8000, UNIT)?;
    main.hold_reads()?;
    r.message("scan start")?;
    main.until_reads_are_held(1)?;
    r.suspend()?;
    r.resume()?;
    r.message("scan stop")?;
    assert_eq!(line(&r, "state")?, "stopping");
    refused("still waits for a read", || r.message("scan start"))?;
    r.remove()?;
    // The read of the scan, and one for the checksum of main.
    main.until_reads_are_held(2)?;
    fails(module::unload("dm_remap"))?;
    // The disk answers the read at once when the gate opens.
    main.open()?;
    until(|| Ok(module::unload("dm_remap").is_ok()))
}

/// The disk of `r` is absent. Its scan, which reads batch after batch, must detect this, and find
/// no bad units.
fn finds_no_disk(r: &Remap) -> Result<()> {
    step_until(r, || Ok(r.status()?.health == "tripped"))?;
    let status = r.status()?;
    assert_eq!(status.suspects, 0);
    assert_eq!(status.used.of, 0);
    Ok(())
}

fn a_disk_is_pulled() -> Result<()> {
    let r = Remap::create(
        "0 131072 remap /dev/disk0 0 /dev/disk1 0 32768 4 scan_interval 1000 scan_rate 1",
    )?;
    until_begun(&r)?;
    pull(0)?;
    finds_no_disk(&r)?;
    assert_eq!(r.used()?, "0/3584");
    fails(r.read(60000, UNIT))?;
    r.remove()
}

/// The scan of an absent disk finds nothing, and resumes when the disk is back.
fn a_disk_that_is_gone_has_no_bad_units() -> Result<()> {
    const THERE: &str = "0 32768 linear /dev/disk 0";
    NullDisk::new("disk", 16)?;
    NullDisk::new("spare", 8)?;
    let main = Mapped::create("main", THERE)?;
    let r = Remap::create(&format!("{MAPPED} 4 scan_rate 1 scan_interval 1000"))?;
    until_begun(&r)?;
    main.replace("0 32768 error")?;
    finds_no_disk(&r)?;
    main.replace(THERE)?;
    r.message("rearm")?;
    r.message("scan rate 1000000")?;
    r.until_scan_is("waiting")?;
    let status = r.status()?;
    assert_eq!(status.suspects, 0);
    assert_eq!(status.used.to_string(), "0/1536");
    Ok(())
}
