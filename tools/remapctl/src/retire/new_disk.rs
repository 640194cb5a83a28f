// SPDX-License-Identifier: GPL-2.0

//! `remapctl retire --to`: moving the data of an array to a new disk, while they are in use.
//!
//! 1. The table says where the data move to, which hides the new disk.
//! 2. A copy is made that waits, and the array's device is laid over it; so the array ends.
//! 3. The array is [marked](super::mark): from then on nothing but the copy has the newest data.
//! 4. The copy goes on, and is made again at each activation, until the new disk has all.
//! 5. The array's device is laid over the new disk, and the table keeps the old ones hidden.
//!
//! It can be stopped at any instant, and goes on when it is run again. Between 2 and 3 requests to
//! the array wait until it is.

use super::mark::{
    mark,
    unmark, //
};
use super::plan::{
    check_lost,
    check_regions,
    plan, //
};
use super::stage::Stage;
use super::unreadable::{
    self,
    UNREADABLE, //
};
use crate::activate;
use crate::apart::block_device;
use crate::array::Disks;
use crate::cli;
use crate::device;
use crate::ground::number_behind;
use crate::lock::Lock;
use crate::mapped::{
    replace,
    replace_by_waiting,
    resume_left, //
};
use crate::moving::{
    self,
    Moving,
    Piece,
    Progress, //
};
use crate::probe;
use crate::relocate;
use crate::remaptab::{
    Entry,
    Remaptab,
    To, //
};
use crate::say::Say;
use crate::sysfs::BlockDevice;
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_active::mapper::{
    Access,
    Mapper,
    Suspend, //
};
use remap_active::table::Line;
use remap_active::TYPE;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How long nothing is copied before that is told, in looks of a second.
const PATIENCE: u32 = 30;
const LOOK: Duration = Duration::from_secs(1);

/// Moves the array's device over to the copy, which ends the array; marks the array, and has the
/// copy begin.
fn switch(
    moving: &Moving<'_>,
    args: &cli::Retire,
    (entry, devices): (&Entry, &cli::Devices),
    table: &[Line],
) -> Result<()> {
    moving.prepare()?;
    let name = &moving.name;
    replace_by_waiting(moving.mapper, name, &moving.top(), || {
        let error = match go_on(moving, args, devices) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if moving.is_live()? {
            // What was written since is on the new disk only.
            return Err(error.context("run this again"));
        }
        Err(match give_back(moving, (entry, devices), table) {
            Ok(()) => error.context("the array is in use as before"),
            Err(other) => error.context(format!(
                "requests to '{name}' wait until this is run again ({other:#})"
            )),
        })
    })
}

/// Marks the array, and has the copy begin, which waits. The mark is taken back where that cannot
/// begin.
fn go_on(moving: &Moving<'_>, args: &cli::Retire, devices: &cli::Devices) -> Result<()> {
    let found = mark(devices, &moving.array, |found| check_lost(args, found))?;
    let source = moving::source(&found, &devices.main, &devices.spare);
    let begun = moving.set_source(&source).and_then(|()| moving.begin());
    begun.or_else(|error| {
        if moving.is_live()? {
            return Err(error);
        }
        let unmarked = moving
            .set_source(&moving.nothing())
            .and_then(|()| unmark(devices, &found));
        Err(match unmarked {
            Ok(()) => error,
            Err(other) => error.context(format!("{other:#}")),
        })
    })
}

/// Gives the array's device its own table again. What came meanwhile waits in the copy, so the
/// array is there until that is done.
fn give_back(
    moving: &Moving<'_>,
    (entry, devices): (&Entry, &cli::Devices),
    table: &[Line],
) -> Result<()> {
    let copy = Piece::Copy.of(&moving.name);
    // The target would refuse an array that is marked only when the copy is no more.
    let mut disks = Disks::open(devices, device::Access::Hold)?;
    activate::table(&mut disks, entry.features)?;
    drop(disks);
    moving.mapper.load(&copy, table, Access::Write)?;
    go_on_back(moving, entry)
}

