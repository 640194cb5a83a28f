// SPDX-License-Identifier: GPL-2.0

//! Whether devices are what they must be, and none of them is another, or a part of it.

use crate::ground::{
    InTheWay,
    SAME_DISK, //
};
use crate::identity::Identity;
use crate::sysfs::BlockDevice;
use anyhow::{
    bail,
    Result, //
};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The block device at a path; `None` if there is a file, or nothing.
pub fn block_device(path: &Path) -> Result<Option<BlockDevice>> {
    match path.exists() && !path.is_file() {
        true => BlockDevice::at(path).map(Some),
        false => Ok(None),
    }
}

/// Whether a device can only be read.
pub fn is_read_only(device: &BlockDevice) -> bool {
    device.attribute("ro").as_deref() == Some("1")
}

/// Refuses a device that can only be read, or not be written anywhere.
pub fn check_writable(device: &BlockDevice) -> Result<()> {
    let path = device.path.display();
    if is_read_only(device) {
        bail!("{path} can only be read");
    }
    let model = device.disk()?.attribute("queue/zoned");
    if model.is_some_and(|model| model != "none") {
        bail!("{path} is zoned");
    }
    Ok(())
}

/// Refuses two paths to one device, or to a device and a part of it, and notes what may be that.
pub fn check_apart(one: &Path, other: &Path, way: &mut InTheWay) -> Result<()> {
    let is_same = match (block_device(one)?, block_device(other)?) {
        (Some(one), Some(other)) => {
            if are_alike(&one.disk()?, &other.disk()?)? {
                let (one, other) = (one.path.display(), other.path.display());
                let text = format!("{one} and {other} have the same serial number");
                way.note(SAME_DISK, text);
            }
            overlap(&one, &other)?
        }
        (None, None) => is_same_file(one, other),
        _ => false,
    };
    if is_same {
        let (one, other) = (one.display(), other.display());
        bail!("{one} is {other}, or a part of it, or has it as a part");
    }
    Ok(())
}

/// Whether two paths are those of one file.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let inode = |path| {
        let found = fs::metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    };
    inode(one).is_some_and(|found| inode(other) == Some(found))
}

/// Whether a sector of one device may be one of another.
fn overlap(one: &BlockDevice, other: &BlockDevice) -> Result<bool> {
    let are_parts = one.is_partition() && other.is_partition();
    Ok(is_one_disk(&one.disk()?, &other.disk()?)? && !(are_parts && one.start() != other.start()))
}

/// Whether two disks are one, which may be there under two names, as each path to a disk of a
/// storage network is.
pub fn is_one_disk(one: &BlockDevice, other: &BlockDevice) -> Result<bool> {
    if one == other {
        return Ok(true);
    }
    let (one, other) = (Identity::of(one)?, Identity::of(other)?);
    let is_same = |one: Option<String>, other| one.is_some() && one == other;
    Ok(is_same(one.wwid, other.wwid) || is_same(one.dm_uuid, other.dm_uuid))
}

/// Whether two disks of one length have nothing but the same serial number, of which there are
/// adapters that all have one.
fn are_alike(one: &BlockDevice, other: &BlockDevice) -> Result<bool> {
    if one == other {
        return Ok(false);
    }
    let (one, other) = (Identity::of(one)?, Identity::of(other)?);
    let is_known = one.wwid.is_some() && other.wwid.is_some();
    Ok(!is_known
        && one.serial.is_some()
        && (one.serial, one.sectors) == (other.serial, other.sectors))
}
