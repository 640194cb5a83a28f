// SPDX-License-Identifier: GPL-2.0

//! Flushes, discards, writes of zeroes, request flags and read-only devices.

use crate::kit::{
    module,
    scsi_debug::ScsiDebug,
    *, //
};
use rustix::io::Errno;
use std::fs;

crate::tests![
    flush_reaches_both_devices,
    relocated_data_survive_a_power_cut_after_flush,
    copied_data_survive_a_power_cut,
    fua_writes,
    discard_passes_down,
    discard_without_spare_support,
    no_discard_where_main_has_none,
    write_zeroes,
    read_only_table,
    read_only_device,
    nowait_passes,
    polled_io,
    ioctl_goes_to_main,
    dependencies_are_known,
    limits_fit_the_unit,
];

/// The device `r` of the default table, on disks with these attributes.
fn array(main: &[(&str, &str)], spare: &[(&str, &str)]) -> Result<Array> {
    module::load_ours()?;
    let main = NullDisk::with("main", 64, main)?;
    let spare = NullDisk::with("spare", 8, spare)?;
    let r = Remap::create(TABLE)?;
    Ok(Array { r, main, spare })
}

/// The number of flushes that a disk has completed.
fn flushes(disk: &NullDisk) -> Result<u64> {
    let stat = disk.attribute("stat")?;
    let count = stat.split_whitespace().nth(15);
    Ok(count.context("a count of flushes")?.parse()?)
}

fn flush_reaches_both_devices() -> Result<()> {
    let cache = [("cache_size", "1")];
    let Array { r, main, spare } = array(&cache, &cache)?;
    r.write(0, &random(4096))?;
    let before = (flushes(&main)?, flushes(&spare)?, r.count("flushes")?);
    r.flush()?;
    assert!(flushes(&main)? > before.0, "main was not flushed");
    assert!(flushes(&spare)? > before.1, "the spare was not flushed");
    assert!(
        r.count("flushes")? >= before.2 + 2,
        "each disk must count a flush"
    );
    Ok(())
}

/// Cuts the power of the spare while `r` uses it, and restores it after `r` is removed.
fn power_cut(r: Remap, spare: &NullDisk) -> Result<()> {
    spare.power_off()?;
    r.remove()?;
    spare.power_on()
}

fn relocated_data_survive_a_power_cut_after_flush() -> Result<()> {
    let cache = [("cache_size", "4")];
    let Array { r, spare, .. } = array(&cache, &cache)?;
    r.relocate(800, 8)?;
    let unit = random(4096);
    r.write(800, &unit)?;
    r.flush()?;
    power_cut(r, &spare)?;
    spare.holds_at(REGION, &unit)
}

fn copied_data_survive_a_power_cut() -> Result<()> {
    let Array { r, spare, .. } = array(&[], &[("cache_size", "4")])?;
    let image = random(MIB);
    r.write(0, &image)?;
    r.relocate(800, 8)?;
    power_cut(r, &spare)?;
    spare.holds_at(REGION, part(&image, 800, 8))
}

/// An entry of the log of dm-log-writes.
struct Logged {
    sector: u64,
    flags: u64,
}

impl Logged {
    /// The write was durable on completion.
    const FUA: u64 = 2;
    /// The entry has no data in the log.
    const DISCARD: u64 = 4;
}

/// The number at an index in a sector of the log.
fn number(log: &[u8], place: usize) -> Result<u64> {
    let bytes = log.get(place * 8..).and_then(|rest| rest.first_chunk());
    Ok(u64::from_le_bytes(*bytes.context("the log is too short")?))
}

/// The entries of a log.
fn logged(log: &[u8]) -> Result<Vec<Logged>> {
    let count = number(log, 2)?;
    let mut at = SECTOR;
    let mut entries = Vec::new();
    for _ in 0..count {
        let entry = log.get(at..).context("the log is too short")?;
        let (sector, sectors, flags) = (number(entry, 0)?, number(entry, 1)?, number(entry, 2)?);
        let has_data = flags & Logged::DISCARD == 0;
        at += SECTOR
            + if has_data {
                sectors as usize * SECTOR
            } else {
                0
            };
        entries.push(Logged { sector, flags });
    }
    Ok(entries)
}

