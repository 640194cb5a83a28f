// SPDX-License-Identifier: GPL-2.0

//! The log that dm-log-writes keeps (drivers/md/dm-log-writes.c).

use anyhow::{
    bail,
    Result, //
};

const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;
const SECTOR: usize = 512;

/// One entry of the log, in the order in which it became durable.
pub struct Entry<'a> {
    /// The first sector that was written.
    pub sector: u64,
    /// What was written there; nothing for a discard, a flush or a mark.
    pub data: &'a [u8],
    /// Whether all before it is durable now, or it is itself.
    pub is_point: bool,
    /// The text of a mark.
    pub mark: Option<&'a str>,
}

fn number(bytes: &[u8], at: usize) -> Result<u64> {
    match bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(found) => Ok(u64::from_le_bytes(*found)),
        None => bail!("the log ends at byte {at}"),
    }
}

/// Reads all entries of a log.
pub fn entries(log: &[u8]) -> Result<Vec<Entry<'_>>> {
    if number(log, 0)? != MAGIC || number(log, 8)? != 1 {
        bail!("this is no log of dm-log-writes");
    }
    if number(log, 24)? as u32 != SECTOR as u32 {
        bail!("the log has sectors of another length");
    }
    let mut all = Vec::new();
    let mut at = SECTOR;
    for _ in 0..number(log, 16)? {
        let (sector, sectors) = (number(log, at)?, number(log, at + 8)?);
        let (flags, length) = (number(log, at + 16)?, number(log, at + 24)?);
        let text = log.get(at + 32..at + 32 + length as usize * usize::from(flags & MARK != 0));
        at += SECTOR;
        let bytes = if flags & DISCARD != 0 {
            0
        } else {
            sectors as usize * SECTOR
        };
        let Some(data) = log.get(at..at + bytes) else {
            bail!("the log ends within an entry");
        };
        at += bytes;
        all.push(Entry {
            sector,
            data,
            is_point: flags & (FLUSH | FUA) != 0,
            mark: match flags & MARK != 0 {
                true => Some(std::str::from_utf8(text.unwrap_or_default())?.trim_end_matches('\0')),
                false => None,
            },
        });
    }
    Ok(all)
}
