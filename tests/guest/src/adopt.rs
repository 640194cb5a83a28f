// SPDX-License-Identifier: GPL-2.0

//! A disk with a file system is adopted as it is, and its array found again by the table.

use crate::kit::{
    module,
    *, //
};
use remap_core::region_layout::{
    Regions,
    Slot, //
};
use std::{
    fs::{
        self,
        File, //
    },
    path::Path,
};

crate::tests![
    main_is_not_written,
    what_is_in_use_or_in_the_way_is_refused,
    lists_of_bad_blocks_are_relocated,
    an_adoption_that_is_stopped,
    disks_come_in_any_order,
    a_spare_that_does_not_come,
    exported_data_are_the_same,
    main_of_an_array_without_relocations_may_change,
    main_that_was_changed_is_refused,
];

const TAB: &str = "--tab /tmp/remaptab";
const ADOPT: &str = "adopt /dev/main --spare /dev/spare --name r --tab /tmp/remaptab";
const ACTIVATE: &str = "activate --tab /tmp/remaptab";

/// The usual disks, of which main has a file system with a file; nobody makes nodes but `remapctl`.
fn disks() -> Result<Disks> {
    let disks = Disks::new()?;
    run("mkfs.ext4", &["-q", "-L", "data", "/dev/main"])?;
    mounted("/dev/main", |folder| {
        Ok(fs::write(folder.join("file"), content())?)
    })?;
    Ok(disks)
}

/// What the file holds.
fn content() -> Vec<u8> {
    (0..MIB).map(|at| (at / 7 % 251) as u8).collect()
}

/// Does something with a file system.
fn mounted<T>(device: &str, work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let folder = Path::new("/mnt/fs");
    fs::create_dir_all(folder)?;
    run("mount", &[device, "/mnt/fs"])?;
    let done = work(folder);
    run("umount", &["/mnt/fs"])?;
    fs::remove_dir(folder)?;
    done
}

/// Fails unless the file is there, on the array.
fn file_is_there() -> Result<()> {
    mounted("/dev/mapper/r", |folder| {
        ensure!(fs::read(folder.join("file"))? == content(), "another file");
        Ok(())
    })
}

/// All of a disk.
fn image(disk: &NullDisk) -> Result<Vec<u8>> {
    Ok(disk.read(0, disk.sectors()?)?)
}

fn main_is_not_written() -> Result<()> {
    let Disks { main, spare } = disks()?;
    let before = image(&main)?;
    let said = ctl(&format!("{ADOPT} --dry-run"))?;
    ensure!(
        said.contains("main /dev/main: 64.0 MiB, ext4 'data' UUID="),
        "{said}"
    );
    ensure!(
        said.contains("spare /dev/spare: 8.0 MiB, nothing"),
        "{said}"
    );
    ensure!(
        said.contains("would make array 'r' with 1536 spare units"),
        "{said}"
    );
    ensure!(image(&spare)?.iter().all(|&byte| byte == 0), "written to");
    ensure!(!Path::new("/tmp/remaptab").exists(), "a table was written");
    let said = ctl(ADOPT)?;
    ensure!(said.contains("is active as /dev/mapper/r"), "{said}");
    ensure!(said.contains("/etc/fstab"), "{said}");
    ensure!(image(&main)? == before, "main was written to");
    let array = ctl_json("check /dev/main /dev/spare")?["array"].clone();
    let array = array.as_str().context("an array")?;
    let table = fs::read_to_string("/tmp/remaptab")?;
    assert_eq!(table, format!("r /dev/main {array} missing-spare=refuse\n"));
    file_is_there()?;
    assert_eq!(ctl(ACTIVATE)?, "array 'r' is active already");
    ctl("remove r")?;
    assert_eq!(ctl(ACTIVATE)?, "array 'r' is active");
    file_is_there()?;
    ctl("remove r")?;
    Ok(())
}

