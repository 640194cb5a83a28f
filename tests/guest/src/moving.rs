// SPDX-License-Identifier: GPL-2.0

//! The data of an array move to a new disk, while they are in use.

use crate::kit::{
    module,
    *, //
};
use std::{
    fs,
    sync::{
        atomic::{
            AtomicBool,
            Ordering, //
        },
        Arc, //
    },
};

crate::tests![
    data_move_while_they_are_in_use,
    // The longest first.
    a_move_that_is_killed_goes_on(repeated: true),
    a_move_goes_on_after_each_activation(repeated: true),
    an_array_that_cannot_be_marked_stays_in_use,
    what_cannot_move_is_refused,
    devices_that_drop_flushes_are_told,
    nothing_is_discarded_while_data_move,
    a_state_that_fails_is_told,
    what_is_lost_becomes_zeroes,
    what_nobody_can_read_becomes_zeroes,
];

const TAB: &str = "--tab /tmp/remaptab";
const ADOPT: &str =
    "adopt /dev/main --spare /dev/spare --name r --force unknown --tab /tmp/remaptab";
const TO: &str = "retire r --to /dev/new --tab /tmp/remaptab";
const ACTIVATE: &str = "activate r --tab /tmp/remaptab";
/// MiB of main where many arrays are made.
const SMALL: u64 = 8;

fn table() -> Result<String> {
    Ok(fs::read_to_string("/tmp/remaptab")?)
}

/// A main of so many MiB, which has a cache as most disks have one, and a spare.
fn disks(mebibytes: u64) -> Result<Disks> {
    module::load_ours()?;
    Ok(Disks {
        main: NullDisk::with("main", mebibytes, &[("cache_size", "1")])?,
        spare: NullDisk::new("spare", 8)?,
    })
}

/// An adopted disk with data, some of which are relocated; what it holds.
fn adopted(mebibytes: u64) -> Result<(Remap, Vec<u8>)> {
    ctl(ADOPT)?;
    let r = Remap::at("r")?;
    let data = random(mebibytes as usize * MIB);
    r.write(0, &data)?;
    r.relocate(1000, UNIT)?;
    r.relocate(8000, 800)?;
    r.holds(&data)?;
    Ok((r, data))
}

/// Fails unless the array's device holds these data, and this disk without it.
fn is_on(disk: &impl Block, data: &[u8]) -> Result<()> {
    let r = Mapped::at("r")?;
    r.holds(data)?;
    r.remove()?;
    disk.holds(data)
}

/// Fails unless all data are on the new disk, on which the array's device stands alone.
fn is_moved(data: &[u8]) -> Result<()> {
    assert_eq!(mapped_names()?, ["r"]);
    let r = Mapped::at("r")?;
    ensure!(r.table()?.contains(" linear "), "{}", r.table()?);
    is_on(&Device::at("/dev/new"), data)?;
    ensure!(table()?.contains(",moved"), "{}", table()?);
    ensure!(!table()?.contains("to="), "{}", table()?);
    // The old devices are taken for no array.
    ctl_refuses("were moved to another disk", ACTIVATE)?;
    ctl(&format!("activate {TAB}"))?;
    refused("the data were moved to another disk", || {
        Remap::create(TABLE).map(drop)
    })?;
    ctl_refuses("the data were moved", "create r /dev/main /dev/spare")?;
    ctl_refuses("the data were moved", "export /dev/main /dev/spare")?;
    Ok(())
}

/// Begins to move the data, which does not come to its end: nobody can read some of them.
fn under_way(main: &NullDisk, r: &Remap) -> Result<Running> {
    main.bad(90_000..=90_003)?;
    let words: Vec<_> = TO.split(' ').collect();
    let waits = start("remapctl", &words)?;
    until(|| Ok(r.table()?.contains(" linear ")))?;
    until(|| Ok(dmsetup(&["info", "r-copy"])?.contains("ACTIVE")))?;
    Ok(waits)
}

/// Writes all of the time to one block in two of a part of the device, until it is told to end;
/// what that part holds then.
fn load(r: &Remap, is_over: &Arc<AtomicBool>) -> Beside<Result<Vec<u8>>> {
    let (r, is_over) = (r.clone(), is_over.clone());
    beside(move || {
        let mut image = r.read(0, LOADED)?;
        while !is_over.load(Ordering::Relaxed) {
            let sector = fastrand::u64(0..LOADED / 16) * 16;
            let block = random(8 * SECTOR);
            write_durably(&r, sector, &block)?;
            overwrite(&mut image, sector, &block);
            let sector = fastrand::u64(0..LOADED / 8) * 8;
            same(&r.read(sector, 8)?, part(&image, sector, 8), "a block")?;
        }
        Ok(image)
    })
}

