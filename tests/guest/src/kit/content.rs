// SPDX-License-Identifier: GPL-2.0

//! The expected contents of disks.

use anyhow::{
    bail,
    Result, //
};
use std::ops::Range;

/// Bytes of a sector.
pub const SECTOR: usize = 512;
/// Bytes of a mebibyte.
pub const MIB: usize = 1 << 20;
/// Sectors of a unit of 4 KiB.
pub const UNIT: u64 = 8;

/// Random bytes. `SEED` reproduces them.
pub fn random(bytes: usize) -> Vec<u8> {
    let mut data = vec![0; bytes];
    fastrand::fill(&mut data);
    data
}

fn bytes(sector: u64, sectors: u64) -> Range<usize> {
    let start = sector as usize * SECTOR;
    start..start + sectors as usize * SECTOR
}

/// Some sectors of an image.
pub fn part(image: &[u8], sector: u64, sectors: u64) -> &[u8] {
    &image[bytes(sector, sectors)]
}

/// Applies a write to an image.
pub fn overwrite(image: &mut [u8], sector: u64, data: &[u8]) {
    image[bytes(sector, (data.len() / SECTOR) as u64)].copy_from_slice(data);
}

/// Fails if the data differ, and names the first differing sector of `what`.
pub fn same(got: &[u8], want: &[u8], what: &str) -> Result<()> {
    if got.len() != want.len() {
        bail!("{what}: {} bytes, want {}", got.len(), want.len());
    }
    let pairs = got.chunks(SECTOR).zip(want.chunks(SECTOR));
    let Some((sector, (got, want))) = pairs.enumerate().find(|(_, (got, want))| got != want) else {
        return Ok(());
    };
    let begin = |data: &[u8]| format!("{:02x?}", &data[..data.len().min(16)]);
    bail!(
        "{what}: sector {sector} of it begins with {}, want {}",
        begin(got),
        begin(want)
    )
}