fn what_is_in_use_or_in_the_way_is_refused() -> Result<()> {
    let Disks { main, spare } = disks()?;
    let _small = NullDisk::new("small", 1)?;
    let _blank = NullDisk::new("blank", 64)?;
    let (before, table) = (
        image(&main)?,
        "old WWID=naa.5 01234567-89ab-4def-8123-456789abcdef -\n",
    );
    fs::write("/tmp/remaptab", table)?;
    let adopt = |main: &str, spare: &str| format!("adopt {main} --spare {spare} --name r {TAB}");
    mounted("/dev/main", |_| {
        ctl_refuses("/dev/main is mounted at /mnt/fs", ADOPT).map(drop)
    })?;
    let before = match image(&main)? == before {
        true => before,
        false => image(&main)?,
    };
    let held = Mapped::create("held", "0 131072 linear /dev/main 0")?;
    ctl_refuses("/dev/main is used by /dev/dm-0 ('held')", ADOPT)?;
    ctl_refuses(
        "there is a mapped device 'held' already",
        &ADOPT.replace("--name r", "--name held"),
    )?;
    held.remove()?;
    let short = Mapped::create("short", "0 65536 linear /dev/main 0")?;
    ctl_refuses(
        "has 65536 sectors, and the ext4 on it has 131072",
        &adopt("/dev/mapper/short", "/dev/spare"),
    )?;
    short.remove()?;
    run("mkswap", &["/dev/small"])?;
    for (words, reason) in [
        (
            adopt("/dev/main", "/dev/main"),
            "main and the spare are both /dev/main",
        ),
        (
            adopt("/dev/blank", "/dev/spare"),
            "main /dev/blank holds nothing that blkid(8) knows; '--force unknown'",
        ),
        (
            adopt("/dev/blank", "/dev/main"),
            "the spare /dev/main holds ext4 'data'",
        ),
        (
            adopt("/dev/blank", "/dev/main"),
            "'--force foreign --force unknown' overwrites it",
        ),
        (adopt("/dev/main", "/dev/small"), "spare"),
        (adopt("/dev/main", "/dev/none"), "/dev/none"),
        (
            adopt("/dev/main", "/tmp/remaptab"),
            "/tmp/remaptab: not a block device",
        ),
        (
            ADOPT.replace("--name r", "--name a/b"),
            "'a/b' is no name for an array",
        ),
        (
            ADOPT.replace("--name r", "--name old"),
            "there is an array 'old' in /tmp/remaptab already",
        ),
        (format!("{ADOPT} --from badblocks:/tmp/none"), "/tmp/none"),
        (
            format!("{ADOPT} --from smart-defects:/tmp/remaptab"),
            "no list of pending defects",
        ),
        (format!("{ADOPT} --from list"), "want FORM:FILE"),
    ] {
        ctl_refuses(reason, &words)?;
    }
    fs::write("list", "65536\n")?;
    ctl_refuses(
        "main has 131072 sectors",
        &format!("{ADOPT} --from badblocks:list"),
    )?;
    fs::write("/tmp/remaptab", "broken\n")?;
    ctl_refuses("/tmp/remaptab: line 1: want", ADOPT)?;
    ensure!(image(&main)? == before, "main was written to");
    ensure!(
        image(&spare)?.iter().all(|&byte| byte == 0),
        "the spare was written to"
    );
    assert!(mapped_names()?.is_empty());
    // A spare on main's own disk goes with it.
    fs::write("partitions", "2048,65536\n69632,16384\n")?;
    run("sh", &["-c", "sfdisk -q /dev/blank <partitions"])?;
    fs::write("/tmp/remaptab", table)?;
    run("mkfs.ext4", &["-q", "/dev/blank1"])?;
    ctl_refuses(
        "main and the spare are both on /dev/blank; '--force same-disk'",
        &adopt("/dev/blank1", "/dev/blank2"),
    )?;
    ctl_refuses(
        "one of main /dev/blank and the spare /dev/blank2 is a partition of the other",
        &adopt("/dev/blank", "/dev/blank2"),
    )?;
    assert_eq!(fs::read_to_string("/tmp/remaptab")?, table);
    Ok(())
}

