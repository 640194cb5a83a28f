// SPDX-License-Identifier: GPL-2.0

//! Tables of mapped devices, as `dmsetup` writes them.

use anyhow::{
    Context,
    Result, //
};
use std::{
    fmt,
    str::FromStr, //
};

/// One line of a table, or of a status: a target and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The first sector of the target, as the mapped device counts.
    pub start: u64,
    /// The length in sectors.
    pub sectors: u64,
    /// The target's type.
    pub kind: String,
    /// What follows: the target's parameters or its status.
    pub words: String,
}

impl FromStr for Line {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut words = text.trim().splitn(4, ' ');
        let mut next = |what| {
            words
                .next()
                .with_context(|| format!("'{text}' has no {what}"))
        };
        let start = next("first sector")?;
        let sectors = next("length")?;
        let kind = next("target")?;
        let number = |word: &str| {
            word.parse()
                .with_context(|| format!("'{text}': '{word}' is no number of sectors"))
        };
        Ok(Self {
            start: number(start)?,
            sectors: number(sectors)?,
            kind: kind.to_string(),
            words: words.next().unwrap_or_default().to_string(),
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} {} {} {}",
            self.start, self.sectors, self.kind, self.words
        )
    }
}

/// The lines of a table, which newlines separate.
pub fn parse(text: &str) -> Result<Vec<Line>> {
    text.lines().map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        let text = "0 8 linear /dev/main 0\n8 16 error ";
        let lines = parse(text).unwrap();
        assert_eq!(lines[0].kind, "linear");
        assert_eq!(lines[0].words, "/dev/main 0");
        assert_eq!((lines[1].start, lines[1].sectors), (8, 16));
        let again: Vec<_> = lines.iter().map(Line::to_string).collect();
        assert_eq!(again.join("\n"), text);
    }

    #[test]
    fn what_is_no_line_is_named() {
        for (text, reason) in [
            ("", "has no length"),
            ("0 8", "has no target"),
            ("0 x linear", "'x' is no number of sectors"),
        ] {
            let error = text.parse::<Line>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
