// SPDX-License-Identifier: GPL-2.0

//! Lists of bad places that other tools write and read. All ranges are sectors, `start..end`.

mod smart;

use crate::cli::ListForm;
use crate::sysfs::BlockDevice;
use anyhow::{
    bail,
    Context,
    Result, //
};
use std::fmt::Write;
use std::ops::Range;

/// How many ranges are named at most.
const MOST_NAMED: usize = 8;

/// Merges ranges that touch, and puts them in order.
pub fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| range.start < range.end);
    ranges.sort_by_key(|range| range.start);
    let mut all: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match all.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    all
}

/// How many sectors a block of so many bytes has.
fn block_sectors(bytes: u64) -> Result<u64> {
    if bytes == 0 || bytes % 512 != 0 {
        bail!("a block size of {bytes} bytes is not a multiple of 512");
    }
    Ok(bytes / 512)
}

/// The first and the last sector of ranges, for people: of the first few, and how many more.
pub fn named(ranges: &[Range<u64>]) -> String {
    let (first, others) = ranges.split_at(ranges.len().min(MOST_NAMED));
    match others.len() {
        0 => all_named(first),
        count => format!("{}, {count} other ranges", all_named(first)),
    }
}

/// The same, of all ranges.
pub fn all_named(ranges: &[Range<u64>]) -> String {
    let named = ranges.iter();
    let named = named.map(|range| format!("{}-{}", range.start, range.end - 1));
    named.collect::<Vec<_>>().join(", ")
}

/// The blocks that the ranges touch, one number a line, as badblocks(8) writes them.
pub fn to_badblocks(ranges: &[Range<u64>], block_bytes: u64) -> Result<String> {
    let sectors = block_sectors(block_bytes)?;
    let mut text = String::new();
    let mut next = 0;
    for range in ranges {
        for block in (range.start / sectors).max(next)..range.end.div_ceil(sectors) {
            writeln!(text, "{block}")?;
            next = block + 1;
        }
    }
    Ok(text)
}

/// The sectors of a list of block numbers.
pub fn from_badblocks(text: &str, block_bytes: u64) -> Result<Vec<Range<u64>>> {
    let sectors = block_sectors(block_bytes)?;
    let mut ranges = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let block: u64 = line
            .parse()
            .with_context(|| format!("line {}: '{line}' is no block number", at + 1))?;
        let end = block
            .checked_add(1)
            .and_then(|end| end.checked_mul(sectors));
        let end = end.with_context(|| format!("line {}: block {block} is too far", at + 1))?;
        ranges.push(end - sectors..end);
    }
    Ok(merged(ranges))
}

/// A mapfile of ddrescue for a device of so many sectors: the ranges are bad, all else is finished.
pub fn to_ddrescue(ranges: &[Range<u64>], sectors: u64) -> Result<String> {
    let mut text = String::from(
        "# Mapfile. Written by remapctl\n# current_pos  current_status  current_pass\n",
    );
    text.push_str("0x0     +               1\n#      pos        size  status\n");
    let mut at = 0;
    let mut line = |range: Range<u64>, status| match range.is_empty() {
        true => Ok(()),
        false => {
            let bytes = (range.end - range.start) << 9;
            writeln!(text, "0x{:08X}  0x{bytes:08X}  {status}", range.start << 9)
        }
    };
    for range in ranges {
        line(at..range.start, '+')?;
        line(range.clone(), '-')?;
        at = range.end;
    }
    line(at..sectors, '+')?;
    Ok(text)
}

/// The sectors that a mapfile of ddrescue does not call finished or untried.
pub fn from_ddrescue(text: &str) -> Result<Vec<Range<u64>>> {
    let lines = text.lines().enumerate();
    let mut lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    // The first line is where ddrescue stands.
    lines.next().context("the mapfile is empty")?;
    let mut ranges = Vec::new();
    for (at, line) in lines {
        let mut words = line.split_whitespace();
        let mut number = || {
            let word = words.next()?;
            match word.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok(),
                None => word.parse().ok(),
            }
        };
        let (start, length) = (number(), number());
        let parsed = start.zip(length).zip(words.next());
        let ((start, length), status) =
            parsed.with_context(|| format!("line {}: want '<pos> <size> <status>'", at + 1))?;
        let end = start.checked_add(length);
        let end = end.with_context(|| format!("line {}: the range is too long", at + 1))?;
        match status {
            "+" | "?" => {}
            "-" | "/" | "*" => ranges.push(start >> 9..end.div_ceil(512)),
            _ => bail!("line {}: unknown status '{status}'", at + 1),
        }
    }
    Ok(merged(ranges))
}

/// Where main lies on the disk whose addresses a list has, and how long a block of that is.
#[derive(Clone, Copy, Debug)]
pub struct OnDisk {
    /// The first sector.
    pub start: u64,
    /// The length in sectors.
    pub sectors: u64,
    /// How many sectors a logical block of the disk has.
    pub block: u64,
}

