// SPDX-License-Identifier: GPL-2.0

//! The log of dm-log-writes (drivers/md/dm-log-writes.c).

use anyhow::{
    ensure,
    Result, //
};
use std::io::Read;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;
const SECTOR: usize = 512;

/// An entry of the log. Entries are in the order in which they became durable.
pub struct Entry {
    /// The first written sector.
    pub sector: u64,
    /// The written data; empty for a discard, a flush or a mark.
    pub data: Vec<u8>,
    /// Whether all earlier entries, or this entry itself, are durable now.
    pub is_point: bool,
    /// The text of a mark.
    pub mark: Option<String>,
}

/// A log, read from its start.
pub struct Log<R> {
    from: R,
    left: u64,
}

/// The first numbers of the superblock and of each entry.
fn numbers(sector: &[u8; SECTOR]) -> [u64; 4] {
    let mut words = sector.chunks_exact(8);
    std::array::from_fn(|_| {
        let word = words.next().and_then(|word| word.first_chunk());
        word.map_or(0, |word| u64::from_le_bytes(*word))
    })
}

impl<R: Read> Log<R> {
    /// Reads the superblock.
    pub fn new(mut from: R) -> Result<Self> {
        let mut sector = [0; SECTOR];
        from.read_exact(&mut sector)?;
        let [magic, version, left, sector_bytes] = numbers(&sector);
        ensure!(
            magic == MAGIC && version == 1,
            "this is no log of dm-log-writes"
        );
        ensure!(
            sector_bytes as u32 == SECTOR as u32,
            "the log has sectors of another length"
        );
        Ok(Self { from, left })
    }

    fn entry(&mut self) -> Result<Entry> {
        let mut head = [0; SECTOR];
        self.from.read_exact(&mut head)?;
        let [sector, sectors, flags, length] = numbers(&head);
        let stored = if flags & DISCARD != 0 { 0 } else { sectors };
        let mut data = vec![0; stored as usize * SECTOR];
        self.from.read_exact(&mut data)?;
        let text = String::from_utf8_lossy(head.get(32..).unwrap_or_default());
        let text = text.get(..length as usize).unwrap_or_default();
        Ok(Entry {
            sector,
            data,
            is_point: flags & (FLUSH | FUA) != 0,
            mark: (flags & MARK != 0).then(|| text.trim_end_matches('\0').to_owned()),
        })
    }
}

impl<R: Read> Iterator for Log<R> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(self.entry())
    }
}
