// SPDX-License-Identifier: GPL-2.0

//! Which devices are meant, and whether they may be used so.

use crate::apart::{
    block_device,
    check_apart,
    check_writable,
    is_one_disk,
    is_read_only, //
};
use crate::cli;
use crate::device::Device;
use crate::extent::Extent;
use crate::ground::{
    InTheWay,
    FOREIGN,
    SAME_DISK, //
};
use crate::lock::Lock;
use crate::probe::{
    check_not_in,
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
            check_not_in(&self.table, &new, None)?;
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
