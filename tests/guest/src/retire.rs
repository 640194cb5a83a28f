// SPDX-License-Identifier: GPL-2.0

//! Arrays are given up.

use crate::kit::*;
use std::fs;

crate::tests![units_are_moved_back, an_array_that_is_in_no_table,];

const TAB: &str = "--tab /tmp/remaptab";

fn table() -> Result<String> {
    Ok(fs::read_to_string("/tmp/remaptab")?)
}

fn units_are_moved_back() -> Result<()> {
    let Disks { main, spare } = Disks::new()?;
    let adopt = "adopt /dev/main --spare /dev/spare --name r --force unknown";
    ctl(&format!("{adopt} {TAB}"))?;
    let r = Remap::at("r")?;
    let data = random(64 * MIB);
    r.write(0, &data)?;
    main.bad(1000..=1000)?;
    r.write(1000, &data[1000 * SECTOR..1008 * SECTOR])?;
    r.relocate(8000, 800)?;
    let retire = format!("retire r {TAB}");
    let before = table()?;
    let said = ctl_refuses("1 units stay on the spare", &retire)?;
    ensure!(said.contains("sector 1000: "), "{said}");
    assert_eq!(r.used()?, "1/1536");
    r.holds(&data)?;
    main.good(1000..=1000)?;
    let open = fs::File::open("/dev/mapper/r")?;
    ctl_refuses("'r' is in use", &retire)?;
    drop(open);
    assert_eq!(table()?, before);
    // Another device of that name is not the array.
    ctl("remove r")?;
    let other = Mapped::create("r", "0 8 error")?;
    ctl_refuses("'r' is not the array of the table", &retire)?;
    other.remove()?;
    ctl(&format!("activate {TAB}"))?;
    ctl(&retire)?;
    assert_eq!(table()?, "");
    assert!(mapped_names()?.is_empty());
    main.holds(&data)?;
    ctl_refuses("no array 'r' is active, or in /tmp/remaptab", &retire)?;
    // An old table, such as that of an initramfs, finds no array any more.
    fs::write("/tmp/remaptab", before)?;
    ctl(&format!("activate --incremental {TAB}"))?;
    assert!(mapped_names()?.is_empty());
    ensure!(
        spare.read(0, REGION)?.iter().all(|&byte| byte == 0),
        "a head"
    );
    let last = spare.read(SPARE - REGION, REGION)?;
    ensure!(last.iter().all(|&byte| byte == 0), "a head");
    Ok(())
}

fn an_array_that_is_in_no_table() -> Result<()> {
    let Disks { main, .. } = Disks::new()?;
    let retire = format!("retire r {TAB}");
    let unnamed = Remap::create(TABLE)?;
    ctl_refuses("no array 'r' is active", &retire)?;
    unnamed.remove()?;
    ctl("create r /dev/main /dev/spare")?;
    let r = Remap::at("r")?;
    r.relocate(8000, UNIT)?;
    let data = random(64 * MIB);
    r.write(0, &data)?;
    ctl(&retire)?;
    assert!(mapped_names()?.is_empty());
    main.holds(&data)
}
