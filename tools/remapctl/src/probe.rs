// SPDX-License-Identifier: GPL-2.0

//! Which array a device belongs to: what udev asks of each device that comes, and what finds the
//! devices of the arrays in the table.

use crate::cli;
use crate::device::{
    Access,
    Device, //
};
use crate::identity::Identity;
use crate::mapped::{
    dm_uuid,
    PIECE_PREFIX,
    UUID_PREFIX, //
};
use crate::remaptab::{
    Entry,
    Main,
    Remaptab, //
};
use crate::sysfs::BlockDevice;
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_core::metadata::block::{
    Header,
    Kind,
    Role,
    ALONE,
    BLOCK_SECTORS, //
};
use remap_core::metadata::uuid::Uuid;
use remap_core::region_layout::{
    Regions,
    Slot,
    SPARE_REGIONS, //
};
use remap_host::blank_block;
use std::path::Path;
use std::process::ExitCode;

/// What a spare says of its array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpareOf {
    /// It is the spare of this array.
    Array(Uuid),
    /// Somebody began to write an array, and did not come to the end.
    Unfinished,
    /// Its copies of the metadata are of different arrays.
    Mixed,
}

/// What the heads of the metadata say on a device whose spare area begins at a sector: both slots
/// of both regions are looked at, so that one that is torn hides no array.
///
/// `None` if there is no whole head. What cannot be read says nothing.
pub fn spare_of(device: &Device, start: u64, len: Option<u64>) -> Option<SpareOf> {
    let len = len.unwrap_or(device.kind.sectors.saturating_sub(start));
    let regions = Regions::for_spare(len);
    let starts = [Some(0), regions.last_start(len)];
    let mut block = blank_block();
    let mut found = None;
    for (region, at) in starts.into_iter().enumerate().take(SPARE_REGIONS) {
        let Some(at) = at else { continue };
        for number in Slot::BOTH.map(|slot| regions.header(slot)) {
            let sector = start + at + number * BLOCK_SECTORS;
            if device.read(sector, block.as_mut_slice()).is_err() {
                continue;
            }
            let Ok(header) = Header::read(&block, crc32c::crc32c) else {
                continue;
            };
            let address = header.address;
            let is_at_home = address.role == Role::SPARE
                && usize::from(address.region) == region
                && address.number == number;
            let here = match header.kind {
                Kind::Checkpoint if is_at_home => SpareOf::Array(address.array),
                // Nothing beside it is to be believed.
                Kind::Unfinished if is_at_home && header.count == ALONE => {
                    return Some(SpareOf::Unfinished)
                }
                Kind::Unfinished if is_at_home => SpareOf::Unfinished,
                _ => continue,
            };
            found = match found {
                None | Some(SpareOf::Unfinished) => Some(here),
                Some(known) if known == here || here == SpareOf::Unfinished => Some(known),
                Some(_) => Some(SpareOf::Mixed),
            };
        }
    }
    found
}

/// Whether the metadata of an array can be on a device, or main can be it: not on what is empty or
/// no disk, nor on an array itself.
fn is_candidate(device: &BlockDevice) -> bool {
    let name = device
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let dm = device.attribute("dm/uuid").unwrap_or_default();
    device.sectors().is_some_and(|sectors| sectors > 0)
        && !["fd", "mtd", "ram", "sr", "zram"].iter().any(|kind| {
            let number = name.strip_prefix(kind);
            number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
        })
        && ![UUID_PREFIX, PIECE_PREFIX]
            .iter()
            .any(|prefix| dm.starts_with(prefix))
}

/// Whether a device is main of an array in the table.
pub fn is_main(entry: &Entry, device: &BlockDevice) -> Result<bool> {
    is_it(&entry.main, device)
}

