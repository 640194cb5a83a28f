// SPDX-License-Identifier: GPL-2.0

//! Metadata as written by a later version, by a faulty version, or by an attacker.

use crate::kit::*;
use remap_core::metadata::block::{
    renew,
    BLOCK_BYTES,
    BLOCK_SECTORS,
    MAGIC, //
};

/// Changes bytes of a metadata block, and updates its checksum. Blocks count from the start of the
/// disk.
pub fn corrupt(disk: &NullDisk, block: u64, offset: usize, bytes: &[u8]) -> Result<()> {
    let sector = block * BLOCK_SECTORS;
    let mut changed = [0; BLOCK_BYTES];
    changed.copy_from_slice(&disk.read(sector, BLOCK_SECTORS)?);
    ensure!(
        changed.starts_with(&MAGIC),
        "block {block} is not of metadata"
    );
    changed[offset..offset + bytes.len()].copy_from_slice(bytes);
    renew(&mut changed, crc32c::crc32c);
    Ok(disk.write(sector, &changed)?)
}
