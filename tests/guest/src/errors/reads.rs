// SPDX-License-Identifier: GPL-2.0

//! Failed reads make suspects, which writes and `retest` clear.

use super::{
    used_and_lost,
    UNIT_BYTES, //
};
use crate::kit::*;
use rustix::io::Errno;

crate::tests![
    failed_read_fails_and_neighbours_are_readable,
    write_heals_a_failed_read,
    read_error_is_a_medium_error,
    readable_again_suspect_is_healed_in_place,
    suspect_that_cannot_be_read_back_is_relocated,
    many_suspects_are_written_at_once,
    retest,
    what_cannot_be_read_stays,
];

fn failed_read_fails_and_neighbours_are_readable() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    let image = random(MIB);
    r.write(0, &image)?;
    main.bad(1003..=1003)?;
    fails_with(r.read(1003, 1), Errno::NODATA)?;
    fails_with(r.read(1000, 8), Errno::NODATA)?;
    fails_with(r.read(0, 2048), Errno::NODATA)?;
    r.holds_at(1000, part(&image, 1000, 3))?;
    r.holds_at(1004, part(&image, 1004, 4))?;
    r.holds_at(0, part(&image, 0, 1000))?;
    assert_eq!(used_and_lost(&r)?, (0, 0));
    assert_eq!(r.count("suspects")?, 1);
    assert_eq!(r.suspects()?, [1000]);
    assert_eq!(r.status()?.health, "damaged");
    Ok(())
}

fn write_heals_a_failed_read() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    r.write(0, &random(MIB))?;
    main.bad(1003..=1003)?;
    fails_with(r.read(1000, 8), Errno::NODATA)?;
    let unit = random(UNIT_BYTES);
    r.write(1000, &unit)?;
    r.holds_at(1000, &unit)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    assert_eq!(r.count("suspects")?, 0);
    Ok(())
}

fn read_error_is_a_medium_error() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    main.bad(1003..=1003)?;
    r.message("remap 1000 lossy")?;
    // `BLK_STS_MEDIUM`
    fails_with(r.read(1003, 1), Errno::NODATA)
}

fn readable_again_suspect_is_healed_in_place() -> Result<()> {
    NullDisk::new("disk", 64)?;
    NullDisk::new("spare", 8)?;
    let main = Mapped::create("main", "0 131072 dust /dev/disk 0 512")?;
    main.message("addbadblock 1003")?;
    main.message("enable")?;
    let r = Remap::create("0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384")?;
    fails_with(r.read(1000, 8), Errno::NODATA)?;
    assert_eq!(r.count("suspects")?, 1);
    // The disk reallocates the sector on a write, as dm-dust does: no spare unit is needed.
    let unit = random(UNIT_BYTES);
    r.write(1000, &unit)?;
    r.holds_at(1000, &unit)?;
    assert_eq!(r.count("suspects")?, 0);
    assert_eq!(used_and_lost(&r)?, (0, 0));
    Ok(())
}

fn suspect_that_cannot_be_read_back_is_relocated() -> Result<()> {
    NullDisk::new("disk", 64)?;
    NullDisk::new("spare", 8)?;
    Mapped::create(
        "main",
        "0 2048 flakey /dev/disk 0 0 1 1 error_reads\n2048 129024 linear /dev/disk 2048",
    )?;
    let r = Remap::create("0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384")?;
    fails_with(r.read(1000, 8), Errno::NODATA)?;
    // Main takes the write, and fails to read it back.
    let unit = random(UNIT_BYTES);
    r.write(1000, &unit)?;
    r.holds_at(1000, &unit)?;
    assert_eq!(used_and_lost(&r)?, (1, 0));
    Ok(())
}

/// More large suspects are written at once than there are buffers to read them back. Main takes the
/// writes, and fails to read them back.
fn many_suspects_are_written_at_once() -> Result<()> {
    const UNIT: u64 = 512;
    const UNITS: u64 = 24;
    /// Four mebibytes of buffers, two for each unit, and those in reserve.
    const READ_AT_ONCE: u64 = 8 + 1;
    let large_blocks = [("blocksize", "4096")];
    NullDisk::with("disk", 64, &large_blocks)?;
    NullDisk::with("spare", 32, &large_blocks)?;
    let low = Mapped::create(
        "low",
        "0 16384 flakey /dev/disk 0 0 1 1 error_reads\n16384 114688 linear /dev/disk 16384",
    )?;
    let main = Gate::new("main", &low, 0, 131_072)?;
    let r = Remap::create(&format!(
        "0 131072 remap /dev/mapper/main 0 /dev/spare 0 65536 5 unit {} breaker 0 0",
        UNIT * SECTOR as u64
    ))?;
    for unit in 0..UNITS {
        fails_with(r.read(unit * UNIT, 8), Errno::NODATA)?;
    }
    main.hold_reads()?;
    let image = random((UNITS * UNIT) as usize * SECTOR);
    let writers: Vec<_> = (0..UNITS)
        .map(|unit| {
            let (r, data) = (r.clone(), part(&image, unit * UNIT, UNIT).to_vec());
            beside(move || r.write(unit * UNIT, &data))
        })
        .collect();
    main.until_reads_are_held(READ_AT_ONCE)?;
    main.open()?;
    for writer in writers {
        writer.end()?;
    }
    r.holds(&image)?;
    assert_eq!(used_and_lost(&r)?, (UNITS, 0));
    Ok(())
}

fn retest() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    main.bad(1003..=1003)?;
    fails_with(r.read(1003, 1), Errno::NODATA)?;
    refused("main still fails there", || r.message("retest 1003"))?;
    main.good(1003..=1003)?;
    r.message("retest 1003")?;
    assert_eq!(r.count("suspects")?, 0);
    refused("is not a suspect", || r.message("retest 1003"))
}

/// In a range, a unit with an unreadable block stays, and the other units move.
fn what_cannot_be_read_stays() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    let image = random(MIB);
    r.write(0, &image)?;
    main.bad(1003..=1003)?;
    refused(
        "sector 1000: blocks cannot be read, 1 units stay; 'lossy' gives such blocks up",
        || r.relocate(992, 24),
    )?;
    assert_eq!(used_and_lost(&r)?, (2, 0));
    assert_eq!(r.list_lines()?, "992 2048 8/8\n1008 2064 8/8");
    main.good(1003..=1003)?;
    r.holds(&image)?;
    assert_eq!(
        r.relocate(992, 24)?,
        "remapped 1 units, 2 already were, 0 blocks lost\n"
    );
    r.holds(&image)
}
