// SPDX-License-Identifier: GPL-2.0

//! Changes a block of metadata and seals it anew: what a later version, a faulty one, or somebody with
//! bad intentions could have written.
//!
//! Usage: `tamper DEVICE BLOCK OFFSET HEX...`; BLOCK counts blocks of metadata from the device's start,
//! OFFSET counts bytes in the block, and HEX are the bytes that it gets.

#![forbid(unsafe_code)]

use anyhow::{
    ensure,
    Context,
    Result, //
};
use remap_core::metadata::block::{
    renew,
    BLOCK_BYTES,
    MAGIC, //
};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [device, block, offset, hex @ ..] = words.as_slice() else {
        anyhow::bail!("usage: tamper DEVICE BLOCK OFFSET HEX...");
    };
    let file = OpenOptions::new().read(true).write(true).open(device)?;
    let place = block.parse::<u64>()? * BLOCK_BYTES as u64;
    let mut bytes = [0; BLOCK_BYTES];
    file.read_exact_at(&mut bytes, place)?;
    ensure!(bytes.starts_with(&MAGIC), "block {block} is not metadata");
    for (at, byte) in (offset.parse::<usize>()?..).zip(hex) {
        *bytes.get_mut(at).context("behind the block's end")? = u8::from_str_radix(byte, 16)?;
    }
    renew(&mut bytes, crc32c::crc32c);
    file.write_all_at(&bytes, place)?;
    Ok(file.sync_all()?)
}
