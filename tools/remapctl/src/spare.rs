// SPDX-License-Identifier: GPL-2.0

//! `remapctl spare replace`: another device takes the place of the spare of an array that is not
//! active.
//!
//! At no instant do both devices hold the array. The new one is written completely, and refused
//! until its marks are removed; before that, the array on the old one is given up. See "Replacing a
//! spare" in `Documentation/format.rst`.

mod copy;
mod side;

use crate::array::{
    Disks,
    Found, //
};
use crate::cli;
use crate::device::Access;
use crate::extent::Extent;
use crate::ground::{
    InTheWay,
    FOREIGN,
    SAME_DISK,
    UNFINISHED, //
};
use crate::lists;
use crate::lock::Lock;
use crate::probe::{
    is_main,
    Parts, //
};
use crate::random::random_uuid;
use crate::rehearse::rehearse;
use crate::remaptab::Remaptab;
use crate::renew;
use crate::say::Say;
use crate::sysfs::BlockDevice;
use crate::usage::check_unused;
use anyhow::{
    bail,
    Context,
    Result, //
};
use copy::{
    Copy,
    Kept, //
};
use remap_core::metadata::array::Array;
use remap_core::metadata::record::Record;
use remap_core::metadata::uuid::Uuid;
use serde_json::json;
use side::{
    ground_of,
    New,
    Old, //
};
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;

/// What `--force` names where blocks cannot be read any more.
const LOST: &str = "lost";
/// What it names where nobody knows whether the old spare was used since it was copied.
const STALE: &str = "stale";

/// The devices that are meant.
struct Meant {
    old: cli::Devices,
    new: cli::Devices,
    /// The array, if the table says so.
    array: Option<Uuid>,
    /// Nobody else changes the table, or activates the array.
    lock: Option<Lock>,
}

impl Meant {
    fn by(args: &cli::SpareReplace) -> Result<Self> {
        let is_path = args.array.components().count() > 1;
        let devices = |spare: &Path| cli::Devices {
            main: args.array.clone(),
            spare: spare.to_owned(),
            main_start: args.main_start,
            spare_start: args.spare_start,
            spare_len: args.spare_len,
        };
        if is_path {
            return Ok(Self {
                old: devices(&args.old),
                new: devices(&args.new),
                array: None,
                lock: None,
            });
        }
        let lock = Lock::take()?;
        let (name, tab) = (args.array.display().to_string(), &args.tab.tab);
        let table = Remaptab::read(tab)?;
        let entry = table.named(&name);
        let entry = entry.with_context(|| format!("no array '{name}' in {}", tab.display()))?;
        if let Ok(new) = BlockDevice::at(&args.new) {
            for other in table.entries() {
                if is_main(other, &new)? {
                    bail!("{} is main of array '{}'", args.new.display(), other.name);
                }
            }
        }
        let main = Parts::of(entry)?.main;
        let main = main.with_context(|| format!("main of array '{name}' is not there"))?;
        Ok(Self {
            old: entry.devices(main.path.clone(), args.old.clone()),
            new: entry.devices(main.path, args.new.clone()),
            array: Some(entry.array),
            lock: Some(lock),
        })
    }
}

/// What must be so of the devices, and what may be in spite of that. A file stands for a device of
/// which nothing is known.
fn check_devices(meant: &Meant, way: &mut InTheWay) -> Result<()> {
    let others = [&meant.new.main, &meant.old.spare];
    let others = others
        .into_iter()
        .filter_map(|path| BlockDevice::at(path).ok());
    let others: Vec<_> = others.collect();
    for other in &others {
        check_unused(other)?;
    }
    let Ok(new) = BlockDevice::at(&meant.new.spare) else {
        return Ok(());
    };
    let path = new.path.display();
    check_unused(&new)?;
    if new.attribute("ro").as_deref() == Some("1") {
        bail!("{path} can only be read");
    }
    let model = new.disk()?.attribute("queue/zoned");
    if model.is_some_and(|model| model != "none") {
        bail!("{path} is zoned");
    }
    for other in &others {
        if *other == new || other.disk()? == new || new.disk()? == *other {
            bail!(
                "{path} is {}, or a part of it, or has it as a part",
                other.path.display()
            );
        }
    }
    let disk = new.disk()?;
    if let Ok(main) = BlockDevice::at(&meant.new.main) {
        if main.disk()? == disk {
            let text = format!("main and {path} are both on {}", disk.path.display());
            way.note(SAME_DISK, text);
        }
    }
    Ok(())
}

