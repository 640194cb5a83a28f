// SPDX-License-Identifier: GPL-2.0

//! Absent disks, which are not bad: no spare unit is used for them.

use crate::kit::{
    host,
    *, //
};
use rustix::io::Errno;

crate::tests![
    a_scsi_disk_is_offline(disks: &["scsi:64M", "scsi:16M"]),
    main_is_pulled(disks: &["scsi:64M", "scsi:16M"], hands: true),
    the_spare_is_pulled(disks: &["scsi:64M", "scsi:16M"], hands: true),
    main_turns_read_only(disks: &["nvme:64M:turns"]),
    main_does_not_answer_in_time(waits: true),
];

/// The table on a main of 64 MiB and a spare of 16 MiB.
const ON_SCSI_DISKS: &str = "0 131072 remap /dev/disk0 0 /dev/disk1 0 32768";

fn a_scsi_disk_is_offline() -> Result<()> {
    let main = Device::at("/dev/disk0");
    let r = Remap::create(ON_SCSI_DISKS)?;
    let image = random(MIB);
    r.write(0, &image)?;
    main.set_attribute("device/state", "offline")?;
    fails(r.write(2048, &image))?;
    fails(r.read(0, 8))?;
    assert_eq!(r.used()?, "0/3584");
    main.set_attribute("device/state", "running")?;
    r.message("rearm")?;
    r.write(2048, &image)?;
    r.holds_at(2048, &image)?;
    r.holds(&image)?;
    let status = r.status()?;
    assert_eq!(status.used.to_string(), "0/3584");
    assert_eq!(status.breaker, "closed");
    Ok(())
}

/// A device with ten relocated units, and its first data.
fn with_ten_units_on_the_spare() -> Result<(Remap, Vec<u8>)> {
    let r = Remap::create(ON_SCSI_DISKS)?;
    r.relocate(800, 80)?;
    let image = random(MIB);
    r.write(0, &image)?;
    Ok((r, image))
}

/// Starts reads and writes of the device, except the relocated units, until an error.
fn start_load(r: &Remap) -> Result<Running> {
    let load = start(
        "fio",
        &[
            "--name=load",
            &format!("--filename={}", r.path().display()),
            "--ioengine=libaio",
            "--direct=1",
            "--rw=randrw",
            "--bs=4k",
            "--offset=1M",
            "--size=31M",
            "--iodepth=8",
            "--time_based",
            "--runtime=1d",
        ],
    )?;
    let before = r.counted()?.writes;
    until(|| Ok(r.counted()?.writes > before))?;
    Ok(load)
}

fn main_is_pulled() -> Result<()> {
    let (r, image) = with_ten_units_on_the_spare()?;
    let load = start_load(&r)?;
    host::pull(0)?;
    assert_ne!(load.end()?.status, Some(0));
    fails(r.write(2048, &image))?;
    assert_eq!(r.used()?, "10/3584");
    // The data on the spare are still there.
    r.holds_at(800, part(&image, 800, 80))?;
    fails(r.read(880, 8))
}

fn the_spare_is_pulled() -> Result<()> {
    let (r, image) = with_ten_units_on_the_spare()?;
    host::pull(1)?;
    // Relocated units cannot be read, and main's stale data do not appear in their place.
    fails(r.read(800, 8))?;
    fails(r.write(800, part(&image, 800, 8)))?;
    // All other units work.
    r.holds(part(&image, 0, 800))?;
    r.write(2048, &image)?;
    r.holds_at(2048, &image)
}

/// Makes all writes of the disk fail, or work again.
fn turn(disk: &Device) {
    // This request may be the first to fail, or the last.
    let _ = disk.write_zeroes(60 << 11, 8);
}

/// Reads still work, so only a write to the metadata on main reveals the failure.
fn main_turns_read_only() -> Result<()> {
    let main = Device::at("/dev/disk0");
    NullDisk::new("spare", 8)?;
    run(
        "remapctl",
        &["format", "/dev/disk0", "/dev/spare", "--main-metadata"],
    )?;
    let r = Remap::create("0 126968 remap /dev/disk0 0 /dev/spare 0 16384")?;
    assert_eq!(r.status()?.regions.to_string(), "4/4");
    let image = random(MIB);
    r.write(0, &image)?;
    let mut log = KernelLog::now()?;
    turn(&main);
    fails(main.write(120_000, part(&image, 0, 8)))?;
    fails(r.write(2048, &image))?;
    let status = r.status()?;
    assert_eq!(status.used.to_string(), "0/1536");
    assert_eq!(status.health, "tripped");
    assert_eq!(status.breaker, "open");
    assert_eq!(status.regions.to_string(), "2/4");
    log.must_have("nothing on main can be written")?;
    r.holds(&image)?;
    turn(&main);
    r.message("rearm")?;
    r.write(2048, &image)?;
    r.holds_at(2048, &image)?;
    r.message("checkpoint")?;
    let status = r.status()?;
    assert_eq!(status.used.to_string(), "0/1536");
    assert_eq!(status.regions.to_string(), "4/4");
    assert_eq!(status.breaker, "closed");
    Ok(())
}

/// Makes the disk leave a percentage of requests unanswered until the kernel's timeout, which is
/// given in milliseconds.
fn leave_unanswered(disk: &NullDisk, percent: u32, timeout: u32) -> Result<()> {
    disk.set_attribute("queue/io_timeout", timeout)?;
    disk.set("timeout_inject/times", -1)?;
    disk.set("timeout_inject/probability", percent)
}

fn main_does_not_answer_in_time() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    let image = random(MIB);
    r.write(0, &image)?;
    leave_unanswered(&main, 100, 1000)?;
    fails_with(r.write(2048, &image), Errno::TIMEDOUT)?;
    fails_with(r.read(0, 8), Errno::TIMEDOUT)?;
    leave_unanswered(&main, 0, 100_000_000)?;
    let status = r.status()?;
    assert_eq!(status.used.to_string(), "0/1536");
    assert_eq!(status.health, "healthy");
    assert_eq!(status.breaker, "closed");
    assert_eq!(status.suspects, 0);
    r.holds(&image)?;
    r.write(2048, &image)?;
    r.holds_at(2048, &image)
}
