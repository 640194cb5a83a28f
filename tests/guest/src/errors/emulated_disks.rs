// SPDX-License-Identifier: GPL-2.0

//! NVMe and SCSI disks of QEMU with bad sectors.

use super::used_and_lost;
use crate::kit::*;
use rustix::io::Errno;

crate::tests![
    nvme_with_bad_sectors(disks: &["nvme:64M:write@8003+2:read@16003"]),
    scsi_with_bad_sectors(disks: &["scsi:64M:write@8003+2:read@16003", "scsi:64M:4k"]),
];

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