/// The array as the new device will hold it: a device of its own.
fn array_for(new: &Disks, before: &Array) -> Result<Array> {
    Ok(Array {
        spare: random_uuid()?,
        spare_sectors: new.spare_area.len,
        ..*before
    })
}

/// What was done.
struct Done {
    /// The array, as it is on the new device.
    array: Array,
    /// How many units were copied; `None` if an earlier run did that.
    units: Option<usize>,
    /// The sectors of the array that the old spare could not give back.
    lost: Vec<Range<u64>>,
}

/// Writes the array on the new device, where it is refused until it is [taken over](hand_over).
fn prepare(
    say: &Say,
    args: &cli::SpareReplace,
    (old, found): (&Disks, &Found),
    new: &mut Disks,
    mut way: InTheWay,
) -> Result<Done> {
    let before = found.array();
    let after = array_for(new, before)?;
    let geometry = new.geometry(&after)?;
    let kept: Vec<Kept> = found.contents().records.filter_map(Kept::of).collect();
    let last = kept.iter().map(|unit| unit.spare.0).max();
    if let Some(last) = last.filter(|&last| last >= geometry.spare_units()) {
        bail!(
            "spare unit {last} is in use, and {} has room for {}",
            new.spare.path().display(),
            geometry.spare_units()
        );
    }
    let ground = ground_of(new);
    let mut there = InTheWay::default();
    there.note_places(new, &ground.regions);
    if side::was_begun(new, &before.uuid) {
        there.forget(UNFINISHED);
        there.forget(&before.uuid.to_string());
    }
    way.add(there);
    let force = args
        .writing
        .force
        .iter()
        .filter(|name| ![LOST, STALE].contains(&name.as_str()));
    way.allow(&force.cloned().collect::<Vec<_>>())?;
    let generation = found.generation().checked_add(1);
    let generation = generation.context("the array has no room for another commit")?;
    let standing = found.contained.standing;
    let records: Vec<Record> = kept.iter().map(Kept::record).collect();
    rehearse(&geometry, &after, generation, &standing, &records)?;
    if args.writing.dry_run {
        return Ok(Done {
            array: after,
            units: Some(kept.len()),
            lost: Vec::new(),
        });
    }
    renew::begin_alone(new, &ground, &after)?;
    let copy = Copy {
        from: (old, &found.geometry),
        answers: side::head_of(old, found),
        to: (new, &geometry),
    };
    let (kept, lost) = copy.run(say, kept)?;
    let lost = lists::merged(lost);
    if !lost.is_empty() && !args.writing.force.iter().any(|name| name == LOST) {
        bail!(
            "{} cannot be read where it keeps these sectors of the array: {}; with '--force \
             {LOST}' they give errors until they are written",
            old.spare.path().display(),
            lists::named(&lost)
        );
    }
    let records: Vec<Record> = kept.iter().map(Kept::record).collect();
    renew::checkpoint(new, after, generation, &standing, &records)?;
    Ok(Done {
        array: after,
        units: Some(kept.len()),
        lost,
    })
}

/// Gives the array on the old device up, with marks that name the new one, and only then has that
/// hold it.
fn hand_over(old: &mut Disks, array: &Array, new: &Disks) -> Result<()> {
    let (path, with) = (old.spare.path().to_owned(), new.spare.path().display());
    renew::begin(old, &ground_of(old), array).with_context(|| {
        format!(
            "{} still holds the array, or a part of it: pull it, and run this again with '--force \
             {STALE}', which has {with} take its place",
            path.display()
        )
    })?;
    renew::remove_marks(new, &ground_of(new))?;
    let removed = renew::remove_marks(old, &ground_of(old));
    if let Err(error) = removed {
        let path = path.display();
        eprintln!("remapctl: {path} is given up, but the marks that say so are left: {error:#}");
    }
    Ok(())
}

/// Says what was done, or would be.
fn say_done(say: &Say, meant: &Meant, dry_run: bool, done: &Done) {
    let (old, new) = (meant.old.spare.display(), meant.new.spare.display());
    let lost = done.lost.iter().map(|range| [range.start, range.end]);
    let lost: Vec<_> = lost.collect();
    let mut text = match (done.units, dry_run) {
        (Some(units), true) => format!("would copy {units} units from {old} to {new}"),
        (Some(units), false) => format!("copied {units} units from {old} to {new}"),
        (None, true) => "nothing is left to copy".into(),
        (None, false) => "nothing was left to copy".into(),
    };
    if !dry_run {
        text += &format!("; {new} is the spare of array {} now", done.array.uuid);
    }
    if !done.lost.is_empty() {
        text += &format!(
            "\nlost, until they are written: {}",
            lists::named(&done.lost)
        );
    }
    say.both(
        &json!({
            "array": done.array.uuid.to_string(),
            "replaced": !dry_run,
            "units": done.units,
            "lost": lost,
        }),
        format_args!("{text}"),
    );
}

