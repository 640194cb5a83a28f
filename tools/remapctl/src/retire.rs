// SPDX-License-Identifier: GPL-2.0

//! `remapctl retire`: giving an array up by moving its units back to main.

use crate::activate::{
    deactivate,
    dm_uuid, //
};
use crate::array::{
    Disks,
    Found, //
};
use crate::backup::uuid_of;
use crate::cli;
use crate::device::Access;
use crate::ground::Ground;
use crate::lock::Lock;
use crate::probe;
use crate::remaptab::Remaptab;
use crate::renew;
use crate::say::Say;
use crate::sysfs::BlockDevice;
use anyhow::{
    bail,
    Context,
    Error,
    Result, //
};
use remap_active::{
    list::relocations,
    mapper::Mapper, //
};
use remap_core::metadata::uuid::Uuid;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// A unit that stays on the spare, by its first sector, and the reason.
type Left = (u64, Error);

/// Moves units back to main until none is left, or none of those that are left goes; those.
fn move_back(say: &Say, mapper: &Mapper, name: &str) -> Result<Vec<Left>> {
    loop {
        let (mut left, mut moved) = (Vec::new(), 0);
        for target in mapper.targets(name)? {
            let ask = |text: &str| mapper.message(name, target.start, text);
            let units = relocations(target.start, ask)?;
            for (at, unit) in units.iter().enumerate() {
                match ask(&format!("unremap {}", unit.sector)) {
                    Ok(_) => moved += 1,
                    Err(error) => left.push((unit.sector, error)),
                }
                say.progress("moving back", at as u64 + 1, units.len() as u64);
            }
        }
        // The array is in use: units may have been relocated meanwhile.
        if moved == 0 {
            return Ok(left);
        }
    }
}

/// Lists the units that are left.
fn say_left(say: &Say, name: &str, left: &[Left]) {
    let lines: Vec<_> = left
        .iter()
        .map(|(sector, error)| format!("sector {sector}: {error:#}"))
        .collect();
    let sectors: Vec<_> = left.iter().map(|(sector, _)| sector).collect();
    say.both(
        &json!({ "name": name, "retired": false, "left": sectors }),
        format_args!(
            "{} units stay on the spare:\n{}",
            left.len(),
            lines.join("\n")
        ),
    );
}

/// Erases the metadata of an array without relocated units; fails if it has some: it was in use
/// until it was deactivated.
fn erase(disks: &mut Disks, array: &Uuid, name: &str) -> Result<()> {
    let found = Found::read(disks)?;
    let units = found.contents().size.relocated;
    if found.array().uuid != *array || units > 0 {
        bail!(
            "{units} units were relocated while '{name}' was deactivated: activate it, and run \
             this again"
        );
    }
    let array = *found.array();
    let (ground, _) = Ground::look(disks, array.main_sectors, array.on_main())?;
    renew::erase(disks, &ground, &array)
}

/// Deactivates an array whose data are all on main, erases its metadata, and takes it out of the
/// table; its devices.
fn give_up(mapper: &Mapper, name: &str, array: &Uuid, tab: &Path) -> Result<cli::Devices> {
    let lock = Lock::take()?;
    let devices = probe::devices_of(Some(mapper), name, tab)?;
    deactivate(mapper, name)?;
    let mut disks = Disks::open(&devices, Access::Write)?;
    erase(&mut disks, array, name)
        .with_context(|| format!("the line of '{name}' is still in {}", tab.display()))?;
    Remaptab::change(tab, &lock, |table| {
        table.remove(array);
        Ok(())
    })?;
    Ok(devices)
}

/// `remapctl retire`
pub fn retire(say: &Say, args: &cli::Retire) -> Result<ExitCode> {
    let (mapper, name, tab) = (Mapper::new()?, &args.name, &args.tab.tab);
    let array = uuid_of(name, tab)?;
    let found = mapper.info(name)?.uuid;
    if found != dm_uuid(&array) {
        bail!("'{name}' is not the array of the table, but another mapped device ({found})");
    }
    let left = move_back(say, &mapper, name)?;
    if !left.is_empty() {
        say_left(say, name, &left);
        return Ok(ExitCode::FAILURE);
    }
    if mapper.info(name)?.open > 0 {
        bail!(
            "all data are on main, but '{name}' is in use: unmount it, and run this again before \
             anything is relocated anew"
        );
    }
    let devices = give_up(&mapper, name, &array, tab)?;
    for path in [&devices.main, &devices.spare] {
        BlockDevice::at(path)?.trigger()?;
    }
    crate::udev::settle();
    let (main, spare) = (devices.main.display(), devices.spare.display());
    say.both(
        &json!({ "name": name, "retired": true, "on": devices.main }),
        format_args!(
            "all data are on {main}, and array '{name}' is no more; {spare} is free\n\
             if the root file system is on {main}: 'update-initramfs -u' (or 'dracut --force'); \
             the old table there hides {main}"
        ),
    );
    Ok(ExitCode::SUCCESS)
}
