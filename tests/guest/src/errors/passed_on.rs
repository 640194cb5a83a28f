// SPDX-License-Identifier: GPL-2.0

//! Errors that do not recur, or are not medium errors, use no spare unit.

use super::used_and_lost;
use crate::kit::{
    scsi_debug::{
        self,
        ScsiDebug, //
    },
    *, //
};
use rustix::io::Errno;

crate::tests![transient_error_costs_nothing, other_errors_are_passed_on,];

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
    // A unit that cannot be read because of such an error is not relocated either, and loses no
    // blocks.
    disk.fail(scsi_debug::READ, None, PATH_FAILED)?;
    refused("a device fails, and not for a bad sector", || {
        r.message("remap 800")
    })?;
    disk.work(scsi_debug::READ)?;
    assert_eq!(used_and_lost(&r)?, (0, 0));
    assert_eq!(r.count("write_errors")?, 0);
    Ok(())
}