/// Goes on where that was stopped.
fn go_on_back(moving: &Moving<'_>, entry: &Entry) -> Result<()> {
    let (mapper, name) = (moving.mapper, &moving.name);
    let copy = Piece::Copy.of(name);
    mapper.resume(&copy)?;
    let table = match moving.kind()? == TYPE {
        true => {
            let table = mapper.table(&copy)?;
            mapper.suspend(name, Suspend::NoLockfs)?;
            // No two devices have one array.
            replace(mapper, &copy, &moving.nothing())?;
            table
        }
        false => {
            let devices = probe::present(entry)?;
            let mut disks = Disks::open(&devices, device::Access::Hold)?;
            vec![activate::table(&mut disks, entry.features)?.1]
        }
    };
    mapper.load(name, &table, Access::Write)?;
    mapper.resume(name)?;
    moving.lower()
}

/// Changes an array's entry in the table.
fn change(tab: &Path, lock: &Lock, name: &str, edit: impl FnOnce(&mut Entry)) -> Result<()> {
    Remaptab::change(tab, lock, |table| {
        edit(table.named_mut(name).context("the table was changed")?);
        Ok(())
    })
}

/// Says in the table where the data of an array move to; nowhere with `None`.
fn note(args: &cli::Retire, lock: &Lock, to: Option<&To>) -> Result<()> {
    change(&args.tab.tab, lock, &args.name, |entry| {
        entry.to = to.cloned();
    })
}

/// Begins to move an active array.
fn start<'a>(
    say: &Say,
    (mapper, lock): (&'a Mapper, &Lock),
    (args, new): (&cli::Retire, &Path),
    (tab, entry): (&Remaptab, &mut Entry),
    table: &[Line],
) -> Result<Moving<'a>> {
    let name = &args.name;
    // An attempt may have been stopped.
    mapper.clear(name)?;
    moving::lower(mapper, name, Some(&entry.array))?;
    let [line] = table else {
        bail!("'{name}' is more than one target");
    };
    let devices = relocate::devices(mapper, name)?;
    let (to, layout) = plan(args, (tab, entry), (new, &devices), line)?;
    for target in mapper.targets(name)? {
        check_regions(name, &target.words.parse()?)?;
    }
    let copy = Moving::of(mapper, entry, &to, layout.sectors)?;
    let copy = copy.with_context(|| format!("{} cannot be found again", new.display()))?;
    note(args, lock, Some(&to))?;
    let switched = switch(&copy, args, (entry, &devices), table);
    switched.inspect_err(|_| {
        if matches!(Stage::of(mapper, entry), Ok(Stage::Active(_))) {
            // The first error is the one that counts.
            let _ = copy.lower().and_then(|()| note(args, lock, None));
        }
    })?;
    entry.to = Some(to);
    say.note(&format!(
        "the data of '{name}' move to {} from now on: it must stay, and so must main and the spare \
         until all is copied\n'update-initramfs -u' (or 'dracut --force') now: a boot with the old \
         table would take what is copied of it for the whole",
        new.display()
    ));
    Ok(copy)
}

/// Begins, or goes on where that was stopped; the array's entry, and the copy.
fn begin<'a>(
    say: &Say,
    mapper: &'a Mapper,
    args: &cli::Retire,
    new: &Path,
) -> Result<(Entry, Moving<'a>)> {
    let lock = Lock::take()?;
    let (name, tab) = (&args.name, &args.tab.tab);
    let table = Remaptab::read(tab)?;
    let entry = table.named(name);
    let mut entry = entry
        .with_context(|| format!("no array '{name}' in {}", tab.display()))?
        .clone();
    if entry.is_moved {
        moving::lower(mapper, name, Some(&entry.array))?;
        bail!("the data of '{name}' were moved already");
    }
    let mut stage = Stage::of(mapper, &entry)?;
    if matches!(stage, Stage::Active(_)) && mapper.info(name)?.is_suspended {
        resume_left(mapper, name)?;
        stage = Stage::of(mapper, &entry)?;
    }
    let stage = match stage {
        Stage::Active(lines) => {
            let (doer, asked) = ((mapper, &lock), (args, new));
            let copy = start(say, doer, asked, (&table, &mut entry), &lines)?;
            return Ok((entry, copy));
        }
        stage => stage,
    };
    let sectors = mapper.table(name)?.iter().map(|line| line.sectors).sum();
    let to = entry.to.as_ref();
    let to = to.context("the table does not say where the data move to")?;
    let copy = Moving::of(mapper, &entry, to, sectors)?.context("the new disk is not there")?;
    if block_device(new)?.map(|device| device.number) != Some(copy.number) {
        bail!(
            "the data of '{name}' move to {} already",
            copy.new.display()
        );
    }
    match stage {
        Stage::GivenUp => {
            go_on_back(&copy, &entry)?;
            note(args, &lock, None)?;
            bail!("'{name}' is in use as it was before: run this again");
        }
        Stage::Waiting => {
            // It may have another table that is not live, and the array's devices.
            mapper.clear(&Piece::Copy.of(name))?;
            copy.set_source(&copy.nothing())?;
            go_on(&copy, args, &probe::present(&entry)?)?;
        }
        Stage::Copying => copy.resume_source()?,
        Stage::Active(_) | Stage::Moved => {}
    }
    Ok((entry, copy))
}

