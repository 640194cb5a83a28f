// SPDX-License-Identifier: GPL-2.0

//! The versions that units hold, and may hold. Versions of a unit increase; 0 is its initial
//! contents.

use crate::units::Units;
use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use model::content::{
    identify,
    Content, //
};
use std::collections::BTreeMap;

/// The bytes of a unit.
pub const UNIT_BYTES: usize = 4096;

/// The known versions of a unit.
#[derive(Clone, Copy, Default)]
struct Versions {
    acked: u64,
    begun: u64,
}

/// The known versions of all units.
///
/// They follow from a story of lines: `begin UNIT VERSION`, `ack UNIT VERSION`, and `found
/// UNIT=VERSION ...` after units were read.
#[derive(Default)]
pub struct Known(BTreeMap<u64, Versions>);

impl Known {
    /// Evaluates all lines of a story.
    pub fn of(story: &str) -> Result<Self> {
        let mut known = Self::default();
        for line in story.lines() {
            known.note(line).with_context(|| line.to_string())?;
        }
        Ok(known)
    }

    /// Evaluates a line.
    pub fn note(&mut self, line: &str) -> Result<()> {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["begin", unit, version] => self.unit(unit)?.begun = version.parse()?,
            ["ack", unit, version] => self.unit(unit)?.acked = version.parse()?,
            ["found", ref units @ ..] => {
                for found in units {
                    let (unit, version) = found.split_once('=').context("UNIT=VERSION")?;
                    let version = version.parse()?;
                    *self.unit(unit)? = Versions {
                        acked: version,
                        begun: version,
                    };
                }
            }
            _ => bail!("not a line about units"),
        }
        Ok(())
    }

    fn unit(&mut self, number: &str) -> Result<&mut Versions> {
        Ok(self.0.entry(number.parse()?).or_default())
    }

    /// The units in the story.
    pub fn units(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.keys().copied()
    }

    /// The last version of any unit.
    pub fn last(&self) -> u64 {
        let begun = self.0.values().map(|unit| unit.begun);
        begun.max().unwrap_or_default()
    }

    /// The number of units with an acknowledged version.
    pub fn acked(&self) -> usize {
        self.0.values().filter(|unit| unit.acked > 0).count()
    }

    /// Checks that a unit holds the last acknowledged version, or a later version that was begun,
    /// and returns the version.
    pub fn check(&self, unit: u64, bytes: &[u8]) -> Result<u64> {
        let Versions { acked, begun } = self.0.get(&unit).copied().unwrap_or_default();
        let Content::Whole(found) = identify(bytes, unit) else {
            bail!("unit {unit} holds data never written to it, or is torn");
        };
        if found < acked || found > begun {
            bail!("unit {unit} holds version {found}; acknowledged: {acked}, begun: {begun}");
        }
        Ok(found)
    }

    /// Checks all units of a device, and returns a line of the story with the versions found. A
    /// unit without an acknowledged version may be unreadable.
    pub fn check_all(&self, device: &mut Units) -> Result<String> {
        let mut found = "found".to_string();
        for (&unit, versions) in &self.0 {
            match device.read(unit) {
                Ok(bytes) => found += &format!(" {unit}={}", self.check(unit, bytes)?),
                Err(error) => {
                    ensure!(versions.acked == 0, "unit {unit} was acknowledged: {error}");
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::content::fill;

    fn versions_that_unit_7_may_have(story: &str) -> Vec<u64> {
        let known = Known::of(story).unwrap();
        let mut bytes = [0; UNIT_BYTES];
        let may_have = |version: &u64| {
            fill(&mut bytes, 7, *version);
            known.check(7, &bytes).is_ok()
        };
        (0..5).filter(may_have).collect()
    }

    #[test]
    fn a_unit_may_hold_what_was_acknowledged_or_begun() {
        let story = "begin 7 1\nack 7 1\nbegin 7 2\n";
        assert_eq!(versions_that_unit_7_may_have(""), [0]);
        assert_eq!(versions_that_unit_7_may_have(story), [1, 2]);
        let known = Known::of(story).unwrap();
        assert_eq!((known.acked(), known.last()), (1, 2));
        let mut bytes = [0; UNIT_BYTES];
        assert!(known.check(7, &bytes).is_err());
        assert!(known.check(8, &bytes).is_ok());
        fill(&mut bytes, 7, 1);
        fill(&mut bytes[512..1024], 7, 2);
        assert!(known.check(7, &bytes).is_err());
        fill(&mut bytes, 8, 1);
        assert!(known.check(7, &bytes).is_err());
    }

    #[test]
    fn what_was_found_stays() {
        let story = "begin 7 1\nack 7 1\nbegin 7 2\nfound 6=0 7=2\n";
        assert_eq!(versions_that_unit_7_may_have(story), [2]);
        let later = format!("{story}begin 7 3\n");
        assert_eq!(versions_that_unit_7_may_have(&later), [2, 3]);
    }

    #[test]
    fn a_story_says_nothing_else() {
        for line in ["begin 7", "end 7 1", "found 7", "ack 7 x"] {
            assert!(Known::of(line).is_err(), "{line}");
        }
    }
}
