// SPDX-License-Identifier: GPL-2.0

//! The status line of a `remap` target (`src/status.rs` writes it).

use anyhow::{
    Context,
    Result, //
};
use std::{
    fmt,
    str::FromStr, //
};

/// So many of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many.
    pub of: u64,
    /// Of how many.
    pub all: u64,
}

impl FromStr for Part {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        let (of, all) = word.split_once('/').context("no '/'")?;
        Ok(Self {
            of: of.parse()?,
            all: all.parse()?,
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.of, self.all)
    }
}

/// The spare units that are put aside for CPUs, and how often that served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// How many are put aside.
    pub aside: u64,
    /// How many allocations these served.
    pub hits: u64,
    /// How many they did not.
    pub misses: u64,
}

impl FromStr for Cache {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        let (aside, rest) = word.split_once('/').context("no '/'")?;
        let (hits, misses) = rest.split_once('/').context("one '/'")?;
        Ok(Self {
            aside: aside.parse()?,
            hits: hits.parse()?,
            misses: misses.parse()?,
        })
    }
}

impl fmt::Display for Cache {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}", self.aside, self.hits, self.misses)
    }
}

/// The fields of a status line, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The worst that is the matter.
    pub health: String,
    /// Spare units in use.
    pub used: Part,
    /// Spare units that are given up.
    pub retired: u64,
    /// Units that could not be read, and whose data nobody gave up.
    pub suspects: u64,
    /// Blocks whose data are lost.
    pub lost_blocks: u64,
    /// Reads of main or the spare that failed.
    pub read_errors: u64,
    /// Writes of main or the spare that failed.
    pub write_errors: u64,
    /// `rw` or `ro`.
    pub mode: String,
    /// Regions of the metadata that are good.
    pub regions: Part,
    /// `closed` or `open`.
    pub breaker: String,
    /// Spare units put aside.
    pub cache: Cache,
    /// `ok` or `short`.
    pub memory: String,
    /// What the scan does.
    pub scan: String,
    /// How many units of main it has read in this pass.
    pub scan_position: Part,
}

impl FromStr for Status {
    type Err = anyhow::Error;

    /// Fields that a newer module adds at the end are left out.
    fn from_str(line: &str) -> Result<Self> {
        let mut words = line.split(' ');
        fn next<'a>(words: &mut impl Iterator<Item = &'a str>, name: &str) -> Result<&'a str> {
            words
                .next()
                .with_context(|| format!("the status has no field for {name}"))
        }
        fn field<T: FromStr>(word: &str, name: &str) -> Result<T>
        where
            T::Err: Into<anyhow::Error>,
        {
            word.parse()
                .map_err(Into::into)
                .with_context(|| format!("the status has '{word}' for {name}"))
        }
        macro_rules! typed {
            ($name:literal) => {
                field(next(&mut words, $name)?, $name)?
            };
        }
        Ok(Self {
            health: typed!("health"),
            used: typed!("used"),
            retired: typed!("retired"),
            suspects: typed!("suspects"),
            lost_blocks: typed!("lost_blocks"),
            read_errors: typed!("read_errors"),
            write_errors: typed!("write_errors"),
            mode: typed!("mode"),
            regions: typed!("regions"),
            breaker: typed!("breaker"),
            cache: typed!("cache"),
            memory: typed!("memory"),
            scan: typed!("scan"),
            scan_position: typed!("scan_position"),
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} {} {} {} {} {} {} {} {} {} {} {} {} {}",
            self.health,
            self.used,
            self.retired,
            self.suspects,
            self.lost_blocks,
            self.read_errors,
            self.write_errors,
            self.mode,
            self.regions,
            self.breaker,
            self.cache,
            self.memory,
            self.scan,
            self.scan_position
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "relocated 1/1536 0 2 3 4 5 rw 2/4 closed 31/0/1 ok stopped 0/16384";

    #[test]
    fn a_status_is_read_as_it_is_written() {
        let status: Status = LINE.parse().unwrap();
        assert_eq!(status.used, Part { of: 1, all: 1536 });
        assert_eq!(status.suspects, 2);
        assert_eq!(status.cache.misses, 1);
        assert_eq!(status.to_string(), LINE);
    }

    #[test]
    fn fields_at_the_end_are_left_out() {
        let status: Status = format!("{LINE} more").parse().unwrap();
        assert_eq!(status.to_string(), LINE);
    }

    #[test]
    fn a_field_that_is_not_there_or_is_none_is_named() {
        let short = LINE.rsplit_once(' ').unwrap().0;
        let error = short.parse::<Status>().unwrap_err().to_string();
        assert!(error.contains("scan_position"), "{error}");
        let other = LINE.replace("1/1536", "many");
        let error = other.parse::<Status>().unwrap_err().to_string();
        assert!(error.contains("'many' for used"), "{error}");
    }
}