/// Waits until all is on the new disk.
fn wait(say: &Say, moving: &Moving<'_>) -> Result<()> {
    let (mut last, mut idle) = (None, 0);
    loop {
        // Armed before it is asked, so that no event is missed in between.
        moving.mapper.arm_poll()?;
        let Some(progress) = moving::progress(moving.mapper, &moving.name)? else {
            bail!("the copy of '{}' was removed", moving.name);
        };
        let Progress { done, all } = progress;
        say.progress("moving", done, all);
        if done >= all {
            return Ok(());
        }
        idle = if last.replace(done) == Some(done) {
            idle + 1
        } else {
            0
        };
        if idle == PATIENCE {
            moving.copy_singly()?;
            say.note(&format!(
                "{} of {all} pieces are not copied yet: '{}' is busy, or they cannot be read; \
                 '--force {UNREADABLE}0' looks for what cannot, and names it",
                all - done,
                moving.name
            ));
        }
        moving.mapper.wait(Some(LOOK))?;
    }
}

/// Lays the array's device over the new disk, and has the table keep the old ones hidden.
fn finish(mapper: &Mapper, moving: &Moving<'_>, entry: &Entry, tab: &Path) -> Result<()> {
    let lock = Lock::take()?;
    let stage = Stage::of(mapper, entry)?;
    if !matches!(stage, Stage::Copying | Stage::Moved) {
        bail!("'{}' was changed meanwhile: run this again", moving.name);
    }
    if matches!(stage, Stage::Copying) {
        // What is counted as copied may not be durable yet.
        moving.flush()?;
        let progress = moving::progress(mapper, &moving.name)?;
        if progress.is_none_or(|progress| progress.done < progress.all) {
            bail!("not all is copied: run this again");
        }
        replace(mapper, &moving.name, &moving.last())?;
    }
    moving.lower_copy()?;
    // Until this is durable, an activation makes the copy again, which has all on the new disk.
    change(tab, &lock, &moving.name, |entry| {
        (entry.to, entry.is_moved) = (None, true);
    })?;
    moving.drop_state()
}

/// Moves the data of an array to a new disk.
pub fn retire(say: &Say, args: &cli::Retire, new: &Path) -> Result<ExitCode> {
    let mapper = Mapper::new()?;
    let (entry, moving) = begin(say, &mapper, args, new)?;
    // Hides the new disk.
    BlockDevice::at(&moving.new)?.trigger()?;
    if matches!(Stage::of(&mapper, &entry)?, Stage::Copying) {
        moving.copy_all()?;
        if let Some(most) = number_behind(UNREADABLE, &args.force) {
            unreadable::give_up(say, &moving, &entry, most)?;
        }
        wait(say, &moving)?;
    }
    finish(&mapper, &moving, &entry, &args.tab.tab)?;
    let (name, path) = (&args.name, moving.new.display());
    say.both(
        &json!({ "name": name, "retired": true, "on": moving.new }),
        format_args!(
            "all data of '{name}' are on {path}: main and the spare can be pulled, and after the next \
             boot their line in {} be deleted\n\
             from then on, what is on {path} is found there: what names /dev/mapper/{name} in \
             /etc/fstab must name it otherwise\n\
             'update-initramfs -u' (or 'dracut --force') now, if it has the table",
            args.tab.tab.display()
        ),
    );
    Ok(ExitCode::SUCCESS)
}
