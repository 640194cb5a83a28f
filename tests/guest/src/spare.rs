// SPDX-License-Identifier: GPL-2.0

//! Another device takes the place of the spare.

use crate::kit::{
    scsi_debug::ScsiDebug,
    *, //
};
use rustix::io::Errno;
use serde_json::Value;
use std::fs;

crate::tests![
    another_device_takes_its_place,
    a_block_that_cannot_be_read_is_given_up_by_name,
    a_spare_that_does_not_answer_loses_nothing,
    a_spare_that_takes_no_write_is_not_given_up,
    a_device_that_is_shorter_than_it_says_is_found_out,
    two_paths_to_one_disk_are_one_device,
    devices_that_are_none,
];

const TAB: &str = "--tab /tmp/remaptab";
const REPLACE: &str = "spare replace r /dev/spare --with /dev/new --tab /tmp/remaptab";

/// An adopted array with relocated units, its disks, and what it holds.
struct Adopted {
    disks: Disks,
    new: NullDisk,
    data: Vec<u8>,
}

impl Adopted {
    fn new() -> Result<Self> {
        let (disks, new) = (Disks::new()?, NullDisk::new("new", 16)?);
        let adopt = "adopt /dev/main --spare /dev/spare --name r --force unknown";
        ctl(&format!("{adopt} {TAB}"))?;
        let (r, data) = (Remap::at("r")?, random(64 * MIB));
        r.write(0, &data)?;
        r.relocate(8000, 800)?;
        ctl("remove r")?;
        Ok(Self { disks, new, data })
    }

    /// The array, active.
    fn active(&self) -> Result<Remap> {
        ctl(&format!("activate {TAB}"))?;
        Remap::at("r")
    }

    /// Where on the spare a sector of the array is.
    fn on_spare(&self, sector: u64) -> Result<u64> {
        let r = self.active()?;
        let list = r.list()?;
        ctl("remove r")?;
        let unit = list.iter().find(|unit| unit.sector == sector / UNIT * UNIT);
        let unit = unit.context("a relocated unit")?;
        Ok(unit.spare_sector + sector % UNIT)
    }
}

/// Whether a table names a device.
fn stands_on(table: &str, disk: &NullDisk) -> Result<bool> {
    let number = disk.attribute("dev")?;
    Ok(table.split(' ').any(|word| word == number))
}

fn is_blank(disk: &NullDisk) -> Result<bool> {
    let first = disk.read(0, REGION)?;
    let last = disk.read(SPARE - REGION, REGION)?;
    Ok(first.iter().chain(&last).all(|&byte| byte == 0))
}

fn another_device_takes_its_place() -> Result<()> {
    let all = Adopted::new()?;
    let r = all.active()?;
    ctl_refuses("/dev/main is used by", REPLACE)?;
    ensure!(stands_on(&r.table()?, &all.disks.spare)?, "the old spare");
    ctl("remove r")?;
    let before = all.new.read(0, 16 * 2048)?;
    let said = ctl(&format!("{REPLACE} --dry-run"))?;
    assert_eq!(said, "would copy 100 units from /dev/spare to /dev/new");
    same(&all.new.read(0, 16 * 2048)?, &before, "/dev/new")?;
    all.new.write(64, &[7; SECTOR])?;
    ctl_refuses("'--force foreign'", REPLACE)?;
    let said = ctl(&format!("{REPLACE} --force foreign"))?;
    ensure!(said.contains("copied 100 units from"), "{said}");
    ensure!(is_blank(&all.disks.spare)?, "/dev/spare");
    let r = all.active()?;
    ensure!(stands_on(&r.table()?, &all.new)?, "the new spare");
    assert_eq!(r.used()?, "100/3584");
    r.holds(&all.data)?;
    r.relocate(16_000, UNIT)?;
    ctl("remove r")?;
    // Once more changes nothing.
    let said = ctl_json(REPLACE)?;
    assert!(said["units"].is_null(), "{said}");
    let r = all.active()?;
    assert_eq!(r.used()?, "101/3584");
    r.holds(&all.data)
}

fn a_block_that_cannot_be_read_is_given_up_by_name() -> Result<()> {
    let mut all = Adopted::new()?;
    let at = all.on_spare(8005)?;
    all.disks.spare.bad(at..=at)?;
    ctl_refuses(
        "keeps these 1 sectors of the array: 8005-8005; with '--force lost-1'",
        REPLACE,
    )?;
    // The array is as it was.
    let r = all.active()?;
    ensure!(stands_on(&r.table()?, &all.disks.spare)?, "the old spare");
    ctl("remove r")?;
    let said = ctl(&format!("{REPLACE} --force lost-1"))?;
    ensure!(
        said.contains("lost, until they are written: 8005-8005"),
        "{said}"
    );
    let r = all.active()?;
    fails_with(r.read(8005, 1), Errno::NODATA)?;
    let block = random(SECTOR);
    r.write(8005, &block)?;
    overwrite(&mut all.data, 8005, &block);
    r.holds(&all.data)
}

/// The words of `strace` that run the replacement, with `options`.
fn traced(options: &[&str], more: &[&str]) -> Result<Ended> {
    let mut words = vec!["-qq", "-o", "/tmp/reads", "-e", "trace=pread64"];
    words.extend(options);
    words.push("remapctl");
    words.extend(REPLACE.split(' '));
    words.extend(more);
    ended("strace", &words)
}

