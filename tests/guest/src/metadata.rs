// SPDX-License-Identifier: GPL-2.0

//! What is remembered, and what happens when it cannot be.

mod flaky;
mod tamper;

use self::{
    flaky::{
        OnLow,
        Region::{
            CorruptsReads,
            FailsReads,
            FailsWrites,
            LosesWrites,
            Works, //
        },
    },
    tamper::tamper, //
};
use crate::kit::{
    module,
    scsi_debug::{
        ScsiDebug,
        WRITE, //
    },
    *, //
};
use rustix::io::Errno;

crate::tests![
    survives_removal_and_unload,
    units_far_apart_survive,
    survives_a_power_cut,
    a_relocated_write_survives_a_power_cut,
    partial_units_and_counters_survive,
    only_a_blank_spare_is_formatted,
    each_region_stands_for_all,
    all_regions_destroyed,
    regions_of_two_arrays,
    swapped_regions,
    a_gap_in_the_only_copy,
    a_copy_of_an_active_array,
    another_layout_of_the_same_array,
    larger_units,
    read_only_tables_write_nothing,
    a_failing_region_is_dropped_and_comes_back,
    a_failing_region_is_tried_again,
    without_any_region_nothing_moves_and_io_goes_on,
    a_device_in_use_resumes_without_its_metadata,
    unreadable_metadata,
    relocations_that_arrive_together_share_a_commit,
    a_full_log_becomes_a_checkpoint,
    a_suspended_device_says_it_was_shut_down,
    a_failed_commit_fails_the_request_that_it_was_made_for,
    a_refused_activation_is_refused_again,
    a_read_only_table_with_metadata_on_main_writes_nothing,
    copies_on_main_are_in_use,
    a_blank_spare_does_not_hide_what_main_has,
    two_histories_of_one_array,
    a_failing_region_comes_back_by_itself (waits: true),
    a_newer_format,
    metadata_that_contradict_themselves,
    flakey_writes,
    flakey_reads,
];

/// The first sector of the spare's last region.
const LAST: u64 = SPARE - REGION;
/// Blocks of metadata in a slot of a spare of 8 MiB.
const SLOT: u64 = 14;
/// Blocks of its log.
const LOG: u64 = 228;
/// The table of an array with copies of the metadata at the end of a main of 64 MiB.
const SHORTER: &str = "0 126968 remap /dev/main 0 /dev/spare 0 16384";
/// The sectors of that table.
const SHORTER_LEN: u64 = 126_968;

/// Where a commit lies in a region that begins there.
fn log_sector(region: u64, commit: u64) -> u64 {
    region + (2 * SLOT + commit % LOG) * UNIT
}

/// Ten relocated units among 1 MiB, which is returned.
fn ten_units(r: &Remap) -> Result<Vec<u8>> {
    r.write(0, &random(MIB))?;
    r.relocate(800, 80)?;
    let image = random(MIB);
    r.write(0, &image)?;
    Ok(image)
}

/// The device is removed, and made anew from what is on the disks.
fn again(r: Remap, table: &str) -> Result<Remap> {
    r.remove()?;
    Remap::create(table)
}

/// Fails unless the activation is refused for that reason, and leaves no device.
fn is_refused(reason: &str, table: &str) -> Result<()> {
    refused(reason, || Remap::create(table))?;
    ensure!(!mapped_names()?.contains(&"r".into()), "a device was left");
    Ok(())
}

/// The regions that are good, and how many there are.
fn regions(r: &Remap) -> Result<String> {
    Ok(r.status()?.regions.to_string())
}

/// Both regions of a spare fail. The data between them can be read and written.
fn fail_regions(spare: &NullDisk) -> Result<()> {
    spare.bad(0..=REGION - 1)?;
    spare.bad(LAST..=SPARE - 1)
}

/// They work again.
fn mend_regions(spare: &NullDisk) -> Result<()> {
    spare.good(0..=REGION - 1)?;
    spare.good(LAST..=SPARE - 1)
}

/// Makes a spare blank, as far as anybody asks.
fn wipe_regions(spare: &NullDisk) -> Result<()> {
    spare.wipe(0, REGION)?;
    Ok(spare.wipe(LAST, REGION)?)
}

