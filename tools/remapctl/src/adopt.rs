// SPDX-License-Identifier: GPL-2.0

//! `remapctl adopt`: an array of a disk as it is and a spare, for good.
//!
//! All that can refuse is asked before anything is written. Then the spare is formatted, the array
//! is entered in the table, udev looks at the devices again, and the array is activated. When it is
//! stopped in between, `remapctl adopt --force` with the array's UUID, or `remapctl activate`, goes
//! on. Nothing is ever written to main: it is not even open for writing.

use crate::activate::activate;
use crate::apart::is_read_only;
use crate::array::Disks;
use crate::cli::{
    self,
    List, //
};
use crate::device::Access;
use crate::extent::Extent;
use crate::fstab;
use crate::ground::{
    Ground,
    InTheWay,
    FOREIGN,
    SAME_DISK, //
};
use crate::identity::Identity;
use crate::lists::{
    self,
    OnDisk, //
};
use crate::lock::Lock;
use crate::mapped::check_is;
use crate::offline::{
    new_array,
    read_text, //
};
use crate::probe::check_not_in;
use crate::relocate::relocate;
use crate::remaptab::{
    check_name,
    Entry,
    Main,
    MissingSpare,
    Remaptab, //
};
use crate::renew::write_new;
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
use remap_active::table::Line;
use remap_core::geometry::Geometry;
use remap_core::metadata::standing::{
    End,
    Standing, //
};
use remap_core::metadata::uuid::Uuid;
use remap_core::table::Features;
use serde_json::json;
use std::ops::Range;
use std::process::ExitCode;

/// What is in the way where main holds nothing.
const UNKNOWN: &str = "unknown";

/// A device, and what is on it.
struct Looked {
    device: BlockDevice,
    identity: Identity,
    extent: Option<Extent>,
}

impl Looked {
    fn at(path: &std::path::Path, device: &crate::device::Device) -> Result<Self> {
        let found = BlockDevice::at(path)?;
        Ok(Self {
            identity: Identity::of(&found)?,
            device: found,
            extent: Extent::of(device, 0)?,
        })
    }

    /// What is on it, for people.
    fn content(&self) -> String {
        let Some(extent) = &self.extent else {
            return "nothing that blkid(8) knows".into();
        };
        let label = extent.label.as_ref().map(|label| format!(" '{label}'"));
        let uuid = extent.uuid.as_ref().map(|uuid| format!(" UUID={uuid}"));
        let [label, uuid] = [label, uuid].map(Option::unwrap_or_default);
        format!("{}{label}{uuid}", extent.what)
    }

    /// A line for people.
    fn line(&self, role: &str) -> String {
        let sectors = self.device.sectors().unwrap_or(0);
        let size = crate::say::size(sectors);
        let (path, content) = (self.device.path.display(), self.content());
        format!("{role} {path}: {size}, {content}, {}", self.identity)
    }
}

/// What must be so of main and the spare, and what may be in spite of that with `--force`.
fn check(main: &Looked, spare: &Looked, way: &mut InTheWay) -> Result<()> {
    let (main_path, spare_path) = (main.device.path.display(), spare.device.path.display());
    for looked in [main, spare] {
        if is_read_only(&looked.device) {
            bail!("{} can only be read", looked.device.path.display());
        }
    }
    let (main_disk, spare_disk) = (main.device.disk()?, spare.device.disk()?);
    if main_disk == spare_disk {
        let disk = main_disk.path.display();
        way.note(SAME_DISK, format!("main and the spare are both on {disk}"));
    }
    match &main.extent {
        None => way.note(
            UNKNOWN,
            format!("main {main_path} holds {}", main.content()),
        ),
        Some(Extent { what, sectors, .. }) => {
            let have = main.device.sectors().unwrap_or(0);
            if let Some(sectors) = sectors.filter(|&sectors| sectors > have) {
                bail!("main {main_path} has {have} sectors, and the {what} on it has {sectors}");
            }
        }
    }
    if spare.extent.is_some() {
        let content = spare.content();
        way.note(FOREIGN, format!("the spare {spare_path} holds {content}"));
    }
    Ok(())
}

/// The bad sectors that lists name.
fn bad_sectors(lists: &[List], block_bytes: u64, main: &Looked) -> Result<Vec<Range<u64>>> {
    let place = OnDisk::of(&main.device, 0)?;
    let mut all = Vec::new();
    for list in lists {
        let text = read_text(&list.file)?;
        let read = lists::read(list.form, &text, block_bytes, &place);
        all.extend(read.with_context(|| list.file.display().to_string())?);
    }
    let all = lists::merged(all);
    if let Some(last) = all.last().filter(|last| last.end > place.sectors) {
        let have = place.sectors;
        bail!(
            "a list names sector {}, and main has {have} sectors",
            last.end - 1
        );
    }
    Ok(all)
}

/// All that was asked before anything is written.
struct Plan {
    disks: Disks,
    main: Looked,
    spare: Looked,
    ground: Ground,
    geometry: Geometry,
    bad: Vec<Range<u64>>,
    name: String,
    how: Main,
}

