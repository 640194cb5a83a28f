// SPDX-License-Identifier: GPL-2.0

//! A disk that fails as a whole must not use up the spare, and its data must not be given up.

use crate::kit::{
    scsi_debug::{
        self,
        ScsiDebug, //
    },
    *, //
};
use rustix::io::Errno;

crate::tests![
    too_many_units_at_a_time,
    an_open_breaker_passes_on_what_main_says,
    what_is_on_a_disk_that_is_away_is_not_given_up,
    main_goes_while_a_unit_is_merged,
    a_read_outage_makes_no_suspects,
    the_budget_of_a_day,
    one_bad_block_of_metadata_on_main_opens_nothing,
    rearm,
    a_limit_that_a_reload_lifts,
    the_limit_by_message,
    a_dead_disk_uses_no_spare,
    a_disk_that_is_offline(disks: &["scsi:64M", "scsi:16M"]),
    a_dead_spare_is_not_given_up,
];

/// The bytes of a unit.
const UNIT_BYTES: usize = UNIT as usize * SECTOR;

/// Spare units in use and in total, and the state of the breaker, as `1/1536 closed`.
fn used_and_breaker(r: &Remap) -> Result<String> {
    let status = r.status()?;
    Ok(format!("{} {}", status.used, status.breaker))
}

fn too_many_units_at_a_time() -> Result<()> {
    let Array { r, main, .. } = Array::with_features("3 breaker 8 86400")?;
    assert_eq!(r.features()?, "3 breaker 8 86400");
    r.write(7680, &random(MIB))?;
    main.bad(8000..=8511)?;
    let image = random(MIB);
    let before = r.events()?;
    let mut log = KernelLog::now()?;
    fails_with(r.write(7680, &image), Errno::IO)?;
    assert_eq!(r.status()?.health, "tripped");
    assert_eq!(used_and_breaker(&r)?, "8/1536 open");
    assert!(r.events()? > before);
    log.must_have("too many units fail at a time")?;
    // Units relocated so far remain relocated, and main is used where it works.
    r.holds_at(8000, part(&image, 320, 64))?;
    fails_with(r.write(8064, &image), Errno::IO)?;
    r.write(16384, &image)?;
    r.holds_at(16384, &image)
}

fn an_open_breaker_passes_on_what_main_says() -> Result<()> {
    /// The sense key and code of a medium error.
    const MEDIUM_ERROR: [u8; 6] = [0, 0, 2, 3, 0x14, 0];
    NullDisk::new("spare", 8)?;
    let disk = ScsiDebug::new("")?;
    let main = disk.path().display();
    let r = Remap::create(&format!(
        "0 {MAIN} remap {main} 0 /dev/spare 0 {SPARE} 3 breaker 1 86400"
    ))?;
    disk.fail(scsi_debug::WRITE, None, MEDIUM_ERROR)?;
    let unit = random(UNIT_BYTES);
    r.write(8000, &unit)?;
    fails_with(r.write(16000, &unit), Errno::NODATA)?;
    assert_eq!(used_and_breaker(&r)?, "1/1536 open");
    Ok(())
}

/// `r` on a main that can disappear, as when a cable is pulled.
struct Removable {
    r: Remap,
    main: Mapped,
    disk: NullDisk,
    /// The first data of `r`.
    image: Vec<u8>,
}

impl Removable {
    fn new(features: &str) -> Result<Self> {
        let disk = NullDisk::new("disk", 64)?;
        NullDisk::new("spare", 8)?;
        let main = Mapped::create("main", "0 131072 linear /dev/disk 0")?;
        let table = format!("0 {MAIN} remap /dev/mapper/main 0 /dev/spare 0 {SPARE} {features}");
        let r = Remap::create(table.trim_end())?;
        let image = random(MIB);
        r.write(0, &image)?;
        Ok(Self {
            r,
            main,
            disk,
            image,
        })
    }

    /// Makes all reads and writes of main fail from now on.
    fn goes(&self) -> Result<()> {
        self.main.replace("0 131072 error")
    }

    fn comes_back(&self) -> Result<()> {
        self.main.replace("0 131072 linear /dev/disk 0")
    }
}

fn what_is_on_a_disk_that_is_away_is_not_given_up() -> Result<()> {
    let removable = Removable::new("")?;
    let r = &removable.r;
    removable.goes()?;
    for message in ["remap 800 64", "remap 800 64 lossy"] {
        refused(
            "sector 800: its device cannot be read elsewhere either",
            || r.message(message),
        )?;
    }
    assert_eq!(used_and_breaker(r)?, "0/1536 closed");
    assert_eq!(r.status()?.lost_blocks, 0);
    removable.comes_back()?;
    assert_eq!(
        r.relocate(800, 64)?,
        "remapped 8 units, 0 already were, 0 blocks lost\n"
    );
    r.holds(&removable.image)?;
    r.move_back(800)?;
    r.holds(&removable.image)
}

