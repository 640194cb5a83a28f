// SPDX-License-Identifier: GPL-2.0

//! Making arrays active, and ending that: create, remove.

use crate::array::Disks;
use crate::changed;
use crate::cli;
use crate::device::Access;
use crate::mapped::{
    self,
    deactivate,
    dm_uuid,
    UUID_PREFIX, //
};
use crate::moving;
use crate::remaptab::Remaptab;
use crate::say::Say;
use crate::sysfs::BlockDevice;
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_active::{
    mapper::{
        self,
        Mapper, //
    },
    table::Line,
    TYPE, //
};
use remap_core::metadata::survey::{
    identify,
    Refused, //
};
use remap_core::metadata::uuid::Uuid;
use remap_core::table::Features;
use remap_host::blank_block;
use serde_json::json;
use std::process::ExitCode;

/// `remapctl create`
pub fn create(say: &Say, args: &cli::Create) -> Result<ExitCode> {
    let access = Access::unless(args.dry_run || args.readonly);
    let features = Features {
        unit: None,
        breaker: args.breaker,
        breaker_day: args.breaker_day,
        policy: args.policy,
        patience: args.queue_if_no_spare,
        scan_interval: args.scan_interval,
        scan_rate: args.scan_rate,
        proactive: args.not_proactive.then_some(false),
    };
    let mut disks = Disks::open(&args.devices, access)?;
    let (array, line) = table(&mut disks, features)?;
    drop(disks);
    if !args.dry_run {
        let access = match args.readonly {
            true => mapper::Access::Read,
            false => mapper::Access::Write,
        };
        let mapper = Mapper::new()?;
        let made = activate(&mapper, &args.name, array.as_ref(), &[line.clone()], access);
        made.map_err(|error| changed::explained(&args.devices, error))?;
        if array.is_none() && !args.readonly {
            // The target has formatted the spare.
            let mut disks = Disks::open(&args.devices, Access::Read)?;
            let regions = disks.regions();
            if let Ok(identity) = identify(&mut disks, &mut blank_block(), &regions) {
                mapper.set_uuid(&args.name, &dm_uuid(&identity.array.uuid))?;
            }
        }
    }
    say.both(
        &json!({ "name": args.name, "table": line.to_string(), "active": !args.dry_run }),
        format_args!("{line}"),
    );
    Ok(ExitCode::SUCCESS)
}

/// The array on the disks, unless the spare is blank, and its table line, with these features.
pub fn table(disks: &mut Disks, features: Features) -> Result<(Option<Uuid>, Line)> {
    let regions = disks.regions();
    let (len, unit, array) = match identify(disks, &mut blank_block(), &regions) {
        Ok(identity) if identity.features.are_moved() => bail!("{}", Refused::Moved),
        Ok(identity) => {
            let unit = u64::from(identity.array.unit_sectors) << 9;
            let array = identity.array;
            (array.main_sectors, Some(unit), Some(array.uuid))
        }
        Err(Refused::Blank) => (disks.behind(), None, None),
        Err(refused) => bail!("{refused}"),
    };
    let (main, spare) = (disks.main.path().display(), disks.spare.path().display());
    let area = disks.spare_area;
    let words = format!(
        "{main} {} {spare} {} {}{}",
        disks.main_start,
        area.start,
        area.len,
        Features { unit, ..features }
    );
    let line = Line {
        start: 0,
        sectors: len,
        kind: TYPE.into(),
        words,
    };
    Ok((array, line))
}

/// Makes a mapped device of that table, which is that array's if it is known.
pub fn activate(
    mapper: &Mapper,
    name: &str,
    array: Option<&Uuid>,
    table: &[Line],
    access: mapper::Access,
) -> Result<()> {
    let uuid = array.map(dm_uuid);
    mapped::create(mapper, name, uuid.as_deref(), table, access)
        .with_context(|| format!("activating {name}: the kernel log says why (dmesg | grep remap)"))
}

/// `remapctl remove`
pub fn remove(say: &Say, args: &cli::Remove) -> Result<ExitCode> {
    let (mapper, name) = (Mapper::new()?, &args.name);
    // One that is shown without its spare has other targets.
    if !mapper.info(name)?.uuid.starts_with(UUID_PREFIX) {
        mapper.targets(name)?;
    }
    let below = new_disk(args);
    deactivate(&mapper, name)?;
    moving::lower(&mapper, name, None)?;
    for device in below {
        // Without udev there is nobody to look.
        let _ = device.trigger();
    }
    say.both(
        &json!({ "removed": args.name }),
        format_args!("removed {}", args.name),
    );
    Ok(ExitCode::SUCCESS)
}

/// The disk that the data of an array have moved to, by the table: what is there is found there when
/// the array's device has gone.
fn new_disk(args: &cli::Remove) -> Vec<BlockDevice> {
    let table = Remaptab::read(&args.tab.tab).unwrap_or_default();
    let is_moved = table.named(&args.name).is_some_and(|entry| entry.is_moved);
    let device = BlockDevice::at(&mapped::path(&args.name));
    match (is_moved, device) {
        (true, Ok(device)) => device.below(),
        _ => Vec::new(),
    }
}
