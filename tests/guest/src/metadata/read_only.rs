// SPDX-License-Identifier: GPL-2.0

//! Read-only tables write nothing.

use super::{
    format_with_copies_on_main,
    is_blank,
    regions,
    ten_units,
    SHORTER, //
};
use crate::kit::*;

crate::tests![
    read_only_tables_write_nothing,
    a_read_only_table_with_metadata_on_main_writes_nothing,
];

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

/// The findings of a scan on a read-only table are committed to no copy of the metadata.
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