fn lists_of_bad_blocks_are_relocated() -> Result<()> {
    let Disks { main, .. } = disks()?;
    fs::write("bad", "500\n501\n")?;
    fs::write("map", "0x0 +\n0x0 0x10000 +\n0x10000 0x200 -\n")?;
    fs::write(
        "defects",
        "Pending Defects log (GP Log 0x0c)\nIndex LBA Hours\n 0 3000 -\n",
    )?;
    fs::write(
        "tests",
        "Num  Test_Description Status Remaining LifeTime(hours) LBA_of_first_error\n\
         # 1  Extended offline Completed: read failure 90% 1 4000\n",
    )?;
    let lists = "--from badblocks:bad --from ddrescue:map --from smart-defects:defects \
                 --from smart-selftest:tests";
    ctl(&format!("{ADOPT} {lists}"))?;
    let r = Remap::at("r")?;
    let sectors: Vec<_> = r.list()?.iter().map(|one| one.sector).collect();
    assert_eq!(sectors, [128, 1000, 3000, 4000]);
    file_is_there()?;
    // On an active array, and a disk that is a partition.
    fs::write(
        "defects",
        "Pending Defects log (GP Log 0x0c)\nIndex LBA Hours\n 0 5000 -\n",
    )?;
    ctl("import r defects --form smart-defects")?;
    assert_eq!(r.used()?, "5/1536");
    // What cannot be read stays, and is named; the array is active all the same.
    main.bad(6000..=6000)?;
    fs::write("bad", "3000\n")?;
    ctl_refuses("sectors 6000 to 6001: ", "import r bad")?;
    ctl("remove r")?;
    Ok(())
}

/// Whenever it is stopped, main is what it was, and the same command goes on.
fn an_adoption_that_is_stopped() -> Result<()> {
    let Disks { main, spare } = disks()?;
    let before = image(&main)?;
    // The marks, the zeroes, the heads, and the end of the marks.
    for number in [1, 3, 5, 6] {
        ctl_stopped(number, ADOPT)?;
        ensure!(image(&main)? == before, "main was written to");
        ensure!(!Path::new("/tmp/remaptab").exists(), "a table was written");
        assert!(mapped_names()?.is_empty());
        let said = ctl_refuses("overwrites it", ADOPT)?;
        let name = said
            .split("'--force ")
            .nth(1)
            .and_then(|rest| rest.split('\'').next());
        let name = name.context(said.clone())?.to_string();
        ctl(&format!("{ADOPT} --force {name}"))?;
        file_is_there()?;
        ctl("remove r")?;
        // The file system has noted that it was mounted.
        main.write(0, &before)?;
        spare.wipe(0, SPARE)?;
        fs::remove_file("/tmp/remaptab")?;
    }
    // Behind the spare comes the table, which is there or not.
    ctl(ADOPT)?;
    ctl("remove r")?;
    ctl(ACTIVATE)?;
    file_is_there()?;
    ctl("remove r")?;
    Ok(())
}

/// A file as a disk, with partitions.
fn attach(file: &str) -> Result<String> {
    let path = run(
        "losetup",
        &["--find", "--show", "--partscan", "--direct-io=off", file],
    )?;
    Ok(path.trim().into())
}

fn detach(path: &str) -> Result<()> {
    run("losetup", &["--detach", path])?;
    // It goes when nobody has it open any more.
    let name = path.trim_start_matches("/dev/");
    let file = Path::new("/sys/block").join(name).join("loop/backing_file");
    until(|| Ok(!file.exists()))
}