fn fua_writes() -> Result<()> {
    module::load_ours()?;
    let attributes = [("cache_size", "4"), ("fua", "1")];
    NullDisk::with("main", 64, &attributes)?;
    NullDisk::with("spare", 8, &attributes)?;
    let journal = NullDisk::new("journal", 16)?;
    let low = Mapped::create("low", "0 16384 log-writes /dev/spare /dev/journal")?;
    let r = Remap::create("0 131072 remap /dev/main 0 /dev/mapper/low 0 16384")?;
    r.relocate(800, 8)?;
    // The copy of the unit starts at another sector.
    write_durably(&r, 803, &random(512))?;
    r.remove()?;
    low.remove()?;
    let entries = logged(&journal.read(0, journal.sectors()?)?)?;
    let flags_at = |sector| -> Vec<_> {
        let there = entries.iter().filter(|entry| entry.sector == sector);
        there.map(|entry| entry.flags & Logged::FUA).collect()
    };
    assert_eq!(flags_at(REGION + 3), [Logged::FUA]);
    assert_eq!(flags_at(REGION + 2), [0; 0]);
    Ok(())
}

fn discard_passes_down() -> Result<()> {
    let attributes = [("discard", "1")];
    let r = array(&attributes, &attributes)?.r;
    let mut image = random(MIB);
    r.write(0, &image)?;
    r.relocate(800, 80)?;
    r.discard(400, 800)?;
    overwrite(&mut image, 400, &[0; 800 * SECTOR]);
    r.holds(&image)?;
    assert!(r.count("discards")? >= 3, "discards are not split");
    // Discarded units remain relocated.
    assert_eq!(r.used()?, "10/1536");
    Ok(())
}

fn discard_without_spare_support() -> Result<()> {
    let r = array(&[("discard", "1")], &[])?.r;
    let image = random(MIB);
    r.write(0, &image)?;
    r.relocate(800, 8)?;
    r.discard(0, 2048)?;
    r.holds(&[0; 800 * SECTOR])?;
    r.holds_at(808, &vec![0; 1240 * SECTOR])
}

fn no_discard_where_main_has_none() -> Result<()> {
    let r = Array::new()?.r;
    assert_eq!(r.attribute("queue/discard_max_bytes")?, "0");
    fails(r.discard(0, 8))
}

fn write_zeroes() -> Result<()> {
    module::load_ours()?;
    let disk = ScsiDebug::new("lbpws=1 lbprz=1 write_same_length=2048")?;
    let disk = disk.path().display();
    Mapped::create("main", &format!("0 65536 linear {disk} 0"))?;
    Mapped::create("spare", &format!("0 16384 linear {disk} 65536"))?;
    let r = Remap::create("0 65536 remap /dev/mapper/main 0 /dev/mapper/spare 0 16384")?;
    assert_ne!(r.attribute("queue/write_zeroes_max_bytes")?, "0");
    let mut image = random(MIB);
    r.write(0, &image)?;
    r.relocate(800, 80)?;
    r.write_zeroes(400, 800)?;
    overwrite(&mut image, 400, &[0; 800 * SECTOR]);
    r.holds(&image)
}

fn read_only_table() -> Result<()> {
    let Disks { main, .. } = Disks::new()?;
    let image = random(MIB);
    main.write(0, &image)?;
    let r = Remap::create_read_only(TABLE)?;
    r.holds(&image)?;
    fails_with(r.write(0, &random(4096)), Errno::PERM)?;
    r.holds(&image)?;
    assert_eq!(r.status()?.mode, "ro");
    refused("the table is read-only", || r.relocate(8, 8))?;
    assert_eq!(r.message("reason")?.trim_end(), "the table is read-only");
    Ok(())
}

fn read_only_device() -> Result<()> {
    let Disks { main, .. } = Disks::new()?;
    let image = random(MIB);
    main.write(0, &image)?;
    Mapped::create_read_only("main_ro", "0 131072 linear /dev/main 0")?;
    let table = "0 131072 remap /dev/mapper/main_ro 0 /dev/spare 0 16384";
    refused("main device is read-only and the table is not", || {
        Remap::create(table)
    })?;
    Remap::create_read_only(table)?.holds(&image)
}

