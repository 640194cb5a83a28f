// SPDX-License-Identifier: GPL-2.0

//! Giving an array up by moving its units back to main.

use crate::array::{
    Disks,
    Found, //
};
use crate::backup::uuid_of;
use crate::cli;
use crate::device::Access;
use crate::ground::Ground;
use crate::lock::Lock;
use crate::mapped::{
    deactivate,
    dm_uuid, //
};
use crate::moving;
use crate::probe;
use crate::remaptab::Remaptab;
use crate::renew;
use crate::say::Say;
use crate::sysfs::BlockDevice;
use anyhow::{
    bail,
    Error,
    Result, //
};
use remap_active::{
    list::relocations,
    mapper::Mapper, //
};
use remap_core::metadata::array::Array;
use remap_core::metadata::uuid::Uuid;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// How often units are listed and moved back.
const PASSES: u32 = 4;

/// A unit that stays on the spare, by its first sector, and the reason.
type Left = (u64, Error);

/// Moves units back to main; those that are left.
fn move_back(say: &Say, mapper: &Mapper, name: &str) -> Result<Vec<Left>> {
    let mut left = Vec::new();
    // The array is in use: units may be relocated meanwhile.
    for _ in 0..PASSES {
        let mut moved = 0;
        left.clear();
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
        if moved == 0 {
            break;
        }
    }
    Ok(left)
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

/// The array of these devices; fails if it has relocated units: it was in use until it was
/// deactivated.
fn empty_array(devices: &cli::Devices, array: &Uuid, name: &str) -> Result<Array> {
    let mut disks = Disks::open(devices, Access::Hold)?;
    let found = Found::read(&mut disks)?;
    let units = found.contents().size.relocated;
    if found.array().uuid != *array || units > 0 {
        bail!(
            "{units} units were relocated while '{name}' was deactivated: activate it, and run \
             this again"
        );
    }
    Ok(*found.array())
}

/// Erases the metadata of an array, and nothing else: what else looks like metadata belongs to the
/// users of main.
fn erase(devices: &cli::Devices, array: &Array) -> Result<()> {
    let mut disks = Disks::open(devices, Access::Write)?;
    let (mut ground, _) = Ground::look(&disks, array.main_sectors, array.on_main())?;
    ground.older.clear();
    renew::erase(&mut disks, &ground, array)
}

/// Deactivates an array whose data are all on main, and takes it out of the table; its devices, and
/// why its metadata could not be erased, if they could not.
fn give_up(
    mapper: &Mapper,
    name: &str,
    array: &Uuid,
    tab: &Path,
) -> Result<(cli::Devices, Option<Error>)> {
    let lock = Lock::take()?;
    let devices = probe::devices_of(Some(mapper), name, tab)?;
    deactivate(mapper, name)?;
    // An attempt to move the data may have been stopped.
    moving::lower(mapper, name, None)?;
    let empty = empty_array(&devices, array, name)?;
    // A spare that fails is a reason to retire.
    let failed = erase(&devices, &empty).err();
    Remaptab::change(tab, &lock, |table| {
        table.remove(array);
        Ok(())
    })?;
    Ok((devices, failed))
}

/// Moves all units back to main, and gives the array up.
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
    let (devices, failed) = give_up(&mapper, name, &array, tab)?;
    for path in [&devices.main, &devices.spare] {
        BlockDevice::at(path)?.trigger()?;
    }
    crate::udev::settle();
    let (main, spare) = (devices.main.display(), devices.spare.display());
    let state = match &failed {
        None => format!("{spare} is free"),
        Some(error) => format!(
            "its metadata could not be erased, so pull {spare}, or overwrite it, before anything \
             activates the array: {error:#}"
        ),
    };
    say.both(
        &json!({
            "name": name, "retired": true, "on": devices.main, "erased": failed.is_none(),
        }),
        format_args!(
            "all data are on {main}, and array '{name}' is no more; {state}\n\
             if the root file system is on {main}: 'update-initramfs -u' (or 'dracut --force'); \
             the old table there hides {main}"
        ),
    );
    Ok(ExitCode::SUCCESS)
}