/// The sectors of that part.
const LOADED: u64 = 16_384;

fn data_move_while_they_are_in_use() -> Result<()> {
    let Disks { main, .. } = disks(64)?;
    let _new = NullDisk::new("new", 80)?;
    let (r, mut data) = adopted(64)?;
    // What is relocated comes from the spare.
    main.bad(8000..=8799)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let load = load(&r, &is_over);
    let said = ctl(TO)?;
    ensure!(said.contains("all data of 'r' are on /dev/new"), "{said}");
    is_over.store(true, Ordering::Relaxed);
    overwrite(&mut data, 0, &load.end()?);
    is_moved(&data)?;
    ctl_refuses("were moved already", TO)?;
    Ok(())
}

/// An instant at which the command is killed: the n-th of these system calls.
type Instant = (&'static str, u32);

/// Those with which programs and threads of its own begin, and those that make something durable.
const CALLS: [&str; 2] = [
    "clone,clone3,vfork",
    "fdatasync,fsync,rename,renameat,renameat2",
];

/// Does something at instants of each kind, until there is none any more: it says whether there was.
fn at_instants(mut work: impl FnMut(Instant) -> Result<bool>) -> Result<()> {
    for calls in CALLS {
        for number in (fastrand::u32(1..=EACH)..).step_by(EACH as usize) {
            if !work((calls, number))? {
                break;
            }
        }
    }
    Ok(())
}

/// One of so many instants is tried, others each time.
const EACH: u32 = 4;

/// Where on a new disk of 12 MiB the state begins, which takes 3 MiB.
const STATE: u64 = 18_432;

/// Has the array anew on its disks.
fn anew(disks: &Disks, new: &NullDisk) -> Result<(Remap, Vec<u8>)> {
    remove_all_mapped()?;
    disks.spare.wipe(0, SPARE)?;
    new.wipe(0, new.sectors()?)?;
    if fs::exists("/tmp/remaptab")? {
        fs::remove_file("/tmp/remaptab")?;
    }
    adopted(SMALL)
}

fn a_move_that_is_killed_goes_on() -> Result<()> {
    let disks = disks(SMALL)?;
    let new = NullDisk::new("new", SMALL + 4)?;
    let (mut kills, mut waited) = (0, 0);
    at_instants(|instant @ (calls, number)| {
        let (r, mut data) = anew(&disks, &new)?;
        if !ctl_killed(calls, number, TO)? {
            return Ok(false);
        }
        kills += 1;
        // Where requests wait, they do so until it is run again.
        let block = random(8 * SECTOR);
        let write = beside({
            let (r, block) = (r.clone(), block.clone());
            move || write_durably(&r, 1000, &block)
        });
        overwrite(&mut data, 1000, &block);
        waited += u32::from(is_waiting()?);
        match table()?.contains(",moved") {
            true => ctl_refuses("were moved already", TO)?,
            false => ctl(TO).with_context(|| format!("{instant:?}"))?,
        };
        write.end()?;
        assert_eq!(mapped_names()?, ["r"]);
        is_on(&new, &data)?;
        Ok(true)
    })?;
    ensure!(kills > 10, "{kills} kills");
    ensure!(waited > 0, "no requests waited in {kills} kills");
    Ok(())
}

/// Whether the copy is suspended, so that requests wait.
fn is_waiting() -> Result<bool> {
    let info = dmsetup(&["info", "-c", "--noheadings", "-o", "name,suspended"])?;
    Ok(info.lines().any(|line| line == "r-copy:Suspended"))
}

fn a_move_goes_on_after_each_activation() -> Result<()> {
    let disks = disks(SMALL)?;
    let new = NullDisk::new("new", SMALL + 4)?;
    let mut moving = 0;
    at_instants(|(calls, number)| {
        let (_, mut data) = anew(&disks, &new)?;
        if !ctl_killed(calls, number, TO)? {
            return Ok(false);
        }
        // As if the machine had been started anew.
        remove_all_mapped()?;
        if table()?.contains(",moved") {
            return Ok(true);
        }
        let said = ctl(ACTIVATE)?;
        let r = Mapped::at("r")?;
        r.holds(&data)?;
        let block = random(8 * SECTOR);
        write_durably(&r, 8000, &block)?;
        overwrite(&mut data, 8000, &block);
        if said.contains("move to another disk") {
            moving += 1;
            // Without the new disk there is no newest state.
            ctl("remove r")?;
            assert!(mapped_names()?.is_empty());
            ctl_refuses("the data were moved", "create r /dev/main /dev/spare")?;
            // Nor is there one without the record of what the new disk has, or with another's.
            let state = new.read(STATE, 16)?;
            for page in [STATE, STATE + 8] {
                new.wipe(page, 8)?;
                ctl_refuses("has no state of a copy of the array", ACTIVATE)?;
                assert!(mapped_names()?.is_empty());
                new.write(STATE, &state)?;
            }
            ctl(ACTIVATE)?;
        }
        ctl("remove r")?;
        ctl(ACTIVATE)?;
        ctl(TO)?;
        is_on(&new, &data)?;
        Ok(true)
    })?;
    ensure!(moving > 0, "no move was under way");
    Ok(())
}

fn an_array_that_cannot_be_marked_stays_in_use() -> Result<()> {
    let Disks { spare, .. } = disks(64)?;
    let _new = NullDisk::new("new", 80)?;
    let (r, mut data) = adopted(64)?;
    // Its last region fails, which nobody has noticed yet.
    spare.bad(SPARE - REGION..=SPARE - 1)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let load = load(&r, &is_over);
    let said = ctl_refuses("the array is in use as before", TO)?;
    ensure!(said.contains("only 1 of 2 copies"), "{said}");
    is_over.store(true, Ordering::Relaxed);
    overwrite(&mut data, 0, &load.end()?);
    assert_eq!(mapped_names()?, ["r"]);
    r.holds(&data)?;
    assert_eq!(r.status()?.regions.to_string(), "1/2");
    ctl_refuses("1/2 copies of the metadata good", TO)?;
    spare.good(SPARE - REGION..=SPARE - 1)?;
    ctl("remove r")?;
    ctl(ACTIVATE)?;
    ctl(TO)?;
    is_moved(&data)
}

fn what_cannot_move_is_refused() -> Result<()> {
    let _disks = disks(64)?;
    let small = NullDisk::new("small", 60)?;
    let same = NullDisk::new("same", 64)?;
    let short = NullDisk::new("short", 1)?;
    let state = NullDisk::new("state", 4)?;
    let (r, data) = adopted(64)?;
    let to = |disk: &str| format!("retire r --to {disk} {TAB}");
    let before = table()?;
    ctl_refuses("has 122880 sectors, and 'r' has 131072", &to("/dev/small"))?;
    ctl_refuses("has no room for the state of the copy", &to("/dev/same"))?;
    ctl_refuses(
        "too short for the state",
        &to("/dev/same --state /dev/short"),
    )?;
    ctl_refuses("is /dev/same", &to("/dev/same --state /dev/same"))?;
    for own in ["/dev/main", "/dev/spare"] {
        ctl_refuses(&format!("{own} is {own}"), &to(own))?;
    }
    let held = Mapped::create("held", "0 8 linear /dev/same 0")?;
    ctl_refuses("is used by", &to("/dev/same --state /dev/state"))?;
    held.remove()?;
    run("mkfs.ext4", &["-q", "/dev/same"])?;
    let wanted = to("/dev/same --state /dev/state");
    ctl_refuses("'--force foreign' overwrites it", &wanted)?;
    ctl_refuses("no array 'q'", &wanted.replace("retire r", "retire q"))?;
    run("blkdiscard", &["--zeroout", "/dev/same"])
        .or_else(|_| same.wipe(0, MAIN).map(|()| String::new()))?;
    ctl("format /dev/small /dev/same")?;
    ctl_refuses("/dev/same holds the metadata of an array", &wanted)?;
    same.wipe(0, MAIN)?;
    assert_eq!(table()?, before);
    assert_eq!(mapped_names()?, ["r"]);
    r.holds(&data)?;
    // Another device of that name is in the way.
    let other = Mapped::create("r-state", "0 8 error")?;
    ctl_refuses("'r-state' is another mapped device", &wanted)?;
    other.remove()?;
    r.holds(&data)?;
    ctl_refuses("so the state of the copy must be on it", &wanted)?;
    // One that is told from others, without room for the state.
    let named = ["create", "same", "--uuid", "NAMED-same"];
    let table = ["--table", "0 131072 linear /dev/same 0"];
    dmsetup(&[&named[..], &table].concat())?;
    let named = to("/dev/mapper/same --state /dev/state");
    ctl(&named)?;
    assert_eq!(mapped_names()?, ["r", "same"]);
    is_on(&same, &data)?;
    drop((small, short, state));
    Ok(())
}

fn devices_that_drop_flushes_are_told() -> Result<()> {
    let _disks = Disks::new()?;
    let _new = NullDisk::new("new", 80)?;
    let (r, data) = adopted(64)?;
    ctl_refuses("'--force write-through' overwrites it", TO)?;
    r.holds(&data)?;
    ctl(&format!("{TO} --force write-through"))?;
    is_moved(&data)
}

fn nothing_is_discarded_while_data_move() -> Result<()> {
    let Disks { main, .. } = disks(64)?;
    let _new = NullDisk::with("new", 80, &[("discard", "1")])?;
    let (r, data) = adopted(64)?;
    let waits = under_way(&main, &r)?;
    for name in ["r", "r-copy"] {
        let number = Mapped::at(name)?.sysfs()?.join("queue/discard_max_bytes");
        assert_eq!(fs::read_to_string(number)?.trim(), "0", "{name}");
    }
    r.holds_at(0, &data[..64 * SECTOR])?;
    waits.kill()?;
    // What the array showed before is not what it shows to others now.
    let said = ctl_ended("status")?.printed;
    ensure!(said.contains("moving "), "{said}");
    Ok(())
}

fn a_state_that_fails_is_told() -> Result<()> {
    let Disks { main, .. } = disks(64)?;
    let new = NullDisk::new("new", 80)?;
    let (r, _) = adopted(64)?;
    let waits = under_way(&main, &r)?;
    waits.kill()?;
    let sectors = new.sectors()?;
    new.bad(sectors - 6144..=sectors - 1)?;
    // What is on main yet.
    fails(write_durably(&r, 90_008, &random(8 * SECTOR)))?;
    let said = ctl_ended("status")?.printed;
    ensure!(said.contains("r      copy-failed"), "{said}");
    ensure!(said.contains("r: critical: its data move"), "{said}");
    let said = ctl("monitor --once --no-mail --no-backup")?;
    ensure!(said.contains("copy-failed"), "{said}");
    ctl_refuses("it cannot write its state", TO)?;
    Ok(())
}

fn what_is_lost_becomes_zeroes() -> Result<()> {
    let Disks { main, .. } = disks(64)?;
    let _new = NullDisk::new("new", 80)?;
    let (r, mut data) = adopted(64)?;
    main.bad(3000..=3000)?;
    r.message("remap 3000 8 lossy")?;
    assert_eq!(r.status()?.lost_blocks, 1);
    ctl_refuses("'--force lost-1' overwrites it", TO)?;
    fails(r.read(3000, 1))?;
    ctl(&format!("{TO} --force lost-1"))?;
    overwrite(&mut data, 3000, &[0; SECTOR]);
    is_moved(&data)
}

fn what_nobody_can_read_becomes_zeroes() -> Result<()> {
    let Disks { main, .. } = disks(64)?;
    let _new = NullDisk::new("new", 80)?;
    let (r, mut data) = adopted(64)?;
    let waits = under_way(&main, &r)?;
    until(|| {
        let status = dmsetup(&["status", "r-copy"])?;
        let part = status
            .split(' ')
            .nth(6)
            .and_then(|part| part.split_once('/'));
        let Some((done, all)) = part else {
            return Ok(false);
        };
        let (done, all): (u64, u64) = (done.parse()?, all.parse()?);
        // They are copied with their neighbours.
        Ok(done < all && done + 256 >= all)
    })?;
    ensure!(table()?.contains("to=/dev/new"), "{}", table()?);
    waits.kill()?;
    fails(r.read(90_000, 1))?;
    let said = ctl_ended("status")?.printed;
    ensure!(said.contains("moving 9"), "{said}");
    ctl_refuses("'--to' with that disk goes on", &format!("retire r {TAB}"))?;
    ctl_refuses(
        "8 sectors cannot be read: 90000-90007",
        &format!("{TO} --force unreadable-7"),
    )?;
    let said = ctl(&format!("{TO} --force unreadable-8"))?;
    ensure!(
        said.contains("zeroes are in place of sectors 90000-90007"),
        "{said}"
    );
    overwrite(&mut data, 90_000, &[0; 8 * SECTOR]);
    is_moved(&data)
}