/// Gives another disk the metadata of a spare.
fn copy_regions(from: &NullDisk, to: &NullDisk) -> Result<()> {
    for first in [0, LAST] {
        copy_region(from, to, first)?;
    }
    Ok(())
}

fn copy_region(from: &NullDisk, to: &NullDisk, first: u64) -> Result<()> {
    Ok(to.write(first, &from.read(first, REGION)?)?)
}

/// Fails unless a disk is all zeroes.
fn is_blank(disk: &NullDisk) -> Result<()> {
    let mut is_blank = true;
    disk.read_each(0, disk.sectors()?, |_, chunk| {
        is_blank &= chunk.iter().all(|byte| *byte == 0);
    })?;
    ensure!(is_blank, "{} was written", disk.path().display());
    Ok(())
}

fn format_with_copies_on_main(main: &str) -> Result<()> {
    run(
        "remapctl",
        &["format", main, "/dev/spare", "--main-metadata"],
    )?;
    Ok(())
}

fn survives_removal_and_unload() -> Result<()> {
    let r = Array::new()?.r;
    let image = ten_units(&r)?;
    let list = r.list()?;
    r.remove()?;
    module::unload("dm_remap")?;
    let r = Remap::create(TABLE)?;
    r.holds(&image)?;
    assert_eq!(r.list()?, list);
    assert_eq!(
        r.status()?.to_string(),
        "relocated 10/1536 0 0 0 0 0 rw 2/2 closed 0/0/0 ok stopped 0/16384"
    );
    r.move_back(800)?;
    let r = again(r, TABLE)?;
    r.holds(&image)?;
    assert_eq!(r.used()?, "9/1536");
    r.relocate(800, UNIT)?;
    let r = again(r, TABLE)?;
    assert_eq!(r.used()?, "10/1536");
    r.holds(&image)
}

/// Of each of them the I/O path must be told that there is something, which takes memory.
fn units_far_apart_survive() -> Result<()> {
    const TABLE: &str = "0 524288 remap /dev/main 0 /dev/spare 0 16384";
    const DISTANCE: usize = 32768;
    const FARTHEST: u64 = 491_520;
    let Array { r, main, .. } = Array::with(256, 8, "")?;
    let data = random(MIB);
    r.write(FARTHEST, &data)?;
    for sector in (0..=FARTHEST).step_by(DISTANCE) {
        r.relocate(sector, UNIT)?;
    }
    let list = r.list()?;
    assert_eq!(list.len(), 16);
    // From the log.
    let r = again(r, TABLE)?;
    assert_eq!(r.list()?, list);
    r.message("checkpoint")?;
    // From a checkpoint.
    let r = again(r, TABLE)?;
    assert_eq!(r.list()?, list);
    main.bad(FARTHEST..=FARTHEST + UNIT - 1)?;
    r.holds_at(FARTHEST, part(&data, 0, UNIT))
}

/// Main and the spare as disks with a cache that the power holds, and attributes.
fn disks_with_caches(attributes: &[(&str, &str)]) -> Result<Disks> {
    module::load_ours()?;
    let attributes = [&[("cache_size", "8")], attributes].concat();
    Ok(Disks {
        main: NullDisk::with("main", 64, &attributes)?,
        spare: NullDisk::with("spare", 8, &attributes)?,
    })
}

/// What is in the caches is lost, while `r` uses the disks.
fn after_a_power_cut(r: Remap, disks: &Disks) -> Result<Remap> {
    disks.main.power_off()?;
    disks.spare.power_off()?;
    r.remove()?;
    disks.main.power_on()?;
    disks.spare.power_on()?;
    Remap::create(TABLE)
}

fn survives_a_power_cut() -> Result<()> {
    let disks = disks_with_caches(&[])?;
    let r = Remap::create(TABLE)?;
    let image = random(MIB);
    r.write(0, &image)?;
    r.flush()?;
    r.relocate(800, 80)?;
    let list = r.list()?;
    let r = after_a_power_cut(r, &disks)?;
    assert_eq!(r.list()?, list);
    assert_eq!(r.used()?, "10/1536");
    r.holds(&image)
}