/// The number of reads held by the device's first target, which is a `delay`.
fn held_reads(device: &Mapped) -> Result<u64> {
    let status = dmsetup(&["status", device.name()])?;
    let lines = remap_active::table::parse(&status)?;
    let words = lines.first().map_or("", |line| &line.words);
    let (reads, _) = words.split_once(' ').context("reads and writes")?;
    Ok(reads.parse()?)
}

/// Main disappears while the rest of a unit is read, after a partial write of the unit failed.
fn main_goes_while_a_unit_is_merged() -> Result<()> {
    let disk = NullDisk::new("disk", 64)?;
    NullDisk::new("spare", 8)?;
    let image = random(MIB);
    disk.write(0, &image)?;
    disk.bad(3..=3)?;
    let main = Mapped::create(
        "main",
        "0 8 delay /dev/disk 0 100000000 /dev/disk 0 0\n8 131064 linear /dev/disk 8",
    )?;
    let r = Remap::create("0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384")?;
    let writer = beside({
        let r = r.clone();
        move || r.write(3, &random(SECTOR))
    });
    until(|| Ok(held_reads(&main)? == 1))?;
    // The held requests fail now, as do all others.
    disk.bad(0..=MAIN - 1)?;
    main.replace("0 131072 linear /dev/disk 0")?;
    fails_with(writer.end(), Errno::IO)?;
    let status = r.status()?;
    assert_eq!(status.health, "tripped");
    assert_eq!(status.used.to_string(), "0/1536");
    assert_eq!(status.lost_blocks, 0);
    disk.good(0..=MAIN - 1)?;
    r.holds_at(0, part(&image, 0, 3))?;
    r.holds_at(4, part(&image, 4, 4))
}

fn a_read_outage_makes_no_suspects() -> Result<()> {
    let removable = Removable::new("2 policy spare")?;
    let r = &removable.r;
    removable.goes()?;
    for sector in [0, 800, 1600, 8000] {
        fails_with(r.read(sector, 8), Errno::IO)?;
    }
    assert_eq!(used_and_breaker(r)?, "0/1536 closed");
    assert_eq!(r.status()?.suspects, 0);
    removable.comes_back()?;
    r.write(0, &removable.image)?;
    r.holds(&removable.image)?;
    assert_eq!(used_and_breaker(r)?, "0/1536 closed");
    assert_eq!(r.status()?.health, "healthy");
    assert_eq!(r.status()?.suspects, 0);
    // A single unreadable sector makes a suspect as usual, once the verdict that nothing on main
    // can be read has expired.
    removable.disk.bad(803..=803)?;
    until(|| {
        fails(r.read(800, 8))?;
        Ok(r.status()?.suspects == 1)
    })?;
    fails_with(r.read(800, 8), Errno::NODATA)
}

fn the_budget_of_a_day() -> Result<()> {
    let Array { r, main, .. } = Array::with_features("2 breaker_day 3")?;
    assert_eq!(r.features()?, "2 breaker_day 3");
    assert_eq!(
        r.message("breaker")?,
        "32 units in 10 seconds\nleft 32\nday 3 left 3\n"
    );
    main.bad(8000..=8063)?;
    let unit = random(UNIT_BYTES);
    for number in 0..3 {
        r.write(8000 + number * UNIT, &unit)?;
    }
    assert_eq!(r.ask("breaker")?.value("day")?, "3 left 0");
    let mut log = KernelLog::now()?;
    fails_with(r.write(8024, &unit), Errno::IO)?;
    assert_eq!(used_and_breaker(&r)?, "3/1536 open");
    assert_eq!(r.status()?.health, "tripped");
    log.must_have("too many units fail in a day")?;
    r.message("rearm")?;
    r.write(8024, &unit)?;
    assert_eq!(used_and_breaker(&r)?, "4/1536 closed");
    // Relocations by message do not count.
    r.relocate(0, 80)?;
    assert_eq!(r.ask("breaker")?.value("day")?, "3 left 2");
    Ok(())
}

/// Main has room for a single copy of the metadata, and one block of its log fails: main takes
/// writes nevertheless.
fn one_bad_block_of_metadata_on_main_opens_nothing() -> Result<()> {
    /// The first sector of the copy.
    const COPY: u64 = 128_000;
    /// Blocks of a region before its log: the two slots for checkpoints.
    const CHECKPOINTS: u64 = 28;
    let Disks { main, .. } = Disks::new()?;
    run(
        "remapctl",
        &[
            "format",
            "/dev/main",
            "/dev/spare",
            "--main-metadata",
            "--main-len",
            &COPY.to_string(),
        ],
    )?;
    let r = Remap::create(&format!("0 {COPY} remap /dev/main 0 /dev/spare 0 {SPARE}"))?;
    assert_eq!(r.status()?.regions.to_string(), "3/3");
    let next = COPY + (CHECKPOINTS + r.commits()? + 1) * UNIT;
    main.bad(next..=next)?;
    main.bad(800..=800)?;
    let mut log = KernelLog::now()?;
    let unit = random(UNIT_BYTES);
    r.write(800, &unit)?;
    log.must_have("2 of 3 regions of metadata are good")?;
    assert_eq!(used_and_breaker(&r)?, "1/1536 closed");
    r.holds_at(800, &unit)
}