impl Plan {
    fn make(args: &cli::Adopt, way: &mut InTheWay) -> Result<Self> {
        let named = cli::Devices {
            main: args.main.clone(),
            spare: args.spare.clone(),
            main_start: 0,
            spare_start: 0,
            spare_len: None,
        };
        let devices = [&args.main, &args.spare].map(|path| BlockDevice::at(path));
        let [main, spare] = devices;
        let (main, spare) = (main?, spare?);
        let table = Remaptab::read(&args.tab.tab)?;
        let own = main
            .path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let name = args.name.clone().or(own).context("a name for the array")?;
        check_name(&name)?;
        if table.named(&name).is_some() {
            bail!(
                "there is an array '{name}' in {} already",
                args.tab.tab.display()
            );
        }
        if Mapper::new()?.names()?.contains(&name) {
            bail!("there is a mapped device '{name}' already");
        }
        if main.number == spare.number {
            bail!("main and the spare are both {}", main.path.display());
        }
        if spare.disk()? == main || main.disk()? == spare {
            let (main, spare) = (main.path.display(), spare.path.display());
            bail!("one of main {main} and the spare {spare} is a partition of the other");
        }
        for device in [&main, &spare] {
            check_unused(device)?;
            check_not_in(&table, device, None)?;
        }
        let access = if args.dry_run {
            Access::Hold
        } else {
            Access::Write
        };
        let disks = Disks::open_each(&named, Access::Hold, access)?;
        let main = Looked::at(&args.main, &disks.main)?;
        let spare = Looked::at(&args.spare, &disks.spare)?;
        check(&main, &spare, way)?;
        let how = Main::of(&main.device)?;
        let bad = bad_sectors(&args.from, args.block_size, &main)?;
        let geometry = disks.lay_out(disks.main.kind, disks.behind(), None)?;
        let (ground, found) = Ground::look(&disks, geometry.sectors(), false)?;
        way.add(found);
        if !ground.older.is_empty() {
            bail!("main holds copies of the metadata of another array, and is not written to");
        }
        Ok(Self {
            disks,
            main,
            spare,
            ground,
            geometry,
            bad,
            name,
            how,
        })
    }

    /// Formats the spare; the array's UUID.
    fn format(&mut self) -> Result<Uuid> {
        let array = new_array(&self.geometry, false)?;
        let clean = Standing {
            end: Some(End::default()),
            ..Standing::default()
        };
        write_new(&mut self.disks, &self.ground, array, 0, &clean, &[])?;
        Ok(array.uuid)
    }
}

/// Has udev look at devices again, which hides main and finds the spare.
fn trigger(devices: &[&BlockDevice]) -> Result<()> {
    for device in devices {
        device.trigger()?;
        for partition in device.partitions() {
            partition.trigger()?;
        }
    }
    crate::udev::settle();
    Ok(())
}

/// Activates the array, unless the rules of udev were quicker.
fn activate_once(mapper: &Mapper, name: &str, array: &Uuid, line: Line) -> Result<()> {
    let _lock = Lock::take()?;
    if !mapper.names()?.iter().any(|known| known == name) {
        return activate(mapper, name, Some(array), &[line], mapper::Access::Write);
    }
    check_is(mapper, name, array)
}

/// `remapctl adopt`
pub fn adopt(say: &Say, args: &cli::Adopt) -> Result<ExitCode> {
    let mut way = InTheWay::default();
    let mut plan = Plan::make(args, &mut way)?;
    let looked = [plan.main.line("main"), plan.spare.line("spare")];
    say.note(&looked.join("\n"));
    way.allow(&args.force)?;
    let units = plan.geometry.spare_units();
    let bytes = plan.geometry.unit_sectors() << 9;
    if args.dry_run {
        say.both(
            &json!({ "name": plan.name, "adopted": false, "spare_units": units }),
            format_args!(
                "would make array '{}' with {units} spare units of {bytes} bytes, and relocate {} \
                 ranges",
                plan.name,
                plan.bad.len()
            ),
        );
        return Ok(ExitCode::SUCCESS);
    }
    let array = plan.format()?;
    let entry = Entry {
        missing_spare: args.missing_spare,
        ..Entry::new(&plan.name, plan.how.clone(), array)
    };
    let Plan {
        disks,
        main,
        spare,
        bad,
        name,
        ..
    } = plan;
    Remaptab::change(&args.tab.tab, &Lock::take()?, |table| table.add(entry))?;
    // While main has all of its links.
    let fstab = std::fs::read_to_string("/etc/fstab").unwrap_or_default();
    let fstab = fstab::advice(&main.device, &name, &fstab);
    // The table line, before the devices are let go of.
    let mut disks = disks;
    let (_, line) = crate::activate::table(&mut disks, Features::default())?;
    drop(disks);
    trigger(&[&main.device, &spare.device])?;
    let mapper = Mapper::new()?;
    activate_once(&mapper, &name, &array, line)?;
    let mut advice = vec![fstab];
    if main
        .extent
        .as_ref()
        .is_some_and(|it| it.what.ends_with("partition table"))
    {
        let made = format!("kpartx -a /dev/mapper/{name}");
        advice.push(format!(
            "'{made}' makes devices of the partitions in the array"
        ));
    }
    if args.missing_spare == MissingSpare::ReadOnly {
        advice.push(
            "without the spare nothing can be read: main has no copies of the metadata".into(),
        );
    }
    advice.push(
        "if the root file system is on it: 'update-initramfs -u' (or 'dracut --force')".into(),
    );
    say.both(
        &json!({
            "name": name,
            "array": array.to_string(),
            "device": format!("/dev/mapper/{name}"),
            "adopted": true,
            "spare_units": units,
            "advice": advice,
        }),
        format_args!(
            "array {array} is active as /dev/mapper/{name}, with {units} spare units of {bytes} bytes\n{}",
            advice.join("\n")
        ),
    );
    match bad.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => relocate(say, &mapper, &name, &bad, false, false),
    }
}
