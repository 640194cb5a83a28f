// SPDX-License-Identifier: GPL-2.0

//! Which devices are meant, and whether they may be used so.

use crate::cli;
use crate::device::Device;
use crate::extent::Extent;
use crate::ground::{
    InTheWay,
    FOREIGN,
    SAME_DISK, //
};
use crate::identity::Identity;
use crate::lock::Lock;
use crate::probe::{
    is_main,
    is_spare,
    spares_of,
    Parts, //
};
use crate::remaptab::Remaptab;
use crate::sysfs::BlockDevice;
use crate::usage::check_unused;
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_core::metadata::uuid::Uuid;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The devices that are meant.
pub struct Meant {
    /// Main, and the spare that it has.
    pub old: cli::Devices,
    /// Main, and the spare that it gets.
    pub new: cli::Devices,
    /// The array, if the table says so.
    pub array: Option<Uuid>,
    table: Remaptab,
}

impl Meant {
    /// Finds main, by its path or by the name of the array in the table, which nobody else changes
    /// meanwhile, nor activates what is in it.
    pub fn by(args: &cli::SpareReplace) -> Result<(Self, Option<Lock>)> {
        let tab = &args.tab.tab;
        if args.array.components().count() > 1 {
            let devices = |spare: &Path| cli::Devices {
                main: args.array.clone(),
                spare: spare.to_owned(),
                main_start: args.main_start,
                spare_start: args.spare_start,
                spare_len: args.spare_len,
            };
            let this = Self {
                old: devices(&args.old),
                new: devices(&args.new),
                array: None,
                table: Remaptab::read(tab)?,
            };
            return Ok((this, None));
        }
        let lock = Lock::take()?;
        let name = args.array.display().to_string();
        if (args.main_start, args.spare_start, args.spare_len) != (0, 0, None) {
            bail!("{} says where array '{name}' begins", tab.display());
        }
        let table = Remaptab::read(tab)?;
        let entry = table.named(&name);
        let entry = entry.with_context(|| format!("no array '{name}' in {}", tab.display()))?;
        let main = Parts::main_of(entry)?;
        let main = main.with_context(|| format!("main of array '{name}' is not there"))?;
        let this = Self {
            old: entry.devices(main.path.clone(), args.old.clone()),
            new: entry.devices(main.path, args.new.clone()),
            array: Some(entry.array),
            table,
        };
        Ok((this, Some(lock)))
    }

    /// Whether the old spare can only be read.
    pub fn is_old_read_only(&self) -> Result<bool> {
        let device = block_device(&self.old.spare)?;
        Ok(device.is_some_and(|device| is_read_only(&device)))
    }

    /// Has udev look at both spares again.
    pub fn trigger(&self) {
        for path in [&self.old.spare, &self.new.spare] {
            if let Ok(device) = BlockDevice::at(path) {
                // Without udev there is nobody to look.
                let _ = device.trigger();
            }
        }
        crate::udev::settle();
    }

    /// What must be so of the devices, and what may be in spite of that. A file stands for a device
    /// of which nothing is known.
    pub fn check(&self, way: &mut InTheWay) -> Result<()> {
        let (main, old, new) = (&self.new.main, &self.old.spare, &self.new.spare);
        if let Some(new) = block_device(new)? {
            for entry in self.table.entries() {
                if is_main(entry, &new)? {
                    bail!("{} is main of array '{}'", new.path.display(), entry.name);
                }
            }
        }
        for (one, other) in [(new, main), (new, old), (old, main)] {
            check_apart(one, other, way)?;
        }
        for path in [main, old, new] {
            if let Some(device) = block_device(path)? {
                check_unused(&device)?;
            }
        }
        let Some(new) = block_device(new)? else {
            return Ok(());
        };
        check_writable(&new)?;
        if let Some(main) = block_device(main)? {
            let (main, disk) = (main.disk()?, new.disk()?);
            if is_one_disk(&main, &disk)? {
                let (path, disk) = (new.path.display(), disk.path.display());
                way.note(SAME_DISK, format!("main and {path} are both on {disk}"));
            }
        }
        Ok(())
    }

    /// Refuses a device that is the spare of another array in the table.
    pub fn check_other_arrays(&self, array: &Uuid) -> Result<()> {
        let Some(new) = block_device(&self.new.spare)? else {
            return Ok(());
        };
        let others = self.table.entries().filter(|entry| entry.array != *array);
        for entry in others {
            if is_spare(entry, &new) {
                bail!(
                    "{} is the spare of array '{}'",
                    new.path.display(),
                    entry.name
                );
            }
        }
        Ok(())
    }

    /// Refuses to go on if any device holds the array.
    pub fn check_nowhere(&self, array: &Uuid) -> Result<()> {
        let found = spares_of(array, self.new.spare_start, self.new.spare_len)?;
        match found.first() {
            Some(device) => bail!("{} holds the array", device.path.display()),
            None => Ok(()),
        }
    }

    /// Notes what others than dm-remap have on the new device, where its spare area begins and at
    /// the beginning of all.
    pub fn note_foreign(&self, new: &Device, way: &mut InTheWay) -> Result<()> {
        for start in [self.new.spare_start, 0] {
            if let Some(extent) = Extent::of(new, start)? {
                let path = new.path().display();
                way.note(FOREIGN, format!("{path} holds {}", extent.what));
            }
        }
        Ok(())
    }
}

/// The block device at a path; `None` if there is a file, or nothing.
fn block_device(path: &Path) -> Result<Option<BlockDevice>> {
    match path.exists() && !path.is_file() {
        true => BlockDevice::at(path).map(Some),
        false => Ok(None),
    }
}

fn is_read_only(device: &BlockDevice) -> bool {
    device.attribute("ro").as_deref() == Some("1")
}

/// Refuses a device that can only be read, or not be written anywhere.
fn check_writable(device: &BlockDevice) -> Result<()> {
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
fn check_apart(one: &Path, other: &Path, way: &mut InTheWay) -> Result<()> {
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
fn is_one_disk(one: &BlockDevice, other: &BlockDevice) -> Result<bool> {
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
