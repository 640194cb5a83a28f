// SPDX-License-Identifier: GPL-2.0

//! Writes of zeroes.

use super::used_and_lost;
use crate::kit::{
    scsi_debug::ScsiDebug,
    *, //
};

crate::tests![
    write_zeroes_over_bad_sectors(disks: &["scsi:64M:write@1000+8", "scsi:16M"]),
    write_zeroes_that_the_disk_does_not_know,
];

/// Whether the device offers writes of zeroes.
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
    // The sectors behind were not zeroed.
    r.holds_at(3040, part(&image, 992, 8))
}

/// A disk that was only assumed to support writes of zeroes rejects them: the block layer writes
/// the zeroes as data.
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
    // No worker served any part of it.
    assert_eq!(r.count("repaired")?, 0);
    r.holds(&vec![0; MIB / 2])?;
    r.holds_at(1024, part(&image, 1024, 1024))?;
    assert_eq!(used_and_lost(&r)?, (0, 0));
    Ok(())
}
