// SPDX-License-Identifier: GPL-2.0

//! Mappings, counters and data survive removal and power loss.

use super::{
    again,
    is_refused,
    regions,
    ten_units,
    LAST, //
};
use crate::kit::{
    module,
    *, //
};
use rustix::io::Errno;

crate::tests![
    survives_removal_and_unload,
    units_far_apart_survive,
    survives_a_power_cut,
    a_relocated_write_survives_a_power_cut,
    partial_units_and_counters_survive,
    each_region_stands_for_all,
    larger_units,
];

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

/// The filter needs memory for each of these units.
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

/// Main and the spare as disks with a volatile cache, and attributes.
fn disks_with_caches(attributes: &[(&str, &str)]) -> Result<Disks> {
    module::load_ours()?;
    let attributes = [&[("cache_size", "8")], attributes].concat();
    Ok(Disks {
        main: NullDisk::with("main", 64, &attributes)?,
        spare: NullDisk::with("spare", 8, &attributes)?,
    })
}

/// Activates `r` again after its disks lost their caches.
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

/// An acknowledged write after an error is durable without a flush.
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
    assert!(
        r.count("write_errors")? >= 1,
        "the count of errors was lost"
    );
    // The retired unit is never used again.
    r.relocate(0, 80)?;
    assert!(r.list()?.iter().all(|one| one.spare_sector != REGION));
    // A write makes a block valid.
    r.write(1004, &sector)?;
    let r = again(r, TABLE)?;
    r.holds_at(1004, &sector)
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