/// Main is the partition of a disk, and the spare another disk. They are files, so that they go and
/// come by other names.
fn disks_come_in_any_order() -> Result<()> {
    module::load_ours()?;
    File::create("disk")?.set_len(20 << 20)?;
    File::create("spare")?.set_len(8 << 20)?;
    File::create("other")?.set_len(1 << 20)?;
    fs::write("partitions", "label-id: 0x12345678\n2048,32768\n")?;
    run("sh", &["-c", "sfdisk -q disk <partitions"])?;
    let (disk, spare) = (attach("disk")?, attach("spare")?);
    let main = format!("{disk}p1");
    run("mkfs.ext4", &["-q", &main])?;
    mounted(&main, |folder| {
        Ok(fs::write(folder.join("file"), content())?)
    })?;
    ctl(&format!("adopt {main} --spare {spare} --name r {TAB}"))?;
    let table = fs::read_to_string("/tmp/remaptab")?;
    ensure!(
        table.starts_with("r PARTUUID=12345678-01,SECTORS=32768 "),
        "{table}"
    );
    file_is_there()?;
    ctl("remove r")?;
    detach(&disk)?;
    detach(&spare)?;
    assert_eq!(
        ctl(&format!("{ACTIVATE} --incremental"))?,
        "array 'r' waits for main"
    );
    let other = attach("other")?;
    for files in [["disk", "spare"], ["spare", "disk"]] {
        let first = attach(files[0])?;
        let waits = ctl(&format!("{ACTIVATE} --incremental"))?;
        let missing = if files[0] == "disk" {
            "the spare"
        } else {
            "main"
        };
        assert_eq!(waits, format!("array 'r' waits for {missing}"));
        ctl_refuses(&waits, &format!("{ACTIVATE} r"))?;
        let second = attach(files[1])?;
        assert_eq!(
            ctl(&format!("{ACTIVATE} --incremental"))?,
            "array 'r' is active"
        );
        file_is_there()?;
        ctl("remove r")?;
        detach(&first)?;
        detach(&second)?;
    }
    // One that somebody has mounted is not activated over that.
    let (disk, spare) = (attach("disk")?, attach("spare")?);
    let main = format!("{disk}p1");
    mounted(&main, |_| {
        ctl_refuses(&format!("{main} is mounted at /mnt/fs"), ACTIVATE).map(drop)
    })?;
    // Nor is one of two that look alike.
    fs::copy("disk", "copy")?;
    let copy = attach("copy")?;
    ctl_refuses("both look like main of array 'r'", ACTIVATE)?;
    detach(&copy)?;
    fs::copy("spare", "copy")?;
    let copy = attach("copy")?;
    ctl_refuses("both look like the spare of array 'r'", ACTIVATE)?;
    for path in [copy, other] {
        detach(&path)?;
    }
    // A copy of the metadata in which nothing is left but the last slot is enough.
    ctl(ACTIVATE)?;
    Remap::at("r")?.message("checkpoint")?;
    ctl("remove r")?;
    let heads = Regions::for_spare(16_384);
    let image = Device::at(&spare);
    let slot_b = heads.header(Slot::B) * 8;
    image.wipe(0, REGION)?;
    image.wipe(REGION * 7, slot_b)?;
    let probed = ctl(&format!("udev-probe {spare} {TAB}"))?;
    ensure!(
        probed.contains("REMAP_ROLE=spare\nREMAP_NAME=r\n"),
        "{probed}"
    );
    detach(&disk)?;
    detach(&spare)
}

/// What the table says for a spare that does not come is done, and never more.
fn a_spare_that_does_not_come() -> Result<()> {
    let Disks { main, spare } = disks()?;
    ctl(ADOPT)?;
    ctl("remove r")?;
    spare.power_off()?;
    let table = fs::read_to_string("/tmp/remaptab")?;
    let alone = format!("{ACTIVATE} --without-spare r");
    assert_eq!(
        ctl(&format!("{ACTIVATE} --incremental"))?,
        "array 'r' waits for the spare"
    );
    ctl_refuses("relocated data are missing", &alone)?;
    fs::write("/tmp/remaptab", table.replace("refuse", "read-only"))?;
    ctl_refuses(
        "has no copies of the metadata, so what was relocated is not known",
        &alone,
    )?;
    assert!(mapped_names()?.is_empty());
    // Where main has copies, they tell what may be shown.
    spare.power_on()?;
    spare.wipe(0, SPARE)?;
    ctl("format /dev/main /dev/spare --main-metadata --force shorter")?;
    ctl("create r /dev/main /dev/spare")?;
    let r = Remap::at("r")?;
    let data = random(MIB);
    r.write(0, &data)?;
    r.relocate(800, 16)?;
    let new = random(SECTOR);
    r.write(800, &new)?;
    let array = ctl_json("check /dev/main /dev/spare")?["array"].clone();
    ctl("remove r")?;
    let array = array.as_str().context("an array")?;
    fs::write(
        "/tmp/remaptab",
        format!("r /dev/main {array} missing-spare=read-only\n"),
    )?;
    spare.power_off()?;
    let before = image(&main)?;
    let said = ctl(&alone)?;
    ensure!(
        said.starts_with("array 'r' can be read without its spare"),
        "{said}"
    );
    let r = Mapped::at("r")?;
    r.holds(&data[..800 * SECTOR])?;
    fails(r.read(800, 1))?;
    fails(r.read(815, 1))?;
    r.holds_at(816, &data[816 * SECTOR..])?;
    fails(r.write(0, &new))?;
    ensure!(image(&main)? == before, "main was written to");
    ctl("remove r")?;
    spare.power_on()?;
    Ok(())
}

