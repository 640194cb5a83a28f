// SPDX-License-Identifier: GPL-2.0

//! Making arrays active, and ending that: create, remove.

use crate::array::Disks;
use crate::changed;
use crate::cli;
use crate::device::Access;
use crate::say::Say;
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
use std::time::Duration;

/// How often a device that is open is tried to be removed, and how long is waited in between.
const TRIES: u32 = 25;
const PAUSE: Duration = Duration::from_millis(200);
/// What the UUIDs of mapped devices of arrays begin with, by which udev's rules know them.
pub const UUID_PREFIX: &str = "REMAP-";

/// The UUID of the mapped device of an array.
pub fn dm_uuid(array: &Uuid) -> String {
    format!("{UUID_PREFIX}{array}")
}

/// Fails unless the mapped device of that name is this array.
pub fn check_is(mapper: &Mapper, name: &str, array: &Uuid) -> Result<()> {
    let found = mapper.info(name)?.uuid;
    match found == dm_uuid(array) {
        true => Ok(()),
        false => bail!("'{name}' is another mapped device ({found})"),
    }
}

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
    mapper.create(name, uuid.as_deref(), access)?;
    let made = mapper
        .load(name, table, access)
        .and_then(|()| mapper.resume(name));
    if let Err(error) = made {
        // Nothing stands behind the name.
        let _ = mapper.remove(name);
        return Err(error).with_context(|| {
            format!("activating {name}: the kernel log says why (dmesg | grep remap)")
        });
    }
    Ok(())
}

/// `remapctl remove`
pub fn remove(say: &Say, args: &cli::Name) -> Result<ExitCode> {
    let (mapper, name) = (Mapper::new()?, &args.name);
    // One that is shown without its spare has other targets.
    if !mapper.info(name)?.uuid.starts_with(UUID_PREFIX) {
        mapper.targets(name)?;
    }
    deactivate(&mapper, name)?;
    say.both(
        &json!({ "removed": args.name }),
        format_args!("removed {}", args.name),
    );
    Ok(ExitCode::SUCCESS)
}

/// Removes a mapped device, as soon as nobody has it open only to look at it.
pub fn deactivate(mapper: &Mapper, name: &str) -> Result<()> {
    let mut tries = TRIES;
    while let Err(error) = mapper.remove(name) {
        // Programs that look at new devices hold them open for a moment.
        tries -= 1;
        if tries == 0 || mapper.info(name)?.open == 0 {
            return Err(error);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