/// Refuses a device that the table has for an array: as main, or as what its data move to. That one
/// is left out of which `but` is the name, as far as its data move.
pub fn check_not_in(table: &Remaptab, device: &BlockDevice, but: Option<&str>) -> Result<()> {
    for entry in table.entries() {
        let (path, name) = (device.path.display(), &entry.name);
        if is_main(entry, device)? {
            bail!("{path} is main of array '{name}'");
        }
        let to = entry.to.as_ref().filter(|_| but != Some(name));
        for wanted in to.iter().flat_map(|to| to.devices()) {
            if is_it(wanted, device)? {
                bail!("the data of array '{name}' move to {path}");
            }
        }
    }
    Ok(())
}

/// Whether a device is the one that the table means.
fn is_it(wanted: &Main, device: &BlockDevice) -> Result<bool> {
    Ok(match wanted {
        Main::Identity(identity) => identity.is_of(&Identity::of(device)?),
        Main::Path(path) => BlockDevice::at(path).is_ok_and(|found| found.number == device.number),
    })
}

/// Whether a device is the spare of an array in the table.
pub fn is_spare(entry: &Entry, device: &BlockDevice) -> bool {
    holds(device, &entry.array, entry.spare_start, entry.spare_len)
}

/// Whether the heads on a device are those of an array.
fn holds(device: &BlockDevice, array: &Uuid, start: u64, len: Option<u64>) -> bool {
    let opened = Device::open(&device.path, Access::Read);
    opened.is_ok_and(|opened| spare_of(&opened, start, len) == Some(SpareOf::Array(*array)))
}

/// The devices whose heads are those of an array.
pub fn spares_of(array: &Uuid, start: u64, len: Option<u64>) -> Result<Vec<BlockDevice>> {
    let mut all = candidates()?;
    all.retain(|device| holds(device, array, start, len));
    Ok(all)
}

/// The devices that may belong to an array.
fn candidates() -> Result<Vec<BlockDevice>> {
    let mut all = BlockDevice::all()?;
    all.retain(is_candidate);
    Ok(all)
}

/// The devices of an array that are there.
#[derive(Debug)]
pub struct Parts {
    /// Main.
    pub main: Option<BlockDevice>,
    /// The spare.
    pub spare: Option<BlockDevice>,
}

impl Parts {
    /// Looks for them among all devices. A path to a disk over which another device stands, such
    /// as one of multipath, gives way to that.
    pub fn of(entry: &Entry) -> Result<Self> {
        let main = Self::main_of(entry)?;
        let mut spares = spares_of(&entry.array, entry.spare_start, entry.spare_len)?;
        spares.retain(|device| Some(device) != main.as_ref());
        let spare = only(spares, entry, "the spare")?;
        Ok(Self { main, spare })
    }

    /// Looks for main alone.
    pub fn main_of(entry: &Entry) -> Result<Option<BlockDevice>> {
        find(&entry.main, entry, "main")
    }
}

/// Looks for the device that the table means for a role in an array.
pub fn find(wanted: &Main, entry: &Entry, role: &str) -> Result<Option<BlockDevice>> {
    let mut found = Vec::new();
    for device in candidates()? {
        if is_it(wanted, &device)? {
            found.push(device);
        }
    }
    only(found, entry, role)
}

/// The one of several devices on which no other stands.
fn only(mut found: Vec<BlockDevice>, entry: &Entry, role: &str) -> Result<Option<BlockDevice>> {
    if found.len() > 1 {
        found.retain(|device| device.holders().is_empty());
    }
    if let [one, other, ..] = &found[..] {
        let (name, one, other) = (&entry.name, one.path.display(), other.path.display());
        bail!("{one} and {other} both look like {role} of array '{name}'");
    }
    Ok(found.pop())
}

/// Whether the device of an array stands on another.
fn stands_below(device: &BlockDevice, array: &Uuid) -> bool {
    let wanted = dm_uuid(array);
    let mut holders = device.holders().into_iter();
    holders.any(|holder| holder.attribute("dm/uuid").as_ref() == Some(&wanted))
}

