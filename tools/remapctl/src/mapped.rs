// SPDX-License-Identifier: GPL-2.0

//! Mapped devices of arrays: their UUIDs, and how they come, change and go.

use anyhow::{
    anyhow,
    bail,
    Result, //
};
use remap_active::mapper::{
    self,
    Mapper,
    Suspend, //
};
use remap_active::table::Line;
use remap_core::metadata::uuid::Uuid;
use std::path::{
    Path,
    PathBuf, //
};
use std::thread;
use std::time::Duration;

/// How often a device that is open is tried to be removed, and how long is waited in between.
pub const TRIES: u32 = 25;
pub const PAUSE: Duration = Duration::from_millis(200);
/// How long is waited between two looks whether a table is live.
const LOOK: Duration = Duration::from_millis(5);
/// What the UUIDs of mapped devices of arrays begin with, by which udev's rules know them.
pub const UUID_PREFIX: &str = "REMAP-";
/// What those of the devices below an array's begin with, while its data move to another disk.
pub const PIECE_PREFIX: &str = "REMAP_PIECE-";

/// The UUID of the mapped device of an array.
pub fn dm_uuid(array: &Uuid) -> String {
    format!("{UUID_PREFIX}{array}")
}

/// The node of the mapped device of that name.
pub fn path(name: &str) -> PathBuf {
    Path::new("/dev/mapper").join(name)
}

/// Fails unless the mapped device of that name is this array.
pub fn check_is(mapper: &Mapper, name: &str, array: &Uuid) -> Result<()> {
    let found = mapper.info(name)?.uuid;
    match found == dm_uuid(array) {
        true => Ok(()),
        false => bail!("'{name}' is another mapped device ({found})"),
    }
}

/// Makes a mapped device of that table, or none.
pub fn create(
    mapper: &Mapper,
    name: &str,
    uuid: Option<&str>,
    table: &[Line],
    access: mapper::Access,
) -> Result<()> {
    mapper.create(name, uuid, access)?;
    let made = mapper
        .load(name, table, access)
        .and_then(|()| mapper.resume(name));
    if made.is_err() {
        // Nothing stands behind the name.
        let _ = mapper.remove(name);
    }
    made
}

/// Gives a mapped device another table. It keeps its own if that cannot be loaded or resumed.
pub fn replace(mapper: &Mapper, name: &str, table: &[Line]) -> Result<()> {
    mapper.load(name, table, mapper::Access::Write)?;
    let replaced = mapper
        .suspend(name, Suspend::NoLockfs)
        .and_then(|()| mapper.resume(name));
    replaced.inspect_err(|_| keep(mapper, name))
}

/// Has a mapped device go on with its own table, if another one is not live.
fn keep(mapper: &Mapper, name: &str) {
    let _ = mapper.clear(name);
    let _ = mapper.resume(name);
}

/// Has a mapped device go on that was left suspended. Whoever left it may have asked the kernel to
/// resume it, which comes meanwhile and has this request refused.
pub fn resume_left(mapper: &Mapper, name: &str) -> Result<()> {
    mapper.clear(name)?;
    let mut tries = TRIES;
    while mapper.info(name)?.is_suspended {
        if let Err(error) = mapper.resume(name) {
            tries -= 1;
            if tries == 0 {
                return Err(error);
            }
            thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// Gives a mapped device another table, of which it is known that requests wait on it until
/// `meanwhile` is done.
///
/// udev reads a device that was resumed, and so waits too: until then nobody may wait for udev.
pub fn replace_by_waiting(
    mapper: &Mapper,
    name: &str,
    table: &[Line],
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<()> {
    mapper.load(name, table, mapper::Access::Write)?;
    let suspended = mapper.suspend(name, Suspend::NoLockfs);
    suspended.inspect_err(|_| keep(mapper, name))?;
    let owned = name.to_string();
    let resumed = thread::spawn(move || Mapper::new()?.resume(&owned));
    let is_live = || {
        let kinds = |lines: &[Line]| -> Vec<_> {
            let kinds = lines.iter().map(|line| line.kind.clone());
            kinds.collect()
        };
        let live = mapper.table(name)?;
        anyhow::Ok(!mapper.info(name)?.is_suspended && kinds(&live) == kinds(table))
    };
    loop {
        // Asked first, so that what it did is seen.
        let is_over = resumed.is_finished();
        if is_live()? {
            break;
        }
        if is_over {
            keep(mapper, name);
            let ended = resumed.join();
            ended.map_err(|_| anyhow!("resuming {name} was aborted"))??;
            bail!("{name} was resumed, and has another table");
        }
        thread::sleep(LOOK);
    }
    meanwhile()?;
    // What udev does then is its own.
    let _ = resumed.join();
    Ok(())
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
        thread::sleep(PAUSE);
    }
    Ok(())
}
