// SPDX-License-Identifier: GPL-2.0

//! `remapctl backup` and `history`: keeping the metadata of arrays in files.

use crate::activate::UUID_PREFIX;
use crate::array::Disks;
use crate::backups::Backups;
use crate::cli;
use crate::device::Access;
use crate::dump::Dump;
use crate::offline::settled;
use crate::probe;
use crate::remaptab::Remaptab;
use crate::say::Say;
use crate::status::Shown;
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

/// A backup that was made, or was not needed.
pub struct Made {
    /// The number of the last commit.
    pub commit: u64,
    /// Whether it was needed.
    pub is_new: bool,
}

/// Makes a backup of the metadata of an array that may be in use.
pub fn make(mapper: &Mapper, name: &str, tab: &Path, store: &cli::Store) -> Result<Made> {
    let devices = probe::devices_of(Some(mapper), name, tab)?;
    let mut disks = Disks::open(&devices, Access::Read)?;
    let found = settled(&mut disks)?;
    let backups = Backups::of(&store.backups, &found.array().uuid);
    let dump = Dump::of(&found);
    let is_new = backups.add(&dump, Timestamp::now(), store.keep)?;
    Ok(Made {
        commit: dump.generation,
        is_new,
    })
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
            Ok(Made { commit, is_new }) => {
                let word = if is_new {
                    "backed up"
                } else {
                    "has a backup of"
                };
                say.both(
                    &json!({ "name": name, "commit": commit, "new": is_new }),
                    format_args!("array '{name}': {word} commit {commit}"),
                );
            }
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

/// The names of the arrays that are active.
fn active(mapper: &Mapper) -> Result<Vec<String>> {
    let shown = Shown::all(mapper)?.into_iter();
    let whole = shown.filter(|shown| !shown.targets.is_empty());
    Ok(whole.map(|shown| shown.name).collect())
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
    for backup in Backups::of(&args.store.backups, &array).list()? {
        let dump = match backup.read() {
            Ok(dump) => dump,
            Err(error) => {
                say.error(&error);
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
    Ok(ExitCode::SUCCESS)
}
