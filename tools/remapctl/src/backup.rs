// SPDX-License-Identifier: GPL-2.0

//! `remapctl backup` and `history`: keeping the metadata of arrays in files.

use crate::array::Disks;
use crate::backups::{
    Added,
    Backups, //
};
use crate::cli;
use crate::device::Access;
use crate::dump::Dump;
use crate::mapped::UUID_PREFIX;
use crate::offline::settled;
use crate::probe;
use crate::relocate::{
    devices_of,
    lines, //
};
use crate::remaptab::Remaptab;
use crate::say::Say;
use anyhow::{
    Context,
    Result, //
};
use jiff::Timestamp;
use remap_active::mapper::Mapper;
use remap_core::metadata::uuid::Uuid;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Makes backups of the metadata of the arrays of a device, which may be in use, or of an array of
/// the table; for each the number of its last commit, and what became of it.
pub fn make(
    mapper: &Mapper,
    name: &str,
    tab: &Path,
    store: &cli::Store,
) -> Result<Vec<(u64, Added)>> {
    let lines = lines(mapper, name).unwrap_or_default();
    if lines.is_empty() {
        let devices = probe::devices_of(None, name, tab)?;
        return Ok(vec![make_one(&devices, store)?]);
    }
    // One that fails keeps none of the others from it.
    let one = |line| make_one(&devices_of(name, line)?, store);
    let all: Vec<_> = lines.iter().map(one).collect();
    all.into_iter().collect()
}

fn make_one(devices: &cli::Devices, store: &cli::Store) -> Result<(u64, Added)> {
    let mut disks = Disks::open(devices, Access::Read)?;
    let found = settled(&mut disks)?;
    let backups = Backups::of(&store.backups.backups, &found.array().uuid);
    let dump = Dump::of(&found);
    let added = backups.add(&dump, Timestamp::now(), store.keep)?;
    Ok((dump.generation, added))
}

/// Says what became of a backup.
fn say_added(say: &Say, name: &str, (commit, added): (u64, Added)) {
    let (word, commit) = match added {
        Added::New => ("backed up", commit),
        Added::Known(known) => ("has the same state in the backup of", known),
    };
    say.both(
        &json!({ "name": name, "commit": commit, "new": added == Added::New }),
        format_args!("array '{name}': {word} commit {commit}"),
    );
}

/// `remapctl backup`
pub fn backup(say: &Say, args: &cli::Backup) -> Result<ExitCode> {
    let mapper = Mapper::new()?;
    let names = match args.names.is_empty() {
        false => args.names.clone(),
        true => active(&mapper)?,
    };
    let mut all_well = true;
    for name in &names {
        match make(&mapper, name, &args.tab.tab, &args.store) {
            Ok(all) => all.into_iter().for_each(|one| say_added(say, name, one)),
            Err(error) => {
                all_well = false;
                say.error(&error.context(format!("array '{name}'")));
            }
        }
    }
    Ok(match all_well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The names of the arrays that are active with their spare.
pub fn active(mapper: &Mapper) -> Result<Vec<String>> {
    let mut names = mapper.names()?;
    // One that has no table any more was removed meanwhile.
    names.retain(|name| lines(mapper, name).is_ok_and(|lines| !lines.is_empty()));
    Ok(names)
}

/// The UUID of an array by its name, in the table or as it is active, or by the UUID itself.
pub fn uuid_of(name: &str, tab: &Path) -> Result<Uuid> {
    if let Some(uuid) = Uuid::parse(name) {
        return Ok(uuid);
    }
    if let Some(entry) = Remaptab::read(tab)?.named(name) {
        return Ok(entry.array);
    }
    let info = Mapper::new().and_then(|mapper| mapper.info(name));
    let uuid = info.ok().and_then(|info| {
        let uuid = info.uuid.strip_prefix(UUID_PREFIX)?;
        Uuid::parse(uuid)
    });
    uuid.with_context(|| format!("no array '{name}' is active, or in {}", tab.display()))
}

/// `remapctl history`
pub fn history(say: &Say, args: &cli::History) -> Result<ExitCode> {
    let array = uuid_of(&args.name, &args.tab.tab)?;
    let backups = Backups::of(&args.backups.backups, &array);
    let mut status = ExitCode::SUCCESS;
    for backup in backups.list()? {
        let dump = match backups.read(&backup) {
            Ok(dump) => dump,
            Err(error) => {
                say.error(&error);
                status = ExitCode::FAILURE;
                continue;
            }
        };
        let (commit, time) = (backup.commit, backup.time.to_string());
        let (relocated, retired) = (dump.relocated.len(), dump.retired.len());
        say.both(
            &json!({ "time": time, "commit": commit, "relocated": relocated, "retired": retired }),
            format_args!("{time}  commit {commit}  {relocated} units relocated, {retired} retired"),
        );
    }
    Ok(status)
}