/// Nobody flushes: what is acknowledged after an error is durable by itself.
fn a_relocated_write_survives_a_power_cut() -> Result<()> {
    let disks = disks_with_caches(&[("fua", "1")])?;
    let r = Remap::create(TABLE)?;
    disks.main.bad(1000..=1000)?;
    let unit = random(4096);
    r.write(1000, &unit)?;
    let r = after_a_power_cut(r, &disks)?;
    r.holds_at(1000, &unit)?;
    assert_eq!(r.list_lines()?, "1000 2048 8/8");
    Ok(())
}

fn partial_units_and_counters_survive() -> Result<()> {
    let Array { r, main, spare } = Array::new()?;
    main.bad(1003..=1004)?;
    spare.bad(REGION..=REGION + 7)?;
    let sector = random(SECTOR);
    r.write(1003, &sector)?;
    fails_with(r.read(1004, 1), Errno::NODATA)?;
    let r = again(r, TABLE)?;
    fails_with(r.read(1004, 1), Errno::NODATA)?;
    r.holds_at(1003, &sector)?;
    assert_eq!(r.list_lines()?, "1000 2056 7/8");
    assert_eq!(r.count("spares_retired")?, 1);
    assert_eq!(r.count("lost_blocks")?, 1);
    assert_eq!(r.count("relocated")?, 1);
    assert!(r.count("write_errors")? >= 1, "errors are forgotten");
    // The retired unit is never used again.
    r.relocate(0, 80)?;
    assert!(r.list()?.iter().all(|one| one.spare_sector != REGION));
    // A block is made good.
    r.write(1004, &sector)?;
    let r = again(r, TABLE)?;
    r.holds_at(1004, &sector)
}

fn only_a_blank_spare_is_formatted() -> Result<()> {
    let disks = Disks::new()?;
    for sector in [0, 1000, REGION - 1, LAST, SPARE - 1] {
        disks.spare.write_junk(sector, 1)?;
        is_refused("the spare holds something that is not ours", TABLE)?;
        disks.spare.wipe(sector, 1)?;
    }
    // What lies in the units does not matter.
    disks.spare.write_junk(REGION, 8192)?;
    Remap::create(TABLE)?;
    Ok(())
}

fn each_region_stands_for_all() -> Result<()> {
    let Array { mut r, spare, .. } = Array::new()?;
    let image = ten_units(&r)?;
    for first in [0, LAST, 0] {
        r.remove()?;
        spare.wipe(first, REGION)?;
        r = Remap::create(TABLE)?;
        assert_eq!(regions(&r)?, "2/2", "the region at {first} was wiped");
        r.holds(&image)?;
        r.remove()?;
        spare.write_junk(first, REGION)?;
        r = Remap::create(TABLE)?;
        r.holds(&image)?;
        assert_eq!(r.used()?, "10/1536");
    }
    Ok(())
}

fn all_regions_destroyed() -> Result<()> {
    let Array { r, main, spare } = Array::new()?;
    ten_units(&r)?;
    r.remove()?;
    let before = main.read(0, 4096)?;
    spare.write_junk(1, 2)?;
    spare.write_junk(LAST + 1, 2)?;
    is_refused("all copies of the metadata are damaged", TABLE)?;
    spare.write_junk(0, REGION)?;
    spare.write_junk(LAST, REGION)?;
    is_refused("the spare holds something that is not ours", TABLE)?;
    main.holds(&before)
}

fn regions_of_two_arrays() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    ten_units(&r)?;
    r.remove()?;
    let first = spare.read(0, REGION)?;
    wipe_regions(&spare)?;
    Remap::create(TABLE)?.remove()?;
    spare.write(0, &first)?;
    is_refused("the regions belong to different arrays", TABLE)
}

fn swapped_regions() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    ten_units(&r)?;
    r.remove()?;
    let (first, last) = (spare.read(0, REGION)?, spare.read(LAST, REGION)?);
    spare.write(0, &last)?;
    spare.write(LAST, &first)?;
    is_refused("devices or regions of the array were swapped", TABLE)
}

fn a_gap_in_the_only_copy() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    ten_units(&r)?;
    r.relocate(8, UNIT)?;
    r.relocate(16, UNIT)?;
    r.remove()?;
    spare.write_junk(LAST, REGION)?;
    spare.wipe(log_sector(0, 2), UNIT)?;
    is_refused("the metadata are damaged", TABLE)
}

