// SPDX-License-Identifier: GPL-2.0

//! Main and spare on partitions: no I/O goes outside of them, whatever fails.

use crate::kit::{
    module,
    *, //
};
use std::fs;

crate::tests![
    bad_sectors_fail,
    what_fails_once_is_read_and_written,
    relocation,
    remap_and_unremap,
    zeroes_and_discards,
    scan,
    metadata,
    retries_belong_to_the_control_group,
];

/// The first sector of main on the disk. Main has room for two copies of the metadata behind the
/// sectors of `r`.
const MAIN_START: u64 = 4096;
/// The first sector of the spare on the disk.
const SPARE_START: u64 = 30720;
/// Sectors of the disk.
const WHOLE: u64 = 26 << 11;
/// Sectors of `r`.
const MAPPED: u64 = 16384;
/// Sectors of main's partition.
const MAIN_LEN: u64 = 20488;
const MAIN_END: u64 = MAIN_START + MAIN_LEN;
const TABLE: &str = "0 16384 remap /dev/whole1 0 /dev/whole2 0 16384";

/// `r` on two partitions of a disk that is full of other data.
struct Partitioned {
    r: Remap,
    whole: NullDisk,
    /// The data of `r`.
    image: Vec<u8>,
    outside: Vec<u8>,
}

impl Partitioned {
    fn new(attributes: &[(&str, &str)]) -> Result<Self> {
        module::load_ours()?;
        let whole = NullDisk::with("whole", 26, attributes)?;
        whole.write_junk(0, WHOLE)?;
        fs::write(
            "partitions",
            format!("{MAIN_START},{MAIN_LEN}\n{SPARE_START},{SPARE}\n"),
        )?;
        run(
            "sh",
            &["-c", "sfdisk -q --no-tell-kernel /dev/whole <partitions"],
        )?;
        whole.wipe(SPARE_START, SPARE)?;
        run("partx", &["-a", "/dev/whole"])?;
        let outside = outside(&whole)?;
        run(
            "remapctl",
            &[
                "format",
                "/dev/whole1",
                "/dev/whole2",
                "--main-metadata",
                "--force",
                "main-tail",
            ],
        )?;
        let r = Remap::create(TABLE)?;
        let image = random(MAPPED as usize * SECTOR);
        r.write(0, &image)?;
        Ok(Self {
            r,
            whole,
            image,
            outside,
        })
    }

    /// Fails unless the data outside of the partitions are unchanged, on the disk and in the page
    /// cache.
    fn is_unchanged(&self) -> Result<()> {
        same(
            &outside(&self.whole)?,
            &self.outside,
            "outside of the partitions",
        )
    }

    fn holds(&self) -> Result<()> {
        self.r.holds(&self.image)
    }

    /// Writes new data to a unit.
    fn write_unit(&mut self, sector: u64) -> Result<Vec<u8>> {
        let unit = random(4096);
        overwrite(&mut self.image, sector, &unit);
        self.r.write(sector, &unit)?;
        Ok(unit)
    }

    fn bad_main(&self, first: u64, last: u64) -> Result<()> {
        self.whole.bad(MAIN_START + first..=MAIN_START + last)
    }

    fn bad_spare(&self, first: u64, last: u64) -> Result<()> {
        self.whole.bad(SPARE_START + first..=SPARE_START + last)
    }

    fn all_good(&self) -> Result<()> {
        self.whole.good(0..=WHOLE - 1)
    }

    fn main_has(&self, sector: u64, data: &[u8]) -> Result<()> {
        self.whole.holds_at(MAIN_START + sector, data)
    }

    fn spare_has(&self, sector: u64, data: &[u8]) -> Result<()> {
        self.whole.holds_at(SPARE_START + sector, data)
    }