/// The lines that udev imports for a device; none if it belongs to no array.
fn properties(table: &Remaptab, device: &BlockDevice) -> Result<Vec<(&'static str, String)>> {
    if !is_candidate(device) {
        return Ok(Vec::new());
    }
    let of = |role: &str, entry: &Entry| {
        let mut found = vec![
            ("REMAP_ROLE", role.to_string()),
            ("REMAP_NAME", entry.name.clone()),
            ("REMAP_ARRAY", entry.array.to_string()),
        ];
        found.extend((!entry.is_activated()).then(|| ("REMAP_NOAUTO", "1".to_string())));
        found
    };
    for entry in table.entries() {
        if is_main(entry, device)? {
            return Ok(of("main", entry));
        }
        if entry.is_moved && stands_below(device, &entry.array) {
            return Ok(of("new", entry));
        }
        let Some(to) = &entry.to else { continue };
        if is_it(&to.disk, device)? {
            return Ok(of("new", entry));
        }
        if to
            .state
            .as_ref()
            .is_some_and(|state| is_it(state, device).unwrap_or(false))
        {
            return Ok(of("state", entry));
        }
    }
    let opened = Device::open(&device.path, Access::Read)?;
    // Most spares are whole devices, which are read once for all of them.
    let whole = spare_of(&opened, 0, None);
    for entry in table.entries() {
        let found = match (entry.spare_start, entry.spare_len) {
            (0, None) => whole,
            (start, len) => spare_of(&opened, start, len),
        };
        if found == Some(SpareOf::Array(entry.array)) {
            return Ok(of("spare", entry));
        }
    }
    // One of an array that is not in the table is none that anything else may take.
    let role = ("REMAP_ROLE", "spare".to_string());
    Ok(match whole {
        None => Vec::new(),
        Some(SpareOf::Array(array)) => vec![role, ("REMAP_ARRAY", array.to_string())],
        Some(SpareOf::Unfinished) => vec![role, ("REMAP_STATE", "unfinished".into())],
        Some(SpareOf::Mixed) => vec![role, ("REMAP_STATE", "mixed".into())],
    })
}

/// `remapctl udev-probe`
pub fn udev_probe(args: &cli::UdevProbe) -> Result<ExitCode> {
    let device = BlockDevice::at(&args.device)?;
    // A table that cannot be read hides nothing, and says so; spares are hidden nevertheless.
    let table = Remaptab::read(&args.tab.tab);
    let (table, wrong) = match table {
        Ok(table) => (table, None),
        Err(error) => (Remaptab::default(), Some(error)),
    };
    let mut text = String::new();
    for (name, value) in properties(&table, &device)? {
        text += &format!("{name}={value}\n");
    }
    crate::say::print(&text);
    if let Some(error) = wrong {
        eprintln!("remapctl: {error:#}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The devices of an array by what it is called: as it is active, or else as the table has it.
pub fn devices_of(
    mapper: Option<&remap_active::mapper::Mapper>,
    name: &str,
    tab: &Path,
) -> Result<cli::Devices> {
    if let Some(mapper) = mapper.filter(|mapper| mapper.targets(name).is_ok()) {
        return crate::relocate::devices(mapper, name);
    }
    let table = Remaptab::read(tab)?;
    let entry = table.named(name);
    let entry =
        entry.with_context(|| format!("no array '{name}' is active, or in {}", tab.display()))?;
    present(entry)
}

/// The devices of an array in the table, all of which must be there.
pub fn present(entry: &Entry) -> Result<cli::Devices> {
    let name = &entry.name;
    let parts = Parts::of(entry)?;
    let main = parts
        .main
        .with_context(|| format!("main of array '{name}' is not there"))?;
    let spare = parts
        .spare
        .with_context(|| format!("the spare of array '{name}' is not there"))?;
    Ok(entry.devices(main.path, spare.path))
}