fn a_copy_of_an_active_array() -> Result<()> {
    const COPY: &str = "0 131072 remap /dev/main2 0 /dev/spare2 0 16384";
    let Array { r, spare, .. } = Array::new()?;
    NullDisk::new("main2", 64)?;
    let spare2 = NullDisk::new("spare2", 8)?;
    ten_units(&r)?;
    r.suspend()?;
    copy_regions(&spare, &spare2)?;
    r.resume()?;
    refused("is active already", || Mapped::create("s", COPY))?;
    r.remove()?;
    Mapped::create("s", COPY)?.remove()
}

fn another_layout_of_the_same_array() -> Result<()> {
    let r = Array::new()?.r;
    let image = ten_units(&r)?;
    r.remove()?;
    is_refused(
        "the metadata are for a target of 131072 sectors",
        "0 131064 remap /dev/main 0 /dev/spare 0 16384",
    )?;
    is_refused(
        "the metadata are for another unit: add '2 unit 4096'",
        &format!("{TABLE} 2 unit 8192"),
    )?;
    // A shorter area does not find the last region, and trusts the first no more.
    is_refused("refused", "0 131072 remap /dev/main 0 /dev/spare 0 8192")?;
    Remap::create(&format!("{TABLE} 2 unit 4096"))?.holds(&image)
}

fn larger_units() -> Result<()> {
    let Disks { main, spare } = Disks::new()?;
    let table = format!("{TABLE} 2 unit 32768");
    let r = Remap::create(&table)?;
    let numbers = (main.attribute("dev")?, spare.attribute("dev")?);
    assert_eq!(
        r.table()?,
        format!(
            "0 131072 remap {} 0 {} 0 16384 2 unit 32768",
            numbers.0, numbers.1
        )
    );
    assert_eq!(r.used()?, "0/192");
    assert_eq!(r.attribute("queue/physical_block_size")?, "32768");
    let mut image = random(MIB);
    r.write(0, &image)?;
    main.bad(1003..=1003)?;
    let part_of_unit = random(4096);
    r.write(1000, &part_of_unit)?;
    overwrite(&mut image, 1000, &part_of_unit);
    r.holds(&image)?;
    assert_eq!(r.list_lines()?, "960 2048 64/64");
    let r = again(r, &table)?;
    r.holds(&image)?;
    r.remove()?;
    is_refused("add '2 unit 32768'", TABLE)
}

fn read_only_tables_write_nothing() -> Result<()> {
    let spare = Disks::new()?.spare;
    let r = Remap::create_read_only(TABLE)?;
    r.read(0, UNIT)?;
    r.remove()?;
    is_blank(&spare)?;
    let r = Remap::create(TABLE)?;
    let image = ten_units(&r)?;
    r.remove()?;
    spare.wipe(0, REGION)?;
    let writes = spare.counted()?.writes;
    let r = Remap::create_read_only(TABLE)?;
    r.holds(&image)?;
    assert_eq!(regions(&r)?, "1/2");
    r.remove()?;
    assert_eq!(spare.counted()?.writes, writes);
    Ok(())
}

fn a_failing_region_is_dropped_and_comes_back() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    let image = ten_units(&r)?;
    spare.bad(LAST..=SPARE - 1)?;
    let events = r.events()?;
    // A suspend moves nothing, but makes a commit.
    r.suspend()?;
    r.resume()?;
    r.wait_for_event_after(events)?;
    r.relocate(8, UNIT)?;
    let status = r.status()?;
    assert_eq!(status.regions.to_string(), "1/2");
    assert_eq!(status.health, "degraded");
    spare.good(LAST..=SPARE - 1)?;
    assert_eq!(r.message("checkpoint")?.trim_end(), "wrote 2 of 2 regions");
    assert_eq!(regions(&r)?, "2/2");
    r.remove()?;
    spare.wipe(0, REGION)?;
    let r = Remap::create(TABLE)?;
    r.holds(&image)?;
    assert_eq!(r.used()?, "11/1536");
    Ok(())
}

