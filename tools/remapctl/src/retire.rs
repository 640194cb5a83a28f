// SPDX-License-Identifier: GPL-2.0

//! `remapctl retire`: giving an array up by moving its units back to main.

use crate::activate::deactivate;
use crate::array::{
    Disks,
    Found, //
};
use crate::assemble;
use crate::cli;
use crate::device::Access;
use crate::probe;
use crate::remaptab::Remaptab;
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
use serde_json::json;
use std::process::ExitCode;

/// A unit that stays on the spare, by its first sector, and the reason.
type Left = (u64, Error);

/// Moves units back to main; the units that main does not take.
fn move_back(say: &Say, mapper: &Mapper, name: &str) -> Result<Vec<Left>> {
    let mut left = Vec::new();
    for target in mapper.targets(name)? {
        let ask = |text: &str| mapper.message(name, target.start, text);
        let units = relocations(target.start, ask)?;
        for (at, unit) in units.iter().enumerate() {
            if let Err(error) = ask(&format!("unremap {}", unit.sector)) {
                left.push((unit.sector, error));
            }
            say.progress("moving back", at as u64 + 1, units.len() as u64);
        }
    }
    Ok(left)
}

/// Lists the units that are left.
fn say_left(say: &Say, name: &str, left: &[Left]) {
    let lines: Vec<_> = left
        .iter()
        .map(|(sector, error)| format!("sector {sector}: {error}"))
        .collect();
    let sectors: Vec<_> = left.iter().map(|(sector, _)| sector).collect();
    say.both(
        &json!({ "name": name, "retired": false, "left": sectors }),
        format_args!(
            "{} units stay on the spare, since main does not take them:\n{}",
            left.len(),
            lines.join("\n")
        ),
    );
}

/// Fails if the metadata have relocated units: the array was in use until it was deactivated.
fn check_empty(devices: &cli::Devices, name: &str) -> Result<()> {
    let mut disks = Disks::open(devices, Access::Read)?;
    let units = Found::read(&mut disks)?.contents().size.relocated;
    if units > 0 {
        bail!(
            "{units} units were relocated while '{name}' was deactivated: activate it, and run \
             this again"
        );
    }
    Ok(())
}

/// `remapctl retire`
pub fn retire(say: &Say, args: &cli::Retire) -> Result<ExitCode> {
    let (mapper, name, tab) = (Mapper::new()?, &args.name, &args.tab.tab);
    let table = Remaptab::read(tab)?;
    let entry = table.named(name);
    entry.with_context(|| format!("no array '{name}' in {}", tab.display()))?;
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
    // Nobody activates it again before it is out of the table.
    let _lock = assemble::lock()?;
    let devices = probe::devices_of(Some(&mapper), name, tab)?;
    deactivate(&mapper, name)?;
    check_empty(&devices, name)?;
    let mut table = Remaptab::read(tab)?;
    table.remove(name);
    table.write(tab)?;
    for path in [&devices.main, &devices.spare] {
        BlockDevice::at(path)?.trigger()?;
    }
    crate::udev::settle();
    let (main, spare) = (devices.main.display(), devices.spare.display());
    say.both(
        &json!({ "name": name, "retired": true, "on": devices.main }),
        format_args!(
            "all data are on {main}, and array '{name}' is no more; {spare} still has its \
             metadata: 'wipefs -a', or blkdiscard(8), removes them"
        ),
    );
    Ok(ExitCode::SUCCESS)
}