    /// Ends the test.
    fn finish(self) -> Result<()> {
        self.is_unchanged()?;
        self.r.remove()?;
        same(
            &outside(&self.whole)?,
            &self.outside,
            "outside of the partitions, at the end",
        )?;
        run("partx", &["-d", "/dev/whole"])?;
        Ok(())
    }
}

/// The data before, between and behind the partitions. Sector 0 contains the partition table.
fn outside(whole: &NullDisk) -> Result<Vec<u8>> {
    let mut all = whole.read(0, MAIN_START)?;
    all.extend(whole.read(MAIN_END, SPARE_START - MAIN_END)?);
    all.extend(whole.read(SPARE_START + SPARE, WHOLE - SPARE_START - SPARE)?);
    Ok(all)
}

fn bad_sectors_fail() -> Result<()> {
    let p = Partitioned::new(&[])?;
    // Sectors of the disk with these numbers hold other data.
    for sector in [0, 1003, 4096, 12000, 16383] {
        p.bad_main(sector, sector)?;
        fails(p.r.read(sector, 1))?;
        fails(p.r.read(sector / 8 * 8, 8))?;
    }
    let status = p.r.status()?;
    assert_eq!(status.used.to_string(), "0/1536");
    assert_eq!(status.suspects, 5);
    p.all_good()?;
    p.holds()?;
    p.finish()
}

fn what_fails_once_is_read_and_written() -> Result<()> {
    let mut p = Partitioned::new(&[("badblocks_once", "1")])?;
    for sector in [0, 1000, 4096, 12000, 16376] {
        p.bad_main(sector, sector)?;
        p.r.holds_at(sector, part(&p.image, sector, 8))?;
        p.bad_main(sector, sector)?;
        let unit = p.write_unit(sector)?;
        p.main_has(sector, &unit)?;
    }
    assert_eq!(p.r.used()?, "0/1536");
    assert_eq!(p.r.count("transient")?, 10);
    p.holds()?;
    p.finish()
}

fn relocation() -> Result<()> {
    let mut p = Partitioned::new(&[])?;
    let mut spare_unit = REGION;
    for sector in [0, 1000, 4096, 12000, 16376] {
        p.bad_main(sector, sector + 7)?;
        let unit = p.write_unit(sector)?;
        p.spare_has(spare_unit, &unit)?;
        spare_unit += UNIT;
    }
    assert_eq!(p.r.used()?, "5/1536");
    p.holds()?;
    // A spare unit that cannot be written is skipped; a spare unit that cannot be read is an error.
    p.bad_spare(spare_unit, spare_unit)?;
    p.bad_main(2000, 2000)?;
    let unit = p.write_unit(2000)?;
    p.spare_has(spare_unit + UNIT, &unit)?;
    p.bad_spare(REGION, REGION)?;
    fails(p.r.read(0, 8))?;
    p.whole.good(SPARE_START + REGION..=SPARE_START + REGION)?;
    p.holds()?;
    p.finish()
}

fn remap_and_unremap() -> Result<()> {
    let mut p = Partitioned::new(&[])?;
    p.r.relocate(0, 80)?;
    p.r.relocate(12000, 8)?;
    p.spare_has(REGION, part(&p.image, 0, 8))?;
    p.holds()?;
    let units = random(40960);
    overwrite(&mut p.image, 0, &units);
    p.r.write(0, &units)?;
    p.r.move_back(0)?;
    p.main_has(0, part(&units, 0, 8))?;
    // A part of a relocated unit fails on the spare.
    p.bad_spare(REGION + 8, REGION + 8)?;
    fails(p.r.read(8, 1))?;
    p.all_good()?;
    p.holds()?;
    p.finish()
}

