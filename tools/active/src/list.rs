// SPDX-License-Identifier: GPL-2.0

//! Lists that a target answers in parts: relocated units and suspects.

use anyhow::{
    bail,
    Context,
    Result, //
};
use std::{
    fmt,
    str::FromStr, //
};

/// A relocated unit, as a line of the answer to `list` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// The first sector of the unit, as the mapped device counts.
    pub sector: u64,
    /// Where it is, in sectors of the spare area.
    pub spare_sector: u64,
    /// How many of its blocks hold data; the others are lost.
    pub valid_blocks: u64,
    /// How many blocks a unit has.
    pub blocks: u64,
}

impl FromStr for Relocation {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let words: Vec<_> = line.split([' ', '/']).collect();
        let [sector, spare_sector, valid_blocks, blocks] = words[..] else {
            bail!("the target answers '{line}'");
        };
        let number = |word: &str| {
            word.parse()
                .with_context(|| format!("the target answers '{line}'"))
        };
        Ok(Self {
            sector: number(sector)?,
            spare_sector: number(spare_sector)?,
            valid_blocks: number(valid_blocks)?,
            blocks: number(blocks)?,
        })
    }
}

impl fmt::Display for Relocation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} {} {}/{}",
            self.sector, self.spare_sector, self.valid_blocks, self.blocks
        )
    }
}

/// All lines of the answer to the message `what`, which may come in parts.
///
/// `ask` sends a message to the target that begins at sector `start` of its device.
pub fn lines(
    what: &str,
    start: u64,
    mut ask: impl FnMut(&str) -> Result<String>,
) -> Result<Vec<String>> {
    let (mut lines, mut from) = (Vec::new(), start);
    loop {
        let mut more = None;
        for line in ask(&format!("{what} {from}"))?.lines() {
            match line.strip_prefix("more from ") {
                Some(sector) => more = Some(sector.parse()?),
                None => lines.push(line.to_string()),
            }
        }
        match more {
            Some(sector) => from = sector,
            None => return Ok(lines),
        }
    }
}

/// The relocated units of a target, in the order of their sectors.
pub fn relocations(start: u64, ask: impl FnMut(&str) -> Result<String>) -> Result<Vec<Relocation>> {
    lines("list", start, ask)?
        .iter()
        .map(|line| line.parse())
        .collect()
}

/// The first sectors of the units that are suspects.
pub fn suspects(start: u64, ask: impl FnMut(&str) -> Result<String>) -> Result<Vec<u64>> {
    lines("suspects", start, ask)?
        .iter()
        .map(|line| {
            line.parse()
                .with_context(|| format!("the target answers '{line}'"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_parts_is_read_to_its_end() {
        let mut asked = Vec::new();
        let all = suspects(8, |message| {
            asked.push(message.to_string());
            Ok(match message {
                "suspects 8" => "16\nmore from 24\n".into(),
                _ => "24\n32\n".to_string(),
            })
        });
        assert_eq!(all.unwrap(), [16, 24, 32]);
        assert_eq!(asked, ["suspects 8", "suspects 24"]);
    }

    #[test]
    fn a_relocation_is_read_as_it_is_written() {
        let line = "1000 2048 7/8";
        let one: Relocation = line.parse().unwrap();
        assert_eq!(
            (one.sector, one.spare_sector, one.valid_blocks, one.blocks),
            (1000, 2048, 7, 8)
        );
        assert_eq!(one.to_string(), line);
        for bad in ["", "1000 2048", "1000 2048 7/x", "1000 2048 7/8 9"] {
            assert!(bad.parse::<Relocation>().is_err(), "{bad}");
        }
    }
}
