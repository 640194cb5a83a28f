// SPDX-License-Identifier: GPL-2.0

//! `remapctl restore`: writing the metadata of a dump or of a backup.

use crate::array::{
    Disks,
    Found, //
};
use crate::backup::uuid_of;
use crate::backups::Backups;
use crate::cli;
use crate::device::Access;
use crate::dump::Dump;
use crate::ground::{
    Ground,
    InTheWay, //
};
use crate::lists;
use crate::offline::read_text;
use crate::rehearse::rehearse;
use crate::renew::write_new;
use crate::say::Say;
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_core::geometry::Unit;
use remap_core::metadata::survey::{
    identify,
    Refused, //
};
use remap_host::blank_block;
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;

/// The name of what is in the way if units would have other data than now.
const CHANGES: &str = "changes";
/// The name of an array whose data are on another disk.
const MOVED: &str = "moved";

/// The dump that is meant.
fn dump_of(args: &cli::Restore) -> Result<Dump> {
    if let Some(name) = &args.of {
        let array = uuid_of(name, &args.tab.tab)?;
        let backups = Backups::of(&args.backups.backups, &array);
        return backups.read(&backups.find(args.at)?);
    }
    let file = args.file.as_ref().context("no dump")?;
    serde_json::from_str(&read_text(file)?).context("the dump cannot be read")
}

/// The sectors of units that the dump has in another place than the array has them now.
fn other_places(found: &Found, dump: &Dump) -> Vec<Range<u64>> {
    let places = |dump: &Dump| -> BTreeMap<u64, (u64, String)> {
        let units = dump.relocated.iter();
        units
            .map(|unit| (unit.unit, (unit.spare, unit.valid.clone())))
            .collect()
    };
    let (now, then) = (places(&Dump::of(found)), places(dump));
    let units = now.keys().chain(then.keys());
    let other = units.filter(|unit| now.get(unit) != then.get(unit));
    let sectors = other.map(|&unit| found.geometry.sectors_of(Unit(unit)));
    lists::merged(sectors.collect())
}

/// Notes which units would have other data than now: older data, or those of other units.
fn note_changes(disks: &mut Disks, dump: &Dump, way: &mut InTheWay) {
    let regions = disks.regions();
    let identity = identify(disks, &mut blank_block(), &regions);
    if identity.is_ok_and(|identity| identity.features.are_moved()) {
        way.note(
            MOVED,
            format!("{}, and what main has is old", Refused::Moved),
        );
    }
    // What cannot be read is written over.
    let Ok(found) = Found::read_moved(disks) else {
        return;
    };
    if found.array().uuid.to_string() != dump.array {
        return;
    }
    let other = other_places(&found, dump);
    if other.is_empty() {
        return;
    }
    way.note(
        CHANGES,
        format!(
            "commit {} is on the disks, and with commit {} of the dump these sectors would have \
             other data than now: {}",
            found.generation(),
            dump.generation,
            lists::named(&other)
        ),
    );
}

/// `remapctl restore`
pub fn restore(say: &Say, args: &cli::Restore) -> Result<ExitCode> {
    let dump = dump_of(args)?;
    let (array, standing, records) = (dump.array()?, dump.standing()?, dump.records()?);
    let mut disks = Disks::open(&args.devices, Access::unless(args.writing.dry_run))?;
    if array.spare_sectors != disks.spare_area.len {
        let (want, have) = (array.spare_sectors, disks.spare_area.len);
        bail!("the dump is of a spare area of {want} sectors, this one has {have}");
    }
    let (ground, mut way) = Ground::look(&disks, array.main_sectors, array.on_main())?;
    let generation = dump.generation;
    let geometry = disks.geometry(&array)?;
    rehearse(&geometry, &array, generation, &standing, &records)
        .context("the dump contradicts itself")?;
    note_changes(&mut disks, &dump, &mut way);
    way.allow(&args.writing.force)?;
    if !args.writing.dry_run {
        write_new(&mut disks, &ground, array, generation, &standing, &records)?;
    }
    let word = if args.writing.dry_run {
        "would write"
    } else {
        "wrote"
    };
    say.both(
        &json!({ "array": dump.array, "written": !args.writing.dry_run, "relocated": dump.relocated.len() }),
        format_args!("{word} array {}, {} relocated units", dump.array, dump.relocated.len()),
    );
    Ok(ExitCode::SUCCESS)
}