/// Has udev look at both devices again.
fn trigger(meant: &Meant) {
    for path in [&meant.old.spare, &meant.new.spare] {
        if let Ok(device) = BlockDevice::at(path) {
            // Without udev there is nobody to look.
            let _ = device.trigger();
        }
    }
    crate::udev::settle();
}

/// Copies the array to the new device, or goes on where an earlier run was stopped.
fn run(say: &Say, args: &cli::SpareReplace, meant: &Meant) -> Result<Done> {
    let mut way = InTheWay::default();
    check_devices(meant, &mut way)?;
    let access = match args.writing.dry_run {
        true => Access::Hold,
        false => Access::Write,
    };
    let mut old = Old::look(&meant.old, access)?;
    if let (Some(want), Some(have)) = (meant.array, old.array()) {
        if want != have {
            bail!("{} is of another array, {have}", meant.old.spare.display());
        }
    }
    // Main is held together with the old spare, if that is there.
    let mut disks = Disks::open_each(&meant.new, Access::Read, access)?;
    let new = New::look(&mut disks);
    if let Some(extent) = Extent::of(&disks.spare, disks.spare_area.start)? {
        let path = meant.new.spare.display();
        way.note(FOREIGN, format!("{path} holds {}", extent.what));
    }
    if let New::Whole(array) = new {
        let path = meant.new.spare.display();
        way.note(
            &array.uuid.to_string(),
            format!("{path} holds array {}", array.uuid),
        );
    }
    if let Old::Whole(held, found) = &mut old {
        if found.array().on_main() {
            bail!("the array has copies of its metadata on main, for which this is not made yet");
        }
        if !found.contained.choice.identity.features.may_write() {
            bail!("the metadata have features that allow reading only");
        }
        let done = prepare(say, args, (held, found), &mut disks, way)?;
        if !args.writing.dry_run {
            hand_over(held, &done.array, &disks)?;
        }
        return Ok(done);
    }
    let wanted = meant.array.or(old.array());
    let array = new
        .array()
        .filter(|array| wanted.is_none_or(|want| want == array.uuid));
    let Some(array) = array else {
        let (old, new) = (meant.old.spare.display(), meant.new.spare.display());
        bail!("{old} does not hold the array, and it was not copied to {new}");
    };
    check_known(args, meant, &old, (&new, &array))?;
    if !args.writing.dry_run {
        renew::remove_marks(&disks, &ground_of(&disks))?;
        if let Old::GivenUp(held, _) = &old {
            renew::remove_marks(held, &ground_of(held))?;
        }
    }
    Ok(Done {
        array,
        units: None,
        lost: Vec::new(),
    })
}

/// Refuses a copy that is older than what the old spare had at last, or may be.
fn check_known(
    args: &cli::SpareReplace,
    meant: &Meant,
    old: &Old,
    (new, array): (&New, &Array),
) -> Result<()> {
    let (old_path, new_path) = (meant.old.spare.display(), meant.new.spare.display());
    let is_known = match (old, new) {
        (Old::GivenUp(_, given_up), _) if given_up.device != array.spare => {
            bail!("{old_path} was given up for another device than {new_path}")
        }
        (Old::GivenUp(..), _) | (_, New::Whole(_)) => true,
        _ => false,
    };
    if is_known || args.writing.force.iter().any(|name| name == STALE) {
        return Ok(());
    }
    bail!(
        "{old_path} was copied to {new_path}, and does not hold the array: if it was used since, \
         {new_path} has older data; '--force {STALE}' makes {new_path} the spare"
    )
}

/// `remapctl spare replace`
pub fn replace(say: &Say, args: &cli::SpareReplace) -> Result<ExitCode> {
    let mut meant = Meant::by(args)?;
    let done = run(say, args, &meant)?;
    // Programs of udev take the lock.
    drop(meant.lock.take());
    if !args.writing.dry_run {
        trigger(&meant);
    }
    say_done(say, &meant, args.writing.dry_run, &done);
    Ok(ExitCode::SUCCESS)
}