impl OnDisk {
    /// For lists that count from main's first sector.
    pub fn whole() -> Self {
        Self {
            start: 0,
            sectors: u64::MAX,
            block: 1,
        }
    }

    /// What begins at a sector of a device, and reaches to its end.
    pub fn of(device: &BlockDevice, start: u64) -> Result<Self> {
        let sectors = device.sectors().context("a device without a length")?;
        let block = device.disk()?.attribute("queue/logical_block_size");
        let bytes: Option<u64> = block.and_then(|bytes| bytes.parse().ok());
        Ok(Self {
            start: device.start() + start,
            sectors: sectors.saturating_sub(start),
            block: block_sectors(bytes.context("a disk without a block size")?)?,
        })
    }

    /// The sectors of main of these logical blocks of the disk. What lies elsewhere is left out.
    fn on_main(&self, blocks: Vec<u64>) -> Vec<Range<u64>> {
        let end = self.start.saturating_add(self.sectors);
        let ranges = blocks.into_iter().filter_map(|number| {
            let first = number.checked_mul(self.block)?;
            let range = first.max(self.start)..first.checked_add(self.block)?.min(end);
            (range.start < range.end).then(|| range.start - self.start..range.end - self.start)
        });
        merged(ranges.collect())
    }
}

/// The bad sectors of main that a list names, which is of this form. `block_bytes` is the length of
/// the blocks that badblocks(8) counts.
pub fn read(
    form: ListForm,
    text: &str,
    block_bytes: u64,
    place: &OnDisk,
) -> Result<Vec<Range<u64>>> {
    match form {
        ListForm::Badblocks => from_badblocks(text, block_bytes),
        ListForm::Ddrescue => from_ddrescue(text),
        ListForm::SmartDefects => smart::defects(text).map(|all| place.on_main(all)),
        ListForm::SmartBackground => smart::background(text).map(|all| place.on_main(all)),
        ListForm::SmartSelftest => smart::selftest(text).map(|all| place.on_main(all)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bad_lists_are_named() {
        for (text, want) in [
            ("12\nx\n", "line 2: 'x' is no block number"),
            ("-1", "line 1: '-1' is no block number"),
            (
                "18446744073709551615",
                "line 1: block 18446744073709551615 is too far",
            ),
        ] {
            assert_eq!(from_badblocks(text, 1024).unwrap_err().to_string(), want);
        }
        assert!(from_badblocks("", 1000).is_err());
        for (text, want) in [
            ("", "the mapfile is empty"),
            ("0x0 +\n0x0 0x200", "line 2: want '<pos> <size> <status>'"),
            ("0x0 +\n0x0 0x200 %", "line 2: unknown status '%'"),
            (
                "0x0 +\n0xffffffffffffffff 0x200 -",
                "line 2: the range is too long",
            ),
        ] {
            assert_eq!(from_ddrescue(text).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn addresses_of_the_disk_become_those_of_main() {
        let place = OnDisk {
            start: 2048,
            sectors: 800,
            block: 8,
        };
        let blocks = vec![255, 256, 257, 300, 355, 356, u64::MAX];
        assert_eq!(place.on_main(blocks), [0..16, 352..360, 792..800]);
        let odd = OnDisk {
            start: 2052,
            ..place
        };
        assert_eq!(odd.on_main(vec![256, 300]), [0..4, 348..356]);
    }

    #[test]
    fn what_others_write_is_read() {
        let map = "# Mapfile. Created by GNU ddrescue version 1.27\n\
                   0x00020000     ?               1\n\
                   0x00000000  0x00001000  +\n0x00001000  0x00000200  -\n\
                   0x00001200  0x00000E00  /\n0x00003000  0x00000100  -\n0x00002000  0x00010000  ?\n";
        assert_eq!(from_ddrescue(map).unwrap(), [8..16, 24..25]);
        assert_eq!(
            from_badblocks("# by hand\n4\n5\n9\n", 1024).unwrap(),
            [8..12, 18..20]
        );
    }

    proptest! {
        #[test]
        fn written_and_read(ends in prop::collection::btree_set(0u64..1 << 40, 0..20)) {
            let ends: Vec<u64> = ends.into_iter().collect();
            let ranges: Vec<_> = ends.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect();
            let map = to_ddrescue(&ranges, 1 << 41).unwrap();
            prop_assert_eq!(from_ddrescue(&map).unwrap(), ranges);
        }

        #[test]
        fn blocks_cover_the_ranges(starts in prop::collection::vec((0u64..5000, 1u64..40), 0..10), shift in 0u32..4) {
            let ranges = merged(starts.iter().map(|&(at, len)| at..at + len).collect());
            let bytes = 512u64 << shift;
            let back = from_badblocks(&to_badblocks(&ranges, bytes).unwrap(), bytes).unwrap();
            for range in &ranges {
                prop_assert!(back.iter().any(|b| b.start <= range.start && b.end >= range.end));
            }
            let widened = ranges.iter().map(|r| (r.start >> shift) << shift..r.end.div_ceil(1 << shift) << shift);
            prop_assert_eq!(back, merged(widened.collect()));
        }
    }
}
