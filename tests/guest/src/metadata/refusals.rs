// SPDX-License-Identifier: GPL-2.0

//! Activation refuses, by name, metadata that are damaged, or of another array, layout or history.

use super::{
    copy_region,
    copy_regions,
    is_refused,
    log_sector,
    ten_units,
    LAST,
    SLOT, //
};
use crate::kit::*;

crate::tests![
    only_a_blank_spare_is_formatted,
    all_regions_destroyed,
    regions_of_two_arrays,
    swapped_regions,
    a_gap_in_the_only_copy,
    a_copy_of_an_active_array,
    another_layout_of_the_same_array,
    unreadable_metadata,
    two_histories_of_one_array,
];

/// Makes the regions of a spare blank.
fn wipe_regions(spare: &NullDisk) -> Result<()> {
    spare.wipe(0, REGION)?;
    Ok(spare.wipe(LAST, REGION)?)
}

fn only_a_blank_spare_is_formatted() -> Result<()> {
    let disks = Disks::new()?;
    for sector in [0, 1000, REGION - 1, LAST, SPARE - 1] {
        disks.spare.write_junk(sector, 1)?;
        is_refused("the spare holds something that is not ours", TABLE)?;
        disks.spare.wipe(sector, 1)?;
    }
    // The contents of units do not matter.
    disks.spare.write_junk(REGION, 8192)?;
    Remap::create(TABLE)?;
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
    let Array { r, main, spare } = Array::new()?;
    let main2 = NullDisk::new("main2", 64)?;
    let spare2 = NullDisk::new("spare2", 8)?;
    ten_units(&r)?;
    r.suspend()?;
    copy_regions(&spare, &spare2)?;
    main2.write(0, &main.read(0, MAIN)?)?;
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
    // With a shorter area, the second region is not found, and the first is not valid.
    is_refused("refused", "0 131072 remap /dev/main 0 /dev/spare 0 8192")?;
    Remap::create(&format!("{TABLE} 2 unit 4096"))?.holds(&image)
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

/// Two copies of an array are used separately: their regions are not combined.
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