fn a_spare_that_does_not_answer_loses_nothing() -> Result<()> {
    let all = Adopted::new()?;
    // From the first read on that a dry run does not make.
    traced(&[], &["--dry-run"])?.well()?;
    let reads = fs::read_to_string("/tmp/reads")?.lines().count();
    let inject = format!("inject=pread64:error=EIO:when={}+", reads + 1);
    let Ended { status, printed } = traced(&["-e", &inject], &["--force", "lost-800"])?;
    ensure!(status != Some(0), "{printed}");
    ensure!(
        printed.contains("/dev/spare does not answer any more"),
        "{printed}"
    );
    let r = all.active()?;
    ensure!(stands_on(&r.table()?, &all.disks.spare)?, "the old spare");
    r.holds(&all.data)
}

/// Nothing else takes its place while it is there, wherever it is.
fn a_spare_that_takes_no_write_is_not_given_up() -> Result<()> {
    let all = Adopted::new()?;
    let inject = [
        "-qq",
        "-o",
        "/dev/null",
        "-P",
        "/dev/spare",
        "-e",
        "inject=pwrite64:error=EIO",
        "remapctl",
    ];
    let words: Vec<_> = REPLACE.split(' ').collect();
    let Ended { status, printed } = ended("strace", &[&inject[..], &words].concat())?;
    ensure!(status != Some(0), "{printed}");
    let hint = "/dev/spare may still hold the array: pull it for good, and run this again with";
    ensure!(printed.contains(hint), "{printed}");
    let r = all.active()?;
    ensure!(stands_on(&r.table()?, &all.disks.spare)?, "the old spare");
    r.holds(&all.data)?;
    ctl("remove r")?;
    let pulled = format!("spare replace r /dev/none --with /dev/new {TAB}");
    ctl_refuses("/dev/spare holds the array", &pulled)?;
    ctl_refuses(
        "/dev/spare holds the array",
        &format!("{pulled} --force stale"),
    )?;
    // Once it is gone, only somebody who knows may say so.
    let gone = all.disks.spare.read(0, SPARE)?;
    all.disks.spare.write(0, &vec![0; gone.len()])?;
    ctl_refuses("'--force stale' makes /dev/new the spare", &pulled)?;
    let said = ctl(&format!("{pulled} --force stale"))?;
    ensure!(said.contains("nothing was left to copy"), "{said}");
    let r = all.active()?;
    ensure!(stands_on(&r.table()?, &all.new)?, "the new spare");
    r.holds(&all.data)
}

/// Its end is where its units are, so that the metadata overwrite them.
fn a_device_that_is_shorter_than_it_says_is_found_out() -> Result<()> {
    let all = Adopted::new()?;
    let first = SPARE - REGION;
    let table = format!("0 {first} linear /dev/new 0\n{first} {REGION} linear /dev/new {REGION}");
    let short = Mapped::create("short", &table)?;
    let words = format!("spare replace r /dev/spare --with /dev/mapper/short {TAB}");
    ctl_refuses("gives back other data than were written", &words)?;
    let r = all.active()?;
    ensure!(stands_on(&r.table()?, &all.disks.spare)?, "the old spare");
    r.holds(&all.data)?;
    ctl("remove r")?;
    short.remove()
}

fn two_paths_to_one_disk_are_one_device() -> Result<()> {
    let main = NullDisk::new("main", 64)?;
    let one = ScsiDebug::new("add_host=2 vpd_use_hostno=0")?;
    let other = one.other_path()?;
    let (one, other) = (one.path().display(), other.display());
    ctl(&format!("format /dev/main {one}"))?;
    let dump: Value = serde_json::from_str(&ctl(&format!("dump /dev/main {other}"))?)?;
    let uuid = dump["array"].as_str().context("an array")?;
    let words = format!("spare replace /dev/main {one} --with {other} --force {uuid}");
    ctl_refuses(&format!("{other} is {one}"), &words)?;
    ctl(&format!("check /dev/main {one}"))?;
    Ok(main.remove()?)
}

fn devices_that_are_none() -> Result<()> {
    let all = Adopted::new()?;
    let with = |old: &str, new: &str| format!("spare replace r {old} --with {new} {TAB}");
    ctl_refuses(
        "/dev/main is main of array 'r'",
        &with("/dev/spare", "/dev/main"),
    )?;
    ctl_refuses(
        "/dev/spare is /dev/spare",
        &with("/dev/spare", "/dev/spare"),
    )?;
    ctl_refuses("does not hold the array", &with("/dev/none", "/dev/new"))?;
    // The two in the wrong order.
    let said = ctl_json(&with("/dev/new", "/dev/spare"))?;
    assert_eq!(said["replaced"], false, "{said}");
    let other = NullDisk::new("other", 64)?;
    ctl("format /dev/other /dev/new")?;
    let dump: Value = serde_json::from_str(&ctl("dump /dev/other /dev/new")?)?;
    let uuid = dump["array"].as_str().context("an array")?;
    let before = fs::read_to_string("/tmp/remaptab")?;
    fs::write("/tmp/remaptab", format!("{before}x /dev/other {uuid}\n"))?;
    ctl_refuses(
        "/dev/new is the spare of array 'x'",
        &format!("{REPLACE} --force {uuid}"),
    )?;
    fs::write("/tmp/remaptab", before)?;
    other.remove()?;
    ctl_refuses("no array 'x'", "spare replace x /dev/spare --with /dev/new")?;
    let small = NullDisk::new("small", 2)?;
    let refused = with("/dev/spare", "/dev/small");
    ctl_refuses("no room for its metadata", &refused)?;
    small.remove()?;
    let r = all.active()?;
    r.holds(&all.data)
}