fn a_failing_region_is_tried_again() -> Result<()> {
    /// After so many commits.
    const COMMITS: u64 = 17;
    let Array { r, spare, .. } = Array::new()?;
    spare.bad(LAST..=SPARE - 1)?;
    r.relocate(8, UNIT)?;
    assert_eq!(regions(&r)?, "1/2");
    spare.good(LAST..=SPARE - 1)?;
    for unit in 2..2 + COMMITS {
        r.relocate(unit * UNIT, UNIT)?;
    }
    assert_eq!(regions(&r)?, "2/2");
    Ok(())
}

fn without_any_region_nothing_moves_and_io_goes_on() -> Result<()> {
    let Array { r, main, spare } = Array::new()?;
    let image = ten_units(&r)?;
    main.bad(4000..=4000)?;
    fail_regions(&spare)?;
    let unit = random(4096);
    fails_with(r.write(4000, &unit), Errno::IO)?;
    let status = r.status()?;
    assert_eq!(status.health, "frozen");
    assert_eq!(status.regions.to_string(), "0/2");
    refused("no copy of the metadata can be written", || {
        r.relocate(8, UNIT)
    })?;
    r.holds(&image)?;
    let image = random(MIB);
    r.write(0, &image)?;
    r.holds(&image)?;
    // Whether the unit was moved is not known to the disk for certain: it takes no writes, even
    // when main would, until that is.
    main.good(4000..=4000)?;
    fails_with(r.write(4000, &unit), Errno::IO)?;
    r.read(4000, UNIT)?;
    r.write(4008, &unit)?;
    mend_regions(&spare)?;
    let r = again(r, TABLE)?;
    r.holds(&image)?;
    r.write(4000, &unit)?;
    r.holds_at(4000, &unit)?;
    r.holds_at(4008, &unit)
}

fn a_device_in_use_resumes_without_its_metadata() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    let image = ten_units(&r)?;
    fail_regions(&spare)?;
    r.suspend()?;
    r.resume()?;
    assert_eq!(r.status()?.health, "frozen");
    r.holds(&image)?;
    r.remove()?;
    is_refused("the metadata cannot be read", TABLE)?;
    mend_regions(&spare)?;
    Remap::create(TABLE)?.holds(&image)
}

/// The heads of all checkpoints cannot be read.
fn unreadable_metadata() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    let image = ten_units(&r)?;
    r.remove()?;
    for region in [0, LAST] {
        for head in [region, region + SLOT * UNIT] {
            spare.bad(head..=head)?;
        }
    }
    is_refused("the metadata cannot be read", TABLE)?;
    spare.good(LAST..=LAST)?;
    Remap::create(TABLE)?.holds(&image)
}

/// The write is one bio, of which forty units fail.
fn relocations_that_arrive_together_share_a_commit() -> Result<()> {
    let Array { r, main, .. } = Array::with_features("3 breaker 0 0")?;
    for unit in (0..240).step_by(6) {
        main.bad(unit * UNIT + 3..=unit * UNIT + 3)?;
    }
    let before = r.commits()?;
    let image = random(MIB);
    r.write(0, &image)?;
    assert_eq!(r.used()?, "40/1536");
    let commits = r.commits()? - before;
    assert!(commits <= 3, "{commits} commits for one write");
    let before = r.commits()?;
    r.relocate(8000, 64 * UNIT)?;
    assert_eq!(r.commits()? - before, 2);
    let r = again(r, TABLE)?;
    r.holds(&image)?;
    assert_eq!(r.used()?, "104/1536");
    Ok(())
}

/// Forty units of which nothing can be read: each block that is written is valid from then on,
/// which is a commit.
fn a_full_log_becomes_a_checkpoint() -> Result<()> {
    const LOST: u64 = 320;
    let Array { r, main, spare } = Array::new()?;
    let image = random(MIB);
    r.write(0, &image)?;
    main.bad(8000..=8000 + LOST - 1)?;
    r.message(&format!("remap 8000 {LOST} lossy"))?;
    main.good(8000..=8000 + LOST - 1)?;
    let written = random(LOST as usize * SECTOR);
    r.write_by(8000, &written, SECTOR)?;
    r.relocate(800, 80)?;
    assert!(r.commits()? > LOST);
    let holds_all = |r: &Remap| {
        r.holds(&image)?;
        r.holds_at(8000, &written)?;
        assert_eq!(r.used()?, "50/1536");
        anyhow::Ok(())
    };
    let r = again(r, TABLE)?;
    holds_all(&r)?;
    r.remove()?;
    // The last region by itself.
    spare.wipe(0, REGION)?;
    holds_all(&Remap::create(TABLE)?)
}

