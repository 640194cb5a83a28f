// SPDX-License-Identifier: GPL-2.0

//! `remapctl activate`: arrays of the table become active as soon as their devices are there,
//! whichever comes first.

use crate::activate;
use crate::array::{
    Disks,
    Found, //
};
use crate::changed;
use crate::cli;
use crate::device::Access;
use crate::export;
use crate::lock::Lock;
use crate::main_alone::MainAlone;
use crate::mapped::{
    check_is,
    create,
    dm_uuid, //
};
use crate::moving::{
    self,
    Moving, //
};
use crate::probe::Parts;
use crate::remaptab::{
    Entry,
    MissingSpare,
    Remaptab,
    To, //
};
use crate::say::Say;
use crate::sysfs::BlockDevice;
use crate::usage::check_unused;
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_active::mapper::{
    self,
    Mapper, //
};
use serde_json::json;
use std::process::ExitCode;

/// How an array stands.
enum Standing {
    /// It is active, as it was before.
    Already,
    /// It became active.
    Activated,
    /// It became active, and its data move to another disk.
    Moving,
    /// What was not relocated can be read: the spare is not there.
    ReadOnly,
    /// This is not there yet.
    Waiting(&'static str),
}

impl Standing {
    /// A word for programs.
    fn word(&self) -> &'static str {
        match self {
            Self::Already => "already",
            Self::Activated => "active",
            Self::Moving => "moving",
            Self::ReadOnly => "read-only",
            Self::Waiting(_) => "waiting",
        }
    }

    fn sentence(&self, name: &str) -> String {
        match self {
            Self::Already => format!("array '{name}' is active already"),
            Self::Activated => format!("array '{name}' is active"),
            Self::Moving => format!("array '{name}' is active, and its data move to another disk"),
            Self::ReadOnly => format!(
                "array '{name}' can be read without its spare; what was relocated gives errors"
            ),
            Self::Waiting(what) => format!("array '{name}' waits for {what}"),
        }
    }
}

/// Activates an array, if its devices are there.
fn activate(mapper: &Mapper, entry: &Entry, without_spare: bool) -> Result<Standing> {
    let name = &entry.name;
    if entry.is_moved {
        bail!("its data were moved to another disk, and are found there");
    }
    if mapper.names()?.contains(name) {
        check_is(mapper, name, &entry.array)?;
        return Ok(Standing::Already);
    }
    let parts = Parts::of(entry)?;
    let Some(main) = parts.main else {
        return Ok(Standing::Waiting("main"));
    };
    if entry.to.is_some() {
        // An activation may have been stopped.
        moving::lower(mapper, name, Some(&entry.array))?;
    }
    // Whoever uses a device beside the array destroys data.
    check_unused(&main)?;
    let Some(spare) = parts.spare else {
        return match (without_spare, entry.missing_spare) {
            (false, _) => Ok(Standing::Waiting("the spare")),
            (true, MissingSpare::Refuse) => bail!(
                "the spare of array {} is not there, and without it relocated data are missing; \
                 'missing-spare=read-only' in the table shows the others",
                entry.array
            ),
            (true, MissingSpare::ReadOnly) => read_only(mapper, entry, &main),
        };
    };
    check_unused(&spare)?;
    let devices = entry.devices(main.path, spare.path);
    let mut disks = Disks::open_each(&devices, Access::Hold, Access::Hold)?;
    if let Some(to) = &entry.to {
        let found = Found::read_moved(&mut disks)?;
        if found.contained.choice.identity.features.are_moved() {
            drop(disks);
            return go_on_moving(mapper, entry, to, (&devices, &found));
        }
    }
    let (array, line) = activate::table(&mut disks, entry.features)?;
    drop(disks);
    if array != Some(entry.array) {
        bail!("the spare is of another array");
    }
    let access = mapper::Access::Write;
    let made = activate::activate(mapper, name, Some(&entry.array), &[line], access);
    made.map_err(|error| changed::explained(&devices, error))?;
    Ok(Standing::Activated)
}

/// Makes the copy again by which the data of an array move to another disk.
fn go_on_moving(
    mapper: &Mapper,
    entry: &Entry,
    to: &To,
    (devices, found): (&cli::Devices, &Found),
) -> Result<Standing> {
    let array = found.array();
    if array.uuid != entry.array {
        bail!("the spare is of another array");
    }
    let Some(moving) = Moving::of(mapper, entry, to, array.main_sectors)? else {
        return Ok(Standing::Waiting("the disk that its data move to"));
    };
    for path in [&moving.new, &moving.state.0] {
        check_unused(&BlockDevice::at(path)?)?;
    }
    moving.raise(&moving::source(found, &devices.main, &devices.spare))?;
    let (uuid, access) = (dm_uuid(&entry.array), mapper::Access::Write);
    create(mapper, &entry.name, Some(&uuid), &moving.top(), access)?;
    Ok(Standing::Moving)
}

/// Shows what main's copies of the metadata say is on main.
fn read_only(mapper: &Mapper, entry: &Entry, main: &BlockDevice) -> Result<Standing> {
    let mut alone = MainAlone::open(&main.path, entry.main_start)?;
    let found = alone.read()?;
    if found.array().uuid != entry.array {
        bail!("the metadata on main are of array {}", found.array().uuid);
    }
    let path = main.path.display().to_string();
    drop(alone);
    let table = export::table(&found, &path, None);
    let access = mapper::Access::Read;
    activate::activate(mapper, &entry.name, Some(&entry.array), &table, access)?;
    Ok(Standing::ReadOnly)
}

/// `remapctl activate`
pub fn assemble(say: &Say, args: &cli::Activate) -> Result<ExitCode> {
    // udev tells of both devices of an array at the same time.
    let _lock = Lock::take()?;
    let table = Remaptab::read(&args.tab.tab)?;
    let mut entries: Vec<_> = table
        .entries()
        .filter(|entry| entry.is_activated())
        .collect();
    if !args.names.is_empty() {
        let named = |name: &String| {
            let entry = table.named(name);
            entry.with_context(|| format!("no array '{name}' in {}", args.tab.tab.display()))
        };
        entries = args.names.iter().map(named).collect::<Result<_>>()?;
    }
    let mapper = Mapper::new()?;
    let mut all_well = true;
    for entry in entries {
        match activate(&mapper, entry, args.without_spare) {
            Ok(standing) => {
                let waits = matches!(standing, Standing::Waiting(_));
                all_well &= !waits || args.incremental;
                say.both(
                    &json!({ "name": entry.name, "state": standing.word() }),
                    format_args!("{}", standing.sentence(&entry.name)),
                );
            }
            Err(error) => {
                all_well = false;
                say.error(&error.context(format!("array '{}'", entry.name)));
            }
        }
    }
    Ok(match all_well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