fn zeroes_and_discards() -> Result<()> {
    let mut p = Partitioned::new(&[("discard", "1")])?;
    p.r.relocate(800, 80)?;
    p.bad_main(1003, 1003)?;
    p.r.write_zeroes(400, 800)?;
    let zeroes = vec![0; 800 * SECTOR];
    p.r.holds_at(400, &zeroes)?;
    assert_eq!(p.r.used()?, "11/1536");
    overwrite(&mut p.image, 400, &zeroes);
    // The first unit is on main, the last on the spare.
    p.r.discard(10000, 128)?;
    p.r.discard(840, 8)?;
    overwrite(&mut p.image, 10000, &zeroes[..128 * SECTOR]);
    p.holds()?;
    p.finish()
}

fn scan() -> Result<()> {
    let p = Partitioned::new(&[])?;
    for sector in [0, 1003, 4096, 12000, 16383] {
        p.bad_main(sector, sector)?;
    }
    p.r.scan()?;
    assert_eq!(p.r.count("scan_found")?, 5);
    assert_eq!(p.r.used()?, "0/1536");
    p.all_good()?;
    p.holds()?;
    p.finish()
}

fn metadata() -> Result<()> {
    let mut p = Partitioned::new(&[])?;
    assert_eq!(p.r.status()?.regions.to_string(), "4/4");
    p.r.relocate(0, 800)?;
    p.r.message("checkpoint")?;
    p.r.relocate(800, 8)?;
    p.r.replace(TABLE)?;
    assert_eq!(p.r.used()?, "101/1536");
    p.r.remove()?;
    same(&outside(&p.whole)?, &p.outside, "outside of the partitions")?;
    // The copies on the spare are lost, and are restored from those on main.
    Device::at("/dev/whole2").wipe(0, 8)?;
    p.r = Remap::create(TABLE)?;
    assert_eq!(p.r.used()?, "101/1536");
    p.r.relocate(1600, 8)?;
    p.holds()?;
    // A region that cannot be written.
    p.bad_spare(0, REGION / 2)?;
    p.r.relocate(2400, 8)?;
    p.r.message("checkpoint")?;
    p.holds()?;
    p.finish()
}

/// The requests to a disk in the `io.stat` of a control group.
fn counted_for_group(disk: &NullDisk, name: &str) -> Result<u64> {
    let stat = fs::read_to_string("/tmp/cgroup/some/io.stat")?;
    let number = disk.attribute("dev")?;
    let line = stat
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{number} ")))
        .context("the disk in io.stat")?;
    let value = line
        .split(' ')
        .find_map(|word| word.strip_prefix(&format!("{name}=")))
        .with_context(|| format!("{name} in {line}"))?;
    Ok(value.parse()?)
}

/// Retries are accounted to the submitter of the request.
fn retries_belong_to_the_control_group() -> Result<()> {
    module::load_ours()?;
    let main = NullDisk::with("main", 64, &[("badblocks_once", "1")])?;
    NullDisk::new("spare", 8)?;
    let r = Remap::create(crate::kit::TABLE)?;
    fs::create_dir("/tmp/cgroup")?;
    run("mount", &["-t", "cgroup2", "none", "/tmp/cgroup"])?;
    fs::write("/tmp/cgroup/cgroup.subtree_control", "+io")?;
    fs::create_dir("/tmp/cgroup/some")?;
    main.bad(1000..=1000)?;
    main.bad(2000..=2000)?;
    fs::write(
        "/tmp/cgroup/some/cgroup.procs",
        std::process::id().to_string(),
    )?;
    r.read(1000, 8)?;
    r.write(2000, &random(4096))?;
    fs::write("/tmp/cgroup/cgroup.procs", std::process::id().to_string())?;
    assert_eq!(r.count("transient")?, 2);
    assert_eq!(counted_for_group(&main, "rios")?, 2);
    assert_eq!(counted_for_group(&main, "rbytes")?, 8192);
    assert_eq!(counted_for_group(&main, "wios")?, 2);
    assert_eq!(counted_for_group(&main, "wbytes")?, 8192);
    fs::remove_dir("/tmp/cgroup/some")?;
    run("umount", &["/tmp/cgroup"])?;
    Ok(())
}