fn a_suspended_device_says_it_was_shut_down() -> Result<()> {
    let r = Array::new()?.r;
    let before = r.commits()?;
    r.suspend()?;
    r.resume()?;
    assert_eq!(r.commits()? - before, 2);
    Ok(())
}

/// A request for two units, of which main takes the first never and the second at the third try.
/// The first is moved, and its commit fails while the second is served: what was taken back is not
/// acknowledged.
fn a_failed_commit_fails_the_request_that_it_was_made_for() -> Result<()> {
    module::load_ours()?;
    let disk = NullDisk::new("disk", 64)?;
    let spare = NullDisk::new("spare", 8)?;
    let scsi = ScsiDebug::new("")?;
    let main = [
        "0 800 linear /dev/disk 0",
        "800 8 error",
        &format!("808 8 linear {} 808", scsi.path().display()),
        "816 130256 linear /dev/disk 816",
    ];
    Mapped::create("main", &main.join("\n"))?;
    format_with_copies_on_main("/dev/mapper/main")?;
    let r = Remap::create("0 126968 remap /dev/mapper/main 0 /dev/spare 0 16384")?;
    assert_eq!(regions(&r)?, "4/4");
    // The first commit that follows finds out whether main takes writes, the second is for the
    // first unit.
    let failing = r.commits()? + 2;
    for (below, region) in [
        (&spare, 0),
        (&spare, LAST),
        (&disk, SHORTER_LEN),
        (&disk, MAIN - REGION),
    ] {
        let sector = log_sector(region, failing);
        below.bad(sector..=sector)?;
    }
    scsi.fail(WRITE, Some(2), [0, 0, 2, 3, 0x14, 0])?;
    fails_with(r.write(800, &random(8192)), Errno::IO)?;
    assert_eq!(r.status()?.health, "frozen");
    Ok(())
}

/// The metadata can be read and not written, so that the first activation is refused: the second
/// one as well.
fn a_refused_activation_is_refused_again() -> Result<()> {
    const REASON: &str = "no copy of the metadata can be written";
    let OnLow { r, low, image, .. } = OnLow::new()?;
    r.remove()?;
    low.becomes(FailsWrites, FailsWrites)?;
    let r = Mapped::without_table("r")?;
    r.load(flaky::TABLE)?;
    refused(REASON, || r.resume())?;
    refused(REASON, || r.resume())?;
    // It serves nobody.
    let state = dmsetup(&["info", "--columns", "--noheadings", "-o", "suspended", "r"])?;
    assert_eq!(state.trim_end(), "Suspended");
    low.works()?;
    r.load(flaky::TABLE)?;
    r.resume()?;
    let r = Remap::at("r")?;
    let status = r.status()?;
    assert_eq!(status.health, "relocated");
    assert_eq!(status.used.to_string(), "10/1536");
    assert_eq!(status.mode, "rw");
    assert_eq!(status.regions.to_string(), "2/2");
    r.holds(&image)?;
    // They are counted once.
    assert_eq!(r.count("remapped")?, 10);
    Ok(())
}

/// What a scan finds on a read-only table is not committed, wherever there are copies of the
/// metadata.
fn a_read_only_table_with_metadata_on_main_writes_nothing() -> Result<()> {
    let Disks { main, spare } = Disks::new()?;
    format_with_copies_on_main("/dev/main")?;
    Remap::create(SHORTER)?.remove()?;
    main.bad(8000..=8000)?;
    let writes = || anyhow::Ok((main.counted()?.writes, spare.counted()?.writes));
    let before = writes()?;
    let r = Remap::create_read_only(SHORTER)?;
    r.scan()?;
    let status = r.status()?;
    assert_eq!(status.mode, "ro");
    assert_eq!(status.suspects, 1);
    assert_eq!(status.regions.to_string(), "4/4");
    r.remove()?;
    assert_eq!(writes()?, before);
    Ok(())
}

