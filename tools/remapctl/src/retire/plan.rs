// SPDX-License-Identifier: GPL-2.0

//! Whether the data of an array can move to a new disk: all that can refuse is asked before anything
//! is changed.

use super::unreadable::UNREADABLE;
use crate::apart::{
    check_apart,
    check_writable, //
};
use crate::array::{
    Disks,
    Found, //
};
use crate::cli;
use crate::device::{
    Access,
    Device, //
};
use crate::extent::Extent;
use crate::ground::{
    InTheWay,
    FOREIGN,
    LOST, //
};
use crate::mapped;
use crate::moving::{
    Layout,
    LONGEST_SUFFIX, //
};
use crate::offline;
use crate::probe;
use crate::random::random_uuid;
use crate::remaptab::{
    Entry,
    Main,
    Remaptab,
    To,
    MOST_NAME, //
};
use crate::sysfs::BlockDevice;
use crate::usage::{
    check_unused,
    system_on, //
};
use anyhow::{
    bail,
    Result, //
};
use remap_active::status::Status;
use remap_active::table::Line;
use remap_core::geometry::Unit;
use remap_core::index::State;
use std::path::Path;

/// The name of devices that drop flushes.
const WRITE_THROUGH: &str = "write-through";
/// The name of a system that is on the array.
const SYSTEM: &str = "system";

/// The name of the blocks of an array that are lost, with their number; `None` if there are none.
fn lost(found: &Found) -> Option<String> {
    let units = found.contained.map.iter_from(Unit(0));
    let lost = units.map(|(unit, entry)| match entry.state {
        State::Relocated { valid, .. } => {
            let lost = found.geometry.blocks_of(unit).minus(valid);
            u64::from(lost.count())
        }
        State::Main | State::Suspect => 0,
    });
    let lost: u64 = lost.sum();
    (lost > 0).then(|| format!("{LOST}{lost}"))
}

fn lost_text(name: &str) -> String {
    format!("blocks are lost ('remapctl list {name}'), and become zeroes")
}

/// Refuses to lose more blocks than `--force` names: some may have been lost lately.
pub fn check_lost(args: &cli::Retire, found: &Found) -> Result<()> {
    let mut way = InTheWay::default();
    match lost(found).filter(|lost| !args.force.contains(lost)) {
        Some(lost) => way.note(&lost, lost_text(&args.name)),
        None => return Ok(()),
    }
    way.allow(&[])
}

/// What must be so of the new disk, and of the device with the state, and what may be in spite of
/// that.
fn check(
    (args, table): (&cli::Retire, &Remaptab),
    devices: &cli::Devices,
    new: &Path,
    way: &mut InTheWay,
) -> Result<()> {
    let wanted = [Some(new), args.state.as_deref()];
    let wanted: Vec<_> = wanted.into_iter().flatten().collect();
    for (at, &path) in wanted.iter().enumerate() {
        let others = wanted[..at].iter().copied();
        for other in others.chain([devices.main.as_path(), devices.spare.as_path()]) {
            check_apart(path, other, way)?;
        }
        let device = BlockDevice::at(path)?;
        check_unused(&device)?;
        check_writable(&device)?;
        probe::check_not_in(table, &device, Some(&args.name))?;
        let opened = Device::open(path, Access::Hold)?;
        // What is left of it behind the data would have the disk taken for a spare.
        if probe::spare_of(&opened, 0, None).is_some() {
            bail!(
                "{0} holds the metadata of an array: 'blkdiscard --zeroout {0}' erases it",
                path.display()
            );
        }
        if let Some(extent) = Extent::of(&opened, 0)? {
            way.note(FOREIGN, format!("{} holds {}", path.display(), extent.what));
        }
    }
    Ok(())
}

/// Checks that the array can be moved to the new disk; the table's entry for that.
pub fn plan(
    args: &cli::Retire,
    (table, entry): (&Remaptab, &Entry),
    (new, devices): (&Path, &cli::Devices),
    line: &Line,
) -> Result<(To, Layout)> {
    let name = &args.name;
    if name.len() + LONGEST_SUFFIX > MOST_NAME {
        bail!("'{name}' is too long a name for the devices of a copy");
    }
    let mut way = InTheWay::default();
    check((args, table), devices, new, &mut way)?;
    let device = BlockDevice::at(new)?;
    let have = device.sectors().unwrap_or(0);
    if have < line.sectors {
        bail!(
            "{} has {have} sectors, and '{name}' has {}",
            new.display(),
            line.sectors
        );
    }
    let own = BlockDevice::at(&mapped::path(name))?;
    if let Some(place) = system_on(&own)? {
        let text = format!(
            "{place} is on '{name}', whose requests wait for a moment, and what this and udev need \
             then may be there: a rescue system can do it"
        );
        way.note(SYSTEM, text);
    }
    let above = own.above();
    if above.contains(&device) {
        bail!("{} stands on '{name}'", new.display());
    }
    // These drop the flushes that the state of the copy must hear of.
    let drops = |device: &BlockDevice| {
        device.attribute("queue/write_cache").as_deref() == Some("write through")
    };
    if let Some(device) = above.into_iter().find(drops) {
        let path = device.path.display();
        let text = format!("{path} needs no flushes, as its disks have no caches, and drops them");
        way.note(WRITE_THROUGH, text);
    }
    let mut disks = Disks::open(devices, Access::Read)?;
    let block = |path: &Path| anyhow::Ok(Device::open(path, Access::Read)?.kind.logical_block);
    let (own, theirs) = (block(&own.path)?, block(new)?);
    if theirs != own {
        bail!(
            "{} has blocks of {theirs} bytes, and '{name}' of {own}",
            new.display()
        );
    }
    let found = offline::settled(&mut disks)?;
    if found.array().uuid != entry.array {
        bail!(
            "the devices of '{name}' are of array {}",
            found.array().uuid
        );
    }
    if let Some(lost) = lost(&found) {
        way.note(&lost, lost_text(name));
    }
    // Those are for later.
    let is_now = |name: &&String| !name.starts_with(UNREADABLE);
    let force: Vec<_> = args.force.iter().filter(is_now).cloned().collect();
    way.allow(&force)?;
    let layout = Layout::of(line.sectors);
    let state = args.state.as_deref().map(BlockDevice::at).transpose()?;
    layout.state_on(&device, state.as_ref())?;
    let to = To {
        disk: Main::of(&device)?,
        state: state.as_ref().map(Main::of).transpose()?,
        id: random_uuid()?,
    };
    if let (Main::Path(path), Some(_)) = (&to.disk, &to.state) {
        bail!(
            "{} says nothing that tells it from others, so the state of the copy must be on it",
            path.display()
        );
    }
    Ok((to, layout))
}

/// Refuses an array that cannot be marked reliably.
pub fn check_regions(name: &str, status: &Status) -> Result<()> {
    let regions = status.regions;
    match status.mode == "rw" && regions.of == regions.all {
        true => Ok(()),
        false => bail!(
            "'{name}' is {} with {regions} copies of the metadata good, and all must be written: \
             'remapctl status {name}' says what is the matter",
            status.mode
        ),
    }
}
