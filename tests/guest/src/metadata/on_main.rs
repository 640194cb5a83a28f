// SPDX-License-Identifier: GPL-2.0

//! Copies of the metadata on main.

use super::{
    format_with_copies_on_main,
    is_blank,
    is_refused,
    regions,
    SHORTER,
    SHORTER_LEN, //
};
use crate::kit::*;

crate::tests![
    copies_on_main_are_in_use,
    a_blank_spare_does_not_hide_what_main_has,
];

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
    // The copies have changed the main that it is laid over.
    let repair = "repair /dev/main /dev/spare2 --accept-main --main-start 126968";
    run("remapctl", &repair.split(' ').collect::<Vec<_>>())?;
    let s = Mapped::create("s", OTHER)?;
    is_refused(
        "the metadata on main are in use by another remap device",
        SHORTER,
    )?;
    s.remove()?;
    assert_eq!(regions(&Remap::create(SHORTER)?)?, "4/4");
    Ok(())
}

/// A table over all of main overlooks the copies of the metadata on main, and a blank spare does
/// not mention them.
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
    // An administrator who knows that the copies are useless wipes them.
    main.wipe(SHORTER_LEN, MAIN - SHORTER_LEN)?;
    Remap::create(TABLE)?;
    Ok(())
}