fn copies_on_main_are_in_use() -> Result<()> {
    const OTHER: &str = "0 4096 remap /dev/main 126968 /dev/spare2 0 16384";
    let _disks = Disks::new()?;
    NullDisk::new("spare2", 8)?;
    Mapped::create("s", OTHER)?.remove()?;
    format_with_copies_on_main("/dev/main")?;
    let r = Remap::create(SHORTER)?;
    refused("in use by another remap device", || {
        Mapped::create("s", OTHER)
    })?;
    r.remove()?;
    let s = Mapped::create("s", OTHER)?;
    is_refused(
        "the metadata on main are in use by another remap device",
        SHORTER,
    )?;
    s.remove()?;
    assert_eq!(regions(&Remap::create(SHORTER)?)?, "4/4");
    Ok(())
}

/// A table over all of main does not see that main has copies of the metadata, and a blank spare
/// says nothing of them.
fn a_blank_spare_does_not_hide_what_main_has() -> Result<()> {
    const REASON: &str = "the spare's metadata are older than main's";
    let Disks { main, spare } = Disks::new()?;
    format_with_copies_on_main("/dev/main")?;
    let r = Remap::create(SHORTER)?;
    r.relocate(800, 80)?;
    r.remove()?;
    spare.wipe(0, SPARE)?;
    is_refused(REASON, TABLE)?;
    is_blank(&spare)?;
    refused(REASON, || Remap::create_read_only(TABLE))?;
    // Somebody who knows that they are of no use wipes them.
    main.wipe(SHORTER_LEN, MAIN - SHORTER_LEN)?;
    Remap::create(TABLE)?;
    Ok(())
}

/// One array, of which two copies are used apart: their regions are not put together.
fn two_histories_of_one_array() -> Result<()> {
    let spare = Disks::new()?.spare;
    let fork = NullDisk::new("fork", 8)?;
    let r = Remap::create(TABLE)?;
    ten_units(&r)?;
    r.remove()?;
    copy_regions(&spare, &fork)?;
    let r = Remap::create(TABLE)?;
    r.relocate(1600, 80)?;
    r.remove()?;
    let r = Remap::create(&TABLE.replace("spare", "fork"))?;
    r.relocate(3200, 80)?;
    r.remove()?;
    copy_region(&fork, &spare, 0)?;
    is_refused("the regions hold two histories of the array", TABLE)?;
    copy_region(&fork, &spare, LAST)?;
    let r = Remap::create(TABLE)?;
    assert_eq!(r.used()?, "20/1536");
    let on_spare: Vec<_> = r.list()?.iter().map(|one| one.sector).collect();
    let units = |first: u64| (first..first + 80).step_by(UNIT as usize);
    assert_eq!(
        on_spare,
        units(800).chain(units(3200)).collect::<Vec<_>>(),
        "the fork's"
    );
    Ok(())
}

/// A region that works again is brought back though nothing is committed.
fn a_failing_region_comes_back_by_itself() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    spare.bad(LAST..=SPARE - 1)?;
    r.relocate(8, UNIT)?;
    assert_eq!(regions(&r)?, "1/2");
    // What is free again is not used while a region says otherwise.
    r.move_back(8)?;
    assert_eq!(r.used()?, "1/1536");
    spare.good(LAST..=SPARE - 1)?;
    until(|| {
        let status = r.status()?;
        Ok(status.regions.to_string() == "2/2" && status.used.to_string() == "0/1536")
    })
}

/// Changes the heads of all checkpoints.
fn tamper_heads(spare: &NullDisk, offset: usize, bytes: &[u8]) -> Result<()> {
    for region in [0, LAST / UNIT] {
        for head in [region, region + SLOT] {
            tamper(spare, head, offset, bytes)?;
        }
    }
    Ok(())
}

