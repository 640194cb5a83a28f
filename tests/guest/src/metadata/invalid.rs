// SPDX-License-Identifier: GPL-2.0

//! Metadata of a newer format, and metadata that contradict themselves.

use super::{
    corrupt::corrupt,
    is_refused,
    ten_units,
    LAST,
    SLOT, //
};
use crate::kit::*;

crate::tests![a_newer_format, metadata_that_contradict_themselves,];

/// Changes the heads of all checkpoints.
fn corrupt_heads(spare: &NullDisk, offset: usize, bytes: &[u8]) -> Result<()> {
    for region in [0, LAST / UNIT] {
        for head in [region, region + SLOT] {
            corrupt(spare, head, offset, bytes)?;
        }
    }
    Ok(())
}

fn a_newer_format() -> Result<()> {
    const NEWER: &str = "the metadata are of a newer format";
    // Offsets of the format version and of the feature flags in a block.
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
    corrupt(&spare, 0, VERSION, &[2])?;
    is_refused(NEWER, TABLE)?;
    corrupt(&spare, 0, VERSION, &[1])?;
    corrupt_heads(&spare, VERSION, &[2])?;
    is_refused(NEWER, TABLE)?;
    corrupt_heads(&spare, VERSION, &[1])?;
    // A bit of incompat forbids reading, a bit of ro_compat forbids writing, a bit of compat
    // nothing.
    corrupt_heads(&spare, INCOMPAT_HIGHEST, &[0x80])?;
    is_refused(NEWER, TABLE)?;
    corrupt_heads(&spare, INCOMPAT_HIGHEST, &[0])?;
    corrupt_heads(&spare, RO_COMPAT, &[1])?;
    is_refused("the metadata have features that allow reading only", TABLE)?;
    let r = Remap::create_read_only(TABLE)?;
    r.holds(&image)?;
    r.remove()?;
    corrupt_heads(&spare, RO_COMPAT, &[0])?;
    corrupt_heads(&spare, COMPAT, &[1])?;
    Remap::create(TABLE)?.holds(&image)
}

/// The first two records of the checkpoint are at 96 and 120. A record holds the unit, with its
/// kind in the last of 8 bytes, the spare unit, and the valid blocks.
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
            corrupt(&spare, block, offset, bytes)?;
        }
        is_refused("the metadata contradict themselves", TABLE)
            .with_context(|| format!("{bytes:x?} at {offset}"))?;
        spare.write(0, &kept)?;
    }
    assert_eq!(main.counted()?.writes, writes);
    Remap::create(TABLE)?.holds(&image)
}