/// The same data are read through targets that every kernel has.
fn exported_data_are_the_same() -> Result<()> {
    let Disks { main, .. } = disks()?;
    ctl(ADOPT)?;
    let r = Remap::at("r")?;
    let mut data = random(MIB);
    r.write(0, &data)?;
    r.relocate(80, 40)?;
    main.bad(1001..=1001)?;
    r.message("remap 1000 8 lossy")?;
    let new = random(40 * SECTOR);
    r.write(100, &new)?;
    data[100 * SECTOR..140 * SECTOR].copy_from_slice(&new);
    let whole = r.read(2048, MAIN - 2048)?;
    let said = ctl(&format!("export r {TAB}"))?;
    ensure!(said.contains("the array is active"), "{said}");
    ctl("remove r")?;
    let by_name = ctl(&format!("export r --format dm-linear {TAB}"))?;
    assert_eq!(by_name, ctl("export /dev/main /dev/spare")?);
    ensure!(
        by_name.lines().any(|line| line == "1001 1 error"),
        "{by_name}"
    );
    fs::write("table", &by_name)?;
    dmsetup(&["create", "copy", "--readonly", "table"])?;
    let copy = Mapped::at("copy")?;
    copy.holds(&data[..1001 * SECTOR])?;
    fails(copy.read(1001, 1))?;
    copy.holds_at(1002, &data[1002 * SECTOR..])?;
    copy.holds_at(2048, &whole)?;
    ctl_refuses(
        "no array 'other' is active, or in",
        &format!("export other {TAB}"),
    )?;
    copy.remove()
}

/// Without relocated units main alone has all data.
fn main_of_an_array_without_relocations_may_change() -> Result<()> {
    let _disks = disks()?;
    ctl(ADOPT)?;
    ctl("remove r")?;
    mounted("/dev/main", |folder| {
        Ok(fs::write(folder.join("other"), "x")?)
    })?;
    ctl(ACTIVATE)?;
    mounted("/dev/mapper/r", |folder| {
        ensure!(fs::read(folder.join("other"))? == b"x", "another file");
        Ok(())
    })?;
    ctl("remove r")?;
    Ok(())
}

/// Somebody has mounted main without the array: nothing can tell which data belong together.
fn main_that_was_changed_is_refused() -> Result<()> {
    const REFUSED: &str = "main was changed without the array";
    let Disks { main, .. } = disks()?;
    ctl(ADOPT)?;
    let r = Remap::at("r")?;
    r.relocate(8000, 800)?;
    file_is_there()?;
    ctl("remove r")?;
    // As it was left it is activated again, and so it is when only data were read.
    ctl(ACTIVATE)?;
    ctl("remove r")?;
    run("mount", &["-o", "ro,noload", "/dev/main", "/mnt"])?;
    run("umount", &["/mnt"])?;
    ctl(ACTIVATE)?;
    ctl("remove r")?;
    let before = image(&main)?;
    mounted("/dev/main", |folder| {
        Ok(fs::write(folder.join("other"), "x")?)
    })?;
    let changed = image(&main)?;
    ctl_refuses(
        "'remapctl repair --accept-main' accepts main as it is",
        ACTIVATE,
    )?;
    ctl_refuses("somebody mounted", "create r /dev/main /dev/spare")?;
    ctl_refuses("somebody mounted", "check /dev/main /dev/spare")?;
    refused(REFUSED, || Remap::create(TABLE))?;
    refused(REFUSED, || Remap::create_read_only(TABLE))?;
    ensure!(image(&main)? == changed, "main was written to");
    assert!(mapped_names()?.is_empty());
    // With what it was it is right again.
    main.write(0, &before)?;
    ctl(ACTIVATE)?;
    ctl("remove r")?;
    main.write(0, &changed)?;
    let accept = "repair /dev/main /dev/spare --accept-main";
    assert_eq!(
        ctl(&format!("{accept} --dry-run"))?,
        "would accept main as it is"
    );
    ctl_refuses("somebody mounted", ACTIVATE)?;
    assert_eq!(ctl(accept)?, "main is accepted as it is");
    assert_eq!(
        ctl(accept)?,
        "main cannot be compared with what it was: nothing is refused"
    );
    ctl(ACTIVATE)?;
    let r = Remap::at("r")?;
    assert_eq!(r.used()?, "100/1536");
    file_is_there()?;
    // What is relocated is not main's to change, and what cannot be read any more is no reason.
    r.relocate(0, UNIT)?;
    ctl("remove r")?;
    main.write_junk(0, UNIT)?;
    main.bad(16..=16)?;
    ctl(ACTIVATE)?;
    ctl("remove r")?;
    Ok(())
}
