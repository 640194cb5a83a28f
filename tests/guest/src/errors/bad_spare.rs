// SPDX-License-Identifier: GPL-2.0

//! Spare units that fail.

use super::{
    spare_unit,
    used_and_lost,
    UNIT_BYTES, //
};
use crate::kit::*;
use rustix::io::Errno;

crate::tests![
    bad_spare_unit_is_retired,
    a_spare_that_takes_no_writes_loses_no_units,
    a_scratch_on_the_spare_is_stepped_over,
    a_bad_spare_sector_is_a_medium_error,
    spare_unit_that_fails_later_is_replaced,
    spare_read_error_never_shows_main,
];

fn bad_spare_unit_is_retired() -> Result<()> {
    let Array { r, main, spare } = Array::new()?;
    main.bad(1003..=1003)?;
    spare.bad(spare_unit(0)..=spare_unit(2) - 1)?;
    let image = random(MIB);
    r.write(0, &image)?;
    r.holds(&image)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    assert_eq!(r.count("spares_retired")?, 2);
    assert_eq!(r.list_lines()?, "1000 2064 8/8");
    Ok(())
}

/// All writes to the spare fail and all reads succeed: its units are not bad.
fn a_spare_that_takes_no_writes_loses_no_units() -> Result<()> {
    let Disks { main, .. } = Disks::new()?;
    let low = Mapped::create("low", "0 16384 linear /dev/spare 0")?;
    let put_units_on = |target: &str| {
        let (units, second) = (SPARE - 2 * REGION, SPARE - REGION);
        low.replace(&format!(
            "0 {REGION} linear /dev/spare 0\n\
            {REGION} {units} {target}\n\
            {second} {REGION} linear /dev/spare {second}"
        ))
    };
    let r = Remap::create("0 131072 remap /dev/main 0 /dev/mapper/low 0 16384 3 breaker 2 86400")?;
    put_units_on(&format!("flakey /dev/spare {REGION} 0 600 1 error_writes"))?;
    main.bad(1003..=1003)?;
    // No unit is relocated, and nothing counts for the breaker.
    let unit = random(UNIT_BYTES);
    for _ in 0..3 {
        fails_with(r.write(1000, &unit), Errno::IO)?;
    }
    let status = r.status()?;
    assert_eq!(status.used.to_string(), "0/1536");
    assert_eq!(status.retired, 0);
    assert_eq!(status.breaker, "closed");
    put_units_on(&format!("linear /dev/spare {REGION}"))?;
    r.write(1000, &unit)?;
    r.holds_at(1000, &unit)?;
    let status = r.status()?;
    assert_eq!(status.used.to_string(), "1/1536");
    assert_eq!(status.retired, 0);
    Ok(())
}

/// More adjacent units fail than are tried. A distant unit works.
fn a_scratch_on_the_spare_is_stepped_over() -> Result<()> {
    let Array { r, main, spare } = Array::new()?;
    main.bad(1003..=1003)?;
    spare.bad(spare_unit(0)..=spare_unit(16) - 1)?;
    let image = random(MIB);
    r.write(0, &image)?;
    r.holds(&image)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    assert_ne!(r.count("spares_retired")?, 0);
    Ok(())
}

fn a_bad_spare_sector_is_a_medium_error() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    r.message("remap 1000")?;
    spare.bad(spare_unit(0)..=spare_unit(0))?;
    fails_with(r.read(1000, 1), Errno::NODATA)
}

fn spare_unit_that_fails_later_is_replaced() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    let mut image = random(MIB);
    r.write(0, &image)?;
    r.message("remap 1000")?;
    spare.bad(spare_unit(0) + 3..=spare_unit(0) + 3)?;
    let block = random(SECTOR);
    r.write(1003, &block)?;
    overwrite(&mut image, 1003, &block);
    assert_eq!(r.count("spares_retired")?, 1);
    assert_eq!(r.list_lines()?, "1000 2056 8/8");
    r.holds(&image)
}

fn spare_read_error_never_shows_main() -> Result<()> {
    let Array { r, spare, .. } = Array::new()?;
    r.write(0, &random(MIB))?;
    r.message("remap 1000")?;
    let image = random(MIB);
    r.write(0, &image)?;
    spare.bad(spare_unit(0)..=spare_unit(1) - 1)?;
    fails_with(r.read(1000, 8), Errno::NODATA)?;
    spare.good(spare_unit(0)..=spare_unit(1) - 1)?;
    r.holds(&image)
}
