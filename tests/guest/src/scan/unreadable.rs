// SPDX-License-Identifier: GPL-2.0

//! Unreadable units become suspects, and suspects that are readable again are cleared.

use super::{
    finds,
    line,
    on_scsi_debug,
    pass,
    small,
    MAPPED,
    NOTHING,
    SMALL, //
};
use crate::kit::{
    scsi_debug::ScsiDebug,
    *, //
};

crate::tests![
    all_units_that_cannot_be_read,
    a_disk_that_fails_in_part,
    a_disk_with_large_blocks_and_units,
    a_disk_of_dust,
    a_disk_of_parts,
    a_disk_with_sense_codes,
    a_scsi_disk(disks: &["scsi:64M:read@8003+2:read@70001", "scsi:16M"]),
    an_nvme_disk(disks: &["nvme:64M:read@8003+2:read@70001", "nvme:16M"]),
    suspects_are_read_again,
    units_on_the_spare_are_read_there,
];

fn all_units_that_cannot_be_read() -> Result<()> {
    // Several in a batch, at both ends of a batch, alone, and in the last unit.
    const BAD: [u64; 7] = [800, 1024, 1535, 9000, 9008, 16390, 32767];
    let a = small()?;
    let image = random(800 * SECTOR);
    a.r.write(0, &image)?;
    for sector in BAD {
        a.main.bad(sector..=sector)?;
    }
    finds(&a.r, &BAD)?;
    assert_eq!(a.r.count("scan_found")?, 7);
    assert_eq!(a.r.status()?.scan, "stopped");
    assert_eq!(a.r.count("scan_passes")?, 1);
    assert_eq!(a.r.count("suspects")?, 7);
    assert_eq!(line(&a.r, "regions_with_trouble")?, "1");
    assert_eq!(line(&a.r, "region")?, "0 15");
    a.r.holds(&image).context("the adjacent sectors")?;
    // Known suspects are not counted again.
    a.r.scan()?;
    assert_eq!(a.r.count("scan_found")?, 7);
    assert_eq!(line(&a.r, "before")?, "found 7 weak 0 moved 0");
    // A write clears or relocates them.
    a.main.good(0..=32767)?;
    a.r.wipe(800, UNIT)?;
    assert_eq!(a.r.status()?.suspects, 6);
    Ok(())
}

fn a_disk_that_fails_in_part() -> Result<()> {
    let main = NullDisk::with("main", 16, &[("badblocks_partial_io", "1")])?;
    NullDisk::new("spare", 8)?;
    let r = Remap::create(SMALL)?;
    let bad = [0, 2047, 30000];
    for sector in bad {
        main.bad(sector..=sector)?;
    }
    finds(&r, &bad)
}

fn a_disk_with_large_blocks_and_units() -> Result<()> {
    let main = NullDisk::with("main", 16, &[("blocksize", "4096")])?;
    NullDisk::new("spare", 8)?;
    let r = Remap::create(&format!("{SMALL} 2 unit 32768"))?;
    main.bad(800..=807)?;
    main.bad(16376..=16383)?;
    r.scan()?;
    assert_eq!(r.suspects()?, [768, 16320]);
    assert_eq!(pass(&r)?, "2 weak 0 moved 0");
    Ok(())
}

fn a_disk_of_dust() -> Result<()> {
    NullDisk::new("disk", 16)?;
    NullDisk::new("spare", 8)?;
    let main = Mapped::create("main", "0 32768 dust /dev/disk 0 4096")?;
    for block in [127, 128, 2500] {
        main.message(&format!("addbadblock {block}"))?;
    }
    main.message("enable")?;
    let r = Remap::create(MAPPED)?;
    finds(&r, &[1016, 1024, 20000])
}

/// A part of the disk fails all reads, and another part is missing.
fn a_disk_of_parts() -> Result<()> {
    let main = "0 8192 linear /dev/disk 0\n\
                8192 16 flakey /dev/disk 8192 0 1 1 error_reads\n\
                8208 8192 linear /dev/disk 8208\n\
                16400 8 error\n\
                16408 16360 linear /dev/disk 16408";
    NullDisk::new("disk", 16)?;
    NullDisk::new("spare", 8)?;
    Mapped::create("main", main)?;
    let r = Remap::create(MAPPED)?;
    finds(&r, &[8192, 8200, 16400])
}

fn a_disk_with_sense_codes() -> Result<()> {
    let disk = ScsiDebug::new("medium_error_start=8001 medium_error_count=3 opts=2")?;
    let r = on_scsi_debug(&disk)?;
    finds(&r, &[8001])
}

fn a_scsi_disk() -> Result<()> {
    two_bad_units_of_a_disk()
}

fn an_nvme_disk() -> Result<()> {
    two_bad_units_of_a_disk()
}

fn two_bad_units_of_a_disk() -> Result<()> {
    let r = Remap::create("0 131072 remap /dev/disk0 0 /dev/disk1 0 32768")?;
    finds(&r, &[8003, 70001])
}

/// A pass clears the suspects that are readable again.
fn suspects_are_read_again() -> Result<()> {
    let a = small()?;
    for sector in (800..=4000).step_by(80) {
        a.main.bad(sector..=sector)?;
    }
    a.r.scan()?;
    assert_eq!(a.r.status()?.suspects, 41);
    a.main.bad(4001..=4001)?;
    a.main.good(800..=800)?;
    a.r.scan()?;
    assert_eq!(a.r.status()?.suspects, 40);
    a.main.good(0..=4000)?;
    a.r.scan()?;
    assert_eq!(a.r.suspects()?, [4000]);
    assert_eq!(pass(&a.r)?, NOTHING);
    Ok(())
}

fn units_on_the_spare_are_read_there() -> Result<()> {
    let a = small()?;
    a.r.relocate(800, UNIT)?;
    a.main.bad(800..=807)?;
    a.r.scan()?;
    assert_eq!(pass(&a.r)?, NOTHING);
    a.spare.bad(REGION..=REGION)?;
    let mut log = KernelLog::now()?;
    a.r.scan()?;
    log.must_have("sector 2048 of the spare cannot be read")
}