fn a_newer_format() -> Result<()> {
    const NEWER: &str = "the metadata are of a newer format";
    // Where a block has the version of the format, and its features.
    const VERSION: usize = 12;
    const COMPAT: usize = 48;
    const RO_COMPAT: usize = 52;
    const INCOMPAT_HIGHEST: usize = 59;
    let Array { r, spare, .. } = Array::new()?;
    let image = ten_units(&r)?;
    // Both slots of each region are in use.
    r.message("checkpoint")?;
    r.message("checkpoint")?;
    r.remove()?;
    tamper(&spare, 0, VERSION, &[2])?;
    is_refused(NEWER, TABLE)?;
    tamper(&spare, 0, VERSION, &[1])?;
    tamper_heads(&spare, VERSION, &[2])?;
    is_refused(NEWER, TABLE)?;
    tamper_heads(&spare, VERSION, &[1])?;
    // A bit of incompat forbids reading, one of ro_compat writing, one of compat nothing.
    tamper_heads(&spare, INCOMPAT_HIGHEST, &[0x80])?;
    is_refused(NEWER, TABLE)?;
    tamper_heads(&spare, INCOMPAT_HIGHEST, &[0])?;
    tamper_heads(&spare, RO_COMPAT, &[1])?;
    is_refused("the metadata have features that allow reading only", TABLE)?;
    let r = Remap::create_read_only(TABLE)?;
    r.holds(&image)?;
    r.remove()?;
    tamper_heads(&spare, RO_COMPAT, &[0])?;
    tamper_heads(&spare, COMPAT, &[1])?;
    Remap::create(TABLE)?.holds(&image)
}

/// A checkpoint says of its first two units, at 96 and 120: the unit, its kind in the last of 8
/// bytes, the spare unit, and which blocks are valid.
fn metadata_that_contradict_themselves() -> Result<()> {
    const CHANGES: [(usize, &[u8]); 9] = [
        (96, &[0xff, 0xff, 0xff, 0xff]),
        (103, &[0]),
        (103, &[2]),
        (103, &[9]),
        (104, &[0xff, 0xff]),
        (104, &[1]),
        (112, &[0, 1]),
        (120, &[0x64]),
        (120, &[0x63]),
    ];
    /// The blocks with the records of both slots.
    const RECORDS: [u64; 2] = [1, SLOT + 1];
    let Array { r, main, spare } = Array::new()?;
    let image = ten_units(&r)?;
    r.message("checkpoint")?;
    r.message("checkpoint")?;
    r.remove()?;
    spare.wipe(LAST, REGION)?;
    let writes = main.counted()?.writes;
    let kept = spare.read(0, REGION)?;
    for (offset, bytes) in CHANGES {
        for block in RECORDS {
            tamper(&spare, block, offset, bytes)?;
        }
        is_refused("the metadata contradict themselves", TABLE)
            .with_context(|| format!("{bytes:x?} at {offset}"))?;
        spare.write(0, &kept)?;
    }
    assert_eq!(main.counted()?.writes, writes);
    Remap::create(TABLE)?.holds(&image)
}

fn flakey_writes() -> Result<()> {
    let OnLow { r, low, image, .. } = OnLow::new()?;
    low.becomes(FailsWrites, Works)?;
    r.relocate(8, UNIT)?;
    let status = r.status()?;
    assert_eq!(status.health, "degraded");
    assert_eq!(status.used.to_string(), "11/1536");
    // What is lost without a word is made good by the other region.
    low.becomes(LosesWrites, Works)?;
    r.message("checkpoint")?;
    r.relocate(16, UNIT)?;
    r.remove()?;
    low.works()?;
    let r = Remap::create(flaky::TABLE)?;
    let status = r.status()?;
    assert_eq!(status.used.to_string(), "12/1536");
    assert_eq!(status.regions.to_string(), "2/2");
    r.holds(&image)?;
    low.becomes(FailsWrites, FailsWrites)?;
    refused("no copy of the metadata can be written", || {
        r.relocate(24, UNIT)
    })?;
    assert_eq!(r.status()?.health, "frozen");
    r.holds(&image)?;
    low.works()?;
    let r = again(r, flaky::TABLE)?;
    assert_eq!(regions(&r)?, "2/2");
    r.holds(&image)
}

fn flakey_reads() -> Result<()> {
    let OnLow {
        r,
        low,
        spare,
        image,
    } = OnLow::new()?;
    r.remove()?;
    low.becomes(CorruptsReads, Works)?;
    let r = Remap::create(flaky::TABLE)?;
    r.holds(&image)?;
    r.remove()?;
    low.becomes(CorruptsReads, FailsReads)?;
    is_refused("the metadata cannot be read", flaky::TABLE)?;
    low.works()?;
    spare.wipe(LAST, REGION)?;
    Remap::create(flaky::TABLE)?.holds(&image)
}