/// Runs fio on 4 KiB blocks of the first mebibyte of `r`.
fn fio(r: &Remap, options: &[&str]) -> Result<()> {
    let file = format!("--filename={}", r.path().display());
    let mut words = vec!["--name=f", &file, "--direct=1", "--bs=4k", "--size=1M"];
    words.extend(options);
    run("fio", &words)?;
    Ok(())
}

/// `RWF_NOWAIT` reads and writes, on main and on the spare.
fn nowait_passes() -> Result<()> {
    let r = Array::new()?.r;
    r.write(0, &random(MIB))?;
    r.relocate(800, 8)?;
    let before = r.count("redirected")?;
    // Each block is accessed four times.
    fio(
        &r,
        &[
            "--ioengine=io_uring",
            "--nowait=1",
            "--rw=randrw",
            "--io_size=4M",
            "--iodepth=8",
        ],
    )?;
    assert!(r.count("redirected")? > before);
    Ok(())
}

/// The submitter polls the disk, and neither uses an interrupt.
fn polled_io() -> Result<()> {
    let polled = [("poll_queues", "1")];
    let Array { r, .. } = array(&polled, &polled)?;
    assert_eq!(r.attribute("queue/io_poll")?, "1");
    r.relocate(800, 64)?;
    // null_blk must not be polled for blocks without memory.
    fio(&r, &["--rw=write", "--verify=crc32c", "--do_verify=0"])?;
    let before = r.count("redirected")?;
    fio(
        &r,
        &[
            "--ioengine=io_uring",
            "--hipri=1",
            "--rw=read",
            "--iodepth=8",
            "--verify=crc32c",
            "--verify_fatal=1",
        ],
    )?;
    assert!(r.count("redirected")? > before);
    r.remove()?;
    let Array { r, .. } = array(&[("poll_queues", "0")], &polled)?;
    assert_eq!(r.attribute("queue/io_poll")?, "0");
    Ok(())
}

fn ioctl_goes_to_main() -> Result<()> {
    module::load_ours()?;
    NullDisk::new("spare", 8)?;
    let disk = ScsiDebug::new("")?;
    let main = disk.path().display();
    let r = Remap::create(&format!("0 65536 remap {main} 0 /dev/spare 0 16384"))?;
    let inquiry = run("sg_inq", &[&r.path().to_string_lossy()])?;
    assert!(inquiry.contains("scsi_debug"), "{inquiry}");
    Ok(())
}

/// The names of the mapped devices that hold a disk.
fn holders(disk: &NullDisk) -> Result<Vec<String>> {
    fs::read_dir(disk.sysfs()?.join("holders"))?
        .map(|entry| Ok(fs::read_to_string(entry?.path().join("dm/name"))?))
        .map(|name: Result<_>| Ok(name?.trim().to_string()))
        .collect()
}

fn dependencies_are_known() -> Result<()> {
    let Array { r, main, spare } = Array::new()?;
    let said = dmsetup(&["deps", r.name()])?;
    assert!(said.starts_with("2 dependencies"), "{said}");
    for disk in [&main, &spare] {
        let number = disk.attribute("dev")?.replace(':', ", ");
        assert!(said.contains(&format!("({number})")), "{said}");
        assert_eq!(holders(disk)?, ["r"]);
    }
    Ok(())
}

/// A disk with blocks of 512 bytes whose optimal I/O size is not a multiple of a unit.
fn limits_fit_the_unit() -> Result<()> {
    module::load_ours()?;
    NullDisk::new("spare", 8)?;
    let disk = ScsiDebug::new("opt_blks=1023")?;
    assert_eq!(disk.attribute("queue/optimal_io_size")?, "523776");
    let mut log = KernelLog::now()?;
    let main = disk.path().display();
    let r = Remap::create(&format!("0 65536 remap {main} 0 /dev/spare 0 16384"))?;
    assert!(!log.has("alignment inconsistency")?, "device-mapper warns");
    assert_eq!(r.attribute("queue/physical_block_size")?, "4096");
    assert_eq!(r.attribute("queue/minimum_io_size")?, "4096");
    assert_eq!(r.attribute("queue/optimal_io_size")?, "520192");
    assert_eq!(r.attribute("alignment_offset")?, "0");
    Ok(())
}
