// SPDX-License-Identifier: GPL-2.0

//! The metadata: survival, refused metadata, and failing regions.

mod commits;
mod corrupt;
mod failing_regions;
mod flaky;
mod invalid;
mod on_main;
mod read_only;
mod refusals;
mod survival;

use crate::kit::*;

/// The tests of this subject.
pub fn tests() -> Vec<Test> {
    let parts = [
        commits::tests(),
        failing_regions::tests(),
        flaky::tests(),
        invalid::tests(),
        on_main::tests(),
        read_only::tests(),
        refusals::tests(),
        survival::tests(),
    ];
    parts.into_iter().flatten().collect()
}

/// The first sector of the second region on the spare.
const LAST: u64 = SPARE - REGION;
/// Blocks of a slot on a spare of 8 MiB.
const SLOT: u64 = 14;
/// Blocks of the log on that spare.
const LOG: u64 = 228;
/// The table of an array with copies of the metadata at the end of a main of 64 MiB.
const SHORTER: &str = "0 126968 remap /dev/main 0 /dev/spare 0 16384";
/// The sectors of that table.
const SHORTER_LEN: u64 = 126_968;

/// The sector of a commit in a region.
fn log_sector(region: u64, commit: u64) -> u64 {
    region + (2 * SLOT + commit % LOG) * UNIT
}

/// Relocates ten units within 1 MiB of data, and returns the data.
fn ten_units(r: &Remap) -> Result<Vec<u8>> {
    r.write(0, &random(MIB))?;
    r.relocate(800, 80)?;
    let image = random(MIB);
    r.write(0, &image)?;
    Ok(image)
}

/// Removes the device, and activates it again from the disks.
fn again(r: Remap, table: &str) -> Result<Remap> {
    r.remove()?;
    Remap::create(table)
}

/// Fails unless the activation is refused for this reason, and leaves no device.
fn is_refused(reason: &str, table: &str) -> Result<()> {
    refused(reason, || Remap::create(table))?;
    ensure!(!mapped_names()?.contains(&"r".into()), "a device was left");
    Ok(())
}

/// The good regions and all regions, as in the status.
fn regions(r: &Remap) -> Result<String> {
    Ok(r.status()?.regions.to_string())
}

/// Makes both regions of a spare fail. The units between them can be read and written.
fn fail_regions(spare: &NullDisk) -> Result<()> {
    spare.bad(0..=REGION - 1)?;
    spare.bad(LAST..=SPARE - 1)
}

/// Makes both regions work again.
fn mend_regions(spare: &NullDisk) -> Result<()> {
    spare.good(0..=REGION - 1)?;
    spare.good(LAST..=SPARE - 1)
}

/// Copies the metadata of a spare to another disk.
fn copy_regions(from: &NullDisk, to: &NullDisk) -> Result<()> {
    for first in [0, LAST] {
        copy_region(from, to, first)?;
    }
    Ok(())
}

fn copy_region(from: &NullDisk, to: &NullDisk, first: u64) -> Result<()> {
    Ok(to.write(first, &from.read(first, REGION)?)?)
}

/// Fails unless the disk is all zeroes.
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
