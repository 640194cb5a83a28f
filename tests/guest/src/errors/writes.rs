// SPDX-License-Identifier: GPL-2.0

//! Failed writes are relocated.

use super::{
    used_and_lost,
    UNIT_BYTES, //
};
use crate::kit::*;
use rustix::io::Errno;

crate::tests![
    policy_spare,
    failed_write_is_relocated,
    partial_write_keeps_the_rest_of_the_unit,
    partial_write_loses_only_unreadable_blocks,
    lost_block_is_not_zeroes_nor_old_spare_data,
    forty_bad_units_in_one_write,
];

fn policy_spare() -> Result<()> {
    let Array { r, main, .. } = Array::with_features("2 policy spare")?;
    assert_eq!(r.features()?, "2 policy spare");
    main.bad(8003..=8003)?;
    fails_with(r.read(8000, 8), Errno::NODATA)?;
    main.good(8003..=8003)?;
    // Main would take this write.
    let unit = random(UNIT_BYTES);
    r.write(8000, &unit)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    r.holds_at(8000, &unit)?;
    r.write(16000, &unit)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    Ok(())
}

fn failed_write_is_relocated() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    main.bad(1000..=1000)?;
    // The second write goes directly to the spare.
    for _ in 0..2 {
        let image = random(MIB);
        r.write(0, &image)?;
        r.holds(&image)?;
        assert_eq!(used_and_lost(&r)?, (1, 0));
        assert_eq!(r.count("relocated")?, 1);
        assert_eq!(r.list_lines()?, "1000 2048 8/8");
        assert_eq!(r.count("write_errors")?, 1);
    }
    Ok(())
}

fn partial_write_keeps_the_rest_of_the_unit() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    let mut image = random(MIB);
    r.write(0, &image)?;
    main.bad(1003..=1003)?;
    // The driver fails the whole request, but the other blocks can be read.
    let block = random(SECTOR);
    r.write(1003, &block)?;
    overwrite(&mut image, 1003, &block);
    r.holds(&image)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    Ok(())
}

fn partial_write_loses_only_unreadable_blocks() -> Result<()> {
    let main = NullDisk::with("main", 64, &[("discard", "1")])?;
    NullDisk::with("spare", 8, &[("discard", "1")])?;
    let r = Remap::create(TABLE)?;
    let image = random(MIB);
    r.write(0, &image)?;
    main.bad(1003..=1004)?;
    let block = random(SECTOR);
    r.write(1003, &block)?;
    assert_eq!(used_and_lost(&r)?, (1, 1));
    assert_eq!(r.list_lines()?, "1000 2048 7/8");
    r.holds_at(1003, &block)?;
    r.holds_at(1000, part(&image, 1000, 3))?;
    r.holds_at(1005, part(&image, 1005, 3))?;
    for (count, (sector, sectors)) in (1..).zip([(1004, 1), (1000, 8), (900, 200)]) {
        fails_with(r.read(sector, sectors), Errno::NODATA)?;
        assert_eq!(r.count("lost_reads")?, count);
    }
    assert_eq!(r.status()?.health, "damaged");
    // Only a write makes a lost block valid.
    r.discard(1000, UNIT)?;
    fails_with(r.read(1004, 1), Errno::NODATA)?;
    r.write(1004, &block)?;
    r.holds_at(1004, &block)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    assert_eq!(r.status()?.health, "relocated");
    Ok(())
}

fn lost_block_is_not_zeroes_nor_old_spare_data() -> Result<()> {
    let Array { r, main, spare } = Array::new()?;
    spare.write_junk(REGION, 8192)?;
    main.bad(1004..=1004)?;
    refused(
        "sector 1000: blocks cannot be read, 1 units stay; 'lossy' gives such blocks up",
        || r.message("remap 1000"),
    )?;
    assert_eq!(used_and_lost(&r)?, (0, 0));
    assert_eq!(
        r.message("remap 1000 lossy")?,
        "remapped 1 units, 0 already were, 1 blocks lost\n"
    );
    fails_with(r.read(1004, 1), Errno::NODATA)?;
    main.good(1004..=1004)?;
    // The block stays invalid even if main can be read again, because its data may be stale.
    fails_with(r.read(1004, 1), Errno::NODATA)
}

fn forty_bad_units_in_one_write() -> Result<()> {
    let Array { r, main, .. } = Array::with_features("3 breaker 40 1")?;
    for unit in (0..240).step_by(6) {
        let sector = unit * UNIT + 3;
        main.bad(sector..=sector)?;
    }
    let image = random(MIB);
    r.write(0, &image)?;
    r.holds(&image)?;
    assert_eq!(used_and_lost(&r)?, (40, 0));
    Ok(())
}