fn rearm() -> Result<()> {
    let Array { r, main, .. } = Array::with_features("3 breaker 8 86400")?;
    main.bad(8000..=8127)?;
    let image = random(MIB);
    fails_with(r.write(7680, &image), Errno::IO)?;
    r.suspend()?;
    r.resume()?;
    assert_eq!(used_and_breaker(&r)?, "8/1536 open");
    assert_eq!(r.message("rearm")?, "relocating again\n");
    assert_eq!(used_and_breaker(&r)?, "8/1536 closed");
    assert_eq!(r.message("rearm")?, "the breaker was closed\n");
    r.write(7680, &image)?;
    r.holds_at(7680, &image)?;
    assert_eq!(used_and_breaker(&r)?, "16/1536 closed");
    Ok(())
}

/// Without a limit of the breaker, writes of sixty-four failing units succeed.
fn without_a_limit_all_is_written(r: &Remap, image: &[u8]) -> Result<()> {
    r.message("rearm")?;
    r.write(7680, image)?;
    assert_eq!(used_and_breaker(r)?, "64/1536 closed");
    r.holds_at(7680, image)
}

fn a_limit_that_a_reload_lifts() -> Result<()> {
    let Array { r, main, .. } = Array::with_features("3 breaker 32 86400")?;
    main.bad(8000..=8511)?;
    let image = random(MIB);
    fails_with(r.write(7680, &image), Errno::IO)?;
    assert_eq!(used_and_breaker(&r)?, "32/1536 open");
    r.replace(&format!("{TABLE} 3 breaker 0 0"))?;
    without_a_limit_all_is_written(&r, &image)
}

fn the_limit_by_message() -> Result<()> {
    let Array { r, main, .. } = Array::with_features("3 breaker 4 86400")?;
    main.bad(8000..=8511)?;
    let answer = r.message("breaker")?;
    assert_eq!(answer.lines().next(), Some("4 units in 86400 seconds"));
    let image = random(MIB);
    fails_with(r.write(7680, &image), Errno::IO)?;
    assert_eq!(used_and_breaker(&r)?, "4/1536 open");
    assert_eq!(r.message("breaker 0 0")?, "no limit\n");
    without_a_limit_all_is_written(&r, &image)?;
    // The limit survives, and the table shows it.
    r.suspend()?;
    r.resume()?;
    assert_eq!(r.message("breaker")?, "no limit\n");
    assert_eq!(r.features()?, "3 breaker 0 0");
    Ok(())
}

fn a_dead_disk_uses_no_spare() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    let image = random(MIB);
    r.write(0, &image)?;
    main.bad(0..=MAIN - 1)?;
    let mut log = KernelLog::now()?;
    // A part of a unit: the rest of the unit cannot be read, and would be lost.
    fails_with(r.wipe(800, 1), Errno::IO)?;
    fails_with(r.write(4096, &image), Errno::IO)?;
    let status = r.status()?;
    assert_eq!(status.health, "tripped");
    assert_eq!(status.used.to_string(), "0/1536");
    assert_eq!(status.retired, 0);
    assert_eq!(status.suspects, 0);
    assert_eq!(status.lost_blocks, 0);
    log.must_have("nothing on main can be read")?;
    main.good(0..=MAIN - 1)?;
    r.holds(&image)?;
    r.message("rearm")?;
    main.bad(800..=800)?;
    r.write(0, &image)?;
    r.holds(&image)?;
    assert_eq!(r.status()?.health, "relocated");
    assert_eq!(used_and_breaker(&r)?, "1/1536 closed");
    Ok(())
}

fn a_disk_that_is_offline() -> Result<()> {
    let main = Device::at("/dev/disk0");
    let r = Remap::create("0 131072 remap /dev/disk0 0 /dev/disk1 0 32768")?;
    let image = random(MIB);
    r.write(0, &image)?;
    r.message("remap 800")?;
    main.set_attribute("device/state", "offline")?;
    fails(r.write(0, &image))?;
    fails(r.read(0, 8))?;
    // A relocated unit does not need main.
    r.holds_at(800, part(&image, 800, 8))?;
    let status = r.status()?;
    assert_eq!(status.used.to_string(), "1/3584");
    assert_eq!(status.lost_blocks, 0);
    main.set_attribute("device/state", "running")?;
    r.message("rearm")?;
    r.write(0, &image)?;
    r.holds(&image)
}

fn a_dead_spare_is_not_given_up() -> Result<()> {
    let Array { r, main, spare } = Array::new()?;
    let image = random(MIB);
    r.write(0, &image)?;
    main.bad(800..=800)?;
    spare.bad(0..=SPARE - 1)?;
    fails_with(r.write(0, &image), Errno::IO)?;
    let status = r.status()?;
    assert_eq!(status.retired, 0);
    assert_eq!(status.lost_blocks, 0);
    r.write(4096, &image)?;
    spare.good(0..=SPARE - 1)?;
    r.remove()?;
    let r = Remap::create(TABLE)?;
    r.write(0, &image)?;
    r.holds(&image)?;
    assert_eq!(used_and_breaker(&r)?, "1/1536 closed");
    Ok(())
}
